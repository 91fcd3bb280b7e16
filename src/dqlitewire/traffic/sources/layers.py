"""One captured packet in, its TCP segment out.

A packet is layer inside layer; each function reads one and hands on what is inside, until TCP is found:

    link layer (`packets`) -> what an ethertype names -> IPv4, IPv6 -> options, extension headers -> TCP
                  ^                                          |
                  `---- VXLAN, Geneve, GRE, IP in IP --------'   at most `MAX_LAYERS` times

IPv4 without options and IPv6 without extension headers are read by one `struct` each, because every packet of
a large capture passes here; everything else takes a few steps more and gives the same segment. Its endpoints
are those of the connection: a packet that is still on its way along a route names the next stop as its
destination, and the last one in an option.

What is no such packet is no segment. Checksums are not looked at: with offloading the sender's are wrong in
every capture taken on its own machine. IP fragments other than whole packets are not put together.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

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
_U16 = struct.Struct(">H")

IPV4, IPV6 = 0x0800, 0x86DD
VLAN = (0x8100, 0x88A8, 0x9100, 0x9200)
MAX_LENGTH = 1535  # an ethertype is above; a number below is the length of an IEEE 802.3 frame
MAX_LAYERS = 4  # tunnels inside of tunnels
TCP = 6


def _ipv4(packet: bytes, at: int, layers: int = 0) -> Segment | None:
    try:
        version, total, fragment, protocol, sequence, acknowledged, offset, flags = _IPV4_TCP.unpack_from(
            packet, at
        )
    except struct.error:
        return None  # too short for TCP
    if fragment & 0x3FFF:
        return None
    if version != 0x45 or protocol != TCP:
        return _slow_ipv4(packet, at, layers)
    start = at + 20 + (offset >> 2 & 0x3C)
    end = at + total if total else len(packet)  # total is 0 in packets that segmentation offload will cut up
    payload = packet[start:end]
    missing = max(0, end - start - len(payload)) if end > len(packet) else 0
    return new_tuple(Segment, (packet[at + 12 : at + 24], sequence, acknowledged, flags, payload, missing))


def _ipv6(packet: bytes, at: int, layers: int = 0) -> Segment | None:
    try:
        version, length, following, sequence, acknowledged, offset, flags = _IPV6_TCP.unpack_from(packet, at)
    except struct.error:
        return None
    if following != TCP:
        return None if version >> 4 != 6 else _slow_ipv6(packet, at, layers)
    start = at + 40 + (offset >> 2 & 0x3C)
    end = at + 40 + length if length else len(packet)
    payload = packet[start:end]
    missing = max(0, end - start - len(payload)) if end > len(packet) else 0
    return new_tuple(Segment, (packet[at + 8 : at + 44], sequence, acknowledged, flags, payload, missing))


def _slow_ipv4(packet: bytes, at: int, layers: int) -> Segment | None:
    """With options, or without TCP behind it; all of the fixed header is here."""
    version, size = packet[at] >> 4, 4 * (packet[at] & 15)
    if version != 4 or size < 20 or at + size > len(packet):
        return None
    total = _U16.unpack_from(packet, at + 2)[0]
    last = _end_of_route(packet[at + 20 : at + size]) or packet[at + 16 : at + 20]
    addresses = packet[at + 12 : at + 16] + last
    end = at + total if total else len(packet)
    return _inside(packet, at + size, packet[at + 9], addresses, end, layers)


_SOURCE_ROUTES = (131, 137)


def _end_of_route(options: bytes) -> bytes:
    """The last address of a route that the sender chose, b"" without one, or at its end (RFC 791, 3.1)."""
    at = 0
    while at + 3 <= len(options) and options[at]:
        if options[at] == 1:  # padding has no length
            at += 1
            continue
        size = options[at + 1]
        if options[at] in _SOURCE_ROUTES and 7 <= size <= len(options) - at:
            return options[at + size - 4 : at + size] if options[at + 2] <= size else b""
        at += max(2, size)
    return b""


_HOP_BY_HOP, _IPV4_INSIDE, _UDP, _IPV6_INSIDE, _ROUTING, _FRAGMENT, _GRE, _AH = 0, 4, 17, 41, 43, 44, 47, 51
#: header in front of TCP -> (unit of its length in bytes, units that the length leaves out)
_EXTENSIONS = {
    **dict.fromkeys((_HOP_BY_HOP, _ROUTING, _FRAGMENT, 60, 135, 139, 140, 253, 254), (8, 1)),
    _AH: (4, 2),
}


def _slow_ipv6(packet: bytes, at: int, layers: int) -> Segment | None:
    """With extension headers (RFC 8200, section 4), or without TCP."""
    length, following = _U16.unpack_from(packet, at + 4)[0], packet[at + 6]
    end = at + 40 + length if length else len(packet)
    return _inside(packet, at + 40, following, packet[at + 8 : at + 40], end, layers)


def _inside(packet: bytes, at: int, protocol: int, addresses: bytes, end: int, layers: int) -> Segment | None:
    """What an IP packet holds: TCP, behind any number of headers, or another packet."""
    while protocol != TCP:
        if protocol in _TUNNELS:
            return _TUNNELS[protocol](packet, at, layers + 1) if layers < MAX_LAYERS else None
        if protocol not in _EXTENSIONS or at + 8 > len(packet):
            return None
        unit, more = _EXTENSIONS[protocol]
        count = packet[at + 1] + more
        if protocol == _FRAGMENT:
            count = 1  # its second byte is reserved
            if _U16.unpack_from(packet, at + 2)[0] & 0xFFF9:
                return None
        elif protocol == _ROUTING and packet[at + 3]:
            addresses = addresses[:16] + (_last_stop(packet, at, 8 * count) or addresses[16:])
        protocol = packet[at]
        at += unit * count
    return _tcp(packet, at, addresses, end)


def _last_stop(packet: bytes, at: int, size: int) -> bytes | None:
    """The last address of a routing header (RFC 5095, 6275, 8754); None if it cannot be told."""
    first = at + 8
    place = {0: at + size - 16, 2: first, 4: first}.get(packet[at + 2])
    if place is None or place < first or place + 16 > min(at + size, len(packet)):
        return None
    return packet[place : place + 16]


def _tcp(packet: bytes, at: int, addresses: bytes, end: int) -> Segment | None:
    try:
        sequence, acknowledged, offset, flags = _TCP.unpack_from(packet, at)
    except struct.error:
        return None
    start = at + (offset >> 2 & 0x3C)
    payload = packet[start:end]
    missing = max(0, end - start - len(payload)) if end > len(packet) else 0
    key = addresses + packet[at : at + 4]
    return new_tuple(Segment, (key, sequence, acknowledged, flags, payload, missing))


def internet(packet: bytes, at: int, layers: int = 0) -> Segment | None:
    """Read an IP packet of either version.

    Args:
        packet: as captured.
        at: where the IP header begins.
        layers: how many tunnels it is in.
    """
    if len(packet) <= at:
        return None
    return _ipv4(packet, at, layers) if packet[at] >> 4 == 4 else _ipv6(packet, at, layers)


def ppp(packet: bytes, at: int, layers: int = 0) -> Segment | None:
    """Read what stands behind a PPP protocol number (RFC 1661), whose first byte may be left out.

    Args:
        packet: as captured.
        at: where the frame begins, with or without address and control.
        layers: how many tunnels it is in.
    """
    at += 2 * (packet[at : at + 2] == b"\xff\x03")
    number = packet[at : at + 1]
    size = 1 if number and number[0] & 1 else 2
    protocol = int.from_bytes(packet[at : at + size], "big")
    return internet(packet, at + size, layers) if protocol in (0x21, 0x57) else None


def _pppoe(packet: bytes, at: int, layers: int) -> Segment | None:
    return ppp(packet, at + 6, layers)


def _mpls(packet: bytes, at: int, layers: int) -> Segment | None:
    while at + 4 <= len(packet):
        at += 4
        if packet[at - 2] & 1:  # the bottom of the stack
            return internet(packet, at, layers)
    return None


def by_ethertype(packet: bytes, at: int, layers: int = 0, skip: int = 0) -> Segment | None:
    """Read what stands behind an ethertype.

    Args:
        packet: as captured.
        at: where the ethertype, or the length of an LLC frame, stands.
        layers: how many tunnels it is in.
        skip: bytes between ethertype and contents.
    """
    try:
        kind = _U16.unpack_from(packet, at)[0]
        while kind in VLAN:
            at += 4
            kind = _U16.unpack_from(packet, at)[0]
    except struct.error:
        return None
    if kind <= MAX_LENGTH:
        return llc(packet, at + 2, layers)
    inside = _ETHERTYPES.get(kind)
    return None if inside is None else inside(packet, at + 2 + skip, layers)


def llc(packet: bytes, at: int, layers: int = 0) -> Segment | None:
    """Read what stands behind an IEEE 802.2 header with SNAP, or with the number of IP.

    Args:
        packet: as captured.
        at: where the header begins.
        layers: how many tunnels it is in.
    """
    if packet[at : at + 3] == b"\xaa\xaa\x03":
        kind = _ETHERTYPES.get(int.from_bytes(packet[at + 6 : at + 8], "big"))
        return None if kind is None else kind(packet, at + 8, layers)
    return internet(packet, at + 3, layers) if packet[at : at + 3] == b"\x06\x06\x03" else None


def ethernet(packet: bytes, at: int = 0, layers: int = 0) -> Segment | None:
    """Read an Ethernet frame.

    Args:
        packet: as captured.
        at: where the frame begins.
        layers: how many tunnels it is in.
    """
    if packet[at + 12 : at + 14] == b"\x08\x00":
        return _ipv4(packet, at + 14, layers)
    return by_ethertype(packet, at + 12, layers)


# packets inside of packets


def _gre(packet: bytes, at: int, layers: int) -> Segment | None:
    """Generic routing encapsulation, version 0 (RFC 2784, 2890)."""
    if at + 4 > len(packet) or packet[at] & 0x40 or packet[at + 1] & 7:
        return None
    optional = sum(4 for bit in (0x80, 0x20, 0x10) if packet[at] & bit)  # checksum, key, number
    inside = _ETHERTYPES.get(_U16.unpack_from(packet, at + 2)[0])
    return None if inside is None else inside(packet, at + 4 + optional, layers)


def _udp(packet: bytes, at: int, layers: int) -> Segment | None:
    inside = _UDP_TUNNELS.get(int.from_bytes(packet[at + 2 : at + 4], "big"))
    return None if inside is None else inside(packet, at + 8, layers)


def _vxlan(packet: bytes, at: int, layers: int) -> Segment | None:
    return ethernet(packet, at + 8, layers) if packet[at : at + 1] == b"\x08" else None  # RFC 7348


def _geneve(packet: bytes, at: int, layers: int) -> Segment | None:
    if at + 8 > len(packet) or packet[at] & 0xC0:  # RFC 8926
        return None
    inside = _ETHERTYPES.get(_U16.unpack_from(packet, at + 2)[0])
    return None if inside is None else inside(packet, at + 8 + 4 * (packet[at] & 0x3F), layers)


_Layer = Callable[[bytes, int, int], "Segment | None"]

_ETHERTYPES: dict[int, _Layer] = {
    IPV4: _ipv4,
    IPV6: _ipv6,
    0x6558: ethernet,  # a bridge in a tunnel
    0x880B: ppp,
    0x8847: _mpls,
    0x8848: _mpls,
    0x8864: _pppoe,
}
_TUNNELS: dict[int, _Layer] = {_IPV4_INSIDE: _ipv4, _IPV6_INSIDE: _ipv6, _GRE: _gre, _UDP: _udp}
#: destination port -> what it carries; flannel has kept the number that Linux had for VXLAN before its RFC
_UDP_TUNNELS: dict[int, _Layer] = {4789: _vxlan, 8472: _vxlan, 6081: _geneve}
