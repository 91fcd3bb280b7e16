"""One client's connection to a node, without the socket: what is answered when, and how it is spoiled.

`receive` takes bytes at any time, `step` does the next small piece of work and returns what is to be sent,
one frame at most.  Between the frames of a long answer the caller is free to serve others, to receive an
INTERRUPT, or to wait until the client has read.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dqlitewire.constants import PROTOCOL_VERSION_LEGACY
from dqlitewire.conversation import BadHeader, Greeting, Incoming, ServerConversation
from dqlitewire.conversation import Generation as WireGeneration
from dqlitewire.faults.faults import Drop, Fail, Spoiler
from dqlitewire.limits import Limits
from dqlitewire.testing.node.answers import EMPTY, encode_failure, encode_rows
from dqlitewire.testing.node.dispatch import Dispatcher
from dqlitewire.testing.node.encoders import WrongType
from dqlitewire.testing.node.errors import Deaf, SqlFailure, Undecodable
from dqlitewire.testing.node.hazards import HazardKind
from dqlitewire.testing.node.row_batches import RowBatches

if TYPE_CHECKING:
    from dqlitewire.testing.node.cluster import Member
    from dqlitewire.testing.node.engine import Engine

__all__ = ["Session"]

_LEADERSHIP_LOST = 10506
_INPUT_WANTED = 1 << 20  # bytes of requests ahead of the current one
_INPUT_BUSY = 1 << 24  # the same in the middle of a step: only reading tells that the client has gone
_LIMITS = Limits(max_message_size=1 << 30)  # what a client may send; a node's buffer ends at twice that


class Session:
    """One connection.

    Attributes:
        closed: The connection is to be closed when everything returned so far is sent; `reset` says by RST.
        pause: Seconds to wait before the last returned frame is sent.
        write_size: Bytes to send at a time, None for as many as fit; `write_pause` seconds apart.
        silent: Nothing will ever be answered, though the connection stays open.
        busy: A step is being done, perhaps further up in the stack.
        abandoned_at: When a running statement is to be given up, on the monotonic clock.
    """

    def __init__(self, engine: Engine, member: Member, number: int) -> None:
        self.engine = engine
        self.member = member
        self.number = number
        self.closed = self.reset = self.silent = self.busy = False
        self.abandoned_at: float | None = None
        # the conversation is told of the newest generation: it must never refuse what we mean to answer
        self._conversation = ServerConversation(generation=WireGeneration.V1_18_3, limits=_LIMITS)
        self._desk = Dispatcher(engine, member, number, self._interrupted)
        self._spoiler = Spoiler(engine.faults, number)
        self._batches: RowBatches | None = None
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
    def pause(self) -> float:
        """Seconds to wait before the last returned frame is sent."""
        return self._spoiler.pause

    @property
    def write_size(self) -> int | None:
        """Bytes to send at a time."""
        return self._spoiler.write_size

    @property
    def write_pause(self) -> float:
        """Seconds between two such pieces."""
        return self._spoiler.write_pause

    def step(self) -> bytes | None:
        """Do the next piece of work and return what to send; None if that needs more input."""
        if self.closed or self.silent:
            return None
        self.busy = True
        try:
            if self._cut_short:
                self._cut_short = False
                return self._send(self._leadership_lost())
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
        self._desk.close_database()

    def close(self) -> None:
        """End the connection: what runs is stopped, an open transaction rolled back."""
        self._gone = self.closed = True
        if self.busy:
            return
        if self._batches is not None:
            self._batches.abandon()
            self._batches = None
        self._desk.close_database()
        self.engine.sessions.discard(self)

    def _interrupted(self) -> bool:
        # called by SQLite in the middle of a statement; true stops it
        self.engine.breathe()
        if self._gone or self._lost or self.engine.stopping:
            return True
        if self.abandoned_at is not None and time.monotonic() > self.abandoned_at:
            return True
        return self._batches is not None and self._conversation.interrupted  # only rows can be interrupted

    # ---- answers

    def _next_answer(self) -> bytes | None:
        event = self._conversation.next_event()
        self._hungry = event is None
        match event:
            case Incoming():
                return self._incoming(event.type, event.schema, event.data[8:])
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
        name = self.engine.generation.name
        return encode_failure(1, f"{kind.value} ({words} words) kills a dqlite {name}")

    def _incoming(self, request: int, schema: int, body: bytes) -> bytes:
        self.engine.record(self.number, request, schema, body)
        struck = self._spoiler.begin(request)
        for fault in struck:
            if isinstance(fault, Fail) and not fault.executed:
                return self._send(encode_failure(fault.code, fault.message))
            if isinstance(fault, Drop) and not fault.executed:
                self.closed, self.reset = True, fault.reset
                return b""
        answer = self._answer(request, schema, body)
        for fault in struck:
            if isinstance(fault, Fail) and answer is not None:
                if isinstance(answer, RowBatches):
                    answer.abandon()
                return self._send(encode_failure(fault.code, fault.message))
        if isinstance(answer, RowBatches):
            self._batches = answer
            return self._next_rows()
        return b"" if answer is None else self._send(answer)

    def _answer(self, request: int, schema: int, body: bytes) -> bytes | RowBatches | None:
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
            return self._send(EMPTY)
        try:
            body = batches.next_body()
        except (SqlFailure, WrongType) as error:
            if self._conversation.interrupted:
                return self._next_rows()
            self._batches = None
            return self._send(self._failure(error, b"".join(batches.partial)))
        if batches.done:
            self._batches = None
        return self._send(encode_rows(body))

    def _failure(self, error: SqlFailure | WrongType, rows: bytes) -> bytes:
        if isinstance(error, WrongType):
            self._desk.hazard(HazardKind.COLUMN_TYPE, str(error))
            return encode_failure(1, f"{error} aborts dqlite {self.engine.generation.name}")
        if self._lost:
            return self._leadership_lost()
        rows = b"" if self.engine.clean_failures or error.before_rows else rows
        return encode_failure(error.code, error.message, rows)

    def _leadership_lost(self) -> bytes:
        return encode_failure(_LEADERSHIP_LOST, self.engine.generation.lost_text)

    def _send(self, data: bytes) -> bytes:
        data = self._spoiler.spoil(self._conversation.answer_frame(data))
        if self._spoiler.dropped:
            self.closed, self.reset = True, self._spoiler.reset
        return data
