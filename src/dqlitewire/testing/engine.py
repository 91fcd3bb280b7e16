"""The server without I/O: bytes of a connection in, bytes of the answers out.

An `Engine` holds what the nodes of one (fake) cluster share: databases, configuration, ordered faults,
records. `Engine.connect` gives a `Session`, one client's connection: `receive` takes bytes at any time,
`step` does the next small piece of work and returns what is to be sent, one frame at most.  Between the
frames of a long answer the caller is free to serve others, to receive an INTERRUPT, or to wait until the
client has read.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dqlitewire.constants import NodeRole, RequestType, ResponseType
from dqlitewire.conversation import BadHeader, Greeting, Incoming, ServerConversation
from dqlitewire.conversation import Generation as WireGeneration
from dqlitewire.limits import Limits
from dqlitewire.testing.answers import (
    EMPTY,
    encode_failure,
    encode_files,
    encode_result,
    encode_rows,
    encode_servers,
    encode_text,
    encode_words,
    frame,
)
from dqlitewire.testing.batches import RowBatches, WrongType
from dqlitewire.testing.calls import KNOWN, Params, Undecodable, read_fields
from dqlitewire.testing.cluster import Cluster, Member
from dqlitewire.testing.database import SqlFailure, Store
from dqlitewire.testing.faults import Corrupt, Delay, Drop, Fail, Fault, Faults, SplitWrites
from dqlitewire.testing.generations import Generation
from dqlitewire.testing.hazards import Hazard, HazardKind
from dqlitewire.testing.workspace import Workspace

if TYPE_CHECKING:
    import os

__all__ = ["Engine", "RequestRecord", "Session"]

HEARTBEAT_TIMEOUT = 15000
LARGEST_NAME = 504  # bytes; live, 1.11.1 and 1.18.1
LEGACY_VERSION = 0x86104DD760433FE5
_NOT_LEADER = 10250, "not leader"
_LEADERSHIP_LOST = 10506
_NO_DATABASE = 12, "no database opened"
_UNKNOWN_SCHEMA = "unrecognized schema version"
_UNKNOWN_TYPE = 1005, "unrecognized request type"
_STATEMENT_REQUESTS = {RequestType.EXEC, RequestType.QUERY, RequestType.EXEC_SQL, RequestType.QUERY_SQL}
_DEADLY_NAMES = ("", ":memory:")
_REQUESTS_KEPT = 10_000
_LIMITS = Limits(max_message_size=1 << 30)  # what a client may send; a node's buffer ends at twice that


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as it came: for assertions about what a driver sends.

    Attributes:
        connection: Number of the connection, counted from 1.
        type: Request type; an int where the protocol has no name for it.
        schema: Schema byte.
        body: The bytes behind the header.
    """

    connection: int
    type: int
    schema: int
    body: bytes

    @property
    def sql(self) -> str | None:
        """The SQL text, of requests that carry one."""
        if self.type not in (RequestType.PREPARE, RequestType.EXEC_SQL, RequestType.QUERY_SQL):
            return None
        end = self.body.find(0, 8)
        return self.body[8:end].decode("utf-8", "replace") if end >= 0 else None


class Engine:
    """What the nodes of one cluster have in common.

    Args:
        generation: Which release to play.
        folder: Where databases are kept; by default a temporary folder that goes with the engine.
        files: Database files to serve where they are, by name.
        readonly: Open those for reading only.
        clean_failures: Send FAILURE without the rows that real servers leave in front of it.
    """

    def __init__(
        self,
        generation: Generation,
        folder: str | os.PathLike[str] | None = None,
        files: dict[str, str] | None = None,
        *,
        readonly: bool = False,
        clean_failures: bool = False,
    ) -> None:
        self.generation = generation
        self.clean_failures = clean_failures
        self.store = Store(generation, folder, files, readonly=readonly)
        self.cluster = Cluster(generation.not_found_text)
        self.cluster.on_change.append(self._lead_changed)
        self.faults = Faults()
        self.hazards: list[Hazard] = []
        self.requests: deque[RequestRecord] = deque(maxlen=_REQUESTS_KEPT)
        self.sessions: set[Session] = set()
        self.breathe: Callable[[], None] = lambda: None
        self.weights: dict[int, int] = {}
        self.stopping = False
        self._connections = 0

    def connect(self, member: Member) -> Session:
        """Begin a connection to one node."""
        self._connections += 1
        session = Session(self, member, self._connections)
        self.sessions.add(session)
        return session

    def close(self) -> None:
        """Close every session and the databases."""
        for session in list(self.sessions):
            session.close()
        self.store.close()

    def _lead_changed(self, old: Member | None) -> None:
        for session in self.sessions:
            if session.member is old:
                session.lose_database()


class Session:
    """One client's connection to one node.

    Attributes:
        closed: The connection is to be closed when everything returned so far is sent; `reset` says by RST.
        pause: Seconds to wait before the last returned frame is sent.
        write_size: Bytes to send at a time, None for as many as fit; `write_pause` seconds apart.
        silent: Nothing will ever be answered, though the connection stays open.
    """

    def __init__(self, engine: Engine, member: Member, number: int) -> None:
        self.engine = engine
        self.member = member
        self.number = number
        self.closed = self.reset = self.silent = self.busy = False
        self.pause = 0.0
        self.write_size: int | None = None
        self.write_pause = 0.0
        self.abandoned_at: float | None = (
            None  # when a running query is to be given up, on the monotonic clock
        )
        # the newest generation is told to the conversation so that it never refuses what we mean to answer
        self._conversation = ServerConversation(generation=WireGeneration.V1_18_3, limits=_LIMITS)
        self._generation = engine.generation
        self._workspace: Workspace | None = None
        self._deadly_name = False
        self._batches: RowBatches | None = None
        self._legacy = False
        self._gone = False
        self._lost = False
        self._cut_short = False  # leadership went while rows were being sent
        self._struck: list[Fault] = []
        self._drop: Drop | None = None
        self._frames_left = self._bytes_left = 0

    # ---- what the connection does

    def receive(self, data: bytes) -> None:
        """Take bytes of the client, also while an answer is under way."""
        if not self.silent:
            self._conversation.receive(data)

    @property
    def waiting(self) -> bool:
        """Whether requests beyond the current one may have come already; reading more can wait."""
        return self._conversation.buffered > 1 << 20

    def step(self) -> bytes:
        """Do the next piece of work and return what to send; b"" if more input is needed."""
        if self.closed or self.silent:
            return b""
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
        self._close_workspace()

    def close(self) -> None:
        """End the connection: what runs is stopped, an open transaction rolled back."""
        self._gone = self.closed = True
        if self.busy:
            return
        if self._batches is not None:
            self._batches.abandon()
            self._batches = None
        self._close_workspace()
        self.engine.sessions.discard(self)

    def _close_workspace(self) -> None:
        workspace, self._workspace = self._workspace, None
        if workspace is not None:
            workspace.close()

    def _interrupted(self) -> bool:
        # called by SQLite in the middle of a statement; true stops it
        self.engine.breathe()
        if self._gone or self._lost or self.engine.stopping:
            return True
        if self.abandoned_at is not None and time.monotonic() > self.abandoned_at:
            return self._batches is not None
        return self._batches is not None and self._conversation.interrupted

    # ---- answers

    def _next_answer(self) -> bytes:
        event = self._conversation.next_event()
        match event:
            case Incoming():
                return self._incoming(event)
            case Greeting(version, accepted):
                self._legacy = version == LEGACY_VERSION
                self.closed = not accepted
                return self._next_answer() if accepted else b""
            case BadHeader(words, _, _):
                return self._bad_header(words)
            case None:
                pass
        return b""

    def _bad_header(self, words: int) -> bytes:
        kind = HazardKind.BODY_SIZE if words else HazardKind.EMPTY_BODY
        self.hazard(kind, f"{words} words")
        self.closed = True
        return encode_failure(1, f"{kind.value} ({words} words) kills a dqlite {self._generation.name}")

    def _incoming(self, event: Incoming) -> bytes:
        request, schema, body = event.type, event.schema, event.data[8:]
        engine = self.engine
        engine.requests.append(RequestRecord(self.number, request, schema, body))
        self._struck = engine.faults.strike(self.number, request)
        for fault in self._struck:
            if isinstance(fault, Fail) and not fault.executed:
                return self._send(encode_failure(fault.code, fault.message))
            if isinstance(fault, Drop) and not fault.executed:
                self.closed, self.reset = True, fault.reset
                return b""
        answer = self._answer(request, schema, body)
        for fault in self._struck:
            if isinstance(fault, Fail):
                if isinstance(answer, RowBatches):
                    answer.abandon()
                return self._send(encode_failure(fault.code, fault.message))
        if isinstance(answer, RowBatches):
            self._batches = answer
            return self._next_rows()
        return self._send(answer) if answer else b""

    def _answer(self, request: int, schema: int, body: bytes) -> bytes | RowBatches:
        generation = self._generation
        if request == RequestType.CONNECT:
            self.silent = True  # the rest is raft's
            return b""
        if request not in _HANDLERS:
            return self._unknown_type(request)
        if not generation.checks_schema:
            schema = 0
        elif schema not in KNOWN[request].SCHEMAS:
            return encode_failure(self._schema_code(request), _UNKNOWN_SCHEMA)
        try:
            fields = read_fields(request, schema, body)
            return _HANDLERS[request](self, schema, *fields)
        except Undecodable:
            self.closed = True
            return b""
        except (SqlFailure, WrongType) as error:
            return self._failure(error, b"")

    def _unknown_type(self, request: int) -> bytes:
        if self._generation.answers_unknown_types:
            return encode_failure(*_UNKNOWN_TYPE)
        self.hazard(HazardKind.OLD_TYPE, f"type {request}")
        self.silent = True
        return b""

    def _schema_code(self, request: int) -> int:
        if request == RequestType.PREPARE:
            return 1
        return self._generation.statement_schema_code if request in _STATEMENT_REQUESTS else 1005

    def _next_rows(self) -> bytes:
        batches = self._batches
        assert batches is not None
        if self._conversation.interrupted:
            batches.abandon()
            self._batches = None
            return self._spoil(self._conversation.answer_frame(EMPTY))
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
            self.hazard(HazardKind.COLUMN_TYPE, str(error))
            return encode_failure(1, f"{error} aborts dqlite {self._generation.name}")
        if self._lost:
            return self._leadership_lost()
        rows = b"" if self.engine.clean_failures or error.before_rows else error.rows or rows
        return encode_failure(error.code, error.message, rows)

    def _leadership_lost(self) -> bytes:
        return encode_failure(_LEADERSHIP_LOST, self._generation.lost_text)

    def hazard(self, kind: HazardKind, detail: str) -> None:
        """Record what a real node would not survive."""
        self.engine.hazards.append(Hazard(kind, self.number, detail))

    # ---- faults

    def _send(self, data: bytes) -> bytes:
        return self._spoil(self._conversation.answer_frame(data))

    def _spoil(self, data: bytes) -> bytes:
        self.pause, self.write_size = 0.0, None
        if not self._struck and self._drop is None:
            return data
        for fault in self._struck:
            match fault:
                case Corrupt(change=change):
                    data = change(data)
                case Delay(seconds=seconds):
                    self.pause += seconds
                case SplitWrites(size=size, pause=pause):
                    self.write_size, self.write_pause = size, pause
                case Drop() if self._drop is None:
                    self._drop = fault
                    self._frames_left, self._bytes_left = fault.frames, fault.size
                case _:
                    pass
        self._struck = [fault for fault in self._struck if isinstance(fault, Corrupt | SplitWrites)]
        return self._cut(self._drop, data) if self._drop is not None else data

    def _cut(self, drop: Drop, data: bytes) -> bytes:
        if self._frames_left > 0:
            self._frames_left -= 1
            if self._frames_left == 0 and self._bytes_left == 0:
                self.closed, self.reset = True, drop.reset
            return data
        if len(data) >= self._bytes_left:
            data = data[: self._bytes_left]
            self.closed, self.reset = True, drop.reset
        self._bytes_left -= len(data)
        return data

    # ---- one method a request; (schema, *declared fields) -> the answer

    def _need_leader(self) -> None:
        if self.engine.cluster.leader is not self.member:
            raise SqlFailure(*_NOT_LEADER)

    def _need_database(self, db_id: int) -> Workspace:
        if db_id != 0 or self._workspace is None:
            raise SqlFailure(*_NO_DATABASE)
        if self._deadly_name:
            self.hazard(HazardKind.MEMORY_DATABASE, "")
            raise SqlFailure(1, f"a statement on this database kills dqlite {self._generation.name}")
        return self._workspace

    def _leader(self, _schema: int, _unused: int) -> bytes:
        leader = self.engine.cluster.leader
        node_id, address = (leader.id, leader.address) if leader is not None else (0, "")
        if self._legacy:
            return frame(ResponseType.LEADER, encode_text(address))
        if self.member.role is not NodeRole.VOTER or self.member not in self.engine.cluster.members:
            node_id, address = 0, ""
        return frame(ResponseType.LEADER, encode_words(node_id) + encode_text(address))

    def _client(self, _schema: int, _client_id: int) -> bytes:
        return frame(ResponseType.WELCOME, encode_words(HEARTBEAT_TIMEOUT))

    def _open(self, _schema: int, name: str, _flags: int, _vfs: str) -> bytes:
        if self._generation.open_needs_leader:
            self._need_leader()
        if self._workspace is not None:
            raise SqlFailure(5, "a database for this connection is already open")
        if len(name.encode("utf-8", "surrogateescape")) > LARGEST_NAME:
            self.hazard(HazardKind.LONG_NAME, f"{len(name)} characters")
            self.closed = True
            return b""
        try:
            self._deadly_name = name in _DEADLY_NAMES
            connection = self.engine.store.open(name)
        except SqlFailure:
            self.closed = True
            return b""
        connection.watch(self._interrupted)
        self._workspace = Workspace(connection, self._generation, self.hazard)
        return frame(ResponseType.DB, bytes(8))

    def _prepare(self, schema: int, db_id: int, sql: str) -> bytes:
        if self._generation.prepare_needs_leader:
            self._need_leader()
        workspace = self._need_database(db_id)
        statement_id, statement = workspace.prepare(sql, with_tail=schema == 1)
        body = struct.pack("<IIQ", 0, statement_id, statement.parameters)
        if schema == 1:
            return frame(ResponseType.STMT, body + encode_words(statement.offset), 1)
        return frame(ResponseType.STMT, body)

    def _exec(self, _schema: int, db_id: int, statement_id: int, params: Params) -> bytes:
        workspace = self._need_all(db_id, params)
        return encode_result(*workspace.execute(statement_id, params))

    def _exec_sql(self, _schema: int, db_id: int, sql: str, params: Params) -> bytes:
        workspace = self._need_all(db_id, params)
        return encode_result(*workspace.execute_sql(sql, params))

    def _query(self, _schema: int, db_id: int, statement_id: int, params: Params) -> RowBatches:
        workspace = self._need_all(db_id, params)
        return workspace.query(statement_id, params)

    def _query_sql(self, _schema: int, db_id: int, sql: str, params: Params) -> RowBatches:
        workspace = self._need_all(db_id, params)
        return workspace.query_sql(sql, params)

    def _need_all(self, db_id: int, params: Params) -> Workspace:
        if params.broken and self._generation.early_header:
            raise Undecodable
        self._need_leader()
        return self._need_database(db_id)

    def _finalize(self, _schema: int, db_id: int, statement_id: int) -> bytes:
        self._need_database(db_id).finalize(statement_id)
        return EMPTY

    def _interrupt(self, _schema: int, _db_id: int) -> bytes:
        return EMPTY

    def _add(self, _schema: int, node_id: int, address: str) -> bytes:
        self._need_leader()
        if node_id == 0 and self._generation.aborts_add_zero:
            self.hazard(HazardKind.ADD_ZERO, address)
            raise SqlFailure(1, f"ADD of id 0 aborts dqlite {self._generation.name}")
        self.engine.cluster.add(node_id, address)
        return EMPTY

    def _assign(self, _schema: int, node_id: int, role: int = NodeRole.VOTER) -> bytes:
        self._need_leader()
        if role > NodeRole.SPARE:
            # src/translate.c: translateDqliteRole makes it raft's stand-by, which ends a cluster of one voter
            self.hazard(HazardKind.ASSIGN_ROLE, f"role {role}")
            role = NodeRole.STANDBY
        self.engine.cluster.assign(node_id, NodeRole(role))
        return EMPTY

    def _remove(self, _schema: int, node_id: int) -> bytes:
        self._need_leader()
        self.engine.cluster.remove(node_id)
        return EMPTY

    def _transfer(self, _schema: int, node_id: int) -> bytes:
        self._need_leader()
        self.engine.cluster.transfer(node_id)
        return EMPTY

    def _dump(self, _schema: int, name: str) -> bytes:
        files = self.engine.store.dump(name)
        if files is None:
            if self._generation.dump_image:
                raise SqlFailure(1002, "database does not exists")
            files = b"", b""
        return encode_files(name, *files)

    def _cluster(self, _schema: int, layout: int) -> bytes:
        if layout > 1 and self._generation.checks_cluster_format:
            raise SqlFailure(1005, "unrecognized cluster format")
        return encode_servers(self.engine.cluster.members, with_roles=layout != 0)

    def _describe(self, _schema: int, layout: int) -> bytes:
        if layout != 0:
            self.hazard(HazardKind.DESCRIBE_FORMAT, f"format {layout}")
            raise SqlFailure(15, "bad format version")
        return frame(ResponseType.METADATA, encode_words(0, self.engine.weights.get(self.member.id, 0)))

    def _weight(self, _schema: int, weight: int) -> bytes:
        self.engine.weights[self.member.id] = weight
        return EMPTY


_HANDLERS: dict[int, Callable[..., bytes | RowBatches]] = {
    RequestType.LEADER: Session._leader,
    RequestType.CLIENT: Session._client,
    RequestType.OPEN: Session._open,
    RequestType.PREPARE: Session._prepare,
    RequestType.EXEC: Session._exec,
    RequestType.QUERY: Session._query,
    RequestType.FINALIZE: Session._finalize,
    RequestType.EXEC_SQL: Session._exec_sql,
    RequestType.QUERY_SQL: Session._query_sql,
    RequestType.INTERRUPT: Session._interrupt,
    RequestType.ADD: Session._add,
    RequestType.ASSIGN: Session._assign,
    RequestType.REMOVE: Session._remove,
    RequestType.DUMP: Session._dump,
    RequestType.CLUSTER: Session._cluster,
    RequestType.TRANSFER: Session._transfer,
    RequestType.DESCRIBE: Session._describe,
    RequestType.WEIGHT: Session._weight,
}
