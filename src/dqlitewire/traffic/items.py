"""Sources turned into items: one for every message, preamble, gap and stretch of garbage, in the order they
passed. This is the one place where the observer's events are read.

Memory. A capture may be larger than the machine, its connections may never end, and whoever sent the bytes
may have meant harm; so all that is held has a bound, at each step of the way:

    packets -> segments behind holes     32 MiB              tcp.MAX_HELD, 20 000 flows
            -> flows not decided         16 MiB              flows.MAX_WAITING_ALL
            -> frames not complete,      128 MiB of all      MAX_HELD, here
               requests not answered,    connections
               prepared statements
            -> requests that may be      64 MiB              select.MAX_BYTES
               selected when over
            -> statements counted        5000, and so on     stats.MAX_...

An observer bounds what it holds of its own connection; 20 000 of those bounds are too much, so here they are
summed. Summing costs a step for each connection, which is done each `LOOK` bytes of traffic and `CONNECTION`
more for each connection, so that a byte costs the same however many connections there are. Above `MAX_HELD`
the connections that hold most are ended, until the others hold half of it: what they held comes out as
unanswered or incomplete, and when they go on they are joined in the middle, as a capture is that began late.

A piece may be as large as a source likes; an observer gets it in blocks of `BLOCK` bytes, because it returns
all that they complete at once, and a frame decoded takes many times its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

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
from dqlitewire.limits import checked_cap
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.redact import redact_frame, redact_other, redact_sql, redact_text
from dqlitewire.traffic.sources.pieces import Connection, What
from dqlitewire.traffic.sources.source import Source

MAX_HELD = 128 << 20  # bytes, of all connections
LOOK = 1 << 20  # bytes of traffic, and CONNECTION more for each connection
CONNECTION = 512
BLOCK = 256 << 10  # bytes that an observer gets at a time


def items(
    source: Source, *, redacted: bool = False, count_rows: bool = False, keep_answers: int | None = 2
) -> Iterator[Item]:
    """Yield everything that passed.

    Args:
        source: read to its end, and closed.
        redacted: hide values; see `redact`.
        count_rows: count the rows of each exchange (their ROWS messages are decoded for that).
        keep_answers: how many answers an exchange keeps, None for all.

    Raises:
        SourceError: the source cannot be read, or holds no dqlite traffic.
        ValueError: `keep_answers` is below 1.
    """
    checked_cap("keep_answers", keep_answers)
    return _items(source, redacted, count_rows, keep_answers)


def _items(source: Source, redacted: bool, count_rows: bool, keep_answers: int | None) -> Iterator[Item]:
    readings: dict[Connection, _Reading] = {}
    ended: dict[Connection, int] = {}  # for what they held: how many requests they had
    unseen = LOOK  # bytes until all are looked at
    last: Connection | None = None
    reading: _Reading = cast(Any, None)  # that of `last`
    for connection, side, what, data, size, time in source.pieces():
        unseen -= len(data)
        if unseen < 0:
            unseen = LOOK + CONNECTION * len(readings)
            last = None
            for heavy in _heaviest(readings):
                del readings[heavy.connection]
                ended[heavy.connection] = heavy.requests
                yield from heavy.items(heavy.observer.finish(0))
        if connection is not last:
            last = connection
            found = readings.get(connection)
            if found is None:
                one_sided, requests = source.side is not None, ended.pop(connection, None)
                found = _Reading(connection, one_sided, redacted, count_rows, keep_answers, requests)
                readings[connection] = found
            reading = found
        if what is _DATA:
            if len(data) > BLOCK:
                for at in range(0, len(data), BLOCK):
                    yield from reading.items(reading.observer.receive(side, data[at : at + BLOCK], time))
                continue
            events = reading.observer.receive(side, data, time)
        elif what is What.GAP:
            events = reading.observer.receive_gap(side, size or None, time)
        else:
            events = reading.observer.receive_eof(side, time)
            reading.open.discard(side)
        if len(events) == 1 and type(events[0]) is Frame:
            yield reading.of_frame(events[0])
        elif events:
            yield from reading.items(events)
        if not reading.open:
            yield from reading.items(reading.observer.finish(time))
            del readings[connection]
            last = None
    for reading in readings.values():
        yield from reading.items(reading.observer.finish(0))


def _heaviest(readings: dict[Connection, _Reading]) -> list[_Reading]:
    """Those to be ended so that the others hold less than half of what is allowed."""
    held = {connection: reading.observer.held for connection, reading in readings.items()}
    total = sum(held.values())
    found: list[_Reading] = []
    if total > MAX_HELD:
        for connection in sorted(held, key=held.__getitem__, reverse=True):
            found.append(readings[connection])
            total -= held[connection]
            if total <= MAX_HELD // 2:
                break
    return found


class _Reading:
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
            case End() if event.data:
                return self._incomplete(event)
            case End() if event.time:
                item = Item(self.connection, event.side, "END", event.offset, _int(event.time))
                item.note = event.ending.value
                return item
            case _:
                return None

    def _incomplete(self, event: End) -> Item:
        offset = event.offset - len(event.data)
        item = Item(self.connection, event.side, "INCOMPLETE", offset, _int(event.time))
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
        item.redacted = self._redacted
        if self._redacted and item.sql is not None:
            item.sql = redact_text(item.sql, redact_sql)
        item.over = [exchange]
        return item


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
