"""What `top` does beside its options: what is watched, and the loop that shows it.

    Traffic, Nodes     what is watched: a stream of steps, and what they add up to, as lines or JSON
    watch              shows it: once, as lines or JSON again and again, or on a terminal

One thread does all: it takes steps, and shows between two of them, or while it waits for the next
(`live.Live`).
Numbers and lines are made elsewhere: `traffic.window`, `traffic.views.live`, `rounds`.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.text import Text

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.live import Live
from dqlitewire.cli.output import colourful, emit, emit_json, fail, width
from dqlitewire.cli.progress import watched
from dqlitewire.cli.refreshing import How
from dqlitewire.cli.rounds import Rounds, node_lines, nodes_json
from dqlitewire.cli.sources import POLL, Damage, Inputs
from dqlitewire.dial import DialOptions, Target, Verdict
from dqlitewire.dial.surveying import Survey
from dqlitewire.text import Shown
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.views.live import Look, traffic_json, traffic_lines
from dqlitewire.traffic.window import Window

if TYPE_CHECKING:
    from dqlitewire.cli.terminal import Screen

TICK = 0.1  # seconds between looks at the keys
FIRST = 0.5  # seconds until something is shown, whatever the interval
GRACE = 500_000_000  # nanoseconds without anything that are no pause: files are read every `POLL`
RECENT = 60_000_000_000  # nanoseconds: a capture whose end is as old as that is being made
LEAST = 2.0  # seconds that a node has to answer, unless --timeout or --interval says otherwise
SORT_KEYS = {"r": "rate", "t": "time", "l": "latency", "w": "rows", "f": "failures"}


class Subject(Protocol):
    """What is watched.

    Attributes:
        order: what is sorted by, one of `refreshing.ORDERS`.
        stepwise: each step is shown, rather than what has come every so often.
        keys: what the keys do that it knows, in words.
    """

    order: str
    stepwise: bool
    keys: tuple[str, ...]

    def steps(self) -> Iterator[Any]: ...
    def take(self, step: Any) -> None: ...
    def lines(self, width: int, height: int | None, keys: Sequence[str]) -> list[Text]: ...
    def json(self) -> str: ...
    def end(self) -> Exit: ...


def watch(how: How, subject: Subject) -> Exit:
    """Show what is watched until it ends or somebody stops it.

    Args:
        how: it is shown.
        subject: what is watched.

    Returns:
        How the command ends.
    """
    if how.once:
        for step in subject.steps():
            subject.take(step)
        _print(how, subject)
        return subject.end()
    try:
        if how.as_json or not sys.stdout.isatty():
            _printed(how, subject)
        else:
            _on_screen(how, subject)
    except KeyboardInterrupt:
        pass  # this is how watching ends
    return subject.end()


def _print(how: How, subject: Subject, between: bool = False) -> None:
    if how.as_json:
        emit_json(subject.json(), at_once=True)
        return
    room, colour = width(how.columns, through_pipes=True), colourful(sys.stdout)
    for line in _drawn(subject.lines(room, None, ()), room, colour):
        emit(line)
    emit("", at_once=True) if between else None


def _printed(how: How, subject: Subject) -> None:
    """Print it again and again."""
    counts = itertools.count(1)

    def show() -> None:
        _print(how, subject, between=True)
        if next(counts) == how.count:
            raise KeyboardInterrupt

    with Live(None if subject.stepwise else how.interval, show) as live:
        for step in live.items(subject.steps()):
            subject.take(step)
            if subject.stepwise:
                show()
    if not subject.stepwise:
        show()


def _on_screen(how: How, subject: Subject) -> None:
    from dqlitewire.cli.terminal import Screen

    with Screen() as screen:
        view = _View(how, subject, screen)
        view.show()
        with Live(TICK, view.tick) as live:
            for step in live.items(itertools.chain(subject.steps(), _for_ever())):
                subject.take(step)
                if subject.stepwise:
                    view.show(counted=True)


def _for_ever() -> Iterator[Any]:
    """What keeps the last picture on the screen."""
    while True:
        time.sleep(1)
    yield


class _View:
    """What is watched, on the screen."""

    def __init__(self, how: How, subject: Subject, screen: Screen) -> None:
        self._how = how
        self._subject = subject
        self._screen = screen
        self._due = time.monotonic() + min(how.interval, FIRST)
        self._count = 0

    def tick(self) -> None:
        """Do what keys say, and show what is due.

        Raises:
            KeyboardInterrupt: it has been shown often enough, or a key says so.
        """
        for key in self._screen.pressed():
            if key in "qQ\x03\x04":
                raise KeyboardInterrupt
            if key in SORT_KEYS and self._subject.keys:
                self._subject.order = SORT_KEYS[key]
                self._screen.stale = True
        now = time.monotonic()
        if now >= self._due:
            # behind by more than one: what was missed is not made up for
            self._due = max(self._due + self._how.interval, now)
            self.show(counted=not self._subject.stepwise)
        elif self._screen.stale:
            self.show()

    def show(self, counted: bool = False) -> None:
        """Draw it.

        Args:
            counted: it is one of those that `--count` counts.
        """
        columns, rows = self._screen.size
        columns = min(columns, self._how.columns or columns)
        lines = self._subject.lines(columns, rows, ("q quit", *self._subject.keys))
        self._screen.draw(_drawn(lines, columns, colourful(sys.stdout)))
        self._count += counted
        if self._count == self._how.count:
            raise KeyboardInterrupt


def _drawn(lines: Sequence[Text], columns: int, colour: bool) -> list[Shown]:
    """Lines as the terminal shows them."""
    if not colour:
        return [Shown(line.plain.rstrip()) for line in lines]
    console = Console(width=columns, height=len(lines) + 1, force_terminal=True, legacy_windows=False)
    return [Shown(_rendered(console, line)) for line in lines]


def _rendered(console: Console, line: Text) -> str:
    with console.capture() as shown:
        console.print(line, end="", no_wrap=True, overflow="crop", soft_wrap=False, highlight=False)
    return shown.get()


class _Pace:
    """How far time has gone on since the newest item, for traffic that goes on.

    A pipe goes on until it ends. A file goes on if it grows once it was read to its end, or if its end is not
    old; else it is of the past, and time stands where it ends.
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
    keys: tuple[str, ...] = tuple(f"{key} {order}" for key, order in SORT_KEYS.items())

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
        self._pace = _Pace(not how.once and names == ["-"])
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
        time.sleep(POLL)
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
    keys: tuple[str, ...] = ()

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
            time.sleep(max(0.0, begin + self._how.interval - time.monotonic()))

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
