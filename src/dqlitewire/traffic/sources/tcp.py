"""TCP reassembly: segments in the order they were captured, bytes of each direction in the order they were
meant.

Contract:
* Every byte of a direction is delivered once: retransmissions and overlaps are cut off, and the first copy
  wins.
* Bytes are delivered in causal order: an answer waits until the bytes that it acknowledges are there, so that
  a capture whose packets were reordered gives the same conversation as a clean one.
* A hole is waited for as long as a retransmission can be expected, a little once the other side has
  acknowledged what is missing; then it is a GAP of known size, and the stream goes on behind it.
* A direction that begins in the middle begins with its first segment; one that was not captured at all holds
  nothing up.
* A SYN with another sequence number on the same ports begins a new flow and ends the old one; so does a
  sequence number that no loss explains.
* Memory is bounded: `MAX_HELD` bytes wait behind holes (each segment counts `SEGMENT` more), `MAX_FLOWS`
  flows are known. For a new one above that, one is forgotten: one that is over, or the oldest but for
  those (`CHANCES` at most) that have brought something since they were last looked at for that reason. What
  a segment costs does not grow with the number of flows.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from typing import Any, NamedTuple, cast

from dqlitewire.traffic.sources.packets import ACK, FIN, RST, SYN, Segment
from dqlitewire.traffic.sources.pieces import What

MASK = 0xFFFF_FFFF
HALF = 0x8000_0000  # sequence numbers wrap: a difference below this is ahead, above it behind
SECOND = 1_000_000_000

MAX_HELD = 32 << 20
SEGMENT = 512  # what a segment that waits takes beside its bytes
MAX_FLOWS = 20_000
CHANCES = 8
PATIENCE = 512, 20 * SECOND  # segments, or time, that a hole is waited for
PATIENCE_ACKED = 48, 2 * SECOND  # the same once the receiver says that it has the bytes
FAR = 1 << 26

_DATA = What.DATA
_new: Any = cast(Any, tuple).__new__  # a NamedTuple's own constructor takes three times as long


class Delivery(NamedTuple):
    """Bytes of one direction of a flow, a gap of `size` bytes in them, or their end."""

    half: Half
    what: What
    data: bytes
    size: int
    time: int | None


class Half:
    """One direction of a flow; `tag` belongs to who takes the deliveries."""

    __slots__ = (
        "acked",
        "ended",
        "flow",
        "held",
        "initiator",
        "key",
        "next",
        "peer",
        "since",
        "start",
        "tag",
    )

    def __init__(self, flow: Flow, key: bytes) -> None:
        self.flow = flow
        self.key = key
        self.tag: object = None
        self.peer = self
        self.start: int | None = None  # sequence number of the first byte
        self.next: int | None = None  # of the next byte to deliver
        self.acked: int | None = None  # of the first byte the other side does not say it has
        self.held: list[tuple[Segment, int | None]] = []  # waiting, in order of their sequence numbers
        self.since: int | None = None  # when the waiting began
        self.initiator = False  # sent the SYN
        self.ended = False


class Flow:
    """Two directions between a pair of endpoints; `owner` belongs to who takes the deliveries."""

    __slots__ = ("halves", "ignored", "owner", "seen")

    def __init__(self, key: bytes) -> None:
        size = (len(key) - 4) // 2
        back = key[size : 2 * size] + key[:size] + key[-2:] + key[-4:-2]
        one, other = self.halves = Half(self, key), Half(self, back)
        one.peer, other.peer = other, one
        self.ignored = False
        self.owner: object = None
        self.seen: tuple[int | None, int | None] = None, None  # how far it was when looked at

    @property
    def ended(self) -> bool:
        """True when neither direction has more to say."""
        return self.halves[0].ended and self.halves[1].ended

    def has_moved(self) -> bool:
        """Whether bytes came since this was asked."""
        one, other = self.halves
        before, self.seen = self.seen, (_beyond_start(one), _beyond_start(other))
        return self.seen != before


def _beyond_start(half: Half) -> int | None:
    return None if half.next == half.start else half.next


def _ahead(number: int | None, of: int | None) -> int:
    """Distance from `of` to `number`; 0 when it is not ahead, or one of them is not known."""
    if number is None or of is None:
        return 0
    distance = number - of & MASK
    return distance if distance < HALF else 0


def _earliest(half: Half) -> tuple[int, int]:
    """Of the waiting segments that hold the next byte, the one sent first: its place, and how much it
    acknowledges that is not there.

    A retransmission may carry the next byte together with later ones and a later acknowledgement; the first
    copy tells what had been received when the byte was sent.
    """
    peer = half.peer
    best, least = 0, HALF
    for place, (segment, _) in enumerate(half.held):
        if _ahead(segment.sequence, half.next):
            break
        unseen = _ahead(segment.acknowledged, peer.next) if segment.flags & ACK and not peer.ended else 0
        if unseen < least:
            best, least = place, unseen
        if not unseen:
            break
    return best, least


class Reassembler:
    """Puts together the streams of any number of TCP flows."""

    def __init__(self) -> None:
        self._halves: dict[bytes, Half] = {}
        self._flows: OrderedDict[Flow, None] = OrderedDict()  # the first is the first to be forgotten
        self._held = 0
        self.retransmitted = 0  # segments that brought nothing new
        self.gaps = 0
        self.lost = 0  # bytes

    def add(self, segment: Segment, time: int | None, out: list[Delivery]) -> None:
        """Take one segment; append to `out` what can be delivered now."""
        key, sequence, acknowledged, flags, payload, missing = segment
        half = self._halves.get(key)
        if flags & SYN:
            half = self._syn(half, segment, time, out)
            sequence = sequence + 1 & MASK
            segment = segment._replace(sequence=sequence)
        elif half is None:
            if not payload and not missing:
                return
            half = self._open(key, out)
        if half.flow.ignored:
            return
        peer = half.peer
        if flags & ACK:
            peer.acked = acknowledged
        if payload or missing or flags & (FIN | RST):
            if half.next is None:
                half.start = half.next = sequence
            if (
                sequence == half.next
                and not (half.held or missing or flags & (FIN | RST) or half.ended)
                and (peer.next is None or not 0 < acknowledged - peer.next & MASK < HALF)
            ):
                half.next = sequence + len(payload) & MASK
                out.append(_new(Delivery, (half, _DATA, payload, 0, time)))
            else:
                half = self._hold(half, segment, time, out)
        if half.held or half.peer.held:
            self._settle(half.flow, time, out)

    def ignore(self, flow: Flow) -> None:
        """Drop what a flow holds and whatever comes for it, until its ports are used again."""
        flow.ignored = True
        for half in flow.halves:
            self._held -= sum(len(segment.payload) + SEGMENT for segment, _ in half.held)
            half.held.clear()
        self._give_way(flow)

    def flush(self, out: list[Delivery]) -> None:
        """Give up every hole: the capture has ended."""
        for flow in list(self._flows):
            self._finish(flow, out)
        self._halves.clear()
        self._flows.clear()

    # flows

    def _open(self, key: bytes, out: list[Delivery]) -> Half:
        if len(self._flows) >= MAX_FLOWS:
            self._forget(out)
        flow = Flow(key)
        self._flows[flow] = None
        for half in flow.halves:
            self._halves[half.key] = half
        return flow.halves[0]

    def _forget(self, out: list[Delivery]) -> None:
        flow = next(iter(self._flows))
        for _ in range(CHANCES):
            if flow.ended or flow.ignored or not flow.has_moved():
                break
            self._flows.move_to_end(flow)
            flow = next(iter(self._flows))
        self._finish(flow, out)
        self._remove(flow)

    def _remove(self, flow: Flow) -> None:
        del self._flows[flow]
        for half in flow.halves:
            self._halves.pop(half.key, None)  # a flow from an endpoint to itself has one key

    def _give_way(self, flow: Flow) -> None:
        """Let a flow that brings no more be the next that is forgotten."""
        if flow in self._flows:
            self._flows.move_to_end(flow, last=False)

    def _syn(self, half: Half | None, segment: Segment, time: int | None, out: list[Delivery]) -> Half:
        first = segment.sequence + 1 & MASK
        if half is None:
            half = self._open(segment.key, out)
        elif half.start is not None and half.start != first:
            known = half.initiator or half.peer.initiator
            if known or not 0 < _ahead(half.next, first) < FAR:
                half = self._replace(half, out)  # else its data was captured before its SYN
        if half.start is None:
            half.start = half.next = first
        (half.peer if segment.flags & ACK else half).initiator = True
        return half

    def _replace(self, half: Half, out: list[Delivery]) -> Half:
        self._finish(half.flow, out)
        self._remove(half.flow)
        return self._open(half.key, out)

    def _finish(self, flow: Flow, out: list[Delivery]) -> None:
        while any(half.held for half in flow.halves):
            self._settle(flow, None, out, patient=False)
        for half in flow.halves:
            self._end(half, None, out)

    # holes

    def _hold(self, half: Half, segment: Segment, time: int | None, out: list[Delivery]) -> Half:
        assert half.next is not None
        behind = half.next - segment.sequence & MASK
        if FAR < behind < MASK - FAR:
            if segment.flags & RST:  # its sequence number need not mean anything
                segment = segment._replace(sequence=half.next)
            else:
                half = self._replace(half, out)
                half.start = half.next = segment.sequence
        elif half.ended or (
            behind >= len(segment.payload) + segment.missing
            and behind < HALF
            and not segment.flags & (FIN | RST)
        ):
            self.retransmitted += 1
            return half
        base = half.next or 0
        if not half.held:
            half.since = time
        insort(half.held, (segment, time), key=lambda item: item[0].sequence - base + HALF & MASK)
        self._held += len(segment.payload) + SEGMENT
        return half

    def _settle(self, flow: Flow, now: int | None, out: list[Delivery], patient: bool = True) -> None:
        one, other = flow.halves
        while self._advance(one, now, out, patient) or self._advance(other, now, out, patient):
            pass

    def _advance(self, half: Half, now: int | None, out: list[Delivery], patient: bool) -> bool:
        moved = False
        while half.held:
            segment, time = half.held[0]
            hole = _ahead(segment.sequence, half.next)
            if hole:
                if patient and self._waits(half, now, acked=_ahead(half.acked, half.next) > 0):
                    break
                self._lose(half, hole, time, out)
            place, unseen = _earliest(half)
            if not unseen:
                self._release(half, out, place)
            elif patient and self._waits(half, now, acked=True):
                break
            else:
                self._catch_up(half.peer, unseen, time, out)
            moved = True
        return moved

    def _catch_up(self, half: Half, size: int, time: int | None, out: list[Delivery]) -> None:
        """Bring a direction on by so many bytes, which were seen by its receiver: from what is held, or as a
        loss."""
        hole = _ahead(half.held[0][0].sequence, half.next) if half.held else size
        if hole:
            self._lose(half, min(hole, size), time, out)
        else:
            # each direction waits for the other: segments were cut anew for a retransmission
            self._release(half, out, _earliest(half)[0], size)

    def _waits(self, half: Half, now: int | None, acked: bool) -> bool:
        count, duration = PATIENCE_ACKED if acked else PATIENCE
        if len(half.held) + len(half.peer.held) >= count or self._held > MAX_HELD:
            return False
        return now is None or half.since is None or now - half.since < duration

    def _lose(self, half: Half, size: int, time: int | None, out: list[Delivery]) -> None:
        assert half.next is not None
        half.next = half.next + size & MASK
        self.gaps += 1
        self.lost += size
        out.append(Delivery(half, What.GAP, b"", size, time))

    def _release(self, half: Half, out: list[Delivery], place: int, limit: int = HALF) -> None:
        """Deliver a segment that waits, but no more than `limit` bytes of it."""
        assert half.next is not None
        segment, time = half.held[place]
        behind = half.next - segment.sequence & MASK
        data = segment.payload[behind:] if behind < HALF else segment.payload
        whole = len(data) <= limit
        if whole:
            del half.held[place]
            self._held -= len(segment.payload) + SEGMENT
            half.since = half.held[0][1] if half.held else None
        if half.ended:
            return
        if data:
            data = data[:limit]
            half.next = half.next + len(data) & MASK
            out.append(Delivery(half, What.DATA, data, 0, time))
        if not whole:
            return
        lost = segment.missing - max(0, behind - len(segment.payload)) if behind < HALF else segment.missing
        if lost > 0:
            self._lose(half, lost, time, out)
        if segment.flags & FIN:
            half.next = half.next + 1 & MASK
        if segment.flags & (FIN | RST):
            self._end(half, time, out)
        if segment.flags & RST:
            self._end(half.peer, time, out)

    def _end(self, half: Half, time: int | None, out: list[Delivery]) -> None:
        if not half.ended:
            half.ended = True
            out.append(Delivery(half, What.END, b"", 0, time))
            if half.peer.ended:
                self._give_way(half.flow)
