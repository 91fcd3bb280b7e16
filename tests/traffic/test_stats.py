"""Statistics agree with what was put in."""

from __future__ import annotations

import json
import math
import random
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest

from dqlitewire.conversation import Side, probe_generation
from dqlitewire.messages import (
    DbResponse,
    EmptyResponse,
    ExecSqlRequest,
    FailureResponse,
    FinalizeRequest,
    LeaderRequest,
    LeaderResponse,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    ResultResponse,
    RowsResponse,
    StmtResponse,
)
from dqlitewire.traffic.items import items
from dqlitewire.traffic.quantiles import EXACT, Durations
from dqlitewire.traffic.repeats import RUN
from dqlitewire.traffic.sources.formats import open_source
from dqlitewire.traffic.sources.source import Recording
from dqlitewire.traffic.stats import Statistics, ranked
from dqlitewire.traffic.views.json_object import json_text
from dqlitewire.traffic.views.report import histogram, report, report_json
from tests.traffic import wire
from tests.traffic.captured import ALL, named
from tests.wire_data import Capture

MS = 1_000_000
HANDSHAKE = bytes([1, *bytes(7)])


def recorded(talk: Iterable[tuple[object, object, int]]) -> Statistics:
    """Statistics of (request, answers, latency in ms), one after the other."""
    recording, now = Recording("10.0.0.1:4000", "10.0.0.2:9001"), 10**18
    recording.add(Side.CLIENT, HANDSHAKE, now)
    for request, answers, latency in talk:
        now += MS
        recording.add(Side.CLIENT, request.encode(), now)  # type: ignore[attr-defined]
        now += latency * MS
        for answer in answers if isinstance(answers, list) else [answers]:
            recording.add(Side.SERVER, answer.encode(), now)
    return Statistics().add_all(items(recording.source(), count_rows=True))


def rows(count: int, more: bool = False) -> RowsResponse:
    return RowsResponse(["a"], [1], [(1,)] * count, [(n,) for n in range(count)], has_more=more)


def test_statements_are_known_by_their_normalised_text() -> None:
    statistics = recorded(
        [(QuerySqlRequest(0, f"SELECT  a FROM t WHERE b = {n} -- {n}"), rows(n), n) for n in range(1, 6)]
        + [(ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [n]), ResultResponse(n, 1), 2) for n in range(3)]
    )
    select, insert = ranked(statistics)
    assert (select.key, select.count, select.rows, select.latency.total) == (
        "SELECT a FROM t WHERE b = ?",
        5,
        15,
        15 * MS,
    )
    assert (insert.key, insert.count, insert.frames, insert.latency.total) == (
        "INSERT INTO t VALUES (?)",
        3,
        3,
        6 * MS,
    )
    assert [select.latency.quantile(share) for share in (0.5, 0.95, 0.99)] == [3 * MS, 5 * MS, 5 * MS]
    assert [s.key for s in ranked(statistics, "count")] == [select.key, insert.key]
    assert [s.key for s in ranked(statistics, "rows", 1)] == [select.key]


def test_prepared_statements_count_under_their_text() -> None:
    statistics = recorded(
        [
            (PrepareRequest(0, "SELECT a FROM t WHERE b = ?"), StmtResponse(0, 3, 1), 1),
            *((QueryRequest(0, 3, [n]), [rows(100, more=True), rows(7)], 1) for n in range(4)),
            (FinalizeRequest(0, 3), EmptyResponse(), 1),
        ]
    )
    query = next(s for s in ranked(statistics) if s.type == "QUERY")
    assert (query.key, query.count, query.rows, query.frames) == ("SELECT a FROM t WHERE b = ?", 4, 428, 8)


def test_failures_in_words() -> None:
    statistics = recorded(
        [(ExecSqlRequest(0, "DELETE FROM t"), FailureResponse(5, "database is locked"), 1)] * 3
        + [(ExecSqlRequest(0, "DELETE FROM t"), FailureResponse(10250, "not leader"), 1)]
    )
    shown = "\n".join(report(statistics, width=120))
    assert "3  5 SQLITE_BUSY: database is locked" in shown
    assert "1  10250 SQLITE_IOERR_NOT_LEADER: not leader" in shown
    found = json.loads(report_json(statistics))["failures"]
    assert {(f["code"], f["count"]) for f in found} == {(5, 3), (10250, 1)}
    assert all(f["meaning"] for f in found)


@pytest.mark.parametrize("as_json", [False, True])
def test_redacted_failures_quote_nothing(as_json: bool) -> None:
    recording = Recording()
    recording.add(Side.CLIENT, HANDSHAKE)
    for message in ("bad JSON path: 'tomsecret'", 'near "bobs": syntax error'):
        recording.add(Side.CLIENT, ExecSqlRequest(0, "SELECT 'tomsecret', 'bobs'").encode())
        recording.add(Side.SERVER, FailureResponse(1, message).encode())
    recording.add(Side.CLIENT, ExecSqlRequest(0, "DELETE FROM t WHERE a = 'tomsecret'").encode())
    found = list(items(recording.source(), redacted=True, count_rows=True))
    statistics = Statistics().add_all(found)
    shown = report_json(statistics) if as_json else "\n".join(report(statistics))
    shown += "\n".join(map(json_text, found))
    assert "tomsecret" not in shown
    assert "bobs" not in shown
    assert "bad JSON path: 'xxxxxxxxx'" in shown


def test_failures_are_explained_with_their_request() -> None:
    tail = FailureResponse(1, "nonempty statement tail")
    statistics = recorded(
        [
            (QuerySqlRequest(0, "SELECT 1; SELECT 2"), tail, 1),
            (QuerySqlRequest(0, "SELECT 1; SELECT 3"), tail, 1),
            (QuerySqlRequest(0, "SELECT 1"), tail, 1),
        ]
    )
    several, single = statistics.failures.values()
    assert (several.count, single.count) == (2, 1)
    assert "in the wrong words" not in several.info.meaning
    assert "in the wrong words" in single.info.meaning


def test_retries() -> None:
    delete, busy = ExecSqlRequest(0, "DELETE FROM t"), FailureResponse(5, "database is locked")
    statistics = recorded(
        [
            (delete, busy, 1),
            (delete, busy, 1),
            (delete, ResultResponse(0, 1), 1),
            (delete, ResultResponse(0, 1), 1),
            (delete, FailureResponse(10250, "not leader"), 1),
            (LeaderRequest(), LeaderResponse(2, "10.0.0.3:9001"), 1),
            (delete, ResultResponse(0, 1), 1),
            (delete, FailureResponse(1, "no such table: t"), 1),
            (delete, ResultResponse(0, 1), 1),
        ]
    )
    assert statistics.retries == {"busy": 2, "not leader": 1}


def test_a_retry_on_another_connection() -> None:
    delete = ExecSqlRequest(0, "DELETE FROM t").encode()
    first = wire.conversation(
        [(True, HANDSHAKE + delete), (False, FailureResponse(10250, "not leader").encode())]
    )
    second = wire.conversation(
        [(True, HANDSHAKE + delete), (False, ResultResponse(0, 1).encode())], start=first[-1].time + MS
    )
    data = wire.pcap([*wire.frames(first), *wire.frames(second, wire.Path(client_port=5, server="10.0.0.3"))])
    statistics = Statistics().add_all(items(open_source(data), count_rows=True))
    assert statistics.retries == {"not leader": 1}
    assert statistics.connections == 2


def test_leader_changes() -> None:
    named = ["a:1", "a:1", "", "b:1", "b:1", "a:1"]
    statistics = recorded((LeaderRequest(), LeaderResponse(int(bool(name)), name), 1) for name in named)
    assert [address for _, address in statistics.leaders] == ["a:1", "b:1", "a:1"]
    assert statistics.leader_changes == 2
    assert "a:1, b:1, a:1 (2 changes)" in "\n".join(report(statistics))


def test_unanswered_requests() -> None:
    statistics = recorded(
        [
            (OpenRequest("a"), DbResponse(0), 1),
            (ExecSqlRequest(0, "DELETE FROM t"), [], 0),
            (LeaderRequest(), [], 0),
        ]
    )
    assert statistics.unanswered == {"DELETE FROM t": 1, "LEADER": 1}
    assert "requests without an answer" in "\n".join(report(statistics))


@pytest.mark.parametrize("prepared", [False, True])
def test_n_plus_1(prepared: bool) -> None:
    talk: list[tuple[object, object, int]] = []
    for _ in range(2):
        talk.append((QuerySqlRequest(0, "SELECT id FROM orders"), rows(12), 1))
        for n in range(12):
            if prepared:
                talk.append((PrepareRequest(0, "SELECT * FROM lines WHERE id = ?"), StmtResponse(0, 0, 1), 1))
                talk.append((QueryRequest(0, 0, [n]), rows(1), 1))
                talk.append((FinalizeRequest(0, 0), EmptyResponse(), 1))
            else:
                talk.append((QuerySqlRequest(0, f"SELECT * FROM lines WHERE id = {n}"), rows(1), 1))
    statistics = recorded(talk)
    (loop,) = statistics.loops.values()
    assert (loop.key, loop.after) == ("SELECT * FROM lines WHERE id = ?", "SELECT id FROM orders")
    assert (loop.runs, loop.queries, loop.longest) == (2, 24, 12)
    assert "queries repeated in a row" in "\n".join(report(statistics))


def test_writes_and_short_runs_are_no_n_plus_1() -> None:
    inserts = [(ExecSqlRequest(0, "INSERT INTO t VALUES (1)"), ResultResponse(1, 1), 1)] * 50
    few = [(QuerySqlRequest(0, "SELECT 1"), rows(1), 1)] * (RUN - 1)
    assert recorded([*inserts, *few]).loops == {}


def test_many_different_statements_are_bounded() -> None:
    statistics = recorded((QuerySqlRequest(0, f"SELECT a{n} FROM t"), rows(0), 1) for n in range(6000))
    assert len(statistics.statements) == 5001
    assert statistics.statements["(other statements)"].count == 1000


@pytest.mark.parametrize("capture", [capture for capture in ALL if capture.handshake != 2], ids=str)
def test_counts_of_recorded_traffic(capture: Capture) -> None:
    from tests.traffic.captured import clean

    statistics = Statistics().add_all(items(clean(capture), count_rows=True))
    assert sum(n for (way, _), n in statistics.messages.items() if way == "request") == len(
        capture.entry["request_frames"]
    )
    assert sum(n for (way, _), n in statistics.messages.items() if way == "response") == len(
        capture.entry["response_frames"]
    )
    assert (statistics.request_bytes, statistics.answer_bytes) == (len(capture.c2s), len(capture.s2c))
    json.loads(report_json(statistics))


def test_sources_number_their_connections_anew() -> None:
    statistics = Statistics()
    from tests.traffic.captured import clean

    for name in ("1.18.1-members-0", "1.18.1-basics-0"):
        statistics.add_all(items(clean(named(name)), count_rows=True))
    assert statistics.connections == 2


# ---------------------------------------------------------------- durations


@pytest.mark.parametrize("count", [1, 2, 10, EXACT, EXACT + 1, 5000])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.95, 0.99, 1.0])
def test_quantiles(count: int, share: float) -> None:
    chance = random.Random(count)
    values = [round(math.exp(chance.gauss(13, 3))) for _ in range(count)]
    durations = Durations()
    for value in values:
        durations.add(value)
    exact = sorted(values)[max(1, math.ceil(share * count)) - 1]
    if count <= EXACT:
        assert durations.quantile(share) == exact
    else:
        assert abs(durations.quantile(share) / exact - 1) < 0.012
    assert (durations.count, durations.total) == (count, sum(values))
    assert (durations.lowest, durations.highest) == (min(values), max(values))
    assert sum(number for _, number in durations.by_octave()) == count


def test_durations_are_bounded_in_memory() -> None:
    durations = Durations()
    tracemalloc.start()
    for n in range(200_000):
        durations.add(n * 7919 % 10_000_000_000)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 500_000


def test_clocks_that_run_back() -> None:
    durations = Durations()
    durations.add(-5)
    durations.add(0)
    assert (durations.quantile(0.5), durations.total) == (0, 0)
    assert list(histogram(durations)) == [
        "    0 us - 0 us            2  ████████████████████████████████████████"
    ]


def test_no_durations() -> None:
    assert Durations().quantile(0.5) == 0
    assert list(histogram(Durations())) == []


@pytest.mark.parametrize("wrong", [{"by": "price"}, {"by": None}, {"top": -1}, {"top": 1.5}, {"top": True}])
def test_a_ranking_that_there_is_not(wrong: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        ranked(Statistics(), **wrong)


@pytest.mark.parametrize("frame", [probe_generation(), probe_generation(0)])
@pytest.mark.parametrize("answer", [FailureResponse(1, "bad version 1"), None])
def test_a_probe_is_neither_failure_nor_damage(frame: bytes, answer: Any) -> None:
    recording, now = Recording(), 10**18
    recording.add(Side.CLIENT, HANDSHAKE + frame, now)
    if answer is not None:
        recording.add(Side.SERVER, answer.encode(), now + MS)
    statistics = Statistics().add_all(items(recording.source(), count_rows=True))
    assert not statistics.damaged
    assert (statistics.failures, statistics.unanswered) == ({}, {})
    assert [(one.key, one.count, one.failures) for one in statistics.statements.values()] == [
        ("(probe of the generation)", 1, 0)
    ]
