"""What a client says to a server: the handshake, request frames, and whatever cannot be read.

`RequestStream` cuts the bytes into these and judges nothing; `Refused` is what `next_request` of the server
conversation makes of a frame that a server of its generation does not accept.

    handshake       8 bytes, the version
    request frames  header and body, until a header that cannot be believed
    CONNECT         the last frame: the bytes behind it are raft's
"""

from __future__ import annotations

from ..buffer import ReadBuffer
from ..constants import HEADER_SIZE, PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY, RequestType
from ..guard import bare
from ..header import frame_size_at
from ..limits import DEFAULT_MAX_MESSAGE_SIZE
from ..record import record
from ..servers.refusals import refusal
from .events import Event
from .frames import LazyFrame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..exceptions import DecodeError
    from ..limits import Limits
    from ..messages import FailureResponse
    from ..servers.generation import Generation

__all__ = ["BadHeader", "Greeting", "Incoming", "Refused", "RequestStream"]

_VERSIONS = (PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY)
_LARGEST_FRAME = 1 << 35  # above any size that a header can announce


@record
class Greeting(Event):
    """The handshake; a version that is not `accepted` means to close without a word."""

    version: int
    accepted: bool


@record
class BadHeader(Event):
    """A header that announces no body, or one above the cap; nothing behind it can be read."""

    words: int
    type: int
    schema: int


class Incoming(LazyFrame):
    """One request frame, decoded when asked."""

    __match_args__ = ("type", "schema", "message")

    def __init__(self, data: bytes) -> None:
        super().__init__(data, True)

    def refusal(self, generation: Generation) -> FailureResponse | None:
        """Return the FAILURE of a server of a generation that refuses this frame; None where it says
        nothing."""
        return refusal(self.type, self.schema, self.error, generation)

    def __repr__(self) -> str:
        return f"<Incoming {self.type_name} schema {self.schema}, {self.size} bytes>"


@record
class Refused(Event):
    """A request that is not accepted.

    Attributes:
        frame: the request as it came.
        refusal: the answer to give; without one a server says nothing and reads nothing more.
        error: why the frame does not decode, None if it was not tried.
    """

    frame: bytes
    refusal: FailureResponse | None
    error: DecodeError | None


class RequestStream:
    """The bytes of one client, cut into handshake and request frames; guarded by its owner.

    Args:
        limits: caps; that of a frame bounds what a header may announce.
    """

    __slots__ = ("_available", "_most", "_peek", "_read_bytes", "_read_frame", "feed")

    def __init__(self, limits: Limits | None) -> None:
        most = DEFAULT_MAX_MESSAGE_SIZE if limits is None else limits.max_message_size
        self._most = most or _LARGEST_FRAME
        buffer = ReadBuffer(most)
        self.feed = bare(buffer.feed)
        self._peek = bare(buffer.peek_bytes)
        self._read_bytes = bare(buffer.read_bytes)
        self._read_frame = bare(buffer.read_message)
        self._available = buffer.available

    @property
    def available(self) -> int:
        """Bytes that have not been taken."""
        return self._available()

    def greeting(self) -> Greeting | None:
        """Take the handshake; None while it is incomplete."""
        word = self._read_bytes(8)
        if word is None:
            return None
        version = int.from_bytes(word, "little")
        return Greeting(version, version in _VERSIONS)

    def next(self) -> bytes | BadHeader | None:
        """Take the next frame; None while it is incomplete. The bytes of a bad header stay."""
        header = self._peek(HEADER_SIZE)
        if header is None:
            return None
        size = frame_size_at(header)
        if not HEADER_SIZE < size <= self._most:
            return BadHeader((size - HEADER_SIZE) // 8, header[4], header[5])
        return self._read_frame()

    @property
    def has_interrupt(self) -> bool:
        """Whether the next frame is a whole INTERRUPT."""
        header = self._peek(HEADER_SIZE)
        if header is None or header[4] != RequestType.INTERRUPT:
            return False
        return HEADER_SIZE < frame_size_at(header) <= min(self._available(), self._most)

    def rest(self) -> bytes:
        """Take everything that is there."""
        return self._read_bytes(self._available()) or b""

    def incomplete(self) -> int:
        """Return how many of the bytes that wait are no whole frame."""
        left = self._available()
        waiting, position = self._peek(left) or b"", 0
        while left >= HEADER_SIZE:
            size = frame_size_at(waiting, position)
            if not HEADER_SIZE < size <= min(left, self._most):
                break
            position, left = position + size, left - size
        return left
