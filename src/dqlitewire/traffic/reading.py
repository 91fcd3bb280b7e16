"""One connection being read: the events of its observer, made items.

An observer emits a frame before the exchange that the frame ends. Views want both at once, so an item is held
until the events behind it have been looked at: the exchanges that end with it become its `over`. Exchanges
that stay unanswered are shown by a later event, in front of which they get an item of their own.

Redaction happens here and nowhere else: what an item holds is hidden already, whichever view shows it. Only
`over` holds exchanges as they were, for statistics, which ask the item for their texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

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
from dqlitewire.header import type_name
from dqlitewire.servers.generation import is_probe
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.redact import redact_frame, redact_other, redact_sql, redact_text
from dqlitewire.traffic.sources.pieces import Connection


class ReadOptions(NamedTuple):
    """How connections are read; the arguments of `items.items`."""

    redacted: bool
    count_rows: bool
    keep_answers: int | None


class Reading:
    """One connection being read: its observer, and what the items of it share.

    Args:
        connection: the connection.
        options: how it is read.
        one_sided: the source has one direction only, so that no request is answered.
        requests: how many requests it had before it was ended for what it held; None if it is new.

    Attributes:
        observer: takes the bytes.
        open: the sides that have not ended.
        requests: how many were seen.
    """

    def __init__(
        self, connection: Connection, options: ReadOptions, one_sided: bool, requests: int | None
    ) -> None:
        self.connection = connection
        self.observer: Observer = Observer(
            count_rows=options.count_rows,
            keep_answers=options.keep_answers,
            midstream=connection.midstream or requests is not None,
            handshake=not connection.bare,
        )
        self.open: set[Side] = {Side.CLIENT, Side.SERVER}
        self.requests: int = requests or 0
        self._one_sided = one_sided
        self._redacted = options.redacted
        self._numbers: dict[int, int] = {}  # by id() of open exchanges

    def items(self, events: list[Event]) -> Iterator[Item]:
        """Yield the items of some events; an exchange goes to the item of the frame that ended it."""
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
                return self._other(event, PREAMBLES[event.kind], event.kind)
            case Gap():
                item = Item(self.connection, event.side, "GAP", event.offset, 0)  # its time is unknown
                item.size = event.size or 0
                return item
            case Garbage():
                return self._other(event, "GARBAGE", "")
            case End() if event.data:
                return self._incomplete(event)
            case End() if event.time:
                item = Item(self.connection, event.side, "END", event.offset, _int(event.time))
                item.note = event.ending.value
                return item
            case End():
                return None  # its time is unknown, and nothing is left
            case _:
                raise TypeError(f"got {event!r}, no event of an observer")

    def _incomplete(self, event: End) -> Item:
        item = Item(self.connection, event.side, "INCOMPLETE", event.offset, _int(event.time))
        item.data = redact_other(event.data) if self._redacted else event.data
        item.size = len(event.data)
        return item

    def _other(self, event: Preamble | Garbage | Opaque, type: str, note: str) -> Item:
        item = Item(self.connection, event.side, type, event.offset, _int(event.start))
        item.last = _int(event.end)
        known = type == "HANDSHAKE" and not note.startswith("unknown")
        item.data = event.data if known or not self._redacted else redact_other(event.data)
        item.size, item.note = event.size, note
        return item

    def of_frame(self, frame: Frame) -> Item:
        """Return the item of a frame."""
        data = frame.data
        code = data[4]  # as in header.HEADER
        item = Item(
            self.connection, frame.side, type_name(code, frame.is_request), frame.offset, _int(frame.start)
        )
        item.last = _int(frame.end)
        item.code, item.schema = code, data[5]
        item.data, item.frame, item.size = data, frame, len(data)
        exchange = frame.exchange
        if exchange is not None:
            if frame.is_request:
                self.requests += 1
                self._numbers[id(exchange)] = self.requests
            elif exchange.sent is not None:
                item.latency = item.last - _int(exchange.sent)
            item.exchange = self._numbers.get(id(exchange))
            item.sql = exchange.sql
            if exchange.request is not None and exchange.request.data[5] and is_probe(exchange.request.data):
                item.probe = True
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
        item.frame = shown
        item.redacted = True
        if item.sql is not None:
            item.sql = redact_text(item.sql, redact_sql)

    def _unanswered(self, exchange: Exchange, number: int | None) -> Item | None:
        request = exchange.request
        if request is None or exchange.ending != "unanswered" or self._one_sided:
            return None
        item = Item(self.connection, Side.CLIENT, "UNANSWERED", request.offset, _int(request.start))
        item.note, item.exchange, item.sql = request.type_name, number, exchange.sql
        item.redacted, item.probe = self._redacted, is_probe(request.data)
        if self._redacted and item.sql is not None:
            item.sql = redact_text(item.sql, redact_sql)
        item.over = [exchange]
        return item


#: kind of a Preamble or Opaque -> type of its item
PREAMBLES = {
    "handshake": "HANDSHAKE",
    "legacy handshake": "HANDSHAKE",
    "unknown handshake": "HANDSHAKE",
    "http request": "HTTP",
    "http response": "HTTP",
    "http": "HTTP",
    "tls": "TLS",
    "raft": "RAFT",
}


def _int(time: float | None) -> int:
    return 0 if time is None else int(time)
