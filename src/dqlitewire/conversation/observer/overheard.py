"""What an observer hears: bytes of one side with their place in its stream and their times, and what they
are."""

from __future__ import annotations

from ...constants import PROTOCOL_VERSION, ResponseType
from ...exceptions import DecodeError
from ...rows.count import count_rows
from ..events import Ending, Event, Side
from ..frames import STRICT, FrameReader, LazyFrame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...messages import Message
    from .exchange import Exchange

__all__ = ["End", "Frame", "Gap", "Garbage", "Opaque", "Preamble"]


class Bytes(Event):
    """Bytes of one side, where they stand in its stream, and when the first and the last of them came."""

    __slots__ = ("data", "end", "offset", "side", "start")
    __match_args__ = ("side", "offset", "data", "start", "end")

    def __init__(self, side: Side, offset: int, data: bytes, start: float, end: float) -> None:
        self.side = side
        self.offset = offset
        self.data = data
        self.start = start
        self.end = end

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.data)


class Preamble(Bytes):
    """What stands before the frames: "handshake", "legacy handshake", "unknown handshake", "http request",
    "http response", "tls"."""

    __slots__ = ("kind",)
    __match_args__ = ("side", "kind", "data", "offset", "start", "end")

    def __init__(self, side: Side, offset: int, data: bytes, start: float, end: float, kind: str) -> None:
        super().__init__(side, offset, data, start, end)
        self.kind = kind


class Garbage(Bytes):
    """Bytes that are no frame, between frames or at the end."""

    __slots__ = ()


class Opaque(Bytes):
    """Bytes that are not this protocol's: `kind` is "raft", "tls" or "http"."""

    __slots__ = ("kind",)
    __match_args__ = ("side", "kind", "data", "offset", "start", "end")

    def __init__(self, side: Side, offset: int, data: bytes, start: float, end: float, kind: str) -> None:
        super().__init__(side, offset, data, start, end)
        self.kind = kind


class Gap(Event):
    """Bytes that were lost on the way to the observer; `size` is None where nobody knows how many."""

    __slots__ = ("offset", "side", "size", "time")
    __match_args__ = ("side", "offset", "size", "time")

    def __init__(self, side: Side, offset: int, size: int | None, time: float) -> None:
        self.side = side
        self.offset = offset
        self.size = size
        self.time = time


class End(Event):
    """The end of one side's stream; `data` is what was left of it."""

    __slots__ = ("data", "ending", "offset", "side", "time")
    __match_args__ = ("side", "ending", "data", "offset", "time")

    def __init__(self, side: Side, ending: Ending, data: bytes, offset: int, time: float) -> None:
        self.side = side
        self.ending = ending
        self.data = data
        self.offset = offset
        self.time = time


class Frame(LazyFrame, Event):
    """One frame of a stream, decoded when asked.

    Attributes:
        side: who sent it.
        offset: where it begins in the bytes of its side.
        start: when its first byte came.
        end: when its last byte came.
        exchange: the exchange it belongs to.
        damaged: bytes of it were lost; `data` is what there is of it.
    """

    __slots__ = (
        "_reader",
        "_rows",
        "damaged",
        "end",
        "exchange",
        "offset",
        "servers_format",
        "side",
        "start",
        "version",
    )
    __match_args__ = ("side", "type_name", "message")

    def __init__(
        self, side: Side, offset: int, data: bytes, start: float, end: float, reader: FrameReader = STRICT
    ) -> None:
        self.data = data
        self.is_request = side is Side.CLIENT
        self._read = False
        self._message = None
        self._error = None
        self._reader = reader
        self._rows = -1
        self.side = side
        self.offset = offset
        self.start = start
        self.end = end
        self.exchange: Exchange | None = None
        self.damaged = False
        self.servers_format = 1
        self.version = PROTOCOL_VERSION

    @property
    def rows(self) -> int:
        """How many rows a ROWS frame has, 0 for any other and for one that cannot be read."""
        if self._rows < 0:
            is_rows = self.data[4] == ResponseType.ROWS and not self.is_request
            self._rows = max(count_rows(self.data), 0) if is_rows else 0
        return self._rows

    def _decoded(self) -> Message:
        if self.damaged:
            raise DecodeError("bytes of the frame are missing", path=self.type_name)
        return self._reader.read(self.data, self.is_request, self.version, self.servers_format)

    def __eq__(self, other: object) -> bool:
        return self is other  # whatever others say the same

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<Frame {self.side.value} {self.type_name} at {self.offset}, {self.size} bytes>"
