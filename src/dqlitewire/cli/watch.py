"""The loop of `top`: it takes what passes, and shows it.

    Subject     what is watched: a stream of steps, and what they add up to, as lines or JSON (`subjects`)
    watch       shows it: once, as lines or JSON again and again, or on a terminal

One thread does all: it takes steps, and shows between two of them, or while it waits for the next
(`live.Live`).
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.text import Text

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.live import Live
from dqlitewire.cli.output import colourful, emit, emit_json, width
from dqlitewire.cli.refreshing import How
from dqlitewire.text import Shown

if TYPE_CHECKING:
    from dqlitewire.cli.terminal import Screen

TICK = 0.1  # seconds between looks at the keys
FIRST = 0.5  # seconds until something is shown, whatever the interval


class Subject(Protocol):
    """What is watched.

    Attributes:
        order: what is sorted by, one of `refreshing.ORDERS`.
        stepwise: each step is shown, rather than what has come every so often.
        keys: that sort it, and by what.
    """

    order: str
    stepwise: bool
    keys: Mapping[str, str]

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
            if key in self._subject.keys:
                self._subject.order = self._subject.keys[key]
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
        keys = [f"{key} {order}" for key, order in self._subject.keys.items()]
        lines = self._subject.lines(columns, rows, ["q quit", *keys])
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
