"""The requests of one connection, answered one by one: each as the release that is played answers it.

A method for each request takes the schema and the declared fields, and returns the answer's frame, or the
rows of an answer that has many.  Failures are exceptions: `SqlFailure` for what a node says, `Undecodable`
where it closes the connection without a word.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from dqlitewire.constants import NodeRole, RequestType, ResponseType
from dqlitewire.testing.node.answers import (
    EMPTY,
    encode_failure,
    encode_files,
    encode_result,
    encode_servers,
    encode_text,
    encode_words,
    frame,
)
from dqlitewire.testing.node.calls import KNOWN, Params, Undecodable, read_fields
from dqlitewire.testing.node.database import SqlFailure
from dqlitewire.testing.node.hazards import Hazard, HazardKind
from dqlitewire.testing.node.row_batches import RowBatches
from dqlitewire.testing.node.workspace import Workspace

if TYPE_CHECKING:
    from dqlitewire.testing.node.cluster import Member
    from dqlitewire.testing.node.shared import Shared

__all__ = ["Deaf", "Desk"]

HEARTBEAT_TIMEOUT = 15000
LARGEST_NAME = 504  # bytes; live, 1.11.1 and 1.18.1
_NOT_LEADER = 10250, "not leader"
_NO_DATABASE = 12, "no database opened"
_UNKNOWN_SCHEMA = "unrecognized schema version"
_UNKNOWN_TYPE = 1005, "unrecognized request type"
_STATEMENT_REQUESTS = {RequestType.EXEC, RequestType.QUERY, RequestType.EXEC_SQL, RequestType.QUERY_SQL}
_DETAIL_KEPT = 1000  # characters of what is recorded of a hazard
_DEADLY_NAMES = ("", ":memory:")


class Deaf(Exception):
    """Nothing is answered any more, though the connection stays open."""


class Desk:
    """What a node keeps for a connection, and its answers.

    Args:
        engine: What the nodes share.
        member: The node that is asked.
        number: Number of the connection.
        interrupted: Called now and then while a statement runs; a true answer stops it.

    Attributes:
        legacy: The handshake was the old one.
        workspace: The open database, if any.
    """

    def __init__(self, engine: Shared, member: Member, number: int, interrupted: Callable[[], bool]) -> None:
        self.engine = engine
        self.member = member
        self.legacy = False
        self.workspace: Workspace | None = None
        self._number = number
        self._interrupted = interrupted
        self._generation = engine.generation
        self._deadly_name = False

    def answer(self, request: int, schema: int, body: bytes) -> bytes | RowBatches:
        """Answer a request.

        Raises:
            SqlFailure: The FAILURE to send.
            WrongType: A value that a node cannot encode.
            Undecodable: The connection closes without a word.
            Deaf: Nothing is ever answered again.
        """
        generation = self._generation
        if request == RequestType.CONNECT:
            raise Deaf  # the rest is raft's
        if request not in _HANDLERS:
            if generation.answers_unknown_types:
                return encode_failure(*_UNKNOWN_TYPE)
            self.hazard(HazardKind.OLD_TYPE, f"type {request}")
            raise Deaf
        if not generation.checks_schema:
            schema = 0
        elif schema not in KNOWN[request].SCHEMAS:
            return encode_failure(self._schema_code(request), _UNKNOWN_SCHEMA)
        return _HANDLERS[request](self, schema, *read_fields(request, schema, body))

    def hazard(self, kind: HazardKind, detail: str) -> None:
        """Record what a real node would not survive."""
        self.engine.hazard(Hazard(kind, self._number, detail[:_DETAIL_KEPT]))

    def close_database(self) -> None:
        """Drop database, statements and transaction."""
        workspace, self.workspace = self.workspace, None
        if workspace is not None:
            workspace.close()

    def _schema_code(self, request: int) -> int:
        if request == RequestType.PREPARE:
            return 1
        return self._generation.statement_schema_code if request in _STATEMENT_REQUESTS else 1005

    def _need_leader(self) -> None:
        if self.engine.cluster.leader is not self.member:
            raise SqlFailure(*_NOT_LEADER)

    def _need_database(self, db_id: int) -> Workspace:
        if db_id != 0 or self.workspace is None:
            raise SqlFailure(*_NO_DATABASE)
        if self._deadly_name:
            self.hazard(HazardKind.MEMORY_DATABASE, "")
            raise SqlFailure(1, f"a statement on this database kills dqlite {self._generation.name}")
        return self.workspace

    def _leader(self, _schema: int, _unused: int) -> bytes:
        leader = self.engine.cluster.leader
        node_id, address = (leader.id, leader.address) if leader is not None else (0, "")
        if self.legacy:
            return frame(ResponseType.LEADER, encode_text(address))
        if self.member.role is not NodeRole.VOTER or self.member not in self.engine.cluster.members:
            node_id, address = 0, ""
        return frame(ResponseType.LEADER, encode_words(node_id) + encode_text(address))

    def _client(self, _schema: int, _client_id: int) -> bytes:
        return frame(ResponseType.WELCOME, encode_words(HEARTBEAT_TIMEOUT))

    def _open(self, _schema: int, name: str, _flags: int, _vfs: str) -> bytes:
        if self._generation.open_needs_leader:
            self._need_leader()
        if self.workspace is not None:
            raise SqlFailure(5, "a database for this connection is already open")
        if len(name.encode("utf-8", "surrogateescape")) > LARGEST_NAME:
            self.hazard(HazardKind.LONG_NAME, f"{len(name)} characters")
            raise Undecodable
        try:
            self._deadly_name = name in _DEADLY_NAMES
            connection = self.engine.store.open(name)
        except SqlFailure as error:
            raise Undecodable from error  # closed without a word as well
        connection.watch(self._interrupted)
        self.workspace = Workspace(connection, self._generation, self.hazard)
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
    RequestType.LEADER: Desk._leader,
    RequestType.CLIENT: Desk._client,
    RequestType.OPEN: Desk._open,
    RequestType.PREPARE: Desk._prepare,
    RequestType.EXEC: Desk._exec,
    RequestType.QUERY: Desk._query,
    RequestType.FINALIZE: Desk._finalize,
    RequestType.EXEC_SQL: Desk._exec_sql,
    RequestType.QUERY_SQL: Desk._query_sql,
    RequestType.INTERRUPT: Desk._interrupt,
    RequestType.ADD: Desk._add,
    RequestType.ASSIGN: Desk._assign,
    RequestType.REMOVE: Desk._remove,
    RequestType.DUMP: Desk._dump,
    RequestType.CLUSTER: Desk._cluster,
    RequestType.TRANSFER: Desk._transfer,
    RequestType.DESCRIBE: Desk._describe,
    RequestType.WEIGHT: Desk._weight,
}
