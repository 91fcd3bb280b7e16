"""Parameter tuples and row tuples, encoded and decoded one at a time.

These are the published functions; they check their arguments and stand on the plain readers and writers in
`rows`.

A parameter tuple is a count, a type byte for each value, zeros to the next word, then the values. The count
takes one byte in schema 0 and four in schema 1 (dqlite src/tuple.h: TUPLE__PARAMS, TUPLE__PARAMS32):

    schema 0  | 2 | INTEGER | TEXT | 0 0 0 0 0 | value 0 | value 1 ...
    schema 1  | 2  0  0  0 | INTEGER | TEXT | 0 0 | value 0 | value 1 ...

A row is a type nibble for each column, the first in the low half of the first byte, zeros to the next word,
then the values (TUPLE__ROW). Instead of a row there may be a marker, a word that ends the rows of a frame:

    INTEGER, TEXT, FLOAT  | 31 02 00 00 00 00 00 00 | value 0 | value 1 | value 2
    marker                | ff ff ff ff ff ff ff ff |, or ee in place of each ff where another frame follows

Words are counted from the beginning of the body, so a tuple in the middle of one may have more padding
behind its types than one at its start: that is what the offsets in this module are for.
"""

from __future__ import annotations

from enum import Enum

from .checks import (
    checked_items,
    checked_number,
    checked_option,
    checked_text_errors,
    is_sequence,
    readable,
)
from .constants import ValueType
from .exceptions import DecodeError, EncodeError
from .header import ROW_DONE, ROW_PART, row_header_size
from .limits import DEFAULT_OPTIONS, MAX_PARAM_COUNT
from .rows.params import check_params_shape, params_header, read_params
from .rows.row_types import read_row_types, row_header
from .scalars import checked_type
from .text import kind_of, shown
from .types import pack_as, read_typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .types import WireInput
    from .values import WireValue

__all__ = [
    "RowMarker",
    "decode_params_tuple",
    "decode_row_header",
    "decode_row_values",
    "encode_params_tuple",
    "encode_row_header",
    "encode_row_values",
]

# A private name that published packages import.
_MAX_PARAM_COUNT = MAX_PARAM_COUNT


class RowMarker(Enum):
    """What stands behind the last row of a frame."""

    DONE = "done"
    PART = "part"


# ---- parameters


def encode_params_tuple(
    params: Sequence[WireInput],
    schema: int = 0,
    buffer_offset: int = 0,
    *,
    emit_empty_header: bool = False,
) -> bytes:
    """Encode a parameter tuple; without parameters, nothing.

    Args:
        params: each sent as the type its Python type stands for.
        schema: 0 for at most 255 values, 1 for more.
        buffer_offset: where in the body the tuple begins; its header is padded to a word counted from there.
        emit_empty_header: write a zero word where there are no parameters.

    Raises:
        EncodeError: an unknown schema, too many values, or a value no type holds.
    """
    shift = checked_number("buffer_offset", buffer_offset, 0)
    given = checked_items(params, "params")
    chosen = check_params_shape(len(given), schema, MAX_PARAM_COUNT, "params")
    if not given:
        return bytes(8) if emit_empty_header else b""
    values: list[bytes] = []
    types: list[ValueType] = []
    for i, value in enumerate(given):
        data, value_type = pack_as(value, None, f"params[{i}]")
        values.append(data)
        types.append(value_type)
    return params_header(types, chosen, shift) + b"".join(values)


def decode_params_tuple(
    data: bytes | bytearray | memoryview,
    count: int | None = None,
    schema: int = 0,
    buffer_offset: int = 0,
) -> tuple[list[WireValue], int]:
    """Decode a parameter tuple (dqlite src/tuple.c: tuple_decoder__init).

    Args:
        data: begins with the count, or behind it.
        count: number of values, if `data` begins behind the count.
        schema: 0 for a count of one byte, 1 for one of four.
        buffer_offset: where in the body `data` begins.

    Returns:
        The values, and the bytes consumed.

    Raises:
        DecodeError: bytes that are no parameter tuple, or too many values.
        ValueError: a schema other than 0 and 1, a negative count or offset.
    """
    chosen = checked_option("schema", schema, (0, 1))
    shift = checked_number("buffer_offset", buffer_offset, 0)
    known = None if count is None else checked_number("count", count, 0)
    content = readable(data)
    size = len(content)
    if size < 8 and (known == 0 or not (size or known)):
        return [], 0
    if size < 8:
        raise DecodeError(f"got {size} bytes, a header of 8 is needed", path="params", offset=0)
    return read_params(content, 0, size, chosen, DEFAULT_OPTIONS, "params", known, shift)


# ---- rows


def encode_row_header(types: Sequence[ValueType | int]) -> bytes:
    """Encode the types of a row as nibbles, padded to whole words.

    Args:
        types: one for each column.

    Raises:
        EncodeError: a type that does not exist.
    """
    given = checked_items(types, "types")
    return row_header([checked_type(code, f"types[{i}]") for i, code in enumerate(given)])


def decode_row_header(
    data: bytes | bytearray | memoryview, column_count: int
) -> tuple[list[ValueType] | RowMarker, int]:
    """Decode the types of a row, or the marker that stands in place of a row.

    Args:
        data: begins with the row.
        column_count: columns of the result.

    Returns:
        The types or the marker, and the bytes consumed.

    Raises:
        DecodeError: a type that does not exist (a torn marker has one), or too few bytes.
        ValueError: a negative column count.
    """
    count = checked_number("column_count", column_count, 0)
    content = readable(data)
    first = bytes(content[:8])
    if first == ROW_DONE:
        return RowMarker.DONE, 8
    if first == ROW_PART:
        return RowMarker.PART, 8
    size = row_header_size(count)
    if len(content) < size:
        problem = f"got {len(content)} bytes, a header of {shown(size)} is needed"
        raise DecodeError(problem, path="row", offset=0)
    return list(read_row_types(bytes(content[:size]), count, 0, "row")), size


def encode_row_values(values: Sequence[WireInput], types: Sequence[ValueType]) -> bytes:
    """Encode the values of a row, each as its type.

    Args:
        values: one for each column.
        types: as many.

    Raises:
        EncodeError: as many values as types are needed, and each type must hold its value.
    """
    row, codes = checked_items(values, "row"), checked_items(types, "types")
    if len(row) != len(codes):
        raise EncodeError(f"got {len(row)} values, {len(codes)} types", path="row")
    found = [checked_type(code, f"types[{i}]") for i, code in enumerate(codes)]
    return b"".join(pack_as(value, found[i], f"row[{i}]")[0] for i, value in enumerate(row))


def decode_row_values(
    data: bytes | bytearray | memoryview, types: Iterable[ValueType], *, text_errors: str = "strict"
) -> tuple[list[WireValue], int]:
    """Decode the values of a row.

    Args:
        data: begins behind the row's types.
        types: one for each column.
        text_errors: what to do with text that is not UTF-8, the name of a codec error handler.

    Returns:
        The values, and the bytes consumed.

    Raises:
        DecodeError: bytes that do not hold a value of each type, or an unknown type.
        ValueError: an unknown error handler.
        TypeError: `types` is no sequence.
    """
    handler, content = checked_text_errors(text_errors), readable(data)
    if not is_sequence(type(types)):
        raise TypeError(f"types is {kind_of(types)}, a sequence is needed")
    values: list[WireValue] = []
    pos = 0
    for i, code in enumerate(types):
        value, pos = read_typed(code, content, pos, handler, f"row[{i}]")
        values.append(value)
    return values, pos
