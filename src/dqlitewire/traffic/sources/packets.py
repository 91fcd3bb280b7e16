"""One captured packet in, its TCP segment out: the link layers of captures, by the number of their type.

What stands behind them is in `layers`. `LINKS` has a reader for each type that can carry IP and that people
capture; `NAMES` says what the others are. https://www.tcpdump.org/linktypes.html describes them all.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable

from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.sources.layers import Segment, by_ethertype, ethernet, internet, llc, ppp

__all__ = ["ETHERNET", "LINKS", "Segment", "endpoints", "link_name", "parser"]

ETHERNET = 1

Parser = Callable[[bytes], "Segment | None"]


def _at(size: int, layer: Callable[[bytes, int], Segment | None]) -> Parser:
    """What reads a layer behind a header of a fixed size."""
    return lambda packet: layer(packet, size)


def _cooked2(packet: bytes) -> Segment | None:
    return by_ethertype(packet, 0, 0, 18)  # the ethertype comes first, its packet behind the whole header


def _relayed(packet: bytes, at: int) -> Segment | None:
    """Frame relay (RFC 2427): an address, then a number of what follows, or SNAP."""
    while at < len(packet) and not packet[at] & 1:
        at += 1
    at += 1
    if packet[at : at + 2] in (b"\x03\xcc", b"\x03\x8e"):
        return internet(packet, at + 2)
    if packet[at : at + 1] == b"\x03":
        at += 1 + (packet[at + 1 : at + 2] == b"\0")  # a pad
        if packet[at : at + 4] == b"\x80\0\0\0":
            return by_ethertype(packet, at + 4)
        return None
    return by_ethertype(packet, at)  # as Cisco's routers do


def _token_ring(packet: bytes) -> Segment | None:
    route = packet[14] & 0x1F if len(packet) > 14 and packet[8] & 0x80 else 0
    return llc(packet, 14 + route)


def _wireless(packet: bytes, at: int = 0) -> Segment | None:
    """A data frame of IEEE 802.11 that is not encrypted."""
    if at + 24 > len(packet):
        return None
    kind, flags = packet[at], packet[at + 1]
    if kind & 0x0C != 0x08 or kind & 0x40 or flags & 0x40:
        return None  # no data frame, an empty one, or encrypted
    size = 24 + 6 * (flags & 3 == 3) + 2 * (kind & 0x80 != 0)
    if kind & 0x80 and flags & 0x80:
        size += 4  # high throughput control
    return llc(packet, at + size)


def _radiotap(packet: bytes) -> Segment | None:
    return _wireless(packet, int.from_bytes(packet[2:4], "little"))


def _avs(packet: bytes) -> Segment | None:
    return _wireless(packet, int.from_bytes(packet[4:8], "big"))


def _prism(packet: bytes) -> Segment | None:
    """Behind the header of a Prism card, or that of AVS, or none."""
    mark = packet[:4]
    if mark in (b"\x44\0\0\0", b"\x41\0\0\0", b"\0\0\0\x44", b"\0\0\0\x41"):
        return _wireless(packet, 144)
    return _avs(packet) if mark[:2] == b"\x80\x21" else _wireless(packet)


def _clip(packet: bytes) -> Segment | None:
    return llc(packet, 0) if packet[:1] == b"\xaa" else internet(packet, 0)


def _inner(packet: bytes, link: int, at: int) -> Segment | None:
    """A packet whose header names the type of what is inside."""
    parse = LINKS.get(link)
    return parse(packet[at:]) if parse is not None and parse not in _NAMED_INSIDE else None


def _ppi(packet: bytes) -> Segment | None:
    if len(packet) < 8:
        return None
    size, link = struct.unpack_from("<HI", packet, 2)
    return _inner(packet, link, size)


def _pktap(packet: bytes) -> Segment | None:
    if len(packet) < 12:
        return None
    size, _, link = struct.unpack_from("<III", packet)
    return _inner(packet, link, size)


_NAMED_INSIDE: tuple[Parser, ...] = (_ppi, _pktap)


def _pflog(packet: bytes) -> Segment | None:
    return internet(packet, packet[0] + 3 & ~3) if packet else None


def _nflog(packet: bytes) -> Segment | None:
    """Attributes; one of them is the packet."""
    at = 4
    while at + 4 <= len(packet):
        size, kind = struct.unpack_from("<HH", packet, at)
        if kind & 0x7FFF == 9:
            return internet(packet[: at + size], at + 4)
        at += max(4, size + 3 & ~3)
    return None


def _erf(packet: bytes) -> Segment | None:
    """Endace's records: a header, extensions of it, two bytes, an Ethernet frame."""
    if len(packet) < 16 or packet[8] & 0x7F not in (2, 11, 16, 20):
        return None
    at, more = 16, packet[8] & 0x80
    while more and at + 8 <= len(packet):
        more = packet[at] & 0x80
        at += 8
    return ethernet(packet, at + 2)


_llc_at_start = _at(0, llc)
_raw = _at(0, internet)
_loopback = _at(4, internet)  # the family word differs between systems; the version nibble does not

LINKS: dict[int, Parser] = {
    0: _loopback,
    ETHERNET: ethernet,
    6: _token_ring,
    9: _at(0, ppp),
    10: _at(13, llc),  # FDDI
    12: _raw,
    14: _raw,
    11: _llc_at_start,  # ATM
    13: _at(12, internet),  # OpenBSD's enc
    19: _clip,
    50: _at(0, ppp),
    51: _at(6, ppp),  # behind a header of PPPoE
    100: _llc_at_start,  # ATM, RFC 2684
    101: _raw,
    104: _at(2, by_ethertype),  # Cisco HDLC
    105: _wireless,
    106: _clip,
    107: lambda packet: _relayed(packet, 0),
    108: _loopback,
    109: _at(12, internet),
    113: _at(14, by_ethertype),  # Linux cooked
    117: _pflog,
    119: _prism,
    122: _at(16, llc),  # Fibre Channel
    127: _radiotap,
    138: _at(16, by_ethertype),  # Apple's IEEE 1394
    149: _pktap,  # of macOS before it had a number
    163: _avs,
    166: _at(1, ppp),  # pppd, with the direction
    192: _ppi,
    197: _erf,
    204: _at(1, ppp),  # with the direction; so are the next two
    205: _at(3, by_ethertype),
    206: lambda packet: _relayed(packet, 1),
    226: _at(24, internet),  # Solaris
    228: _raw,
    229: _raw,
    239: _nflog,
    240: _at(4, ethernet),  # netANALYZER
    258: _pktap,
    276: _cooked2,
}

ENCRYPTED = frozenset({105, 119, 127, 163})  # as they nearly always are

NAMES = {
    7: "ARCNET",
    8: "SLIP",
    105: "IEEE 802.11",
    114: "LocalTalk",
    119: "IEEE 802.11",
    127: "IEEE 802.11 with radiotap",
    129: "ARCNET",
    143: "DOCSIS",
    147: "private use 0",
    163: "IEEE 802.11",
    177: "LAPD",
    187: "Bluetooth",
    189: "USB",
    190: "CAN",
    195: "IEEE 802.15.4",
    201: "Bluetooth",
    220: "USB",
    227: "CAN",
    230: "IEEE 802.15.4",
    231: "D-Bus",
    242: "InfiniBand",
    249: "USB",
    251: "Bluetooth LE",
    252: "exported PDUs",
    253: "netlink",
    254: "Bluetooth",
    271: "vsock",
    272: "nRF Sniffer",
}


def link_name(link: int) -> str:
    """Return how a link type is called in messages.

    Args:
        link: as in a capture's header.
    """
    return f"link type {link} ({NAMES[link]})" if link in NAMES else f"link type {link}"


def parser(link: int) -> Parser:
    """Return the function that reads packets of a link type.

    Args:
        link: as in a capture's header.

    Raises:
        SourceError: no dqlite traffic can be read from that link type.
    """
    try:
        return LINKS[link]
    except KeyError:
        raise SourceError(link_name(link)) from None


def endpoints(key: bytes) -> tuple[str, str]:
    """Return source and destination of a segment key, as HOST:PORT."""
    size = (len(key) - 4) // 2
    source, destination = ipaddress.ip_address(key[:size]), ipaddress.ip_address(key[size : 2 * size])
    ports = struct.unpack(">HH", key[2 * size :])
    return _endpoint(source, ports[0]), _endpoint(destination, ports[1])


def _endpoint(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
