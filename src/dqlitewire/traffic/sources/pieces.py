"""What every source is turned into: pieces of the two byte streams of numbered connections."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from dqlitewire.conversation import Event, Observer, Side
from dqlitewire.conversation.observer.stream_events import CUT_KINDS

if TYPE_CHECKING:
    T = TypeVar("T", bound=tuple[object, ...])

    def new_tuple(cls: type[T], values: tuple[object, ...], /) -> T:
        """Make a NamedTuple in a third of the time that its own constructor takes."""
        ...
else:
    new_tuple = tuple.__new__

MAX_TIME = 1 << 63  # nanoseconds since 1970: times are below, as they are in every clock that counts so


class What(IntEnum):
    """What a piece is."""

    DATA = 0
    GAP = 1  # `size` bytes were lost, an unknown number of them if it is 0, of whole frames if it is below
    END = 2  # of this direction
    CUT = 3  # data that an observer has cut before; `size` says what it is, see `Cut`
    SENT = 4  # what went on in place of the `size` bytes that come next; of 0 bytes that a proxy made `data`
    HIDDEN = 5  # why what comes next does not decode, as text: it was redacted
    TOLD = 6  # what is known of what comes next, or of a request without an answer: a JSON object
    FAULT = 7  # a fault struck: `data` names it, see `Taken`


class Cut(NamedTuple):
    """What an observer said of some bytes, so that another one need not find it out again.

    Attributes:
        kind: one of `stream_events.CUT_KINDS`.
        taken: nanoseconds from their first byte to their last.
    """

    kind: str
    taken: int

    def packed(self) -> int:
        """Return it as the size of a piece."""
        return self.taken * len(CUT_KINDS) + CUT_KINDS.index(self.kind)

    @classmethod
    def unpacked(cls, size: int) -> Cut:
        """Return what a piece says."""
        taken, kind = divmod(size, len(CUT_KINDS))
        return cls(CUT_KINDS[kind], taken)


class Taken(NamedTuple):
    """A fault that struck, as a recording proxy tells it.

    Attributes:
        kind: its kind, as fault words name it.
        fault: its id, counted from 1 in the order of ordering.
        on: the name of the request that it selected; "" if none.
    """

    kind: str
    fault: int
    on: str

    def packed(self) -> bytes:
        """Return it as the data of a piece."""
        return f"{self.fault} {self.kind} {self.on}".encode("utf-8", "backslashreplace")

    @classmethod
    def unpacked(cls, data: bytes) -> Taken:
        """Return what a piece holds.

        Args:
            data: of the piece.
        """
        fault, kind, on = data.decode().split(" ", 2)
        return cls(kind, int(fault), on)


@dataclass(slots=True, eq=False)
class Connection:
    """One connection between a client and a server; one is equal to no other.

    Attributes:
        number: counts from 1 in the order of first appearance.
        client: the client's endpoint, as HOST:PORT where known, else "".
        server: the server's.
        midstream: its beginning was not seen.
        bare: it begins with a frame; the handshake was cut off.
        timed: its pieces carry times.
        raft: its first byte is one of a message between nodes; CONNECT was cut off, or not captured.
        alone: one direction of it was recorded, and the other one was not.
        source: the name of its source where several are read (`Numbers`), else "".
    """

    number: int = 1
    client: str = ""
    server: str = ""
    midstream: bool = field(default=False, kw_only=True)
    bare: bool = field(default=False, kw_only=True)
    timed: bool = field(default=True, kw_only=True)
    raft: bool = field(default=False, kw_only=True)
    alone: bool = field(default=False, kw_only=True)
    source: str = field(default="", kw_only=True)

    def __repr__(self) -> str:
        return f"Connection({self.number}, {self.client!r}, {self.server!r})"


class Piece(NamedTuple):
    """What every source yields: bytes of one direction, a gap in them, their end, or what is known of them.

    Attributes:
        connection: where.
        side: who sent them.
        what: what it is.
        data: the bytes; b"" of a gap and of an end. Of the end of a large frame, which passed and was not
            kept and is told as a gap, its last bytes.
        size: of a gap, how many bytes; 0 if unknown. Of the others what `What` says.
        time: in nanoseconds since 1970; 0 if unknown.
    """

    connection: Connection
    side: Side
    what: What
    data: bytes = b""
    size: int = 0
    time: int = 0


def feed(
    observer: Observer, side: Side, what: What, data: bytes = b"", size: int = 0, time: int = 0
) -> list[Event]:
    """Give an observer what a piece is; return what that completes."""
    match what:
        case What.DATA:
            return observer.receive(side, data, time)
        case What.GAP:
            lost = size if size > 0 else None
            return observer.receive_gap(side, lost, time, whole_frames=size < 0, unkept=data)
        case What.END:
            return observer.receive_eof(side, time)
        case What.CUT:
            kind, taken = Cut.unpacked(size)
            return observer.receive_cut(side, kind, data, time, time + taken)
        case What.SENT | What.HIDDEN | What.FAULT | What.TOLD:
            return []  # about the traffic, no part of it
