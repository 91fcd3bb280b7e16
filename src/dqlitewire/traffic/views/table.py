"""Tables of figures with statements, which fit a line of any width without losing a figure.

A row has figures, which are short, and texts, which are not. How they are laid out depends on what is left of
a line when the figures stand on it:

    wide       count    total   p50  statement            a text has 40 columns, or all that it needs
                   4  12.3 ms  3 ms  SELECT a FROM t

    stacked    count    total   p50                       the figures fit a line, and nothing else does
                   4  12.3 ms  3 ms
                   SELECT a FROM t

    named      SELECT a FROM t                            not even the figures fit
                   count 4, total 12.3 ms, p50 3 ms

Texts that are too long are cut in the middle, so that different ones look different (`shorten.apart`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.style import Style

from dqlitewire.text import Shown, printable
from dqlitewire.traffic.shorten import apart, one_line

LEAST = 40  # columns of a text beside figures
NARROW = 80  # columns below which a text gets two lines
GAP = 2
INDENT = 4


class Row(NamedTuple):
    """One line of a table.

    Attributes:
        figures: by the name of their column; the same names in all rows of a table.
        texts: by the name of their column; the first one is what the row is about.
    """

    figures: dict[str, str]
    texts: dict[str, str]


def table(title: str, rows: Sequence[Row], width: int, colour: bool = False) -> Iterator[str]:
    """Yield the lines of a table.

    Args:
        title: stands above it.
        rows: at least one.
        width: columns that lines fit into.
        colour: whether the title is bold, and so on, as a terminal shows them.
    """
    for line in textwrap.wrap(title, width):
        yield styled(line, "bold", colour)
    names = list(rows[0].figures)
    sizes = [max(len(name), *(len(row.figures[name]) for row in rows)) for name in names]
    taken = sum(size + GAP for size in sizes)
    needed = sum(min(LEAST, max(len(row.texts[name]) for row in rows)) for name in rows[0].texts)
    if width - taken >= max(needed, sum(map(len, rows[0].texts))):
        yield from _wide(rows, sizes, width - taken, colour)
    elif taken - GAP <= width:
        yield styled(_figures(names, sizes), "dim", colour)
        for row, shown in zip(rows, _below(rows, width), strict=True):
            yield _figures(row.figures.values(), sizes).rstrip()
            yield from shown
    else:
        for row, shown in zip(rows, _below(rows, width, indent=0), strict=True):
            yield from shown
            yield from _named(row.figures, width)


def _wide(rows: Sequence[Row], sizes: list[int], room: int, colour: bool) -> Iterator[str]:
    names = list(rows[0].texts)
    rooms = [room]
    if len(names) == 2:  # what the row is about is worth more
        rooms = [room * 3 // 5, room - room * 3 // 5 - GAP]
    columns = [
        _shortened([row.texts[name] for row in rows], size) for name, size in zip(names, rooms, strict=True)
    ]
    gap = " " * GAP
    head = [
        _figures(rows[0].figures, sizes),
        *(f"{name:{size}}" for name, size in zip(names, rooms, strict=True)),
    ]
    yield styled(gap.join(head).rstrip(), "dim", colour)
    for row, *shown in zip(rows, *columns, strict=True):
        cells = [f"{text:{size}}" for text, size in zip(shown, rooms, strict=True)]
        yield gap.join([_figures(row.figures.values(), sizes), *cells]).rstrip()


def _below(rows: Sequence[Row], width: int, indent: int = INDENT) -> Iterator[list[str]]:
    """The texts of each row, on lines of their own; all but the first with their name."""
    lines: list[list[str]] = [[] for _ in rows]
    most = 1 if width >= NARROW else 2
    for number, name in enumerate(rows[0].texts):
        label = f"{name} " if number else ""
        behind = " " * (INDENT if number else indent)
        shown = _shortened([row.texts[name] for row in rows], most * (width - len(behind)) - len(label))
        for texts, text in zip(lines, shown, strict=True):
            texts += wrapped(f"{behind}{label}{text}", width, len(behind))
    yield from lines


def wrapped(text: str, width: int, indent: int) -> list[str]:
    """Return the lines of a text.

    Args:
        text: any.
        width: columns that lines fit into.
        indent: blanks in front of all lines but the first.
    """
    return textwrap.wrap(text, width, subsequent_indent=" " * indent, break_on_hyphens=False)


def _named(figures: dict[str, str], width: int) -> Iterator[str]:
    said = [f"{cell} %" if name == "%" else f"{name} {cell}" for name, cell in figures.items() if cell]
    line = " " * INDENT
    for number, text in enumerate(said):
        text += "," * (number < len(said) - 1)
        if len(line) + len(text) + 1 > width and line.strip():
            yield line
            line = " " * INDENT
        line += (" " if line.strip() else "") + text
    if line.strip():
        yield line


def _figures(cells: Iterable[str], sizes: list[int]) -> str:
    return (" " * GAP).join(f"{cell:>{size}}" for cell, size in zip(cells, sizes, strict=True))


def _shortened(texts: list[str], width: int) -> list[str]:
    shown = apart([one_line(text) for text in dict.fromkeys(texts)], width)
    found = dict(zip(dict.fromkeys(texts), shown, strict=True))
    return [found[text] for text in texts]


def styled(text: str, style: str, colour: bool) -> str:
    """Return a line as a terminal shows it.

    Args:
        text: the line; made harmless.
        style: rich's words for it, such as "bold".
        colour: whether the terminal shows styles.
    """
    return Shown(Style.parse(style).render(printable(text))) if colour else text
