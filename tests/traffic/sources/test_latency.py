"""A latency is that of the request and the answer that it stands beside, or unknown: whatever was lost."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from dqlitewire.conversation import Side
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.select import Selection
from dqlitewire.traffic.sources.formats import open_source
from dqlitewire.traffic.sources.source import Recording
from dqlitewire.traffic.stats import Statistics
from dqlitewire.traffic.views.json_object import json_object
from dqlitewire.traffic.views.line import Clock, line
from tests.traffic import wire
from tests.traffic.captured import chunks, named, segments

NAMES = ("1.18.1-basics-0", "1.18.1-types-0", "1.11.1-failures-0", "1.18.1-interrupt-0")
MS = 1_000_000


def read(packets: Sequence[wire.Packet], **layers: bytes) -> list[Item]:
    path = wire.Path("fd00::1", 40001, "fd00::2", 9001) if "extension" in layers else wire.Path()
    return list(items(open_source(wire.pcap(wire.frames(packets, path, **layers), nanoseconds=True))))


def latencies(stream: Sequence[Item]) -> dict[int, int | None]:
    """Of each answer frame that is whole, by its place."""
    whole = [item for item in stream if item.frame is not None and not item.frame.damaged]
    return {item.offset: item.latency for item in whole if item.side is Side.SERVER}


def views_agree(stream: Sequence[Item]) -> None:
    statistics = Statistics().add_all(stream)
    shown = [item.latency for item in stream for exchange in item.over if exchange.request is not None]
    told = [exchange.latency for item in stream for exchange in item.over if exchange.request is not None]
    ended = [latency for latency in told if latency is not None]
    assert statistics.latency.count == len(ended)
    assert statistics.latency.total == sum(ended)
    # an INTERRUPT ends two exchanges with one frame, which shows its own latency
    single = [(item.latency, item.over[0].latency) for item in stream if len(item.over) == 1]
    assert all(shown == told for shown, told in single)
    assert len(shown) == len(told)
    for item in stream:
        assert item.latency is None or item.latency >= 0
        in_json = json_object(item).get("latency_ms")
        assert in_json == (None if item.latency is None else round(item.latency / 1e6, 6))
        assert bool(line(item, Clock("relative"), 100).latency) is (item.latency is not None)
    for exchange in (exchange for item in stream for exchange in item.over):
        assert exchange.duration is None or exchange.duration >= 0
    slow = [item for item in Selection(min_latency=0)(iter(stream)) if item.side is Side.SERVER]
    assert all(item.exchange is not None for item in slow)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("mss", "seed"), [(1448, 0), (1448, 1), (1448, 2), (1448, 3), (100, 4), (40, 5)])
def test_lost_segments_give_the_true_latency_or_none(name: str, mss: int, seed: int) -> None:
    chance = random.Random(seed)
    packets = segments(named(name), mss=mss, step=7 * MS)
    true = latencies(read(packets))
    data = [number for number, packet in enumerate(packets) if packet.payload][1:]
    gone = chance.sample(data, min(chance.choice((1, 2, 5, 20)), len(data)))
    seen = read(wire.lose(packets, gone))
    views_agree(seen)
    for offset, latency in latencies(seen).items():
        assert latency in (None, true.get(offset, None)), f"answer at {offset}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(4))
def test_no_mistreatment_makes_a_latency_negative(name: str, seed: int) -> None:
    packets = segments(named(name), mss=300, step=7 * MS)
    spoilt: Sequence[wire.Packet] = packets
    ways: list[Callable[[Sequence[wire.Packet]], Sequence[wire.Packet]]] = [
        lambda sent: wire.lose(sent, random.Random(seed).sample(range(4, len(sent)), len(sent) // 20)),
        lambda sent: wire.duplicate(sent, seed),
        lambda sent: wire.reorder(sent, seed, window=12),
        lambda sent: wire.overlap(sent, seed),
        lambda sent: [late(packet, seed) for packet in sent],
    ]
    for number in random.Random(seed).sample(range(len(ways)), 3):
        spoilt = ways[number](spoilt)
    views_agree(read(spoilt))


def late(packet: wire.Packet, seed: int) -> wire.Packet:
    """A clock that jumps."""
    jump = random.Random(f"{seed}/{packet.time}").choice((0, 0, 0, -40, 30))
    return replace(packet, time=packet.time + jump * MS)


def exchange_of(name: str = "1.18.1-basics-0") -> tuple[list[wire.Packet], int]:
    """A session in small segments, and the place of the last segment of a request of several."""
    packets = segments(named(name), mss=40, step=100 * MS)
    for number in range(20, len(packets) - 2):
        before, last, ack = packets[number - 1 : number + 2]
        if before.from_client and before.payload and last.from_client and last.payload and not ack.payload:
            return packets, number
    raise AssertionError("no request of several segments")


def test_a_request_without_its_last_segment_has_no_latency() -> None:
    packets, last = exchange_of()
    seen = read(wire.lose(packets, [last]))
    request = next(item for item in seen if item.frame is not None and item.frame.damaged)
    (answer,) = [item for item in seen if item.exchange == request.exchange and item is not request]
    assert request.exchange is not None
    assert answer.latency is None
    assert answer.over[0].latency is None
    views_agree(seen)


def test_a_retransmission_that_is_captured_late_has_no_latency() -> None:
    """The request was answered before the copy that was captured."""
    packets, last = exchange_of()
    again = replace(packets[last], time=packets[last + 3].time + MS)
    moved = [*packets[:last], *packets[last + 1 : last + 4], again, *packets[last + 4 :]]
    seen = read(moved)
    views_agree(seen)
    true = latencies(read(packets))
    differ = {place for place, latency in latencies(seen).items() if latency != true[place]}
    assert len(differ) == 1
    assert latencies(seen)[differ.pop()] is None


def test_a_request_is_over_when_its_hole_is_filled() -> None:
    """Segments that waited behind a hole are no sooner there than what fills it."""
    packets, last = exchange_of()
    first, second, ack, answer = packets[last - 1 : last + 3]
    swapped = [replace(second, time=first.time), replace(first, time=ack.time - MS), ack]
    seen = read([*packets[: last - 1], *swapped, *packets[last + 2 :]])
    frame = next(item for item in seen if item.time == answer.time)
    assert frame.latency == answer.time - (ack.time - MS)
    views_agree(seen)


def test_an_answer_is_not_that_of_a_request_whose_answer_was_lost() -> None:
    """The client waits for each answer: its next request tells that the one before was answered."""
    packets = segments(named("1.18.1-basics-0"), step=7 * MS)
    true = latencies(read(packets))
    answers = [n for n, packet in enumerate(packets) if packet.payload and not packet.from_client]
    for lost in answers[3:-3]:
        seen = read(wire.lose(packets, [lost]))
        found = latencies(seen)
        assert [place for place, latency in found.items() if latency not in (None, true[place])] == []
        assert sum(latency is None for latency in found.values()) <= 1


def test_times_that_nobody_knows_make_no_latency() -> None:
    recording = Recording()
    for number, (is_request, data) in enumerate(chunks(named("1.18.1-basics-0"))):
        recording.add(Side.CLIENT if is_request else Side.SERVER, data, None if number % 3 else number * MS)
    seen = list(items(recording.source()))
    assert any(item.latency is None for item in seen)
    views_agree(seen)


@pytest.mark.parametrize(
    "layers",
    [
        {"options": b"\x94\x04\x00\x00"},
        {"extension": b"\x06\x00\x01\x04\x00\x00\x00\x00"},
    ],
    ids=["IP options", "extension headers"],
)
def test_headers_that_are_seldom_change_nothing(layers: dict[str, bytes]) -> None:
    packets = wire.lose(segments(named("1.18.1-basics-0"), mss=40), [30, 47, 90])
    assert [(i.type, i.time, i.last, i.latency, i.offset) for i in read(packets, **layers)] == [
        (i.type, i.time, i.last, i.latency, i.offset) for i in read(packets)
    ]
