"""Requests, client to server: the declarations (dqlite src/request.h, src/protocol.h)."""

from __future__ import annotations

from ..constants import NodeRole, RequestType, ResponseType
from ..declare.declared import checked_schema, fill, frame_around, read_as
from ..declare.fields import field, reserved, role, schema_byte, text, u32, u64
from ..exceptions import EncodeError
from ..limits import DEFAULT_OPTIONS, MAX_PARAM_COUNT
from ..scalars import U64
from .base import Request
from .params import Params, ParamsRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..declare.cursor import Cursor
    from ..types import WireInput
    from .responses import (  # noqa: F401  (what requests are answered by, in quotes)
        DbResponse,
        EmptyResponse,
        FilesResponse,
        LeaderResponse,
        MetadataResponse,
        ResultResponse,
        RowsResponse,
        ServersResponse,
        StmtResponse,
        WelcomeResponse,
    )

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

# A private name that published packages import.
_MAX_PARAM_COUNT = MAX_PARAM_COUNT


class LeaderRequest(Request["LeaderResponse"], code=RequestType.LEADER, answers=(ResponseType.LEADER,)):
    """Ask any node for the leader's id and address."""

    unused: None = reserved()


class ClientRequest(Request["WelcomeResponse"], code=RequestType.CLIENT, answers=(ResponseType.WELCOME,)):
    """Announce a client's id, which servers store and do not use.

    Args:
        client_id: any number.
    """

    client_id: int = u64()


class HeartbeatRequest(Request, code=RequestType.HEARTBEAT):
    """Type 2, for tools: no server answers it but with a FAILURE, 1.11 not at all.

    Args:
        timestamp: any number.
    """

    timestamp: int = u64()


class OpenRequest(Request["DbResponse"], code=RequestType.OPEN, answers=(ResponseType.DB,)):
    """Open the one database of this connection.

    Args:
        name: of the database, a plain file name.
        flags: servers ignore them.
        vfs: servers ignore it.
    """

    name: str = text(cap="max_filename_size", shows=True)
    flags: int = u64(default=0)
    vfs: str = text(default="", cap="max_filename_size", shows=True)


class PrepareRequest(
    Request["StmtResponse"], code=RequestType.PREPARE, schemas=(0, 1), answers=(ResponseType.STMT,)
):
    """Prepare a statement.

    Args:
        db_id: the id of the database, of the answer to OPEN.
        sql: the statement.
        schema: 1 (dqlite 1.15 and newer) asks for an answer that says where the next statement begins.

    Raises:
        EncodeError: a value out of range.
    """

    db_id: int = u64()
    sql: str = text(cap="max_text_value_size")
    schema: int = schema_byte(default=0)


class ExecRequest(
    ParamsRequest["ResultResponse"], code=RequestType.EXEC, schemas=(0, 1), answers=(ResponseType.RESULT,)
):
    """Run a prepared statement that yields no rows.

    Args:
        db_id: the id of the database, of the answer to OPEN.
        stmt_id: the id of the statement, of the answer to PREPARE.
        params: a sequence of None, bool, int, float, str or bytes-like values; each is sent as the type that
            its Python type stands for.
        schema: of the parameter tuple; by default 0 for at most 255 values, else 1 (dqlite 1.12 and newer).
        empty_header: without parameters, whether a parameter tuple of none is sent rather than nothing.

    Raises:
        EncodeError: a value out of range; on encoding, a parameter that no type holds.
    """

    db_id: int = u32()
    stmt_id: int = u32()
    params: Sequence[WireInput] = field(Params, default=())


class QueryRequest(
    ParamsRequest["RowsResponse"], code=RequestType.QUERY, schemas=(0, 1), answers=(ResponseType.ROWS,)
):
    """Run a prepared statement that yields rows.

    Args:
        db_id: the id of the database, of the answer to OPEN.
        stmt_id: the id of the statement, of the answer to PREPARE.
        params: a sequence of None, bool, int, float, str or bytes-like values; each is sent as the type that
            its Python type stands for.
        schema: of the parameter tuple; by default 0 for at most 255 values, else 1 (dqlite 1.12 and newer).
        empty_header: without parameters, whether a parameter tuple of none is sent rather than nothing.

    Raises:
        EncodeError: a value out of range; on encoding, a parameter that no type holds.
    """

    db_id: int = u32()
    stmt_id: int = u32()
    params: Sequence[WireInput] = field(Params, default=())


class FinalizeRequest(Request["EmptyResponse"], code=RequestType.FINALIZE, answers=(ResponseType.EMPTY,)):
    """Drop a prepared statement; its id may be given to the next one.

    Args:
        db_id: the id of the database.
        stmt_id: the id of the statement.
    """

    db_id: int = u32()
    stmt_id: int = u32()


class ExecSqlRequest(
    ParamsRequest["ResultResponse"], code=RequestType.EXEC_SQL, schemas=(0, 1), answers=(ResponseType.RESULT,)
):
    """Run SQL text, statement after statement; the answer is that of the last one.

    Args:
        db_id: the id of the database, of the answer to OPEN.
        sql: the SQL text.
        params: a sequence of None, bool, int, float, str or bytes-like values; each is sent as the type that
            its Python type stands for.
        schema: of the parameter tuple; by default 0 for at most 255 values, else 1 (dqlite 1.12 and newer).
        empty_header: without parameters, whether a parameter tuple of none is sent rather than nothing.

    Raises:
        EncodeError: a value out of range; on encoding, a parameter that no type holds.
    """

    db_id: int = u64()
    sql: str = text(cap="max_text_value_size")
    params: Sequence[WireInput] = field(Params, default=())


class QuerySqlRequest(
    ParamsRequest["RowsResponse"], code=RequestType.QUERY_SQL, schemas=(0, 1), answers=(ResponseType.ROWS,)
):
    """Run one SQL statement that yields rows.

    Args:
        db_id: the id of the database, of the answer to OPEN.
        sql: the SQL text.
        params: a sequence of None, bool, int, float, str or bytes-like values; each is sent as the type that
            its Python type stands for.
        schema: of the parameter tuple; by default 0 for at most 255 values, else 1 (dqlite 1.12 and newer).
        empty_header: without parameters, whether a parameter tuple of none is sent rather than nothing.

    Raises:
        EncodeError: a value out of range; on encoding, a parameter that no type holds.
    """

    db_id: int = u64()
    sql: str = text(cap="max_text_value_size")
    params: Sequence[WireInput] = field(Params, default=())


class InterruptRequest(Request["EmptyResponse"], code=RequestType.INTERRUPT, answers=(ResponseType.EMPTY,)):
    """Stop the query that is running; the stream of its answers ends at the next EMPTY.

    Args:
        db_id: servers ignore it.
    """

    db_id: int = u64(default=0)


class ConnectRequest(Request, code=RequestType.CONNECT):
    """Turn the connection over to raft, for tools; never answered.

    Args:
        node_id: the id of the node that connects.
        address: its address.
    """

    node_id: int = u64()
    address: str = text(cap="max_address_size", shows=True)


class AddRequest(Request["EmptyResponse"], code=RequestType.ADD, answers=(ResponseType.EMPTY,)):
    """Add a node to the cluster as a spare.

    Args:
        node_id: its id.
        address: its address.
    """

    node_id: int = u64()
    address: str = text(cap="max_address_size", shows=True)


class AssignRequest(Request["EmptyResponse"], code=RequestType.ASSIGN, answers=(ResponseType.EMPTY,)):
    """Give a node a role; the body of one word that old clients send makes it a voter.

    Args:
        node_id: its id.
        role: a `NodeRole`, or its number.
    """

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


class RemoveRequest(Request["EmptyResponse"], code=RequestType.REMOVE, answers=(ResponseType.EMPTY,)):
    """Remove a node from the cluster.

    Args:
        node_id: its id.
    """

    node_id: int = u64()


class DumpRequest(Request["FilesResponse"], code=RequestType.DUMP, answers=(ResponseType.FILES,)):
    """Ask for the files of a database.

    Args:
        name: of the database.
    """

    name: str = text(cap="max_dump_filename_size", shows=True)


class ClusterRequest(Request["ServersResponse"], code=RequestType.CLUSTER, answers=(ResponseType.SERVERS,)):
    """Ask for the nodes of the cluster.

    Args:
        format: 1; format 0, whose answer has no roles, is read but never written.
    """

    format: int = u64(default=1, low=1, high=1, decodes=(0, 1))

    def _before_encoding(self) -> None:
        if self.format != 1:
            raise EncodeError(f"got {self.format}, only 1 is encoded", path="ClusterRequest.format")


class TransferRequest(Request["EmptyResponse"], code=RequestType.TRANSFER, answers=(ResponseType.EMPTY,)):
    """Hand leadership to a voter.

    Args:
        target_node_id: its id; 0 lets the leader choose.
    """

    target_node_id: int = u64()


class DescribeRequest(
    Request["MetadataResponse"], code=RequestType.DESCRIBE, answers=(ResponseType.METADATA,)
):
    """Ask a node for its metadata.

    Args:
        format: 0; any other kills the node.
    """

    format: int = u64(default=0, low=0, high=0)

    @classmethod
    def decode_body(cls, data: bytes, schema: int = 0, *, strict: bool = True) -> DescribeRequest:
        """Decode a body.

        Args:
            data: the body, without header.
            schema: 0, the only layout.
            strict: whether a format other than 0 is an error.

        Raises:
            DecodeError: a body that is not one of DESCRIBE.
        """
        if strict:
            return super().decode_body(data, schema)
        checked_schema(cls, schema)
        frame = frame_around(data)
        return read_as(cls._read_any_format, cls.__name__, frame, len(frame), DEFAULT_OPTIONS)

    @classmethod
    def _read_any_format(cls, cursor: Cursor) -> DescribeRequest:
        return fill(cls, (cursor.unsigned("format", 8),))


class WeightRequest(Request["EmptyResponse"], code=RequestType.WEIGHT, answers=(ResponseType.EMPTY,)):
    """Set a node's weight, which it keeps in memory only.

    Args:
        weight: any number.
    """

    weight: int = u64()
