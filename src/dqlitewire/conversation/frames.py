"""Whole frames as bytes, decoded when their message is asked for.

Tools and servers meet frames that the codec refuses; here these are data (`error` says why), not exceptions.
"""

from __future__ import annotations

from ..checks import VERSIONS, whole_bytes
from ..codec import MessageDecoder
from ..constants import HEADER_SIZE, PROTOCOL_VERSION, RequestType, ResponseType
from ..dispatch import REQUEST_TYPES
from ..exceptions import DecodeError, EncodeError, without_trace
from ..header import ROW_PART, frame_size_at, type_name
from ..limits import checked_limits
from ..messages import REQUESTS, ServersResponse
from ..record import Record, record
from ..text import kind_of
from .table import PART

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..limits import Limits
    from ..messages import Message

__all__ = [
    "STRICT",
    "FrameReader",
    "LazyFrame",
    "RawRequest",
    "answer_key",
    "is_roleless",
    "statement_id",
    "whole_frame",
]

_ROWS = int(ResponseType.ROWS)


def whole_frame(data: Any, what: str) -> bytes:
    """Return the bytes of exactly one frame.

    Args:
        data: the bytes.
        what: "request" or "answer", for the error.

    Raises:
        EncodeError: they are no bytes, or not one whole frame with a body.
    """
    try:
        frame: bytes = data if type(data) is bytes else whole_bytes(data)
    except TypeError:
        raise EncodeError(f"got {kind_of(data)}, the bytes of one {what} are needed") from None
    size = frame_size_at(frame)
    if len(frame) == size > HEADER_SIZE:
        return frame
    if len(frame) < HEADER_SIZE:
        raise EncodeError(f"got {len(frame)} bytes, a header of 8 is needed", path="Header")
    if size == HEADER_SIZE:
        raise EncodeError("got 0 words, a body is needed", path="Header.size_words")
    raise EncodeError(f"got {len(frame)} bytes, a frame of {size} is announced", path="Header.size_words")


def answer_key(frame: bytes) -> int:
    """Return what the table knows a response frame by: its type, or PART."""
    return PART if frame[4] == _ROWS and frame.endswith(ROW_PART) else frame[4]


def is_roleless(request_frame: bytes) -> bool:
    """Tell whether a request frame is a CLUSTER in format 0, which is answered by nodes without roles."""
    return request_frame[4] == RequestType.CLUSTER and not any(request_frame[8:16])


def statement_id(request_frame: bytes) -> int | None:
    """Return the id of the statement that a request frame names, None if it names none or is cut short."""
    place = _STATEMENT_IDS.get(request_frame[4])
    if place is None or len(request_frame) < place.stop:
        return None
    return int.from_bytes(request_frame[place], "little")


@record
class RawRequest(Record):
    """A request frame to be sent as it is, whether or not it decodes.

    Attributes:
        frame: header and body.
    """

    frame: bytes

    IS_REQUEST = True

    @property
    def MSG_TYPE(self) -> int:
        """The header's type byte."""
        return self.frame[4]

    @property
    def schema(self) -> int:
        """The header's schema byte."""
        return self.frame[5]

    @property
    def db_id(self) -> int:
        """The database that the request is for, 0 if it names none."""
        return int.from_bytes(self.frame[_DB_IDS.get(self.frame[4], slice(0))], "little")

    def __repr__(self) -> str:
        return f"<RawRequest {type_name(self.MSG_TYPE, True)}, {len(self.frame)} bytes>"


class LazyFrame(Record):
    """One whole frame.

    Attributes:
        data: header and body.
        is_request: whether the client sent it.
    """

    data: bytes
    is_request: bool
    _read: bool  # whether it was decoded; then one of the others is set
    _message: Message | None
    _error: DecodeError | None

    def __init__(self, data: bytes, is_request: bool) -> None:
        self.data = data
        self.is_request = is_request
        self._read = False
        self._message = None
        self._error = None

    @property
    def type(self) -> int:
        """The header's type byte."""
        return self.data[4]

    @property
    def schema(self) -> int:
        """The header's schema byte."""
        return self.data[5]

    @property
    def size(self) -> int:
        """Bytes, header included."""
        return len(self.data)

    @property
    def type_name(self) -> str:
        """The name of the type, "type 99" if it has none."""
        return type_name(self.data[4], self.is_request)

    @property
    def more(self) -> bool:
        """Whether this is a ROWS frame with more to come; only the last word is looked at."""
        return not self.is_request and answer_key(self.data) == PART

    @property
    def message(self) -> Message | None:
        """The message, decoded when first asked for; None if it does not decode, `error` then says why."""
        if not self._read:
            self._decode()
        return self._message

    @property
    def error(self) -> DecodeError | None:
        """Why the frame does not decode, None if it does."""
        if not self._read:
            self._decode()
        return self._error

    def refuse(self, error: DecodeError) -> None:
        """Make this a frame that does not decode, whatever its bytes are.

        Args:
            error: why; it becomes `error`.
        """
        self._read, self._message, self._error = True, None, error

    def _decode(self) -> None:
        try:
            self._message = self._decoded()
        except DecodeError as error:
            self._error = without_trace(error)
        self._read = True  # last: an interrupt before leaves it to be read again

    def _decoded(self) -> Message:
        return STRICT.read(self.data, self.is_request)


class FrameReader:
    """Decode any whole frame, HEARTBEAT, CONNECT and SERVERS without roles included.

    Args:
        limits: caps.
        tolerant: read text that is not UTF-8 with its bytes escaped, and unknown roles as spare.
    """

    __slots__ = ("_decoders", "_limits", "_tolerant")

    def __init__(self, limits: Limits | None = None, *, tolerant: bool = False) -> None:
        self._limits = checked_limits(limits)
        self._tolerant = tolerant
        self._decoders: dict[tuple[bool, int], MessageDecoder] = {}

    def read(
        self, frame: bytes, is_request: bool, version: int = PROTOCOL_VERSION, servers_format: int = 1
    ) -> Message:
        """Decode one frame.

        Args:
            frame: header and body.
            is_request: whether the client sent it.
            version: of the handshake before it; an unknown one counts as the current one.
            servers_format: the format that CLUSTER asked for.

        Raises:
            DecodeError: it does not decode.
        """
        kind = frame[4]
        if is_request and kind in _OUTSIDE_GATEWAY:
            return _OUTSIDE_GATEWAY[kind].decode_body(frame[HEADER_SIZE:], frame[5])
        if not servers_format and not is_request and kind == ResponseType.SERVERS:
            return ServersResponse.decode_body(frame[HEADER_SIZE:], frame[5], format=0)
        decoder = self._decoders.get((is_request, version))
        if decoder is None:
            decoder = self._decoders[is_request, version] = self._decoder(is_request, version)
        return decoder.decode_bytes(frame)

    def _decoder(self, is_request: bool, version: int) -> MessageDecoder:
        version = version if version in VERSIONS else PROTOCOL_VERSION
        decoder = MessageDecoder(
            is_request,
            version,
            unknown_role_policy="accept" if self._tolerant else "reject",
            text_errors="backslashreplace" if self._tolerant else "strict",
            limits=self._limits,
        )
        if is_request:
            decoder.feed(version.to_bytes(8, "little"))
            decoder.decode_handshake()
        return decoder


STRICT = FrameReader()
# What dqlite's gateway does not handle: the codec has no reader for it in a stream.
_OUTSIDE_GATEWAY = {code: cls for code, cls in REQUESTS.items() if code not in REQUEST_TYPES}


def _places(name: str) -> dict[int, slice]:
    """Return where a field of a fixed size stands in the frames of the requests that have it, by type."""
    found: dict[int, slice] = {}
    for code, cls in REQUESTS.items():
        start = HEADER_SIZE
        for field in cls.FIELDS:
            if field.name == name:
                found[code] = slice(start, start + field.smallest)
            if not field.format:  # what follows has no fixed place
                break
            start += field.smallest
    return found


_DB_IDS, _STATEMENT_IDS = _places("db_id"), _places("stmt_id")
