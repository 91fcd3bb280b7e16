"""One recorded connection: what an observer says of it, laid down in two tracks; see `recording`."""

from __future__ import annotations

from array import array
from enum import IntEnum
from typing import NamedTuple

from dqlitewire.constants import PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY, RequestType, ResponseType
from dqlitewire.conversation import (
    End,
    Event,
    Exchange,
    Frame,
    Gap,
    Garbage,
    Observer,
    Opaque,
    Preamble,
    RaftFrame,
    Side,
)
from dqlitewire.conversation.frames import statement_id
from dqlitewire.dial.naming import NAMING
from dqlitewire.messages import LeaderResponse, ServersResponse
from dqlitewire.replay.tracks import Kind, Mapped, Spool, Track
from dqlitewire.traffic.sources.pieces import Connection, Piece, feed

__all__ = ["MAX_ADDRESSES", "Moment", "RecordedConnection", "Step"]

MAX_ADDRESSES = 10_000  # of nodes that answers name
RAFT_PROBLEM = "it is raft's, which nodes speak to each other (CONNECT)"


class RecordedConnection:
    """One recorded connection.

    Args:
        source: what the pieces tell of it.
        spool: takes the bytes.

    Attributes:
        number: counts from 1 over all that was read.
        server: the endpoint of the server, "" if unknown.
        version: of the client's handshake; that of today where none was recorded.
        bare: its handshake was not recorded.
        requests: what the client sent.
        answers: what it was told.
        problem: why it cannot be played, "" if it can.
        cut: why it is played in part only, "" if it is whole.
        server_ends: how many units had come when the server closed; None if the client closed first.
        first_answer: of each unit, the first piece that answers it.
        answer_count: of each unit, how many pieces answer it.
        texts: the text of the prepared statement that a unit names, by unit.
        unanswered: units that were never answered.
        interrupted: units with an INTERRUPT behind them, and which one that is.
        addresses: of nodes that the answers name.
    """

    def __init__(self, source: Connection, spool: Spool) -> None:
        self.number: int = source.number
        self.server: str = source.server
        self.version: int = PROTOCOL_VERSION
        self.bare: bool = source.bare
        self.requests: Track = Track(spool)
        self.answers: Track = Track(spool)
        self.problem = "its beginning was not recorded" if source.midstream else ""
        self.cut: str = ""
        self.server_ends: int | None = None
        self.first_answer: array[int] = array("q")
        self.answer_count: array[int] = array("q")
        self._numbers = array("q")
        self.texts: dict[int, str] = {}
        self.unanswered: list[int] = []
        self._observer = Observer(
            count_rows=False, keep_answers=1, midstream=source.midstream, handshake=not source.bare
        )
        self._prepared: dict[int | None, str] = {}  # texts of prepared statements by their ids
        self.interrupted: dict[int, int] = {}
        self._open: dict[int, int] = {}  # units of the exchanges that are open, by id(), oldest first
        self._client_ended = self._over = False
        self._left_at = 0  # when the client closed; 0 if the recording just ends
        self.addresses: set[str] = set()

    @property
    def name(self) -> str:
        """What people call it."""
        return f"connection {self.number}"

    @property
    def needed(self) -> int:
        """How many units a client must send until all is played.

        Those that came when the server had closed, and a last one that the client did not finish, are not
        asked for.
        """
        count = len(self.requests) if self.server_ends is None else self.server_ends
        return count - 1 if count and self.requests.kind(count - 1) == Kind.PART else count

    @property
    def closes(self) -> bool:
        """Whether the server has the last word: it closed, or what came last was never answered."""
        given_up = bool(self.unanswered) and not self._left_at  # else the client left, not the server
        return self.server_ends is not None or bool(self.cut) or given_up

    def requests_from(self, unit: int) -> int:
        """Return how many of the requests that must come stand at or behind a unit."""
        before = self._numbers[unit - 1] if unit else 0
        return self._numbers[self.needed - 1] - before if unit < self.needed else 0

    def request_number(self, unit: int) -> int:
        """Return the place of a unit among the frames that the client sent, from 1."""
        return self._numbers[unit]

    def take(self, piece: Piece, order: list[Moment]) -> None:
        """Take what the recording says next of this connection."""
        if not self._over:
            self._take(feed(self._observer, *piece[1:]), order)

    def finish(self, order: list[Moment]) -> None:
        """Take the end of the recording."""
        if not self._over:
            self._client_ended = True  # a server that closes now does so because the recording ends
            self._take(self._observer.finish(), order)
        self.unanswered += self._open.values()
        del self._observer

    def _take(self, events: list[Event], order: list[Moment]) -> None:
        for event in events:
            match event:
                case Frame(side=Side.CLIENT):
                    self._request(event, order)
                case Frame():
                    self._answer(event)
                case RaftFrame():
                    self.problem = self.problem or RAFT_PROBLEM
                    self._over = True
                case Exchange():
                    self._exchange(event, order)
                case Preamble() | Garbage() | Opaque():
                    self._other(event)
                case Gap():
                    self._stop(f"bytes of the {event.side.value} are missing")
                case End():
                    self._end(event, order)
                case _:
                    raise TypeError(f"got {event!r}, no event of an observer")
            if self._over:
                return

    def _stop(self, why: str) -> None:
        if not self._numbers or not self._numbers[-1]:  # not one request
            self.problem = self.problem or "its beginning was not recorded"
        self.cut, self._over = why, True

    def _say(self, data: bytes, kind: int, time: float) -> int:
        self.requests.add(data, kind, 0, -1, int(time))
        self.first_answer.append(-1)
        self.answer_count.append(0)
        self._numbers.append((self._numbers[-1] if self._numbers else 0) + (kind == Kind.FRAME))
        return len(self.requests) - 1

    def _request(self, frame: Frame, order: list[Moment]) -> None:
        unit = self._say(frame.data, Kind.FRAME, frame.start)
        if frame.type == RequestType.CONNECT:
            self.problem = RAFT_PROBLEM
            self._over = True
            return
        if frame.type == RequestType.INTERRUPT and self._open:
            self.interrupted[next(reversed(self._open.values()))] = unit
        exchange = frame.exchange
        if exchange is not None:
            self._open[id(exchange)] = unit
            text = exchange.sql if exchange.runs_statement is not None else None
            if frame.type == RequestType.FINALIZE:
                text = self._prepared.pop(statement_id(frame.data), None)
            if text is not None:
                self.texts[unit] = text
        order.append(Moment(self, unit, Step.SENT))

    def _answer(self, frame: Frame) -> None:
        exchange = frame.exchange
        unit = -1 if exchange is None else self._open.get(id(exchange), -1)
        gate = len(self.requests)
        if unit >= 0:
            # an INTERRUPT that came before this frame stands behind the request it ends
            gate = self.interrupted.get(unit, unit) + 1
            if not self.answer_count[unit]:
                self.first_answer[unit] = len(self.answers)
            self.answer_count[unit] += 1
            if frame.type == ResponseType.STMT and exchange is not None and exchange.sql is not None:
                self._prepared[int.from_bytes(frame.data[12:16], "little")] = exchange.sql
        self.answers.add(frame.data, self._mapped(frame), gate, unit, int(frame.start))

    def _mapped(self, frame: Frame) -> Mapped:
        if frame.type not in NAMING:
            return Mapped.NONE
        match frame.message:
            case LeaderResponse(_, address):
                self._know(address)
                legacy = frame.version == PROTOCOL_VERSION_LEGACY
                return Mapped.LEGACY if legacy else Mapped.NAMED
            case ServersResponse(nodes=nodes):
                for node in nodes:
                    self._know(node.address)
                return Mapped.NAMED
            case _:
                return Mapped.NONE

    def _know(self, address: str) -> None:
        if len(self.addresses) < MAX_ADDRESSES:
            self.addresses.add(address)

    def _exchange(self, exchange: Exchange, order: list[Moment]) -> None:
        unit = self._open.pop(id(exchange), None)
        if unit is None:
            return
        if exchange.ending == "unanswered":
            self.unanswered.append(unit)
            return
        if exchange.runs_statement is not None and exchange.sql is not None:
            self.texts[unit] = exchange.sql
        order.append(Moment(self, unit, Step.ANSWERED))

    def _other(self, event: Preamble | Garbage | Opaque) -> None:
        if isinstance(event, (Preamble, Opaque)) and event.kind == "tls":
            self.problem, self._over = "it is encrypted", True
        elif event.side is Side.SERVER:
            self.answers.add(event.data, Mapped.NONE, len(self.requests), -1, int(event.start))
        elif isinstance(event, Preamble):
            http = event.kind == "http request"
            if not http:
                self.version = int.from_bytes(event.data, "little")
            self._say(event.data, Kind.HTTP if http else Kind.HANDSHAKE, event.start)
        else:
            self._say(event.data, Kind.OTHER, event.start)

    def _end(self, end: End, order: list[Moment]) -> None:
        order.append(Moment(self, -1, Step.ENDED))
        if end.side is Side.CLIENT:
            if end.data:
                self._say(end.data, Kind.PART, end.time)
            self._client_ended = True
            self._left_at = int(end.time)
            return
        if end.data:
            self.answers.add(end.data, Mapped.NONE, len(self.requests), -1, int(end.time))
        # a proxy that ends a connection ends both sides at one time
        if end.data or not self._client_ended or (self._left_at and int(end.time) == self._left_at):
            self.server_ends = len(self.requests)


class Step(IntEnum):
    """What a moment is."""

    SENT = 0  # a request passed
    ANSWERED = 1  # its answer was complete
    ENDED = 2  # the connection ended


class Moment(NamedTuple):
    """What happened next in a recording.

    Attributes:
        connection: where.
        unit: the request's place among what the client sent; -1 of the end.
        step: what it was.
    """

    connection: RecordedConnection
    unit: int
    step: Step
