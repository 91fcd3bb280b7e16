"""Scalars of the protocol: words, text, blobs, and the eight types of value.

Everything is little-endian and takes whole 8-byte words; padding is written as zeros and never looked at.
The `read_*` functions work on `data[pos:end]`, return the value and the position behind it, and own every
test of bounds; the public `encode_*` and `decode_*` stand on them.
"""

from __future__ import annotations

from mmap import mmap
from struct import Struct

from .constants import ValueType
from .exceptions import DecodeError, EncodeError
from .limits import MAX_BLOB_SIZE, MAX_TEXT_VALUE_SIZE

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


def checked_integer(value: object, low: int, high: int, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise EncodeError(f"got {type(value).__name__}, an integer is needed", path=path)
    if not low <= value <= high:
        raise EncodeError(f"got {value}, allowed {low} to {high}", path=path)
    return int(value)


def _short(data: bytes | memoryview, size: int, label: str) -> DecodeError:
    return DecodeError(f"got {len(data)} bytes, {size} are needed", path=label, offset=0)


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
    if not isinstance(value, float):
        raise EncodeError(f"got {type(value).__name__}, a float is needed", path="double")
    return DOUBLE.pack(value)


def decode_uint64(data: bytes | memoryview, *, label: str = "uint64") -> int:
    """Decode the first 8 bytes as an unsigned integer."""
    if len(data) < 8:
        raise _short(data, 8, label)
    return int.from_bytes(data[:8], "little")


def decode_int64(data: bytes | memoryview, *, label: str = "int64") -> int:
    """Decode the first 8 bytes as a signed integer."""
    if len(data) < 8:
        raise _short(data, 8, label)
    return int.from_bytes(data[:8], "little", signed=True)


def decode_uint32(data: bytes | memoryview) -> int:
    """Decode the first 4 bytes as an unsigned integer."""
    if len(data) < 4:
        raise _short(data, 4, "uint32")
    return int.from_bytes(data[:4], "little")


def decode_double(data: bytes | memoryview, *, label: str = "double") -> float:
    """Decode the first 8 bytes as a float."""
    if len(data) < 8:
        raise _short(data, 8, label)
    value: float = DOUBLE.unpack_from(data)[0]
    return value


# ---- text and blobs


def pack_text(value: str, limit: int, path: str) -> bytes:
    """Encode text with its NUL and padding, at most `limit` bytes of UTF-8."""
    if not isinstance(value, str):
        raise EncodeError(f"got {type(value).__name__}, text is needed", path=path)
    try:
        data = value.encode()
    except UnicodeEncodeError as error:
        raise EncodeError(f"lone surrogate at character {error.start}", path=path) from error
    if 0 in data:
        raise EncodeError(f"NUL at byte {data.index(0)}, text cannot hold one", path=path)
    if len(data) > limit:
        raise EncodeError(f"got {len(data)} bytes, at most {limit}", path=path, limit=limit)
    return data + TEXT_ENDS[len(data) & 7]


def read_text(data: bytes | memoryview, pos: int, end: int, limit: int, errors: str) -> tuple[str, int]:
    nul = data.find(0, pos, end) if type(data) is bytes else find_nul(data, pos, min(end, pos + limit + 1))
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


def find_nul(data: bytes | memoryview, pos: int, end: int) -> int:
    """Return the position of the first NUL in data[pos:end], -1 if there is none."""
    if isinstance(data, (bytes, bytearray)):
        return data.find(0, pos, end)
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
    return pack_text(value, 1 << 64 if max_size is None else max_size, label)


def decode_text(
    data: bytes | memoryview,
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
    """
    try:
        return read_text(data, 0, len(data), max_size, errors)
    except DecodeError as error:
        error.path = label
        raise
    except LookupError as error:
        raise ValueError(f"errors is {errors!r}, the name of a codec error handler") from error


def blob_bytes(value: Any, limit: int, path: str) -> bytes:
    content = value
    if isinstance(value, bytes):
        size = len(value)
    elif isinstance(value, memoryview):
        try:
            size, view_format = value.nbytes, value.format
        except ValueError as error:
            raise EncodeError(f"unreadable memoryview: {error}", path=path) from error
        if view_format not in ("B", "b", "c"):
            raise EncodeError(f"got memoryview of {view_format!r}, allowed B, b or c", path=path)
    elif isinstance(value, (bytearray, mmap)):
        try:
            size = len(value)
        except ValueError as error:
            raise EncodeError(f"unreadable {type(value).__name__}: {error}", path=path) from error
    else:
        raise EncodeError(f"got {type(value).__name__}, bytes are needed", path=path)
    if size > limit:
        raise EncodeError(f"got {size} bytes, at most {limit}", path=path, limit=limit)
    return content[:] if isinstance(value, mmap) else bytes(content)


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


def encode_blob(value: bytes | bytearray | memoryview | mmap, *, max_blob_size: int = MAX_BLOB_SIZE) -> bytes:
    """Encode bytes behind their length, padded to whole words."""
    return pack_blob(value, max_blob_size, "Blob")


def decode_blob(data: bytes | memoryview, *, max_blob_size: int = MAX_BLOB_SIZE) -> tuple[bytes, int]:
    """Decode a blob; return it with the bytes consumed, length and padding included.

    Raises:
        DecodeError: the length is above `max_blob_size`, or more than there is.
    """
    try:
        return read_blob(data, 0, len(data), max_blob_size)
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
    raise DecodeError(f"value type {code}, allowed 1 to 5 and 9 to 11", offset=pos)


def infer_type(value: object, path: str = "value") -> ValueType:
    """Return the type a value is sent with where none is given."""
    if value is None:
        return _NULL
    if isinstance(value, bool):
        return _BOOLEAN
    for kinds, value_type in _INFERRED:
        if isinstance(value, kinds):
            return value_type
    raise EncodeError(f"got {type(value).__name__}, no wire type holds it", path=path)


_INFERRED: tuple[tuple[type | tuple[type, ...], ValueType], ...] = (
    (int, _INTEGER),
    (float, _FLOAT),
    (str, _TEXT),
    ((bytes, bytearray, memoryview, mmap), _BLOB),
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
    if not isinstance(value, float):
        raise EncodeError(f"got {type(value).__name__}, a float is needed", path=path)
    return DOUBLE.pack(value)


def _pack_null(value: object, path: str) -> bytes:
    if value is not None:
        raise EncodeError(f"got {type(value).__name__}, NULL holds only None", path=path)
    return NULL_CELL


def _pack_boolean(value: object, path: str) -> bytes:
    if not isinstance(value, int) or value not in (0, 1):
        shown = value if isinstance(value, int) else type(value).__name__
        raise EncodeError(f"got {shown}, allowed False, True, 0 and 1", path=path)
    return U64.pack(int(value))


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
    chosen = infer_type(value) if value_type is None else checked_type(value_type)
    data = pack_value(value, chosen, MAX_TEXT_VALUE_SIZE, MAX_BLOB_SIZE, chosen.name)
    if chosen == _ISO8601:
        _check_iso8601(str(value))
    return data, chosen


def checked_type(value_type: object) -> ValueType:
    if isinstance(value_type, int) and not isinstance(value_type, bool) and 0 <= value_type < 16:
        found = TYPES_BY_CODE[value_type]
        if found is not None:
            return found
    raise EncodeError(f"value type {value_type!r}, allowed 1 to 5 and 9 to 11")


def _check_iso8601(text: str) -> None:
    from datetime import datetime, time

    for parse in (datetime.fromisoformat, time.fromisoformat):
        try:
            parse(text)
        except ValueError:
            continue
        return
    raise EncodeError(f"got {text[:40]!r}, a date or time is needed", path="ISO8601")


def decode_value(
    data: bytes | memoryview, value_type: ValueType, *, text_errors: str = "strict"
) -> tuple[WireValue, int]:
    """Decode one value of a type; return it with the bytes consumed.

    Args:
        text_errors: what to do with text that is not UTF-8, the name of a codec error handler.

    Raises:
        DecodeError: an unknown type, or bytes that do not hold one of it.
    """
    try:
        code = int(value_type)
        return read_value(code, data, 0, len(data), MAX_TEXT_VALUE_SIZE, MAX_BLOB_SIZE, text_errors)
    except DecodeError as error:
        error.path = getattr(value_type, "name", "value")
        raise
    except (TypeError, ValueError) as error:
        raise DecodeError(f"value type {value_type!r}, allowed 1 to 5 and 9 to 11") from error
    except LookupError as error:
        raise ValueError(f"text_errors is {text_errors!r}, the name of a codec error handler") from error
