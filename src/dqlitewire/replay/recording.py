"""A recording in the form in which it is played: what each client said, and what it was told when.

Transcripts may be larger than memory, and connections are interleaved in them. So they are read once, from
front to back; the bytes go to a temporary file without a name, and only positions are kept, in arrays: about
a hundred bytes for each frame, however large it is.

    requests   unit 0      unit 1     unit 2         what one client sent, cut where frames end
               handshake   LEADER     OPEN
    answers         piece 0   piece 1                what it was told
                    LEADER    DB
                    gate 2    gate 3                 how many units must have come before it is said

The gate of a piece. An answer is said once its request has come, not once all has come that was recorded
before it: a client that sent three requests at once may wait for each answer when it is run again. An
INTERRUPT is the exception: what the server said of a query behind the INTERRUPT that ended it is kept until
the INTERRUPT has come, or the client would have no reason to send it. A client never knows more than what
passed before, so an answer that is said where it was recorded, or as soon as it may be, is never too late.
What belongs to no request (an HTTP answer, bytes that are no frame, the end) is said where it was recorded.

Two views. A proxy that spoiled frames has recorded what came and what went on. The client's view is what one
client sent and was told; the node's view what a node got and answered. Without faults the two are the same.
"""

from __future__ import annotations

import json
import os
import tempfile
from array import array
from collections.abc import Iterable
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
    Side,
)
from dqlitewire.conversation.frames import statement_id
from dqlitewire.messages import LeaderResponse, ServersResponse
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.sources.pieces import Connection, Piece, feed
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.sources.transcript_parts import open_recording
from dqlitewire.traffic.sources.transcript_reader import View

__all__ = ["Kind", "Mapped", "Moment", "RecordedConnection", "Recording", "Step", "Unit", "View"]

MAX_ADDRESSES = 10_000  # of nodes that answers name


class Kind(IntEnum):
    """What a unit of a client's stream is."""

    HANDSHAKE = 0
    HTTP = 1
    FRAME = 2
    OTHER = 3  # bytes that are no frame
    PART = 4  # the stream ended inside it


class Mapped(IntEnum):
    """Which addresses stand in a piece of the server's stream."""

    NONE = 0
    LEADER = 1
    LEGACY_LEADER = 2
    SERVERS = 3
    ROLELESS_SERVERS = 4


class Unit(NamedTuple):
    """What stands at one place of the arrays.

    Attributes:
        data: the bytes.
        kind: of a client's unit its `Kind`, of a server's piece its `Mapped`.
        gate: of a piece, how many units must have come before it is said.
        request: of a piece, the unit that it answers; -1 if none.
        time: in nanoseconds since 1970; 0 if unknown.
    """

    data: bytes
    kind: int
    gate: int
    request: int
    time: int


class Spool:
    """Bytes on disk, in a file without a name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self._size = 0

    def add(self, data: bytes) -> int:
        """Append bytes; return where they begin."""
        at = self._size
        self._file.write(data)
        self._size += len(data)
        return at

    def read(self, at: int, size: int) -> bytes:
        """Return bytes that were added."""
        return os.pread(self._file.fileno(), size, at)

    def flush(self) -> None:
        """Make what was added readable."""
        self._file.flush()

    @property
    def closed(self) -> bool:
        """Whether the disk was given back."""
        return self._file.closed

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()


class Track:
    """One direction of a connection: units one behind the other, their bytes in a spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._at, self._sizes, self._times = array("q"), array("q"), array("q")
        self._kinds, self._gates, self._requests = array("b"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self._at)

    def add(self, data: bytes, kind: int, gate: int, request: int, time: int) -> None:
        """Append a unit."""
        self._at.append(self._spool.add(data))
        self._sizes.append(len(data))
        self._kinds.append(kind)
        self._gates.append(gate)
        self._requests.append(request)
        self._times.append(time)

    def __getitem__(self, index: int) -> Unit:
        return Unit(
            self._spool.read(self._at[index], self._sizes[index]),
            self._kinds[index],
            self._gates[index],
            self._requests[index],
            self._times[index],
        )

    def size(self, index: int) -> int:
        """Return the bytes of a unit, without reading them."""
        return self._sizes[index]

    def kind(self, index: int) -> int:
        """Return the kind of a unit, without reading it."""
        return self._kinds[index]

    def gate(self, index: int) -> int:
        """Return the gate of a piece, without reading it."""
        return self._gates[index]

    def time(self, index: int) -> int:
        """Return the time of a unit, without reading it."""
        return self._times[index]


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
        self.number = source.number
        self.server = source.server
        self.version = PROTOCOL_VERSION
        self.bare = source.bare
        self.requests, self.answers = Track(spool), Track(spool)
        self.problem = "its beginning was not recorded" if source.midstream else ""
        self.cut = ""
        self.server_ends: int | None = None
        self.first_answer, self.answer_count = array("q"), array("q")
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
            self.problem = "it is raft's, which nodes speak to each other (CONNECT)"
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
        if frame.type not in (ResponseType.LEADER, ResponseType.SERVERS):
            return Mapped.NONE
        match frame.message:
            case LeaderResponse(_, address):
                self._know(address)
                legacy = frame.version == PROTOCOL_VERSION_LEGACY
                return Mapped.LEGACY_LEADER if legacy else Mapped.LEADER
            case ServersResponse(nodes=nodes):
                for node in nodes:
                    self._know(node.address)
                return Mapped.SERVERS if frame.servers_format else Mapped.ROLELESS_SERVERS
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


class Recording:
    """All recorded connections of some transcripts, to be played.

    Attributes:
        connections: those that can be played, in the order of their first appearance.
        left_out: those that cannot; `problem` says why.
        moments: requests, the ends of their answers and of connections, in the order in which they passed.
        notes: what a reader should know, in words.
        addresses: all addresses of nodes that it names.
    """

    def __init__(self) -> None:
        self._spool = Spool()
        self.connections: list[RecordedConnection] = []
        self.left_out: list[RecordedConnection] = []
        self.moments: list[Moment] = []
        self.notes: list[str] = []
        self.addresses: set[str] = set()

    @classmethod
    def load(cls, paths: Iterable[str | os.PathLike[str]], view: View = View.CLIENT) -> Recording:
        """Read transcripts, one behind the other.

        Args:
            paths: the files; the parts of one recording are put in their order, "-" is standard input.
            view: whose view to play.

        Raises:
            SourceError: one cannot be read, is no transcript, or is redacted; or nothing can be played.
        """
        recording = cls()
        try:
            with open_recording(paths, view) as source:
                for input in source.inputs:
                    if _is_redacted(input.head()):
                        hint = "what clients said is not in it; record it without --redact"
                        raise SourceError(f"{input.name}: redacted", hint)
                recording._read(source)
            recording._finish()
        except BaseException:
            recording.close()
            raise
        return recording

    def _read(self, source: Source) -> None:
        found: dict[Connection, RecordedConnection] = {}
        for piece in source.pieces():
            known = found.get(piece.connection)
            if known is None:
                known = RecordedConnection(piece.connection, self._spool)
                found[piece.connection] = known
                self.connections.append(known)
            known.take(piece, self.moments)
        for connection in self.connections:
            connection.finish(self.moments)
        self.notes += [f"{source.name}: {note}" for note in source.notes]

    def _finish(self) -> None:
        self._spool.flush()
        for connection in self.connections:
            if connection.problem:
                self.left_out.append(connection)
                self.notes.append(f"{connection.name} is left out: {connection.problem}")
            else:
                self.addresses |= connection.addresses
                if connection.server:
                    self.addresses.add(connection.server)
                if connection.cut:
                    count = counted(connection.requests_from(0), "request")
                    self.notes.append(f"{connection.name} is played in part ({count}): {connection.cut}")
        self.addresses.discard("")
        if self.left_out:
            self.connections = [one for one in self.connections if not one.problem]
            self.moments = [moment for moment in self.moments if not moment.connection.problem]
        if not self.connections:
            raise SourceError("nothing to replay", "; ".join(self.notes) or "no connection was recorded")

    @property
    def closed(self) -> bool:
        """Whether what was held on disk is gone."""
        return self._spool.closed

    def close(self) -> None:
        """Drop what is held on disk."""
        self._spool.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_redacted(head: bytes) -> bool:
    try:
        header: object = json.loads(head.partition(b"\n")[0])
    except ValueError:
        return False  # its reader will tell
    return isinstance(header, dict) and header.get("redacted") is True  # pyright: ignore[reportUnknownMemberType]
