"""The transcript format `.dqt`: recorded traffic as JSON lines, one frame a line (docs/transcript.md
specifies it).

A transcript is append-only. Each line stands alone, so a writer that was killed loses at most the line it was
writing, and a reader skips what is no line. The bytes of a direction, joined in order, are the stream as it
was on the wire, garbage included.

Nothing that a line says is used before it is checked. A line that is skipped is a gap in the connection and
direction that it names, as far as that can be read; in all of them otherwise, told where each goes on.
"""

from __future__ import annotations

import base64
import functools
import io
import json
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping
from decimal import Decimal
from typing import Any

from dqlitewire.checks import checked_number, whole_bytes
from dqlitewire.conversation import Side
from dqlitewire.guard import Guarded, even_broken, guarded
from dqlitewire.text import kind_of, printable_json, shown
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.sources.capture import ByteReader
from dqlitewire.traffic.sources.pieces import MAX_TIME, Connection, Piece, What

VERSION = 1
MAGIC = b'{"dqt":'
DIRECTIONS = {"request": Side.CLIENT, "response": Side.SERVER}
NAMES = {side: name for name, side in DIRECTIONS.items()}

MAX_LINE = 128 << 20  # bytes: enough for the largest frame in base64
MAX_VALUES = 1 << 20  # of a line, roughly: each takes some hundred bytes while the line is read
MAX_HEADER = 1 << 16
MAX_CONNECTIONS = 20_000  # known at a time; the one that appeared first is forgotten
MAX_NAME = 256  # characters of an endpoint


def seconds(time: int) -> str:
    """A time in nanoseconds as a decimal number of seconds, exact."""
    whole, rest = divmod(time, 1_000_000_000)
    return f"{whole}.{rest // 1000:06d}" if rest % 1000 == 0 else f"{whole}.{rest:09d}"


def json_line(time: int | None, fields: Mapping[str, Any]) -> str:
    """One JSON object on a line, beginning with its time."""
    shown = "null" if time is None else seconds(time)
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return f'{{"time":{shown},' + printable_json(text[1:])


class TranscriptWriter(Guarded):
    """Appends to a transcript; every line is written at once.

    After an interrupt or an error of the file nobody knows what stands at its end: the writer refuses further
    use. Another one, made for the same path, goes on behind it.

    Args:
        path: made with mode 0600 if it is not there. One that is there is continued.
        by: the program that writes.
        redacted: values were hidden before the bytes came here.

    Raises:
        SourceError: the file cannot be written, or is no transcript of this version.
    """

    def __init__(self, path: str | os.PathLike[str], by: str = "dqlite-wire", redacted: bool = False) -> None:
        super().__init__()
        path = os.fspath(path)
        try:
            self._file = io.FileIO(path, "a+", opener=functools.partial(os.open, mode=0o600))
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from None
        self._known: set[int] = set()
        try:
            self._begin(json.dumps({"dqt": VERSION, "by": by, "redacted": redacted}, separators=(",", ":")))
        except BaseException:
            self._file.close()
            raise

    def _begin(self, header: str) -> None:
        file = self._file.fileno()
        size = os.fstat(file).st_size
        if size:
            check_header(os.pread(file, 4096, 0).partition(b"\n")[0])
            if os.pread(file, 1, size - 1) != b"\n":
                header = "\n" + header  # the last writer was cut off
        self._write(header)

    @guarded
    def frame(
        self,
        connection: Connection,
        side: Side,
        data: bytes | bytearray | memoryview,
        time: int | None,
        fields: Mapping[str, Any],
    ) -> None:
        """Write bytes that passed, a frame or none; `fields` say what they are and begin with "type".

        Raises:
            TypeError: they are no bytes; nothing was written.
            PoisonedError: an earlier call was interrupted, or failed at the file.
        """
        packed = base64.b64encode(whole_bytes(data)).decode()
        self._tell(connection, time, {"direction": _direction(side), **fields, "bytes": packed})

    @guarded
    def gap(self, connection: Connection, side: Side, size: int | None, time: int | None) -> None:
        """Write that bytes were lost."""
        if size is not None:
            size = checked_number("size", size, 0, kind="an integer or None")
        self._tell(connection, time, {"event": "gap", "direction": _direction(side), "lost": size})

    @guarded
    def end(self, connection: Connection, side: Side, time: int | None) -> None:
        """Write that one side sends no more."""
        self._tell(connection, time, {"event": "end", "direction": _direction(side)})

    @even_broken
    def close(self) -> None:
        """Close the file; once more does nothing."""
        self._file.close()

    def __enter__(self) -> TranscriptWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell(self, connection: Connection, time: int | None, fields: Mapping[str, Any]) -> None:
        if time is not None:
            time = checked_number("time", time, 0, MAX_TIME - 1)
        if not isinstance(connection, Connection):
            raise TypeError(f"got {kind_of(connection)}, a Connection is needed")
        number = connection.number
        line = json_line(time, {"connection": number, **fields})
        if "fields" in fields and not _is_readable(line.encode()):
            # they are for people only
            line = json_line(time, {"connection": number, **fields, "fields": None})
        lines = [line]
        if number not in self._known:
            about = {
                "connection": number,
                "event": "open",
                "client": connection.client,
                "server": connection.server,
                "midstream": connection.midstream,
                "bare": connection.bare,
            }
            lines.insert(0, json_line(time, about))
        self._write("\n".join(lines))
        self._known.add(number)

    def _write(self, lines: str) -> None:
        rest = memoryview(lines.encode() + b"\n")
        while rest:
            rest = rest[self._file.write(rest) or 0 :]


def _direction(side: Side) -> str:
    if not isinstance(side, Side):
        raise TypeError(f"got {shown(side)}, a Side is needed")
    return NAMES[side]


def check_header(line: bytes) -> None:
    """Check the first line of a transcript.

    Raises:
        SourceError: it is none, or of a newer version.
    """
    try:
        if len(line) > MAX_HEADER:
            raise ValueError("a long line")
        version = json.loads(line)["dqt"]
        if type(version) is not int:
            raise ValueError("no version")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SourceError("a file that is no transcript", 'its first line has no "dqt"') from None
    _check_version(version)


def _check_version(version: int) -> None:
    if version != VERSION:
        raise SourceError(
            f"a transcript of version {version}", f"this program reads version {VERSION}: update it"
        )


def lines(reader: ByteReader) -> Iterator[tuple[bytes, bool]]:
    """Yield each line of the input, and whether it is whole; of a long one the first `MAX_LINE` bytes."""
    while reader.need(1):
        taken = bytearray()
        while True:
            end = reader.buffer.find(b"\n", reader.position)
            stop = len(reader.buffer) if end < 0 else end
            part = reader.buffer[reader.position : min(stop, reader.position + MAX_LINE + 1 - len(taken))]
            reader.position = stop + (end >= 0)
            if end >= 0 and not taken:
                yield part, True
                break
            taken += part
            if end >= 0 or not reader.need(1):
                yield bytes(taken), end >= 0
                break


def _is_readable(line: bytes) -> bool:
    """Whether reading a line takes no more memory than is stated."""
    return len(line) <= MAX_LINE and (
        len(line) <= MAX_VALUES or sum(line.count(mark) for mark in b",[{") <= MAX_VALUES
    )


def _no_constant(name: str) -> float:
    raise ValueError(name)  # NaN and its like are no JSON


def _parsed(raw: bytes) -> dict[str, Any]:
    """A line as an object.

    Raises:
        ValueError: it is none, or too large.
        ArithmeticError: a number in it is too large for any.
        RecursionError: it is nested too deep.
    """
    if not _is_readable(raw):
        raise ValueError("a long line")
    line = json.loads(raw.decode(), parse_float=Decimal, parse_constant=_no_constant)
    if not isinstance(line, dict):
        raise ValueError("no object")
    return line  # pyright: ignore[reportUnknownVariableType]


_MISSING: Any = object()
_MOST = 1 << 63


def _value(line: Mapping[str, Any], key: str, *types: type, default: Any = _MISSING) -> Any:
    """What a line says under a key, of one of the types; a number is at least 0 and below 2**63.

    Raises:
        ValueError: it does not say that.
    """
    value = line.get(key, default)
    if type(value) not in types and value is not default:
        raise ValueError(key)
    if isinstance(value, (int, Decimal)) and not 0 <= value < _MOST:
        raise ValueError(key)
    if value is _MISSING:
        raise ValueError(key)
    return value


def _time(line: Mapping[str, Any]) -> int | None:
    """When a line was written, in nanoseconds; None if it does not know."""
    time = _value(line, "time", int, Decimal, type(None))
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
    """The connections of one transcript; a writer that continued it counts anew."""

    def __init__(self) -> None:
        self.count = 0
        self._now: OrderedDict[int, Connection] = OrderedDict()
        self._losses = 0  # lines that nobody knows the connection of
        self._told: dict[tuple[Connection, Side], int] = {}  # how many of them each stream was told of

    def pieces(self, raw: bytes) -> Iterator[Piece]:
        """What a line says.

        Raises:
            ValueError, ArithmeticError, RecursionError: it is damaged.
            SourceError: it begins a part of another version.
        """
        line = _parsed(raw)
        if "dqt" in line:
            _check_version(_value(line, "dqt", int))
            yield from self.end()
            return
        number, time = _value(line, "connection", int), _time(line)
        event = _value(line, "event", str, default=None)
        names = _name(line, "client"), _name(line, "server")
        begins = {key: _value(line, key, bool, default=False) for key in ("midstream", "bare")}
        piece = _PIECES[event](line) if event in _PIECES else None
        connection = self._now.get(number)
        if connection is None:
            connection = yield from self._open(number, *names, **begins)
        connection.timed = connection.timed or time is not None
        if piece is not None:  # else "open", or what a later minor version may tell
            side, what, data, size = piece
            yield from self._owed(connection, side)
            yield Piece(connection, side, what, data, size, time or 0)

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
            connection = yield from self._open(number, midstream=True)
        side = _DIRECTION.search(start)
        for lost in Side if side is None else [DIRECTIONS[side[1].decode()]]:
            yield Piece(connection, lost, What.GAP)

    def end(self) -> Iterator[Piece]:
        """The end of all connections."""
        while self._now:
            yield from self._forget()

    def _open(
        self, number: int, client: str = "", server: str = "", *, midstream: bool = False, bare: bool = False
    ) -> Generator[Piece, None, Connection]:
        if len(self._now) >= MAX_CONNECTIONS:
            yield from self._forget()
        self.count += 1
        connection = self._now[number] = Connection(
            self.count, client, server, midstream=midstream, bare=bare, timed=False
        )
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
        """The gap that a stream was not told of."""
        if self._told[connection, side] < self._losses:
            self._told[connection, side] = self._losses
            yield Piece(connection, side, What.GAP)


_CONNECTION = re.compile(rb'"connection"\s*:\s*(\d{1,18})\b')
_DIRECTION = re.compile(rb'"direction"\s*:\s*"(request|response)"')

_Said = tuple[Side, What, bytes, int]


def _said_data(line: Mapping[str, Any]) -> _Said:
    data = base64.b64decode(_value(line, "bytes", str), validate=True)
    return _side(line), What.DATA, data, 0


def _said_gap(line: Mapping[str, Any]) -> _Said:
    return _side(line), What.GAP, b"", _value(line, "lost", int, type(None)) or 0


def _said_end(line: Mapping[str, Any]) -> _Said:
    return _side(line), What.END, b"", 0


def _side(line: Mapping[str, Any]) -> Side:
    direction = _value(line, "direction", str)
    if direction not in DIRECTIONS:
        raise ValueError("direction")
    return DIRECTIONS[direction]


_PIECES: dict[str | None, Callable[[Mapping[str, Any]], _Said]] = {
    None: _said_data,
    "gap": _said_gap,
    "end": _said_end,
}


def pieces(reader: ByteReader, damage: Callable[[str], None]) -> Iterator[Piece]:
    """Yield what a transcript holds.

    Args:
        damage: told in words of each line that is skipped.
    """
    recorded = _Recorded()
    for number, (raw, whole) in enumerate(lines(reader), 1):
        if number == 1:
            check_header(raw)
            continue
        if not raw.strip():
            continue
        try:
            yield from recorded.pieces(raw)
        except (ValueError, ArithmeticError, RecursionError):
            damage(f"line {number} is {'damaged' if whole else 'cut off'}; skipped")
            yield from recorded.lose(raw)
    yield from recorded.end()


def is_transcript(head: bytes) -> bool:
    """Say whether an input that begins so is a transcript."""
    return head.lstrip().startswith(MAGIC) or (head.startswith(b"{") and b'"dqt"' in head.partition(b"\n")[0])
