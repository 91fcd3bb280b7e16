"""Frames like the one before, counted in place of being shown: the rows of one query.

A query may be answered by thousands of ROWS frames. Of a run the first frame is shown and so is the one that
ends the answer; those between are counted, and the count is told when the run ends:

    1 > QUERY_SQL  SELECT ..
    1 < ROWS       127 rows, more to come: a  (1)         shown at once
    1 < ROWS       127 rows, more to come: a  (128)   \
    2 > LEADER                                         |  counted; what passes elsewhere does not end the run
    1 < ROWS       127 rows, more to come: a  (255)   /
    1 <  .. 2 frames like it ..                           told in front of what ends the run
    1 < ROWS       64 rows: a  (382)

Whatever else passes on the connection ends the run, and so does the end of the source, so a count stands
where its frames stood on their connection. Only a frame that decodes to the columns of the first one is like
it: what is damaged is shown, and the run begins anew behind it. Nothing is held back but numbers, so that a
live stream is shown as it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dqlitewire import ResponseType
from dqlitewire.messages import RowsResponse
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.sources.pieces import Connection

MAX_RUNS = 20_000  # connections in the middle of one; of more, the oldest run is told


@dataclass(frozen=True)
class Folded:
    """Frames that were counted in place of being shown.

    Attributes:
        connection: where they passed.
        count: how many.
    """

    connection: Connection
    count: int

    def __str__(self) -> str:
        return f".. {counted(self.count, 'frame')} like it .."


@dataclass
class _Run:
    """The frames of one answer that are alike, the first of which was shown."""

    exchange: int
    columns: tuple[str, ...]
    count: int = 0


def fold(items: Iterable[Item]) -> Iterator[Item | Folded]:
    """Yield items, with runs of alike frames folded.

    Args:
        items: those that are to be shown.
    """
    runs: dict[Connection, _Run] = {}
    for item in items:
        connection, columns = item.connection, _columns(item)
        run = runs.get(connection)
        alike = run is not None and columns is not None and _is_next(run, item, columns)
        if run is not None and alike and not item.over:
            run.count += 1
            continue
        if run is not None:
            del runs[connection]
            run.count += item.left_out[0]
            yield from _told(connection, run)
        if columns is not None and item.exchange is not None and not item.over:
            if len(runs) >= MAX_RUNS:
                oldest = next(iter(runs))
                yield from _told(oldest, runs.pop(oldest))
            runs[connection] = _Run(item.exchange, columns)
        yield item
    for connection, run in runs.items():
        yield from _told(connection, run)


def unfolded(items: Iterable[Item]) -> Iterator[Item | Folded]:
    """Yield items, and what a selection did not keep of a very long answer as frames that were folded.

    Args:
        items: those that are to be shown.
    """
    for item in items:
        if item.left_out[0]:
            yield Folded(item.connection, item.left_out[0])
        yield item


def _columns(item: Item) -> tuple[str, ...] | None:
    """The columns of a frame of rows; None of anything else, and of one that does not decode."""
    message = item.message if item.type == ResponseType.ROWS.name else None
    return tuple(message.column_names) if isinstance(message, RowsResponse) else None


def _is_next(run: _Run, item: Item, columns: tuple[str, ...]) -> bool:
    return run.exchange == item.exchange and run.columns == columns


def _told(connection: Connection, run: _Run) -> Iterator[Folded]:
    if run.count:
        yield Folded(connection, run.count)
