"""Find the decoder of a frame by the type and the schema in its header.

A reader is a function of a whole frame, its size and the options; it is generated from the declaration of the
message when the first frame of that type and schema comes (`declare/`). It is found by one dictionary, keyed
by the u16 that the two bytes make in the header. There are three of these: requests, responses, and responses
of the legacy protocol, in which the answer to LEADER has another layout.

    byte  0           4      5        6          8
          | words     | type | schema | reserved | body ...
                      `--- key -----'
"""

from __future__ import annotations

from struct import Struct

from .checks import checked_text_errors, whole_bytes
from .constants import HEADER_SIZE, PROTOCOL_VERSION_LEGACY
from .declare.declared import check_header_schema, reader_of, unknown_type
from .exceptions import DecodeError
from .header import frame_size
from .limits import Limits, Options
from .messages import REQUESTS, RESPONSES
from .messages.base import Message
from .messages.responses import check_role_policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .declare.declared import Reader

__all__ = [
    "LEGACY_READERS",
    "REQUEST_READERS",
    "REQUEST_TYPES",
    "RESPONSE_READERS",
    "RESPONSE_TYPES",
    "Readers",
    "decode_options",
    "read_frame",
    "readers_for",
    "words_and_key",
]

# A request without any answer is not for dqlite's gateway (HEARTBEAT, CONNECT): only tools read it.
REQUEST_TYPES: dict[int, type[Message]] = {code: cls for code, cls in REQUESTS.items() if cls.ANSWERS}
RESPONSE_TYPES: dict[int, type[Message]] = {**RESPONSES}


def _reader(is_request: bool, key: int) -> Reader:
    """Return the decoder of a type and schema, given as the u16 that the two make in a header."""
    code, schema = key & 0xFF, key >> 8
    cls: Any = (REQUEST_TYPES if is_request else RESPONSE_TYPES).get(code)
    if cls is None:
        raise unknown_type(code, is_request)
    check_header_schema(cls, schema)
    return reader_of(cls, schema)


class Readers(dict[int, "Reader"]):
    """Decoders by type and schema; each is made at its first use."""

    def __init__(self, *, is_request: bool) -> None:
        self._is_request = is_request

    def __missing__(self, key: int) -> Reader:
        reader = self[key] = _reader(self._is_request, key)
        return reader


REQUEST_READERS = Readers(is_request=True)
RESPONSE_READERS = Readers(is_request=False)
LEGACY_READERS = Readers(is_request=False)
for _code, _cls in RESPONSE_TYPES.items():
    if (_legacy := getattr(_cls, "_legacy_reader", None)) is not None:
        LEGACY_READERS[_code] = _legacy


def readers_for(is_request: bool, version: int | None) -> Readers:
    """Return the readers of one direction, in a protocol version."""
    if is_request:
        return REQUEST_READERS
    return LEGACY_READERS if version == PROTOCOL_VERSION_LEGACY else RESPONSE_READERS


def decode_options(
    limits: Limits | None, unknown_role_policy: str, text_errors: str, **caps: int | None
) -> Options:
    policy = check_role_policy(unknown_role_policy)
    return Options(limits, checked_text_errors(text_errors), policy, **caps)


words_and_key = Struct("<IH").unpack_from  # of a frame: the words of its body, and the key of its reader


def read_frame(data: bytes | bytearray | memoryview, readers: Readers, options: Options) -> Any:
    """Decode exactly one frame."""
    data = whole_bytes(data)
    size = len(data)
    if size < HEADER_SIZE:
        raise DecodeError(f"got {size} bytes, a header of 8 is needed", path="Header", offset=0)
    words, key = words_and_key(data)
    announced = frame_size(words)
    if size != announced or size > options.max_message_size:
        raise _wrong_size(announced, size, options.max_message_size)
    return readers[key](data, size, options)


def _wrong_size(announced: int, size: int, limit: int) -> DecodeError:
    path = "Header.size_words"
    if max(announced, size) > limit:
        problem = f"got a frame of {max(announced, size)} bytes, at most {limit}"
        return DecodeError(problem, path=path, offset=0, limit=limit)
    return DecodeError(f"got {size} bytes of a frame of {announced}", path=path, offset=0)
