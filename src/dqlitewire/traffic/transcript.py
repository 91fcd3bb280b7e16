"""The transcript format `.dqt`: recorded traffic as JSON lines, one frame a line (docs/transcript.md
specifies it).

A transcript is append-only. Each line stands alone, so a writer that was killed loses at most the line it was
writing, and a reader skips what is no line. The bytes of a direction, joined in order, are the stream as it
was on the wire, garbage included.
"""

from __future__ import annotations

import base64
import binascii
import functools
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from dqlitewire.checks import whole_bytes
from dqlitewire.conversation import Side
from dqlitewire.guard import Guarded, even_broken, guarded
from dqlitewire.text import printable_json
from dqlitewire.traffic.capture import ByteReader
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.streams import Connection, Piece, What

VERSION = 1
MAGIC = b'{"dqt":'
DIRECTIONS = {"request": Side.CLIENT, "response": Side.SERVER}
NAMES = {side: name for name, side in DIRECTIONS.items()}


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
        line = {"direction": _name(side), **fields, "bytes": base64.b64encode(whole_bytes(data)).decode()}
        self._tell(connection, time, line)

    @guarded
    def gap(self, connection: Connection, side: Side, size: int | None, time: int | None) -> None:
        """Write that bytes were lost."""
        self._tell(connection, time, {"event": "gap", "direction": _name(side), "lost": size})

    @guarded
    def end(self, connection: Connection, side: Side, time: int | None) -> None:
        """Write that one side sends no more."""
        self._tell(connection, time, {"event": "end", "direction": _name(side)})

    @even_broken
    def close(self) -> None:
        """Close the file; once more does nothing."""
        self._file.close()

    def __enter__(self) -> TranscriptWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell(self, connection: Connection, time: int | None, fields: Mapping[str, Any]) -> None:
        number = connection.number
        lines = [json_line(time, {"connection": number, **fields})]
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


def _name(side: Side) -> str:
    if not isinstance(side, Side):
        raise TypeError(f"got {side!r:.40}, a Side is needed")
    return NAMES[side]


def check_header(line: bytes) -> None:
    """Check the first line of a transcript.

    Raises:
        SourceError: it is none, or of a newer version.
    """
    try:
        version = json.loads(line)["dqt"]
    except (ValueError, KeyError, TypeError):
        raise SourceError("a file that is no transcript", 'its first line has no "dqt"') from None
    if version != VERSION:
        raise SourceError(
            f"a transcript of version {version}", f"this program reads version {VERSION}: update it"
        )


def lines(reader: ByteReader) -> Iterator[tuple[bytes, bool]]:
    """Yield each line of the input, and whether it is whole."""
    while reader.need(1):
        end = reader.buffer.find(b"\n", reader.position)
        searched = len(reader.buffer) - reader.position
        while end < 0 and reader.need(searched + 1):
            end = reader.buffer.find(b"\n", reader.position + searched)
            searched = len(reader.buffer) - reader.position
        stop = len(reader.buffer) if end < 0 else end
        yield reader.buffer[reader.position : stop], end >= 0
        reader.position = stop + (end >= 0)


class _Recorded:
    """The connections of one transcript; a writer that continued it counts anew."""

    def __init__(self) -> None:
        self.count = 0
        self.now: dict[int, Connection] = {}

    def connection(self, line: Mapping[str, Any]) -> Connection:
        number = int(line["connection"])
        found = self.now.get(number)
        if found is None:
            self.count += 1
            client, server = str(line.get("client", "")), str(line.get("server", ""))
            found = Connection(
                self.count,
                client,
                server,
                midstream=bool(line.get("midstream")),
                bare=bool(line.get("bare")),
                timed=line["time"] is not None,
            )
            self.now[number] = found
        return found


def pieces(reader: ByteReader, note: Callable[[str], None]) -> Iterator[Piece]:
    """Yield what a transcript holds."""
    recorded = _Recorded()
    for number, (raw, whole) in enumerate(lines(reader), 1):
        if number == 1:
            check_header(raw)
            continue
        if not raw.strip():
            continue
        try:
            line = json.loads(raw, parse_float=Decimal)
            if "dqt" in line:
                check_header(raw)
                recorded.now = {}
                continue
            piece = _piece(line, recorded)
        except (ValueError, KeyError, TypeError, binascii.Error):
            note(f"line {number} is {'damaged' if whole else 'cut off'}; skipped")
            continue
        if piece is not None:
            yield piece


def _piece(line: Mapping[str, Any], recorded: _Recorded) -> Piece | None:
    connection = recorded.connection(line)
    time = 0 if line["time"] is None else round(line["time"] * 1_000_000_000)
    event = line.get("event")
    if event not in (None, "gap", "end"):
        return None  # "open", or what a later minor version may tell
    side = DIRECTIONS[line["direction"]]
    if event == "end":
        return Piece(connection, side, What.END, time=time)
    if event == "gap":
        return Piece(connection, side, What.GAP, size=line["lost"] or 0, time=time)
    return Piece(connection, side, What.DATA, base64.b64decode(line["bytes"], validate=True), time=time)


def is_transcript(head: bytes) -> bool:
    """Say whether an input that begins so is a transcript."""
    return head.lstrip().startswith(MAGIC) or (head.startswith(b"{") and b'"dqt"' in head.partition(b"\n")[0])
