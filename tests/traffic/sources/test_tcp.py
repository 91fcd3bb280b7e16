"""Streams that were cut into segments and mistreated come back whole, or with the gap they really have."""

from __future__ import annotations

import random
import struct
import sys

import pytest

from dqlitewire.traffic.sources import packets as packets_module
from dqlitewire.traffic.sources import tcp as tcp_module
from dqlitewire.traffic.sources import tcp_flows
from dqlitewire.traffic.sources.inputs import ByteReader
from dqlitewire.traffic.sources.packets import Segment, parser
from dqlitewire.traffic.sources.pcap import records
from dqlitewire.traffic.sources.pieces import What
from dqlitewire.traffic.sources.tcp import Reassembler
from dqlitewire.traffic.sources.tcp_flows import Delivery
from tests.traffic import wire


def chunks(seed: int, count: int = 30) -> list[wire.Chunk]:
    chance = random.Random(seed)
    return [(not n % 2, chance.randbytes(chance.choice((8, 40, 1448, 5000)))) for n in range(count)]


def whole(conversation: list[wire.Chunk], is_request: bool) -> bytes:
    return b"".join(data for side, data in conversation if side is is_request)


def reassemble(capture: list[tuple[int, bytes]], link: str = "ethernet") -> list[Delivery]:
    parse = parser(wire.LINKS[link][0])
    reassembler, out = Reassembler(), list[Delivery]()
    for time, packet in capture:
        segment = parse(packet)
        assert segment is not None
        reassembler.add(segment, time, out)
    reassembler.flush(out)
    return out


def streams(deliveries: list[Delivery], port: int = 40001) -> dict[bool, list[bytes | int]]:
    """Per direction: joined bytes, and a number for each gap."""
    out: dict[bool, list[bytes | int]] = {True: [b""], False: [b""]}
    for half, what, data, size, _ in deliveries:
        parts = out[int.from_bytes(half.key[-4:-2], "big") == port]
        if what is What.GAP and len(parts) > 1 and parts[-1] == b"":
            parts[-2] += size  # type: ignore[operator]
        elif what is What.GAP:
            parts += [size, b""]
        elif what is What.DATA:
            parts[-1] += data  # type: ignore[operator]
    return out


def order(deliveries: list[Delivery]) -> list[tuple[bool, int]]:
    """The bytes of both directions in the order of delivery, runs joined."""
    runs: list[tuple[bool, int]] = []
    for half, what, data, _, _ in deliveries:
        if what is What.DATA:
            side = half.key[-4:-2] == (40001).to_bytes(2, "big")
            if runs and runs[-1][0] is side:
                runs[-1] = side, runs[-1][1] + len(data)
            else:
                runs.append((side, len(data)))
    return runs


@pytest.mark.parametrize("link", wire.LINKS)
@pytest.mark.parametrize(
    "path", [wire.Path(), wire.Path("fd00::1", 40001, "fd00::2", 9001)], ids=["ipv4", "ipv6"]
)
def test_every_link_layer(link: str, path: wire.Path) -> None:
    conversation = chunks(1)
    seen = streams(reassemble(wire.frames(wire.conversation(conversation), path, link), link))
    assert seen == {side: [whole(conversation, side)] for side in (True, False)}


@pytest.mark.parametrize(
    ("path", "layers"),
    [
        (wire.Path(), {"options": b"\x94\x04\x00\x00"}),
        (
            wire.Path("fd00::1", 40001, "fd00::2", 9001),
            {"extension": b"\x06\x00" + b"\x01\x04\x00\x00\x00\x00"},
        ),
    ],
)
def test_uncommon_headers(path: wire.Path, layers: dict[str, bytes]) -> None:
    conversation = chunks(2)
    seen = streams(reassemble(wire.frames(wire.conversation(conversation), path, **layers)))
    assert seen == {side: [whole(conversation, side)] for side in (True, False)}


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("spoil", ["duplicate", "reorder", "overlap", "all"])
def test_nothing_is_lost_or_doubled(seed: int, spoil: str) -> None:
    conversation = chunks(seed)
    sent = wire.conversation(conversation, client_isn=random.Random(seed).randrange(1 << 32))
    if spoil in ("overlap", "all"):
        sent = wire.overlap(sent, seed)
    if spoil in ("duplicate", "all"):
        sent = wire.duplicate(sent, seed)
    if spoil in ("reorder", "all"):
        sent = wire.reorder(sent, seed)
    out = reassemble(wire.frames(sent))
    assert streams(out) == {side: [whole(conversation, side)] for side in (True, False)}
    assert order(out) == [
        (side, len(data)) for side, data in conversation
    ]  # answers never before their requests


@pytest.mark.parametrize("seed", range(25))
def test_loss_is_a_gap_of_the_right_size(seed: int) -> None:
    conversation = [(not n % 2, random.Random(seed).randbytes(3000)) for n in range(40)]
    sent = wire.conversation(conversation)
    candidates = [n for n, packet in enumerate(sent) if packet.payload]
    gone = random.Random(seed).sample(candidates, 5)
    seen = streams(reassemble(wire.frames(wire.lose(sent, gone))))
    for side in (True, False):
        expected: list[bytes | int] = [b""]
        for number, packet in enumerate(sent):
            if packet.payload and packet.from_client is side:
                if number not in gone:
                    expected[-1] += packet.payload  # type: ignore[operator]
                elif expected[-1] == b"" and len(expected) > 1:
                    expected[-2] += len(packet.payload)  # type: ignore[operator]
                else:
                    expected += [len(packet.payload), b""]
        assert seen[side] == expected


def test_a_gap_is_told_soon_when_the_receiver_has_the_bytes() -> None:
    conversation = [(not n % 2, bytes([n]) * 100) for n in range(200)]
    sent = wire.conversation(conversation, step=1_000_000)
    lost = next(n for n, packet in enumerate(sent) if packet.payload[:1] == b"\x0a")
    parse, reassembler, out = parser(1), Reassembler(), list[Delivery]()
    for time, packet in wire.frames(wire.lose(sent, [lost]))[: lost + 3 * tcp_module.PATIENCE_ACKED[0]]:
        segment = parse(packet)
        assert segment is not None
        reassembler.add(segment, time, out)
    assert any(delivery.what is What.GAP for delivery in out)


def test_beginning_in_the_middle() -> None:
    conversation = chunks(5)
    sent = wire.conversation(conversation)
    middle = len(sent) // 2
    seen = streams(reassemble(wire.frames(sent[middle:])))
    for side in (True, False):
        (tail,) = seen[side]
        assert isinstance(tail, bytes)
        assert tail
        assert whole(conversation, side).endswith(tail)
        assert len(tail) == sum(len(p.payload) for p in sent[middle:] if p.from_client is side)


@pytest.mark.parametrize("side", [True, False])
def test_one_side_missing(side: bool) -> None:
    conversation = chunks(6)
    sent = [packet for packet in wire.conversation(conversation) if packet.from_client is side]
    seen = streams(reassemble(wire.frames(sent)))
    assert seen[side] == [whole(conversation, side)]


def test_short_snap_length_is_a_gap() -> None:
    conversation = chunks(7)
    data = wire.pcap(wire.frames(wire.conversation(conversation)), snap=200)
    out: list[Delivery] = []
    reassembler = Reassembler()
    reader = ByteReader(lambda size: b"", data)
    for time, link, packet in records(reader, pytest.fail):
        segment = parser(link)(packet)
        assert segment is not None
        reassembler.add(segment, time, out)
    reassembler.flush(out)
    for side, parts in streams(out).items():
        assert sum(part if isinstance(part, int) else len(part) for part in parts) == len(
            whole(conversation, side)
        )
        assert any(isinstance(part, int) for part in parts)


def test_port_reuse() -> None:
    first, second = chunks(8), chunks(9)
    one = wire.conversation(first, client_isn=5000)
    two = wire.conversation(second, client_isn=9_999_000, server_isn=77, start=one[-1].time + 1_000_000)
    out = reassemble(wire.frames([*one, *two]))
    flows = list(dict.fromkeys(delivery.half.flow for delivery in out))
    assert len(flows) == 2
    for flow, conversation in zip(flows, (first, second), strict=True):
        seen = streams([delivery for delivery in out if delivery.half.flow is flow])
        assert seen == {side: [whole(conversation, side)] for side in (True, False)}
        assert sum(delivery.what is What.END for delivery in out if delivery.half.flow is flow) == 2


def test_port_reuse_after_an_unseen_end() -> None:
    first, second = chunks(8), chunks(9)
    one = wire.conversation(first, close=False)
    two = wire.conversation(second, client_isn=0x7000_0000, server_isn=0x7000_0000, handshake=False)
    out = reassemble(wire.frames([*one, *two]))
    flows = list(dict.fromkeys(delivery.half.flow for delivery in out))
    assert len(flows) == 2
    assert streams([d for d in out if d.half.flow is flows[1]])[True] == [whole(second, True)]


def test_reset_ends_both_directions() -> None:
    sent = wire.conversation(chunks(3), close=False)
    last = sent[-1]
    sent.append(wire.Packet(last.time + 1, False, 0x5000_0000, 0, wire.RST))
    out = reassemble(wire.frames(sent))
    assert [delivery.what for delivery in out[-2:]] == [What.END, What.END]
    assert not any(delivery.what is What.GAP for delivery in out)


def test_many_flows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_flows, "MAX_FLOWS", 50)
    reassembler, out, parse = Reassembler(), list[Delivery](), parser(1)
    for number in range(1000):
        path = wire.Path(client_port=1024 + number)
        for time, packet in wire.frames(wire.conversation([(True, b"x" * 20)], close=False), path):
            segment = parse(packet)
            assert segment is not None
            reassembler.add(segment, time, out)
        assert len(reassembler._halves) <= 100
    assert sum(len(delivery.data) for delivery in out) == 20 * 1000


def flow(number: int, payload: bytes = b"", flags: int = wire.ACK) -> Segment:
    key = wire.Path().addresses[True] + wire.Path().addresses[False]
    return Segment(
        key + struct.pack(">HH", number & 0xFFFF, 9001 + (number >> 16)), 100, 0, flags, payload, 0
    )


@pytest.mark.parametrize("kind", ["half-open", "reset", "ignored", "with data"])
def test_what_a_new_flow_costs_does_not_grow_with_the_number_of_flows(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = dict[int, int]()
    for known in (100, 1000):
        monkeypatch.setattr(tcp_flows, "MAX_FLOWS", known)
        reassembler, out = Reassembler(), list[Delivery]()
        for number in range(known):
            reassembler.add(flow(number, flags=wire.SYN), 0, out)
        made = 0

        def count(frame: object, event: str, _: object) -> None:
            nonlocal made
            made += event.endswith("call")

        sys.setprofile(count)
        for number in range(known, known + 300):
            out.clear()
            payload = b"x" if kind in ("ignored", "with data") else b""
            reassembler.add(flow(number, payload, wire.RST if kind == "reset" else wire.SYN), 0, out)
            if kind == "ignored":
                reassembler.ignore(out[-1].half.flow)
        sys.setprofile(None)
        calls[known] = made
        assert len(reassembler._table._flows) <= known
        assert len(reassembler._halves) <= 2 * known
    assert calls[1000] <= 1.2 * calls[100] + 5000


def test_a_flow_that_goes_on_outlives_those_that_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ever new half-open connections do not end the conversation that is being read."""
    monkeypatch.setattr(tcp_flows, "MAX_FLOWS", 50)
    reassembler, out, parse = Reassembler(), list[Delivery](), parser(1)
    sent = wire.frames(wire.conversation([(not n % 2, bytes([n]) * 20) for n in range(200)], close=False))
    for number, (time, packet) in enumerate(sent):
        segment = parse(packet)
        assert segment is not None
        reassembler.add(segment, time, out)
        for attacker in range(5):
            reassembler.add(flow(5 * number + attacker, flags=wire.SYN), time, out)
    assert streams(out)[True] == [b"".join(bytes([n]) * 20 for n in range(0, 200, 2))]
    assert not any(d.what is What.END and int.from_bytes(d.half.key[-4:-2], "big") == 40001 for d in out)


def test_held_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_module, "MAX_HELD", 10_000)
    reassembler, out = Reassembler(), list[Delivery]()
    key = wire.Path().addresses[True] + wire.Path().addresses[False] + b"\x10\x00\x20\x00"
    for number in range(100):
        reassembler.add(Segment(key, 100 + 2000 * number, 0, wire.ACK, bytes(1000), 0), number, out)
        assert reassembler._held <= 10_000 + 1000 + tcp_module.SEGMENT
    assert sum(delivery.what is What.GAP for delivery in out) > 80


@pytest.mark.parametrize("size", range(0, 120, 3))
@pytest.mark.parametrize("link", wire.LINKS)
def test_packets_cut_short_never_raise(link: str, size: int) -> None:
    for _, packet in wire.frames(wire.conversation([(True, b"x" * 64)]), link=link):
        parser(wire.LINKS[link][0])(packet[:size])


def test_other_packets_are_no_segments() -> None:
    assert packets_module.parser(1)(bytes(12) + b"\x08\x06" + bytes(40)) is None  # ARP
    udp = bytes(12) + b"\x08\x00\x45" + bytes(8) + b"\x11" + bytes(40)
    assert packets_module.parser(1)(udp) is None
