"""What is shown of the traffic: all of it while somebody takes it, and no longer than somebody does."""

from __future__ import annotations

import threading

import pytest

from dqlitewire.conversation import Side
from dqlitewire.messages import FailureResponse, LeaderRequest, LeaderResponse
from dqlitewire.proxy.watching import Watcher
from dqlitewire.traffic import Item, items
from dqlitewire.traffic.sources.source import Source
from tests.proxy.test_recording import ALL, ASK, HELLO, NOW, play
from tests.traffic.captured import clean, told
from tests.waiting import wait_for
from tests.wire_data import Capture


class Kept:
    """A consumer that keeps what it is given, as soon as it may."""

    def __init__(self, may: threading.Event | None = None) -> None:
        self.items: list[Item] = []
        self.may = may

    def __call__(self, source: Source) -> None:
        for item in items(source):
            if self.may is not None:
                assert self.may.wait(60)
            self.items.append(item)


@pytest.mark.parametrize("capture", ALL, ids=str)
def test_everything_that_passes_is_seen(capture: Capture) -> None:
    kept = Kept()
    watcher = Watcher(kept)
    play(watcher, capture)
    watcher.close()
    assert watcher.error is None
    assert told(kept.items) == told(items(clean(capture)))
    assert kept.items[0].connection.client == "10.0.0.1:40001"


def test_what_was_changed_is_marked() -> None:
    kept = Kept()
    watcher = Watcher(kept)
    failure, answer = FailureResponse(5, "busy").encode(), LeaderResponse(1, "a:1").encode()
    watcher.opened(1, "c", "s", NOW)
    watcher.passed(1, Side.CLIENT, HELLO + ASK, NOW)
    watcher.fault(1, "fail", 1, "LEADER", NOW)
    watcher.changed(1, Side.SERVER, answer, failure, NOW)
    watcher.changed(1, Side.CLIENT, ASK, b"", NOW)
    watcher.changed(1, Side.SERVER, b"", failure, NOW)
    watcher.ended(1, None, NOW)
    watcher.close()
    assert [(item.type, item.change) for item in kept.items][2:6] == [
        ("FAULT", ""),
        ("LEADER", "replaced"),
        ("LEADER", "withheld"),
        ("FAILURE", "made"),
    ]


def test_something_is_called_between_what_passed_before_and_what_passes_later() -> None:
    kept, seen = Kept(), []
    watcher = Watcher(kept)
    watcher.opened(1, "c", "s", NOW)
    watcher.passed(1, Side.CLIENT, HELLO + ASK, NOW)
    watcher.between(lambda: seen.append(len(kept.items)))
    watcher.passed(1, Side.CLIENT, ASK, NOW)
    watcher.close()
    assert seen == [2]
    assert len(kept.items) == 5  # two requests more are unanswered


def test_who_is_slow_slows_the_traffic_and_misses_nothing() -> None:
    kept = Kept()

    def consume(source: Source) -> None:
        for item in items(source):
            threading.Event().wait(0.001)
            kept.items.append(item)

    watcher = Watcher(consume, max_waiting=2000)
    watcher.opened(1, "c", "s", NOW)
    watcher.passed(1, Side.CLIENT, HELLO, NOW)
    for _ in range(200):
        watcher.passed(1, Side.CLIENT, ASK, NOW)
        assert watcher._size <= 2000
    watcher.close()
    assert watcher.dropped == 0
    assert len([item for item in kept.items if item.type == "LEADER"]) == 200


def test_who_is_stuck_costs_the_traffic_one_wait_and_memory_with_a_bound() -> None:
    may = threading.Event()
    kept = Kept(may)
    watcher = Watcher(kept, max_waiting=2000, patience=0.05)
    for number in range(1, 300):
        watcher.opened(number, "c", "s", NOW)
        watcher.passed(number, Side.CLIENT, HELLO + ASK * 3, NOW)
        if number > 2:
            watcher.ended(number, None, NOW)
    assert watcher._size < 4000
    assert len(watcher._lost) <= 4
    may.set()
    wait_for(lambda: not watcher._queue)
    watcher.passed(2, Side.CLIENT, ASK, NOW)
    watcher.close()
    assert watcher.error is None
    assert len({item.connection for item in kept.items}) < 20


def test_what_was_dropped_is_a_gap() -> None:
    may = threading.Event()
    kept = Kept(may)
    watcher = Watcher(kept, max_waiting=1000, patience=0.05)
    watcher.opened(1, "c", "s", NOW)
    watcher.passed(1, Side.CLIENT, HELLO, NOW)
    for _ in range(20):
        watcher.passed(1, Side.CLIENT, ASK, NOW)
    may.set()
    wait_for(lambda: not watcher._queue)
    watcher.passed(1, Side.CLIENT, ASK, NOW)
    watcher.close()
    gaps = [item.size for item in kept.items if item.type == "GAP"]
    assert gaps == [watcher.dropped]
    assert watcher.dropped > 0
    whole = sum(item.size for item in kept.items if item.type in ("HANDSHAKE", "LEADER", "GARBAGE"))
    assert whole + watcher.dropped == len(HELLO + 21 * ASK)


def test_a_consumer_that_ends_ends_the_watching_alone() -> None:
    class Gone(Exception):
        pass

    def consume(source: Source) -> None:
        for _ in items(source):
            raise Gone

    watcher = Watcher(consume, max_waiting=1000)
    watcher.opened(1, "c", "s", NOW)
    for _ in range(1000):
        watcher.passed(1, Side.CLIENT, HELLO + ASK, NOW)
    watcher.ended(1, None, NOW)
    watcher.close()
    assert isinstance(watcher.error, Gone)
    assert not watcher._queue


def test_requests_and_answers_are_those_of_the_library() -> None:
    assert LeaderRequest().encode() == ASK
