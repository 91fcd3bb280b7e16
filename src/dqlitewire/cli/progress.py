"""A progress bar on standard error for long inputs, when that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from dqlitewire.text import printable
from dqlitewire.traffic.sources.source import Source

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")

LONG = 16 << 20  # bytes of input


def watched(stream: Iterable[T], source: Source, quiet: bool = False) -> Iterator[T]:
    """Pass a stream on, showing how far its source is read.

    Args:
        stream: what is made of the source.
        source: what is read.
        quiet: show nothing.
    """
    size = source.size
    if quiet or not sys.stderr.isatty() or size is None or size < LONG:
        yield from stream
        return
    with _bar() as bar:
        task = bar.add_task(printable(source.name), total=size)
        shown = time.monotonic()
        for item in stream:
            if time.monotonic() - shown > 0.2:
                shown = time.monotonic()
                bar.update(task, completed=source.position)
            yield item


@contextmanager
def receiving(name: str) -> Generator[Callable[[int, int | None], object]]:
    """Show how much of something has come, on standard error, when that is a terminal.

    Args:
        name: of what comes.

    Yields:
        A function to call with the bytes that have come, and how many will, if that is known.
    """
    if not sys.stderr.isatty():
        yield _unseen
        return
    with _bar() as bar:
        task = bar.add_task(printable(name), total=None)

        def show(received: int, total: int | None) -> None:
            bar.update(task, completed=received, total=total)

        yield show


def _unseen(received: int, total: int | None) -> None:
    pass


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    # a name is text of others: no markup, and nothing that a terminal would obey
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4)
