"""What Wireshark reads of a capture is read: link types, tunnels, headers, formats. The rest is named."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.formats import open_source
from dqlitewire.traffic.sources.layers import MAX_LAYERS
from dqlitewire.traffic.sources.packets import LINKS, Segment, endpoints, parser
from tests.real.fixtures import require
from tests.traffic import wire
from tests.traffic.captured import clean, named, segments, told

CAPTURE = named("1.18.1-members-0")
SIX = wire.Path("fd00::1", 40001, "fd00::2", 9001)
PACKET = wire.conversation([(True, bytes([1, *bytes(7)]) + b"\1" + bytes(15))])[3]
IP4, IP6 = wire.ip(PACKET, wire.Path()), wire.ip(PACKET, SIX)
TCP4, TCP6 = wire.tcp(PACKET, wire.Path()), wire.tcp(PACKET, SIX)
ETHERNET = bytes(12) + b"\x08\0" + IP4
SNAP = b"\xaa\xaa\x03\0\0\0\x08\0" + IP4
DOT11 = b"\x08\x02\0\0" + bytes(6) + b"\1" * 6 + b"\2" * 6 + b"\0\0" + SNAP
QOS = b"\x88\x02\0\0" + bytes(6) + b"\1" * 6 + b"\2" * 6 + b"\0\0\0\0" + SNAP
ADDRESSES6 = SIX.addresses[True] + SIX.addresses[False]
ELSEWHERE = ADDRESSES6[:15] + b"\x09"


def ip4(protocol: int, body: bytes) -> bytes:
    """A packet around another one, between other addresses."""
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0)
    return head + b"\x0a\1\1\1\x0a\1\1\2" + body


def ip6(following: int, body: bytes, to: bytes = SIX.addresses[False]) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(body), following, 64) + SIX.addresses[True] + to + body


def udp(port: int, body: bytes) -> bytes:
    return ip4(17, struct.pack(">HHHH", 5555, port, 8 + len(body), 0) + body)


def ether(packet: bytes) -> bytes:
    return bytes(12) + wire.ethertype(packet) + packet


#: link types and a packet of each: what is inside is the same everywhere
BY_LINK: dict[str, tuple[int, bytes]] = {
    "null": (0, struct.pack("<I", 2) + IP4),
    "null of the other order": (0, struct.pack(">I", 2) + IP4),
    "null, IPv6 of macOS": (0, struct.pack("<I", 30) + IP6),
    "loop": (108, struct.pack(">I", 2) + IP4),
    "Ethernet with SNAP": (1, bytes(12) + struct.pack(">H", len(SNAP)) + SNAP),
    "Token Ring": (6, b"\x10\x40" + bytes(12) + SNAP),
    "Token Ring with a route": (6, b"\x10\x40" + bytes(6) + b"\x80" + bytes(5) + b"\6\0\0\0\0\0" + SNAP),
    "PPP": (9, b"\xff\x03\0\x21" + IP4),
    "PPP without address": (9, b"\0\x21" + IP4),
    "PPP, IPv6": (9, b"\xff\x03\0\x57" + IP6),
    "FDDI": (10, b"\x50" + bytes(12) + SNAP),
    "raw": (101, IP4),
    "raw of BSD": (12, IP4),
    "raw of OpenBSD": (14, IP6),
    "raw IPv4": (228, IP4),
    "raw IPv6": (229, IP6),
    "PPP in HDLC": (50, b"\xff\x03\0\x21" + IP4),
    "PPPoE": (51, b"\x11\0\0\1" + struct.pack(">H", len(IP4) + 2) + b"\0\x21" + IP4),
    "ATM": (100, SNAP),
    "Cisco HDLC": (104, b"\x0f\0\x08\0" + IP4),
    "IEEE 802.11": (105, DOT11),
    "IEEE 802.11 with QoS": (105, QOS),
    "radiotap": (127, b"\0\0\x08\0\0\0\0\0" + DOT11),
    "Prism": (119, b"\x44\0\0\0" + struct.pack("<I", 144) + bytes(136) + DOT11),
    "ATM CLIP": (106, IP4),
    "frame relay": (107, b"\x18\x41\x03\xcc" + IP4),
    "frame relay with SNAP": (107, b"\x18\x41\x03\0\x80\0\0\0\x08\0" + IP4),
    "frame relay of Cisco": (107, b"\x18\x41\x08\0" + IP4),
    "enc": (109, struct.pack("<III", 2, 0, 0) + IP4),
    "Linux cooked": (113, struct.pack(">HHH8s", 0, 1, 6, bytes(8)) + b"\x08\0" + IP4),
    "Linux cooked 2": (276, b"\x08\0" + struct.pack(">HIHBB8s", 0, 2, 1, 0, 6, bytes(8)) + IP4),
    "Fibre Channel": (122, bytes(16) + SNAP),
    "IEEE 1394": (138, bytes(16) + b"\x08\0" + IP4),
    "PPI": (192, struct.pack("<BBHI", 0, 0, 8, 105) + DOT11),
    "ERF": (
        197,
        bytes(8)
        + bytes([2, 4])
        + struct.pack(">HHH", 18 + len(ETHERNET), 0, len(ETHERNET))
        + b"\0\0"
        + ETHERNET,
    ),
    "NFLOG": (
        239,
        b"\2\0\0\0" + struct.pack("<HH", 8, 1) + bytes(4) + struct.pack("<HH", 4 + len(IP4), 9) + IP4,
    ),
    "PKTAP": (
        258,
        struct.pack("<III", 108, 1, 1)
        + b"en0".ljust(24, b"\0")
        + struct.pack("<II", 0, 2)
        + bytes(64)
        + ETHERNET,
    ),
}
#: what an Ethernet frame may hold
BY_LAYERS: dict[str, bytes] = {
    "VLAN": bytes(12) + b"\x81\0\0\5\x08\0" + IP4,
    "QinQ": bytes(12) + b"\x88\xa8\0\5\x81\0\0\6\x08\0" + IP4,
    "MPLS": bytes(12) + b"\x88\x47\0\x01\x01\x40" + IP4,
    "PPPoE": bytes(12) + b"\x88\x64\x11\0\0\1" + struct.pack(">H", len(IP4) + 2) + b"\0\x21" + IP4,
    "IP in IP": ether(ip4(4, IP4)),
    "IPv6 in IPv4": ether(ip4(41, IP6)),
    "IPv4 in IPv6": ether(ip6(4, IP4)),
    "GRE": ether(ip4(47, b"\0\0\x08\0" + IP4)),
    "GRE with all options": ether(ip4(47, b"\xb0\0\x08\0" + bytes(12) + IP4)),
    "GRE with Ethernet": ether(ip4(47, b"\0\0\x65\x58" + ETHERNET)),
    "VXLAN": ether(udp(4789, b"\x08\0\0\0\0\0\5\0" + ETHERNET)),
    "Geneve": ether(udp(6081, b"\0\0\x65\x58\0\0\5\0" + ETHERNET)),
    "Geneve with options": ether(udp(6081, b"\2\0\x65\x58\0\0\5\0" + bytes(8) + ETHERNET)),
    "IPv4 options": ether(wire.ip(PACKET, wire.Path(), options=b"\x94\4\0\0")),
    "authentication, IPv4": ether(
        struct.pack(">BBHHHBBH", 0x45, 0, 44 + len(TCP4), 1, 0, 64, 51, 0)
        + b"".join(wire.Path().addresses[side] for side in (True, False))
        + b"\6\4\0\0"
        + bytes(20)
        + TCP4
    ),
    "hop by hop": ether(ip6(0, b"\6\0\1\4\0\0\0\0" + TCP6)),
    "destination options": ether(ip6(60, b"\6\0\1\4\0\0\0\0" + TCP6)),
    "a route that is over": ether(ip6(43, b"\6\2\0\0\0\0\0\0" + ELSEWHERE + TCP6)),
    "a fragment that is all": ether(ip6(44, b"\6\0\0\0\0\0\0\1" + TCP6)),
    "authentication": ether(ip6(51, b"\6\4\0\0" + bytes(20) + TCP6)),
    "several": ether(ip6(0, b"\x3c\0\1\4\0\0\0\0" + b"\6\0\1\4\0\0\0\0" + TCP6)),
}
#: what Wireshark shows otherwise, or does not read
OURS: dict[str, bytes] = {
    "VXLAN of flannel": ether(udp(8472, b"\x08\0\0\0\0\0\5\0" + ETHERNET)),
    "a route": ether(ip6(43, b"\6\2\0\1\0\0\0\0" + SIX.addresses[False] + TCP6, to=ELSEWHERE)),
    "a segment route": ether(ip6(43, b"\6\2\4\1\0\0\0\0" + SIX.addresses[False] + TCP6, to=ELSEWHERE)),
    "mobility": ether(ip6(135, b"\6\0\0\0\0\0\0\0" + TCP6)),
    "a route in IPv4": ether(
        struct.pack(">BBHHHBBH4s4s", 0x47, 0, 28 + len(TCP4), 1, 0, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\x63")
        + b"\x83\7\4\x0a\0\0\2\0"
        + TCP4
    ),
}
EVERY = {
    **BY_LINK,
    **{name: (1, packet) for name, packet in (BY_LAYERS | OURS).items()},
}


def is_right(segment: Segment | None) -> bool:
    names = (("10.0.0.1:40001", "10.0.0.2:9001"), ("[fd00::1]:40001", "[fd00::2]:9001"))
    return (
        segment is not None
        and endpoints(segment.key) in names
        and (segment.sequence, segment.acknowledged) == (PACKET.sequence, PACKET.acknowledged)
        and (segment.payload, segment.missing) == (PACKET.payload, 0)
    )


@pytest.mark.parametrize("name", EVERY)
def test_every_layer_gives_the_same_segment(name: str) -> None:
    link, packet = EVERY[name]
    assert is_right(parser(link)(packet))


@pytest.mark.parametrize("name", EVERY)
def test_cut_short_anywhere_it_gives_what_there_is_or_nothing(name: str) -> None:
    link, packet = EVERY[name]
    for size in range(len(packet)):
        segment = parser(link)(packet[:size])
        if segment is not None and segment.missing >= 0 and segment.key[-2:] == b"\x23\x29":
            assert len(segment.payload) + segment.missing <= len(PACKET.payload) or not segment.payload


@pytest.mark.parametrize("link", range(300))
def test_any_bytes_of_any_link_type(link: int) -> None:
    for packet in (b"", b"\0", b"\xff" * 300, bytes(300), *(packet for _, packet in EVERY.values())):
        if link in LINKS:
            LINKS[link](packet)


def test_tunnels_in_tunnels_end() -> None:
    packet = IP4
    for _ in range(2000):
        packet = ip4(4, packet)[:60_000]
    assert parser(101)(packet) is None
    packet = IP4
    for _ in range(MAX_LAYERS):
        packet = ip4(4, packet)
    assert is_right(parser(101)(packet))


def pcapng(packets: list[tuple[int, bytes]]) -> bytes:
    """Each packet on an interface of its own link type."""
    links = list(dict.fromkeys(link for link, _ in packets))

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack("<I", len(body) + 12)
        return struct.pack("<I", kind) + size + body + size

    parts = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    parts += [block(1, struct.pack("<HHI", link, 0, 0)) for link in links]
    for number, (link, data) in enumerate(packets):
        head = struct.pack("<IIIII", links.index(link), 0, number, len(data), len(data))
        parts.append(block(6, head + data))
    return b"".join(parts)


def test_wireshark_finds_the_same(tmp_path: Path) -> None:
    """The packets above are what they are said to be: another program finds the segment in each."""
    require("" if shutil.which("tshark") else "tshark is not installed")
    names = [*BY_LINK, *BY_LAYERS]
    (tmp_path / "x").write_bytes(pcapng([EVERY[name] for name in names]))
    fields = [
        "-T",
        "fields",
        "-e",
        "frame.number",
        "-e",
        "tcp.len",
        "-e",
        "tcp.dstport",
        "-E",
        "occurrence=l",
    ]
    command = ["tshark", "-n", "-r", str(tmp_path / "x"), *fields]
    told = subprocess.run(command, capture_output=True, text=True, timeout=300)
    found = [text.split("\t")[1:] for text in told.stdout.splitlines()]
    wrong = {name: shown for name, shown in zip(names, found, strict=True) if shown != ["24", "9001"]}
    assert wrong == {}


# ---------------------------------------------------------------- link types that are not read


def mixed(*strange: int) -> bytes:
    """A session on Ethernet with a packet of other link types behind each of its packets."""
    packets: list[tuple[int, bytes]] = []
    for number, (_, data) in enumerate(wire.frames(segments(CAPTURE))):
        packets += [(1, data), (strange[number % len(strange)], b"what this is nobody knows")]
    return pcapng(packets)


def test_an_unknown_link_type_costs_its_packets_alone() -> None:
    source = open_source(mixed(147))
    count = len(segments(CAPTURE))
    assert told(items(source)) == told(items(clean(CAPTURE)))
    assert source.notes == [f"left out: {count} packets of link type 147 (private use 0)"]
    assert source.damaged == 0


def test_many_unknown_link_types_are_said_once() -> None:
    source = open_source(mixed(147, 195, 220, 252, 253, 260, 261, 262))
    list(items(source))
    (note,) = source.notes
    assert note.count("packet") == 5
    assert note.endswith("of others")


@pytest.mark.parametrize("first", [True, False])
def test_it_does_not_matter_which_comes_first(first: bool) -> None:
    frames = [(1, data) for _, data in wire.frames(segments(CAPTURE))]
    packets = [(253, b"x"), *frames] if first else [*frames, (253, b"x")]
    source = open_source(pcapng(packets))
    assert told(items(source)) == told(items(clean(CAPTURE)))
    assert source.notes == ["left out: 1 packet of link type 253 (netlink)"]


def test_a_capture_of_one_unknown_link_type_is_refused_in_words() -> None:
    data = bytearray(wire.pcap(wire.frames(segments(CAPTURE))))
    data[20] = 189
    with pytest.raises(SourceError, match=r"link type 189 \(USB\): capture on an Ethernet"):
        list(items(open_source(bytes(data))))


def test_what_was_left_out_is_said_where_nothing_is_found() -> None:
    with pytest.raises(
        SourceError, match=r"no dqlite handshake in 4 packets: .*; left out: 1 packet of link type 189"
    ):
        list(items(open_source(pcapng([(1, ETHERNET[:40]), (189, b""), (1, ETHERNET[:30]), (1, b"")]))))


# ---------------------------------------------------------------- what editcap writes

READ = ("pcap", "pcapng", "nsecpcap", "modpcap", "nokiapcap", "rh6_1pcap", "suse6_3pcap")
NAMED = (
    "snoop",
    "netmon1",
    "netmon2",
    "nettl",
    "ngsniffer",
    "ngwsniffer_1_1",
    "observer",
    "visual",
    "5views",
    "k12text",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Any:
    require("" if shutil.which("editcap") else "editcap is not installed")
    folder = tmp_path_factory.mktemp("editcap")
    (folder / "pcap").write_bytes(wire.pcap(wire.frames(segments(CAPTURE))))

    def write(*options: str) -> bytes:
        command = ["editcap", *options, str(folder / "pcap"), str(folder / "out")]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        return (folder / "out").read_bytes()

    return write


@pytest.mark.parametrize("form", READ)
def test_formats_that_are_read(form: str, written: Any) -> None:
    assert told(items(open_source(written("-F", form)))) == told(items(clean(CAPTURE)))


@pytest.mark.parametrize("form", NAMED)
def test_formats_that_are_refused_by_name(form: str, written: Any) -> None:
    with pytest.raises(SourceError, match="editcap -F pcap IN OUT"):
        list(items(open_source(written("-F", form))))


def test_other_packing_is_named() -> None:
    with pytest.raises(SourceError, match="lz4 -d FILE"):
        open_source(b"\x04\x22\x4d\x18" + bytes(40))
