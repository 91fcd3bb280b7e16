"""Draw: text, boxes, lines and arrows of an SVG that reads well on the site and off it.

On the site `docs/drawn.py` puts a drawing into the page, where `currentColor` is the colour of the text and
`var(--color-brand-primary)` that of links, in the light theme and in the dark one. Everywhere else a drawing
is a picture: the `<style>` at its head, which the site drops, gives it colours of its own, by what the reader
prefers. So nothing here has a colour but these two, and what is faint has less opacity.

    drawing = Drawing(120, "Two boxes")
    drawing.box(10, 10, 40, 20)
    drawing.text(30, 24, "one", anchor="middle")
    drawing.arrow((50, 20), (70, 20))
    drawing.svg(40)

Numbers are pixels of a drawing that is `width` wide; the reader sees it as wide as there is room, up to
`shown`. Text is real text in a generic font, so its width is only known roughly: `width_of` is on the
safe side.
"""

from __future__ import annotations

from html import escape
from math import fsum

__all__ = ["MONO", "SANS", "Drawing", "fitted", "width_of"]

SANS = "ui-sans-serif, system-ui, sans-serif"
MONO = "ui-monospace, 'DejaVu Sans Mono', monospace"
ACCENT = "var(--color-brand-primary, #2962ff)"
FAINT = 0.62  # opacity of what is said in passing

_STYLE = (
    "<style>svg{color:#1c1e21;background:#fff}"
    "@media (prefers-color-scheme:dark){svg{color:#cfd0d0;background:#131416;--color-brand-primary:#5f8cff}}"
    "</style>"
)
_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path d="M0 0.5 8 4 0 7.5z" fill="currentColor"/></marker></defs>'
)
_WIDTHS = {**dict.fromkeys("iljtfr.,:;'|!()[]I ", 0.34), **dict.fromkeys("mwMW@%—", 0.93)}
_CAPITAL, _LETTER, _CELL = 0.72, 0.58, 0.62  # parts of the font's size


def width_of(words: str, size: float, mono: bool = False) -> float:
    """Return about how many pixels a text takes.

    Args:
        words: the text.
        size: of the font.
        mono: whether the letters are of one width.
    """
    if mono:
        return _CELL * size * len(words)
    # fsum: `sum` rounds otherwise up to Python 3.11, and drawings are to be the same on each
    return size * fsum(_WIDTHS.get(one, _CAPITAL if one.isupper() else _LETTER) for one in words)


def fitted(words: str, room: float, size: float, mono: bool = False) -> float:
    """Return the size of a font in which a text fits, at most `size`.

    Args:
        words: the text.
        room: pixels there are.
        size: of the font.
        mono: whether the letters are of one width.
    """
    wide = width_of(words, size, mono)
    return size if wide <= room else round(size * room / wide, 1)


class Drawing:
    """A drawing in the making.

    Args:
        width: of all, in pixels.
        title: what it shows, for readers who do not see it.
        shown: how wide it is shown where there is room.
    """

    def __init__(self, width: int, title: str, shown: int | None = None) -> None:
        self.width = width
        self.title = title
        self.shown = shown or width
        self._parts: list[str] = []

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 11,
        anchor: str = "start",
        mono: bool = False,
        faint: bool = False,
        accent: bool = False,
        bold: bool = False,
    ) -> None:
        """Write words, their base line at y."""
        how = f' font-size="{_(size)}"' + (f' font-family="{MONO}"' if mono else "")
        how += f' text-anchor="{anchor}"' if anchor != "start" else ""
        how += f' opacity="{FAINT}"' if faint else ""
        how += ' font-weight="600"' if bold else ""
        how += f' fill="{ACCENT}"' if accent else ""
        self._parts.append(f'<text x="{_(x)}" y="{_(y)}"{how}>{escape(words, quote=False)}</text>')

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        radius: float = 0,
        accent: bool = False,
        shade: float = 0,
        dashed: bool = False,
        line: bool = True,
    ) -> None:
        """Draw a box, its corner at x and y.

        Args:
            x: of the corner.
            y: of the corner.
            width: of the box.
            height: of the box.
            radius: of the corners.
            accent: whether it has the colour of links.
            shade: how much of its colour fills it, from 0 to 1.
            dashed: whether its line is.
            line: whether it has one.
        """
        colour = ACCENT if accent else "currentColor"
        how = f' rx="{_(radius)}"' if radius else ""
        how += f' fill="{colour}" fill-opacity="{shade}"' if shade else ' fill="none"'
        how += f' stroke="{colour}"' if line else ""
        how += ' stroke-dasharray="3 2"' if dashed else ""
        self._parts.append(f'<rect x="{_(x)}" y="{_(y)}" width="{_(width)}" height="{_(height)}"{how}/>')

    def line(self, *points: tuple[float, float], accent: bool = False, wide: float = 1) -> None:
        """Draw a line through points."""
        path = "M" + "L".join(f"{_(x)} {_(y)}" for x, y in points)
        self.path(path, accent=accent, wide=wide)

    def arrow(self, *points: tuple[float, float], dashed: bool = False) -> None:
        """Draw an arrow through points."""
        self.path("M" + "L".join(f"{_(x)} {_(y)}" for x, y in points), dashed=dashed, tip=True)

    def path(
        self, path: str, *, accent: bool = False, wide: float = 1, dashed: bool = False, tip: bool = False
    ) -> None:
        """Draw a path as SVG writes it; `tip` makes an arrow of it."""
        how = f' stroke="{ACCENT if accent else "currentColor"}"'
        how += f' stroke-width="{_(wide)}"' if wide != 1 else ""
        how += ' stroke-dasharray="4 3"' if dashed else ""
        how += ' marker-end="url(#tip)"' if tip else ""
        self._parts.append(f'<path d="{path}" fill="none"{how}/>')

    def svg(self, height: float) -> str:
        """Return the drawing.

        Args:
            height: of all, in pixels.
        """
        parts = "\n".join(self._parts)
        tip = _TIP if "url(#tip)" in parts else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {_(height)}" '
            f'width="{self.shown}" style="max-width:100%" font-family="{SANS}" fill="currentColor">\n'
            f"<title>{escape(self.title, quote=False)}</title>{_STYLE}{tip}\n{parts}\n</svg>\n"
        )


def _(number: float) -> str:
    """A number as short as it can be written."""
    return f"{number:.1f}".removesuffix(".0")
