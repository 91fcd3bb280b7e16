"""A progress bar on standard error for long inputs, when that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from dqlitewire.text import printable
from dqlitewire.traffic.sources.source import Source

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
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    # a name is text of others: no markup, and nothing that a terminal would obey
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(printable(source.name), total=size)
        shown = time.monotonic()
        for item in stream:
            if time.monotonic() - shown > 0.2:
                shown = time.monotonic()
                bar.update(task, completed=source.position)
            yield item
