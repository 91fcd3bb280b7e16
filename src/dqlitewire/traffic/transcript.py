"""The transcript format `.dqt`: recorded traffic as JSON lines, one frame a line (docs/transcript.md
specifies it).

A transcript is append-only. Each line stands alone, so a writer that was killed loses at most the line it was
writing, and a reader skips what is no line. The bytes of a direction, joined in order, are the stream as it
was on the wire, garbage included.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from dqlitewire.conversation import Side
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


class TranscriptWriter:
    """Appends to a transcript; every line is written at once.

    Args:
        path: made with mode 0600 if it is not there. One that is there is continued.
        by: the program that writes.
        redacted: values were hidden before the bytes came here.

    Raises:
        SourceError: the file cannot be written, or is no transcript of this version.
    """

    def __init__(self, path: str | os.PathLike[str], by: str = "dqlite-wire", redacted: bool = False) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SourceError(f"{os.fspath(path)}: {error.strerror}") from None
        self._known: set[int] = set()
        size = os.fstat(self._file).st_size
        if size:
            head, last = os.pread(self._file, 4096, 0), os.pread(self._file, 1, size - 1)
            try:
                check_header(head.partition(b"\n")[0])
            except SourceError:
                self.close()
                raise
            if last != b"\n":
                os.write(self._file, b"\n")  # the last writer was cut off
        header = {"dqt": VERSION, "by": by, "redacted": redacted}
        self._write(json.dumps(header, separators=(",", ":")))

    def frame(
        self, connection: Connection, side: Side, data: bytes, time: int | None, fields: Mapping[str, Any]
    ) -> None:
        """Write bytes that passed; `fields` say what they are and begin with "type"."""
        self._open(connection, time)
        line = {"connection": connection.number, "direction": NAMES[side], **fields}
        self._write(json_line(time, {**line, "bytes": base64.b64encode(data).decode()}))

    def gap(self, connection: Connection, side: Side, size: int | None, time: int | None) -> None:
        """Write that bytes were lost."""
        self._open(connection, time)
        line = {"connection": connection.number, "event": "gap", "direction": NAMES[side], "lost": size}
        self._write(json_line(time, line))

    def end(self, connection: Connection, side: Side, time: int | None) -> None:
        """Write that one side sends no more."""
        self._open(connection, time)
        self._write(
            json_line(time, {"connection": connection.number, "event": "end", "direction": NAMES[side]})
        )

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> TranscriptWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, connection: Connection, time: int | None) -> None:
        if connection.number not in self._known:
            self._known.add(connection.number)
            self._write(
                json_line(
                    time,
                    {
                        "connection": connection.number,
                        "event": "open",
                        "client": connection.client,
                        "server": connection.server,
                        "midstream": connection.midstream,
                        "bare": connection.bare,
                    },
                )
            )

    def _write(self, line: str) -> None:
        rest = memoryview(line.encode() + b"\n")
        while rest:
            rest = rest[os.write(self._file, rest) :]


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
