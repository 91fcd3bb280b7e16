"""Sources: anything that holds dqlite traffic, turned into pieces of connections.

`open_source` looks at the first bytes to tell what an input is; a format or a direction that is named is not
guessed. Every source can be read once, front to back, in bounded memory (texts are small and held).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from enum import Enum
from typing import BinaryIO

from dqlitewire.checks import checked_number
from dqlitewire.conversation import Side
from dqlitewire.traffic.direction import Beginning, guess
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.flows import HTTP_METHODS, DqliteFlows
from dqlitewire.traffic.sources import capture, texts, transcript
from dqlitewire.traffic.sources.capture import ByteReader
from dqlitewire.traffic.sources.inputs import Input, open_input
from dqlitewire.traffic.sources.packets import parser
from dqlitewire.traffic.sources.pieces import MAX_TIME, Connection, Piece, What


class Format(Enum):
    """What an input is."""

    PCAP = "pcap"
    TRANSCRIPT = "dqt"
    RAW = "raw"
    HEX = "hex"
    XXD = "xxd"
    PYTHON = "python"
    BASE64 = "base64"


TEXTS = (Format.HEX, Format.XXD, Format.PYTHON, Format.BASE64)


MAX_NOTES = 20  # about single places of one source


class Source:
    """Traffic to be read once.

    Attributes:
        name: where it comes from.
        format: a word for what it is.
        notes: what a reader should know about it, complete when all was read.
        damaged: places of the input that could not be read and were left out; notes tell of the first ones.
        side: who sent it, if it has one direction only.
        size: bytes of input, None if nobody knows; `position` says how many were read.
    """

    def __init__(
        self, name: str, format: str, pieces: Callable[[Source], Iterator[Piece]], side: Side | None = None
    ) -> None:
        self.name = name
        self.format = format
        self.side = side
        self.notes: list[str] = []
        self.damaged = 0
        self.inputs: list[Input] = []
        self._pieces = pieces

    @property
    def size(self) -> int | None:
        """Bytes of input."""
        sizes = [input.size for input in self.inputs]
        return sum(size for size in sizes if size is not None) if None not in sizes else None

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return sum(input.position for input in self.inputs)

    def pieces(self) -> Iterator[Piece]:
        """Yield the traffic.

        Raises:
            SourceError: it is not what it looked like, or holds no dqlite traffic.
        """
        with self:
            try:
                yield from self._pieces(self)
            finally:
                if self.damaged > MAX_NOTES:
                    self.notes.append(f"so are {self.damaged - MAX_NOTES} more places")

    def damage(self, what: str) -> None:
        """Note a place of the input that is left out."""
        self.damaged += 1
        if self.damaged <= MAX_NOTES:
            self.notes.append(what)

    def close(self) -> None:
        """Close what was opened."""
        for input in self.inputs:
            input.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(
    what: str | os.PathLike[str] | bytes | BinaryIO,
    *,
    format: Format | None = None,
    side: Side | None = None,
    ports: Collection[int] = (),
    more: Callable[[], bool] | None = None,
) -> Source:
    """Open an input: a path ("-" is standard input), bytes, or a binary file.

    Args:
        format: what it is; None to look.
        side: who sent it, for inputs with one direction; None to guess.
        ports: server ports of a capture that are dqlite; empty to find them by the handshake.
        more: for a growing file: asked at its end whether to read on.

    Raises:
        SourceError: it cannot be read, or is not dqlite traffic.
        ValueError: a port that is none.
    """
    for port in ports:
        checked_number("port", port, 1, 65535)
    input = open_input(what, more)
    try:
        source = _source(input, format, side, ports)
    except BaseException:
        input.close()
        raise
    source.inputs.append(input)
    return source


def _source(input: Input, format: Format | None, side: Side | None, ports: Collection[int]) -> Source:
    head = input.head()
    if not head:
        raise SourceError(f"{input.name}: empty")
    found = format or recognise(head, input.name)
    if found is Format.PCAP:
        return Source(
            input.name, "pcapng" if head[:4] == capture.PCAPNG_MAGIC else "pcap", _capture(input, ports)
        )
    if found is Format.TRANSCRIPT:
        return Source(input.name, found.value, _transcript(input))
    if found is Format.RAW:
        begins = guess(head, side)
        return Source(input.name, found.value, _raw(input, begins), begins.side)
    name, data = texts.parse(_text(input), found.value if format else None)
    begins = guess(data, side)
    return Source(input.name, name, _bytes(data, begins), begins.side)


def open_pair(
    requests: str | os.PathLike[str] | bytes | BinaryIO, responses: str | os.PathLike[str] | bytes | BinaryIO
) -> Source:
    """Open the two byte streams of one connection, recorded apart from each other.

    They carry no times and no order between them; an answer is put behind its request.
    """
    inputs = [open_input(requests)]
    try:
        inputs.append(open_input(responses))
    except BaseException:
        inputs[0].close()
        raise
    source = Source(" + ".join(input.name for input in inputs), "pair", lambda _: _pair(*inputs))
    source.inputs = inputs
    return source


def recognise(head: bytes, name: str = "input") -> Format:
    """Tell what an input is from its first bytes.

    Raises:
        SourceError: it is something known that holds no dqlite traffic in the clear.
    """
    if capture.is_capture(head):
        return Format.PCAP
    if transcript.is_transcript(head):
        return Format.TRANSCRIPT
    for magic, (seen, hint) in _STRANGERS.items():
        if head.startswith(magic):
            raise SourceError(f"{name}: {seen}", hint)
    if head[:1] == b"\x16" and head[1:2] == b"\x03":
        raise SourceError(f"{name}: TLS traffic", TLS_HINT)
    if head.startswith((*HTTP_METHODS, b"HTTP/1.")):
        if b"upgrade: dqlite" in head.lower():
            return Format.RAW
        raise SourceError(f"{name}: HTTP traffic", "dqlite's own port speaks no HTTP; is this the API port?")
    return Format.HEX if _is_text(head) else Format.RAW


TLS_HINT = "encrypted; capture behind the TLS proxy (its unix socket or loopback side) instead"
_STRANGERS = {
    b"snoop\0\0\0": ("a snoop capture", "convert it: `editcap -F pcap IN OUT`"),
    b"\x34\xcd\xb2\xa1": ("a modified pcap", "convert it: `editcap -F pcap IN OUT`"),
    b"SQLite format 3\0": (
        "an SQLite database",
        "this is a file's contents, not traffic; open it with sqlite3",
    ),
    b"PK\x03\x04": ("a zip archive", "unpack it first"),
    b"\x28\xb5\x2f\xfd": ("zstd-compressed data", "unpack it first: `zstd -d FILE`"),
    b"\xfd7zXZ\0": ("xz-compressed data", "unpack it first: `xz -d FILE`"),
    b"BZh": ("bzip2-compressed data", "unpack it first: `bzip2 -d FILE`"),
    b"\x7fELF": ("a program", "name a file with recorded traffic"),
}
_TEXT = bytes({9, 10, 13, *range(32, 127)})


def _is_text(head: bytes) -> bool:
    return not head.translate(None, _TEXT)


def _text(input: Input) -> str:
    parts: list[bytes] = []
    size = 0
    while data := input.read(1 << 20):
        parts.append(data)
        size += len(data)
        if size > texts.MAX_TEXT:
            raise SourceError(
                f"{input.name}: over {texts.MAX_TEXT >> 20} MiB of text", "name the bytes as --format raw"
            )
    return b"".join(parts).decode("utf-8", "replace")


def _bytes(data: bytes, begins: Beginning) -> Callable[[Source], Iterator[Piece]]:
    connection = Connection(timed=False, bare=begins.bare)

    def pieces(_: Source) -> Iterator[Piece]:
        yield Piece(connection, begins.side, What.DATA, data)
        yield Piece(connection, begins.side, What.END)

    return pieces


def _raw(input: Input, begins: Beginning) -> Callable[[Source], Iterator[Piece]]:
    connection = Connection(timed=False, bare=begins.bare)

    def pieces(_: Source) -> Iterator[Piece]:
        while data := input.read(1 << 18):
            yield Piece(connection, begins.side, What.DATA, data)
        yield Piece(connection, begins.side, What.END)

    return pieces


def _transcript(input: Input) -> Callable[[Source], Iterator[Piece]]:
    return lambda source: transcript.pieces(ByteReader(input.read), source.damage)


def _capture(input: Input, ports: Collection[int]) -> Callable[[Source], Iterator[Piece]]:
    def pieces(source: Source) -> Iterator[Piece]:
        flows = DqliteFlows(ports)
        packets, known, parse = 0, -1, parser(1)
        strange: SourceError | None = None  # the first link type that nobody reads
        read = capture.records(ByteReader(input.read), source.notes.append, source.damage)
        for time, link, packet, _ in read:
            packets += 1
            if link != known:
                known = link
                try:
                    parse = parser(link)
                except SourceError as error:
                    strange, parse = strange or error, _no_segment
            segment = parse(packet)
            if segment is not None and (done := flows.add(segment, time)):
                yield from done
        yield from flows.flush()
        if not flows.connections:
            if strange is not None:
                raise strange
            raise _nothing(input.name, packets, flows.others, flows.other_ports, ports)
        if strange is not None:
            source.notes.append(f"packets of {strange.seen} left out")
        _note_losses(source, flows)

    return pieces


def _no_segment(_: bytes) -> None:
    return None


def _note_losses(source: Source, flows: DqliteFlows) -> None:
    tcp = flows.reassembler
    if tcp.gaps:
        source.notes.append(f"{tcp.lost} bytes in {tcp.gaps} places were not captured")
    for kind in ("TLS", "HTTP"):
        if flows.others[kind]:
            source.notes.append(f"{flows.others[kind]} {kind} connections left out")


def _nothing(
    name: str, packets: int, others: Counter[str], ports: Counter[str], forced: Collection[int]
) -> SourceError:
    if not packets:
        return SourceError(f"{name}: a capture without packets", "was the filter right?")
    if forced:
        named = ", ".join(map(str, sorted(forced)))
        if not others["TLS"]:
            return SourceError(f"{name}: no TCP data on port {named} in {packets} packets")
    if others["TLS"]:
        most = ports.most_common(1)[0][0]
        return SourceError(f"{name}: TLS traffic ({others['TLS']} connections, most to {most})", TLS_HINT)
    if others["HTTP"]:
        return SourceError(f"{name}: HTTP traffic, no dqlite in {packets} packets", "is this the API port?")
    hint = "name its port with --port if the capture began after the connections did"
    return SourceError(f"{name}: no dqlite handshake in {packets} packets", hint)


# pairs


def _pair(requests: Input, responses: Input) -> Iterator[Piece]:
    begins = guess(requests.head(), Side.CLIENT)
    connection = Connection(timed=False, bare=begins.bare)
    asked, answered = ByteReader(requests.read), ByteReader(responses.read)
    if not begins.bare and (preamble := _preamble(asked)):
        yield Piece(connection, Side.CLIENT, What.DATA, preamble)
        if preamble[:4] in HTTP_METHODS:  # then its answer and the handshake
            yield Piece(connection, Side.SERVER, What.DATA, _preamble(answered))
            yield Piece(connection, Side.CLIENT, What.DATA, _preamble(asked))
    while request := _frame(asked):
        yield Piece(connection, Side.CLIENT, What.DATA, request)
        more = True
        while more and (answer := _frame(answered)):
            yield Piece(connection, Side.SERVER, What.DATA, answer)
            more = answer[4] == 7 and answer[-8:] == b"\xee" * 8
    for side, reader in ((Side.CLIENT, asked), (Side.SERVER, answered)):
        while reader.need(1):
            yield Piece(connection, side, What.DATA, reader.buffer[reader.position :])
            reader.position = len(reader.buffer)
        yield Piece(connection, side, What.END)


def _preamble(reader: ByteReader) -> bytes:
    """The handshake, or the head of an HTTP message, if the stream stands at one."""
    if not reader.need(8):
        return b""
    size = 8
    if reader.buffer[reader.position : reader.position + 4] in (*HTTP_METHODS, b"HTTP"):
        reader.need(1 << 16)
        end = reader.buffer.find(b"\r\n\r\n", reader.position, reader.position + (1 << 16))
        size = end + 4 - reader.position if end >= 0 else 0
    data = reader.buffer[reader.position : reader.position + size]
    reader.position += len(data)
    return data


def _frame(reader: ByteReader) -> bytes:
    """The next frame; b"" if the rest holds none."""
    if not reader.need(8):
        return b""
    size = 8 + 8 * int.from_bytes(reader.buffer[reader.position : reader.position + 4], "little")
    if size > MAX_FRAME or not reader.need(size):
        return b""
    data = reader.buffer[reader.position : reader.position + size]
    reader.position += size
    return data


MAX_FRAME = 1 << 26


class Recording:
    """Traffic that a program holds itself, to be looked at with the same tools.

    recording = Recording()
    recording.add(Side.CLIENT, data)
    for line in lines(recording): print(line)
    """

    def __init__(self, client: str = "", server: str = "") -> None:
        self.connection = Connection(1, client, server, timed=False)
        self._pieces: list[Piece] = []

    def add(self, side: Side, data: bytes, time: int | None = None) -> None:
        """Add bytes that one side sent; `time` in nanoseconds since 1970.

        Raises:
            ValueError: a time below 0, or from 2**63.
        """
        if time is not None:
            checked_number("time", time, 0, MAX_TIME - 1)
            self.connection.timed = True
        self._pieces.append(Piece(self.connection, side, What.DATA, data, 0, time or 0))

    def source(self) -> Source:
        """Return what was added so far as a source."""
        pieces = list(self._pieces)
        return Source("recording", "recording", lambda _: iter(pieces))
