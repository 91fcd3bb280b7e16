"""An item on one line, for people."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from dqlitewire import ResponseType
from dqlitewire.text import printable
from dqlitewire.traffic.item import TYPES, Item
from dqlitewire.traffic.shorten import counted, elide, one_line
from dqlitewire.traffic.views.summary import summarise

ARROWS = {True: ">", False: "<"}
TYPE_WIDTH = max(map(len, TYPES))
SHOWN_BYTES = 16


class Clock:
    """Writes times.

    Args:
        mode: "relative" to the first one seen, "utc", "local", "delta" to the one before, or "none".

    Raises:
        ValueError: there is no such mode.
    """

    def __init__(self, mode: str = "relative") -> None:
        if mode not in CLOCK_MODES:
            raise ValueError(f"mode is {mode!r:.40}, one of {', '.join(CLOCK_MODES)}")
        self._write = CLOCK_MODES[mode]
        self._base: int | None = None  # the first time that was written, or the one before

    def __call__(self, item: Item) -> str:
        """The time of an item with a blank behind it; nothing where no times are wanted or known."""
        if self._write is None or not item.connection.timed:
            return ""
        return (self._write(self, item.time) if item.time else "-").rjust(12) + " "

    def since_first(self, now: int) -> str:
        """Seconds since the first time that was written."""
        if self._base is None:
            self._base = now
        return _seconds(now - self._base)

    def since_last(self, now: int) -> str:
        """Seconds since the time that was written before."""
        before, self._base = self._base, now
        return _seconds(0 if before is None else now - before)


def _seconds(duration: int) -> str:
    sign = "-" if duration < 0 else ""
    micros = abs(duration) // 1000
    return f"{sign}{micros // 1_000_000}.{micros % 1_000_000:06d}"


def _of_day(convert: Callable[[float], time.struct_time], now: int) -> str:
    return time.strftime("%H:%M:%S", convert(now // 1_000_000_000)) + f".{now // 1000 % 1_000_000:06d}"


CLOCK_MODES: dict[str, Callable[[Clock, int], str] | None] = {
    "relative": Clock.since_first,
    "utc": lambda _, now: _of_day(time.gmtime, now),
    "local": lambda _, now: _of_day(time.localtime, now),
    "delta": Clock.since_last,
    "none": None,
}


def duration(nanoseconds: int) -> str:
    """A duration in the unit that suits it: 12 us, 1.23 ms, 4.56 s.

    Args:
        nanoseconds: how long; a negative one is written with its sign.
    """
    if nanoseconds < 0:
        return "-" + duration(-nanoseconds)
    if nanoseconds < 1_000_000:
        return f"{nanoseconds / 1000:.0f} us"
    if nanoseconds < 1_000_000_000:
        return f"{nanoseconds / 1e6:.3g} ms"
    return f"{nanoseconds / 1e9:.3g} s"


class Line(NamedTuple):
    """The parts of a line, to be painted apart from each other."""

    time: str
    place: str
    type: str
    text: str
    latency: str
    style: str

    def __str__(self) -> str:
        return f"{self.time}{self.place}{self.type} {self.text}{self.latency}".rstrip()


def line(item: Item, clock: Clock, width: int = 160, latencies: bool = True) -> Line:
    """Return an item as a line that fits a width.

    Args:
        item: the item.
        clock: writes its time.
        width: columns that there are.
        latencies: show how long an answer took.
    """
    when = clock(item)
    place = f"{item.connection.number:>2} {ARROWS[item.is_request]} "
    kind = item.type.ljust(TYPE_WIDTH)
    latency = ""
    if latencies and item.latency is not None and item.connection.timed:
        latency = f"  {duration(item.latency)}"
    room = width - len(when) - len(place) - len(kind) - 1 - len(latency)
    text = elide(printable(describe(item, room)), max(8, room))
    if latency:
        text = text.ljust(room)
    return Line(when, place, kind, text, latency, _style(item))


def describe(item: Item, width: int = 160) -> str:
    """The text of an item without its type.

    Args:
        item: the item.
        width: columns that there are.
    """
    message = item.message
    if message is not None:
        return summarise(message, width, item.sql if item.is_request else None)
    if item.code is not None and item.error is None:
        return f"{counted(item.size, 'byte')}, {item.note}: {_bytes(item.data)}"
    if item.code is not None:
        return f"does not decode: {item.error} ({item.size} B) {_bytes(item.data)}"
    return _OTHERS[item.type](item)


def _handshake(item: Item) -> str:
    if item.note.startswith("legacy"):
        return "legacy (before 1.0)"
    unknown = " (no server accepts it)" if item.note.startswith("unknown") else ""
    return f"version {int.from_bytes(item.data, 'little')}{unknown}"


def _http(item: Item) -> str:
    if not any(item.data):  # redacted
        return f"{item.size} B"
    return one_line(item.data.partition(b"\r\n")[0].decode("latin-1"))


def _gap(item: Item) -> str:
    lost = counted(item.size, "byte", "was", "were") if item.size else "unknown number of bytes were"
    return f"{lost} not captured"


def _unanswered(item: Item) -> str:
    return f"{item.note} got no answer" + (f": {one_line(item.sql)}" if item.sql else "")


def _no_frame(item: Item) -> str:
    return f"{counted(item.size, 'byte', 'that is', 'that are')} no frame: {_bytes(item.data)}"


#: type of an item that is no message (item.OTHER_TYPES) -> the text of its line
_OTHERS: dict[str, Callable[[Item], str]] = {
    "HANDSHAKE": _handshake,
    "HTTP": _http,
    "TLS": _no_frame,
    "RAFT": lambda item: f"{counted(item.size, 'byte')} between nodes",
    "GAP": _gap,
    "GARBAGE": _no_frame,
    "INCOMPLETE": lambda item: (
        f"the stream ends inside a frame, {counted(item.size, 'byte', 'is', 'are', 'of it')} here: "
        f"{_bytes(item.data)}"
    ),
    "UNANSWERED": _unanswered,
    "END": lambda item: f"closed by the {item.side.value}; {item.note}",
}


def _bytes(data: bytes) -> str:
    return data[:SHOWN_BYTES].hex(" ") + (" …" if len(data) > SHOWN_BYTES else "")


def _style(item: Item) -> str:
    if item.strange or item.type in ("GAP", "UNANSWERED"):
        return "garbage"
    if item.type == ResponseType.FAILURE.name:
        return "failure"
    return "request" if item.is_request else "response"
