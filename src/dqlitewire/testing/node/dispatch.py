"""Dispatch: the requests of one connection, each answered as the release that is played answers it.

As in dqlite's src/gateway.c, a table leads from the request's type to its handler. A handler takes the schema
by which the body was read and the declared fields, and returns the answer's frame, or the rows of an answer
of many frames. Failures are exceptions: `SqlFailure` for what a node says, `Undecodable` where it closes the
connection without a word, `Deaf` where it never answers again. Codes, texts and what differs between releases
come from `dqlitewire.servers`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from dqlitewire.constants import NodeRole, RequestType, ResponseType
from dqlitewire.servers.hazards import IN_MEMORY, LARGEST_ROLE, HazardKind, name_hazard
from dqlitewire.servers.refusals import (
    ALREADY_OPEN,
    BAD_FORMAT,
    NO_DATABASE,
    NOT_LEADER,
    UNKNOWN_DATABASE,
    UNKNOWN_FORMAT,
    UNKNOWN_TYPE,
    schema_for,
    schema_refusal,
)
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
from dqlitewire.testing.node.errors import Deaf, SqlFailure, Undecodable
from dqlitewire.testing.node.hazards import Hazard
from dqlitewire.testing.node.lenient_reader import Params, read_fields
from dqlitewire.testing.node.row_batches import RowBatches
from dqlitewire.testing.node.workspace import Blocked, Script, Workspace

if TYPE_CHECKING:
    from dqlitewire.testing.node.cluster import Member
    from dqlitewire.testing.node.shared import Shared

__all__ = ["Dispatcher"]

HEARTBEAT_TIMEOUT = 15000  # milliseconds, in WELCOME
_DETAIL_KEPT = 1000  # characters of what is recorded of a hazard


class Dispatcher:
    """What a node keeps for one connection, and how it answers each request.

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
        self._release = engine.generation
        self._deadly_name = False

    def answer(self, request: int, schema: int, body: bytes) -> bytes | RowBatches | Script:
        """Answer a request; a script that has to wait is answered by `go_on`.

        Raises:
            SqlFailure: The FAILURE to send.
            WrongType: A value that a node cannot encode.
            Undecodable: The connection closes without a word.
            Deaf: Nothing is ever answered again.
        """
        release = self._release
        if request == RequestType.CONNECT:
            raise Deaf  # the rest is raft's
        if request not in _HANDLERS:
            if release.answers_unknown_types:
                return encode_failure(*UNKNOWN_TYPE)
            self.hazard(HazardKind.OLD_TYPE, f"type {request}")
            raise Deaf
        read_by = schema_for(request, schema, release)
        if read_by is None:
            return encode_failure(*schema_refusal(request, release))
        return _HANDLERS[request](self, read_by, *read_fields(request, read_by, body))

    def hazard(self, kind: HazardKind, detail: str) -> None:
        """Record what a real node would not survive."""
        self.engine.hazard(Hazard(kind, self._number, detail[:_DETAIL_KEPT]))

    def close_database(self) -> None:
        """Drop database, statements and transaction."""
        workspace, self.workspace = self.workspace, None
        if workspace is not None:
            workspace.close()

    def _need_leader(self) -> None:
        if self.engine.cluster.leader is not self.member:
            raise SqlFailure(*NOT_LEADER)

    def _need_database(self, db_id: int) -> Workspace:
        if db_id != 0 or self.workspace is None:
            raise SqlFailure(*NO_DATABASE)
        if self._deadly_name:
            raise SqlFailure(1, f"a statement on this database kills {self._release.title}")
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
        if self._release.open_needs_leader:
            self._need_leader()
        if self.workspace is not None:
            raise SqlFailure(*ALREADY_OPEN)
        hazard = name_hazard(name, self._release.generation)
        if hazard is HazardKind.LONG_NAME:
            self.hazard(hazard, f"{len(name)} characters")
            raise Undecodable
        if hazard is not None:
            self.hazard(hazard, name)
        if hazard is HazardKind.NAME:
            raise SqlFailure(1, f"a database of this name kills {self._release.title}")
        try:
            self._deadly_name = name in IN_MEMORY
            connection = self.engine.store.open(name)
        except SqlFailure as error:
            raise Undecodable from error  # closed without a word as well
        connection.watch(self._interrupted)
        self.workspace = Workspace(connection, self._release, self.hazard)
        return frame(ResponseType.DB, bytes(8))

    def _prepare(self, schema: int, db_id: int, sql: str) -> bytes:
        if self._release.prepare_needs_leader:
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

    def _exec_sql(self, _schema: int, db_id: int, sql: str, params: Params) -> bytes | Script:
        workspace = self._need_all(db_id, params)
        try:
            return encode_result(*workspace.execute_sql(sql, params))
        except Blocked as blocked:
            return blocked.script

    def go_on(self, script: Script) -> bytes | None:
        """Go on with a script that had to wait; None if it still has to.

        Raises:
            SqlFailure: The FAILURE to send.
        """
        assert self.workspace is not None  # who drops it drops the script
        try:
            return encode_result(*self.workspace.go_on(script))
        except Blocked:
            return None

    def _query(self, _schema: int, db_id: int, statement_id: int, params: Params) -> RowBatches:
        workspace = self._need_all(db_id, params)
        return workspace.query(statement_id, params)

    def _query_sql(self, _schema: int, db_id: int, sql: str, params: Params) -> RowBatches:
        workspace = self._need_all(db_id, params)
        return workspace.query_sql(sql, params)

    def _need_all(self, db_id: int, params: Params) -> Workspace:
        if params.broken and self._release.early_header:
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
        if node_id == 0 and self._release.aborts_add_zero:
            self.hazard(HazardKind.ADD_ZERO, address)
            raise SqlFailure(1, f"ADD of id 0 aborts {self._release.title}")
        self.engine.cluster.add(node_id, address)
        return EMPTY

    def _assign(self, _schema: int, node_id: int, role: int = NodeRole.VOTER) -> bytes:
        self._need_leader()
        if role > LARGEST_ROLE:
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
            if self._release.dump_image:
                raise SqlFailure(*UNKNOWN_DATABASE)
            files = b"", b""
        return encode_files(name, *files)

    def _cluster(self, _schema: int, layout: int) -> bytes:
        if layout > 1 and self._release.checks_cluster_format:
            raise SqlFailure(*UNKNOWN_FORMAT)
        return encode_servers(self.engine.cluster.members, with_roles=layout != 0)

    def _describe(self, _schema: int, layout: int) -> bytes:
        if layout != 0:
            self.hazard(HazardKind.DESCRIBE_FORMAT, f"format {layout}")
            raise SqlFailure(*BAD_FORMAT)
        return frame(ResponseType.METADATA, encode_words(0, self.engine.weights.get(self.member.id, 0)))

    def _weight(self, _schema: int, weight: int) -> bytes:
        self.engine.weights[self.member.id] = weight
        return EMPTY


_HANDLERS: dict[int, Callable[..., bytes | RowBatches | Script]] = {
    RequestType.LEADER: Dispatcher._leader,
    RequestType.CLIENT: Dispatcher._client,
    RequestType.OPEN: Dispatcher._open,
    RequestType.PREPARE: Dispatcher._prepare,
    RequestType.EXEC: Dispatcher._exec,
    RequestType.QUERY: Dispatcher._query,
    RequestType.FINALIZE: Dispatcher._finalize,
    RequestType.EXEC_SQL: Dispatcher._exec_sql,
    RequestType.QUERY_SQL: Dispatcher._query_sql,
    RequestType.INTERRUPT: Dispatcher._interrupt,
    RequestType.ADD: Dispatcher._add,
    RequestType.ASSIGN: Dispatcher._assign,
    RequestType.REMOVE: Dispatcher._remove,
    RequestType.DUMP: Dispatcher._dump,
    RequestType.CLUSTER: Dispatcher._cluster,
    RequestType.TRANSFER: Dispatcher._transfer,
    RequestType.DESCRIBE: Dispatcher._describe,
    RequestType.WEIGHT: Dispatcher._weight,
}
