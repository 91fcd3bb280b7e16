"""Signals between the items of a stream, never while one of them is worked on.

A command that counts what passes is interrupted (SIGINT, SIGTERM) and asked for what it has so far (SIGALRM,
each few seconds) while it waits for more, which may take for ever, or while it works. In both cases what it
shows must be what it has counted: half an item or half a report is of no use. So a signal between items is
served at once, and one that strikes inside of an item is served behind it:

    stream   | wait ....... | item, worked on | wait ....
    signal          ^ served         ^ noted  ^ served

A second interrupt behind one that was noted is served at once: whatever the item is stuck in shall end.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class Live:
    """Serves signals between the items of streams; a context manager, in which the signals are its own.

    Elsewhere than in the main thread, and for what was ignored before, signals stay as they are.

    Args:
        every: seconds between two calls of `tick`; None for no calls.
        tick: called between two items.
    """

    def __init__(self, every: float | None, tick: Callable[[], None]) -> None:
        self._every = every
        self._tick = tick
        self._busy = self._interrupted = self._due = False
        self._before: dict[int, object] = {}

    def items(self, stream: Iterable[T]) -> Iterator[T]:
        """Yield a stream; the consumer is not interrupted while it has an item.

        Args:
            stream: read while signals are served.

        Raises:
            KeyboardInterrupt: there was an interrupt; nothing is lost of the items before.
        """
        for item in stream:
            self._busy = True
            yield item
            self._busy = False
            if self._interrupted or self._due:
                self._serve()

    def __enter__(self) -> Live:
        if threading.current_thread() is not threading.main_thread():
            return self
        numbers = [signal.SIGINT, signal.SIGTERM]
        if self._every is not None:
            numbers.append(signal.SIGALRM)
        for number in numbers:
            if (before := signal.getsignal(number)) is not signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._struck)
        if self._every is not None:
            signal.setitimer(signal.ITIMER_REAL, self._every, self._every)
        return self

    def __exit__(self, *_: object) -> None:
        self._busy = True  # what comes while the handlers change is served by the old ones, or by none
        if signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    def _struck(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGALRM:
            self._due = True
        elif self._interrupted:
            raise KeyboardInterrupt
        else:
            self._interrupted = True
        if not self._busy:
            self._serve()

    def _serve(self) -> None:
        while self._due or self._interrupted:
            if self._interrupted:
                raise KeyboardInterrupt
            self._due, self._busy = False, True
            try:
                self._tick()
            finally:
                self._busy = False
