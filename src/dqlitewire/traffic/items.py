"""Sources turned into items: one for every message, preamble, gap and stretch of garbage, in the order they
passed.

This is the one place where the observer's events are read; every view (line, tree, hexdump, JSON, transcript,
statistics) is made of items.

What all connections hold together is looked at each `LOOK` bytes and bounded by `MAX_HELD`: above that, those
that hold most are ended, and joined in the middle if they go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, cast

from dqlitewire import DecodeError, Message, RequestType, ResponseType
from dqlitewire.conversation import (
    End,
    Event,
    Exchange,
    Frame,
    Gap,
    Garbage,
    Observer,
    Opaque,
    Preamble,
    Side,
)
from dqlitewire.explain import explain
from dqlitewire.limits import checked_cap
from dqlitewire.parts import Span
from dqlitewire.traffic.redact import (
    hidden_parts,
    redact_code,
    redact_frame,
    redact_message,
    redact_other,
    redact_sql,
    redact_text,
)
from dqlitewire.traffic.sources.pieces import Connection, What
from dqlitewire.traffic.sources.source import Source

MAX_HELD = 128 << 20  # bytes, of all connections
LOOK = 1 << 20  # bytes of traffic, and CONNECTION more for each connection
CONNECTION = 512
BLOCK = 256 << 10  # bytes that an observer gets at a time: it returns all that they complete


class Item:
    """Something that passed on a connection.

    Attributes:
        connection, side: where; `side` is who sent it.
        type: the message type's name, such as "QUERY_SQL", or "HANDSHAKE", "HTTP", "TLS", "RAFT", "GARBAGE",
            "GAP", "INCOMPLETE", "UNANSWERED", "END".
        code, schema: of a message; None for the rest.
        time, last: of its first and last byte, in nanoseconds since 1970; 0 if unknown.
        offset: of its first byte in the side's byte stream.
        data: its bytes (of a GAP none).
        size: how many there are, or were.
        note: what kind of preamble, or why bytes are garbage.
        exchange: counts requests of a connection; an answer has the number of its request. None where there
            is none.
        latency: nanoseconds from the end of the request to the end of this answer.
        sql: the statement's text, for prepared ones too.
        over: the exchanges that end here; they hold what was sent, redacted or not.
        redacted: values are hidden in `data`, `message` and `sql`.
    """

    # most items leave most of these as they are: class attributes cost nothing then
    last = 0
    code: int | None = None
    schema: int | None = None
    data = b""
    size = 0
    note = ""
    exchange: int | None = None
    latency: int | None = None
    sql: str | None = None
    over: Sequence[Exchange] = ()
    redacted = False
    _frame: Frame | None = None

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
        return None if self._frame is None else self._frame.message

    @property
    def rows(self) -> int:
        """Rows of a ROWS message."""
        return 0 if self._frame is None else self._frame.rows

    @property
    def error(self) -> DecodeError | None:
        """Why a message does not decode."""
        return None if self._frame is None or self._frame.message is not None else self._frame.error

    def spans(self) -> Span | None:
        """The bytes of a message with names; None for what is none."""
        if self._frame is None:
            return None
        if self.redacted and self._frame.error is not None:
            return hidden_parts(self.data, self.type, self._frame.error)
        return explain(self.data, is_request=self.is_request, version=self._frame.version)

    def failure_text(self, exchange: Exchange) -> str:
        """The message of the failure that ended an exchange of `over`, redacted like the item."""
        text = exchange.failure.message if exchange.failure is not None else ""
        return redact_text(text, partial(redact_message, sql=exchange.sql)) if self.redacted else text

    def failure_code(self, exchange: Exchange) -> int:
        """The code of that failure, redacted like the item."""
        code = exchange.failure.code if exchange.failure is not None else 0
        return redact_code(code) if self.redacted else code

    def sql_of(self, exchange: Exchange) -> str | None:
        """The statement's text of an exchange of `over`, redacted like the item."""
        text = exchange.sql
        return redact_text(text, redact_sql) if self.redacted and text is not None else text

    @property
    def strange(self) -> bool:
        """Whether these bytes are no message, or none that decodes."""
        return self.type in ("GARBAGE", "INCOMPLETE") or self.error is not None


class _Talk:
    """One connection being read."""

    def __init__(
        self,
        connection: Connection,
        one_sided: bool,
        redacted: bool,
        count_rows: bool,
        keep_answers: int | None,
        requests: int | None,
    ) -> None:
        self.connection = connection
        self._one_sided = one_sided
        self.observer = Observer(
            count_rows=count_rows,
            keep_answers=keep_answers,
            midstream=connection.midstream or requests is not None,
            handshake=not connection.bare,
        )
        self.open = {Side.CLIENT, Side.SERVER}
        self._redacted = redacted
        self.requests = requests or 0
        self._numbers: dict[int, int] = {}  # by id() of open exchanges

    def items(self, events: list[Event]) -> Iterator[Item]:
        """Items of events; what ends an exchange goes to the item of the frame that did."""
        pending: Item | None = None
        for event in events:
            if isinstance(event, Exchange):
                number = self._numbers.pop(id(event), None)
                if pending is not None and event.ending != "unanswered":
                    pending.over = [*pending.over, event]
                elif (item := self._unanswered(event, number)) is not None:
                    if pending is not None and pending.code is None:
                        yield pending
                        pending = None
                    yield item  # in front of the frame that showed it, which ends another exchange
                continue
            if pending is not None:
                yield pending
            pending = self._item(event)
            if pending is not None:
                pending.redacted = self._redacted
        if pending is not None:
            yield pending

    def _item(self, event: Event) -> Item | None:
        match event:
            case Frame():
                return self.of_frame(event)
            case Preamble() | Opaque():
                return self._other(event, _TYPES[event.kind], event.kind)
            case Gap():
                item = Item(self.connection, event.side, "GAP", event.offset, 0)  # nobody knows when
                item.size = event.size or 0
                return item
            case Garbage():
                return self._other(event, "GARBAGE", "")
            case End() if event.time and not event.data:
                item = Item(self.connection, event.side, "END", event.offset, _int(event.time))
                item.note = event.ending.value
                return item
            case End() if event.data:
                item = Item(
                    self.connection,
                    event.side,
                    "INCOMPLETE",
                    event.offset - len(event.data),
                    _int(event.time),
                )
                item.data = redact_other(event.data) if self._redacted else event.data
                item.size = len(event.data)
                return item
            case _:
                return None

    def _other(self, event: Preamble | Garbage | Opaque, type: str, note: str) -> Item:
        item = Item(self.connection, event.side, type, event.offset, _int(event.start))
        item.last = _int(event.end)
        known = type == "HANDSHAKE" and not note.startswith("unknown")
        item.data = event.data if known or not self._redacted else redact_other(event.data)
        item.size, item.note = event.size, note
        return item

    def of_frame(self, frame: Frame) -> Item:
        data = frame.data
        code = data[4]
        name = _NAMES[frame.is_request].get(code) or frame.type_name
        item = Item(self.connection, frame.side, name, frame.offset, _int(frame.start))
        item.last = _int(frame.end)
        item.code, item.schema = code, data[5]
        item.data, item._frame, item.size = data, frame, len(data)
        exchange = frame.exchange
        if exchange is not None:
            if frame.is_request:
                self.requests += 1
                self._numbers[id(exchange)] = self.requests
            elif exchange.sent is not None:
                item.latency = item.last - _int(exchange.sent)
            item.exchange = self._numbers.get(id(exchange))
            item.sql = exchange.sql
        if self._redacted:
            self._redact(item, frame)
        return item

    def _redact(self, item: Item, frame: Frame) -> None:
        sql = None if frame.exchange is None else frame.exchange.sql
        item.data, error = redact_frame(frame.data, frame.is_request, frame.version, sql, frame.error)
        shown = Frame(frame.side, frame.offset, item.data, frame.start, frame.end, frame._reader)
        shown.version, shown.servers_format = frame.version, frame.servers_format
        if error is not None:
            shown.refuse(error)
        item._frame = shown
        item.redacted = True
        if item.sql is not None:
            item.sql = redact_text(item.sql, redact_sql)

    def _unanswered(self, exchange: Exchange, number: int | None) -> Item | None:
        request = exchange.request
        if request is None or exchange.ending != "unanswered" or self._one_sided:
            return None
        item = Item(self.connection, Side.CLIENT, "UNANSWERED", request.offset, _int(request.start))
        item.note, item.exchange, item.sql = request.type_name, number, exchange.sql
        item.redacted = self._redacted
        if self._redacted and item.sql is not None:
            item.sql = redact_text(item.sql, redact_sql)
        item.over = [exchange]
        return item


_NAMES = {
    True: {kind.value: kind.name for kind in RequestType},
    False: {kind.value: kind.name for kind in ResponseType},
}
_TYPES = {
    "handshake": "HANDSHAKE",
    "legacy handshake": "HANDSHAKE",
    "unknown handshake": "HANDSHAKE",
    "http request": "HTTP",
    "http response": "HTTP",
    "http": "HTTP",
    "tls": "TLS",
    "raft": "RAFT",
}


_DATA = What.DATA


def _int(time: float | None) -> int:
    return 0 if time is None else int(time)


def items(
    source: Source, *, redacted: bool = False, count_rows: bool = False, keep_answers: int | None = 2
) -> Iterator[Item]:
    """Yield everything that passed.

    Args:
        redacted: hide values; see `redact`.
        count_rows: count the rows of each exchange (their ROWS messages are decoded for that).
        keep_answers: how many answers an exchange keeps, None for all.

    Raises:
        SourceError: the source cannot be read.
        ValueError: `keep_answers` is below 1.
    """
    checked_cap("keep_answers", keep_answers)
    return _items(source, redacted, count_rows, keep_answers)


def _items(source: Source, redacted: bool, count_rows: bool, keep_answers: int | None) -> Iterator[Item]:
    talks: dict[Connection, _Talk] = {}
    ended: dict[Connection, int] = {}  # for what they held: how many requests they had
    unseen = LOOK  # bytes until all are looked at
    last: Connection | None = None
    talk: _Talk = cast(Any, None)  # that of `last`
    for connection, side, what, data, size, time in source.pieces():
        unseen -= len(data)
        if unseen < 0:
            unseen = LOOK + CONNECTION * len(talks)
            last = None
            for heavy in _heaviest(talks):
                del talks[heavy.connection]
                ended[heavy.connection] = heavy.requests
                yield from heavy.items(heavy.observer.finish(0))
        if connection is not last:
            last = connection
            found = talks.get(connection)
            if found is None:
                one_sided, requests = source.side is not None, ended.pop(connection, None)
                found = _Talk(connection, one_sided, redacted, count_rows, keep_answers, requests)
                talks[connection] = found
            talk = found
        if what is _DATA:
            if len(data) > BLOCK:
                for at in range(0, len(data), BLOCK):
                    yield from talk.items(talk.observer.receive(side, data[at : at + BLOCK], time))
                continue
            events = talk.observer.receive(side, data, time)
        elif what is What.GAP:
            events = talk.observer.receive_gap(side, size or None, time)
        else:
            events = talk.observer.receive_eof(side, time)
            talk.open.discard(side)
        if len(events) == 1 and type(events[0]) is Frame:
            yield talk.of_frame(events[0])
        elif events:
            yield from talk.items(events)
        if not talk.open:
            yield from talk.items(talk.observer.finish(time))
            del talks[connection]
            last = None
    for talk in talks.values():
        yield from talk.items(talk.observer.finish(0))


def _heaviest(talks: dict[Connection, _Talk]) -> list[_Talk]:
    """Those to be ended so that the others hold less than half of what is allowed."""
    held = {connection: talk.observer.held for connection, talk in talks.items()}
    total = sum(held.values())
    found: list[_Talk] = []
    if total > MAX_HELD:
        for connection in sorted(held, key=held.__getitem__, reverse=True):
            found.append(talks[connection])
            total -= held[connection]
            if total <= MAX_HELD // 2:
                break
    return found
