"""dqlite traffic from any source: frames, exchanges, and what they mean.

    from dqlitewire.traffic import exchanges, explain, frames

    for item in frames("trace.pcap"):                     # every message, both directions
        print(item.time, item.type, item.message)
    for connection, exchange in exchanges("trace.pcap"):  # every request with its answers
        print(connection.client, exchange.sql, exchange.duration, exchange.row_count)
    print(explain(frame).children)                        # a frame as a tree of byte ranges

A source is whatever `open_source` opens: the path of a pcap, pcapng, transcript (.dqt), raw stream or text
file, "-" for standard input, bytes, a binary file, a `Source` or a `Recording`. docs/guides/traffic.md tells
the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from dqlitewire.checks import checked_number
from dqlitewire.conversation import Exchange, Side
from dqlitewire.explain import Span
from dqlitewire.explain import explain as _explain
from dqlitewire.limits import checked_cap
from dqlitewire.traffic.errors import FileExistsAlready, SourceError
from dqlitewire.traffic.item import Answers, Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.direction import guess
from dqlitewire.traffic.sources.formats import Format, open_source
from dqlitewire.traffic.sources.inputs import Input
from dqlitewire.traffic.sources.pair import open_pair
from dqlitewire.traffic.sources.pieces import Connection, Piece, Taken, What
from dqlitewire.traffic.sources.source import Recording, Source
from dqlitewire.traffic.sources.transcript_writer import TranscriptWriter
from dqlitewire.traffic.views.fold import Fold, Folded, folded_line, unfolded
from dqlitewire.traffic.views.line import Clock, line

__all__ = [
    "Answers",
    "AnySource",
    "Connection",
    "FileExistsAlready",
    "Format",
    "Input",
    "Item",
    "Piece",
    "Recording",
    "Side",
    "Source",
    "SourceError",
    "Taken",
    "TranscriptWriter",
    "What",
    "exchanges",
    "explain",
    "frames",
    "items",
    "lines",
    "open_pair",
    "open_source",
]

AnySource = str | os.PathLike[str] | bytes | BinaryIO | Source | Recording


def frames(source: AnySource) -> Iterator[Item]:
    """Yield every message of a source, both directions, in the order they passed.

    Args:
        source: whatever `open_source` opens, a `Source` or a `Recording`; it is read once, and closed.

    Returns:
        Items whose `message` is decoded when asked for; None, with an `error`, where a frame does not decode.

    Raises:
        SourceError: the source cannot be read, or holds no dqlite traffic.
    """
    return (item for item in items(_opened(source)) if item.code is not None)


def exchanges(source: AnySource, *, keep_answers: int | None = 64) -> Iterator[tuple[Connection, Exchange]]:
    """Yield every request with its answers, when it is over.

    Args:
        source: whatever `open_source` opens, a `Source` or a `Recording`; it is read once, and closed.
        keep_answers: answer frames kept of a long answer, the last one always among them; None for all.

    Returns:
        Pairs of the connection and the exchange; rows are counted (`row_count`), times are nanoseconds since
        1970, and a duration is nanoseconds from the first byte of the request to the last of the answer.

    Raises:
        SourceError: the source cannot be read, or holds no dqlite traffic.
        ValueError: `keep_answers` is below 1.
    """
    checked_cap("keep_answers", keep_answers)
    return _exchanges(source, keep_answers)


def _exchanges(source: AnySource, keep_answers: int | None) -> Iterator[tuple[Connection, Exchange]]:
    for item in items(_opened(source), count_rows=True, keep_answers=keep_answers):
        for exchange in item.over:
            yield item.connection, exchange


def explain(frame: bytes, is_request: bool | None = None) -> Span:
    """Return the parts of a frame as a tree of byte ranges with names and values.

    Args:
        frame: header and body; what is wrong in it is part of the tree, never an error.
        is_request: who sent it; None to guess.
    """
    if is_request is None:
        is_request = guess(frame).side is Side.CLIENT
    return _explain(frame, is_request=is_request)


def lines(
    source: AnySource, width: int = 160, time: str = "relative", *, fold: bool = False
) -> Iterator[str]:
    """Yield a line for every message, as `dqlite-wire decode` prints it; two rows where there is no room.

    Args:
        source: whatever `open_source` opens, a `Source` or a `Recording`; it is read once, and closed.
        width: columns to fit into.
        time: how to write times: "relative", "utc", "local", "delta" or "none".
        fold: count the rows of a query in place of showing each frame, as `decode` does.

    Raises:
        SourceError: the source cannot be read, or holds no dqlite traffic.
        ValueError: a width below 1, or no such way to write times.
    """
    clock = Clock(time)
    checked_number("width", width, 1)
    return _lines(source, clock, width, Fold() if fold else unfolded)


def _lines(
    source: AnySource, clock: Clock, width: int, fold: Callable[[Iterator[Item]], Iterator[Item | Folded]]
) -> Iterator[str]:
    for shown in fold(clock.watch(items(_opened(source)))):
        told = folded_line(shown, clock, width) if isinstance(shown, Folded) else line(shown, clock, width)
        yield from str(told).split("\n")


def _opened(source: AnySource) -> Source:
    if isinstance(source, Source):
        return source
    return source.source() if isinstance(source, Recording) else open_source(source)
