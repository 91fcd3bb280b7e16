"""One thing that passed on a connection: a message, or what is none (`OTHER_TYPES`).

Every view (line, tree, hexdump, JSON, transcript, statistics) is made of items.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from dqlitewire import DecodeError, Message
from dqlitewire.conversation import Exchange, Frame, RaftFrame, Side
from dqlitewire.conversation.frames import LazyFrame
from dqlitewire.explain import Span, explain
from dqlitewire.header import HEADER, frame_size_at, type_name
from dqlitewire.messages import REGISTRY
from dqlitewire.raft import MESSAGES, RaftMessage, explain_message
from dqlitewire.traffic.redact import (
    HiddenError,
    hidden_parts,
    redact_code,
    redact_message,
    redact_sql,
    redact_text,
)
from dqlitewire.traffic.sources.pieces import Connection, Taken

#: what passes besides messages: the type of such an item, and what it is
OTHER_TYPES = {
    "HANDSHAKE": "the word that names the version, in front of all requests",
    "HTTP": "the upgrade in front of the handshake, and what follows where it was refused",
    "TLS": "an encrypted stream",
    "RAFT": "what a node says to one that has dialled it, which no node does",
    "GAP": "bytes that were lost in capturing",
    "GARBAGE": "bytes that are no frame",
    "INCOMPLETE": "the stream ends inside a frame",
    "UNANSWERED": "a request whose answer never came",
    "END": "a side has closed",
    "FAULT": "what a proxy spoils next, on order",
}

#: those of them whose bytes are no dqlite
NO_FRAMES = frozenset({"GARBAGE", "INCOMPLETE"})

#: what a proxy may have done: it made an item, or something else, a beginning or nothing of it went on
CHANGES = ("made", "replaced", "cut", "withheld")

#: the types of messages between nodes
RAFT_TYPES = frozenset(message.TYPE.name for message in MESSAGES.values())

#: the types of messages between clients and servers, and of what is no message; but for `type N` of unknown
CLIENT_TYPES = frozenset({*OTHER_TYPES, *(type_name(code, is_request) for is_request, code in REGISTRY)})

#: the types of all items, but for `type N` of unknown codes
TYPES = CLIENT_TYPES | RAFT_TYPES


class Answers(NamedTuple):
    """Which RPC between nodes a result answers; it came on another connection.

    Attributes:
        connection: its number.
        offset: where the RPC begins in it.
    """

    connection: int
    offset: int


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
        sent: what went on in place of `data`, where a proxy changed it; None where it went on as it came.
        made: a proxy has made it in place of an answer: nothing came.
        taken: of a FAULT, which one.
        left_out: how many frames in front of it a selection did not keep, and their bytes.
        redacted: values are hidden in `data`, `sent`, `message` and `sql`.
        frame: what the observer said of a message, redacted like the rest; None for what is none.
        raft: the same of a message between nodes; of such a one `frame` is None.
        node: of a message between nodes, the address of the one that sent it; "" if unknown.
        answers: of a result between nodes: which RPC it answers, where that is certain.
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
    sent: bytes | None = None
    made = False
    taken: Taken | None = None
    left_out: tuple[int, int] = (0, 0)
    redacted = False
    frame: Frame | None = None
    raft: RaftFrame | None = None
    node = ""
    answers: Answers | None = None
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
    def raft_message(self) -> RaftMessage | None:
        """The decoded message between nodes; None for what is none, and for what does not decode."""
        return None if self.raft is None else self.raft.message

    @property
    def rows(self) -> int:
        """Rows of a ROWS message."""
        return 0 if self.frame is None else self.frame.rows

    @property
    def error(self) -> DecodeError | None:
        """Why a message does not decode; None of one that does, and of one that is too large to be kept."""
        frame = self.frame or self.raft
        if frame is None or frame.message is not None or (frame.left_out and not frame.damaged):
            return None
        return frame.error

    def spans(self) -> Span | None:
        """The bytes of a message with names; None for what is none."""
        frame = self.frame or self.raft
        if frame is None:
            return None
        if isinstance(frame.error, HiddenError):
            return hidden_parts(self.data, self.type, frame.error)
        if self.frame is None:
            return explain_message(self.data)
        return explain(self.data, is_request=self.is_request, version=self.frame.version)

    def sent_spans(self) -> Span | None:
        """The bytes that went on instead, with names; None where they are no whole frame."""
        frame = None if self.sent is None or self.frame is None else frame_of(self, self.sent)
        if frame is None or self.frame is None:
            return None
        return explain(frame.data, is_request=self.is_request, version=self.frame.version)

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
    def change(self) -> str:
        """What a proxy did: "made", "withheld", "cut" or "replaced"; "" where it went on as it came."""
        if self.made:
            return "made"
        if self.sent is None:
            return ""
        if not self.sent:
            return "withheld"
        return "cut" if self.data.startswith(self.sent) else "replaced"

    @property
    def strange(self) -> bool:
        """Whether these bytes are no message, or none that decodes; the request of a probe is neither."""
        if self.type in NO_FRAMES:
            return True
        return self.error is not None and not (self.probe and self.is_request)


def frame_of(item: Item, sent: bytes) -> LazyFrame | None:
    """Return what went on in place of an item as a frame; None if it is no whole one.

    Args:
        item: the item.
        sent: what went on.
    """
    if len(sent) > HEADER.size and len(sent) == frame_size_at(sent):
        return LazyFrame(sent, item.is_request)
    return None
