"""The body of a ROWS frame, read plainly: cell by cell, with every bound and cap tested.

    | count of columns | name 0 | name 1 ... | types of row 0 | values ... | types of row 1 ... | marker |

This is the reader that words every error, and the oracle of the fast ones: the native one where it is in use
(`dqlitewire.speedups`), else the one in `tiers`. The seam is one call: `speedups.read_rows` or `read_certain`
returns rows that are certainly right, or None. None says nothing about the frame but that the fast reader is
not sure: a text may not be UTF-8, a marker may be missing, or a value may be of a size that it does not look
at. Then the same bytes are read again from the start, here. Caps are tested before the call, by what the
frame's size allows at the most, so that no fast reader knows of any.
"""

from __future__ import annotations

from .. import speedups
from ..constants import HEADER_SIZE, WORD_SIZE
from ..exceptions import DecodeError
from ..header import PAGE_SIZE, ROW_DONE, ROW_PART, row_header_size
from ..scalars import read_text, read_value, text_size
from .row_types import RowTypes, read_row_types
from .tiers import read_certain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..limits import Options
    from ..values import WireValue
    from .row_types import Row, Types

__all__ = [
    "PlainRows",
    "column_count",
    "column_names",
    "head_of",
    "head_size",
    "read_rows",
    "read_rows_plainly",
    "row_less_part_is_final",
]

_NAMES_KEPT = 4096  # bytes of a frame's beginning: larger ones are read again in each frame


def read_rows(frame: bytes, end: int, options: Options) -> tuple[list[str], RowTypes, list[Row], bool]:
    """Decode a ROWS frame: column names, types, rows, and whether more frames follow.

    Args:
        frame: header and body, and perhaps zeros behind them.
        end: where the body ends.
        options: caps, and what to do with text that is not UTF-8.
    """
    names, pos = read_names(frame, end, options)
    count = len(names)
    smallest = (count + 15) // 16 * 8 + 8 * count  # of a row: row_header_size, and a word a column
    if count and (end - pos) // smallest <= options.max_rows and end <= options.max_value_size:
        native = speedups.read_rows
        if native is None:
            found = read_certain(frame, pos, end, count)
            if found is not None:
                types, rows, more = found
                return names, types, rows, more
        else:
            certain = native(frame, pos, end, count)
            if certain is not None:
                runs, rows, more = certain
                return names, RowTypes(runs, len(rows)), rows, more
    types, rows, more = read_rows_plainly(frame, pos, end, count, options)
    return names, types, rows, more


def head_of(names: list[str], options: Options) -> tuple[bytes, int]:
    """Return these names as bytes, and the size of a frame with them up to which no cap needs counting.

    Empty and 0 where the names are not those that were read last.
    """
    head, known = options.last_names
    if not names or names != known:
        return b"", 0
    count = len(names)
    smallest = row_header_size(count) + 8 * count
    return head, min(options.max_value_size, 7 + len(head) + (options.max_rows + 1) * smallest)


# ---- column names


def read_names(frame: bytes, end: int, options: Options) -> tuple[list[str], int]:
    """Read the column names; return them and the position behind them.

    Every frame of a result repeats its names. The options of a decoder remember those of the frame before,
    as bytes and as strings. They are one tuple that is replaced whole, and what is handed out is a copy, so
    that threads may share options.
    """
    head, names = options.last_names
    pos = 8 + len(head)
    if head and frame.startswith(head, 8) and pos + 8 <= end:
        return names.copy(), pos
    found: list[str] = []
    pos = 16
    for name, after in column_names(frame, column_count(frame, end, options), end, options):
        found.append(name)
        pos = after
    if pos < _NAMES_KEPT:
        options.last_names = frame[8:pos], found.copy()
    return found, pos


def column_count(frame: bytes, end: int, options: Options) -> int:
    """Read the number of columns; it is allowed, and there may be as many names."""
    left, limit = end - 8, options.max_column_count
    if left < 16:
        raise DecodeError(f"got {left} bytes, 16 are needed", path="RowsResponse", offset=8)
    count = int.from_bytes(frame[8:16], "little")
    path = "RowsResponse.column_names"
    if count > limit:
        raise DecodeError(f"got {count}, at most {limit}", path=path, offset=8, limit=limit)
    if count * 8 + 8 > left - 8:
        raise DecodeError(f"got {count}, {left - 8} bytes are left", path=path, offset=8)
    return count


def column_names(frame: bytes, count: int, end: int, options: Options) -> Iterator[tuple[str, int]]:
    """Read the names that stand before the rows; yield each with the position behind it."""
    pos = 16
    for i in range(count):
        try:
            name, pos = read_text(frame, pos, end, options.max_column_name_size, options.text_errors)
        except DecodeError as error:
            error.path = f"RowsResponse.column_names[{i}]"
            raise
        yield name, pos


def head_size(names: Iterable[str]) -> int:
    """Return the bytes of a ROWS frame with these column names up to its first row."""
    return HEADER_SIZE + WORD_SIZE + sum(map(text_size, names))


def row_less_part_is_final(names: list[str]) -> bool:
    """Tell whether names fill a page: no server then gets to a row (dqlite src/query.c: query__batch)."""
    return head_size(names) >= PAGE_SIZE


# ---- rows


class PlainRows:
    """Rows read cell by cell, one after the other, up to the marker that must end the frame.

    Attributes:
        start: where the row read last begins, or the marker.
        pos: where reading goes on; after an error, behind the last part that could be read.
        types: those of the row read last.
        more: whether the marker says that more frames follow.
    """

    def __init__(self, frame: bytes, pos: int, end: int, count: int, options: Options) -> None:
        self._frame, self._end = frame, end
        self._count, self._options = count, options
        self._read = 0
        self._header = b""
        self._codes: list[int] = []
        self.types: Types = ()
        self.start: int = pos
        self.pos: int = pos
        self.more: bool = False

    def next(self) -> Row | None:
        """Read a row; None at the marker."""
        frame, pos, end = self._frame, self.pos, self._end
        self.start = pos
        word = frame[pos : min(pos + 8, end)]
        if word == ROW_DONE or word == ROW_PART:
            self.pos, self.more = pos + 8, word == ROW_PART
            if pos + 8 != end:
                problem = f"got {end - pos - 8} bytes behind the marker"
                raise DecodeError(problem, path="RowsResponse", offset=pos + 8)
            return None
        path, size = f"RowsResponse.rows[{self._read}]", row_header_size(self._count)
        if not self._count or pos + size > end:
            raise DecodeError("no marker at the end of the rows", path=path, offset=pos)
        if self._read >= self._options.max_rows:
            limit = self._options.max_rows
            raise DecodeError(f"got more than {limit} rows", path=path, offset=pos, limit=limit)
        header = frame[pos : pos + size]
        if header != self._header:
            self.types = read_row_types(header, self._count, pos, path)
            self._codes = list(map(int, self.types))  # plain integers: an enum's members compare slowly
            self._header = header
        row = self._cells(pos + size, path)
        self._read += 1
        return row

    def _cells(self, pos: int, path: str) -> Row:
        frame, end, options = self._frame, self._end, self._options
        values: list[WireValue] = []
        try:
            for code in self._codes:
                value, pos = read_value(code, frame, pos, end, options)
                values.append(value)
        except DecodeError as error:
            error.path = f"{path}[{len(values)}]"
            raise
        finally:
            self.pos = pos
        return tuple(values)


def read_rows_plainly(
    frame: bytes, pos: int, end: int, count: int, options: Options
) -> tuple[RowTypes, list[Row], bool]:
    """Decode rows cell by cell up to the marker that must end the frame."""
    rows: list[Row] = []
    runs: list[tuple[int, Types]] = []
    plain = PlainRows(frame, pos, end, count, options)
    while (row := plain.next()) is not None:
        if not runs or runs[-1][1] != plain.types:
            runs.append((len(rows), plain.types))
        rows.append(row)
    return RowTypes(runs, len(rows)), rows, plain.more
