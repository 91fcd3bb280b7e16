"""What the stream of one side is made of besides frames: other bytes, losses, and the end.

An offset counts bytes from the beginning of the stream of one side, lost ones included where their number is
known. Times are what the caller of the observer gave with the bytes.
"""

from __future__ import annotations

from ...record import record
from ..events import Ending, Event, Side
from ..first_bytes import answers_upgrade

__all__ = ["CUT_KINDS", "Bytes", "End", "Gap", "Garbage", "Opaque", "Preamble"]

PREAMBLES = ("handshake", "legacy handshake", "unknown handshake", "http request", "http response")
OPAQUES = ("raft", "tls", "http")
RAFT_KINDS = ("raft message", "damaged raft message")
#: what bytes of a stream may be: a frame, what there is of a frame of which bytes were lost, what is left at
#: the end of the stream, garbage, the kind of a Preamble or Opaque, or a message between nodes
CUT_KINDS = ("frame", "damaged frame", "rest", "garbage", *PREAMBLES, *OPAQUES, *RAFT_KINDS)


@record
class Bytes(Event):
    """Bytes of one side, where they stand in its stream, and when they came.

    Attributes:
        side: who sent them.
        offset: where they begin in the stream of that side.
        data: the bytes.
        start: when the first of them came.
        end: when the last of them came.
    """

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
    """What stands before the frames.

    Attributes:
        side: who sent them.
        offset: where they begin in the stream of that side.
        data: the bytes.
        start: when the first of them came.
        end: when the last of them came.
        kind: "handshake", "legacy handshake", "unknown handshake", "http request", "http response" or
            "tls".
    """

    kind: str

    __match_args__ = ("side", "kind", "data", "offset", "start", "end")

    @property
    def upgrades(self) -> bool:
        """Whether it is the answer that lets dqlite's frames follow an HTTP head."""
        return answers_upgrade(self.data)


class Garbage(Bytes):
    """Bytes that are no frame, between frames or at the end.

    Attributes:
        side: who sent them.
        offset: where they begin in the stream of that side.
        data: the bytes.
        start: when the first of them came.
        end: when the last of them came.
    """


@record
class Opaque(Bytes):
    """Bytes of another protocol.

    Attributes:
        side: who sent them.
        offset: where they begin in the stream of that side.
        data: the bytes.
        start: when the first of them came.
        end: when the last of them came.
        kind: "raft" (what the node that was dialled sends), "tls" or "http".
    """

    kind: str

    __match_args__ = ("side", "kind", "data", "offset", "start", "end")


@record
class Gap(Event):
    """Bytes that were lost on the way to the observer.

    Attributes:
        side: who sent them.
        offset: where they were in the stream of that side.
        size: how many they are, None if that is not known.
        time: when the loss was noticed.
    """

    side: Side
    offset: int
    size: int | None
    time: float


@record
class End(Event):
    """The end of one side's stream.

    Attributes:
        side: whose stream ended.
        ending: where in the conversation it ended.
        data: the bytes left, of a frame that was never completed.
        offset: where these begin in the stream.
        time: when it ended.
    """

    side: Side
    ending: Ending
    data: bytes
    offset: int
    time: float
