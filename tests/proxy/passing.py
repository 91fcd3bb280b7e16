"""A relay without sockets around `ConnectionFaulting`: streams cut anywhere in, what goes on out."""

from __future__ import annotations

from collections.abc import Callable

from dqlitewire.conversation import Side
from dqlitewire.faults import FaultList
from dqlitewire.header import frame_size_at
from dqlitewire.proxy.faulting import ConnectionFaulting
from dqlitewire.proxy.passage import Passage, TakenFault

__all__ = ["Relay"]


class Relay:
    """One connection through a proxy.

    Args:
        faults: What is ordered.
        number: Of the connection.

    Attributes:
        out: What went on, by who sent it.
        taken: The faults that struck.
        pauses: The pauses that were asked for.
        closed: The connection was ended, `reset` by RST.
        held: How many frames were held, by who sent them.
    """

    def __init__(self, faults: FaultList, number: int = 1) -> None:
        self.faulting = ConnectionFaulting(faults, number)
        self.out = {side: bytearray() for side in Side}
        self.taken: list[TakenFault] = []
        self.passages: list[Passage] = []
        self.pauses: list[float] = []
        self.closed = self.reset = False
        self.held = dict.fromkeys(Side, 0)
        self._in = {side: bytearray() for side in Side}
        self._size = dict.fromkeys(Side, 0)  # of the frame that comes, 0 between two
        self._holds = dict.fromkeys(Side, False)
        self._gone = dict.fromkeys(Side, 0)
        self._tail = dict.fromkeys(Side, b"")

    def feed(self, side: Side, data: bytes) -> None:
        """Take bytes that one side sent, cut anywhere."""
        self._in[side] += data
        while not self.closed and self._step(side):
            pass

    def _step(self, side: Side) -> bool:
        waiting = self._in[side]
        if not self._size[side]:
            if len(waiting) < 8:
                return False
            header = bytes(waiting[:8])
            self._size[side] = frame_size_at(header)
            self._gone[side] = 0
            self._holds[side] = self.faulting.holds(side, header)
            if not self._holds[side]:
                self.faulting.passing(side, header)
        if self._holds[side]:
            size = self._size[side]
            if len(waiting) < size:
                return False
            self.held[side] += 1
            self._take(side, size, lambda frame: self.faulting.frame(side, frame))
            return True
        piece = bytes(waiting[: self._size[side] - self._gone[side]])
        del waiting[: len(piece)]
        self.out[side] += piece
        self._gone[side] += len(piece)
        self._tail[side] = (self._tail[side] + piece)[-8:]
        if self._gone[side] < self._size[side]:
            return False
        self._size[side] = 0
        self._go(self.faulting.passed(side, self._tail[side]))
        return True

    def _take(self, side: Side, size: int, make: Callable[[bytes], list[Passage]]) -> None:
        frame = bytes(self._in[side][:size])
        del self._in[side][:size]
        self._size[side] = 0
        self._go(make(frame))

    def _go(self, passages: list[Passage]) -> None:
        for passage in passages:
            assert not self.closed, "something goes on behind the end"
            self.passages.append(passage)
            self.out[passage.side] += passage.sent
            self.taken += passage.taken
            if passage.pause:
                self.pauses.append(passage.pause)
            if passage.closed:
                self.closed, self.reset = True, passage.reset
