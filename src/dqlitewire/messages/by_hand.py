"""ROWS, SERVERS and FILES: answers of variable length, read and written by hand.

The rows of ROWS are `dqlitewire.rows`. The others are a count and as many entries, which come one by one.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..checks import checked_items, checked_option, checked_text, checked_text_errors, choice_of
from ..constants import NodeRole, ResponseType, ValueType
from ..declare.contract import DERIVED, ByHand
from ..declare.declared import Value, checked_schema, fill, frame_around, read_as, slots_of
from ..declare.fields import by_hand, field, role, text, u64
from ..exceptions import EncodeError
from ..limits import DEFAULT_MAX_ROWS, Options
from ..rows.read import read_rows
from ..rows.row_types import RowTypes, checked_rows
from ..scalars import U64, blob_bytes, pack_text
from ..text import kind_of, shown
from ..values import WireValue
from .base import Response, framed, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..declare.cursor import Cursor
    from ..rows.row_types import Row

__all__ = [
    "FilesResponse",
    "NodeInfo",
    "RowsResponse",
    "ServersResponse",
    "check_role_policy",
    "rows_response",
]


class RowsResponse(Response, code=ResponseType.ROWS):
    """One frame of a result: column names, rows, and whether more frames follow.

    An answer is one frame or many: each but the last ends with PART, the last with DONE. A frame may hold
    no rows. Each row has types of its own, since a column of SQLite holds values of any type. See the page
    of values.

    Args:
        column_names: repeated in every frame.
        column_types: types of the first row; on encoding those of every row, unless `row_types` is given.
        row_types: types of each row, which may change from row to row.
        rows: tuples of values.
        has_more: the frame ends with the PART marker.
    """

    column_names: list[str] = by_hand("names", smallest=8, default=())
    column_types: list[ValueType] = by_hand("types", default=())
    row_types: Sequence[tuple[ValueType, ...]] = by_hand("types", default=())
    rows: list[tuple[WireValue, ...]] = by_hand("rows", default=())
    has_more: bool = by_hand("marker", smallest=8, default=False)

    DEFAULT_MAX_ROWS = DEFAULT_MAX_ROWS

    def __init__(
        self,
        column_names: Sequence[str] = (),
        column_types: Sequence[ValueType] = (),
        row_types: Sequence[Sequence[ValueType]] = (),
        rows: Sequence[Sequence[WireValue]] = (),
        has_more: bool = False,
    ) -> None:
        names = checked_items(column_names, "RowsResponse.column_names")
        types = checked_items(column_types, "RowsResponse.column_types")
        if type(row_types) is not RowTypes:
            row_types = RowTypes.of(row_types, "RowsResponse.row_types")
        tuples = checked_rows(rows, "RowsResponse.rows")
        more = bool(has_more)
        _set_names(self, names)
        _set_types(self, types)
        _set_row_types(self, row_types)
        _set_rows(self, tuples)
        _set_more(self, more)

    def _frame(self, options: Options) -> bytes:
        parts = write_rows(self, options)
        return framed(ResponseType.ROWS, parts)

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
            data: the body, without header.
            schema: 0, the only layout.
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
        return (cls._note_parts,)

    @classmethod
    def _note_parts(cls, cursor: Cursor) -> None:
        from ..rows.explain import explain_rows  # no decoder needs it

        if cursor.parts is not None:
            cursor.pos = explain_rows(cursor.data, cursor.end, cursor.options, cursor.parts.note)

    @staticmethod
    def _read_frame(frame: bytes, end: int, options: Options) -> RowsResponse:
        return read_rows_response(frame, end, options)


def _first_write_rows(message: RowsResponse, options: Options) -> list[bytes]:
    """Import what writes rows, which clients never need, and take its place from the first use on."""
    global write_rows
    from ..rows.write import write_rows

    return write_rows(message, options)


write_rows = _first_write_rows


def read_rows_response(frame: bytes, end: int, options: Options) -> RowsResponse:
    return rows_response(*read_rows(frame, end, options))


def rows_response(names: list[str], types: RowTypes, rows: list[Row], more: bool) -> RowsResponse:
    """Return the message of these, which were read and are not checked again."""
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


class Nodes(ByHand):
    """A count of nodes, then id, address and in format 1 the role of each."""

    kind: str = "nodes"
    smallest: int = 8
    cap: str | None = "max_node_count"

    def strategy(self, of: Any) -> Any:
        def id_of(node: NodeInfo) -> int:
            return node.node_id

        return of.st.lists(of.node_infos(), max_size=5, unique_by=id_of)


class Format(ByHand):
    """The format that CLUSTER asked for, which does not stand in the answer."""

    kind: str = "format"
    place: str = DERIVED
    largest: int | None = 0

    def strategy(self, of: Any) -> Any:
        return of.st.just(1)


class Files(ByHand):
    """A count of files, then name, size and content of each."""

    kind: str = "files"
    smallest: int = 8
    cap: str | None = "max_file_count"

    def strategy(self, of: Any) -> Any:
        def whole_words(data: bytes) -> bytes:
            return data * 8

        return of.st.dictionaries(of.texts(), of.st.binary(max_size=5).map(whole_words), max_size=4)


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


class NodeInfo(Value):
    """A node of the cluster.

    Args:
        node_id: its id, at least 1.
        address: its address, not empty.
        role: voter, stand-by or spare.
    """

    node_id: int = u64(low=1)
    address: str = text(cap="max_address_size", low=1, shows=True)
    role: NodeRole = role()


class ServersResponse(Response, code=ResponseType.SERVERS):
    """Answer to CLUSTER: the nodes of the cluster.

    Args:
        nodes: a sequence of `NodeInfo`.
        format: 1, or 0 without roles, in which every node is read as a voter.

    Raises:
        EncodeError: what is no node, or another format.
    """

    nodes: list[NodeInfo] = field(Nodes, default=())
    format: int = field(Format, default=1, kw_only=True)

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
        return framed(ResponseType.SERVERS, parts)

    @classmethod
    def decode_body(
        cls, data: bytes, schema: int = 0, *, unknown_role_policy: str = "reject", format: int = 1
    ) -> ServersResponse:
        """Decode a body.

        Args:
            data: the body, without header.
            schema: 0, the only layout.
            unknown_role_policy: "reject", or read an unknown role as spare and "warn" or "accept" it.
            format: the format that was asked for; 0 has no roles.

        Raises:
            DecodeError: a body that is not one of SERVERS, an unknown policy or format.
        """
        checked_schema(cls, schema)
        options = Options(unknown_role_policy=check_role_policy(unknown_role_policy))
        chosen = checked_option("format", format, (0, 1))
        frame = frame_around(data)
        read = cls._read if chosen else cls._read_without_roles
        return read_as(read, cls.__name__, frame, len(frame), options)

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
            warn("SERVERS has unknown roles %s, read as spare", ", ".join(map(str, sorted(unknown))))
        return fill(cls, (found, format))

    @classmethod
    def _layouts(cls, version: int) -> tuple[Callable[[Cursor], object], ...]:
        return (cls._read, cls._read_without_roles)

    @classmethod
    def _read_without_roles(cls, cursor: Cursor) -> ServersResponse:
        return cls._read(cursor, format=0)


class FilesResponse(Response, code=ResponseType.FILES):
    """Answer to DUMP: the database and its WAL.

    There are two: the database, and its name with "-wal". Of 1.18.7 the second one is empty, and the first
    has everything.

    Args:
        files: contents by name; each content is whole words when it is encoded.

    Raises:
        EncodeError: no mapping, a name that is no text, or a content that is no bytes.
    """

    files: dict[str, bytes] = field(Files, default=None)

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
        return framed(ResponseType.FILES, parts)

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
