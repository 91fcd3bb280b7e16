"""Responses, server to client: the declarations (dqlite src/response.h), a few with a word of their own."""

from __future__ import annotations

from collections.abc import Mapping

from ..checks import (
    checked_items,
    checked_option,
    checked_rows,
    checked_text,
    checked_text_errors,
    choice_of,
)
from ..constants import HEADER_SIZE, PROTOCOL_VERSION_LEGACY, NodeRole, ResponseType, ValueType
from ..declare.cursor import Cursor
from ..declare.declared import Value, checked_schema, fill, frame_around, slots_of
from ..declare.fields import files, ignored, nodes, other, padding, role, stmt_schema, text, u32, u64
from ..exceptions import EncodeError
from ..limits import (
    DEFAULT_MAX_ROWS,
    DEFAULT_OPTIONS,
    MAX_ADDRESS_SIZE,
    MAX_COLUMN_COUNT,
    MAX_COLUMN_NAME_SIZE,
    MAX_DUMP_FILENAME_SIZE,
    MAX_FAILURE_MESSAGE_SIZE,
    MAX_FILE_CONTENT_SIZE,
    MAX_FILE_COUNT,
    MAX_FILENAME_SIZE,
    MAX_NODE_COUNT,
    MAX_PARAM_COUNT,
    MAX_ROWS_AFFECTED,
    MAX_TAIL_OFFSET,
    Options,
)
from ..rows.read import RowTypes, explain_rows, read_rows
from ..rows.write import write_rows
from ..text import kind_of, sanitize_for_log, sanitize_server_text, shown
from ..types import U64, WireValue, blob_bytes, pack_text
from .base import HEADER, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "DbResponse",
    "EmptyResponse",
    "FailureResponse",
    "FilesResponse",
    "LeaderResponse",
    "MetadataResponse",
    "NodeInfo",
    "ResultResponse",
    "RowsResponse",
    "ServersResponse",
    "StmtResponse",
    "WelcomeResponse",
    "sanitize_for_log",
    "sanitize_server_text",
]

_MAX_ADDRESS_SIZE = MAX_ADDRESS_SIZE
_MAX_COLUMN_COUNT = MAX_COLUMN_COUNT
_MAX_COLUMN_NAME_SIZE = MAX_COLUMN_NAME_SIZE
_MAX_DUMP_FILENAME_SIZE = MAX_DUMP_FILENAME_SIZE
_MAX_FAILURE_MESSAGE_SIZE = MAX_FAILURE_MESSAGE_SIZE
_MAX_FILE_CONTENT_SIZE = MAX_FILE_CONTENT_SIZE
_MAX_FILE_COUNT = MAX_FILE_COUNT
_MAX_FILENAME_SIZE = MAX_FILENAME_SIZE
_MAX_NODE_COUNT = MAX_NODE_COUNT
_MAX_PARAM_COUNT = MAX_PARAM_COUNT
_MAX_ROWS_AFFECTED = MAX_ROWS_AFFECTED
_MAX_TAIL_OFFSET = MAX_TAIL_OFFSET


def _warn(text: str, *values: object) -> None:
    from ..log import logger

    logger(__name__).warning(text, *values)


class FailureResponse(
    Response, code=ResponseType.FAILURE, fast_if="message.isascii() and message.isprintable()"
):
    """A request that failed: SQLite's extended code or one of dqlite's own, and the server's words."""

    code: int = u64()
    message: str = text(cap="max_failure_message_size")

    @classmethod
    def _read(cls, cursor: Cursor) -> FailureResponse:
        # The server appends code and message to what it had encoded of the answer before it failed, and does
        # not clear that (dqlite src/gateway.c: failure). A code below 2**56 has a zero byte, so text begun
        # before the true message never runs to the end of the body: the first that does is the message.
        data, start, end = cursor.data, cursor.pos, cursor.end
        nul = -1
        for at in range(start, end - 15, 8):
            if nul < at + 8:
                nul = data.find(0, at + 8, end)
                if nul < 0:
                    break
            if (nul + 8) & -8 == end:
                cursor.pos = at
                if at > start:
                    cursor.note("half-built rows", start, "bytes")
                code = cursor.unsigned("code", 8)
                message = cursor.text("message", cursor.options.max_failure_message_size)
                return fill(cls, (code, sanitize_server_text(message)))
        cursor.unsigned("code", 8)
        raise cursor.error("message", "no text that ends with the frame")


class LeaderResponse(Response, code=ResponseType.LEADER, fast_if="node_id and address"):
    """Id and address of the leader; (0, "") if none is known."""

    node_id: int = u64()
    address: str = text(cap="max_address_size")

    def _before_encoding(self) -> None:
        if self.address and not self.node_id:
            raise EncodeError("got 0 with an address, at least 1", path="LeaderResponse.node_id")

    def _after_decoding(self, cursor: Cursor) -> None:
        if self.address and not self.node_id:
            address = sanitize_for_log(self.address)[:40]
            raise cursor.error("node_id", f"got 0 with address {address!r}, at least 1", 8)
        if self.node_id and not self.address:
            _warn("LEADER names node %d without an address", self.node_id)

    def encode_body_legacy(self) -> bytes:
        """Encode the answer to a client of the legacy protocol: the address alone.

        Raises:
            EncodeError: there is an id, which that answer cannot carry.
        """
        if self.node_id:
            raise EncodeError(f"got {self.node_id}, only 0 is allowed", path="LeaderResponse.node_id")
        return pack_text(self.address, MAX_ADDRESS_SIZE, "LeaderResponse.address")

    @classmethod
    def decode_body_legacy(cls, data: bytes) -> LeaderResponse:
        """Decode the answer to a client of the legacy protocol; the id is 0."""
        frame = frame_around(data)
        return cls._legacy_reader(frame, len(frame), DEFAULT_OPTIONS)

    @staticmethod
    def _legacy_reader(frame: bytes, end: int, options: Options) -> LeaderResponse:
        cursor = Cursor(frame, HEADER_SIZE, end, options, "LeaderResponse")
        message = LeaderResponse._read_legacy(cursor)
        cursor.finish()
        return message

    @classmethod
    def _read_legacy(cls, cursor: Cursor) -> LeaderResponse:
        return fill(cls, (0, cursor.text("address", cursor.options.max_address_size)))

    @classmethod
    def _layouts(cls, version: int) -> tuple[Callable[[Cursor], object], ...]:
        return (cls._read_legacy if version == PROTOCOL_VERSION_LEGACY else cls._read,)


class WelcomeResponse(Response, code=ResponseType.WELCOME, fast_if="heartbeat_timeout"):
    """Answer to CLIENT: the heartbeat timeout in milliseconds, announced and never enforced."""

    heartbeat_timeout: int = u64()

    @property
    def heartbeat_timeout_seconds(self) -> float:
        """The timeout in seconds."""
        return self.heartbeat_timeout / 1000

    def _after_decoding(self, cursor: Cursor) -> None:
        if not self.heartbeat_timeout:
            _warn("WELCOME announces a heartbeat timeout of 0")


class NodeInfo(Value):
    """A node of the cluster."""

    node_id: int = u64(low=1)
    address: str = text(cap="max_address_size", low=1)
    role: NodeRole = role()


class ServersResponse(Response, code=ResponseType.SERVERS):
    """The nodes of the cluster; format 0 has no roles, and every node is read as a voter."""

    nodes: list[NodeInfo] = nodes(default=())
    format: int = other("format", default=1, kw_only=True)

    def __init__(self, nodes: Sequence[NodeInfo] = (), *, format: int = 1) -> None:
        chosen = choice_of(format, (0, 1))
        if chosen is None:
            raise EncodeError(f"got {shown(format)}, allowed 0 and 1", path="ServersResponse.format")
        copied = checked_items(nodes, "ServersResponse.nodes")
        for i, node in enumerate(copied):
            if type(node) is not NodeInfo:
                problem = f"got {kind_of(node)}, NodeInfo is needed"
                raise EncodeError(problem, path=f"ServersResponse.nodes[{i}]")
        object.__setattr__(self, "nodes", copied)
        object.__setattr__(self, "format", chosen)

    def _frame(self, options: Options) -> bytes:
        path = "ServersResponse.nodes"
        if len(self.nodes) > options.max_node_count:
            limit = options.max_node_count
            raise EncodeError(f"got {len(self.nodes)} nodes, at most {limit}", path=path, limit=limit)
        parts = [U64.pack(len(self.nodes))]
        for i, node in enumerate(self.nodes):
            parts.append(U64.pack(node.node_id))
            parts.append(pack_text(node.address, options.max_address_size, f"{path}[{i}].address"))
            if self.format:
                parts.append(U64.pack(node.role))
        return _framed(ResponseType.SERVERS, parts)

    @classmethod
    def decode_body(
        cls, data: bytes, schema: int = 0, *, unknown_role_policy: str = "reject", format: int = 1
    ) -> ServersResponse:
        """Decode a body.

        Args:
            unknown_role_policy: "reject", or read an unknown role as spare and "warn" or "accept" it.
            format: the format that was asked for; 0 has no roles.

        Raises:
            DecodeError: a body that is not one of SERVERS, an unknown policy or format.
        """
        checked_schema(cls, schema)
        options = Options(unknown_role_policy=check_role_policy(unknown_role_policy))
        chosen = checked_option("format", format, (0, 1))
        frame = frame_around(data)
        cursor = Cursor(frame, 8, len(frame), options, cls.__name__)
        message = cls._read(cursor, chosen)
        cursor.finish()
        return message

    @classmethod
    def _read(cls, cursor: Cursor, format: int = 1) -> ServersResponse:
        limit = cursor.options.max_node_count
        count = _read_count(cursor, "nodes", limit, 24 if format else 16)
        found: list[NodeInfo] = []
        ids: set[int] = set()
        unknown: set[int] = set()
        outer = cursor.path
        for i in range(count):
            start = cursor.pos
            cursor.path = f"{outer}.nodes[{i}]"
            node_id = cursor.unsigned("node_id", 8)
            if not node_id or node_id in ids:
                problem = "got 0, at least 1" if not node_id else f"got {node_id}, which another node has"
                raise cursor.error("node_id", problem, start)
            ids.add(node_id)
            address = cursor.text("address", cursor.options.max_address_size)
            if not address:
                raise cursor.error("address", "got no address", start + 8)
            node_role = NodeRole.VOTER
            if format:
                raw = cursor.unsigned("role", 8)
                if raw > NodeRole.SPARE:
                    if cursor.options.unknown_role_policy == "reject":
                        raise cursor.error("role", f"got {raw}, allowed 0 to 2", cursor.pos - 8)
                    unknown.add(raw)
                    raw = NodeRole.SPARE
                node_role = NodeRole(raw)
            found.append(fill(NodeInfo, (node_id, address, node_role)))
        cursor.path = outer
        if unknown and cursor.options.unknown_role_policy == "warn":
            _warn("SERVERS has unknown roles %s, read as spare", ", ".join(map(str, sorted(unknown))))
        return fill(cls, (found, format))

    @classmethod
    def _layouts(cls, version: int) -> tuple[Callable[[Cursor], object], ...]:
        return (cls._read, lambda cursor: cls._read(cursor, format=0))


def check_role_policy(policy: object) -> str:
    chosen: str = checked_option("unknown_role_policy", policy, ("reject", "warn", "accept"))
    return chosen


def _read_count(cursor: Cursor, name: str, limit: int, smallest: int) -> int:
    start = cursor.pos
    count = cursor.unsigned(name, 8)
    if count > limit:
        raise cursor.error(name, f"got {count}, at most {limit}", start, limit)
    if count * smallest > cursor.end - cursor.pos:
        raise cursor.error(name, f"got {count}, {cursor.end - cursor.pos} bytes are left", start)
    return count


def _framed(code: ResponseType, parts: list[bytes]) -> bytes:
    parts.insert(0, HEADER.pack(sum(map(len, parts)) >> 3, code, 0, 0))
    return b"".join(parts)


class DbResponse(Response, code=ResponseType.DB):
    """Answer to OPEN; the id is 0 on every server."""

    db_id: int = u32()
    unused: None = padding()


class StmtResponse(Response, code=ResponseType.STMT, schemas=(0, 1)):
    """A prepared statement; in schema 1 with the number of bytes of SQL that were consumed."""

    db_id: int = u32()
    stmt_id: int = u32()
    num_params: int = u64(cap="max_param_count")
    tail_offset: int | None = u64(default=None, cap="max_tail_offset", since=1)
    schema: int = stmt_schema(default=None)


class ResultResponse(Response, code=ResponseType.RESULT):
    """What a statement did; both numbers may be left over from an earlier one of the connection."""

    last_insert_id: int = u64()
    rows_affected: int = u64(cap="max_rows_affected")

    @property
    def last_insert_id_signed(self) -> int:
        """The row id as SQLite has it, a signed 64-bit integer."""
        return self.last_insert_id - (self.last_insert_id >> 63 << 64)


class RowsResponse(Response, code=ResponseType.ROWS):
    """One frame of a result: column names, rows, and whether more frames follow.

    Args:
        column_names: repeated in every frame.
        column_types: types of the first row; on encoding those of every row, unless `row_types` is given.
        row_types: types of each row, which may change from row to row.
        rows: tuples of values.
        has_more: the frame ends with the PART marker.
    """

    column_names: list[str] = other("names", default=())
    column_types: list[ValueType] = other("types", default=())
    row_types: Sequence[tuple[ValueType, ...]] = other("types", default=())
    rows: list[tuple[WireValue, ...]] = other("rows", default=())
    has_more: bool = other("marker", default=False)

    DEFAULT_MAX_ROWS = DEFAULT_MAX_ROWS

    def __init__(
        self,
        column_names: Sequence[str] = (),
        column_types: Sequence[ValueType] = (),
        row_types: Sequence[Sequence[ValueType]] = (),
        rows: Sequence[Sequence[WireValue]] = (),
        has_more: bool = False,
    ) -> None:
        path = "RowsResponse"
        known = type(row_types) is RowTypes
        values = (
            checked_items(column_names, f"{path}.column_names"),
            checked_items(column_types, f"{path}.column_types"),
            row_types if known else RowTypes.of(row_types, f"{path}.row_types"),
            checked_rows(rows, f"{path}.rows"),
            bool(has_more),
        )
        for name, value in zip(slots_of(RowsResponse), values, strict=True):
            object.__setattr__(self, name, value)

    def _frame(self, options: Options) -> bytes:
        parts = write_rows(self, options)
        return _framed(ResponseType.ROWS, parts)

    @classmethod
    def decode_body(
        cls,
        data: bytes,
        schema: int = 0,
        max_rows: int | None = DEFAULT_MAX_ROWS,
        *,
        text_errors: str = "strict",
    ) -> RowsResponse:
        """Decode a body.

        Args:
            max_rows: rows at the most, None for any number.
            text_errors: what to do with text that is not UTF-8, the name of a codec error handler.

        Raises:
            DecodeError: a body that is not one of ROWS.
            ValueError: a cap out of range, or an unknown error handler.
        """
        options = Options(text_errors=checked_text_errors(text_errors), max_rows=max_rows)
        checked_schema(cls, schema)
        frame = frame_around(data)
        return read_rows_response(frame, len(frame), options)

    @classmethod
    def _read(cls, cursor: Cursor) -> RowsResponse:
        message = cls._read_frame(cursor.data, cursor.end, cursor.options)
        cursor.pos = cursor.end
        return message

    @classmethod
    def _layouts(cls, version: int) -> tuple[Callable[[Cursor], object], ...]:
        return (explain_rows,)

    @staticmethod
    def _read_frame(frame: bytes, end: int, options: Options) -> RowsResponse:
        return read_rows_response(frame, end, options)


def read_rows_response(frame: bytes, end: int, options: Options) -> RowsResponse:
    names, types, rows, more = read_rows(frame, end, options)
    message: RowsResponse = _new(RowsResponse)
    _set_names(message, names)
    _set_types(message, list(types.first))
    _set_row_types(message, types)
    _set_rows(message, rows)
    _set_more(message, more)
    return message


_new = object.__new__
_set_names, _set_types, _set_row_types, _set_rows, _set_more = (
    RowsResponse.__dict__[name].__set__ for name in slots_of(RowsResponse)
)


class EmptyResponse(Response, code=ResponseType.EMPTY):
    """A request without an answer of its own was done, or a query was interrupted."""

    unused: None = ignored()


class FilesResponse(Response, code=ResponseType.FILES):
    """The files of a database by name: the database and its WAL."""

    files: dict[str, bytes] = files(default=None)

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        path = "FilesResponse.files"
        if files is not None and not issubclass(type(files), Mapping):
            raise EncodeError(f"got {kind_of(files)}, a mapping is needed", path=path)
        copied: dict[str, bytes] = {}
        for i, (name, content) in enumerate((files or {}).items()):
            copied[checked_text(name, f"{path}[{i}].name")] = blob_bytes(
                content, 1 << 64, f"{path}[{i}].content"
            )
        object.__setattr__(self, "files", copied)

    def _frame(self, options: Options) -> bytes:
        path = "FilesResponse.files"
        if len(self.files) > options.max_file_count:
            limit = options.max_file_count
            raise EncodeError(f"got {len(self.files)} files, at most {limit}", path=path, limit=limit)
        parts = [U64.pack(len(self.files))]
        for i, (name, content) in enumerate(self.files.items()):
            where = f"{path}[{i}]"
            if len(content) % 8:
                problem = f"got {len(content)} bytes, whole words are needed"
                raise EncodeError(problem, path=f"{where}.content")
            if len(content) > options.max_file_content_size:
                limit = options.max_file_content_size
                problem = f"got {len(content)} bytes, at most {limit}"
                raise EncodeError(problem, path=f"{where}.content", limit=limit)
            parts += [
                pack_text(name, options.max_filename_size, f"{where}.name"),
                U64.pack(len(content)),
                content,
            ]
        return _framed(ResponseType.FILES, parts)

    @classmethod
    def _read(cls, cursor: Cursor) -> FilesResponse:
        options = cursor.options
        count = _read_count(cursor, "files", options.max_file_count, 16)
        found: dict[str, bytes] = {}
        outer = cursor.path
        for i in range(count):
            start = cursor.pos
            cursor.path = f"{outer}.files[{i}]"
            name = cursor.text("name", options.max_filename_size)
            if name in found:
                raise cursor.error("name", "the name stands there twice", start)
            start = cursor.pos
            size = cursor.unsigned("size", 8)
            if size > options.max_file_content_size:
                limit = options.max_file_content_size
                raise cursor.error("size", f"got {size}, at most {limit}", start, limit)
            if size % 8:
                raise cursor.error("size", f"got {size}, whole words are needed", start)
            found[name] = cursor.raw("content", size)
        cursor.path = outer
        return fill(cls, (found,))


class MetadataResponse(Response, code=ResponseType.METADATA):
    """A node's failure domain and weight."""

    failure_domain: int = u64()
    weight: int = u64()
