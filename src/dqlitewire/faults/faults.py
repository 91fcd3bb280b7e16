"""Faults on order: what shall go wrong, where, and how often.

A `Fault` says which answers it takes (by connection, by request type), how many it lets pass first and how
many it takes before everything is well again.  `Faults` is filled by the test's thread and asked by the
server's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from dqlitewire.constants import RequestType
from dqlitewire.testing.arguments import (
    Selection,
    check_flag,
    check_number,
    check_seconds,
    check_text,
    request_types,
    shown,
)

__all__ = ["Corrupt", "Delay", "Drop", "Fail", "Fault", "Faults", "SplitWrites", "Spoiler", "Where"]


@dataclass(frozen=True, slots=True)
class Where:
    """Which answers a fault takes.

    Attributes:
        on: Requests it applies to: types, message classes or names such as "EXEC_SQL"; None for all.
        connection: Number of the one connection it applies to, counted from 1; None for all.
        times: How many answers it spoils before it is over; None for ever.
        after: How many answers that it would apply to it lets pass first.
    """

    on: Selection = None
    connection: int | None = None
    times: int | None = 1
    after: int = 0


class Fault:
    """One ordered misbehaviour; as a context manager it is cancelled on leaving.

    Args:
        where: Which answers it takes.

    Attributes:
        hits: How often it has struck.

    Raises:
        TypeError: an argument has the wrong type; also of all kinds below.
        ValueError: an argument has no sense; also of all kinds below.
    """

    def __init__(self, where: Where | None = None) -> None:
        where = Where() if where is None else where
        if not isinstance(where, Where):  # pyright: ignore
            raise TypeError(f"where {shown(where)}, must be a Where")
        if where.times is not None:
            check_number("times", where.times, 1)
        if where.connection is not None:
            check_number("connection", where.connection, 1)
        check_number("after", where.after, 0)
        self._types = request_types(where.on)
        self._connection = where.connection
        self._left = where.times
        self._after = where.after
        self.hits = 0

    @property
    def over(self) -> bool:
        """Whether it will never strike again."""
        return self._left == 0

    def cancel(self) -> None:
        """Let it never strike again."""
        self._left = 0

    def __enter__(self) -> Fault:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def __repr__(self) -> str:
        words = [type(self).__name__, *self._words()]
        if self._types is not None:
            words.append(f"on {'/'.join(sorted(map(_request_name, self._types)))}")
        if self._connection is not None:
            words.append(f"connection {self._connection}")
        words.append("over" if self.over else f"{self._left or 'any number'} to come")
        return f"<{', '.join(words)}, {self.hits} hits>"

    def _words(self) -> list[str]:
        return []

    def strikes(self, connection: int, request: int) -> bool:
        """Tell whether it takes this answer, and count it."""
        if self._left == 0 or self._connection not in (None, connection):
            return False
        if self._types is not None and request not in self._types:
            return False
        if self._after > 0:
            self._after -= 1
            return False
        if self._left is not None:
            self._left -= 1
        self.hits += 1
        return True


def _request_name(request: int) -> str:
    return RequestType(request).name


class Fail(Fault):
    """FAILURE instead of the answer.

    Args:
        executed: Whether the request is carried out all the same: the client cannot know.
    """

    def __init__(self, code: int, message: str, executed: bool = False, where: Where | None = None) -> None:
        super().__init__(where)
        check_number("code", code, 0, 2**64 - 1)
        check_text("message", message)
        check_flag("executed", executed)
        self.code = code
        self.message = message
        self.executed = executed

    def _words(self) -> list[str]:
        return [f"{self.code} {self.message!r}"]


class Drop(Fault):
    """Close the connection in the middle of an answer.

    Args:
        size: Bytes of the answer that still go out.
        frames: Whole frames of it that still go out.
        reset: Close with RST instead of FIN.
        executed: Whether the request is carried out; only where nothing goes out can it be False.
    """

    def __init__(
        self,
        size: int = 0,
        frames: int = 0,
        reset: bool = False,
        executed: bool = True,
        where: Where | None = None,
    ) -> None:
        super().__init__(where)
        check_number("bytes", size, 0)
        check_number("frames", frames, 0)
        check_flag("reset", reset)
        check_flag("executed", executed)
        self.size = size
        self.frames = frames
        self.reset = reset
        self.executed = executed

    def _words(self) -> list[str]:
        return [f"after {self.frames} frames and {self.size} bytes"]


class Delay(Fault):
    """Wait before the first byte of the answer."""

    def __init__(self, seconds: float, where: Where | None = None) -> None:
        super().__init__(where)
        check_seconds("seconds", seconds)
        self.seconds = seconds

    def _words(self) -> list[str]:
        return [f"{self.seconds} s"]


class SplitWrites(Fault):
    """Send the answer in pieces of a size, each on its own."""

    def __init__(self, size: int, pause: float = 0.0, where: Where | None = None) -> None:
        super().__init__(where)
        check_number("size", size, 1)
        check_seconds("pause", pause)
        self.size = size
        self.pause = pause

    def _words(self) -> list[str]:
        return [f"{self.size} bytes at a time"]


class Corrupt(Fault):
    """Change the frames of the answer."""

    def __init__(self, change: Callable[[bytes], bytes], where: Where | None = None) -> None:
        super().__init__(where)
        if not callable(change):
            raise TypeError(f"change {type(change).__name__}, must be a function of a frame")
        self.change = change


class Faults:
    """The faults that are ordered; safe to fill from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        """Add a fault; those of before go first."""
        with self._lock:
            self._ordered.append(fault)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            for fault in self._ordered:
                fault.cancel()
            self._ordered.clear()

    def strike(self, connection: int, request: int) -> list[Fault]:
        """Return those that take this answer: the first FAILURE, and all of the other kinds."""
        if not self._ordered:
            return []
        struck: list[Fault] = []
        with self._lock:
            for fault in self._ordered:
                if isinstance(fault, Fail) and any(isinstance(other, Fail) for other in struck):
                    continue
                if fault.strikes(connection, request):
                    struck.append(fault)
            self._ordered = [fault for fault in self._ordered if not fault.over]
        return struck


class Spoiler:
    """Applies the faults that strike one connection to what it sends.

    Attributes:
        pause: Seconds to wait before the last spoiled frame is sent.
        write_size: Bytes to send at a time, None for as many as fit; `write_pause` seconds apart.
        dropped: The connection ends behind the last spoiled frame; `reset` says by RST.
    """

    def __init__(self, faults: Faults, connection: int) -> None:
        self.pause = 0.0
        self.write_size: int | None = None
        self.write_pause = 0.0
        self.dropped = self.reset = False
        self._faults = faults
        self._connection = connection
        self._struck: list[Fault] = []
        self._dropping = False
        self._frames_left = self._bytes_left = 0

    def begin(self, request: int) -> list[Fault]:
        """Begin an answer; returns the faults that strike it."""
        self._struck = self._faults.strike(self._connection, request)
        return self._struck

    def spoil(self, data: bytes) -> bytes:
        """Return what of a frame is sent."""
        self.pause, self.write_size = 0.0, None
        if not self._struck and not self._dropping:
            return data
        for fault in self._struck:
            match fault:
                case Corrupt(change=change):
                    data = change(data)
                case Delay(seconds=seconds):
                    self.pause += seconds
                case SplitWrites(size=size, pause=pause):
                    self.write_size, self.write_pause = size, pause
                case Drop() if not self._dropping:
                    self._dropping, self.reset = True, fault.reset
                    self._frames_left, self._bytes_left = fault.frames, fault.size
                case _:
                    pass
        # the others strike once an answer
        self._struck = [fault for fault in self._struck if isinstance(fault, Corrupt | SplitWrites)]
        return self._cut(data) if self._dropping else data

    def _cut(self, data: bytes) -> bytes:
        if self._frames_left > 0:
            self._frames_left -= 1
            self.dropped = self._frames_left == 0 and self._bytes_left == 0
            return data
        if len(data) >= self._bytes_left:
            data = data[: self._bytes_left]
            self.dropped = True
        self._bytes_left -= len(data)
        return data
