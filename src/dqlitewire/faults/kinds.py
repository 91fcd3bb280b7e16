"""The kinds of faults that come with the package; their words are the same wherever faults are ordered.

The hooks are those of `Fault`, which documents them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from dqlitewire.constants import (
    DQLITE_PARSE,
    SQLITE_BUSY,
    SQLITE_ERROR,
    SQLITE_FULL,
    SQLITE_IOERR,
    SQLITE_NOMEM,
    ResponseType,
)
from dqlitewire.faults.checks import check_flag, check_number, check_seconds, check_text
from dqlitewire.faults.fault import RESPONSE, Fault
from dqlitewire.faults.strike import Strike
from dqlitewire.header import HEADER
from dqlitewire.servers.refusals import NO_DATABASE, NOT_LEADER

__all__ = ["FAILURE_TEXTS", "Corrupt", "Delay", "Drop", "Fail", "Hold", "Split"]

Frame = bytes  # in `Drop` the name of the type is that of a word

FAILURE_TEXTS = dict([NOT_LEADER, NO_DATABASE]) | {
    SQLITE_ERROR: "SQL logic error",
    SQLITE_BUSY: "database is locked",
    SQLITE_BUSY | 1 << 8: "database is locked",
    SQLITE_BUSY | 2 << 8: "database is locked",
    SQLITE_NOMEM: "out of memory",
    SQLITE_IOERR: "disk I/O error",
    SQLITE_FULL: "database or disk is full",
    DQLITE_PARSE: "bind parameters",
}
"""The texts of FAILUREs by code, as far as all releases agree."""


class Fail(Fault):
    """Answer with a FAILURE.

    Args:
        code: Its code, 0 to 2**64 - 1.
        message: Its text; by default the one that a node gives with this code.
        executed: Carry the request out all the same, as with leadership lost at the wrong moment.
    """

    code: int
    message: str | None = None
    executed: bool = False

    directions: ClassVar[tuple[str, ...]] = (RESPONSE,)
    replaces_answer: ClassVar[bool] = True

    def check(self) -> None:
        if self.message is None:
            check_number("code", self.code, 0)
        check_number("code", self.code, 0, 2**64 - 1)
        if self.message is not None:
            check_text("message", self.message)
        check_flag("executed", self.executed)

    def begin(self, strike: Strike) -> None:
        message = strike.failure_text(self.code) if self.message is None else self.message
        strike.answer(_failure(self.code, message))
        if not self.executed:
            strike.skip()

    def words(self) -> list[str]:
        message = FAILURE_TEXTS.get(self.code) if self.message is None else self.message
        return [str(self.code) if message is None else f"{self.code} {message!r}"]


def _failure(code: int, message: str) -> bytes:
    text = message.encode("utf-8", "surrogateescape") + b"\0"
    text += bytes(-len(text) % 8)
    return HEADER.pack(1 + len(text) // 8, ResponseType.FAILURE, 0, 0) + code.to_bytes(8, "little") + text


class Drop(Fault):
    """Close the connection after so many frames, and bytes of the next one, counted from the next answer.

    The count goes on over as many answers as it takes. `times` counts connections.

    Args:
        frames: Whole frames that still go out.
        bytes: Bytes that still go out behind them.
        reset: Close with RST, not FIN.
        executed: Carry the request out; False closes before that, whatever `frames` and `bytes`.
    """

    frames: int = 0
    bytes: int = 0
    reset: bool = False
    executed: bool = True

    goes_on: ClassVar[bool] = True
    runs_last: ClassVar[bool] = True  # counts what would have gone out

    def check(self) -> None:
        check_number("bytes", self.bytes, 0)
        check_number("frames", self.frames, 0)
        check_flag("reset", self.reset)
        check_flag("executed", self.executed)

    def begin(self, strike: Strike) -> None:
        if not self.executed:
            strike.skip()
            strike.close(reset=self.reset)

    def frame(self, strike: Strike, data: Frame) -> Frame:
        # the count goes on until so many frames have passed whole; behind them `state` counts the bytes left
        if strike.frames < self.frames:
            if strike.frames + 1 == self.frames and not self.bytes:
                strike.close(reset=self.reset)
            return data
        left: int = self.bytes if strike.state is None else strike.state
        strike.state = left - len(data)
        if strike.state > 0:
            return data
        strike.close(reset=self.reset)
        return data[:left]

    def words(self) -> list[str]:
        where = f"after {self.frames} frames and {self.bytes} bytes" if self.executed else "not executed"
        return [where, "reset"] if self.reset else [where]


class Delay(Fault):
    """Wait before the first byte of an answer; the request is carried out at once.

    Args:
        seconds: How long, at most a day.
    """

    seconds: float

    def check(self) -> None:
        check_seconds("seconds", self.seconds)

    def frame(self, strike: Strike, data: bytes) -> bytes:
        if strike.frames == 0:
            strike.wait(self.seconds)
        return data

    def words(self) -> list[str]:
        return [f"{self.seconds} s"]


class Split(Fault):
    """Send an answer in pieces.

    Args:
        size: Bytes of a piece, at least 1; each is written on its own.
        pause: Seconds between two pieces, at most a day.
    """

    size: int
    pause: float = 0.0

    def check(self) -> None:
        check_number("size", self.size, 1)
        check_seconds("pause", self.pause)

    def frame(self, strike: Strike, data: bytes) -> bytes:
        strike.split(self.size, self.pause)
        return data

    def words(self) -> list[str]:
        pause = f", {self.pause} s apart" if self.pause else ""
        return [f"{self.size} bytes at a time{pause}"]


class Corrupt(Fault):
    """Change every frame of an answer.

    Args:
        change: Called with each whole frame, returns what is sent instead.
        at: Without `change`: the byte to spoil, counted from the frame's start (4 is the type); a shorter
            frame stays as it is.
        xor: Without `change`: what the byte is xor-ed with, 0 to 255.
    """

    change: Callable[[bytes], bytes] | None = None
    at: int = 4
    xor: int = 0xFF

    def check(self) -> None:
        change: object = self.change
        if change is not None and not callable(change):
            raise TypeError(f"change {type(change).__name__}, must be a function of a frame")
        check_number("at", self.at, 0)
        check_number("xor", self.xor, 0, 255)

    def frame(self, strike: Strike, data: bytes) -> bytes:
        if self.change is not None:
            return self.change(data)
        if self.at >= len(data):
            return data
        return data[: self.at] + bytes([data[self.at] ^ self.xor]) + data[self.at + 1 :]

    def words(self) -> list[str]:
        if self.change is not None:
            return [f"by {getattr(self.change, '__name__', type(self.change).__name__)}"]
        return [f"at {self.at} xor {self.xor:#04x}"]


class Hold(Fault):
    """Carry the request out, and send nothing any more while the connection stays open.

    With `direction="request"` neither this request nor a later one reaches the node. `times` counts
    connections.
    """

    goes_on: ClassVar[bool] = True

    def begin(self, strike: Strike) -> None:
        strike.hold()
