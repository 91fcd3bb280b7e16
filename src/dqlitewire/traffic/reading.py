"""One connection being read: the events of its observer, made items.

An observer emits a frame before the exchange that the frame ends. Views want both at once, so an item is held
until the events behind it have been looked at: the exchanges that end with it become its `over`. Exchanges
that stay unanswered are shown by a later event, in front of which they get an item of their own.

Redaction happens here and nowhere else: what an item holds is hidden already, whichever view shows it. Only
`over` holds exchanges as they were, for statistics, which ask the item for their texts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

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
    RaftFrame,
    Side,
)
from dqlitewire.conversation.observer.exchange import LARGE
from dqlitewire.header import HEADER, frame_size_at, type_name
from dqlitewire.servers.generation import is_probe
from dqlitewire.traffic.item import Answers, Item
from dqlitewire.traffic.raft_pairs import RaftPairs
from dqlitewire.traffic.raft_redact import redact_raft
from dqlitewire.traffic.redact import (
    HiddenError,
    redact_frame,
    redact_other,
    redact_sql,
    redact_text,
    without_values,
)
from dqlitewire.traffic.sources.pieces import Connection, Cut, Taken

TOO_LARGE = f"above {LARGE >> 20} MiB, not decoded"


class ReadOptions(NamedTuple):
    """How connections are read; the arguments of `items.items`."""

    redacted: bool
    count_rows: bool
    keep_answers: int | None
    all_ends: bool = False


_CHANGE = 200  # bytes that a change takes beside its own


class Change(NamedTuple):
    """What a proxy did with some bytes of a side.

    Attributes:
        start: where they begin in the stream of that side.
        end: where they end.
        sent: what went on instead.
        made: the proxy made them, in place of an answer.
    """

    start: int
    end: int
    sent: bytes
    made: bool


class Reading:
    """One connection being read: its observer, and what the items of it share.

    Args:
        connection: the connection.
        options: how it is read.
        one_sided: the source has one direction only, so that no request is answered.
        requests: how many requests it had before it was ended for what it held; None if it is new.
        pairs: those of all connections of the source, for results between nodes.

    Attributes:
        observer: takes the bytes.
        open: the sides that have not ended.
        requests: how many were seen.
        refusal: why the frame that comes next does not decode; None if it tells itself.
    """

    def __init__(
        self,
        connection: Connection,
        options: ReadOptions,
        one_sided: bool,
        requests: int | None,
        pairs: RaftPairs,
    ) -> None:
        self.connection = connection
        self.observer: Observer = Observer(
            count_rows=options.count_rows,
            keep_answers=options.keep_answers,
            midstream=connection.midstream or requests is not None,
            handshake=not connection.bare,
            raft=connection.raft,
        )
        self.open: set[Side] = {Side.CLIENT, Side.SERVER}
        self.requests: int = requests or 0
        self._one_sided = one_sided
        self._pairs = pairs
        self._redacted = options.redacted
        self._all_ends = options.all_ends
        self._numbers: dict[int, int] = {}  # by id() of open exchanges
        # what went on in place of bytes that are in no item yet, by the side that sent them
        self._changes: dict[Side, deque[Change]] = {}
        self._changed = 0  # bytes that these hold
        self.refusal: HiddenError | None = None  # of the frame that comes next
        self._told: dict[str, Any] = {}  # of the item that comes next

    def items(self, events: list[Event]) -> Iterator[Item]:
        """Yield the items of some events; an exchange goes to the item of the frame that ended it."""
        pending: Item | None = None
        for event in events:
            if isinstance(event, Exchange):
                number = self._numbers.pop(id(event), None)
                if pending is not None and event.ending != "unanswered":
                    pending.over = [*pending.over, event]
                    if event.ending == "raft":
                        self._pairs.connect(pending)
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

    def change(self, side: Side, sent: bytes, size: int) -> None:
        """Note what goes on in place of the next bytes of a side, of none if a proxy made `sent`."""
        start = self.observer.received(side)
        change = Change(start, start + (size or len(sent)), sent, not size)
        self._changes.setdefault(side, deque()).append(change)
        self._changed += len(sent) + _CHANGE

    def receive_cut(self, side: Side, data: bytes, size: int, time: int) -> list[Event]:
        """Take bytes that an observer has cut before; `size` is a packed `Cut`."""
        refusal, self.refusal = self.refusal, None
        kind, taken = Cut.unpacked(size)
        return self.observer.receive_cut(side, kind, data, time, time + taken, refusal=refusal)

    @property
    def held(self) -> int:
        """About how many bytes of memory are held for what is not over."""
        return self.observer.held + self._changed

    def tell(self, told: dict[str, Any], time: int) -> Iterator[Item]:
        """Note what is known of the item that comes next; a request without an answer is one itself."""
        self._told = told
        if "request" in told:
            item = Item(self.connection, Side.CLIENT, "UNANSWERED", 0, time)
            item.note, item.redacted = told["request"], self._redacted
            self._apply(item)
            yield item

    def _apply(self, item: Item) -> None:
        told, self._told = self._told, {}
        item.offset = told.get("offset", item.offset)
        item.exchange = told.get("exchange", item.exchange)
        item.latency = told.get("latency", item.latency)
        if "answers" in told:
            item.answers = Answers(*told["answers"])
        text = told.get("text", item.sql)
        item.sql = redact_text(text, redact_sql) if self._redacted and text is not None else text

    def of_fault(self, side: Side, data: bytes, time: int) -> Item:
        """Return the item of a fault that struck."""
        item = Item(self.connection, side, "FAULT", self.observer.received(side), time)
        item.taken, item.redacted = Taken.unpacked(data), self._redacted
        return item

    def _mark(self, item: Item, data: bytes) -> None:
        """Say of an item what went on in place of its bytes, `data`."""
        start = at = item.offset
        parts: list[bytes] = []
        changes = self._changes.get(item.side)
        while changes and changes[0].start < item.offset + len(data):
            change = changes.popleft()
            self._changed -= len(change.sent) + _CHANGE
            if change.made:
                item.made = True
            elif change.end > start:  # else its bytes are in no item
                parts += (data[at - start : max(at, change.start) - start], change.sent)
                at = max(at, change.end)
        if parts:
            sent = b"".join([*parts, data[at - start :]])
            item.sent = self._hidden_sent(item, data, sent) if self._redacted else sent

    @staticmethod
    def _hidden_sent(item: Item, data: bytes, sent: bytes) -> bytes:
        if data.startswith(sent):
            return item.data[: len(sent)]
        if item.frame is not None and len(sent) > HEADER.size and len(sent) == frame_size_at(sent):
            return redact_frame(sent, item.is_request, item.frame.version, None)[0]
        return redact_other(sent)

    def _item(self, event: Event) -> Item | None:
        match event:
            case Frame():
                return self.of_frame(event)
            case RaftFrame():
                return self._of_raft(event)
            case Preamble() | Opaque():
                return self._other(event, PREAMBLES[event.kind], event.kind)
            case Gap():
                item = Item(self.connection, event.side, "GAP", event.offset, 0)  # its time is unknown
                item.size = event.size or 0
                self._pairs.lose(self.connection)
                return item
            case Garbage():
                self._pairs.lose(self.connection)
                return self._other(event, "GARBAGE", "")
            case End() if event.data:
                return self._incomplete(event)
            case End() if event.time or self._all_ends:
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
        if self._changes:
            self._mark(item, event.data)
        return item

    def _other(self, event: Preamble | Garbage | Opaque, type: str, note: str) -> Item:
        item = Item(self.connection, event.side, type, event.offset, _int(event.start))
        item.last = _int(event.end)
        known = type == "HANDSHAKE" and not note.startswith("unknown")
        item.data = event.data if known or not self._redacted else redact_other(event.data)
        item.size, item.note = event.size, note
        if self._changes:
            self._mark(item, event.data)
        if self._told:
            self._apply(item)
        return item

    def _of_raft(self, frame: RaftFrame) -> Item:
        item = Item(self.connection, frame.side, frame.type_name, frame.offset, _int(frame.start))
        item.last = _int(frame.end)
        item.code, item.data, item.raft, item.size = frame.type, frame.data, frame, frame.size
        if frame.left_out:
            item.note = TOO_LARGE
        if self._redacted:
            item.data = redact_raft(frame)
            item.raft = RaftFrame(frame.side, frame.offset, item.data, frame.start, frame.end)
            item.raft.damaged, item.raft.left_out = frame.damaged, frame.left_out
            if frame.error is not None:
                item.raft.refuse(without_values(frame.error))
        if self._changes:
            self._mark(item, frame.data)
        if self._told:
            self._apply(item)  # it was paired among all that passed
        else:
            self._pairs.see(item)
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
        item.data, item.frame, item.size = data, frame, frame.size
        if frame.left_out:
            item.note = TOO_LARGE
        exchange = frame.exchange
        if exchange is not None:
            if not frame.start or not frame.end:
                exchange.doubtful = True  # 0 is no time
            if frame.is_request:
                self.requests += 1
                self._numbers[id(exchange)] = self.requests
            else:
                latency = exchange.latency_of(frame)
                item.latency = None if latency is None else int(latency)
            item.exchange = self._numbers.get(id(exchange))
            item.sql = exchange.sql
            if exchange.request is not None and exchange.request.data[5] and is_probe(exchange.request.data):
                item.probe = True
        if self._redacted:
            self._redact(item, frame)
        if self._changes:
            self._mark(item, data)
        if self._told:
            self._apply(item)
        return item

    def _redact(self, item: Item, frame: Frame) -> None:
        sql = None if frame.exchange is None else frame.exchange.sql
        item.data, error = redact_frame(frame.data, frame.is_request, frame.version, sql, frame.error)
        shown = Frame(frame.side, frame.offset, item.data, frame.start, frame.end, frame._reader)
        shown.damaged = frame.damaged
        shown.version, shown.servers_format = frame.version, frame.servers_format
        shown.left_out = frame.left_out
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
