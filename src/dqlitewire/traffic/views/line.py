"""An item on one line, for people."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from dqlitewire import Message, ResponseType
from dqlitewire.conversation import Generation, judge_generation
from dqlitewire.text import printable
from dqlitewire.traffic.item import CLIENT_TYPES, Item, frame_of
from dqlitewire.traffic.shorten import counted, elide, middle, one_line
from dqlitewire.traffic.sources.pieces import Taken
from dqlitewire.traffic.views.raft import summarise_raft
from dqlitewire.traffic.views.summary import summarise

ARROWS = {True: ">", False: "<"}
TYPE_WIDTH = max(map(len, CLIENT_TYPES))  # the longer names between nodes take what they need
SHOWN_BYTES = 16
LATENCY = 10  # columns of one, with blanks around it
MIN_TEXT = 30  # columns for text: where there are fewer, one that needs more has rows of its own
ROWS = 3  # at most so many
INDENT = 4  # of them
_FAILURE = ResponseType.FAILURE.name  # which an enum works out anew each time


class Clock:
    """Writes times.

    The time of an item is a fact of the item: `watch` tells it when its source began and when the item before
    it passed, in front of any selection, so that it is the same whatever else is shown.

    Args:
        mode: "relative" to the beginning of the source, "utc", "local", "delta" to the item before, "none".

    Raises:
        ValueError: there is no such mode.
    """

    def __init__(self, mode: str = "relative") -> None:
        if mode not in CLOCK_MODES:
            raise ValueError(f"mode is {mode!r:.40}, one of {', '.join(CLOCK_MODES)}")
        self._width, self._write = CLOCK_MODES[mode]
        self._began = self._last = 0
        self._source = ""
        self._used = False

    def watch(self, items: Iterable[Item]) -> Iterator[Item]:
        """Pass the items of one source on; each source has a clock of its own.

        Args:
            items: all of the source, before any are left out.
        """
        self._began = self._last = 0
        for item in items:
            self._see(item)
            yield item

    def blank(self) -> str:
        """What stands in the column of times where none does, beside lines that have one."""
        return " " * (self._width + 1) if self._used else ""

    def _see(self, item: Item) -> None:
        if item.connection.source != self._source:  # in a transcript that was written from several
            self._source, self._began, self._last = item.connection.source, 0, 0
        if item.time:
            self._began = self._began or item.time
            item.began, item.before = self._began, self._last or item.time
            self._last = item.time

    def __call__(self, item: Item) -> str:
        """The time of an item with a blank behind it; nothing where no times are wanted or known."""
        if self._write is None or not item.connection.timed:
            return self.blank()
        if not item.began:
            self._see(item)
        self._used = True
        return (self._write(item) if item.time else "-").rjust(self._width) + " "


def _seconds(duration: int) -> str:
    sign = "-" if duration < 0 else ""
    micros = abs(duration) // 1000
    return f"{sign}{micros // 1_000_000}.{micros % 1_000_000:06d}"


def _moment(convert: Callable[[float], time.struct_time], now: int, zone: str) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", convert(now // 1_000_000_000))
    return f"{seconds}.{now // 1000 % 1_000_000:06d}{zone}"


#: mode -> columns of a time, and what writes it
CLOCK_MODES: dict[str, tuple[int, Callable[[Item], str] | None]] = {
    "relative": (12, lambda item: _seconds(item.time - item.began)),
    "utc": (27, lambda item: _moment(time.gmtime, item.time, "Z")),
    "local": (26, lambda item: _moment(time.localtime, item.time, "")),
    "delta": (12, lambda item: _seconds(item.time - item.before)),
    "none": (0, None),
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
    if nanoseconds < 999_500_000:
        return f"{nanoseconds / 1e6:.3g} ms"
    seconds = nanoseconds / 1e9
    return f"{seconds:.3g} s" if seconds < 999.5 else f"{seconds:.0f} s"  # not 1e+03


class Line(NamedTuple):
    """The parts of a line, to be painted apart from each other; `below` is the text where it has own rows."""

    time: str
    place: str
    type: str
    text: str
    latency: str
    style: str
    below: tuple[str, ...] = ()

    def rows(self) -> list[list[tuple[str, str]]]:
        """Return what stands in each row: texts, each with the name of its style or ""."""
        head = [(f"{self.time}{self.place}", "dim"), (self.type, self.style)]
        if not self.below:
            text = f" {self.text}" if self.latency else f" {self.text}".rstrip()
            return [[*head, (text, ""), (self.latency, "dim")]]
        rows = [[(" " * INDENT + text, "")] for text in self.below]
        rows[-1].append((self.latency, "dim"))
        return [head, *rows]

    def __str__(self) -> str:
        if not self.below:  # as below, faster
            return f"{self.time}{self.place}{self.type} {self.text}{self.latency}".rstrip()
        return "\n".join("".join(text for text, _ in row).rstrip() for row in self.rows())


def line(item: Item, clock: Clock, width: int = 160, latencies: bool = True) -> Line:
    """Return an item as a line that fits a width.

    Where that leaves no room for a statement, times are not aligned, and a text that does not fit behind the
    type has rows of its own.

    Args:
        item: the item.
        clock: writes its time.
        width: columns that there are.
        latencies: show how long an answer took.
    """
    when = clock(item)
    arrow = "!" if item.type == "FAULT" else ARROWS[item.is_request]
    place = f"{item.connection.number:>2} {arrow} "
    latency = ""
    if latencies and item.latency is not None and item.connection.timed:
        latency = f"  {duration(item.latency)}"
    kind, style = item.type.ljust(TYPE_WIDTH), style_of(item)
    room = width - len(when) - len(place) - len(kind) - len(latency) - 1
    if room + len(latency) >= MIN_TEXT + LATENCY:
        text = printable(describe(item, room))
    else:
        room, when = room + len(when), when.lstrip()
        room -= len(when)
        text = printable(describe(item, ROWS * width))
        if len(text) > room:
            return _narrow(item, (when, place, latency, style), width)
    if len(text) > room:
        text = _cut(item, text, max(8, room))
    return Line(when, place, kind, text.ljust(room) if latency else text, latency, style)


def _narrow(item: Item, parts: tuple[str, str, str, str], width: int) -> Line:
    """A line whose text has rows of its own."""
    when, place, latency, style = parts
    room, kind = max(8, width - INDENT), item.type
    text = printable(describe(item, (ROWS - 1) * room - len(latency)))
    if len(when) + len(place) + len(kind) > width:  # then it stands in front of the text
        text, kind = f"{kind} {text}", ""
    text = _cut(item, text, ROWS * room - len(latency))
    rows = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
    if len(rows) > ROWS:
        rows = [text[at : at + room] for at in range(0, len(text), room)]
    if latency:
        if len(rows[-1]) + len(latency) > room:
            rows.append("")
        rows[-1] = rows[-1].ljust(room - len(latency))
    return Line(when, place, kind, elide(text, room), latency, style, tuple(rows))


def _cut(item: Item, text: str, width: int) -> str:
    """Cut a text; SQL in it is short already, and the end of a failure says more than its middle."""
    return (middle if item.type == _FAILURE else elide)(text, width)


def describe(item: Item, width: int = 160) -> str:
    """The text of an item without its type.

    Args:
        item: the item.
        width: columns that there are.
    """
    if item.sent is None and not item.made:  # as most, so that `Item.change` need not be worked out
        return _told(item, width)
    return f"[{_CHANGES[item.change](item)}] {_told(item, width)}"


def _told(item: Item, width: int) -> str:
    message = item.message
    if item.probe:
        return _probe(item, message)
    if message is not None:
        return summarise(message, width, item.sql if item.is_request else None)
    between = item.raft_message
    if between is not None:
        return summarise_raft(between) + (_answers(item) if item.answers is not None else "")
    if item.code is not None and item.error is None:
        return f"{counted(item.size, 'byte')}, {item.note}: {_bytes(item.data)}"
    if item.code is not None:
        return _undecoded(item)
    text = _OTHERS[item.type](item)
    if item.sql:  # of a request without an answer
        text += f": {middle(one_line(item.sql), max(16, width - len(text) - 2))}"
    return text


def _probe(item: Item, message: Message | None) -> str:
    if item.is_request:
        return "probe: which generation?" + (" No answer came" if item.type == "UNANSWERED" else "")
    if message is None:
        return f"answer to a probe {_undecoded(item)}"
    generation = judge_generation(message)
    told = "tells nothing" if generation is Generation.UNKNOWN else f"server {generation.words}"
    return f"probe: {told}: {summarise(message)}"


def _answers(item: Item) -> str:
    assert item.answers is not None
    return f", to {item.answers.connection}:{item.answers.offset}"


def _undecoded(item: Item) -> str:
    return f"does not decode: {item.error} ({item.size} B) {_bytes(item.data)}"


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
    return f"{item.note} got no answer"


def _no_frame(item: Item) -> str:
    return f"{counted(item.size, 'byte', 'that is', 'that are')} no frame: {_bytes(item.data)}"


def _replaced(item: Item) -> str:
    sent = item.sent or b""
    frame = frame_of(item, sent)
    message = None if frame is None else frame.message
    if frame is None:
        return f"went on as {counted(len(sent), 'byte')}: {_bytes(sent)}"
    told = "" if message is None else elide(summarise(message, 60, None), 60)
    name = "" if frame.type == item.code else f" {frame.type_name}"
    if told and (name or item.message is None or told != elide(summarise(item.message, 60, None), 60)):
        return f"went on as{name}: {told}"
    return f"went on changed, {counted(_differing(item.data, sent), 'byte')} of {len(sent)}"


def _differing(data: bytes, sent: bytes) -> int:
    """Bytes that differ, in their places."""
    return sum(1 for one, other in zip(data, sent, strict=False) if one != other) + abs(len(data) - len(sent))


#: what a proxy did to an item (`Item.change`) -> the mark on its line
_CHANGES: dict[str, Callable[[Item], str]] = {
    "made": lambda _: "made by the proxy",
    "withheld": lambda _: "withheld",
    "cut": lambda item: f"cut to {len(item.sent or b'')} of {counted(item.size, 'byte')}",
    "replaced": _replaced,
}


def _fault(item: Item) -> str:
    kind, fault, on = item.taken or Taken("", 0, "")
    return f"fault {fault} strikes: {kind}" + (f" on {on}" if on else "")


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
    "FAULT": _fault,
    "END": lambda item: f"closed by the {item.side.value}; {item.note}",
}


def _bytes(data: bytes) -> str:
    return data[:SHOWN_BYTES].hex(" ") + (" …" if len(data) > SHOWN_BYTES else "")


def style_of(item: Item) -> str:
    """The name of the style of an item's type: "request" or "response" where nothing is wrong with it."""
    if item.strange or item.sent is not None or item.made or item.type == "FAULT":
        return "garbage"
    if item.type in ("GAP", "UNANSWERED") and not item.probe:
        return "garbage"
    if item.type == _FAILURE and not item.probe:
        return "failure"
    return "request" if item.is_request else "response"
