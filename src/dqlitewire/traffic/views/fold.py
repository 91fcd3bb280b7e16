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

Heartbeats between nodes, and their results, are folded too: those that say what the one before said.

Whatever else passes on the connection ends the run, and so does the end of the source, so a count stands
where its frames stood on their connection. Only a frame that decodes to the columns of the first one is like
it: what is damaged is shown, and the run begins anew behind it. Nothing is held back but numbers, so that a
live stream is shown as it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dqlitewire import ResponseType
from dqlitewire.conversation import Side
from dqlitewire.messages import RowsResponse
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.sources.pieces import Connection
from dqlitewire.traffic.views.line import ARROWS, Clock, Line, style_of
from dqlitewire.traffic.views.raft import alike

MAX_RUNS = 20_000  # connections in the middle of one; of more, the oldest run is told


@dataclass(frozen=True)
class Folded:
    """Frames that were counted in place of being shown.

    Attributes:
        connection: where they passed.
        count: how many.
        side: who sent them.
    """

    connection: Connection
    count: int
    side: Side = Side.SERVER

    def __str__(self) -> str:
        noun = "frame" if self.side is Side.SERVER else "message"
        return f".. {counted(self.count, noun)} like it .."


@dataclass
class _Run:
    """The frames of one answer that are alike, the first of which was shown."""

    exchange: int | None  # None of an answer to nothing that was seen
    columns: int  # hash of their names, which may be long
    side: Side
    count: int = 0


class Fold:
    """Folds runs of alike frames of all connections."""

    def __init__(self) -> None:
        self._runs: dict[Connection, _Run] = {}

    def __call__(self, items: Iterable[Item]) -> Iterator[Item | Folded]:
        """Yield items, with runs of alike frames folded.

        Args:
            items: those that are to be shown.
        """
        runs = self._runs
        for item in items:
            connection, columns = item.connection, _columns(item)
            run = runs.get(connection)
            if run is not None and columns is not None and not item.over and _is_next(run, item, columns):
                run.count += 1
                continue
            runs.pop(connection, None)
            counted = (0 if run is None else run.count) + item.left_out[0]
            if counted:
                yield Folded(connection, counted, item.side if run is None else run.side)
            if columns is not None and not item.over:
                if len(runs) >= MAX_RUNS:
                    yield from self._told(next(iter(runs)))
                runs[connection] = _Run(item.exchange, columns, item.side)
            yield item
        yield from self.rest()

    def rest(self) -> Iterator[Folded]:
        """Yield what was counted and is not told yet, as after an interrupt."""
        for connection in list(self._runs):
            yield from self._told(connection)

    def _told(self, connection: Connection) -> Iterator[Folded]:
        run = self._runs.pop(connection)
        if run.count:
            yield Folded(connection, run.count, run.side)


def folded_line(folded: Folded, clock: Clock, width: int = 160) -> Line:
    """Return what tells of frames that were folded, as a line.

    Args:
        folded: what `fold` gave.
        clock: that of the lines around it.
        width: columns that there are.
    """
    when, place, text = (
        clock.blank(),
        f"{folded.connection.number:>2} {ARROWS[folded.side is Side.CLIENT]} ",
        str(folded),
    )
    if len(when) + len(place) + len(text) >= width:
        when = ""
    return Line(when, place, "", text, "", "dim")


def unfolded(items: Iterable[Item]) -> Iterator[Item | Folded]:
    """Yield items, and what a selection did not keep of a very long answer as frames that were folded.

    Args:
        items: those that are to be shown.
    """
    for item in items:
        if item.left_out[0]:
            yield Folded(item.connection, item.left_out[0])
        yield item


def _columns(item: Item) -> int | None:
    """What tells the columns of a frame of rows with which nothing is wrong; None of anything else."""
    if item.raft is not None and not item.change:
        return alike(item.raft.message)
    if item.type != ResponseType.ROWS.name or style_of(item) != "response":
        return None
    message = item.message
    return hash(tuple(message.column_names)) if isinstance(message, RowsResponse) else None


def _is_next(run: _Run, item: Item, columns: int) -> bool:
    return run.exchange == item.exchange and run.columns == columns
