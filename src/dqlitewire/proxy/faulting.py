"""Ordered faults on one connection that passes through a proxy: frames in, what goes on in their place out.

The relay walks the headers of both streams, behind the handshake, and for each frame does one of two things:

    faulting = ConnectionFaulting(faults, number)

    if faulting.holds(side, header):                      # frame by frame, in order of the stream
        passages = faulting.frame(side, whole_frame)      # when it has come whole
    else:
        faulting.passing(side, header)                    # its bytes go on as they come, and when the last
        passages = faulting.passed(side, last_8_bytes)    # one has gone: what was waiting for that

`passages` say what goes on, in either direction; those of one direction must go in their order, whatever
pauses are between. Nothing here reads a body that is not held, so that large answers flow.

Which answer belongs to which request is read from `conversation.table`, by the type of each frame and, of
ROWS, the marker in its last word: hence `last_8_bytes`. This goes on while nothing is ordered, for a fault
may be ordered at any time, in the middle of an answer.

A request that a fault may strike (by its type and connection; or one has struck that goes on) waits here
until all requests before it are answered, and those behind it wait as well. A node reads them one at a time,
so that they wait here as they would in its socket, and each is struck as the embedded server strikes it:

    client --> waiting --> open --> node        `open` has what the node owes an answer for; a request of
    client <-- first of open    <-- node        which faults make the answer stands there without the node

Only an INTERRUPT goes after the query that it is meant for, into the middle of its answer. `full`
tells the relay when to stop reading from the client, `waiting_bytes` that the end of the client's stream has
to wait.

Behind CONNECT the connection is raft's, and behind a request that a fault has made into something else than
whole frames nobody can say what the node reads: from there on nothing is held.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from dqlitewire.constants import RequestType, ResponseType
from dqlitewire.conversation import Side
from dqlitewire.conversation.frames import answer_key
from dqlitewire.conversation.table import DONE, FIRST, PART, UNKNOWN_REQUEST, Place, Turn
from dqlitewire.faults import ConnectionFaults, Delivery, FaultList, RequestRecord
from dqlitewire.faults.fault import kind_word
from dqlitewire.header import ROW_PART, frame_size_at, type_name
from dqlitewire.proxy.passage import Passage, TakenFault

__all__ = ["ConnectionFaulting"]

_PREPARE, _FINALIZE, _INTERRUPT = RequestType.PREPARE, RequestType.FINALIZE, RequestType.INTERRUPT
_NAMES_STATEMENT = frozenset({int(_PREPARE), int(_FINALIZE)})  # held, for `sql` of a later fault
_EMPTY = int(ResponseType.EMPTY)
_MOST_WAITING = 1 << 16  # bytes of requests that wait for answers, after which no more are read
_MOST_OPEN = 1 << 16  # requests that the node has and has not answered; it reads them one at a time
MAX_HELD = 256 << 20  # bytes of a frame above which it passes, unless nothing may


@dataclass(slots=True)
class _Open:
    """A request that is not answered yet.

    Attributes:
        place: Where it stands in the table.
        delivery: What has struck its answer; None if nothing has.
        preparing: The request, of a PREPARE.
        instead: The frame that goes to the client in place of the answer.
        asked: The node has it.
    """

    place: Place
    delivery: Delivery | None = None
    preparing: RequestRecord | None = None
    instead: bytes | None = None
    asked: bool = True


class ConnectionFaulting:
    """Both directions of one connection, without sockets.

    Args:
        faults: Those that are ordered; more may be at any time, from any thread.
        connection: Number of the connection, counted from 1.

    Attributes:
        waiting_bytes: Bytes of requests that wait here for answers before them.
    """

    def __init__(self, faults: FaultList, connection: int) -> None:
        self.waiting_bytes: int = 0
        self._list = faults
        self._connection = connection
        self._faults = ConnectionFaults(faults, connection)
        self._interrupts = self._faults.beside()
        self._waiting: deque[bytes] = deque()
        self._open: deque[_Open] = deque()
        self._passing: int | None = None  # type of the answer that is passing
        self._free = False  # nothing is a frame any more
        self._closed = False

    # ---- what the relay calls

    @property
    def full(self) -> bool:
        """So much waits for answers that no more should be read from the client."""
        return not self._free and (self.waiting_bytes > _MOST_WAITING or len(self._open) > _MOST_OPEN)

    def holds(self, side: Side, header: bytes) -> bool:
        """Tell whether a frame must be held until it is whole.

        Args:
            side: Who sends it.
            header: Its header, 8 bytes.
        """
        if self._free:
            return False
        if self._closed:
            return True
        if (side is Side.CLIENT and self._waiting) or self._goes_on:
            return True
        if side is Side.CLIENT:
            wanted = header[4] in _NAMES_STATEMENT or self._may_strike(header[4])
        else:
            first = self._first()
            ends = self._open[1] if first.place.is_draining else first  # with `first`, by one EMPTY
            wanted = first.delivery is not None or ends.delivery is not None or first.preparing is not None
        return wanted and frame_size_at(header) <= MAX_HELD

    def passing(self, side: Side, header: bytes) -> None:
        """Take note of a frame that is not held.

        Args:
            side: Who sends it.
            header: Its header, 8 bytes.
        """
        if self._free or self._closed:
            return
        if side is Side.CLIENT:
            self._faults.passed(header[4], header[5])
            self._ask(header[4], _Open(FIRST.get(header[4], UNKNOWN_REQUEST)))
        else:
            self._passing = header[4]

    def passed(self, side: Side, tail: bytes) -> list[Passage]:
        """Take the end of a frame that was not held, and return what goes on behind it.

        Args:
            side: Who sent it.
            tail: The last 8 bytes of the frame.
        """
        if side is Side.CLIENT or self._free or self._closed:
            return []
        kind, self._passing = self._passing, None
        if kind is not None:
            self._end(self._answered(PART if kind == DONE and tail == ROW_PART else kind))
        return self._advance()

    def frame(self, side: Side, frame: bytes) -> list[Passage]:
        """Take a frame that was held, and return what goes on.

        Args:
            side: Who sent it.
            frame: Header and body.

        Raises:
            Exception: Whatever a hook of somebody's own fault raises; the connection is to be closed.
        """
        if self._closed:
            return [Passage(side, frame, b"")]
        if self._free:
            return [Passage(side, frame, frame)]
        if side is Side.SERVER:
            passages = self._answer(frame)
        else:
            self._waiting.append(frame)
            self.waiting_bytes += len(frame)
            passages = []
        passages += self._advance()
        return passages

    def leave(self) -> None:
        """End the connection: what goes on over several answers ends too."""
        self._closed = True
        self._waiting.clear()
        self.waiting_bytes = 0
        self._faults.leave()
        self._interrupts.leave()

    # ---- requests

    @property
    def _goes_on(self) -> bool:
        faults = self._faults
        return faults.requests.goes_on or faults.responses.goes_on or self._interrupts.goes_on

    def _may_strike(self, kind: int) -> bool:
        return self._goes_on or self._list.may_strike(kind, self._connection)

    def _advance(self) -> list[Passage]:
        """Answer what is to be answered from here, and let those requests go that need not wait longer."""
        passages: list[Passage] = []
        while not (self._closed or self._free):
            if self._open and not self._open[0].asked and self._passing is None:
                passages += self._answer_instead()
                continue
            if not self._waiting:
                break
            kind = self._waiting[0][4]
            exposed = self._may_strike(kind)  # asked once: faults are ordered by other threads
            if exposed and self._open and not self._interrupts_last(kind):
                break
            frame = self._waiting.popleft()
            self.waiting_bytes -= len(frame)
            passages += self._go_exposed(frame) if exposed else self._go(frame)
        if self._free:
            passages += [Passage(Side.CLIENT, frame, frame) for frame in self._waiting]
            self._waiting.clear()
            self.waiting_bytes = 0
        return passages

    def _interrupts_last(self, kind: int) -> bool:
        """Whether it is the INTERRUPT of a query that the node has."""
        last = self._open[-1] if self._open else None
        if kind != _INTERRUPT or last is None or not last.asked or last.place.is_draining:
            return False
        return last.place.draining is not None

    def _go(self, frame: bytes) -> list[Passage]:
        request = self._faults.asked(frame[4], frame[5], frame[8:])
        if self._list.ordered:
            self._list.note(request)
        self._expect(frame, request, None)
        return [Passage(Side.CLIENT, frame, frame)]

    def _go_exposed(self, frame: bytes) -> list[Passage]:
        faults = self._faults
        way = faults.requests
        if way.held:
            return [Passage(Side.CLIENT, frame, b"")]
        request = faults.asked(frame[4], frame[5], frame[8:])
        way.begin(request)
        taken = _taken(way, request)
        closed = way.closed  # before a byte of it
        sent = b"" if closed else way.frame(frame)
        way.end()
        if way.held and not closed:
            return [Passage(Side.CLIENT, frame, b"", taken=taken)]
        if way.closed or not sent:
            self._closed = way.closed
            return [_passage(Side.CLIENT, frame, sent, way, taken=taken)]
        back, beside = faults.responses, self._interrupts
        if self._open:  # it is the INTERRUPT of a query
            back, beside = beside, back
        back.begin(request, beside)
        taken += _taken(back, request)
        if back.executed:
            self._expect(sent, request, back)
            return [_passage(Side.CLIENT, frame, sent, way, taken=taken)]
        passages = [Passage(Side.CLIENT, frame, b"", taken=taken)]
        if back.closed:
            self._closed = True
            passages.append(_passage(Side.SERVER, b"", b"", back))
        elif back.replacement is not None:
            self._open.append(_Open(UNKNOWN_REQUEST, back, None, back.replacement, asked=False))
        else:
            back.end()
        return passages

    def _expect(self, sent: bytes, request: RequestRecord, back: Delivery | None) -> None:
        """Expect an answer to each frame that goes to the node, which a fault may have made others."""
        preparing = request if request.type == _PREPARE else None
        delivery = back if back is not None and back.touched else None
        instead = None if delivery is None else delivery.replacement
        position = 0
        while len(sent) - position >= 8 and not self._free:
            kind = sent[position + 4]
            self._ask(kind, _Open(FIRST.get(kind, UNKNOWN_REQUEST), delivery, preparing, instead))
            position += frame_size_at(sent, position)
        if position != len(sent):
            self._free = True

    def _ask(self, kind: int, request: _Open) -> None:
        if request.place.turn is Turn.RAFT:
            self._free = True
            return
        if kind == _INTERRUPT and self._open:
            last = self._open[-1]
            last.place = last.place.draining or last.place
        self._open.append(request)

    # ---- answers

    def _first(self) -> _Open:
        # an answer that nobody asked for belongs to none
        return self._open[0] if self._open else _Open(UNKNOWN_REQUEST)

    def _answered(self, key: int) -> tuple[_Open, ...]:
        """Let an answer move the first request on, and return the requests that it ends."""
        if not self._open or not self._open[0].asked:
            return ()
        first = self._open[0]
        then = first.place.after.get(key)  # none: an answer that it cannot get ends it
        both = key == _EMPTY and first.place.is_draining
        if then is not None and not then.ended:
            first.place = then
            return ()
        return tuple(self._open.popleft() for _ in range(1 + both))

    def _answer(self, frame: bytes) -> list[Passage]:
        first = self._first()
        ended = self._answered(answer_key(frame))
        if first.preparing is not None:
            self._faults.learn(first.preparing, frame)
        passages = self._sent_instead(frame, first, ended)
        self._end(ended)
        return passages

    def _sent_instead(self, frame: bytes, first: _Open, ended: tuple[_Open, ...]) -> list[Passage]:
        instead = [one.instead for one in ended if one.instead is not None]
        if not instead and first.instead is None:
            return [self._struck(frame, frame, first, *ended[1:])]
        if not ended:
            return [Passage(Side.SERVER, frame, b"")]
        if len(ended) == 1:
            return [self._struck(frame, instead[0], first)]
        # one EMPTY answers a query and its INTERRUPT, but of what goes in its place each needs one of its own
        passages = [self._struck(b"", instead[0], first)]
        if not self._closed:
            passages.append(self._struck(frame, ended[1].instead or frame, ended[1]))
        return passages

    def _answer_instead(self) -> list[Passage]:
        one = self._open.popleft()
        assert one.instead is not None
        passage = self._struck(b"", one.instead, one)
        self._end((one,))
        return [passage]

    def _struck(self, data: bytes, sent: bytes, *answered: _Open) -> Passage:
        """Return the passage of an answer's frame, spoiled by what has struck it and what goes on."""
        responses = self._faults.responses
        struck = [one.delivery for one in answered if one.delivery is not None]
        if responses.goes_on and responses not in struck:
            struck.insert(0, responses)
        for delivery in struck:
            sent = b"" if delivery.closed else delivery.frame(sent)
        if self._interrupts.held:
            sent = b""
        passage = _passage(Side.SERVER, data, sent, *struck)
        self._closed = self._closed or passage.closed
        return passage

    def _end(self, ended: tuple[_Open, ...]) -> None:
        for one in ended:
            if one.delivery is not None:
                one.delivery.end()
            if one.delivery is self._interrupts:
                self._faults.responses.take_over(self._interrupts)


def _passage(
    side: Side, data: bytes, sent: bytes, *ways: Delivery, taken: tuple[TakenFault, ...] = ()
) -> Passage:
    size = next((way.write_size for way in ways if way.write_size is not None), None)
    return Passage(
        side,
        data,
        sent,
        pause=sum(way.pause for way in ways),
        write_size=size,
        write_pause=next((way.write_pause for way in ways if way.write_size is not None), 0.0),
        closed=any(way.closed for way in ways),
        reset=any(way.reset for way in ways),
        taken=taken,
    )


def _taken(way: Delivery, request: RequestRecord) -> tuple[TakenFault, ...]:
    name = type_name(request.type, True)
    return tuple(TakenFault(number, kind_word(type(fault)), name) for number, fault in way.struck)
