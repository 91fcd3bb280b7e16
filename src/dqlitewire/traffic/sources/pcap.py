"""Packet records out of pcap and pcapng files, streamed.

Only the framing of records lives here; `packets` reads what is inside one. A capture is read front to back
in blocks and never held: memory is one block, or one packet if that is larger. A capture that is cut off in
the middle of a record gives every whole record before it, then a note. Every number is checked before it is
used: a length that cannot be ends the reading, because where the next record begins is unknown; what is
wrong inside a record costs that record; a time that no clock shows is unknown.

Formats: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html and
https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.sources.inputs import ByteReader
from dqlitewire.traffic.sources.pieces import MAX_TIME

#: time in nanoseconds since 1970 or None, link type, captured bytes
Record = tuple["int | None", int, bytes]

MAX_PACKET = 1 << 24  # libpcap's own limit is 256 KiB; anything above this is not a packet
MAX_INTERFACES = 1 << 12  # of one section of a pcapng file

PCAP_MAGICS = {  # first four bytes -> byte order, nanoseconds in one unit of the fraction
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x34\xcd\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xcd\x34": (">", 1000),
}
#: bytes of a packet's header: as it is, in captures of Nokia's routers, and with what a patch of 1997 added;
#: its magic number came later than the patch
HEADER_SIZES = 16, 24, 20, 28
TRIED = 4  # packets that tell which it is
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"


def is_capture(head: bytes) -> bool:
    """Say whether an input that begins so is pcap or pcapng."""
    return head[:4] in PCAP_MAGICS or head[:4] == PCAPNG_MAGIC


def records(
    reader: ByteReader, note: Callable[[str], None], damage: Callable[[str], None] | None = None
) -> Iterator[Record]:
    """Yield the packets of a capture.

    Args:
        reader: stands at the first byte of the capture.
        note: told, once and in words, when the capture is cut off.
        damage: told in words of each record that is left out; `note` if not given.

    Raises:
        SourceError: this is no capture, or stops being one.
    """
    reader.need(4)
    magic = reader.buffer[reader.position : reader.position + 4]
    if magic == PCAPNG_MAGIC:
        yield from _pcapng(reader, note, damage or note)
    elif magic in PCAP_MAGICS:
        yield from _pcap(reader, note, *PCAP_MAGICS[magic])
    else:
        raise SourceError(
            "not a capture", f"it begins with {magic.hex(' ') or 'nothing'}, expected pcap or pcapng"
        )


def _pcap(reader: ByteReader, note: Callable[[str], None], order: str, unit: int) -> Iterator[Record]:
    if not reader.need(24):
        raise SourceError("a pcap header cut off", f"{reader.rest} of 24 bytes; capture again")
    link = struct.unpack_from(order + "I", reader.buffer, reader.position + 20)[0] & 0xFFFF
    reader.position += 24
    header = struct.Struct(order + "IIII")
    unpack, need = header.unpack_from, reader.need
    head = next((size for size in HEADER_SIZES if _chains(reader, header, size)), HEADER_SIZES[0])
    while len(reader.buffer) - reader.position >= head or need(head):
        buffer, start = reader.buffer, reader.position
        seconds, fraction, size, _ = unpack(buffer, start)
        if size > MAX_PACKET:
            raise SourceError(
                f"a packet of {size} bytes at offset {reader.offset + start}",
                "the capture is damaged from there on; `pcapfix` may mend it",
            )
        end = start + head + size
        if end > len(buffer):
            if not need(head + size):
                break
            buffer, start = reader.buffer, reader.position
            end = start + head + size
        reader.position = end
        yield seconds * 1_000_000_000 + fraction * unit, link, buffer[start + head : end]
    if reader.rest:
        note(f"the capture ends inside a packet ({reader.rest} bytes left over)")


def _chains(reader: ByteReader, header: struct.Struct, size: int) -> bool:
    """Whether the first packets, as far as they are here, follow each other with headers of so many bytes."""
    at = reader.position
    for _ in range(TRIED):
        if at + size > len(reader.buffer):
            break
        _, fraction, captured, original = header.unpack_from(reader.buffer, at)
        if fraction >= 1_000_000_000 or captured > min(MAX_PACKET, original):
            return False
        at += size + captured
    return at > reader.position or size == HEADER_SIZES[0]


SECTION, INTERFACE, OLD_PACKET, SIMPLE_PACKET, PACKET = 0x0A0D0D0A, 1, 2, 3, 6
OPTION_RESOLUTION, OPTION_OFFSET = 9, 14


class _Interface:
    """The properties of the packets of an interface, from its block.

    Raises:
        struct.error: the block is too short.
    """

    __slots__ = ("link", "offset", "per_second", "snaplen")

    def __init__(self, body: bytes, order: str) -> None:
        self.link: int
        self.snaplen: int
        self.link, self.snaplen = struct.unpack_from(order + "HxxI", body)
        self.per_second = 1_000_000
        self.offset = 0
        at = 8
        while at + 4 <= len(body):
            code, size = struct.unpack_from(order + "HH", body, at)
            value = body[at + 4 : at + 4 + size]
            if code == 0 or len(value) < size:
                break
            if code == OPTION_RESOLUTION and size == 1:
                power = value[0]
                self.per_second = 2 ** (power & 0x7F) if power & 0x80 else 10**power
            elif code == OPTION_OFFSET and size == 8:
                self.offset = struct.unpack(order + "q", value)[0] * 1_000_000_000
            at += 4 + (size + 3 & ~3)

    def time(self, high: int, low: int) -> int | None:
        time = ((high << 32 | low) * 1_000_000_000) // self.per_second + self.offset
        return time if 0 <= time < MAX_TIME else None


_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}


def _pcapng(
    reader: ByteReader, note: Callable[[str], None], damage: Callable[[str], None]
) -> Iterator[Record]:
    order = "<"
    interfaces: list[_Interface | None] = []  # None: its block is damaged
    while reader.need(12):
        start = reader.position
        place = f"at offset {reader.offset + start}"
        kind = struct.unpack_from(order + "I", reader.buffer, start)[0]
        if kind == SECTION:
            mark = reader.buffer[start + 8 : start + 12]
            if mark not in _ORDERS:
                raise SourceError(f"a pcapng section with byte order {mark.hex()} {place}", DAMAGED)
            order, interfaces = _ORDERS[mark], []
        size = struct.unpack_from(order + "I", reader.buffer, start + 4)[0]
        if size < 12 or size % 4 or size > MAX_PACKET:
            raise SourceError(f"a pcapng block of {size} bytes {place}", DAMAGED)
        if not reader.need(size):
            break
        start = reader.position
        body = reader.buffer[start + 8 : start + size - 4]
        reader.position = start + size
        try:
            if kind == INTERFACE:
                if len(interfaces) < MAX_INTERFACES:
                    interfaces.append(None)
                    interfaces[-1] = _Interface(body, order)
            elif (record := _packet(kind, body, order, interfaces)) is not None:
                yield record
        except struct.error:
            damage(f"a pcapng block of type {kind} and {size} bytes {place} is too short")
        except LookupError:
            damage(f"a pcapng packet without its interface {place}")
    if reader.rest:
        note(f"the capture ends inside a block ({reader.rest} bytes left over)")


DAMAGED = "the capture is damaged from there on"


def _packet(kind: int, body: bytes, order: str, interfaces: list[_Interface | None]) -> Record | None:
    number = high = low = 0
    if kind == PACKET:
        number, high, low, size = struct.unpack_from(order + "IIII", body)
    elif kind == OLD_PACKET:
        number, high, low, size = struct.unpack_from(order + "HxxIII", body)
    elif kind == SIMPLE_PACKET:
        size = struct.unpack_from(order + "I", body)[0]
    else:
        return None
    interface = interfaces[number]
    if interface is None:
        raise LookupError(number)
    if kind == SIMPLE_PACKET:
        size = min(size, interface.snaplen or size, len(body) - 4)
        return None, interface.link, body[4 : 4 + size]
    return interface.time(high, low), interface.link, body[20 : 20 + size]
