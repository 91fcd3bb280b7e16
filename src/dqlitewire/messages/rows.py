"""ROWS: one frame of a result. Its body is read and written by `dqlitewire.rows`."""

from __future__ import annotations

from ..checks import checked_items, checked_rows, checked_text_errors
from ..constants import ResponseType, ValueType
from ..declare.cursor import Cursor
from ..declare.declared import checked_schema, frame_around, slots_of
from ..declare.fields import ByHand, field
from ..limits import DEFAULT_MAX_ROWS, Options
from ..rows.read import RowTypes, read_rows
from ..rows.write import write_rows
from ..types import WireValue
from .base import Response, framed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RowsResponse"]


class Names(ByHand):
    """The number of columns, and their names."""

    __slots__ = ()
    kind, smallest, largest = "names", 8, None


class Types(ByHand):
    """The types in front of each row."""

    __slots__ = ()
    kind, smallest, largest = "types", 0, None


class Rows(ByHand):
    """The values of each row."""

    __slots__ = ()
    kind, smallest, largest = "rows", 0, None


class Marker(ByHand):
    """The word behind the last row."""

    __slots__ = ()
    kind, smallest, largest = "marker", 8, 8


class RowsResponse(Response, code=ResponseType.ROWS):
    """One frame of a result: column names, rows, and whether more frames follow.

    Args:
        column_names: repeated in every frame.
        column_types: types of the first row; on encoding those of every row, unless `row_types` is given.
        row_types: types of each row, which may change from row to row.
        rows: tuples of values.
        has_more: the frame ends with the PART marker.
    """

    column_names: list[str] = field(Names, default=())
    column_types: list[ValueType] = field(Types, default=())
    row_types: Sequence[tuple[ValueType, ...]] = field(Types, default=())
    rows: list[tuple[WireValue, ...]] = field(Rows, default=())
    has_more: bool = field(Marker, default=False)

    DEFAULT_MAX_ROWS = DEFAULT_MAX_ROWS

    def __init__(
        self,
        column_names: Sequence[str] = (),
        column_types: Sequence[ValueType] = (),
        row_types: Sequence[Sequence[ValueType]] = (),
        rows: Sequence[Sequence[WireValue]] = (),
        has_more: bool = False,
    ) -> None:
        path = "RowsResponse"
        known = type(row_types) is RowTypes
        values = (
            checked_items(column_names, f"{path}.column_names"),
            checked_items(column_types, f"{path}.column_types"),
            row_types if known else RowTypes.of(row_types, f"{path}.row_types"),
            checked_rows(rows, f"{path}.rows"),
            bool(has_more),
        )
        for name, value in zip(slots_of(RowsResponse), values, strict=True):
            object.__setattr__(self, name, value)

    def _frame(self, options: Options) -> bytes:
        parts = write_rows(self, options)
        return framed(ResponseType.ROWS, parts)

    @classmethod
    def decode_body(
        cls,
        data: bytes,
        schema: int = 0,
        max_rows: int | None = DEFAULT_MAX_ROWS,
        *,
        text_errors: str = "strict",
    ) -> RowsResponse:
        """Decode a body.

        Args:
            max_rows: rows at the most, None for any number.
            text_errors: what to do with text that is not UTF-8, the name of a codec error handler.

        Raises:
            DecodeError: a body that is not one of ROWS.
            ValueError: a cap out of range, or an unknown error handler.
        """
        options = Options(text_errors=checked_text_errors(text_errors), max_rows=max_rows)
        checked_schema(cls, schema)
        frame = frame_around(data)
        return read_rows_response(frame, len(frame), options)

    @classmethod
    def _read(cls, cursor: Cursor) -> RowsResponse:
        message = cls._read_frame(cursor.data, cursor.end, cursor.options)
        cursor.pos = cursor.end
        return message

    @staticmethod
    def _read_frame(frame: bytes, end: int, options: Options) -> RowsResponse:
        return read_rows_response(frame, end, options)


def read_rows_response(frame: bytes, end: int, options: Options) -> RowsResponse:
    names, types, rows, more = read_rows(frame, end, options)
    message: RowsResponse = _new(RowsResponse)
    _set_names(message, names)
    _set_types(message, list(types.first))
    _set_row_types(message, types)
    _set_rows(message, rows)
    _set_more(message, more)
    return message


_new = object.__new__
_set_names, _set_types, _set_row_types, _set_rows, _set_more = (
    RowsResponse.__dict__[name].__set__ for name in slots_of(RowsResponse)
)
