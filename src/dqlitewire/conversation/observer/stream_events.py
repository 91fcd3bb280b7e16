"""What the stream of one side is made of besides frames: other bytes, losses, and the end.

An offset counts bytes from the beginning of the stream of one side, lost ones included where their number is
known. Times are what the caller of the observer gave with the bytes.
"""

from __future__ import annotations

from ...record import record
from ..events import Ending, Event, Side

__all__ = ["Bytes", "End", "Gap", "Garbage", "Opaque", "Preamble"]


@record
class Bytes(Event):
    """Bytes of one side, where they stand in its stream, and when the first and the last of them came."""

    side: Side
    offset: int
    data: bytes
    start: float
    end: float

    __match_args__ = ("side", "offset", "data", "start", "end")

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.data)


@record
class Preamble(Bytes):
    """What stands before the frames: "handshake", "legacy handshake", "unknown handshake", "http request",
    "http response", "tls"."""

    kind: str

    __match_args__ = ("side", "kind", "data", "offset", "start", "end")

    @property
    def upgrades(self) -> bool:
        """Whether it is the answer that lets dqlite's frames follow an HTTP head."""
        return self.data.split(None, 2)[1:2] == [b"101"]


class Garbage(Bytes):
    """Bytes that are no frame, between frames or at the end."""


@record
class Opaque(Bytes):
    """Bytes that are not this protocol's: `kind` is "raft", "tls" or "http"."""

    kind: str

    __match_args__ = ("side", "kind", "data", "offset", "start", "end")


@record
class Gap(Event):
    """Bytes that were lost on the way to the observer; `size` is None where nobody knows how many."""

    side: Side
    offset: int
    size: int | None
    time: float


@record
class End(Event):
    """The end of one side's stream; `data` is what was left of it."""

    side: Side
    ending: Ending
    data: bytes
    offset: int
    time: float
