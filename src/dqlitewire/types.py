"""Scalars of the protocol: words, text, blobs, and the eight types of value.

Everything is little-endian and takes whole 8-byte words; padding is written as zeros and never looked at.
The `read_*` functions work on `data[pos:end]`, return the value and the position behind it, and own every
test of bounds; the public `encode_*` and `decode_*` stand on them.
"""

from __future__ import annotations

from mmap import mmap
from struct import Struct

from .checks import checked_integer, checked_number, checked_text, checked_text_errors, readable
from .constants import ValueType
from .exceptions import DecodeError, EncodeError
from .limits import MAX_BLOB_SIZE, MAX_TEXT_VALUE_SIZE
from .text import kind_of, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "NULL_CELL_WIDTH",
    "WireInput",
    "WireValue",
    "decode_blob",
    "decode_double",
    "decode_int64",
    "decode_text",
    "decode_uint32",
    "decode_uint64",
    "decode_value",
    "encode_blob",
    "encode_double",
    "encode_int64",
    "encode_text",
    "encode_uint32",
    "encode_uint64",
    "encode_value",
    "pad_to_word",
]

_MAX_BLOB_SIZE = MAX_BLOB_SIZE
_MAX_TEXT_VALUE_SIZE = MAX_TEXT_VALUE_SIZE

WireInput = bool | int | float | str | bytes | bytearray | memoryview | mmap | None
WireValue = bool | int | float | str | bytes | None

NULL_CELL_WIDTH = 8
NULL_CELL = bytes(NULL_CELL_WIDTH)
PADS = tuple(bytes(-n % 8) for n in range(8))  # by length & 7
TEXT_ENDS = tuple(bytes(8 - n) for n in range(8))  # NUL and padding, by length & 7

U32, U64, I64, DOUBLE = Struct("<I"), Struct("<Q"), Struct("<q"), Struct("<d")
_int64, _double, _uint64 = I64.unpack_from, DOUBLE.unpack_from, U64.unpack_from
TYPES_BY_CODE = tuple(ValueType(n) if n in ValueType._value2member_map_ else None for n in range(16))

_INTEGER, _FLOAT, _TEXT, _BLOB = ValueType.INTEGER, ValueType.FLOAT, ValueType.TEXT, ValueType.BLOB
_NULL, _BOOLEAN = ValueType.NULL, ValueType.BOOLEAN
_UNIXTIME, _ISO8601 = ValueType.UNIXTIME, ValueType.ISO8601


def pad_to_word(size: int) -> int:
    """Return how many bytes are missing to the next multiple of 8."""
    return -size % 8


# ---- integers and floats


def encode_uint64(value: int) -> bytes:
    """Encode an unsigned 64-bit integer; a bool is refused."""
    return U64.pack(checked_integer(value, 0, 2**64 - 1, "uint64"))


def encode_int64(value: int) -> bytes:
    """Encode a signed 64-bit integer; a bool is refused."""
    return I64.pack(checked_integer(value, -(2**63), 2**63 - 1, "int64"))


def encode_uint32(value: int) -> bytes:
    """Encode an unsigned 32-bit integer into 4 bytes; a bool is refused."""
    return U32.pack(checked_integer(value, 0, 2**32 - 1, "uint32"))


def encode_double(value: float) -> bytes:
    """Encode a float; an int is refused, since it would change its type on the way."""
    return _pack_float(value, "double")


def _first(data: bytes | bytearray | memoryview, size: int, label: str) -> bytes | memoryview:
    content = readable(data)
    if len(content) < size:
        raise DecodeError(f"got {len(content)} bytes, {size} are needed", path=label, offset=0)
    return content[:size]


def decode_uint64(data: bytes | bytearray | memoryview, *, label: str = "uint64") -> int:
    """Decode the first 8 bytes as an unsigned integer."""
    return int.from_bytes(_first(data, 8, label), "little")


def decode_int64(data: bytes | bytearray | memoryview, *, label: str = "int64") -> int:
    """Decode the first 8 bytes as a signed integer."""
    return int.from_bytes(_first(data, 8, label), "little", signed=True)


def decode_uint32(data: bytes | bytearray | memoryview) -> int:
    """Decode the first 4 bytes as an unsigned integer."""
    return int.from_bytes(_first(data, 4, "uint32"), "little")


def decode_double(data: bytes | bytearray | memoryview, *, label: str = "double") -> float:
    """Decode the first 8 bytes as a float."""
    value: float = DOUBLE.unpack(_first(data, 8, label))[0]
    return value


# ---- text and blobs


def pack_text(value: str, limit: int, path: str) -> bytes:
    """Encode text with its NUL and padding, at most `limit` bytes of UTF-8."""
    try:
        data = (value if type(value) is str else checked_text(value, path)).encode()
    except UnicodeEncodeError as error:
        raise EncodeError(f"lone surrogate at character {error.start}", path=path) from error
    if 0 in data:
        raise EncodeError(f"NUL at byte {data.index(0)}, text cannot hold one", path=path)
    if len(data) > limit:
        raise EncodeError(f"got {len(data)} bytes, at most {limit}", path=path, limit=limit)
    return data + TEXT_ENDS[len(data) & 7]


def read_text(data: bytes | memoryview, pos: int, end: int, limit: int, errors: str) -> tuple[str, int]:
    nul = data.find(0, pos, end) if type(data) is bytes else _find_nul(data, pos, min(end, pos + limit + 1))
    after = pos + ((nul - pos + 8) & -8)
    if not 0 <= nul - pos <= limit or after > end:
        raise _no_text(nul, pos, end, limit)
    try:
        return str(data[pos:nul], "utf-8", errors), after
    except UnicodeDecodeError as error:
        raise DecodeError(f"not UTF-8: {error.reason}", offset=pos + error.start) from error
    except TypeError as error:  # a handler that only encodes, such as "xmlcharrefreplace"
        raise DecodeError(f"not UTF-8, and {errors!r} replaces nothing in reading", offset=pos) from error


def _no_text(nul: int, pos: int, end: int, limit: int) -> DecodeError:
    if (nul if nul >= 0 else end) - pos > limit:
        return DecodeError(f"no NUL within {limit} bytes", offset=pos, limit=limit)
    if nul < 0:
        return DecodeError(f"no NUL in the {end - pos} bytes left", offset=pos)
    return DecodeError("padding is cut off", offset=nul)


def _find_nul(data: bytes | memoryview, pos: int, end: int) -> int:
    size = 256  # a view cannot be searched: look at growing pieces, each copied
    while pos < end:
        at = bytes(data[pos : min(pos + size, end)]).find(0)
        if at >= 0:
            return pos + at
        pos, size = pos + size, size * 2
    return -1


def encode_text(value: str, *, max_size: int | None = None, label: str = "Text") -> bytes:
    """Encode text as UTF-8 with a NUL, padded to whole words.

    Raises:
        EncodeError: not a str, an embedded NUL, a lone surrogate, or more than `max_size` bytes of UTF-8.
    """
    return pack_text(value, 1 << 64 if max_size is None else checked_number("max_size", max_size, 0), label)


def decode_text(
    data: bytes | bytearray | memoryview,
    *,
    max_size: int = MAX_TEXT_VALUE_SIZE,
    label: str = "Text",
    errors: str = "strict",
) -> tuple[str, int]:
    """Decode text up to its NUL; return it with the bytes consumed, padding included.

    Args:
        max_size: bytes of UTF-8 at the most.
        errors: what to do with bytes that are not UTF-8, the name of a codec error handler.

    Raises:
        DecodeError: no NUL, none within `max_size`, bytes that are not UTF-8, or padding cut off.
        ValueError: an unknown error handler.
    """
    handler, content = checked_text_errors(errors, "errors"), readable(data)
    if max_size is not _MAX_TEXT_VALUE_SIZE:
        max_size = checked_number("max_size", max_size, 0)
    try:
        return read_text(content, 0, len(content), max_size, handler)
    except DecodeError as error:
        error.path = label
        raise


def blob_bytes(value: Any, limit: int, path: str) -> bytes:
    """Return what a blob holds; a view must be one of bytes, since a larger item has no one order of them."""
    if not issubclass(type(value), _BYTES_LIKE):
        raise EncodeError(f"got {kind_of(value)}, bytes are needed", path=path)
    try:
        view = memoryview(value)
    except ValueError as error:
        raise EncodeError(f"unreadable {kind_of(value)}: {error}", path=path) from error
    with view:
        if view.format not in ("B", "b", "c"):
            raise EncodeError(f"got memoryview of {shown(view.format)}, allowed B, b or c", path=path)
        if view.nbytes > limit:
            raise EncodeError(f"got {view.nbytes} bytes, at most {limit}", path=path, limit=limit)
        return value if type(value) is bytes else view.tobytes()


_BYTES_LIKE = (bytes, bytearray, memoryview, mmap)


def pack_blob(value: object, limit: int, path: str) -> bytes:
    data = blob_bytes(value, limit, path)
    return b"".join((U64.pack(len(data)), data, PADS[len(data) & 7]))


def read_blob(data: bytes | memoryview, pos: int, end: int, limit: int) -> tuple[bytes, int]:
    if end - pos < 8:
        raise DecodeError(f"got {end - pos} bytes, a length of 8 is needed", offset=pos)
    size = int.from_bytes(data[pos : pos + 8], "little")
    if size > limit:
        raise DecodeError(f"got {size} bytes, at most {limit}", offset=pos, limit=limit)
    start = pos + 8
    after = start + ((size + 7) & -8)
    if after > end:
        raise DecodeError(f"got {size} bytes, {end - start} are left", offset=pos)
    return bytes(data[start : start + size]), after


def _blob_cap(cap: int) -> int:
    return cap if cap is _MAX_BLOB_SIZE else checked_number("max_blob_size", cap, 0)


def encode_blob(value: bytes | bytearray | memoryview | mmap, *, max_blob_size: int = MAX_BLOB_SIZE) -> bytes:
    """Encode bytes behind their length, padded to whole words."""
    return pack_blob(value, _blob_cap(max_blob_size), "Blob")


def decode_blob(
    data: bytes | bytearray | memoryview, *, max_blob_size: int = MAX_BLOB_SIZE
) -> tuple[bytes, int]:
    """Decode a blob; return it with the bytes consumed, length and padding included.

    Raises:
        DecodeError: the length is above `max_blob_size`, or more than there is.
    """
    content, limit = readable(data), _blob_cap(max_blob_size)
    try:
        return read_blob(content, 0, len(content), limit)
    except DecodeError as error:
        error.path = "Blob"
        raise


# ---- values


def read_value(
    code: int, data: bytes | memoryview, pos: int, end: int, max_text: int, max_blob: int, errors: str
) -> tuple[WireValue, int]:
    """Read one value of a row or a parameter tuple: the one reader of cells, oracle of the fast ones."""
    if code == 3 or code == 10:
        return read_text(data, pos, end, max_text, errors)
    if code == 4:
        return read_blob(data, pos, end, max_blob)
    after = pos + 8
    if after > end:
        raise DecodeError(f"got {end - pos} bytes, a value of 8 is needed", offset=pos)
    if code == 1 or code == 9:
        return _int64(data, pos)[0], after
    if code == 2:
        return _double(data, pos)[0], after
    if code == 5:
        return None, after
    if code == 11:
        return _uint64(data, pos)[0] != 0, after
    raise DecodeError(f"value type {shown(code)}, allowed 1 to 5 and 9 to 11", offset=pos)


def infer_type(value: object, path: str = "value") -> ValueType:
    """Return the type a value is sent with where none is given."""
    if value is None:
        return _NULL
    for kinds, value_type in _INFERRED:
        if issubclass(type(value), kinds):
            return value_type
    raise EncodeError(f"got {kind_of(value)}, no wire type holds it", path=path)


_INFERRED: tuple[tuple[type | tuple[type, ...], ValueType], ...] = (
    (bool, _BOOLEAN),
    (int, _INTEGER),
    (float, _FLOAT),
    (str, _TEXT),
    (_BYTES_LIKE, _BLOB),
)


def pack_value(value: object, value_type: ValueType, max_text: int, max_blob: int, path: str) -> bytes:
    """Encode a value as a type: the one writer of cells, and the oracle of the fast ones."""
    packer = _PACKERS.get(value_type)
    if packer is not None:
        return packer(value, path)
    if value_type == _BLOB:
        return pack_blob(value, max_blob, path)
    return pack_text(value, max_text, path)  # type: ignore[arg-type]


def _pack_integer(value: object, path: str) -> bytes:
    return I64.pack(checked_integer(value, -(2**63), 2**63 - 1, path))


def _pack_float(value: object, path: str) -> bytes:
    if not issubclass(type(value), float):
        raise EncodeError(f"got {kind_of(value)}, a float is needed", path=path)
    return DOUBLE.pack(value)


def _pack_null(value: object, path: str) -> bytes:
    if value is not None:
        raise EncodeError(f"got {kind_of(value)}, NULL holds only None", path=path)
    return NULL_CELL


def _pack_boolean(value: Any, path: str) -> bytes:
    if not issubclass(type(value), int) or not 0 <= int.__int__(value) <= 1:
        got = shown(value) if issubclass(type(value), int) else kind_of(value)
        raise EncodeError(f"got {got}, allowed False, True, 0 and 1", path=path)
    return U64.pack(value)


_PACKERS: dict[ValueType, Callable[[object, str], bytes]] = {
    _INTEGER: _pack_integer,
    _UNIXTIME: _pack_integer,
    _FLOAT: _pack_float,
    _NULL: _pack_null,
    _BOOLEAN: _pack_boolean,
}


def encode_value(value: WireInput, value_type: ValueType | None = None) -> tuple[bytes, ValueType]:
    """Encode one value, as the type given or the one its Python type stands for.

    Args:
        value: None, bool, int, float, str, or bytes-like.
        value_type: ISO8601 text must be a date or time that Python's `fromisoformat` reads.

    Returns:
        The bytes, whole words, and the type to announce them with.

    Raises:
        EncodeError: the type cannot hold the value.
    """
    return pack_as(value, value_type)


def pack_as(value: object, value_type: object, path: str = "") -> tuple[bytes, ValueType]:
    """Encode a value by the rules of `encode_value`; errors name the type where no path is known."""
    chosen = infer_type(value, path or "value") if value_type is None else checked_type(value_type, path)
    data = pack_value(value, chosen, MAX_TEXT_VALUE_SIZE, MAX_BLOB_SIZE, path or chosen.name)
    if chosen == _ISO8601:
        _check_iso8601(checked_text(value, path), path or chosen.name)
    return data, chosen


def type_of_code(code: Any) -> ValueType | None:
    """Return the value type that a number stands for, None if it is no number or stands for none."""
    if not issubclass(type(code), int) or type(code) is bool:
        return None
    number = int.__int__(code)
    return TYPES_BY_CODE[number] if 0 <= number < 16 else None


def checked_type(value_type: object, path: str = "value") -> ValueType:
    found = type_of_code(value_type)
    if found is None:
        raise EncodeError(f"value type {shown(value_type)}, allowed 1 to 5 and 9 to 11", path=path or "value")
    return found


def _check_iso8601(text: str, path: str) -> None:
    from datetime import datetime, time

    for parse in (datetime.fromisoformat, time.fromisoformat):
        try:
            parse(text)
        except ValueError:
            continue
        return
    raise EncodeError(f"got {shown(text)}, a date or time is needed", path=path)


def decode_value(
    data: bytes | bytearray | memoryview, value_type: ValueType, *, text_errors: str = "strict"
) -> tuple[WireValue, int]:
    """Decode one value of a type; return it with the bytes consumed.

    Args:
        text_errors: what to do with text that is not UTF-8, the name of a codec error handler.

    Raises:
        DecodeError: an unknown type, or bytes that do not hold one of it.
        ValueError: an unknown error handler.
    """
    handler, content = checked_text_errors(text_errors), readable(data)
    return read_typed(value_type, content, 0, handler, "")


def read_typed(
    value_type: object, data: bytes | memoryview, pos: int, text_errors: str, path: str
) -> tuple[WireValue, int]:
    """Read a value of a type that a caller gave; errors name the type where no path is known."""
    found = type_of_code(value_type)
    if found is None:
        problem = f"value type {shown(value_type)}, allowed 1 to 5 and 9 to 11"
        raise DecodeError(problem, path=path or "value", offset=pos)
    try:
        return read_value(found, data, pos, len(data), MAX_TEXT_VALUE_SIZE, MAX_BLOB_SIZE, text_errors)
    except DecodeError as error:
        error.path = path or found.name
        raise
