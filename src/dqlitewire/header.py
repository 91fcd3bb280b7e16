"""The arithmetic of a frame: its header, its size, the markers that end its rows, the name of its type.

A frame is a header of one word (8 bytes, little endian) and a body of whole words:

    byte  0           4      5        6          8
          | words     | type | schema | reserved | body, 8 * words bytes ...

`words` counts the body alone, so a frame takes `8 + 8 * words` bytes. Type codes of requests and responses
overlap; only the direction of a frame shows which of the two it is.

A ROWS body ends with a marker of one word in place of the next row: `ROW_DONE` behind the last row of the
result, `ROW_PART` where another frame follows. Each row begins with its types, a nibble a column, in whole
words of sixteen columns.

Loops over many frames may spell the arithmetic out, with a comment that names the function here.
"""

from __future__ import annotations

from struct import Struct

from .constants import ROW_DONE_BYTE, ROW_PART_BYTE, WORD_SIZE, RequestType, ResponseType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enum import IntEnum

__all__ = [
    "HEADER",
    "PAGE_SIZE",
    "ROW_DONE",
    "ROW_MARKERS",
    "ROW_PART",
    "frame_size",
    "frame_size_at",
    "row_header_size",
    "type_name",
    "types_of",
]

HEADER = Struct("<IBBH")  # words of the body, type, schema, reserved
ROW_DONE, ROW_PART = bytes([ROW_DONE_BYTE]) * WORD_SIZE, bytes([ROW_PART_BYTE]) * WORD_SIZE
ROW_MARKERS = (ROW_DONE, ROW_PART)
PAGE_SIZE = 4096  # bytes of header and body after which dqlite ends a ROWS frame (src/query.c: query__batch)


def frame_size(words: int) -> int:
    """Return the bytes of a frame whose body has so many words."""
    return 8 + 8 * words


def frame_size_at(data: bytes | bytearray | memoryview, at: int = 0) -> int:
    """Return the bytes of the frame whose header begins at a position of `data`."""
    return 8 + 8 * int.from_bytes(data[at : at + 4], "little")


def row_header_size(columns: int) -> int:
    """Return the bytes of the types in front of a row."""
    return (columns + 15) // 16 * 8


def types_of(is_request: bool) -> type[IntEnum]:
    """Return the enumeration of the type codes of one direction."""
    return RequestType if is_request else ResponseType


_NAMES: tuple[dict[int, str], dict[int, str]] = (
    {code: name for name, code in ResponseType.__members__.items()},
    {code: name for name, code in RequestType.__members__.items()},
)


def type_name(code: int, is_request: bool) -> str:
    """Return the name of a type code, `type N` for an unknown one."""
    return _NAMES[is_request].get(code) or f"type {code}"
