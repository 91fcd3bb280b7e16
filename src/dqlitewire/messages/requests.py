"""Requests, client to server: the declarations (dqlite src/request.h, src/protocol.h)."""

from __future__ import annotations

from ..checks import checked_integer
from ..constants import NodeRole, RequestType, ResponseType
from ..declare.contract import HEADER, Field
from ..declare.declared import checked_schema, fill, frame_around, read_as
from ..declare.fields import field, reserved, role, text, u32, u64
from ..exceptions import EncodeError
from ..limits import DEFAULT_OPTIONS, MAX_PARAM_COUNT
from ..scalars import U64
from .base import Request
from .params import Params, ParamsRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

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
    """Ask any node for the leader's id and address.

    A voter names the leader, or id 0 and no address while it knows none. A node without a vote answers id
    0; behind the legacy handshake it names the leader's address all the same.
    """

    unused: None = reserved()


class ClientRequest(Request["WelcomeResponse"], code=RequestType.CLIENT, answers=(ResponseType.WELCOME,)):
    """Announce a client's id; a session may do without.

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

    A connection has one database, and its id is always 0: a second OPEN fails. Use plain names of at most
    504 bytes: a longer, an empty one, or one like a URI, harms the server. Leadership that is lost closes
    the database, its statements and transaction: after "no database opened" it has to be opened again.

    Args:
        name: of the database, a plain file name.
        flags: servers ignore them.
        vfs: servers ignore it.
    """

    name: str = text(cap="max_filename_size", shows=True)
    flags: int = u64(default=0)
    vfs: str = text(default="", cap="max_filename_size", shows=True)


class SchemaByte(Field):
    """The header's schema byte, an argument of the constructor."""

    kind: str = "schema"
    place: str = HEADER
    needed_name: str = "schema"
    uses: tuple[Any, ...] = (type, int, checked_integer)

    def check(self, path: str) -> list[str]:
        name = self.name
        return [
            f"if $type({name}) is not $int or {name} >> 1:",
            f"    {name} = $checked_integer({name}, 0, 1, {path!r})",
        ]

    @property
    def schema(self) -> str:
        return f"self.{self.name}"

    def stored(self, schema: int) -> str:
        return str(schema)

    def plain(self, cursor: Cursor, values: dict[str, object]) -> int:
        return cursor.schema

    def strategy(self, of: Any) -> Any:
        return of.st.sampled_from([0, 1])


class PrepareRequest(
    Request["StmtResponse"], code=RequestType.PREPARE, schemas=(0, 1), answers=(ResponseType.STMT,)
):
    """Prepare a statement.

    Only the first statement of the text is prepared. What follows it is an error in schema 0 (1.11 drops it
    without a word); in schema 1 the answer tells where it begins, so that a client can go on from there. A
    text without any statement is FAILURE 0 "empty statement".

    Args:
        db_id: the id of the database, of the answer to OPEN.
        sql: the statement.
        schema: 1 (dqlite 1.15 and newer) asks for an answer that says where the next statement begins.

    Raises:
        EncodeError: a value out of range.
    """

    db_id: int = u64()
    sql: str = text(cap="max_text_value_size")
    schema: int = field(SchemaByte, default=0)


class ExecRequest(
    ParamsRequest["ResultResponse"], code=RequestType.EXEC, schemas=(0, 1), answers=(ResponseType.RESULT,)
):
    """Run a prepared statement that yields no rows.

    Both ids share a word. Send all parameters each time: up to 1.18.1 a statement keeps the values of its
    last run where none are sent, later it has NULL there.

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

    The rows come in frames of about a page (4096 bytes), each with the column names again; a FAILURE may
    come in place of any of them. A statement without columns is run and answered by ROWS without columns,
    but 1.11.1 refuses it.

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

    Finalize an id once: a finalized id kills a server while a higher one is open on the connection.

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

    The statements are no transaction: those before one that fails stay. A text without any statement is
    answered as if it had been run. Up to 1.18.1 all parameters belong to the first statement; from 1.18.2
    on each statement takes the next ones, and those that are missing are NULL.

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

    More than one statement is FAILURE 1 "nonempty statement tail"; 1.11.1 drops what follows the first one.
    From 1.18.2 on the same words also stand for other failures of a single statement, such as a busy
    database.

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

    It is the one request that is sent while another is being answered. Servers read it only when the query
    has sent all its rows, so frames of the query may still come, up to the last one; then comes one EMPTY.
    With nothing running it is answered by EMPTY at once.

    Args:
        db_id: servers ignore it.
    """

    db_id: int = u64(default=0)


class ConnectRequest(Request, code=RequestType.CONNECT):
    """Turn the connection over to raft, for tools; never answered.

    A node sends it as the first frame behind its handshake. From then on the connection carries messages
    between nodes, from the node that connected to the other one alone.

    Args:
        node_id: the id of the node that connects.
        address: its address.
    """

    node_id: int = u64()
    address: str = text(cap="max_address_size", shows=True)


class AddRequest(Request["EmptyResponse"], code=RequestType.ADD, answers=(ResponseType.EMPTY,)):
    """Add a node to the cluster as a spare.

    A spare has no copy of the data and no vote: ASSIGN gives it a role.

    Args:
        node_id: its id.
        address: its address.
    """

    node_id: int = u64()
    address: str = text(cap="max_address_size", shows=True)


class AssignRequest(Request["EmptyResponse"], code=RequestType.ASSIGN, answers=(ResponseType.EMPTY,)):
    """Give a node a role; the body of one word that old clients send makes it a voter.

    A node becomes a voter once it has caught up, and only then the answer comes. The two forms of the body
    differ by length alone. A role above 2 is not refused by servers and disables the node.

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

    Any node answers from its own copy, and no OPEN is needed. Up to 1.18.1 an unknown name is answered by
    two empty files, by 1.18.7 with FAILURE 1002.

    Args:
        name: of the database.
    """

    name: str = text(cap="max_dump_filename_size", shows=True)


class ClusterRequest(Request["ServersResponse"], code=RequestType.CLUSTER, answers=(ResponseType.SERVERS,)):
    """Ask for the nodes of the cluster.

    Nodes come in the order in which they joined. The answer does not say its format, so the client has to
    remember what it asked.

    Args:
        format: 1; format 0, whose answer has no roles, is read but never written.
    """

    format: int = u64(default=1, low=1, high=1, decodes=(0, 1))

    def _before_encoding(self) -> None:
        if self.format != 1:
            raise EncodeError(f"got {self.format}, only 1 is encoded", path="ClusterRequest.format")


class TransferRequest(Request["EmptyResponse"], code=RequestType.TRANSFER, answers=(ResponseType.EMPTY,)):
    """Hand leadership to a voter.

    The answer comes when the node has ceased to lead.

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
    """Set a node's weight, which DESCRIBE tells.

    Args:
        weight: any number.
    """

    weight: int = u64()
