"""Values as the cells of a table: on one line, harmless, as wide as they are said to be.

    NULL   true   -7   1.5   inf   x'00ff'   x'0011…' (4096 B)   text   'NULL'   '42'   ' a'   ''

A text stands in quotes if it could be taken for something else: for another kind of value, as a parameter of
the command line would be (`parameters`), for nothing at all, or if its ends could not be seen. So whatever
stands without quotes is what it looks like.

Widths are columns of a terminal: a character takes none (combining marks), one or two (CJK, emoji).
"""

from __future__ import annotations

from typing import NamedTuple
from unicodedata import category

from rich.cells import cell_len, chop_cells, set_cell_size

from dqlitewire.cli.parameters import is_plain
from dqlitewire.text import kind_of, printable

BLOB = 16  # bytes of a blob that are shown
_DENSE = 4  # characters that are looked at for each column of room; combining marks take none
_NUMBERS = frozenset({"inf", "-inf", "nan"})  # which tables show as floats
_CIRCLE = "\u25cc"  # carries a combining mark that would sit on what stands before its text


class Cell(NamedTuple):
    """A value as it is shown.

    Attributes:
        text: one line, harmless.
        size: the columns that it takes.
        number: whether it is one, which stands to the right.
        firm: whether it is never cut: of a number, what is left would be another one.
        null: whether it is NULL.
        cut: whether not all of the value is shown.
        tail: what stands behind the ellipsis where it is cut, if there is room: the size of a blob.
    """

    text: str
    size: int
    number: bool = False
    firm: bool = False
    null: bool = False
    cut: bool = False
    tail: str = ""


_NULL = Cell("NULL", 4, firm=True, null=True)
_BOOLEANS = Cell("false", 5, firm=True), Cell("true", 4, firm=True)


def cell(value: object, room: int) -> Cell:
    """Return a value as it is shown.

    Args:
        value: as a row has it.
        room: the most columns that it may take, at least 1; what is firm may take more.

    Raises:
        TypeError: no row has such a value.
    """
    match value:
        case str():
            return text_cell(value, room, quoted=_is_odd(value))
        case None:
            return _NULL
        case bool():
            return _BOOLEANS[value]
        case int() | float():
            shown = repr(value)
            return Cell(shown, len(shown), number=True, firm=True)
        case bytes():
            tail = f"' ({len(value)} B)"
            if len(value) <= BLOB:
                return _fitted(f"x'{value.hex()}'", room, tail=tail)
            return _fitted(f"x'{value[:BLOB].hex()}…{tail}", room, cut=True, tail=tail)
        case _:
            raise TypeError(f"a row has {kind_of(value)}, which is no value")


def text_cell(text: str, room: int, quoted: bool = False) -> Cell:
    """Return a text as it is shown.

    Args:
        text: any.
        room: the most columns that it may take, at least 1.
        quoted: whether to put it in quotes.
    """
    head = text[: _DENSE * room + 1]
    whole = len(head) == len(text)
    if quoted:
        head = "'" + head.replace("'", "''") + "'" * whole
    shown = printable(head)
    if not shown.isascii() and category(shown[0])[0] == "M":
        shown = _CIRCLE + shown
    return _fitted(shown if whole else shown + "…", room, cut=not whole)


def _is_odd(text: str) -> bool:
    first = text[:1]
    if not first or first == "'" or first.isspace() or text[-1].isspace():
        return True
    return text in _NUMBERS or not is_plain(text)


def _fitted(shown: str, room: int, cut: bool = False, tail: str = "") -> Cell:
    size = len(shown) if shown.isascii() else cell_len(shown)
    if size > room:
        end = "…" + tail if room >= _HEAD + len(tail) else "…"
        shown = set_cell_size(shown, room - len(end)).rstrip(" ") + end
        size, cut = cell_len(shown), True
    return Cell(shown, size, cut=cut, tail=tail)


_HEAD = 7  # columns that a blob has at least in front of its size


def shortened(shown: Cell, room: int) -> Cell:
    """Return a cell that takes no more columns than there are; its end is an ellipsis then.

    Args:
        shown: any cell; a firm one stays as it is.
        room: the columns, at least 1.
    """
    return shown if shown.firm or shown.size <= room else _fitted(shown.text, room, tail=shown.tail)


def padded(shown: Cell, size: int) -> str:
    """Return the text of a cell with blanks, so that it takes so many columns.

    Args:
        shown: the cell.
        size: the columns; of a wider cell nothing is lost.
    """
    blanks = " " * (size - shown.size)
    return blanks + shown.text if shown.number else shown.text + blanks


def wrapped(shown: Cell, room: int) -> list[str]:
    """Return the text of a cell in lines.

    Args:
        shown: the cell.
        room: the columns of a line, at least 2.
    """
    return chop_cells(shown.text, room) or [""]
