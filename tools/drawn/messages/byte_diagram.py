"""Draw a layout as rows of eight bytes: a word a row, offsets at the left, a field as wide as its bytes.

A field of variable size is a row with torn sides. Elements that repeat, or may be missing, stand beside a
bracket under a line that says how often. Behind the first field of variable size offsets depend on the
frame, and none is shown.

The drawing is as wide as a phone. Nothing in it is smaller than nine pixels there.
"""

from __future__ import annotations

from collections.abc import Sequence

from tools.drawn.drawing import Drawing, fitted
from tools.drawn.messages.layouts import WORDS, Cell, Element, Group

__all__ = ["diagram"]

GUTTER, BYTE, MARGIN = 30, 39, 12
WORD = 8 * BYTE
WIDTH = GUTTER + WORD + MARGIN
RULER, ROW, TORN, LABEL, GAP = 16, 36, 42, 19, 5


class _Diagram:
    """A diagram in the making: where the next row begins, in the drawing and in the frame."""

    def __init__(self, title: str, aligned: bool) -> None:
        self.drawing = Drawing(WIDTH, title, shown=470)
        self.y = 2.0
        self.offset: int | None = 0  # of the next byte; None once it depends on the frame
        self.aligned = aligned
        self._column = 0  # of the next byte in its row

    def ruler(self) -> None:
        for byte in range(8):
            x = GUTTER + (byte + 0.5) * BYTE
            self.drawing.text(x, self.y + 9, str(byte), size=9, anchor="middle", faint=True)
        self.y += RULER

    def elements(self, parts: Sequence[Element], depth: int = 0) -> None:
        for part in parts:
            if isinstance(part, Group):
                self.group(part, depth)
            elif part.size:
                self.cell(part)
            else:
                self.torn(part)

    def group(self, group: Group, depth: int) -> None:
        self.finish()
        self.y += GAP
        self.drawing.text(GUTTER, self.y + 12, group.words, size=10, accent=True)
        self.y += LABEL
        top, known = self.y, self.offset
        if group.times:
            self.offset = None
        self.elements(group.parts, depth + 1)
        self.finish()
        x = WIDTH - 2 - 4 * depth
        self.drawing.line((x - 5, top), (x, top), (x, self.y), (x - 5, self.y), accent=True, wide=1.5)
        if known is None:
            self.offset = None
        self.y += GAP

    def cell(self, cell: Cell) -> None:
        if self._column + cell.size > 8 or not self.aligned:
            self.finish()
        if not self._column and self.offset is not None and self.aligned:
            self.drawing.text(GUTTER - 5, self.y + 11, str(self.offset), size=9, anchor="end", faint=True)
        x, wide = GUTTER + self._column * BYTE, cell.size * BYTE
        unused = cell.kind in ("reserved", "ignored", "padding", "unused") or cell.name == "unused"
        self.drawing.box(x, self.y, wide, ROW, shade=0.07 if unused else 0)
        self._words(cell, x, wide, ROW)
        self._column += cell.size
        if self.offset is not None:
            self.offset += cell.size
        if self._column >= 8:
            self.finish()

    def torn(self, cell: Cell) -> None:
        """Draw a row of variable size: its sides are torn."""
        begins = self._column
        if begins and cell.kind == "param types":
            begins = self._column  # they follow the count in its own word
        elif begins:
            self.finish()
            begins = 0
        elif self.offset is not None and self.aligned:
            self.drawing.text(GUTTER - 5, self.y + 11, str(self.offset), size=9, anchor="end", faint=True)
        x, right, y, high = GUTTER + begins * BYTE, GUTTER + WORD, self.y, ROW if begins else TORN
        middle = y + high / 2

        def torn(x: float, up: bool) -> str:
            steps = [(-3, -6), (3, -2), (-3, 2), (3, 6)]
            steps = steps if not up else [(a, b) for a, b in reversed(steps)]
            return "".join(f"L{x + a:.0f} {middle + b:.0f}" for a, b in steps)

        left_side = torn(x, True) if not begins else ""
        self.drawing.path(
            f"M{x} {y}L{right} {y}{torn(right, False)}L{right} {y + high}L{x} {y + high}{left_side}Z"
        )
        self._words(cell, x, right - x, high, margin=20)
        self._column = 0
        self.y += high
        self.offset = None

    def finish(self) -> None:
        """End the row that was begun."""
        if self._column:
            self._column = 0
            self.y += ROW

    def _words(self, cell: Cell, x: float, wide: float, high: float, margin: float = 6) -> None:
        middle, room = x + wide / 2, wide - margin
        said = cell.value or WORDS.get(cell.kind, cell.kind)
        if not cell.value and wide < 3 * BYTE:
            said = "1 byte" if cell.size == 1 else f"{cell.size} bytes"
        size = fitted(cell.name, room, 12, mono=True)
        self.drawing.text(middle, self.y + high / 2 - 2, cell.name, size=size, anchor="middle", mono=True)
        self.drawing.text(
            middle,
            self.y + high / 2 + 11,
            said,
            size=fitted(said, room, 10),
            anchor="middle",
            faint=not cell.value,
            accent=bool(cell.value),
        )


def diagram(title: str, parts: Sequence[Element], aligned: bool = True) -> str:
    """Return the drawing of a layout.

    Args:
        title: what it shows.
        parts: the elements, header included.
        aligned: whether every field begins where its size lets it; else each has a row of its own.
    """
    made = _Diagram(title, aligned)
    if aligned:
        made.ruler()
    made.elements(parts)
    made.finish()
    return made.drawing.svg(made.y + 3)
