"""The TCP flows that are known: two directions each, and how far either has come.

Sequence numbers count bytes modulo 2**32. Of two numbers the one that is less than `HALF` further on is
ahead:

    start            next                    acked
      |  delivered    |  hole  | held | held   |
    --+---------------+--------+------+------+-+-->   sequence numbers of one direction

`start` is the number of the first byte, `next` that of the next byte to deliver, `acked` that of the first
byte which the other side does not say it has. Segments beyond `next` are held in order of their numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from dqlitewire.traffic.sources.packets import ACK, Segment
from dqlitewire.traffic.sources.pieces import What

MASK = 0xFFFF_FFFF
HALF = 0x8000_0000  # sequence numbers wrap: a difference below this is ahead, above it behind
MAX_FLOWS = 20_000
CHANCES = 8  # flows that are passed over, for having moved, before one is forgotten


class Delivery(NamedTuple):
    """Bytes of one direction of a flow, a gap of `size` bytes in them, or their end."""

    half: Half
    what: What
    data: bytes
    size: int
    time: int | None


@dataclass(slots=True, eq=False)
class Half:
    """One direction of a flow.

    Attributes:
        flow: the flow.
        key: source, destination and ports, as in a `Segment`.
        tag: belongs to who takes the deliveries.
        peer: the other direction.
        start: sequence number of the first byte.
        next: of the next byte to deliver.
        acked: of the first byte the other side does not say it has.
        held: segments that wait, in order of their sequence numbers, with their times.
        since: when the waiting began.
        initiator: it sent the SYN.
        ended: no more bytes are delivered of it.
    """

    flow: Flow
    key: bytes
    tag: object = None
    peer: Half = field(init=False)
    start: int | None = None
    next: int | None = None
    acked: int | None = None
    held: list[tuple[Segment, int | None]] = field(default_factory=list[tuple[Segment, "int | None"]])
    since: int | None = None
    initiator: bool = False
    ended: bool = False


class Flow:
    """Two directions between a pair of endpoints; `owner` belongs to who takes the deliveries."""

    __slots__ = ("halves", "ignored", "owner", "seen")

    def __init__(self, key: bytes) -> None:
        size = (len(key) - 4) // 2
        back = key[size : 2 * size] + key[:size] + key[-2:] + key[-4:-2]
        one, other = Half(self, key), Half(self, back)
        self.halves: tuple[Half, Half] = one, other
        one.peer, other.peer = other, one
        self.ignored: bool = False
        self.owner: object = None
        self.seen: tuple[int | None, int | None] = None, None  # how far it was when looked at

    @property
    def ended(self) -> bool:
        """Whether both directions have ended."""
        return self.halves[0].ended and self.halves[1].ended

    def has_moved(self) -> bool:
        """Whether bytes came since this was asked."""
        one, other = self.halves
        before, self.seen = self.seen, (_beyond_start(one), _beyond_start(other))
        return self.seen != before


def _beyond_start(half: Half) -> int | None:
    return None if half.next == half.start else half.next


def ahead(number: int | None, of: int | None) -> int:
    """Distance from `of` to `number`; 0 when it is not ahead, or one of them is not known."""
    if number is None or of is None:
        return 0
    distance = number - of & MASK
    return distance if distance < HALF else 0


def earliest(half: Half) -> tuple[int, int]:
    """Of the waiting segments that hold the next byte, the one sent first: its place, and how much it
    acknowledges that is not there.

    A retransmission may carry the next byte together with later ones and a later acknowledgement; the first
    copy tells what had been received when the byte was sent.
    """
    peer = half.peer
    best, least = 0, HALF
    for place, (segment, _) in enumerate(half.held):
        if ahead(segment.sequence, half.next):
            break
        unseen = ahead(segment.acknowledged, peer.next) if segment.flags & ACK and not peer.ended else 0
        if unseen < least:
            best, least = place, unseen
        if not unseen:
            break
    return best, least


class FlowTable:
    """At most `MAX_FLOWS` flows, found by the key of either direction.

    Attributes:
        halves: both directions of each flow, by key.
    """

    def __init__(self) -> None:
        self.halves: dict[bytes, Half] = {}
        self._flows: OrderedDict[Flow, None] = OrderedDict()  # the first is the first to be forgotten

    @property
    def is_full(self) -> bool:
        """Whether one must be forgotten before another is added."""
        return len(self._flows) >= MAX_FLOWS

    def add(self, key: bytes) -> Half:
        """Add a flow; return the direction that has the key."""
        flow = Flow(key)
        self._flows[flow] = None
        for half in flow.halves:
            self.halves[half.key] = half
        return flow.halves[0]

    def remove(self, flow: Flow) -> None:
        """Forget a flow."""
        del self._flows[flow]
        for half in flow.halves:
            self.halves.pop(half.key, None)  # a flow from an endpoint to itself has one key

    def to_forget(self) -> Flow:
        """Return the flow that is missed least: one that is over, or that has not moved since the last look.

        What this costs does not grow with the number of flows: after `CHANCES` that have moved, the next one
        is taken whatever it did.
        """
        flow = next(iter(self._flows))
        for _ in range(CHANCES):
            if flow.ended or flow.ignored or not flow.has_moved():
                break
            self._flows.move_to_end(flow)
            flow = next(iter(self._flows))
        return flow

    def give_way(self, flow: Flow) -> None:
        """Let a flow that brings no more be the next that is forgotten."""
        if flow in self._flows:
            self._flows.move_to_end(flow, last=False)

    def take_all(self) -> list[Flow]:
        """Forget all flows, and return them."""
        flows = list(self._flows)
        self._flows.clear()
        self.halves.clear()
        return flows
