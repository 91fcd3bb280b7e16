"""One thing that passed on a connection: a message, or what is none (`OTHER_TYPES`).

Every view (line, tree, hexdump, JSON, transcript, statistics) is made of items.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dqlitewire import DecodeError, Message
from dqlitewire.conversation import Exchange, Frame, Side
from dqlitewire.explain import Span, explain
from dqlitewire.header import type_name
from dqlitewire.messages import REGISTRY
from dqlitewire.traffic.redact import hidden_parts, redact_code, redact_message, redact_sql, redact_text
from dqlitewire.traffic.sources.pieces import Connection

#: what passes besides messages: the type of such an item, and what it is
OTHER_TYPES = {
    "HANDSHAKE": "the word that names the version, in front of all requests",
    "HTTP": "the upgrade in front of the handshake, and what follows where it was refused",
    "TLS": "an encrypted stream",
    "RAFT": "what nodes say to each other, behind CONNECT",
    "GAP": "bytes that were lost in capturing",
    "GARBAGE": "bytes that are no frame",
    "INCOMPLETE": "the stream ends inside a frame",
    "UNANSWERED": "a request whose answer never came",
    "END": "a side has closed",
}

#: those of them whose bytes are no dqlite
NO_FRAMES = frozenset({"GARBAGE", "INCOMPLETE"})

#: the types of all items, but for `type N` of unknown codes
TYPES = frozenset({*OTHER_TYPES, *(type_name(code, is_request) for is_request, code in REGISTRY)})


class Item:
    """Something that passed on a connection.

    Attributes:
        connection: where it passed.
        side: who sent it.
        type: the message type's name, such as "QUERY_SQL", `type N` for an unknown code, or one of
            OTHER_TYPES.
        code: the type code of a message; None for what is none.
        schema: the schema of its header; None for what is none.
        time: of its first byte, in nanoseconds since 1970; 0 if unknown.
        last: of its last byte.
        began: the first time that is known of its source, whatever of it is shown; 0 before `Clock.watch`.
        before: the time of the item in front of it, shown or not; 0 if none has one.
        offset: of its first byte in the side's byte stream.
        data: its bytes (of a GAP none).
        size: how many there are, or were.
        note: what kind of preamble, or why bytes are garbage.
        exchange: counts requests of a connection; an answer has the number of its request. None where there
            is none.
        latency: nanoseconds from the end of the request to the end of this answer.
        sql: the statement's text, for prepared ones too.
        over: the exchanges that end here; they hold what was sent, redacted or not.
        left_out: how many frames in front of it a selection did not keep, and their bytes.
        redacted: values are hidden in `data`, `message` and `sql`.
        frame: what the observer said of a message, redacted like the rest; None for what is none.
        probe: it asks for the server's generation (`servers.generation`), or answers that. The request does
            not decode and the answer is mostly a FAILURE, and neither says that anything is wrong.
    """

    # most items leave most of these as they are: class attributes cost nothing then
    last: int = 0
    began: int = 0
    before: int = 0
    code: int | None = None
    schema: int | None = None
    data = b""
    size = 0
    note = ""
    exchange: int | None = None
    latency: int | None = None
    sql: str | None = None
    over: Sequence[Exchange] = ()
    left_out: tuple[int, int] = (0, 0)
    redacted = False
    frame: Frame | None = None
    probe: bool = False

    def __init__(self, connection: Connection, side: Side, type: str, offset: int, time: int) -> None:
        self.connection = connection
        self.side = side
        self.type = type
        self.offset = offset
        self.time = self.last = time

    @property
    def is_request(self) -> bool:
        """Whether the client sent it."""
        return self.side is Side.CLIENT

    @property
    def message(self) -> Message | None:
        """The decoded message; None for what is none, and for what does not decode."""
        return None if self.frame is None else self.frame.message

    @property
    def rows(self) -> int:
        """Rows of a ROWS message."""
        return 0 if self.frame is None else self.frame.rows

    @property
    def error(self) -> DecodeError | None:
        """Why a message does not decode."""
        return None if self.frame is None or self.frame.message is not None else self.frame.error

    def spans(self) -> Span | None:
        """The bytes of a message with names; None for what is none."""
        if self.frame is None:
            return None
        if self.redacted and self.frame.error is not None:
            return hidden_parts(self.data, self.type, self.frame.error)
        return explain(self.data, is_request=self.is_request, version=self.frame.version)

    def failure_text(self, exchange: Exchange) -> str:
        """The message of the failure that ended an exchange, redacted like the item.

        Args:
            exchange: one of `over`.
        """
        text = exchange.failure.message if exchange.failure is not None else ""
        return redact_text(text, partial(redact_message, sql=exchange.sql)) if self.redacted else text

    def failure_code(self, exchange: Exchange) -> int:
        """The code of the failure that ended an exchange, redacted like the item; 0 if none did.

        Args:
            exchange: one of `over`.
        """
        code = exchange.failure.code if exchange.failure is not None else 0
        return redact_code(code) if self.redacted else code

    def sql_of(self, exchange: Exchange) -> str | None:
        """The statement's text of an exchange, redacted like the item; None if it has none.

        Args:
            exchange: one of `over`.
        """
        text = exchange.sql
        return redact_text(text, redact_sql) if self.redacted and text is not None else text

    @property
    def strange(self) -> bool:
        """Whether these bytes are no message, or none that decodes; the request of a probe is neither."""
        if self.type in NO_FRAMES:
            return True
        return self.error is not None and not (self.probe and self.is_request)
