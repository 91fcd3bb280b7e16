"""Scalars of the protocol: words, text, blobs, and values, encoded and decoded one at a time.

These are the published functions; they check their arguments and stand on the readers and writers of
`scalars`. Everything is little-endian and takes whole 8-byte words.
"""

from __future__ import annotations

from mmap import mmap

from .checks import checked_integer, checked_number, checked_text, checked_text_errors, readable
from .constants import ValueType
from .exceptions import DecodeError, EncodeError
from .limits import DEFAULT_OPTIONS, MAX_BLOB_SIZE, MAX_TEXT_VALUE_SIZE, Options
from .scalars import (
    DOUBLE,
    I64,
    U32,
    U64,
    checked_type,
    infer_type,
    pack_blob,
    pack_text,
    pack_value,
    read_blob,
    read_text,
    read_value,
    type_of_code,
)
from .text import shown
from .values import WireValue, allowed_codes

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

# Private names that published packages import.
_MAX_BLOB_SIZE = MAX_BLOB_SIZE
_MAX_TEXT_VALUE_SIZE = MAX_TEXT_VALUE_SIZE

WireInput = bool | int | float | str | bytes | bytearray | memoryview | mmap | None

NULL_CELL_WIDTH = 8


def pad_to_word(size: int) -> int:
    """Return how many bytes are missing to the next multiple of 8.

    Args:
        size: a number of bytes.
    """
    return -size % 8


# ---- integers and floats


def encode_uint64(value: int) -> bytes:
    """Encode an unsigned 64-bit integer into 8 bytes.

    Args:
        value: 0 to 2**64 - 1.

    Raises:
        EncodeError: no integer (a bool is none), or out of range.
    """
    return U64.pack(checked_integer(value, 0, 2**64 - 1, "uint64"))


def encode_int64(value: int) -> bytes:
    """Encode a signed 64-bit integer into 8 bytes.

    Args:
        value: -2**63 to 2**63 - 1.

    Raises:
        EncodeError: no integer (a bool is none), or out of range.
    """
    return I64.pack(checked_integer(value, -(2**63), 2**63 - 1, "int64"))


def encode_uint32(value: int) -> bytes:
    """Encode an unsigned 32-bit integer into 4 bytes.

    Args:
        value: 0 to 2**32 - 1.

    Raises:
        EncodeError: no integer (a bool is none), or out of range.
    """
    return U32.pack(checked_integer(value, 0, 2**32 - 1, "uint32"))


def encode_double(value: float) -> bytes:
    """Encode a float into 8 bytes.

    Args:
        value: the float; an int is refused, since it would come back as another type.

    Raises:
        EncodeError: it is no float.
    """
    return pack_value(value, ValueType.FLOAT, DEFAULT_OPTIONS, "double")


def _first(data: bytes | bytearray | memoryview, size: int, label: str) -> bytes | memoryview:
    content = readable(data)
    if len(content) < size:
        raise DecodeError(f"got {len(content)} bytes, {size} are needed", path=label, offset=0)
    return content[:size]


def decode_uint64(data: bytes | bytearray | memoryview, *, label: str = "uint64") -> int:
    """Decode the first 8 bytes as an unsigned integer.

    Args:
        data: at least 8 bytes.
        label: what an error calls the value.

    Raises:
        DecodeError: fewer bytes.
    """
    return int.from_bytes(_first(data, 8, label), "little")


def decode_int64(data: bytes | bytearray | memoryview, *, label: str = "int64") -> int:
    """Decode the first 8 bytes as a signed integer.

    Args:
        data: at least 8 bytes.
        label: what an error calls the value.

    Raises:
        DecodeError: fewer bytes.
    """
    return int.from_bytes(_first(data, 8, label), "little", signed=True)


def decode_uint32(data: bytes | bytearray | memoryview) -> int:
    """Decode the first 4 bytes as an unsigned integer.

    Args:
        data: at least 4 bytes.

    Raises:
        DecodeError: fewer bytes.
    """
    return int.from_bytes(_first(data, 4, "uint32"), "little")


def decode_double(data: bytes | bytearray | memoryview, *, label: str = "double") -> float:
    """Decode the first 8 bytes as a float.

    Args:
        data: at least 8 bytes.
        label: what an error calls the value.

    Raises:
        DecodeError: fewer bytes.
    """
    value: float = DOUBLE.unpack(_first(data, 8, label))[0]
    return value


# ---- text and blobs


def encode_text(value: str, *, max_size: int | None = None, label: str = "Text") -> bytes:
    """Encode text as UTF-8 with a NUL, padded to whole words.

    Args:
        value: the text.
        max_size: bytes of UTF-8 at the most, None for any number.
        label: what an error calls the text.

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
    """Decode text up to its NUL.

    Args:
        data: begins with the text.
        max_size: bytes of UTF-8 at the most.
        label: what an error calls the text.
        errors: what to do with bytes that are not UTF-8, the name of a codec error handler.

    Returns:
        The text, and the bytes consumed, padding included.

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


def _blob_cap(cap: int) -> int:
    return cap if cap is _MAX_BLOB_SIZE else checked_number("max_blob_size", cap, 0)


def encode_blob(value: bytes | bytearray | memoryview | mmap, *, max_blob_size: int = MAX_BLOB_SIZE) -> bytes:
    """Encode bytes behind their length, padded to whole words.

    Args:
        value: bytes, or a buffer of them.
        max_blob_size: bytes at the most.

    Raises:
        EncodeError: no bytes, a view of larger items, or more than `max_blob_size`.
    """
    return pack_blob(value, _blob_cap(max_blob_size), "Blob")


def decode_blob(
    data: bytes | bytearray | memoryview, *, max_blob_size: int = MAX_BLOB_SIZE
) -> tuple[bytes, int]:
    """Decode a blob.

    Args:
        data: begins with the blob's length.
        max_blob_size: bytes at the most.

    Returns:
        The bytes, and how many were consumed, length and padding included.

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


def encode_value(value: WireInput, value_type: ValueType | None = None) -> tuple[bytes, ValueType]:
    """Encode one value, as the type given or the one its Python type stands for.

    Args:
        value: None, bool, int, float, str, or bytes-like.
        value_type: what to encode it as; ISO8601 text must be a date or time that Python's `fromisoformat`
            reads.

    Returns:
        The bytes, whole words, and the type to announce them with.

    Raises:
        EncodeError: the type cannot hold the value.
    """
    return pack_as(value, value_type)


def pack_as(value: object, value_type: object, path: str = "") -> tuple[bytes, ValueType]:
    """Encode a value by the rules of `encode_value`; errors name the type where no path is known."""
    chosen = infer_type(value, path or "value") if value_type is None else checked_type(value_type, path)
    data = pack_value(value, chosen, DEFAULT_OPTIONS, path or chosen.name)
    if chosen == ValueType.ISO8601:
        _check_iso8601(checked_text(value, path), path or chosen.name)
    return data, chosen


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
    """Decode one value of a type.

    Args:
        data: begins with the value.
        value_type: what it is.
        text_errors: what to do with text that is not UTF-8, the name of a codec error handler.

    Returns:
        The value, and the bytes consumed, whole words.

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
        problem = f"value type {shown(value_type)}, allowed {allowed_codes()}"
        raise DecodeError(problem, path=path or "value", offset=pos)
    options = DEFAULT_OPTIONS if text_errors == "strict" else Options(text_errors=text_errors)
    try:
        return read_value(found, data, pos, len(data), options)
    except DecodeError as error:
        error.path = path or found.name
        raise
