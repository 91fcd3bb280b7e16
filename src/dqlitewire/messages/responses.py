"""Responses, server to client: the declarations (dqlite src/response.h); ROWS, SERVERS, FILES: `by_hand`."""

from __future__ import annotations

from ..checks import checked_integer
from ..constants import PROTOCOL_VERSION_LEGACY, ResponseType
from ..declare.contract import DERIVED, Field
from ..declare.declared import fill, frame_around, read_as
from ..declare.fields import field, ignored, padding, text, u32, u64
from ..declare.variable import Text
from ..exceptions import EncodeError
from ..limits import (
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
from ..scalars import pack_text
from ..text import sanitize_for_log, sanitize_server_text
from .base import Response, warn
from .by_hand import FilesResponse, NodeInfo, RowsResponse, ServersResponse
from .by_hand import check_role_policy as check_role_policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..declare.cursor import Cursor

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

# Private names that published packages import (dqliteclient 0.2.2: those of addresses and nodes).
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


# FAILURE is found from its end.
#
# The body should be a code and a message. But where a server fails while it encodes another answer, it
# appends code and message to what it has encoded so far, and sends all of it as FAILURE (dqlite 1.18.6
# src/query.c: query__batch, src/gateway.c: failure, which only moves the buffer on). A QUERY whose second
# row overflows gives
#
#     | 1        | "x" NUL  | types    | 5        | 1        | "integer overflow" NUL |
#     '-- half-built rows: names, row ----------'-- code --'-- message -------------'  end
#     start                                      at                              nul
#
# and a reader that begins at the start finds code 1 and message "x". All versions since 1.11 do that, after
# QUERY, QUERY_SQL, DUMP and CLUSTER. The bytes in front may be anything, so nothing can be told from them.
#
# What tells is where the text ends. The message is the last thing in the body: the NUL behind it and its
# padding end with the body. So `at` is a word boundary at which a text that begins one word later has its
# first NUL in the body's last word. Reading goes from the start and takes the first such place.
#
# Could it be one too early, inside the half-built rows? The text would have to run, without a NUL, over the
# true code up to the end of the message. The code is a word below 2**56 (SQLite's extended codes, dqlite's
# own from 1001 on), so its last byte is 0: no text runs over it. A place behind the true one is never tried.
#
# `nul`, the first NUL at or behind `at + 8`, is kept from one place to the next, since it only moves forward;
# so each byte of the body is looked at once, whatever a peer sends.
#
# The message may hold what a user stored (a constraint's value), with control characters; decoding makes it
# fit for logs and terminals (`sanitize_server_text`). The generated decoder accepts only the common case: a
# body of nothing but code and message, and a message of printable ASCII, which sanitizing leaves as it is.


class FailureText(Text):
    """The message of a FAILURE: printable ASCII is certainly right, all else is read plainly."""

    cap: str | None = "max_failure_message_size"

    def conditions(self) -> list[str]:
        return [*super().conditions(), f"{self.name}.isascii()", f"{self.name}.isprintable()"]

    def strategy(self, of: Any) -> Any:
        return super().strategy(of).map(sanitize_server_text)


class FailureResponse(Response, code=ResponseType.FAILURE):
    """A request that failed.

    The connection goes on, and the request is over. Read the message from the end of the body: a server
    that fails while it writes another answer sends what it has written so far in front of code and message.
    The message may quote what a user stored.

    Args:
        code: SQLite's extended code, or one of dqlite's own (from 1001 on).
        message: the server's text.
    """

    code: int = u64()
    message: str = field(FailureText)

    @classmethod
    def _read(cls, cursor: Cursor) -> FailureResponse:
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


class LeaderResponse(Response, code=ResponseType.LEADER):
    """Answer to LEADER: who leads the cluster.

    Behind the legacy handshake the body is the address alone.

    Args:
        node_id: its id, 0 if none is known.
        address: its address, empty if none is known.
    """

    node_id: int = u64(plain_if_empty=True)
    address: str = text(cap="max_address_size", plain_if_empty=True, shows=True)

    def _before_encoding(self) -> None:
        if self.address and not self.node_id:
            raise EncodeError("got 0 with an address, at least 1", path="LeaderResponse.node_id")

    def _after_decoding(self, cursor: Cursor) -> None:
        if self.address and not self.node_id:
            address = sanitize_for_log(self.address)[:40]
            raise cursor.error("node_id", f"got 0 with address {address!r}, at least 1", 8)
        if self.node_id and not self.address:
            warn("LEADER names node %d without an address", self.node_id)

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
        """Decode the answer to a client of the legacy protocol; the id is 0.

        Args:
            data: the body, without header: the address alone.

        Raises:
            DecodeError: bytes that are no text, or a longer one than addresses are.
        """
        frame = frame_around(data)
        return cls._legacy_reader(frame, len(frame), DEFAULT_OPTIONS)

    @staticmethod
    def _legacy_reader(frame: bytes, end: int, options: Options) -> LeaderResponse:
        return read_as(LeaderResponse._read_legacy, "LeaderResponse", frame, end, options)

    @classmethod
    def _read_legacy(cls, cursor: Cursor) -> LeaderResponse:
        return fill(cls, (0, cursor.text("address", cursor.options.max_address_size)))

    @classmethod
    def _layouts(cls, version: int) -> tuple[Callable[[Cursor], object], ...]:
        return (cls._read_legacy if version == PROTOCOL_VERSION_LEGACY else cls._read,)


class WelcomeResponse(Response, code=ResponseType.WELCOME):
    """Answer to CLIENT.

    Args:
        heartbeat_timeout: in milliseconds; 15000 of every server that was recorded.
    """

    heartbeat_timeout: int = u64(plain_if_empty=True)

    @property
    def heartbeat_timeout_seconds(self) -> float:
        """The timeout in seconds."""
        return self.heartbeat_timeout / 1000

    def _after_decoding(self, cursor: Cursor) -> None:
        if not self.heartbeat_timeout:
            warn("WELCOME announces a heartbeat timeout of 0")


class DbResponse(Response, code=ResponseType.DB):
    """Answer to OPEN.

    Args:
        db_id: the id of the database, 0 on every server.
    """

    db_id: int = u32()
    unused: None = padding()


def check_tail_offset(schema: object, tail_offset: int | None, path: str) -> int | None:
    """Return the tail offset that a schema given by the caller stands for."""
    if checked_integer(schema, 0, 1, path):
        return tail_offset or 0
    if tail_offset is not None:
        raise EncodeError("got 0 with a tail offset, 1 is needed", path=path)
    return None


class StmtSchema(Field):
    """The header's schema byte: 1 with a tail offset, else 0; given as 1 it stands for the tail offset 0."""

    kind: str = "stmt_schema"
    place: str = DERIVED
    needed_name: str = "schema"
    is_stored = False
    uses: tuple[Any, ...] = (check_tail_offset,)
    compared = False

    def check(self, path: str) -> list[str]:
        return [
            "if schema is not None:",
            f"    tail_offset = $check_tail_offset(schema, tail_offset, {path!r})",
        ]

    def attribute(self) -> object:
        return property(lambda message: 0 if message.tail_offset is None else 1)

    def strategy(self, of: Any) -> Any:
        return of.st.none()  # it follows from the tail offset


class StmtResponse(Response, code=ResponseType.STMT, schemas=(0, 1)):
    """Answer to PREPARE: the prepared statement.

    Ids are small and given again after FINALIZE. Of schema 1, `tail_offset` counts bytes of UTF-8.

    Args:
        db_id: the id of the database.
        stmt_id: the id of the statement, for EXEC, QUERY and FINALIZE.
        num_params: how many parameters it has.
        tail_offset: in schema 1, the bytes of SQL that were consumed, where the next statement begins;
            None in schema 0.
        schema: 0 or 1; by default 1 with a tail offset, else 0.

    Raises:
        EncodeError: a value out of range, or schema 0 with a tail offset.
    """

    db_id: int = u32()
    stmt_id: int = u32()
    num_params: int = u64(cap="max_param_count")
    tail_offset: int | None = u64(default=None, cap="max_tail_offset", since=1)
    schema: int = field(StmtSchema, default=None)


class ResultResponse(Response, code=ResponseType.RESULT):
    """Answer to EXEC and EXEC_SQL; both numbers may be left over from an earlier statement of the connection.

    Args:
        last_insert_id: the row id of the last row inserted, as an unsigned number.
        rows_affected: the number of rows changed.
    """

    last_insert_id: int = u64(shows=False)
    rows_affected: int = u64(cap="max_rows_affected")

    @property
    def last_insert_id_signed(self) -> int:
        """The row id as SQLite has it, a signed 64-bit integer."""
        return self.last_insert_id - (self.last_insert_id >> 63 << 64)


class EmptyResponse(Response, code=ResponseType.EMPTY):
    """A request without an answer of its own was done, or a query was interrupted."""

    unused: None = ignored()


class MetadataResponse(Response, code=ResponseType.METADATA):
    """Answer to DESCRIBE.

    Args:
        failure_domain: the node's failure domain, a number that its operator chose.
        weight: the node's weight among candidates for a role.
    """

    failure_domain: int = u64()
    weight: int = u64()
