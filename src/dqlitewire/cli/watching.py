"""`--show` and `--stats` of a proxy: decode's lines and the statistics of what passes, while it passes.

All of it runs in the thread of the watcher, one item after the other, and what it prints leaves through
`output` as what any command prints. What ends a command ends the watching: a reader that has gone away ends
it quietly, an output that takes no more with one line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dqlitewire.cli.decode import Display, View
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.filters import Filters
from dqlitewire.cli.output import ReaderGone, colourful, emit, emit_json, fail, finish, warn, width
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.stats import Statistics
from dqlitewire.traffic.views.report import report, report_json

if TYPE_CHECKING:
    from dqlitewire.proxy.watching import Watcher

TOP = 20  # statements that are shown


@dataclass(frozen=True)
class Showing:
    """What is shown of the traffic while it passes."""

    show: Annotated[bool, typer.Option("--show", help="Show what passes, as decode does.")] = False
    stats: Annotated[bool, typer.Option("--stats", help="Show statistics at the end, and on SIGUSR1.")] = (
        False
    )
    redact: Annotated[bool, typer.Option("--redact", help="With --show and --stats: hide values.")] = False

    def watching(self, display: Display, filters: Filters) -> Watching | None:
        """Return what shows it; None if nothing is shown.

        Args:
            display: how messages are shown.
            filters: which of them are; statistics count all.

        Raises:
            SystemExit: options say how, and nothing is shown.
        """
        if not self.show and not self.stats:
            if self.redact or display != Display() or filters != Filters():
                fail("options of decode without --show", Exit.USAGE)
            return None
        return Watching(self, display, filters)


class Watching:
    """Shows what passes a proxy.

    Attributes:
        watcher: is told what passes.
    """

    def __init__(self, showing: Showing, display: Display, filters: Filters) -> None:
        from dqlitewire.proxy.watching import Watcher

        self._showing, self._display = showing, display
        self._selection = filters.selection()
        self._view = View(display)
        self._statistics = Statistics()
        self.watcher: Watcher = Watcher(self._consume)

    def report(self) -> None:
        """Show the statistics so far, between two items."""
        if self._showing.stats:
            self.watcher.between(self._report)

    def close(self) -> None:
        """Show what waits, and the statistics of all of it."""
        watcher = self.watcher
        watcher.close()
        if watcher.dropped:
            lost = counted(watcher.dropped, "byte", "was", "were")
            warn(f"{lost} not shown: the output did not take them in time")

    def _consume(self, source: Source) -> None:
        try:
            self._show(source)
        except (ReaderGone, SystemExit):
            raise  # the first is quiet, the second has been told
        except Exception as error:
            warn(f"nothing more is shown: {type(error).__name__}: {error}")
            raise

    def _show(self, source: Source) -> None:
        stats = self._showing.stats
        passed = items(source, redacted=self._showing.redact, count_rows=stats)
        seen = self._view.clock.watch(self._count(passed) if stats else passed)
        if self._showing.show:
            self._view.show(self._selection(seen), at_once=True)
        else:
            for _ in seen:
                pass
        if stats:
            self._statistics.next_source()
            self._report()

    def _count(self, passed: Iterable[Item]) -> Iterator[Item]:
        for item in passed:
            self._statistics.add(item)
            yield item

    def _report(self) -> None:
        if self._display.as_json:
            emit_json(report_json(self._statistics, "total", TOP, []), at_once=True)
            return
        room = width(self._display.columns, through_pipes=True)
        for text in report(self._statistics, "total", TOP, room, colourful(sys.stdout)):
            emit(text)
        finish()
