"""TCP reassembly: segments in the order they were captured, bytes of each direction in the order they were
meant.

A capture holds the packets that passed one point of the network, not those that the peers received: some are
missing, some stand in it twice, or in another order than they were sent; it may begin in the middle of a
connection, or hold one direction alone. A lost byte is sent again until its receiver has it; a reader of the
capture must decide when to stop waiting for it. The contract:

* Every byte of a direction is delivered once: retransmissions and overlaps are cut off, and the first copy
  wins.
* Bytes are delivered in causal order: an answer waits until the bytes that it acknowledges are there, so that
  a capture whose packets were reordered gives the same conversation as a clean one.

      captured     answer (ack 1100)     request 1000..1100
      delivered    request, answer       the answer waited: it acknowledges a byte that was not there

* A hole is waited for as long as a retransmission can be expected (`PATIENCE`), and only a little once the
  other side has acknowledged what is missing (`PATIENCE_ACKED`): it has the bytes and will not ask again.
  Then it is a GAP of known size, and the stream goes on behind it.

      captured     1000..1100    hole    1200..1300    ack 1300 from the other side
      delivered    1000..1100    GAP 100 1200..1300    after 48 segments or 2 seconds more

* Two directions may wait for each other, when segments were cut anew for a retransmission and carry a later
  acknowledgement. Then the older one goes on by as many bytes as the other is known to have received
  (`_catch_up`).
* A direction that begins in the middle begins with its first segment; one that was not captured at all holds
  nothing up.
* A SYN with another sequence number on the same ports begins a new flow and ends the old one; so does a
  sequence number that no loss explains (`FAR`).

Memory is bounded: `MAX_HELD` bytes wait behind holes (each segment counts `SEGMENT` more), and a table of
`MAX_FLOWS` flows is known; what a segment costs grows with neither. Nearly every segment is the next one of a
direction that waits for nothing: `add` delivers it without a copy in some ten steps, anything else goes the
long way.
"""

from __future__ import annotations

from bisect import insort

from dqlitewire.traffic.sources.packets import ACK, FIN, RST, SYN, Segment
from dqlitewire.traffic.sources.pieces import What, new_tuple
from dqlitewire.traffic.sources.tcp_flows import HALF, MASK, Delivery, Flow, FlowTable, Half, ahead, earliest

SECOND = 1_000_000_000

MAX_HELD = 32 << 20
SEGMENT = 512  # what a segment that waits takes beside its bytes
PATIENCE = 512, 20 * SECOND  # segments, or time, that a hole is waited for
PATIENCE_ACKED = 48, 2 * SECOND  # the same once the receiver has acknowledged the bytes
FAR = 1 << 26

_DATA = What.DATA


class Reassembler:
    """Puts together the streams of any number of TCP flows.

    Attributes:
        gaps: places where bytes were lost, in all flows so far.
        lost: how many bytes these are.
    """

    def __init__(self) -> None:
        self._table = FlowTable()
        self._halves = self._table.halves
        self._held = 0
        self.gaps: int = 0
        self.lost: int = 0

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
                out.append(new_tuple(Delivery, (half, _DATA, payload, 0, time)))
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
        self._table.give_way(flow)

    def flush(self, out: list[Delivery]) -> None:
        """Give up every hole: the capture has ended."""
        for flow in self._table.take_all():
            self._finish(flow, out)

    # flows

    def _open(self, key: bytes, out: list[Delivery]) -> Half:
        if self._table.is_full:
            flow = self._table.to_forget()
            self._finish(flow, out)
            self._table.remove(flow)
        return self._table.add(key)

    def _syn(self, half: Half | None, segment: Segment, time: int | None, out: list[Delivery]) -> Half:
        first = segment.sequence + 1 & MASK
        if half is None:
            half = self._open(segment.key, out)
        elif half.start is not None and half.start != first:
            known = half.initiator or half.peer.initiator
            if known or not 0 < ahead(half.next, first) < FAR:
                half = self._replace(half, out)  # else its data was captured before its SYN
        if half.start is None:
            half.start = half.next = first
        (half.peer if segment.flags & ACK else half).initiator = True
        return half

    def _replace(self, half: Half, out: list[Delivery]) -> Half:
        self._finish(half.flow, out)
        self._table.remove(half.flow)
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
            hole = ahead(segment.sequence, half.next)
            if hole:
                if patient and self._waits(half, now, acked=ahead(half.acked, half.next) > 0):
                    break
                self._lose(half, hole, time, out)
            place, unseen = earliest(half)
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
        hole = ahead(half.held[0][0].sequence, half.next) if half.held else size
        if hole:
            self._lose(half, min(hole, size), time, out)
        else:
            # each direction waits for the other: segments were cut anew for a retransmission
            self._release(half, out, earliest(half)[0], size)

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
                self._table.give_way(half.flow)
