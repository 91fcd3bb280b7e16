"""What commands share that serve from an event loop until a signal comes: proxy, replay --serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dqlitewire.cli.ending import ending_signals
from dqlitewire.cli.output import warn

_MOST_DESCRIPTORS = 1 << 20


def prepare(stop: Callable[[], object]) -> None:
    """Make the running loop that of a service.

    Signals end it, all descriptors that the system lets us have are there, and what asyncio can tell nobody
    goes to standard error in one line.

    Args:
        stop: called for each signal that ends the service.
    """
    loop = asyncio.get_running_loop()
    for number in ending_signals():
        loop.add_signal_handler(number, stop)
    loop.set_exception_handler(_say_exception)
    _raise_descriptor_limit()


def _raise_descriptor_limit() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _say_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # asyncio's own words for what it cannot tell anybody: descriptors used up, for example
    error = context.get("exception")
    warn(f"{context.get('message', 'asyncio')}{f': {error}' if error is not None else ''}")
