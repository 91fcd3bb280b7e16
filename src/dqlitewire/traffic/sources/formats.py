"""The formats that an input may have: how each is recognised and opened.

`FORMATS` is the one list. A format is a row: its name, what tells it from the first bytes of an input, and
what makes a source of the input. The first row that recognises an input wins, so the strict ones come first;
the last takes whatever is left. `FOREIGN` lists the formats that people name by mistake: they are refused in
words, with what to do instead, before any row is asked.

A format or a direction that the caller names is not guessed.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from enum import Enum
from typing import BinaryIO, NamedTuple

from dqlitewire.checks import checked_number
from dqlitewire.conversation import Side
from dqlitewire.conversation.first_bytes import HTTP_ANSWER, HTTP_END, MAX_HTTP_HEAD, TLS_HANDSHAKE
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.sources import capture, pasted, pcap, transcript_reader
from dqlitewire.traffic.sources.direction import AS_RAFT, Beginning, guess
from dqlitewire.traffic.sources.inputs import Input, open_input, packed_damage
from dqlitewire.traffic.sources.opening import HTTP_METHODS, is_upgrade
from dqlitewire.traffic.sources.pieces import Connection, Piece, What
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.sources.transcript import is_transcript
from dqlitewire.traffic.sources.transcript_growing import follow_recording

RAW_BLOCK = 1 << 18


class Format(Enum):
    """What an input is."""

    PCAP = "pcap"
    TRANSCRIPT = "dqt"
    RAW = "raw"
    HEX = "hex"
    XXD = "xxd"
    PYTHON = "python"
    BASE64 = "base64"


#: the values of `Source.format` for bytes that a person pasted
PASTED = frozenset(pasted.FORMS)


class Hints(NamedTuple):
    """What the caller knows of an input; None or empty where it is to be guessed."""

    format: Format | None
    side: Side | None
    ports: Collection[int]
    raft: bool = False


class Row(NamedTuple):
    """One format: what recognises it by the first bytes, and what opens an input that has it."""

    format: Format
    recognises: Callable[[bytes], bool]
    opens: Callable[[Input, Hints], Source]


def open_source(
    what: str | os.PathLike[str] | bytes | BinaryIO | Input,
    *,
    format: Format | None = None,
    side: Side | None = None,
    ports: Collection[int] = (),
    more: Callable[[], bool] | None = None,
    raft: bool = False,
) -> Source:
    """Open an input: a path ("-" is standard input), bytes, or a binary file.

    Args:
        what: the input; it is read once, when the source is.
        format: what it is; None to look at its first bytes.
        side: who sent it, for inputs with one direction; None to guess.
        ports: server ports of a capture that are dqlite; empty to find them by the handshake.
        more: for a growing file: asked at its end whether to read on.
        raft: what has one direction is of a connection between nodes, behind CONNECT.

    Returns:
        A source that owns the input: close it, or read it to its end.

    Raises:
        SourceError: it cannot be read, or is not dqlite traffic.
        ValueError: a port outside 1 to 65535.
    """
    for port in ports:
        checked_number("port", port, 1, 65535)
    input = open_input(what, more)
    try:
        head = input.head()
        if not head:
            if input.damage:
                raise packed_damage(input.name)
            raise SourceError(f"{input.name}: empty")
        if head.startswith(_HTTP):  # what it asks for may stand behind what came first
            head = input.head(MAX_HTTP_HEAD, HTTP_END)
        found = format or recognise(head, input.name)
        source = _OPENERS[found](input, Hints(format, side, ports, raft))
    except BaseException:
        input.close()
        raise
    source.inputs.append(input)
    return source


def recognise(head: bytes, name: str = "input") -> Format:
    """Recognise the format of an input by its first bytes; HEX stands for any of the text forms.

    Args:
        head: how the input begins.
        name: of the input, for errors.

    Raises:
        SourceError: it is something known that holds no dqlite traffic in the clear.
    """
    for foreign in FOREIGN:
        if head.startswith(foreign.begins) and not _is_upgrade(head):
            raise SourceError(f"{name}: {foreign.seen}", foreign.hint)
    return next(row.format for row in FORMATS if row.recognises(head))


def one_stream(input: Input) -> Input:
    """Return the bytes of one direction of a connection: of text, what it is a dump of.

    Args:
        input: not yet read; what is returned owns it.

    Raises:
        SourceError: it is text that is no bytes, or holds both directions.
    """
    head = input.head()
    if not head or head.startswith(_HTTP):
        return input
    row = next(row for row in FORMATS if row.recognises(head))
    if row.opens is _open_pasted:
        with closing(input):
            return Input(io.BytesIO(pasted.parse(_text(input), None)[1]), input.name)
    if row.opens is not _open_raw:
        hint = "name it by itself, it holds both directions"
        raise SourceError(f"{input.name}: a {row.format.value} file, no stream of one direction", hint)
    return input


def _open_capture(input: Input, hints: Hints) -> Source:
    kind = "pcapng" if input.head().startswith(pcap.PCAPNG_MAGIC) else "pcap"
    return Source(input.name, kind, lambda source: capture.pieces(input, hints.ports, source))


def _open_transcript(input: Input, hints: Hints) -> Source:
    if input.more is not None and os.path.isfile(input.name):
        return follow_recording(input, input.more, Format.TRANSCRIPT.value)
    return Source(
        input.name, Format.TRANSCRIPT.value, lambda source: transcript_reader.pieces([input], source.damage)
    )


def _open_raw(input: Input, hints: Hints) -> Source:
    begins = AS_RAFT if hints.raft else guess(input.head(), hints.side)
    blocks = iter(lambda: input.read(RAW_BLOCK), b"")
    return Source(input.name, Format.RAW.value, lambda _: _one_direction(blocks, begins), begins.side)


def _open_pasted(input: Input, hints: Hints) -> Source:
    form, data = pasted.parse(_text(input), hints.format.value if hints.format else None)
    begins = AS_RAFT if hints.raft else guess(data, hints.side)
    return Source(input.name, form, lambda _: _one_direction(iter([data]), begins), begins.side)


def _one_direction(blocks: Iterator[bytes], begins: Beginning) -> Iterator[Piece]:
    connection = Connection(timed=False, bare=begins.bare, raft=begins.raft, alone=True)
    for data in blocks:
        yield Piece(connection, begins.side, What.DATA, data)
    yield Piece(connection, begins.side, What.END)


def _text(input: Input) -> str:
    parts: list[bytes] = []
    size = 0
    while data := input.read(1 << 20):
        parts.append(data)
        size += len(data)
        if size > pasted.MAX_TEXT:
            raise SourceError(
                f"{input.name}: over {pasted.MAX_TEXT >> 20} MiB of text", "name the bytes as --format raw"
            )
    return b"".join(parts).decode("utf-8", "replace")


_HTTP = (*HTTP_METHODS, HTTP_ANSWER)
_TEXT = bytes({9, 10, 13, *range(32, 127)})


def _is_upgrade(head: bytes) -> bool:
    return head.startswith(_HTTP) and is_upgrade(head)


def _is_text(head: bytes) -> bool:
    return not head.translate(None, _TEXT)


def _is_anything(_: bytes) -> bool:
    return True


FORMATS = (
    Row(Format.PCAP, pcap.is_capture, _open_capture),
    Row(Format.TRANSCRIPT, is_transcript, _open_transcript),
    Row(Format.RAW, _is_upgrade, _open_raw),  # an HTTP request is text, but not pasted
    Row(Format.HEX, _is_text, _open_pasted),
    Row(Format.RAW, _is_anything, _open_raw),
)
_OPENERS = {row.format: row.opens for row in FORMATS} | {
    form: _open_pasted for form in Format if form.value in PASTED
}


class Foreign(NamedTuple):
    """An input that is no dqlite traffic: what it begins with, what it is, what to do about it."""

    begins: bytes | tuple[bytes, ...]
    seen: str
    hint: str


CONVERT = "convert it: `editcap -F pcap IN OUT`"

FOREIGN = (
    Foreign(b"snoop\0\0\0", "a snoop capture", CONVERT),
    Foreign((b"RTSS", b"GMBU"), "a Network Monitor capture", CONVERT),
    Foreign(b"TRSNIFF data", "a Sniffer capture", CONVERT),
    Foreign(b"XCP\0", "a NetXray capture", CONVERT),
    Foreign(b"TR\0\x64\0", "a nettl capture", CONVERT),
    Foreign(b"ObserverPktBuffe", "an Observer capture", CONVERT),
    Foreign(b"\x05VNF", "a Visual Networks capture", CONVERT),
    Foreign(b"\xaa\xaa\xaa\xaa\x20", "a 5View capture", CONVERT),
    Foreign(b"+---------+-------", "a K12 text file", CONVERT),
    Foreign(b"btsnoop\0", "a Bluetooth capture", "capture on an IP interface"),
    Foreign(b"\x04\x22\x4d\x18", "lz4-compressed data", "unpack it first: `lz4 -d FILE`"),
    Foreign(
        b"SQLite format 3\0",
        "an SQLite database",
        "this is a file's contents, not traffic; open it with sqlite3",
    ),
    Foreign(b"PK\x03\x04", "a zip archive", "unpack it first"),
    Foreign(b"\x28\xb5\x2f\xfd", "zstd-compressed data", "unpack it first: `zstd -d FILE`"),
    Foreign(b"\xfd7zXZ\0", "xz-compressed data", "unpack it first: `xz -d FILE`"),
    Foreign(b"BZh", "bzip2-compressed data", "unpack it first: `bzip2 -d FILE`"),
    Foreign(b"\x7fELF", "a program", "name a file with recorded traffic"),
    Foreign(TLS_HANDSHAKE, "TLS traffic", capture.TLS_HINT),
    Foreign(_HTTP, "HTTP traffic", "dqlite's own port speaks no HTTP; is this the API port?"),
)
