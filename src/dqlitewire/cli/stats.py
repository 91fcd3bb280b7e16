"""`dqlite-wire stats`: what was asked, how often, how fast, and what went wrong."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Annotated

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.filters import Filters
from dqlitewire.cli.live import Live
from dqlitewire.cli.options import LONGEST, WidthOption, choice, finite
from dqlitewire.cli.output import colourful, emit, emit_json, painted, warn, width
from dqlitewire.cli.progress import watched
from dqlitewire.cli.sources import Damage, Inputs, wait_while_read
from dqlitewire.traffic.items import items
from dqlitewire.traffic.ledger import SORTS
from dqlitewire.traffic.select import Selection
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.stats import Statistics
from dqlitewire.traffic.views.report import report, report_json

EXITS = (Exit.OK, Exit.DAMAGED, Exit.INPUT)


@dataclass(frozen=True)
class Ranking:
    """How statistics are shown."""

    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Show so many statements.")] = 20
    sort: Annotated[str, choice(SORTS, "--sort", help="What to rank statements by.")] = "total"
    columns: WidthOption = None


def command(
    ranking: Ranking,
    filters: Filters,
    every: Annotated[
        float | None,
        typer.Option(
            "--every",
            min=0.1,
            max=LONGEST,
            metavar="SECONDS",
            callback=finite,
            help="Show what was counted so far every so often.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more at the end of a growing file.")
    ] = False,
    *,
    inputs: Inputs,
) -> Exit:
    """Count dqlite traffic: statements by cost, latencies, failures, retries, leaders, loops.

    Ctrl-C shows what was counted so far.

    Example: stats --sort p95 trace.pcap
    """
    counting = Counting(ranking, filters.selection(whole=True), every is not None)
    quiet = follow or every is not None
    try:
        with Live(every, counting.show) as live:
            for source in inputs.open(follow, wait_while_read):
                with source:
                    counting.source = source
                    found = items(source, redacted=inputs.redact, count_rows=True)
                    selected = counting.damage.select(watched(found, source, quiet))
                    counting.statistics.add_all(live.items(selected))
                counting.end()
    except KeyboardInterrupt:
        counting.end()
        counting.finish()
        return Exit.INTERRUPTED
    counting.finish()
    return Exit.DAMAGED if counting.statistics.damaged else counting.damage.exit


class Counting:
    """What was counted so far, and how it is shown.

    Attributes:
        statistics: of all sources so far.
        damage: of the sources that are read.
        source: the one being read.
    """

    def __init__(self, ranking: Ranking, selection: Selection, repeated: bool) -> None:
        self.statistics: Statistics = Statistics()
        self.damage: Damage = Damage(selection)
        self.source: Source | None = None
        self._ranking = ranking
        self._repeated = repeated
        self._began = time.monotonic()

    def end(self) -> None:
        """Take over what the source has noted."""
        if self.source is not None:
            self.damage.add(self.source)
            self.source = None

    def finish(self) -> None:
        """Show everything for the last time."""
        self.show()
        if not self._ranking.as_json:
            self.damage.report()
        elif self.damage.nothing:
            warn(self.damage.nothing)

    def show(self) -> None:
        """Show what was counted so far."""
        how = self._ranking
        if how.as_json:
            source = self.source
            notes = self.damage.notes + (source.notes if source is not None else [])
            skipped = self.damage.skipped + (source.damaged if source is not None else 0)
            now = time.time() if self._repeated else None
            emit_json(report_json(self.statistics, how.sort, how.top, notes, now, skipped), self._repeated)
            return
        room, colour = width(how.columns, through_pipes=True), colourful(sys.stdout)
        if self._repeated:
            clock = time.strftime("%H:%M:%S")
            emit(painted(f"-- {clock}, after {time.monotonic() - self._began:.1f} s", "dim", colour))
        for text in report(self.statistics, how.sort, how.top, room, colour):
            emit(text)
        if self._repeated:
            emit("", at_once=True)
