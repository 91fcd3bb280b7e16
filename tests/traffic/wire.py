"""Captures for tests, made of byte streams: TCP segments, link layers, pcap and pcapng files.

Nothing here reads; what reads is under test.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

Chunk = tuple[bool, bytes]  # (is_request, bytes), in the order in which they passed


@dataclass(frozen=True)
class Packet:
    """A TCP segment with its time, before it is wrapped."""

    time: int  # nanoseconds
    from_client: bool
    sequence: int
    acknowledged: int
    flags: int
    payload: bytes = b""


@dataclass(frozen=True)
class Path:
    """The endpoints of a connection."""

    client: str = "10.0.0.1"
    client_port: int = 40001
    server: str = "10.0.0.2"
    server_port: int = 9001
    addresses: dict[bool, bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        import ipaddress

        packed = {
            True: ipaddress.ip_address(self.client).packed,
            False: ipaddress.ip_address(self.server).packed,
        }
        object.__setattr__(self, "addresses", packed)


def conversation(
    chunks: Iterable[Chunk],
    *,
    mss: int = 1448,
    start: int = 1_700_000_000_000_000_000,
    step: int = 100_000,
    client_isn: int = 1000,
    server_isn: int = 0xFFFF_F000,
    handshake: bool = True,
    close: bool = True,
) -> list[Packet]:
    """Cut chunks into segments as a quiet network would: handshake, data with acknowledgements, FIN both
    ways."""
    packets: list[Packet] = []
    sequence = {True: client_isn, False: server_isn}

    def send(from_client: bool, flags: int, payload: bytes = b"") -> None:
        acknowledged = sequence[not from_client] if flags & ACK else 0
        time = start + step * len(packets)
        packets.append(Packet(time, from_client, sequence[from_client], acknowledged, flags, payload))
        sequence[from_client] = sequence[from_client] + len(payload) + bool(flags & (SYN | FIN)) & 0xFFFF_FFFF

    if handshake:
        send(True, SYN)
        send(False, SYN | ACK)
        send(True, ACK)
    else:
        sequence = {side: number + 1 & 0xFFFF_FFFF for side, number in sequence.items()}
    for is_request, data in chunks:
        for at in range(0, len(data), mss):
            send(is_request, ACK | PSH, data[at : at + mss])
        send(not is_request, ACK)
    if close:
        send(True, FIN | ACK)
        send(False, FIN | ACK)
        send(True, ACK)
    return packets


def lose(packets: Sequence[Packet], which: Iterable[int]) -> list[Packet]:
    """Leave out the packets at these positions."""
    gone = set(which)
    return [packet for number, packet in enumerate(packets) if number not in gone]


def duplicate(packets: Sequence[Packet], seed: int, share: float = 0.2) -> list[Packet]:
    """Repeat some packets a little later, as a retransmission does."""
    chance = random.Random(seed)
    out: list[Packet] = []
    late: list[tuple[int, Packet]] = []
    for number, packet in enumerate(packets):
        out.append(packet)
        if packet.payload and chance.random() < share:
            late.append((number + chance.randrange(1, 6), packet))
        out += [replace(again, time=packet.time) for when, again in late if when == number]
    return out


def reorder(packets: Sequence[Packet], seed: int, window: int = 6, keep: int = 3) -> list[Packet]:
    """Shuffle packets over short distances; the first `keep` stay where they are. Times stay in order."""
    chance = random.Random(seed)
    rest = list(range(keep, len(packets)))
    rest.sort(key=lambda number: number + chance.random() * window)
    order = [*range(keep), *rest]
    return [replace(packets[number], time=packets[at].time) for at, number in enumerate(order)]


def overlap(packets: Sequence[Packet], seed: int) -> list[Packet]:
    """Send data in segments that begin inside what was sent before."""
    chance = random.Random(seed)
    out: list[Packet] = []
    last: dict[bool, Packet] = {}
    for packet in packets:
        before = last.get(packet.from_client)
        if (
            packet.payload
            and before
            and before.sequence + len(before.payload) & 0xFFFF_FFFF == packet.sequence
        ):
            back = chance.randrange(0, len(before.payload) + 1)
            tail = before.payload[len(before.payload) - back :]
            packet = replace(
                packet, sequence=packet.sequence - back & 0xFFFF_FFFF, payload=tail + packet.payload
            )
        if packet.payload:
            last[packet.from_client] = packet
        out.append(packet)
    return out


# layers


def tcp(packet: Packet, path: Path) -> bytes:
    """The TCP header and payload."""
    ports = (
        (path.client_port, path.server_port) if packet.from_client else (path.server_port, path.client_port)
    )
    options = b"\x01\x01\x08\x0a" + bytes(8)  # timestamps, as real stacks send them
    header = struct.pack(
        ">HHIIBBHHH", *ports, packet.sequence, packet.acknowledged, 8 << 4, packet.flags, 512, 0, 0
    )
    return header + options + packet.payload


def ip(packet: Packet, path: Path, *, options: bytes = b"", extension: bytes = b"") -> bytes:
    """The IP packet, version 4 or 6 by the addresses."""
    body = tcp(packet, path)
    source, destination = path.addresses[packet.from_client], path.addresses[not packet.from_client]
    if len(source) == 16:
        following = 0 if extension else 6
        return (
            struct.pack(">IHBB", 6 << 28, len(extension) + len(body), following, 64)
            + source
            + destination
            + extension
            + body
        )
    size = 20 + len(options)
    return (
        struct.pack(">BBHHHBBH", 0x40 | size // 4, 0, size + len(body), 1, 0x4000, 64, 6, 0)
        + source
        + destination
        + options
        + body
    )


def ethertype(packet: bytes) -> bytes:
    """The ethertype of an IP packet."""
    return b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"


LINKS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "ethernet": (1, lambda inner: bytes(12) + ethertype(inner) + inner),
    "vlan": (1, lambda inner: bytes(12) + b"\x81\x00\x00\x05" + ethertype(inner) + inner),
    "qinq": (1, lambda inner: bytes(12) + b"\x88\xa8\x00\x05\x81\x00\x00\x06" + ethertype(inner) + inner),
    "padded": (1, lambda inner: (bytes(12) + ethertype(inner) + inner).ljust(120, b"\xaa")),
    "cooked": (113, lambda inner: struct.pack(">HHH8s", 0, 1, 6, bytes(8)) + ethertype(inner) + inner),
    "cooked2": (
        276,
        lambda inner: ethertype(inner) + struct.pack(">HIHBB8s", 0, 2, 1, 0, 6, bytes(8)) + inner,
    ),
    "null": (0, lambda inner: struct.pack("<I", 2 if inner[0] >> 4 == 4 else 30) + inner),
    "loop": (108, lambda inner: struct.pack(">I", 2 if inner[0] >> 4 == 4 else 24) + inner),
    "raw": (101, lambda inner: inner),
    "pppoe": (
        1,
        lambda inner: (
            bytes(12)
            + b"\x88\x64\x11\x00\x00\x01"
            + struct.pack(">H", len(inner) + 2)
            + (b"\x00\x21" if inner[0] >> 4 == 4 else b"\x00\x57")
            + inner
        ),
    ),
}


def frames(
    packets: Iterable[Packet], path: Path | None = None, link: str = "ethernet", **layers: bytes
) -> list[tuple[int, bytes]]:
    """Wrap packets into (time, bytes as captured)."""
    path = path or Path()
    wrap = LINKS[link][1]
    return [(packet.time, wrap(ip(packet, path, **layers))) for packet in packets]


def merge(*captures: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Interleave captures by time."""
    return sorted((record for capture in captures for record in capture), key=lambda record: record[0])


# files


def pcap(
    records: Iterable[tuple[int, bytes]],
    link: str = "ethernet",
    *,
    order: str = "<",
    nanoseconds: bool = False,
    snap: int = 262144,
) -> bytes:
    """A pcap file."""
    unit = 1 if nanoseconds else 1000
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, LINKS[link][0])]
    for time, data in records:
        seconds, fraction = divmod(time, 1_000_000_000)
        parts += [
            struct.pack(order + "IIII", seconds, fraction // unit, min(len(data), snap), len(data)),
            data[:snap],
        ]
    return b"".join(parts)


def pcapng(
    records: Iterable[tuple[int, bytes]],
    link: str = "ethernet",
    *,
    order: str = "<",
    resolution: int | None = None,
) -> bytes:
    """A pcapng file; `resolution` is a power of ten, or None for the default of microseconds."""

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack(order + "I", len(body) + 12)
        return struct.pack(order + "I", kind) + size + body + size

    options = b"" if resolution is None else struct.pack(order + "HHB3xI", 9, 1, resolution, 0)
    per_second = 10 ** (6 if resolution is None else resolution)
    parts = [
        block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)),
        block(1, struct.pack(order + "HHI", LINKS[link][0], 0, 0) + options),
        block(5, bytes(12)),  # interface statistics: skipped
    ]
    for time, data in records:
        ticks = time * per_second // 1_000_000_000
        parts.append(
            block(
                6,
                struct.pack(order + "IIIII", 0, ticks >> 32, ticks & 0xFFFF_FFFF, len(data), len(data))
                + data,
            )
        )
    return b"".join(parts)
