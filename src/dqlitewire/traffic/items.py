"""Sources turned into items: one for every message, preamble, gap and stretch of garbage, in the order they passed.

This is the one place where the observer's events are read; every view (line, tree, hexdump, JSON, transcript, statistics) is
made of items.
"""

from __future__ import annotations

from collections.abc import Iterator

from dqlitewire import DecodeError, Message
from dqlitewire.constants import PROTOCOL_VERSION
from dqlitewire.conversation import (
    End,
    Event,
    Exchange,
    Frame,
    Garbage,
    Gap,
    LazyFrame,
    Observer,
    Opaque,
    Preamble,
    Raft,
    Side,
)
from dqlitewire.traffic.redact import redact, redact_other
from dqlitewire.traffic.sources import Source
from dqlitewire.traffic.streams import Connection, What


class Item:
    """Something that passed on a connection.

    Attributes:
        connection, side: where; `side` is who sent it.
        type: the message type's name, such as "QUERY_SQL", or "HANDSHAKE", "HTTP", "GARBAGE", "GAP", "RAFT", "OPAQUE", "INCOMPLETE",
            "UNANSWERED".
        code, schema: of a message; None for the rest.
        time, last: of its first and last byte, in nanoseconds since 1970; 0 if unknown.
        offset: of its first byte in the side's byte stream.
        data: its bytes (of a GAP none).
        size: how many there are, or were.
        note: what kind of preamble, or why bytes are garbage.
        exchange: counts requests of a connection; an answer has the number of its request. None where there is none.
        latency: nanoseconds from the end of the request to the end of this answer.
        sql: the statement's text, for prepared ones too.
        over: the exchange that ends here; None where none does.
    """

    __slots__ = (
        "_frame", "_message", "code", "connection", "data", "error", "exchange", "last", "latency", "note", "offset",
        "over", "schema", "side", "size", "sql", "time", "type",
    )  # fmt: skip

    def __init__(self, connection: Connection, side: Side, type: str, offset: int, time: int) -> None:
        self.connection = connection
        self.side = side
        self.type = type
        self.code: int | None = None
        self.schema: int | None = None
        self.time = time
        self.last = time
        self.offset = offset
        self.data = b""
        self.size = 0
        self.note = ""
        self.exchange: int | None = None
        self.latency: int | None = None
        self.sql: str | None = None
        self.error: DecodeError | None = None
        self.over: Exchange | None = None
        self._frame: Frame | LazyFrame | None = None
        self._message: Message | None = None

    @property
    def is_request(self) -> bool:
        """Whether the client sent it."""
        return self.side is Side.CLIENT

    @property
    def message(self) -> Message | None:
        """The decoded message; None for what is none, and if it does not decode (`error` says why)."""
        if self._frame is None:
            return None
        self.error = self._frame.error
        return self._frame.message
