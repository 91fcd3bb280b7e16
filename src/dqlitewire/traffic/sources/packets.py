"""One captured packet in, its TCP segment out.

IPv4 without options and IPv6 without extension headers over Ethernet (VLAN tags included), Linux cooked,
loopback and raw IP are read by one `struct` each, because every packet of a large capture passes here; IP
options, extension headers, PPPoE and MPLS take a few steps more. What is no such packet is no segment.
Checksums are not looked at: with offloading the sender's are wrong in every capture taken on its own machine.
IP fragments other than whole packets are not put together.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable
from typing import NamedTuple

from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.sources.pieces import new_tuple

FIN, SYN, RST, ACK = 1, 2, 4, 16


class Segment(NamedTuple):
    """A TCP segment.

    Attributes:
        key: source and destination address, then both ports, as they stand in the packet.
        sequence: the sequence number of its first byte.
        acknowledged: of the byte that its sender waits for.
        flags: FIN, SYN, RST, ACK and others.
        payload: the bytes.
        missing: payload bytes that were on the wire but not captured (a short snap length).
    """

    key: bytes
    sequence: int
    acknowledged: int
    flags: int
    payload: bytes
    missing: int


# version and length, total, fragment, protocol; sequence, acknowledged, offset, flags
_IPV4_TCP = struct.Struct(">BxHxxHxB14xIIBB")
# version, payload length, next header; sequence, acknowledged, offset, flags
_IPV6_TCP = struct.Struct(">B3xHB37xIIBB")
_TCP = struct.Struct(">4xIIBB")
_ETHERTYPE = struct.Struct(">H")

IPV4, IPV6 = 0x0800, 0x86DD
VLAN = (0x8100, 0x88A8, 0x9100)
TCP = 6


def _ipv4(packet: bytes, at: int) -> Segment | None:
    try:
        version, total, fragment, protocol, sequence, acknowledged, offset, flags = _IPV4_TCP.unpack_from(
            packet, at
        )
    except struct.error:
        return None  # too short for TCP
    if protocol != TCP or fragment & 0x3FFF:
        return None
    if version != 0x45:
        return _slow_ipv4(packet, at)
    start = at + 20 + (offset >> 2 & 0x3C)
    end = at + total if total else len(packet)  # total is 0 in packets that segmentation offload will cut up
    payload = packet[start:end]
    missing = end - start - len(payload) if end > len(packet) else 0
    return new_tuple(Segment, (packet[at + 12 : at + 24], sequence, acknowledged, flags, payload, missing))


def _ipv6(packet: bytes, at: int) -> Segment | None:
    try:
        version, length, following, sequence, acknowledged, offset, flags = _IPV6_TCP.unpack_from(packet, at)
    except struct.error:
        return None
    if following != TCP:
        return None if version >> 4 != 6 else _slow_ipv6(packet, at)
    start = at + 40 + (offset >> 2 & 0x3C)
    end = at + 40 + length if length else len(packet)
    payload = packet[start:end]
    missing = end - start - len(payload) if end > len(packet) else 0
    return new_tuple(Segment, (packet[at + 8 : at + 44], sequence, acknowledged, flags, payload, missing))


def _slow_ipv4(packet: bytes, at: int) -> Segment | None:
    """With options; it was unpacked before, so that all of the fixed header is here."""
    version, size = packet[at] >> 4, 4 * (packet[at] & 15)
    if version != 4 or size < 20:
        return None
    total = _ETHERTYPE.unpack_from(packet, at + 2)[0]
    return _tcp(packet, at + size, packet[at + 12 : at + 20], at + total if total else len(packet))


#: extension header -> (unit of its length in bytes, units that the length leaves out)
_EXTENSIONS = {0: (8, 1), 43: (8, 1), 44: (8, 1), 51: (4, 2), 60: (8, 1), 135: (8, 1), 139: (8, 1)}
_FRAGMENT = 44


def _slow_ipv6(packet: bytes, at: int) -> Segment | None:
    """With extension headers (RFC 8200, section 4)."""
    length, following = _ETHERTYPE.unpack_from(packet, at + 4)[0], packet[at + 6]
    place = at + 40
    while following != TCP:
        if following not in _EXTENSIONS or place + 8 > len(packet):
            return None
        unit, more = _EXTENSIONS[following]
        count = packet[place + 1] + more
        if following == _FRAGMENT:
            count = 1  # its second byte is reserved
            if _ETHERTYPE.unpack_from(packet, place + 2)[0] & 0xFFF9:
                return None
        following = packet[place]
        place += unit * count
    return _tcp(packet, place, packet[at + 8 : at + 40], at + 40 + length if length else len(packet))


def _tcp(packet: bytes, at: int, addresses: bytes, end: int) -> Segment | None:
    try:
        sequence, acknowledged, offset, flags = _TCP.unpack_from(packet, at)
    except struct.error:
        return None
    start = at + (offset >> 2 & 0x3C)
    payload = packet[start:end]
    missing = end - start - len(payload) if end > len(packet) else 0
    key = addresses + packet[at : at + 4]
    return new_tuple(Segment, (key, sequence, acknowledged, flags, payload, missing))


def _internet(packet: bytes, at: int) -> Segment | None:
    if len(packet) <= at:
        return None
    return _ipv4(packet, at) if packet[at] >> 4 == 4 else _ipv6(packet, at)


def _pppoe(packet: bytes, at: int) -> Segment | None:
    kind = packet[at + 6 : at + 8]
    return _internet(packet, at + 8) if kind in (b"\x00\x21", b"\x00\x57") else None


def _mpls(packet: bytes, at: int) -> Segment | None:
    while at + 4 <= len(packet):
        at += 4
        if packet[at - 2] & 1:  # the bottom of the stack
            return _internet(packet, at)
    return None


def _by_ethertype(packet: bytes, at: int) -> Segment | None:
    try:
        kind = _ETHERTYPE.unpack_from(packet, at)[0]
        while kind in VLAN:
            at += 4
            kind = _ETHERTYPE.unpack_from(packet, at)[0]
    except struct.error:
        return None
    inside = _ETHERTYPES.get(kind)
    return None if inside is None else inside(packet, at + 2)


_ETHERTYPES: dict[int, Callable[[bytes, int], Segment | None]] = {
    IPV4: _ipv4,
    IPV6: _ipv6,
    0x8847: _mpls,
    0x8864: _pppoe,
}


def _ethernet(packet: bytes) -> Segment | None:
    return _ipv4(packet, 14) if packet[12:14] == b"\x08\x00" else _by_ethertype(packet, 12)


def _cooked(packet: bytes) -> Segment | None:
    return _by_ethertype(packet, 14)


def _cooked2(packet: bytes) -> Segment | None:
    kind = packet[:2]
    return _internet(packet, 20) if kind in (b"\x08\x00", b"\x86\xdd") else None


def _loopback(packet: bytes) -> Segment | None:
    return _internet(packet, 4)  # the family word differs between systems; the version nibble does not


def _raw(packet: bytes) -> Segment | None:
    return _internet(packet, 0)


#: https://www.tcpdump.org/linktypes.html
LINKS: dict[int, Callable[[bytes], Segment | None]] = {
    0: _loopback,
    1: _ethernet,
    12: _raw,
    14: _raw,
    101: _raw,
    108: _loopback,
    113: _cooked,
    228: _raw,
    229: _raw,
    276: _cooked2,
}

_NAMES = {
    105: "IEEE 802.11",
    127: "802.11 radiotap",
    189: "USB",
    220: "USB",
    201: "Bluetooth",
    253: "netlink",
}


def parser(link: int) -> Callable[[bytes], Segment | None]:
    """Return the function that parses packets of a link type.

    Args:
        link: as in a capture's header.

    Raises:
        SourceError: no dqlite traffic can be read from that link type.
    """
    try:
        return LINKS[link]
    except KeyError:
        name = f" ({_NAMES[link]})" if link in _NAMES else ""
        raise SourceError(
            f"link type {link}{name}",
            "capture on an Ethernet or loopback interface, or with `tcpdump -i any`",
        ) from None


def endpoints(key: bytes) -> tuple[str, str]:
    """Return source and destination of a segment key, as HOST:PORT."""
    size = (len(key) - 4) // 2
    source, destination = ipaddress.ip_address(key[:size]), ipaddress.ip_address(key[size : 2 * size])
    ports = struct.unpack(">HH", key[2 * size :])
    return _endpoint(source, ports[0]), _endpoint(destination, ports[1])


def _endpoint(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
