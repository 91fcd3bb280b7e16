"""Lines that fit a screen of any size: none is wider than its columns, and none is wrapped.

Widths are those that a terminal shows: some characters take two columns, some none. Text of others becomes
harmless here (`dqlitewire.text.printable`); what is too long is cut in the middle.

    head(..)      label   one fact, another, the rest is left out      facts, the most important first
    grid(..)        rate/s    p95  statement                           figures, and a text that takes the rest
                      12.3   3 ms  SELECT a FROM t
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from dqlitewire.text import printable
from dqlitewire.traffic.shorten import apart, middle, one_line

LEAST = 20  # columns that a text keeps beside figures, or 2 of 5 where that is more
GAP = 2
DIM, BOLD, BAD = "dim", "bold", "bold red"


class Piece(NamedTuple):
    """Some text and its style, in rich's words."""

    text: str
    style: str = ""


class Column(NamedTuple):
    """Figures of a grid.

    Attributes:
        name: stands above them.
        cells: one a row; where all are empty, the column is left out.
        rank: where there is no room for all columns, those of the highest rank are left out first.
        style: of the cells.
    """

    name: str
    cells: Sequence[str]
    rank: int
    style: str = ""


def fitted(texts: Sequence[str], width: int) -> list[str]:
    """Return texts on one line each, harmless, of at most so many columns; different ones look different.

    Args:
        texts: any; equal ones are shown alike.
        width: columns.
    """
    lines = [printable(one_line(text)) for text in texts]
    different = list(dict.fromkeys(lines))
    shown = dict(zip(different, apart(different, max(width, 0)), strict=True))
    return [_narrowed(shown[line], width) for line in lines]


def _narrowed(text: str, width: int) -> str:
    """Cut text whose characters take more than a column each."""
    room = len(text)
    while cell_len(text) > width and room > 0:
        room = min(room - 1, len(text) - (cell_len(text) - width) // 2)
        text = middle(text, room)
    return text if width > 0 else ""


def title(left: str, right: str, width: int, spread: bool = True) -> Text:
    """Return a line with a text on either side; the right one goes where both have no room.

    Args:
        left: may be cut.
        right: is shown whole, or not at all.
        width: columns.
        spread: whether the right one stands at the edge.
    """
    right = printable(right)
    if cell_len(right) + GAP + LEAST > width:
        right = ""
    room = width - (cell_len(right) + GAP if right else 0)
    (text,) = fitted([left], room)
    blanks = " " * (width - cell_len(text) - cell_len(right) if spread else GAP) if right else ""
    return Text.assemble((text, BOLD), blanks, (right, DIM))


def head(label: str, facts: Sequence[Piece], width: int, room: int = 10) -> Text:
    """Return a line of facts; those at its end are left out where they do not fit.

    Args:
        label: stands in front of them.
        facts: the most important first; of the first one the middle is cut if it does not fit.
        width: columns.
        room: columns of the label.
    """
    line = Text.assemble((f"{label:<{room}}", DIM))
    left = width - room
    for number, fact in enumerate(facts):
        text = printable(one_line(fact.text))
        if number == 0:
            (text,) = fitted([text], left)
        elif cell_len(text) + 2 > left:
            break
        else:
            line.append(", ")
            left -= 2
        line.append(text, fact.style)
        left -= cell_len(text)
    return line


def grid(
    columns: Sequence[Column], name: str, texts: Sequence[str], width: int, styles: Sequence[str] = ()
) -> list[Text]:
    """Return a table: a line of names, and a line for each row.

    Args:
        columns: of figures.
        name: of the text behind them.
        texts: one a row.
        width: columns of the screen.
        styles: of the rows; none by default.
    """
    kept = [column for column in columns if any(column.cells)]
    wanted = max((cell_len(text) for text in texts), default=0)
    least = min(max(LEAST, 2 * width // 5), max(wanted, len(name)))
    while kept and width - _taken(kept) < least:
        kept.remove(max(kept, key=lambda column: column.rank))
    sizes = [_size(column) for column in kept]
    room = width - _taken(kept)
    gap = " " * GAP
    above = [f"{column.name:>{size}}{gap}" for column, size in zip(kept, sizes, strict=True)]
    lines = [Text("".join([*above, *fitted([name], room)]), DIM)]
    for number, text in enumerate(fitted(texts, room)):
        line = Text(style=styles[number] if styles else "")
        for column, size in zip(kept, sizes, strict=True):
            line.append(f"{column.cells[number]:>{size}}{gap}", column.style)
        lines.append(line.append(text))
    return lines


def _size(column: Column) -> int:
    return max(len(column.name), *map(len, column.cells))


def _taken(columns: Sequence[Column]) -> int:
    return sum(_size(column) + GAP for column in columns)


def screenful(lines: Sequence[Text], below: Sequence[Text], width: int, height: int | None) -> list[Text]:
    """Return lines that fit a screen, and what stands on its last ones.

    Args:
        lines: from the top on; those that do not fit are left out.
        below: the last lines; left out where they would be all.
        width: columns.
        height: rows; None for as many as there are.
    """
    if height is None:
        return [*lines, *below]
    below = below if height > len(below) else []
    shown = list(lines[: max(height - len(below), 0)])
    shown += [Text()] * (height - len(below) - len(shown)) if below else []
    shown += below
    for line in shown:
        line.truncate(max(width, 0), overflow="crop")
    return shown


def number(value: float | None) -> str:
    """A figure in at most six characters; "-" for one that nobody knows."""
    if value is None:
        return "-"
    for unit in ("", "k", "M"):
        if value < 99_999.5:
            digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
            return f"{value:.{0 if value == int(value) else digits}f}{unit}"
        value /= 1000
    return f"{value:.0f}G"
