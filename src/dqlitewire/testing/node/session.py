"""One client's connection to a node, without the socket: what is answered when, and how it is spoiled.

`receive` takes bytes at any time, `step` does the next small piece of work and returns what is to be sent,
one frame at most.  Between the frames of a long answer the caller is free to serve others, to receive an
INTERRUPT, or to wait until the client has read.

A step may take long, when SQLite does.  It then calls back (`Shared.breathe`), and in there everything may
happen to this very session but another step: bytes arrive, the client goes, leadership is lost, the server
stops.  So while `busy` is set the methods that end something only take a note of it (`_gone`, `_lost`); the
statement is told to stop by its next progress call (`_interrupted`), and the end of the step does the rest.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dqlitewire.constants import PROTOCOL_VERSION_LEGACY, RequestType
from dqlitewire.constants import SQLITE_IOERR_LEADERSHIP_LOST as LEADERSHIP_LOST
from dqlitewire.conversation import BadHeader, Greeting, Incoming, ServerConversation
from dqlitewire.conversation import Generation as WireGeneration
from dqlitewire.faults import ConnectionFaults, RequestRecord
from dqlitewire.header import frame_size_at
from dqlitewire.limits import Limits
from dqlitewire.servers.refusals import LOCKED
from dqlitewire.testing.node.answers import EMPTY, encode_failure, encode_rows
from dqlitewire.testing.node.dispatch import Dispatcher
from dqlitewire.testing.node.encoders import WrongType
from dqlitewire.testing.node.errors import Deaf, SqlFailure, Undecodable
from dqlitewire.testing.node.hazards import HazardKind
from dqlitewire.testing.node.row_batches import RowBatches
from dqlitewire.testing.node.workspace import Script

if TYPE_CHECKING:
    from collections.abc import Callable

    from dqlitewire.testing.node.cluster import Member
    from dqlitewire.testing.node.shared import Shared

__all__ = ["Session"]

_INPUT_WANTED = 1 << 20  # bytes of requests ahead of the current one
_INPUT_BUSY = 1 << 24  # the same in the middle of a step: only reading tells that the client has gone
_LOOK_AGAIN = 0.002  # seconds until a script that has to wait looks whether it still has to
_LIMITS = Limits(max_message_size=1 << 30)  # what a client may send; a node's buffer ends at twice that


class Session:
    """One connection.

    Args:
        shared: What the nodes of the cluster share.
        member: The node that is connected to.
        number: Number of the connection, counted from 1.
        forget: Called with the session when it has ended.

    Attributes:
        closed: The connection is to be closed when everything returned so far is sent; `reset` says by RST.
        pause: Seconds to wait before what was returned last is sent; before the next step if that is nothing.
        write_size: Bytes to send at a time, None for as many as fit; `write_pause` seconds apart.
        silent: Nothing will ever be answered, though the connection stays open.
        busy: A step is being done, perhaps further up in the stack.
        abandoned_at: When a running statement is to be given up, on the monotonic clock.
    """

    def __init__(
        self, shared: Shared, member: Member, number: int, forget: Callable[[Session], None]
    ) -> None:
        self.member = member
        self.number = number
        self.closed: bool = False
        self.reset: bool = False
        self.silent: bool = False
        self.busy: bool = False
        self.pause: float = 0.0
        self.abandoned_at: float | None = None
        self._shared = shared
        self._forget = forget
        # the conversation is told of the newest generation: it must never refuse what we mean to answer
        self._conversation = ServerConversation(generation=WireGeneration.V1_18_3, limits=_LIMITS)
        self._desk = Dispatcher(shared, member, number, self._interrupted)
        texts = {LEADERSHIP_LOST: shared.generation.lost_text}
        self._faults = ConnectionFaults(shared.faults, number, texts, member.id)
        self._delayed: tuple[RequestRecord, bytes] | None = None  # a request that a fault lets arrive later
        self._plain = True  # nothing can happen to the answer, and nothing is to be learned from it
        self._unchecked = False  # a fault has the request answered as another one, or by bytes of its own
        self._batches: RowBatches | None = None
        self._script: Script | None = None  # it waits until no other connection writes
        self._hungry = True  # the next request is not all there
        self._gone = False
        self._lost = False
        self._cut_short = False  # leadership went while rows were being sent

    # ---- what the connection does

    def receive(self, data: bytes) -> None:
        """Take bytes of the client, also while an answer is under way."""
        if not self.silent and not self.closed:
            self._conversation.receive(data)

    @property
    def waiting(self) -> bool:
        """Whether reading more can wait: there is work to do without it, and enough for later."""
        enough = _INPUT_BUSY if self.busy else _INPUT_WANTED
        return self._conversation.buffered > enough and not self._hungry

    @property
    def write_size(self) -> int | None:
        """Bytes to send at a time."""
        return self._faults.responses.write_size

    @property
    def write_pause(self) -> float:
        """Seconds between two such pieces."""
        return self._faults.responses.write_pause

    def step(self) -> bytes | None:
        """Do the next piece of work and return what to send; None if that needs more input."""
        if self.closed or self.silent:
            return None
        self.busy = True
        self.pause = 0.0
        try:
            if self._cut_short:
                self._cut_short = False
                return self._send_last(self._leadership_lost())
            if self._delayed is not None:
                delayed, self._delayed = self._delayed, None
                return self._arrived(*delayed)
            if self._script is not None:
                return self._go_on(self._script)
            return self._next_rows() if self._batches is not None else self._next_answer()
        finally:
            self.busy = False
            if self._gone:
                self.close()
            elif self._lost:
                self.lose_database()

    def lose_database(self) -> None:
        """Drop database, statements and transaction, as a node that lost leadership does."""
        self._lost = True
        if self.busy:
            return  # the running statement is stopped at its next progress call, then this is called again
        self._lost = False
        if self._batches is not None:
            self._batches.abandon()
            self._batches, self._cut_short = None, True
        if self._script is not None:
            self._script, self._cut_short = None, True
        self._desk.close_database()

    def close(self) -> None:
        """End the connection: what runs is stopped, an open transaction rolled back."""
        self._gone = self.closed = True
        if self.busy:
            return
        if self._batches is not None:
            self._batches.abandon()
            self._batches = None
        self._script = None
        self._desk.close_database()
        self._forget(self)
        self._faults.leave()

    def _interrupted(self) -> bool:
        # called by SQLite in the middle of a statement; true stops it
        self._shared.breathe()
        if self._gone or self._lost or self._shared.stopping or self._given_up:
            return True
        return self._batches is not None and self._conversation.interrupted  # only rows can be interrupted

    @property
    def _given_up(self) -> bool:
        return self.abandoned_at is not None and time.monotonic() > self.abandoned_at

    # ---- answers

    def _next_answer(self) -> bytes | None:
        event = self._conversation.next_event()
        self._hungry = event is None
        match event:
            case Incoming():
                return self._incoming(event)
            case Greeting(version, True):
                self._desk.legacy = version == PROTOCOL_VERSION_LEGACY
                return self._next_answer()
            case Greeting():
                self.closed = True
            case BadHeader(words, _, _):
                return self._bad_header(words)
            case None:
                return None
        return b""

    def _bad_header(self, words: int) -> bytes:
        kind = HazardKind.BODY_SIZE if words else HazardKind.EMPTY_BODY
        self._desk.hazard(kind, f"{words} words")
        self.closed = True
        title = self._shared.generation.title
        return encode_failure(1, f"{kind.value} ({words} words) kills a {title}")

    def _incoming(self, event: Incoming) -> bytes:
        faults = self._faults
        request = faults.asked(event.type, event.schema, event.data[8:])
        self._shared.record(request)
        self._plain = faults.idle and request.type != RequestType.PREPARE
        if self._plain:
            self._unchecked = False
            return self._begin_answer(self._answer(request.type, request.schema, request.body))
        way = faults.requests
        way.begin(request)
        if way.closed:
            return self._close_now(way.reset)
        data = way.frame(event.data)
        way.end()
        if way.held:
            self.silent = self._hungry = True  # what still comes is thrown away
            return b""
        pieces = -(-len(data) // way.write_size) if way.write_size else 1
        self.pause = way.pause + way.write_pause * (pieces - 1)
        if self.pause:
            self._delayed = request, data
            return b""
        return self._arrived(request, data)

    def _arrived(self, request: RequestRecord, data: bytes) -> bytes:
        # of a request that was spoiled on its way `data` arrives; faults of the answer go by what was sent
        way = self._faults.requests
        if len(data) < 8 or len(data) != frame_size_at(data):  # what a node would wait for never comes
            return self._close_now(way.reset)
        if way.closed:
            self._carry_out(data)
            return self._close_now(way.reset)
        back = self._faults.responses
        self._faults.begin_answer(request)
        self._unchecked = back.replacement is not None or data[4:6] != bytes([request.type, request.schema])
        answer = self._carry_out(data) if back.executed and not self.closed else None
        if back.closed:
            return self._close_now(back.reset, answer)
        if back.replacement is not None and (answer is not None or not back.executed):
            if isinstance(answer, RowBatches):
                answer.abandon()
            return self._send_last(back.replacement)
        if answer is None and not back.executed:
            self._conversation.abandon()  # a fault of somebody's own leaves it without an answer
        return self._begin_answer(answer)

    def _begin_answer(self, answer: bytes | RowBatches | Script | None) -> bytes:
        if isinstance(answer, RowBatches):
            self._batches = answer
            return self._next_rows()
        if isinstance(answer, Script):
            return self._go_on(answer)
        if answer is not None:
            return self._send_last(answer)
        self._faults.responses.end()
        return b""

    def _go_on(self, script: Script) -> bytes:
        self._script = None
        try:
            answer = self._desk.go_on(script)
        except (SqlFailure, WrongType) as error:
            return self._send_last(self._failure(error, b""))
        if answer is None and self._given_up:
            answer = encode_failure(*LOCKED)
        if answer is None:
            self._script, self.pause = script, _LOOK_AGAIN
            return b""
        return self._send_last(answer)

    def _close_now(self, reset: bool, answer: bytes | RowBatches | Script | None = None) -> bytes:
        if isinstance(answer, RowBatches):
            answer.abandon()
        self.closed, self.reset = True, reset
        return b""

    def _carry_out(self, data: bytes) -> bytes | RowBatches | Script | None:
        return self._answer(data[4], data[5], data[8:])

    def _answer(self, request: int, schema: int, body: bytes) -> bytes | RowBatches | Script | None:
        try:
            return self._desk.answer(request, schema, body)
        except Undecodable:
            self.closed = True
        except Deaf:
            self.silent = self._hungry = True  # what still comes is thrown away
        except (SqlFailure, WrongType) as error:
            return self._failure(error, b"")
        return None

    def _next_rows(self) -> bytes:
        batches = self._batches
        assert batches is not None
        if self._conversation.interrupted:
            batches.abandon()
            self._batches = None
            return self._send_last(EMPTY)
        try:
            body = batches.next_body()
        except (SqlFailure, WrongType) as error:
            if self._conversation.interrupted:
                return self._next_rows()
            self._batches = None
            return self._send_last(self._failure(error, b"".join(batches.partial)))
        if not batches.done:
            return self._send(encode_rows(body))
        self._batches = None
        return self._send_last(encode_rows(body))

    def _failure(self, error: SqlFailure | WrongType, rows: bytes) -> bytes:
        if isinstance(error, WrongType):
            self._desk.hazard(HazardKind.COLUMN_TYPE, str(error))
            return encode_failure(1, f"{error} aborts {self._shared.generation.title}")
        if self._lost:
            return self._leadership_lost()
        rows = b"" if self._shared.clean_failures or error.before_rows else rows
        return encode_failure(error.code, error.message, rows)

    def _leadership_lost(self) -> bytes:
        return encode_failure(LEADERSHIP_LOST, self._shared.generation.lost_text)

    def _send_last(self, data: bytes) -> bytes:
        if self._plain:
            return self._conversation.answer_frame(data)
        data = self._send(data)
        if self._unchecked:
            self._conversation.abandon()
        self._faults.responses.end()
        return data

    def _send(self, data: bytes) -> bytes:
        if self._plain:
            return self._conversation.answer_frame(data)
        if not self._unchecked:
            data = self._conversation.answer_frame(data)
        data = self._faults.answer(data)
        spoiled = self._faults.responses
        self.pause = spoiled.pause
        if spoiled.closed:
            self.closed, self.reset = True, spoiled.reset
        return data
