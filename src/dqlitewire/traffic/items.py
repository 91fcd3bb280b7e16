"""Sources turned into items: one for every message, preamble, gap and stretch of garbage, in the order they
passed. The pieces of a source go to the observer of their connection, whose events are made items in
`reading`.

Memory. A capture may be larger than the machine's memory, its connections may never end, and its bytes may be
hostile; so all that is held has a bound, at each step of the way:

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

import json
from collections.abc import Iterator
from typing import Any, cast

from dqlitewire.conversation import Frame
from dqlitewire.limits import checked_cap
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.raft_pairs import RaftPairs
from dqlitewire.traffic.reading import Reading, ReadOptions
from dqlitewire.traffic.redact import HiddenError
from dqlitewire.traffic.sources.pieces import Connection, What, feed
from dqlitewire.traffic.sources.source import Source

MAX_HELD = 128 << 20  # bytes, of all connections
LOOK = 1 << 20  # bytes of traffic, and CONNECTION more for each connection
CONNECTION = 512
BLOCK = 256 << 10  # bytes that an observer gets at a time
_DATA = What.DATA


def items(
    source: Source,
    *,
    redacted: bool = False,
    count_rows: bool = False,
    keep_answers: int | None = 2,
    all_ends: bool = False,
) -> Iterator[Item]:
    """Yield everything that passed.

    Args:
        source: read to its end, and closed.
        redacted: hide values; see `redact`.
        count_rows: count the rows of each exchange (their ROWS messages are decoded for that).
        keep_answers: how many answers an exchange keeps, None for all.
        all_ends: yield ENDs whose time is unknown too, which tell when nothing more was waited for.

    Raises:
        SourceError: the source cannot be read, or holds no dqlite traffic.
        ValueError: `keep_answers` is below 1.
    """
    checked_cap("keep_answers", keep_answers)
    return _items(source, ReadOptions(redacted, count_rows, keep_answers, all_ends))


def _items(source: Source, options: ReadOptions) -> Iterator[Item]:
    readings: dict[Connection, Reading] = {}
    ended: dict[Connection, int] = {}  # for what they held: how many requests they had
    pairs = RaftPairs()
    unseen = LOOK  # bytes until all are looked at
    last: Connection | None = None
    reading: Reading = cast(Any, None)  # that of `last`
    for connection, side, what, data, size, time in source.pieces():
        unseen -= len(data)
        if unseen < 0:
            unseen = LOOK + CONNECTION * len(readings)
            last = None
            yield from _end_heaviest(readings, ended)
        if connection is not last:
            last = connection
            found = readings.get(connection)
            if found is None:
                requests = ended.pop(connection, None)
                found = Reading(
                    connection, options, source.side is not None or connection.alone, requests, pairs
                )
                readings[connection] = found
            reading = found
        if what is _DATA:
            if len(data) > BLOCK:
                for at in range(0, len(data), BLOCK):
                    yield from reading.items(reading.observer.receive(side, data[at : at + BLOCK], time))
                continue
            events = reading.observer.receive(side, data, time)
        elif what is What.SENT:
            reading.change(side, data, size)
            continue
        elif what is What.CUT:
            events = reading.receive_cut(side, data, size, time)
        elif what is What.TOLD:
            yield from reading.tell(json.loads(data), time)
            continue
        elif what is What.HIDDEN:
            reading.refusal = HiddenError.told(data.decode())
            continue
        elif what is What.FAULT:
            yield reading.of_fault(side, data, time)
            continue
        else:
            events = feed(reading.observer, side, what, data, size, time)
            if what is What.END:
                reading.open.discard(side)
        if len(events) == 1 and type(events[0]) is Frame:
            yield reading.of_frame(events[0])
        elif events:
            yield from reading.items(events)
        if not reading.open:
            yield from reading.items(reading.observer.finish(time))
            del readings[connection]
            pairs.forget(connection)
            last = None
    for reading in readings.values():
        yield from reading.items(reading.observer.finish(0))


def _end_heaviest(readings: dict[Connection, Reading], ended: dict[Connection, int]) -> Iterator[Item]:
    """Move those that hold too much from `readings` to `ended`, and yield what they held."""
    for reading in _heaviest(readings):
        del readings[reading.connection]
        ended[reading.connection] = reading.requests
        yield from reading.items(reading.observer.finish(0))


def _heaviest(readings: dict[Connection, Reading]) -> list[Reading]:
    """Those to be ended so that the others hold less than half of what is allowed."""
    held = {connection: reading.held for connection, reading in readings.items()}
    total = sum(held.values())
    found: list[Reading] = []
    if total > MAX_HELD:
        for connection in sorted(held, key=held.__getitem__, reverse=True):
            found.append(readings[connection])
            total -= held[connection]
            if total <= MAX_HELD // 2:
                break
    return found
