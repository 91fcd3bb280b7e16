"""What a proxy shows of the traffic while it passes: decode's lines, and statistics.

Both are made from one stream of items, in the thread of a `Watcher`: what is printed while it runs (the
lines; the statistics so far, when somebody asks by SIGUSR1) comes from that thread alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.filters import Filters
from dqlitewire.cli.options import first_given
from dqlitewire.cli.output import ReaderGone, colourful, emit, emit_json, fail, warn, width
from dqlitewire.cli.showing import Display, View

if TYPE_CHECKING:
    from dqlitewire.proxy.watching import Watcher
    from dqlitewire.traffic.item import Item
    from dqlitewire.traffic.sources.source import Source
    from dqlitewire.traffic.stats import Statistics

_TOP = 20  # statements


@dataclass(frozen=True)
class Watching:
    """What is shown of the traffic."""

    show: Annotated[bool, typer.Option("--show", help="Print messages as they pass, as decode does.")] = False
    stats: Annotated[bool, typer.Option("--stats", help="Print statistics at the end, and at SIGUSR1.")] = (
        False
    )
    redact: Annotated[
        bool, typer.Option("--redact", help="Hide values in what is printed, keep their shapes.")
    ] = False

    def live(self, display: Display, filters: Filters) -> Live | None:
        """Begin to show; None if nothing is shown.

        Args:
            display: how messages are shown.
            filters: which are wanted.

        Raises:
            SystemExit: options of what is shown stand there, and nothing is.
        """
        if self.show or self.stats:
            return Live(self, display, filters)
        for group in (self, display, filters):
            if name := first_given(group):
                fail(f"{name} without --show or --stats", Exit.USAGE)
        return None


class Live:
    """Shows what a watcher takes.

    Args:
        wanted: what is shown.
        display: how messages are shown.
        filters: which are wanted.

    Attributes:
        watcher: is told of everything that passes.
    """

    def __init__(self, wanted: Watching, display: Display, filters: Filters) -> None:
        from dqlitewire.proxy.watching import Watcher
        from dqlitewire.traffic.stats import Statistics

        self._wanted = wanted
        self._display = display
        self._selection = filters.selection()
        self._view = View(display) if wanted.show else None
        self._statistics: Statistics | None = Statistics() if wanted.stats else None
        self.watcher: Watcher = Watcher(self._consume)

    def report(self) -> None:
        """Have the statistics so far printed, behind what passed before."""
        if self._statistics is None:
            no_statistics()
        else:
            self.watcher.between(self._report)

    def close(self) -> None:
        """Show the rest, and the statistics."""
        self.watcher.close()
        if self.watcher.dropped:
            warn(f"{self.watcher.dropped} bytes were not shown: nobody took the output")
        error = self.watcher.error
        if error is not None and not isinstance(error, (ReaderGone, SystemExit)):
            warn(f"what passes was shown until {type(error).__name__}: {error}")
        if error is None:
            self._report()

    def _consume(self, source: Source) -> None:
        from dqlitewire.traffic.items import items

        stream = items(source, redacted=self._wanted.redact, count_rows=self._view is None)
        if self._view is not None:
            passed = self._view.clock.watch(stream)
            try:
                self._view.show(self._counted(self._selection(passed)), at_once=True)
            except ReaderGone:
                warn("standard output: nobody reads it any more; the traffic goes on")
                raise
        else:
            for _ in self._counted(self._selection(stream)):
                pass

    def _counted(self, stream: Iterable[Item]) -> Iterator[Item]:
        for item in stream:
            if self._statistics is not None:
                self._statistics.add(item)
            yield item

    def _report(self) -> None:
        from dqlitewire.traffic.views.report import report, report_json

        statistics = self._statistics
        if statistics is None:
            return
        if self._display.as_json:
            emit_json(report_json(statistics, "total", _TOP, []), at_once=True)
            return
        room = width(self._display.columns, through_pipes=True)
        for text in report(statistics, "total", _TOP, room, colourful(sys.stdout)):
            emit(text, at_once=True)


def no_statistics() -> None:
    """Say that nothing is counted, to somebody who asks for the figures."""
    warn("SIGUSR1: no statistics without --stats")
