"""Recorded traffic, turned into packets and mistreated, tells the same as the clean streams."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from dqlitewire.conversation import Side
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.formats import Format, open_source
from dqlitewire.traffic.sources.pair import open_pair
from tests.traffic import wire
from tests.traffic.captured import ALL, as_pcap, chunks, clean, decoded, named, segments, told
from tests.wire_data import Capture

GREETED = [capture for capture in ALL if capture.handshake != 2]
each = pytest.mark.parametrize("capture", GREETED, ids=str)


def by_direction(items: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Items of both directions apart: how they interleave is not known to every source."""
    keys = ("type", "schema", "fields", "offset", "size", "exchange")
    return {
        way: [{key: item.get(key) for key in keys} for item in items if item["direction"] == way]
        for way in ("request", "response")
    }


@each
def test_every_frame_is_there(capture: Capture) -> None:
    seen = by_direction(told(items(clean(capture))))
    for way, key in (("request", "request_frames"), ("response", "response_frames")):
        frames = [
            (item["offset"], item["schema"], item["size"] - 8)
            for item in seen[way]
            if item["schema"] is not None
        ]
        assert frames == [(offset, schema, size) for offset, _, schema, size in capture.entry[key]]


@each
def test_pair_of_streams(capture: Capture) -> None:
    assert by_direction(told(items(open_pair(capture.c2s, capture.s2c)))) == by_direction(
        told(items(clean(capture)))
    )


@each
@pytest.mark.parametrize("side", list(Side), ids=lambda side: side.value)
def test_one_stream_is_recognised(capture: Capture, side: Side) -> None:
    source = open_source(capture.c2s if side is Side.CLIENT else capture.s2c)
    assert (source.format, source.side) == ("raw", side)
    seen = [item for item in told(items(source)) if item["type"] != "UNANSWERED"]
    way = "request" if side is Side.CLIENT else "response"
    entry = capture.entry[f"{way}_frames"]
    assert [item["offset"] for item in seen if item["type"] != "HANDSHAKE"] == [frame[0] for frame in entry]


@each
@pytest.mark.parametrize("mss", [1448, 64, 65000])
def test_clean_packets(capture: Capture, mss: int) -> None:
    assert decoded(as_pcap(segments(capture, mss=mss))) == told(items(clean(capture)))


@each
@pytest.mark.parametrize("spoil", ["duplicate", "reorder", "overlap", "all"])
def test_spoiled_packets(capture: Capture, spoil: str) -> None:
    packets = segments(capture)
    if spoil in ("overlap", "all"):
        packets = wire.overlap(packets, 1)
    if spoil in ("duplicate", "all"):
        packets = wire.duplicate(packets, 2)
    if spoil in ("reorder", "all"):
        packets = wire.reorder(packets, 3)
    assert decoded(as_pcap(packets)) == told(items(clean(capture)))


@pytest.mark.parametrize("link", wire.LINKS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", ["pcap", "nanoseconds", "pcapng", "pcapng-ns"])
def test_every_file_format(link: str, order: str, form: str) -> None:
    capture = named("1.18.1-members-0")
    records = wire.frames(segments(capture), link=link)
    match form:
        case "pcap" | "nanoseconds":
            data = wire.pcap(records, link, order=order, nanoseconds=form == "nanoseconds")
        case _:
            data = wire.pcapng(records, link, order=order, resolution=9 if form == "pcapng-ns" else None)
    assert decoded(data) == told(items(clean(capture)))
    first = next(iter(items(open_source(data))))
    assert first.time == records[3][0]  # behind SYN, SYN/ACK and ACK


def exchanges(stream: list[dict[str, Any]]) -> set[str]:
    """Requests with their whole answers."""
    grouped: dict[int, list[Any]] = {}
    for item in stream:
        if item["exchange"] is not None:
            shown = (item["direction"], item["type"], item["fields"], item["offset"])
            grouped.setdefault(item["exchange"], []).append(shown)
    return {json.dumps(group) for group in grouped.values()}


@each
@pytest.mark.parametrize("seed", range(5))
def test_loss_costs_what_was_lost_and_no_more(capture: Capture, seed: int) -> None:
    packets = segments(capture)
    data = [number for number, packet in enumerate(packets) if packet.payload][1:]  # the handshake stays
    gone = random.Random(seed).sample(data, min(3, len(data)))
    seen = decoded(as_pcap(wire.lose(packets, gone)))
    whole = told(items(clean(capture)))
    lost = sum(len(packets[number].payload) for number in gone)
    assert sum(item["size"] for item in seen if item["type"] == "GAP") == lost
    # every frame that was captured whole is found again, at its place; those next to a loss may be given up
    told_frames = {(item["direction"], item["offset"]): item for item in whole if item["schema"] is not None}
    found = {(item["direction"], item["offset"]): item for item in seen if item["schema"] is not None}
    for place, item in found.items():
        if "error" not in item and place in told_frames:
            assert item["fields"] == told_frames[place]["fields"]
    right = [
        place
        for place in found
        if place in told_frames and found[place]["size"] == told_frames[place]["size"]
    ]
    assert len(right) >= len(told_frames) - 8 * len(gone)
    assert not [place for place in found if place not in told_frames and "error" not in found[place]]


@pytest.mark.parametrize("capture", [capture for capture in GREETED if len(chunks(capture)) >= 12], ids=str)
def test_beginning_in_the_middle(capture: Capture) -> None:
    packets = segments(capture)
    middle = next(
        n for n in range(len(packets) // 2, len(packets)) if packets[n].payload and packets[n].from_client
    )
    seen = decoded(as_pcap(packets[middle:]), ports=[9001])
    whole = {
        (item["direction"], item["type"], json.dumps(item["fields"])) for item in told(items(clean(capture)))
    }
    frames = [item for item in seen if item["schema"] is not None]
    assert frames
    assert all((item["direction"], item["type"], json.dumps(item["fields"])) in whole for item in frames)
    assert frames[0]["direction"] == "request"


def test_the_middle_of_a_connection_is_recognised_without_its_port() -> None:
    capture = named("1.18.1-basics-0")
    packets = segments(capture)
    middle = next(n for n in range(20, len(packets)) if packets[n].payload and packets[n].from_client)
    assert decoded(as_pcap(packets[middle:])) == decoded(as_pcap(packets[middle:]), ports=[9001])


@each
@pytest.mark.parametrize("side", [True, False], ids=["client", "server"])
def test_one_side_missing(capture: Capture, side: bool) -> None:
    packets = [packet for packet in segments(capture) if packet.from_client is side]
    assert any(packet.payload for packet in packets)
    way = "request" if side else "response"
    seen = [item for item in decoded(as_pcap(packets), ports=[9001]) if item["schema"] is not None]
    expected = capture.entry[f"{way}_frames"]
    assert {item["direction"] for item in seen} == {way}
    assert [(item["offset"], item["size"] - 8) for item in seen] == [
        (frame[0], frame[3]) for frame in expected
    ]


def test_many_connections_and_port_reuse() -> None:
    first, second, third = (named(f"1.18.1-{name}-0") for name in ("basics", "failures", "members"))
    one = segments(first)
    again = segments(second, start=one[-1].time + 1_000_000, client_isn=77_000_000, server_isn=5)
    path = wire.Path(client_port=40002)
    beside = segments(third, start=one[0].time + 50_000)
    data = wire.pcap(wire.merge(wire.frames([*one, *again]), wire.frames(beside, path)))
    seen: dict[int, list[Any]] = {}
    for item in items(open_source(data)):
        seen.setdefault(item.connection.number, []).append(item)
    assert [told(seen[number]) for number in (1, 3, 2)] == [
        told(items(clean(c))) for c in (first, second, third)
    ]
    assert seen[1][0].connection.client == seen[3][0].connection.client == "10.0.0.1:40001"
    assert seen[2][0].connection.client == "10.0.0.1:40002"


def test_other_traffic_is_left_out() -> None:
    capture = named("1.18.1-members-0")
    http = wire.conversation(
        [(True, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (False, b"HTTP/1.1 200 OK\r\n\r\n")]
    )
    tls = wire.conversation(
        [(True, b"\x16\x03\x01\x02\x00" + bytes(500)), (False, b"\x16\x03\x03" + bytes(500))]
    )
    ssh = wire.conversation([(False, b"SSH-2.0-OpenSSH_9.2\r\n"), (True, b"SSH-2.0-OpenSSH_9.2\r\n")])
    beside = [
        wire.frames(packets, wire.Path(client_port=50000 + n, server_port=port))
        for n, (packets, port) in enumerate([(http, 80), (tls, 443), (ssh, 22)])
    ]
    source = open_source(wire.pcap(wire.merge(wire.frames(segments(capture)), *beside)))
    assert told(items(source)) == told(items(clean(capture)))
    assert source.notes == ["1 TLS connections left out", "1 HTTP connections left out"]


def test_a_truncated_capture_gives_what_is_whole() -> None:
    capture = named("1.18.1-basics-0")
    data = as_pcap(segments(capture))
    source = open_source(data[: len(data) // 2 + 3])
    seen = told(items(source))
    whole = told(items(clean(capture)))
    frames = [item for item in seen if item["schema"] is not None]
    assert frames == [item for item in whole if item["schema"] is not None][: len(frames)]
    assert "the capture ends inside a packet" in source.notes[0]


def test_unknown_handshake() -> None:
    capture = named("1.18.1-handshakes-1")
    seen = decoded(as_pcap(segments(capture)))
    assert [item["type"] for item in seen][:2] == ["HANDSHAKE", "LEADER"]
    assert seen[0]["note"] == "unknown_handshake"


def test_legacy_answers() -> None:
    (leader, *_) = [
        i for i in decoded(as_pcap(segments(named("1.18.1-handshakes-0")))) if i["direction"] == "response"
    ]
    assert leader["type"] == "LEADER"
    assert leader["fields"]["node_id"] == 0
    assert leader["fields"]["address"]


@pytest.mark.parametrize(
    ("packets", "message"),
    [
        ([], "a capture without packets"),
        (
            wire.conversation([(True, b"\x16\x03\x01\x02\x00" + bytes(500))]),
            r"TLS traffic \(1 connections, most to 10.0.0.2:9001\)",
        ),
        (wire.conversation([(True, b"GET / HTTP/1.1\r\n\r\n")]), "HTTP traffic"),
        (wire.conversation([(True, b"SSH-2.0-x\r\n")]), "no dqlite handshake in .* packets"),
    ],
)
def test_captures_without_dqlite(packets: list[wire.Packet], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        decoded(as_pcap(packets))


def test_forced_port_without_traffic() -> None:
    with pytest.raises(SourceError, match="no TCP data on port 1234"):
        decoded(as_pcap(segments(named("1.18.1-members-0"))), ports=[1234])


def test_wrong_link_type() -> None:
    data = bytearray(as_pcap(segments(named("1.18.1-members-0"))))
    data[20] = 105
    with pytest.raises(SourceError, match=r"link type 105 \(IEEE 802.11\)"):
        decoded(bytes(data))


def test_forced_format() -> None:
    capture = named("1.18.1-members-0")
    assert open_source(capture.c2s.hex().encode(), format=Format.HEX).format == "hex"
    with pytest.raises(SourceError, match="not a capture"):
        decoded(capture.c2s, format=Format.PCAP)


UPGRADE = b"GET /internal/database HTTP/1.1\r\nHost: a\r\nUpgrade: dqlite\r\nX-Dqlite-Version: 1\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: dqlite\r\n\r\n"
REFUSED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found"


@pytest.mark.parametrize("mss", [1448, 50])
def test_an_upgrade_from_http_is_read_across(mss: int) -> None:
    capture = named("1.18.1-basics-0")
    upgraded = [(True, UPGRADE), (False, SWITCHED), *chunks(capture)]
    seen = decoded(as_pcap(wire.conversation(upgraded, mss=mss)))
    assert [item["type"] for item in seen[:3]] == ["HTTP", "HTTP", "HANDSHAKE"]
    assert [item["fields"] for item in seen[2:]] == [item["fields"] for item in told(items(clean(capture)))]
    pair = told(items(open_pair(UPGRADE + capture.c2s, SWITCHED + capture.s2c)))
    assert pair == seen


def test_a_refused_upgrade() -> None:
    seen = decoded(as_pcap(wire.conversation([(True, UPGRADE), (False, REFUSED)])))
    assert [item["type"] for item in seen] == ["HTTP", "HTTP", "HTTP"]
    assert not any("error" in item for item in seen)


def test_memory_is_bounded_however_long_the_capture() -> None:
    """More than twice the capture takes no more memory: it is streamed."""
    import tracemalloc

    packets = segments(named("1.18.1-interrupt-0"))

    def peak(times: int) -> int:
        paths = [wire.Path(client_port=2000 + number) for number in range(times)]
        data = wire.pcap([]) + b"".join(wire.pcap(wire.frames(packets, path))[24:] for path in paths)
        tracemalloc.start()
        count = sum(1 for _ in items(open_source(data)))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count > 100 * times
        return top

    assert peak(12) < 1.15 * peak(5)
