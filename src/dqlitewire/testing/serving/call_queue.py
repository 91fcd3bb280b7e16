"""Functions that other threads hand to the serving thread: each is run or refused, none is forgotten.

Nothing here waits for a lock: a signal handler may come in the middle of any call and make another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["CallQueue"]

T = TypeVar("T")
Call = tuple[Callable[[], Any], Future[Any]]


class CallQueue:
    """Functions that wait for the serving thread, in order."""

    def __init__(self) -> None:
        self._waiting: deque[Call] = deque()
        self._closed = False

    def add(self, function: Callable[[], T]) -> Future[T]:
        """Hand one over; the future gets a RuntimeError if it is not run any more."""
        future: Future[T] = Future()
        self._waiting.append((function, future))
        if self._closed:  # looked at after the call stands in the queue: `close` or this sees it
            self._refuse()
        return future

    def run(self) -> None:
        """Run all that wait."""
        for function, future in self._taken():
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

    def close(self) -> None:
        """Refuse those that wait, and all that come."""
        self._closed = True
        self._refuse()

    def _refuse(self) -> None:
        for _, future in self._taken():
            future.set_exception(RuntimeError("the server has stopped"))

    def _taken(self) -> Iterator[Call]:
        while True:
            try:
                call = self._waiting.popleft()
            except IndexError:
                return
            yield call
