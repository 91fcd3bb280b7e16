"""Read transcripts (`.dqt`; `transcript` describes the format).

Nothing that a line says is used before it is checked. A line that is skipped is a gap in the connection and
direction that it names, as far as that can be read; in all of them otherwise, told where each goes on:

    {"connection":1,"direction":"request","bytes":..}     what connection 1 said
    {"connection":1,"direction":"response","by            cut off: a gap in the answers of connection 1
    %&/(..                                                a gap in every stream that says more from here on
    {"connection":2,"direction":"request","bytes":..}     first the gap that it has not had yet, then this

A gap keeps the observer from pairing answers with the wrong requests. Memory is bounded: one line of
`MAX_LINE` bytes, and `MAX_CONNECTIONS` connections.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

from dqlitewire.conversation import Side
from dqlitewire.conversation.observer.stream_events import CUT_KINDS
from dqlitewire.header import ROW_DONE, ROW_PART
from dqlitewire.raft import RaftType
from dqlitewire.traffic.sources import transcript
from dqlitewire.traffic.sources.inputs import ByteReader, Input
from dqlitewire.traffic.sources.pieces import MAX_TIME, Connection, Cut, Piece, Taken, What
from dqlitewire.traffic.sources.transcript import (
    MAX_HEADER,
    SIDE_OF,
    b64decode,
    check_header,
    check_version,
    is_readable,
)

MAX_CONNECTIONS = 20_000  # known at a time; the one that appeared first is forgotten
MAX_NAME = 256  # characters of an endpoint


class View(Enum):
    """Whose traffic to read where a proxy has changed what passed."""

    CAME = "what each side sent, and beside it what went on instead"
    CLIENT = "what the client sent and got"
    NODE = "what the node got and sent"


class Part(NamedTuple):
    """Which part of which recording a transcript is."""

    recording: str
    number: int


def pieces(
    inputs: Iterable[Input],
    damage: Callable[[str], None],
    view: View = View.CAME,
    *,
    several: bool = False,
    begins: Callable[[Part | None], object] = lambda part: None,
) -> Iterator[Piece]:
    """Yield what transcripts hold, one behind the other.

    Args:
        inputs: each read from its first line on; parts of one recording go on with its connections.
        damage: told in words of each line that is skipped.
        view: whose traffic.
        several: there are several: what is damaged is told with the name of its file, of the first one too.
        begins: told of each header which part of a recording begins.
    """
    recorded = _Recorded(view, begins)
    for count, input in enumerate(inputs):
        where = f"{input.name}: " if several or count else ""
        for number, (raw, whole) in enumerate(_lines(ByteReader(input.read)), 1):
            if number == 1:
                check_header(raw)
            if not raw.strip():
                continue
            try:
                yield from recorded.pieces(raw)
            except (ValueError, ArithmeticError, RecursionError):
                if number == 1:
                    continue  # it is a header, whatever else is in it
                damage(f"{where}line {number} is {'damaged' if whole else 'cut off'}; skipped")
                yield from recorded.lose(raw)
    yield from recorded.end()


def _lines(reader: ByteReader) -> Iterator[tuple[bytes, bool]]:
    """Yield each line of the input, and whether it is whole; of a long one the first `MAX_LINE` bytes."""
    while reader.need(1):
        taken = bytearray()
        while True:
            end = reader.buffer.find(b"\n", reader.position)
            stop = len(reader.buffer) if end < 0 else end
            part = reader.buffer[
                reader.position : min(stop, reader.position + transcript.MAX_LINE + 1 - len(taken))
            ]
            reader.position = stop + (end >= 0)
            if end >= 0 and not taken:
                yield part, True
                break
            taken += part
            if end >= 0 or not reader.need(1):
                yield bytes(taken), end >= 0
                break


def _no_constant(name: str) -> float:
    raise ValueError(name)  # NaN and its like are no JSON


_decoded = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_constant).decode


def _parsed(raw: bytes) -> dict[str, Any]:
    """A line as an object.

    Raises:
        ValueError: it is none, or too large.
        ArithmeticError: a number in it is too large for any.
        RecursionError: it is nested too deep.
    """
    if not is_readable(raw):
        raise ValueError("a long line")
    line = _decoded(raw.decode())
    if not isinstance(line, dict):
        raise ValueError("no object")
    return line  # pyright: ignore[reportUnknownVariableType]


_MISSING: Any = object()
_MOST = 1 << 63


def _value(line: Mapping[str, Any], key: str, *types: type, default: Any = _MISSING) -> Any:
    """The value of a key of a line, of one of the types; a number is at least 0 and below 2**63.

    Raises:
        ValueError: there is no such value.
    """
    value = line.get(key, default)
    if type(value) not in types and value is not default:
        raise ValueError(key)
    if isinstance(value, (int, Decimal)) and not 0 <= value < _MOST:
        raise ValueError(key)
    if value is _MISSING:
        raise ValueError(key)
    return value


def _time(line: Mapping[str, Any], key: str = "time") -> int | None:
    """A time of a line, in nanoseconds; None if it has none."""
    time = _value(line, key, int, Decimal, type(None), default=_MISSING if key == "time" else None)
    if time is None:
        return None
    if time >= MAX_TIME // 1_000_000_000:
        raise ValueError("time")
    nanoseconds: int = round(time * 1_000_000_000)
    return nanoseconds


def _name(line: Mapping[str, Any], key: str) -> str:
    """An endpoint; half a surrogate pair, which no output can take, is written out."""
    text: str = _value(line, key, str, default="")[:MAX_NAME]
    return text.encode("utf-8", "backslashreplace").decode()


class _Recorded:
    """The connections of transcripts; behind a header that goes on with no recording they count anew."""

    def __init__(self, view: View, begins: Callable[[Part | None], object]) -> None:
        self.count = 0
        self._before = 0  # the highest number in front of those that the file numbers
        self._view = view
        self._begins = begins
        self._part: Part | None = None  # of which recording what is read is which part
        self._goes_on = False  # the part before it was read
        self._settled = self._picked = False
        self._now: OrderedDict[int, Connection] = OrderedDict()
        self._losses = 0  # lines whose connection is unknown
        self._told: dict[tuple[Connection, Side], int] = {}  # how many of them each stream has had a gap for

    def pieces(self, raw: bytes) -> Iterator[Piece]:
        """The pieces of a line.

        Raises:
            ValueError, ArithmeticError, RecursionError: it is damaged.
            SourceError: it begins a part of another version.
        """
        line = _parsed(raw)
        if "dqt" in line:
            yield from self._begin(line)
            return
        number, time = _value(line, "connection", int), _time(line)
        if self._goes_on and line.get("repeated") is True and number in self._now:
            return
        event = _value(line, "event", str, default=None)
        told: dict[str, str | bool] = {key: _name(line, key) for key in _NAMES if key in line}
        told |= {key: _value(line, key, bool) for key in _BEGINS if key in line}
        said = _said(line, event, time or 0, self._view, self._settled)
        if self._picked:
            told["alone"] = True  # what is unanswered is told
            if event in (None, "unanswered"):
                said.insert(0, (_side(line), What.TOLD, _told(line, event, self._now), 0, time or 0))
        connection = self._now.get(number)
        if connection is None:
            connection = yield from self._open(number, told)
        connection.timed = connection.timed or time is not None
        for side, what, data, size, at in said:
            yield from self._owed(connection, side)
            yield Piece(connection, side, what, data, size, at)

    def _begin(self, line: Mapping[str, Any]) -> Iterator[Piece]:
        """Take a header."""
        check_version(_value(line, "dqt", int))
        recording, number = line.get("recording"), line.get("part")
        part = Part(recording, number) if isinstance(recording, str) and type(number) is int else None
        self._begins(part)
        before, self._part = self._part, part
        self._goes_on = part is not None and before == (part[0], part[1] - 1)
        self._settled = line.get("settled") is True
        self._picked = self._settled and line.get("picked") is True
        if not self._goes_on:
            yield from self.end()
            if line.get("continued") is not True:
                self._before = self.count

    def lose(self, raw: bytes) -> Iterator[Piece]:
        """What a damaged line costs."""
        start = raw[:MAX_HEADER]
        found = _CONNECTION.search(start)
        if found is None:
            self._losses += 1
            return
        number = int(found[1])
        connection = self._now.get(number)
        if connection is None:
            connection = yield from self._open(number, {"midstream": True})
        side = _DIRECTION.search(start)
        for lost in Side if side is None else [SIDE_OF[side[1].decode()]]:
            yield Piece(connection, lost, What.GAP)

    def end(self) -> Iterator[Piece]:
        """The end of all connections."""
        while self._now:
            yield from self._forget()

    def _open(self, number: int, told: Mapping[str, str | bool]) -> Generator[Piece, None, Connection]:
        if len(self._now) >= MAX_CONNECTIONS:
            yield from self._forget()
        # what `decode -w` wrote keeps its numbers: there may be connections between of which it had nothing
        shown = self._before + number if self._settled else self.count + 1
        self.count = max(self.count, shown)
        connection = self._now[number] = Connection(shown, timed=False)
        for key, value in told.items():
            setattr(connection, key, value)
        for side in Side:
            self._told[connection, side] = self._losses
        return connection

    def _forget(self) -> Iterator[Piece]:
        _, connection = self._now.popitem(last=False)
        for side in Side:
            yield from self._owed(connection, side)
        for side in Side:
            yield Piece(connection, side, What.END)
            del self._told[connection, side]

    def _owed(self, connection: Connection, side: Side) -> Iterator[Piece]:
        """The gap for lost lines that a stream has not had yet."""
        if self._told[connection, side] < self._losses:
            self._told[connection, side] = self._losses
            yield Piece(connection, side, What.GAP)


_NAMES = ("client", "server", "source")
_BEGINS = ("midstream", "bare", "raft", "alone")  # what is said of a connection where it appears
_CONNECTION = re.compile(rb'"connection"\s*:\s*(\d{1,18})\b')
_DIRECTION = re.compile(rb'"direction"\s*:\s*"(request|response)"')

_Said = tuple[Side, What, bytes, int, int]


def _said(line: Mapping[str, Any], event: str | None, time: int, view: View, settled: bool) -> list[_Said]:
    """What a line says, as the rest of pieces; nothing for "open", and for what a later version may tell."""
    if event is None:
        return _said_bytes(line, time, view, settled)
    return _EVENTS[event](line, time, view) if event in _EVENTS else []


def _said_bytes(line: Mapping[str, Any], time: int, view: View, settled: bool) -> list[_Said]:
    side = _side(line)
    data = b64decode(_value(line, "bytes", str), validate=True)
    last = _time(line, "last") or time
    out: list[_Said] = []
    sent = data
    if "sent" in line:
        sent = b64decode(_value(line, "sent", str), validate=True)
    if view is not View.CAME:
        data = data if (view is View.CLIENT) is (side is Side.CLIENT) else sent
    elif sent != data:
        out.append((side, What.SENT, sent, len(data), time))
        data = data or sent  # what a proxy made has no other bytes
    if not data:
        return out
    kind = _kind(line) if settled else None
    if kind is not None:
        if isinstance(line.get("error"), str):
            out.append((side, What.HIDDEN, line["error"].encode("utf-8", "replace"), 0, time))
        out.append((side, What.CUT, data, Cut(kind, last - time).packed(), time))
    elif last != time and len(data) > 1:
        out += ((side, What.DATA, data[:-1], 0, time), (side, What.DATA, data[-1:], 0, last))
    else:
        out.append((side, What.DATA, data, 0, last))
    return out


def _told(line: Mapping[str, Any], event: str | None, known: Mapping[int, Connection]) -> bytes:
    """What a line tells of an item that was picked out of others."""
    told = {key: line[key] for key in ("offset", "exchange", "latency") if type(line.get(key)) is int}
    told |= {"text": line["text"]} if isinstance(line.get("text"), str) else {}
    match line.get("answers"):
        case [int(number), int(offset)] if number in known and offset >= 0:
            told["answers"] = [known[number].number, offset]  # connections are counted anew
        case _:
            pass
    if event is not None:
        told["request"] = _name(line, "type")
    return json.dumps(told).encode()


RAFT_TYPES = frozenset(RaftType.__members__)

#: types of lines that say nothing of how their bytes are cut, or not enough
_KINDS = {"GARBAGE": "garbage", "INCOMPLETE": "rest", "HANDSHAKE": "", "HTTP": "", "TLS": "", "RAFT": ""}


def _kind(line: Mapping[str, Any]) -> str | None:
    """What an observer said of the bytes of a line; None if it is to be asked again."""
    type = _value(line, "type", str)
    whole = "raft message" if type in RAFT_TYPES else "frame"
    kind = _KINDS.get(type, f"damaged {whole}" if line.get("damaged") is True else whole)
    if kind != "":
        return kind
    told = line.get("kind")
    return told if isinstance(told, str) and told in CUT_KINDS else None


def _said_gap(line: Mapping[str, Any], time: int, _: View) -> list[_Said]:
    lost = _value(line, "lost", int, type(None)) or 0
    more = line.get("more")
    tail = b"" if type(more) is not bool else ROW_PART if more else ROW_DONE
    return [(_side(line), What.GAP, tail, lost or -(line.get("whole") is True), time)]


def _said_end(line: Mapping[str, Any], time: int, _: View) -> list[_Said]:
    return [(_side(line), What.END, b"", 0, time)]


def _said_fault(line: Mapping[str, Any], time: int, view: View) -> list[_Said]:
    kind, on = (_value(line, key, str, default="")[:MAX_NAME] for key in ("kind", "on"))
    taken = Taken(kind.replace(" ", "_"), _value(line, "fault", int), on)
    return [(Side.CLIENT, What.FAULT, taken.packed(), 0, time)] if view is View.CAME else []


def _side(line: Mapping[str, Any]) -> Side:
    direction = _value(line, "direction", str)
    if direction not in SIDE_OF:
        raise ValueError("direction")
    return SIDE_OF[direction]


_EVENTS: dict[str, Callable[[Mapping[str, Any], int, View], list[_Said]]] = {
    "gap": _said_gap,
    "end": _said_end,
    "fault": _said_fault,
}
