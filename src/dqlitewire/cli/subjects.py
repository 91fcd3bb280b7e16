"""What `top` watches: traffic, or nodes. Each gives steps, takes them, and tells what they add up to.

Numbers and lines are made in `traffic.window` and `traffic.views.live`, or in `surveying` and `rounds`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from rich.text import Text

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import fail, pause
from dqlitewire.cli.progress import watched
from dqlitewire.cli.refreshing import How
from dqlitewire.cli.rounds import Rounds, node_lines, nodes_json
from dqlitewire.cli.sources import POLL, Damage, Inputs
from dqlitewire.dial import DialOptions, Target, Verdict
from dqlitewire.dial.surveying import Survey
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.views.live import Look, traffic_json, traffic_lines
from dqlitewire.traffic.window import Window

GRACE = 500_000_000  # nanoseconds without anything that are no pause: files are read every `POLL`
RECENT = 60_000_000_000  # nanoseconds: a capture whose end is as old as that is being made
LEAST = 2.0  # seconds that a node has to answer, unless --timeout or --interval says otherwise
SORT_KEYS = {"r": "rate", "t": "time", "l": "latency", "w": "rows", "f": "failures"}


class _Pace:
    """How far time has gone on since the newest item, for traffic that goes on.

    A pipe, whatever its name, goes on until it ends. A file goes on if it grows once it was read to its end,
    or if its end is not old; else it is of the past, and time stands where it ends.
    """

    def __init__(self, live: bool) -> None:
        self.live = live
        self._caught_up = False
        self._since = time.monotonic_ns()  # when the newest item came
        self._behind = 0  # how old it was then

    @property
    def idle(self) -> int:
        """Nanoseconds since the newest item; 0 of the past, and while more may just not have been read."""
        return max(0, time.monotonic_ns() - self._since + self._behind - GRACE) if self.live else 0

    def came(self) -> None:
        """Note that an item came."""
        self._since, self._behind = time.monotonic_ns(), 0
        self.live = self.live or self._caught_up

    def caught_up(self, newest: int) -> None:
        """Note that nothing more is there yet.

        Args:
            newest: the time of the newest item, in nanoseconds since 1970; 0 if unknown.
        """
        if self._caught_up:
            return
        self._caught_up = True
        age = time.time_ns() - newest
        if newest and 0 <= age < RECENT:
            self.live, self._since, self._behind = True, time.monotonic_ns(), age

    def end(self) -> None:
        """Note that nothing more comes."""
        self.live = False


class Traffic:
    """Traffic that is watched.

    Args:
        inputs: where it is.
        how: it is shown.

    Attributes:
        order: what statements are sorted by.
    """

    stepwise: bool = False
    keys: Mapping[str, str] = MappingProxyType(SORT_KEYS)

    def __init__(self, inputs: Inputs, how: How) -> None:
        self.order: str = how.sort
        names = inputs.names
        if names == ["-"] and sys.stdin.isatty():
            fail("nothing to watch: name nodes or a capture, or pipe one in", Exit.USAGE)
        self._inputs = inputs
        self._once = how.once
        self._follow = not how.once and len(names) == 1 and os.path.isfile(names[0])
        self._name = ", ".join("standard input" if name == "-" else name for name in names)
        self._window = Window(None if how.once else round(how.window * 1e9))
        pipes = [name for name in names if name == "-" or not os.path.isfile(name)]
        self._pace = _Pace(not how.once and bool(pipes))
        self._damage = Damage()
        self._source: Source | None = None
        self._state = ""

    def steps(self) -> Iterator[Item]:
        """Yield what passed."""
        for source in self._inputs.open(self._follow, self._wait):
            self._source = source
            self._window.next_source(source.side is not None)
            with source:
                found = items(source, redacted=self._inputs.redact, count_rows=True)
                yield from watched(found, source, quiet=not self._once)
            self._damage.add(source)
            self._source = None
        self._pace.end()
        self._state = "ended"

    def _wait(self) -> bool:
        self._pace.caught_up(self._window.timeline.last)
        pause(POLL)
        return True

    def take(self, step: Item) -> None:
        """Count something that passed."""
        self._pace.came()
        arrived = time.time_ns() if self._pace.live and not step.connection.timed else 0
        self._window.add(step, arrived)

    def lines(self, width: int, height: int | None, keys: Sequence[str]) -> list[Text]:
        """Return what is to be seen."""
        now = time.time_ns()
        look = Look(self._name, self.order, tuple(keys), "" if self._once else self._state, now)
        return traffic_lines(self._window.snapshot(self._pace.idle), look, width, height)

    def json(self) -> str:
        """Return it as one object."""
        source = self._source
        notes = self._damage.notes + (source.notes if source is not None else [])
        skipped = self._damage.skipped + (source.damaged if source is not None else 0)
        return traffic_json(self._window.snapshot(self._pace.idle), self.order, time.time(), notes, skipped)

    def end(self) -> Exit:
        """Say what was damaged, and how that ends the command."""
        if self._source is not None:
            self._damage.add(self._source)
        self._damage.report()
        return Exit.DAMAGED if self._window.statistics.damaged else self._damage.exit


class Nodes:
    """Nodes that are watched.

    Args:
        targets: what is asked, each with its options.
        timeout: seconds for a round.
        whole: ask every member that the leader names, too.
        how: it is shown.

    Attributes:
        order: of nothing.
    """

    stepwise: bool = True
    keys: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self, targets: Sequence[tuple[Target, DialOptions]], timeout: float, whole: bool, how: How
    ) -> None:
        self.order: str = how.sort
        self._how = how
        each = timeout if how.once else min(timeout, max(how.interval, LEAST))
        self._survey = Survey.of(targets, each, whole, once=not how.once)
        self._rounds = Rounds()
        self._name = ", ".join(target.text for target, _ in targets)

    def steps(self) -> Iterator[Verdict]:
        """Yield what each round finds."""
        while True:
            begin = time.monotonic()
            yield self._survey.run()
            if self._how.once:
                return
            pause(max(0.0, begin + self._how.interval - time.monotonic()))

    def take(self, step: Verdict) -> None:
        """Count a round."""
        self._rounds.add(step, time.time())

    def lines(self, width: int, height: int | None, keys: Sequence[str]) -> list[Text]:
        """Return what is to be seen."""
        return node_lines(self._rounds, self._name, width, height, keys)

    def json(self) -> str:
        """Return it as one object."""
        return nodes_json(self._rounds)

    def end(self) -> Exit:
        """Tell how the command ends: of one round by what was found."""
        verdict = self._rounds.verdict
        if not self._how.once or verdict is None or verdict.healthy:
            return Exit.OK
        return Exit.FAILED if any(s.answer.health.answered for s in verdict.view.nodes) else Exit.INPUT
