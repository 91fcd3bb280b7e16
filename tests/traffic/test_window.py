"""The window over traffic: it counts what statistics count of the same traffic, whatever clocks do."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire.conversation import Side
from dqlitewire.messages import FailureResponse, QuerySqlRequest, RowsResponse
from dqlitewire.sql.survey import normalise
from dqlitewire.traffic import Recording
from dqlitewire.traffic.failures import OTHERS
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.ledger import Ledger, Statement
from dqlitewire.traffic.quantiles import EXACT, Durations
from dqlitewire.traffic.stats import Statistics, without_literals
from dqlitewire.traffic.window import MAX_OPEN, MAX_STATEMENTS, SHORTEST, SLOTS, Snapshot, Timeline, Window
from tests.traffic.captured import ALL, clean

HANDSHAKE = bytes([1, *bytes(7)])
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
ROWS = RowsResponse(["a"], [1], [(1,), (1,)], [(1,), (2,)]).encode()
BUSY = FailureResponse(5, "database is locked").encode()
OTHER = FailureResponse(1, "no such table: t").encode()

#: a request: when it comes behind the one before, how long it takes, which statement, what it is answered by
REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 3 * SECOND),
        st.integers(1, SECOND),
        st.integers(0, 5),
        st.sampled_from([ROWS, BUSY, OTHER]),
    ),
    max_size=60,
)


def traffic(requests: Sequence[tuple[int, int, int, bytes]], timed: bool = True) -> list[Item]:
    """Items of one connection on which these were asked one behind the other."""
    recording = Recording("10.0.0.1:4000", "10.0.0.2:9001")
    recording.add(Side.CLIENT, HANDSHAKE, START if timed else None)
    time = START
    for pause, taken, number, answer in requests:
        time += pause
        sql = f"SELECT a FROM t{number}"
        recording.add(Side.CLIENT, QuerySqlRequest(0, sql).encode(), time if timed else None)
        time += taken
        recording.add(Side.SERVER, answer, time if timed else None)
    return list(items(recording.source(), count_rows=True))


def counted(ledger: Ledger) -> dict[str, object]:
    """What a ledger tells, to be compared."""

    def figures(durations: Durations) -> tuple[int, ...]:
        shares = [durations.quantile(share) for share in (0.5, 0.95, 0.99)]
        return (durations.count, durations.total, durations.lowest, durations.highest, *shares)

    def statement(one: Statement) -> tuple[object, ...]:
        return (one.type, one.count, one.rows, one.frames, one.failures, one.request_bytes, one.answer_bytes)

    return {
        "count": ledger.count,
        "rows": ledger.rows,
        "latency": figures(ledger.latency),
        "statements": {key: statement(one) for key, one in ledger.statements.items()},
        "latencies": {key: figures(one.latency) for key, one in ledger.statements.items()},
        "failures": {key: (one.count, one.statements) for key, one in ledger.failures.kinds.items()},
        "unanswered": ledger.unanswered,
        "slowest": sorted(ledger.slowest),
    }


def of_window(found: Sequence[Item], length: int) -> Sequence[Item]:
    """Those items that are in the window at the end, by the words of the docs: in the slots that it has."""
    slot = length // SLOTS
    newest = max((item.last for item in found), default=START)
    first = (newest - START) // slot - SLOTS + 1
    latest, kept = START, []
    for item in found:
        latest = max(latest, item.last)
        if (latest - START) // slot >= first:
            kept.append(item)
    return kept


@given(REQUESTS, st.sampled_from([SECOND, 10 * SECOND, 3600 * SECOND]))
def test_a_window_counts_what_statistics_count_of_the_same_traffic(
    requests: list[tuple[int, int, int, bytes]], length: int
) -> None:
    found = traffic(requests)
    window = Window(length)
    for item in found:
        window.add(item)
    shown = window.snapshot()
    assert counted(shown.ledger) == counted(Statistics().add_all(of_window(found, length)).ledger)
    whole = Statistics().add_all(found)
    totals = shown.totals
    assert (totals.requests, totals.rows) == (whole.ledger.count, whole.ledger.rows)
    assert (totals.failures, totals.retries) == (whole.ledger.failures.count, whole.retries.total())
    assert shown.whole.messages == whole.messages
    again = window.snapshot()
    assert (counted(again.ledger), again.totals) == (counted(shown.ledger), totals)  # looking changes nothing


@given(REQUESTS)
def test_a_window_without_an_end_is_all_of_it(requests: list[tuple[int, int, int, bytes]]) -> None:
    found = traffic(requests)
    window = Window()
    for item in found:
        window.add(item)
    shown, whole = window.snapshot(), Statistics().add_all(found)
    assert counted(shown.ledger) == counted(whole.ledger)
    assert shown.ledger.failures.retries == whole.retries
    assert shown.covered == max(SHORTEST, whole.last - whole.first)


@given(st.lists(st.lists(st.integers(0, 1 << 40), max_size=3 * EXACT), max_size=6))
def test_durations_of_parts_add_up_to_those_of_the_whole(parts: list[list[int]]) -> None:
    merged, whole = Durations(), Durations()
    for values in parts:
        part = Durations()
        for value in values:
            part.add(value)
            whole.add(value)
        merged.merge(part)
    assert (merged.count, merged.total, merged.lowest, merged.highest) == (
        whole.count,
        whole.total,
        whole.lowest,
        whole.highest,
    )
    for share in (0.0, 0.5, 0.95, 1.0):
        assert merged.quantile(share) == pytest.approx(whole.quantile(share), rel=0.011, abs=1)


@pytest.mark.parametrize("capture", ALL, ids=lambda capture: str(capture.name))
def test_nothing_is_open_when_a_capture_is_over(capture: object) -> None:
    window = Window()
    found = list(items(clean(capture), count_rows=True))  # type: ignore[arg-type]
    for item in found:
        window.add(item)
    shown = window.snapshot()
    assert (shown.open, shown.waiting) == (0, [])
    assert counted(shown.ledger) == counted(Statistics().add_all(found).ledger)
    assert shown.covered is None  # these have no times
    assert shown.rate(shown.ledger.count) is None


# ---------------------------------------------------------------- time


def filled(seconds: int, each: int = 10, length: int = 10 * SECOND) -> Window:
    """A window that has seen so many seconds of so many requests each."""
    window = Window(length)
    step = SECOND // each
    for item in traffic([(step - 1000, 1000, 1, ROWS)] * (seconds * each)):
        window.add(item)
    return window


def rate(shown: Snapshot) -> float:
    found = shown.rate(shown.ledger.count)
    assert found is not None
    return found


@pytest.mark.parametrize("seconds", [2, 5, 9, 10, 11, 60])
def test_rates_from_the_beginning_on(seconds: int) -> None:
    assert rate(filled(seconds).snapshot()) == pytest.approx(10, rel=0.06)


def test_a_short_burst_is_no_rate_of_thousands() -> None:
    window = Window(10 * SECOND)
    for item in traffic([(0, 10, 1, ROWS)] * 100):
        window.add(item)
    assert rate(window.snapshot()) == 100


def test_rates_fall_while_nothing_comes() -> None:
    window = filled(20)
    rates = [rate(window.snapshot(idle)) for idle in range(0, 12 * SECOND, SECOND // 2)]
    assert rates[0] == pytest.approx(10, rel=0.06)
    assert all(after <= 1.06 * before for before, after in itertools.pairwise(rates))
    assert rates[10] == pytest.approx(5, rel=0.1)
    assert rates[-1] == 0
    assert window.snapshot(3600 * SECOND).totals.requests == 200


def test_rates_after_a_pause_are_those_of_the_window() -> None:
    window = Window(10 * SECOND)
    for item in traffic(
        [(SECOND, 1000, 1, ROWS)] * 20 + [(60 * SECOND, 1000, 1, ROWS), (SECOND, 1, 1, ROWS)]
    ):
        window.add(item)
    shown = window.snapshot()
    assert shown.ledger.count == 2
    assert rate(shown) == pytest.approx(0.2, rel=0.2)


def test_a_clock_that_is_set_begins_the_window_anew() -> None:
    for by in (-3600, -86400 * 365 * 20):
        window = filled(20)
        recording = Recording()
        recording.add(Side.CLIENT, HANDSHAKE, START + by * SECOND)
        for number in range(30):
            at = START + by * SECOND + number * SECOND // 10
            recording.add(Side.CLIENT, QuerySqlRequest(0, "SELECT 1").encode(), at)
            recording.add(Side.SERVER, ROWS, at + 1000)
        for item in items(recording.source(), count_rows=True):
            window.add(item)
        shown = window.snapshot()
        assert shown.ledger.count == 30
        assert rate(shown) == pytest.approx(10, rel=0.06)
        assert shown.totals.requests == 230
        assert shown.at == START + by * SECOND + 29 * SECOND // 10 + 1000


def test_one_impossible_time_does_not_stop_the_window() -> None:
    window = Window(10 * SECOND)
    recording = Recording()
    recording.add(Side.CLIENT, HANDSHAKE, START)
    for number in range(300):
        at = (1 << 62) if number == 100 else START + number * SECOND // 10
        recording.add(Side.CLIENT, QuerySqlRequest(0, "SELECT 1").encode(), at)
        recording.add(Side.SERVER, ROWS, at + 1000)
    for item in items(recording.source(), count_rows=True):
        window.add(item)
    shown = window.snapshot()
    assert rate(shown) == pytest.approx(10, rel=0.06)
    assert shown.at == START + 299 * SECOND // 10 + 1000


@given(st.lists(st.integers(1, 1 << 63), max_size=30), st.integers(1, 100 * SECOND))
def test_time_goes_forward_only(times: list[int], jump: int) -> None:
    line = Timeline(jump)
    seen = [line.to(time) for time in times]
    assert seen == sorted(seen)
    assert line.began <= line.now


def test_traffic_without_times_is_counted_when_it_comes() -> None:
    window = Window(10 * SECOND)
    found = traffic([(0, 1, 1, ROWS)] * 50, timed=False)
    for number, item in enumerate(found):
        window.add(item, START + number * SECOND // 10)
    shown = window.snapshot()
    assert rate(shown) == pytest.approx(5, rel=0.1)  # an item a tenth of a second, two a request
    assert shown.ledger.latency.count == 0


# ---------------------------------------------------------------- requests that wait


def asked(count: int) -> Iterator[Item]:
    recording = Recording("10.0.0.1:4000", "10.0.0.2:9001")
    recording.add(Side.CLIENT, HANDSHAKE, START)
    for number in range(count):
        recording.add(Side.CLIENT, QuerySqlRequest(0, f"SELECT a FROM t{number}").encode(), START + number)
    yield from items(recording.source(), count_rows=True)


def waiting(count: int, one_sided: bool = False) -> Window:
    window = Window(10 * SECOND)
    window.next_source(one_sided)
    for item in asked(count):
        if item.type == "UNANSWERED":  # the source is over, which a live one is not
            break
        window.add(item)
    return window


def test_what_waits_longest_stands_first() -> None:
    shown = waiting(3).snapshot(5 * SECOND)
    assert [one.key for one in shown.waiting] == [f"SELECT a FROM t{number}" for number in range(3)]
    assert [one.age for one in shown.waiting] == [5 * SECOND + 2, 5 * SECOND + 1, 5 * SECOND]
    assert shown.open == 3
    assert waiting(3, one_sided=True).snapshot().open == 0


# ---------------------------------------------------------------- bounds


def flood(count: int, each: int = 1, step: int = 1000) -> Iterator[Item]:
    """Ever new statements, in few bytes of memory."""
    for start in range(0, count, 500):
        recording = Recording("10.0.0.1:4000", "10.0.0.2:9001")
        at = START + start * step
        recording.add(Side.CLIENT, HANDSHAKE, at)
        for number in range(start, start + 500):
            for _ in range(each):
                recording.add(
                    Side.CLIENT,
                    QuerySqlRequest(0, f"SELECT a FROM t{number}").encode(),
                    START + number * step,
                )
                recording.add(Side.SERVER, OTHER, START + number * step + 10)
        yield from items(recording.source(), count_rows=True)


def test_a_flood_of_statements_takes_bounded_memory() -> None:
    window = Window(SECOND // 4)
    sizes = []
    tracemalloc.start()
    try:
        for number, item in enumerate(flood(2500, step=SECOND // 1000)):
            window.add(item)
            if number % 1200 == 1199:
                gc.collect()  # else what waits for the collector is counted, which varies
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    shown = window.snapshot()
    assert shown.totals.requests == 2500
    assert len(shown.ledger.statements) <= 250  # of the last quarter of a second
    assert max(sizes[1:]) < 1.3 * sizes[0] < 30 << 20


def test_of_too_many_statements_the_rest_is_summed() -> None:
    window = Window(10 * SECOND)
    for item in flood(2 * MAX_STATEMENTS, step=1):
        window.add(item)
    statements = window.snapshot().ledger.statements
    assert len(statements) == MAX_STATEMENTS + 1
    assert statements[OTHERS].count == statements[OTHERS].failures == MAX_STATEMENTS


def test_requests_that_wait_are_bounded() -> None:
    shown = waiting(MAX_OPEN + 50).snapshot()
    assert shown.open == MAX_OPEN
    assert len(shown.waiting) == 20


# ---------------------------------------------------------------- statements

WORDS = """
    SELECT a FROM 'x' 'it''s' ' x'00' x'0' X'zz' 1 12.5 1e3 0x1F 1_000 ? ?1 :a1 $1 @1 #1 ( ) , ; - + -- /* */
    `b` VALUES IN a1 1a _1 . 1. .5 € é5 LIMIT = 5
"""
PARTS = [*WORDS.split(), '"q 1"', "[c 1]", "\0", "\n", " "]


@given(st.lists(st.sampled_from(PARTS), max_size=14), st.sampled_from(["", " "]))
def test_literals_that_are_left_out_change_no_normal_form(parts: list[str], between: str) -> None:
    sql = between.join(parts)
    assert normalise(without_literals(sql)) == normalise(sql)


def test_statements_that_differ_in_literals_are_one_text() -> None:
    texts = {
        without_literals(f"SELECT a FROM t WHERE a = {number} AND b = '{number}''s' LIMIT {number}")
        for number in range(50)
    }
    assert len(texts) == 1
