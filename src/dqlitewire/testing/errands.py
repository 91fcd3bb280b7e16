"""Functions that other threads hand to the serving thread: each is run or refused, none is forgotten."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["Errands"]

T = TypeVar("T")


class Errands:
    """Functions that wait for the serving thread, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._closed = False

    def add(self, function: Callable[[], T]) -> Future[T]:
        """Hand one over.

        Raises:
            RuntimeError: nobody runs it any more.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise _stopped()
            self._waiting.append((function, future))
        return future

    def run(self) -> None:
        """Run all that wait."""
        while self._waiting:
            function, future = self._waiting.popleft()
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

    def close(self) -> None:
        """Refuse those that wait, and all that come."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, deque()
        for _, future in waiting:
            future.set_exception(_stopped())


def _stopped() -> RuntimeError:
    return RuntimeError("the server has stopped")
