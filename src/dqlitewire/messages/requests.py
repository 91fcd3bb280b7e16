"""Requests, client to server: the declarations (dqlite src/request.h, src/protocol.h)."""

from __future__ import annotations

from ..constants import NodeRole, RequestType, ResponseType
from ..declare.cursor import Cursor
from ..declare.declared import checked_schema, fill, frame_around
from ..declare.fields import (
    empty_header,
    form,
    params,
    params_schema,
    reserved,
    role,
    schema_byte,
    text,
    u32,
    u64,
)
from ..exceptions import EncodeError
from ..limits import DEFAULT_OPTIONS, MAX_PARAM_COUNT
from ..scalars import U64
from ..values import WireInput
from .base import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AddRequest",
    "AssignRequest",
    "ClientRequest",
    "ClusterRequest",
    "ConnectRequest",
    "DescribeRequest",
    "DumpRequest",
    "ExecRequest",
    "ExecSqlRequest",
    "FinalizeRequest",
    "HeartbeatRequest",
    "InterruptRequest",
    "LeaderRequest",
    "OpenRequest",
    "PrepareRequest",
    "QueryRequest",
    "QuerySqlRequest",
    "RemoveRequest",
    "TransferRequest",
    "WeightRequest",
]

_MAX_PARAM_COUNT = MAX_PARAM_COUNT


class LeaderRequest(Request, code=RequestType.LEADER, answers=(ResponseType.LEADER,)):
    """Ask any node for the leader's id and address."""

    unused: None = reserved()


class ClientRequest(Request, code=RequestType.CLIENT, answers=(ResponseType.WELCOME,)):
    """Announce a client's id, which servers store and do not use."""

    client_id: int = u64()


class HeartbeatRequest(Request, code=RequestType.HEARTBEAT):
    """Type 2: no server answers it but with a FAILURE, 1.11 not at all; for tools."""

    timestamp: int = u64()


class OpenRequest(Request, code=RequestType.OPEN, answers=(ResponseType.DB,)):
    """Open the one database of this connection; servers ignore `flags` and `vfs`."""

    name: str = text(cap="max_filename_size")
    flags: int = u64(default=0)
    vfs: str = text(default="", cap="max_filename_size")


class PrepareRequest(Request, code=RequestType.PREPARE, schemas=(0, 1), answers=(ResponseType.STMT,)):
    """Prepare a statement; in schema 1 (dqlite 1.15) the answer says where the next one begins."""

    db_id: int = u64()
    sql: str = text(cap="max_text_value_size")
    schema: int = schema_byte(default=0)


class ExecRequest(Request, code=RequestType.EXEC, schemas=(0, 1), answers=(ResponseType.RESULT,)):
    """Run a prepared statement that yields no rows."""

    db_id: int = u32()
    stmt_id: int = u32()
    params: Sequence[WireInput] = params(default=())
    schema: int = params_schema(default=None, kw_only=True)
    empty_header: bool = empty_header(default=False, kw_only=True)
    _form: int = form()


class QueryRequest(Request, code=RequestType.QUERY, schemas=(0, 1), answers=(ResponseType.ROWS,)):
    """Run a prepared statement that yields rows."""

    db_id: int = u32()
    stmt_id: int = u32()
    params: Sequence[WireInput] = params(default=())
    schema: int = params_schema(default=None, kw_only=True)
    empty_header: bool = empty_header(default=False, kw_only=True)
    _form: int = form()


class FinalizeRequest(Request, code=RequestType.FINALIZE, answers=(ResponseType.EMPTY,)):
    """Drop a prepared statement; its id may be given to the next one."""

    db_id: int = u32()
    stmt_id: int = u32()


class ExecSqlRequest(Request, code=RequestType.EXEC_SQL, schemas=(0, 1), answers=(ResponseType.RESULT,)):
    """Run SQL text, statement after statement; the answer is that of the last one."""

    db_id: int = u64()
    sql: str = text(cap="max_text_value_size")
    params: Sequence[WireInput] = params(default=())
    schema: int = params_schema(default=None, kw_only=True)
    empty_header: bool = empty_header(default=False, kw_only=True)
    _form: int = form()


class QuerySqlRequest(Request, code=RequestType.QUERY_SQL, schemas=(0, 1), answers=(ResponseType.ROWS,)):
    """Run one SQL statement that yields rows."""

    db_id: int = u64()
    sql: str = text(cap="max_text_value_size")
    params: Sequence[WireInput] = params(default=())
    schema: int = params_schema(default=None, kw_only=True)
    empty_header: bool = empty_header(default=False, kw_only=True)
    _form: int = form()


class InterruptRequest(Request, code=RequestType.INTERRUPT, answers=(ResponseType.EMPTY,)):
    """Stop the query that is running; the stream ends at the next EMPTY."""

    db_id: int = u64(default=0)


class ConnectRequest(Request, code=RequestType.CONNECT):
    """Turn the connection over to raft, never answered; for tools."""

    node_id: int = u64()
    address: str = text(cap="max_address_size")


class AddRequest(Request, code=RequestType.ADD, answers=(ResponseType.EMPTY,)):
    """Add a node to the cluster as a spare."""

    node_id: int = u64()
    address: str = text(cap="max_address_size")


class AssignRequest(Request, code=RequestType.ASSIGN, answers=(ResponseType.EMPTY,)):
    """Give a node a role; the body of one word that old clients send makes it a voter."""

    node_id: int = u64()
    role: NodeRole = role()

    def encode_body_legacy(self) -> bytes:
        """Encode the one-word body (PROMOTE), which says nothing of the role."""
        return U64.pack(self.node_id)

    @classmethod
    def _read(cls, cursor: Cursor) -> AssignRequest:
        if cursor.end - cursor.pos == 8:
            return fill(cls, (cursor.unsigned("node_id", 8), NodeRole.VOTER))
        return super()._read(cursor)


class RemoveRequest(Request, code=RequestType.REMOVE, answers=(ResponseType.EMPTY,)):
    """Remove a node from the cluster."""

    node_id: int = u64()


class DumpRequest(Request, code=RequestType.DUMP, answers=(ResponseType.FILES,)):
    """Ask for the files of a database."""

    name: str = text(cap="max_dump_filename_size")


class ClusterRequest(Request, code=RequestType.CLUSTER, answers=(ResponseType.SERVERS,)):
    """Ask for the nodes of the cluster; format 0, without roles, is read but never written."""

    format: int = u64(default=1, low=1, high=1, decodes=(0, 1))

    def _before_encoding(self) -> None:
        if self.format != 1:
            raise EncodeError(f"got {self.format}, only 1 is encoded", path="ClusterRequest.format")


class TransferRequest(Request, code=RequestType.TRANSFER, answers=(ResponseType.EMPTY,)):
    """Hand leadership to a voter; 0 lets the leader choose."""

    target_node_id: int = u64()


class DescribeRequest(Request, code=RequestType.DESCRIBE, answers=(ResponseType.METADATA,)):
    """Ask a node for its metadata; any format but 0 kills it."""

    format: int = u64(default=0, low=0, high=0)

    @classmethod
    def decode_body(cls, data: bytes, schema: int = 0, *, strict: bool = True) -> DescribeRequest:
        """Decode a body; a format other than 0 is admitted only with `strict=False`."""
        if strict:
            return super().decode_body(data, schema)
        checked_schema(cls, schema)
        frame = frame_around(data)
        cursor = Cursor(frame, 8, len(frame), DEFAULT_OPTIONS, cls.__name__)
        message = fill(cls, (cursor.unsigned("format", 8),))
        cursor.finish()
        return message


class WeightRequest(Request, code=RequestType.WEIGHT, answers=(ResponseType.EMPTY,)):
    """Set a node's weight, in memory."""

    weight: int = u64()
