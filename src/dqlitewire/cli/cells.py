"""Values as the cells of a table: on one line, harmless, as wide as they are said to be.

    NULL   true   -7   1.5   inf   x'00ff'   x'0011…' (4096 B)   text   'NULL'   '42'   ' a'   ''

A text stands in quotes if it could be taken for something else: for another kind of value, as a parameter of
the command line would be (`parameters`), for nothing at all, or if its ends could not be seen. So whatever
stands without quotes is what it looks like.

Widths are columns of a terminal: a character takes none (combining marks), one or two (CJK, emoji).
"""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from dqlitewire.cli.parameters import is_plain
from dqlitewire.text import printable

BLOB = 16  # bytes of a blob that are shown
#: characters that are looked at for each column of room; combining marks take none
_DENSE = 4
_NUMBERS = frozenset({"inf", "-inf", "nan"})  # which tables show as floats


class Cell(NamedTuple):
    """A value as it is shown.

    Attributes:
        text: one line, harmless.
        size: the columns that it takes.
        number: whether it is one, which stands to the right and is never cut.
        null: whether it is NULL.
        cut: whether not all of it is shown.
    """

    text: str
    size: int
    number: bool = False
    null: bool = False
    cut: bool = False


NULL = Cell("NULL", 4, null=True)
_BOOLEANS = Cell("false", 5), Cell("true", 4)


def cell(value: object, room: int) -> Cell:
    """Return a value as it is shown.

    Args:
        value: as a row has it.
        room: the most columns that it may take, at least 1; a number may take more.
    """
    kind = type(value)
    if kind is str:
        return text_cell(str(value), room, quoted=True)
    if value is None:
        return NULL
    if kind is int or kind is float:
        shown = repr(value)
        return Cell(shown, len(shown), number=True)
    if isinstance(value, bool):
        return shortened(_BOOLEANS[value], room)
    if isinstance(value, bytes):
        return _blob(value, room)
    raise TypeError(f"no value of a row: {kind.__name__}")


def text_cell(text: str, room: int, quoted: bool = False) -> Cell:
    """Return a text as it is shown.

    Args:
        text: any.
        room: the most columns that it may take, at least 1.
        quoted: whether one that could be taken for something else stands in quotes.
    """
    head = text[: _DENSE * room + 1]
    if quoted and _is_odd(text):
        head = "'" + head.replace("'", "''") + "'" * (len(head) == len(text))
    shown = printable(head)
    size = len(shown) if shown.isascii() else cell_len(shown)
    if size <= room and len(text) <= _DENSE * room + 1:
        return Cell(shown, size)
    return shortened(Cell(shown, size, cut=True), room)


def _is_odd(text: str) -> bool:
    first = text[:1]
    return (
        not first or first == "'" or first.isspace() or text[-1].isspace() or text in _NUMBERS
    ) or not is_plain(text)


def _blob(value: bytes, room: int) -> Cell:
    if len(value) <= BLOB:
        shown = f"x'{value.hex()}'"
        return shortened(Cell(shown, len(shown)), room)
    shown = f"x'{value[:BLOB].hex()}…' ({len(value)} B)"
    return shortened(Cell(shown, len(shown), cut=True), room)


def shortened(whole: Cell, room: int) -> Cell:
    """Return a cell that takes no more columns than there are; its end is an ellipsis then.

    Args:
        whole: any cell; a number stays as it is.
        room: the columns, at least 1.
    """
    if whole.number or (whole.size <= room and not whole.cut):
        return whole
    if whole.size <= room:
        return whole if whole.text.endswith(("…", ")")) else shortened(
            whole._replace(text=whole.text + "…", size=whole.size + 1), room
        )
    text = set_cell_size(whole.text, room - 1).rstrip(" ") + "…"
    return Cell(text, cell_len(text), null=whole.null, cut=True)


def padded(shown: Cell, size: int) -> str:
    """Return a cell with blanks, so that it takes so many columns.

    Args:
        shown: the cell.
        size: the columns; of a wider cell nothing is lost.
    """
    blanks = " " * (size - shown.size)
    return blanks + shown.text if shown.number else shown.text + blanks
