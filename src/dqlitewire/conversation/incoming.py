"""The stream of a client as a server reads it: the handshake, request frames, and headers that are wrong.

`RequestStream` cuts the bytes into these and judges nothing; `Refused` is what `next_request` of the server
conversation makes of a frame that a server of its generation does not accept.

    handshake       8 bytes, the version
    request frames  header and body, until a header that cannot be believed
    CONNECT         the last frame: the bytes behind it are raft's
"""

from __future__ import annotations

from ..buffer import FrameBuffer
from ..checks import VERSIONS
from ..constants import HEADER_SIZE, RequestType
from ..header import frame_size_at
from ..record import record
from ..servers.refusals import refusal
from ..servers.releases import rules_of
from .events import Event
from .frames import LazyFrame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..exceptions import DecodeError
    from ..messages import FailureResponse
    from ..servers.generation import Generation

__all__ = ["BadHeader", "Greeting", "Incoming", "Refused", "RequestStream"]

_HANDSHAKE_SIZE = 8


@record
class Greeting(Event):
    """The handshake.

    Attributes:
        version: the version of the protocol.
        accepted: whether servers know it; they close the connection otherwise, without an answer.
    """

    version: int
    accepted: bool


@record
class BadHeader(Event):
    """A header that announces no body, or one above the cap; nothing behind it can be read.

    Attributes:
        words: of the body, as announced.
        type: the type byte.
        schema: the schema byte.
    """

    words: int
    type: int
    schema: int


class Incoming(LazyFrame):
    """One request frame, decoded when its message is asked for.

    Args:
        data: header and body.
    """

    __match_args__ = ("type", "schema", "message")

    def __init__(self, data: bytes) -> None:
        super().__init__(data, True)

    def refusal(self, generation: Generation) -> FailureResponse | None:
        """Return the FAILURE by which servers refuse this frame; None where they answer nothing.

        Args:
            generation: of the server.
        """
        return refusal(self.type, self.schema, self.error, rules_of(generation))

    def __repr__(self) -> str:
        return f"<Incoming {self.type_name} schema {self.schema}, {self.size} bytes>"


@record
class Refused(Event):
    """A request that is not accepted.

    Attributes:
        frame: the request as it came.
        refusal: the answer to give; None where a server answers nothing and reads nothing more.
        error: why the frame does not decode, None if it was not tried.
    """

    frame: bytes
    refusal: FailureResponse | None
    error: DecodeError | None


class RequestStream(FrameBuffer):
    """The bytes of one client, cut into handshake and request frames; guarded by its owner.

    Args:
        options: the cap of a frame, which bounds what a header may announce.
    """

    __slots__ = ()

    def greeting(self) -> Greeting | None:
        """Take the handshake; None while it is incomplete."""
        if len(self._data) < _HANDSHAKE_SIZE:
            return None
        version = int.from_bytes(self._take(_HANDSHAKE_SIZE), "little")
        return Greeting(version, version in VERSIONS)

    def next(self) -> bytes | BadHeader | None:
        """Take the next frame; None while it is incomplete. The bytes of a bad header stay."""
        data = self._data
        if len(data) < HEADER_SIZE:
            return None
        size = frame_size_at(data)
        if not HEADER_SIZE < size <= self._options.max_message_size:
            return BadHeader((size - HEADER_SIZE) // 8, data[4], data[5])
        return self._take(size) if size <= len(data) else None

    @property
    def has_interrupt(self) -> bool:
        """Whether the next frame is a whole INTERRUPT."""
        data = self._data
        if len(data) < HEADER_SIZE or data[4] != RequestType.INTERRUPT:
            return False
        return HEADER_SIZE < frame_size_at(data) <= min(len(data), self._options.max_message_size)

    def rest(self) -> bytes:
        """Take everything that is there."""
        return self._take(len(self._data))

    def incomplete(self) -> int:
        """Return how many of the bytes that wait are no whole frame."""
        data, position = self._data, 0
        left = len(data)
        while left >= HEADER_SIZE:
            size = frame_size_at(data, position)
            if not HEADER_SIZE < size <= min(left, self._options.max_message_size):
                break
            position, left = position + size, left - size
        return left
