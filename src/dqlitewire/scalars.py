"""Readers and writers of one word, one text, one blob, one value: the plain ones, with every bound tested.

Everything is little-endian and takes whole 8-byte words. Padding is written as zeros and never looked at:
servers leave old bytes there (dqlite src/lib/serialize.h), so a reader that tested it would refuse them.

`read_*` functions work on `data[pos:end]` and return the value and the position behind it; `pack_*` functions
return whole words. They raise `DecodeError` with an offset, `EncodeError` with a path. The fast readers and
writers of `rows/` are held against these in the tests, and hand over to them when in doubt.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from .checks import checked_integer, checked_text, is_mapped_file
from .constants import ValueType
from .exceptions import DecodeError, EncodeError
from .text import kind_of, shown
from .values import BLOB, ENCODED_AS, INFERRED, KIND_OF, PACK, TEXT, TYPES_BY_CODE, UNPACK, allowed_codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .limits import Options
    from .values import Kind, WireValue

__all__ = [
    "DOUBLE",
    "I64",
    "NULL_CELL",
    "PADS",
    "TEXT_ENDS",
    "U32",
    "U64",
    "blob_bytes",
    "checked_type",
    "infer_type",
    "pack_blob",
    "pack_text",
    "pack_value",
    "read_blob",
    "read_text",
    "read_value",
    "text_size",
    "type_of_code",
]

NULL_CELL = bytes(8)
PADS = tuple(bytes(-n % 8) for n in range(8))  # by length & 7
TEXT_ENDS = tuple(bytes(8 - n) for n in range(8))  # NUL and padding, by length & 7

U32, U64, I64, DOUBLE = Struct("<I"), Struct("<Q"), Struct("<q"), Struct("<d")
_int64, _double, _uint64 = I64.unpack_from, DOUBLE.unpack_from, U64.unpack_from


# ---- text


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


def text_size(text: str) -> int:
    """Return how many bytes a text takes, its NUL and padding included; lone surrogates count as well."""
    return (len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))) + 8 & -8


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


# ---- blobs


def blob_bytes(value: Any, limit: int, path: str) -> bytes:
    """Return what a blob holds; a view must be one of bytes, since a larger item has no one order of them."""
    if not issubclass(type(value), _BYTES_LIKE) and not _is_mapped_file(value):
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


def _is_mapped_file(value: object) -> bool:
    return is_mapped_file(type(value))


_BYTES_LIKE = (bytes, bytearray, memoryview)


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


# ---- values


def read_value(
    code: int, data: bytes | memoryview, pos: int, end: int, options: Options
) -> tuple[WireValue, int]:
    """Read one value of a row or a parameter tuple: the one reader of cells, oracle of the fast ones."""
    form = ENCODED_AS[code]
    if form == 3:
        return read_text(data, pos, end, options.max_text_value_size, options.text_errors)
    if form == 4:
        return read_blob(data, pos, end, options.max_blob_size)
    after = pos + 8
    if after > end:
        raise DecodeError(f"got {end - pos} bytes, a value of 8 is needed", offset=pos)
    if form == 1:
        return _int64(data, pos)[0], after
    if form == 2:
        return _double(data, pos)[0], after
    if form == 5:
        return None, after
    if form == 11:
        return _uint64(data, pos)[0] != 0, after
    if form in UNPACK:
        value: WireValue = UNPACK[form](data, pos)[0]
        return value, after
    raise DecodeError(f"value type {shown(code)}, allowed {allowed_codes()}", offset=pos)


def infer_type(value: object, path: str = "value") -> ValueType:
    """Return the type a value is sent with where none is given."""
    given = type(value)
    for python, kind in INFERRED:
        if issubclass(given, python):
            return kind.code
    if is_mapped_file(given):
        return ValueType.BLOB
    raise EncodeError(f"got {kind_of(value)}, no wire type holds it", path=path)


def pack_value(value: object, value_type: ValueType, options: Options, path: str) -> bytes:
    """Encode a value as a type: the one writer of cells, and the oracle of the fast ones."""
    kind = KIND_OF[value_type]
    if kind.form == TEXT:
        return pack_text(value, getattr(options, kind.cap), path)  # type: ignore[arg-type]
    if kind.form == BLOB:
        return pack_blob(value, getattr(options, kind.cap), path)
    return _PACKERS[kind.python](kind, value, path)


def _pack_integer(kind: Kind, value: object, path: str) -> bytes:
    return _pack_word(kind, checked_integer(value, *kind.bounds, path), path)


def _pack_float(kind: Kind, value: Any, path: str) -> bytes:
    if not issubclass(type(value), float):
        raise EncodeError(f"got {kind_of(value)}, a float is needed", path=path)
    return _pack_word(kind, value, path)


def _pack_none(_kind: Kind, value: object, path: str) -> bytes:
    if value is not None:
        raise EncodeError(f"got {kind_of(value)}, NULL holds only None", path=path)
    return NULL_CELL


def _pack_bool(kind: Kind, value: Any, path: str) -> bytes:
    if not issubclass(type(value), int) or not 0 <= int.__int__(value) <= 1:
        got = shown(value) if issubclass(type(value), int) else kind_of(value)
        raise EncodeError(f"got {got}, allowed False, True, 0 and 1", path=path)
    return _pack_word(kind, value, path)


def _pack_word(kind: Kind, value: Any, path: str) -> bytes:
    try:
        return PACK[kind.code](value)
    except (OverflowError, struct_error) as error:  # a float that four bytes do not hold, for one
        raise EncodeError(f"got {shown(value)}, {kind.name} cannot hold it", path=path) from error


_PACKERS: dict[type, Callable[[Kind, Any, str], bytes]] = {
    int: _pack_integer,
    float: _pack_float,
    bool: _pack_bool,
    type(None): _pack_none,
}


def type_of_code(code: Any) -> ValueType | None:
    """Return the value type that a number stands for, None if it is no number or stands for none."""
    if not issubclass(type(code), int) or type(code) is bool:
        return None
    number = int.__int__(code)
    return TYPES_BY_CODE[number] if 0 <= number < 16 else None


def checked_type(value_type: object, path: str = "value") -> ValueType:
    found = type_of_code(value_type)
    if found is None:
        problem = f"value type {shown(value_type)}, allowed {allowed_codes()}"
        raise EncodeError(problem, path=path or "value")
    return found
