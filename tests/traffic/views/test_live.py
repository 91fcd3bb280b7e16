"""What a window shows fits any screen, whatever the traffic says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from dqlitewire.conversation import Side
from dqlitewire.messages import FailureResponse, QuerySqlRequest, RowsResponse
from dqlitewire.text import printable
from dqlitewire.traffic import Recording
from dqlitewire.traffic.items import items
from dqlitewire.traffic.views.live import ORDERS, Look, traffic_json, traffic_lines
from dqlitewire.traffic.views.screen import fitted, number
from dqlitewire.traffic.window import Snapshot, Window

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
SIZES = [(80, 24), (132, 50), (40, 10), (40, 24), (200, 5), (20, 4), (1, 1), (500, 200)]
KEYS = ("q quit", "r rate", "t time", "l latency", "w rows", "f failures")
ROWS = RowsResponse(["a"], [1], [(1,), (1,)], [(1,), (2,)]).encode()
SQL = st.text(
    st.one_of(st.characters(), st.sampled_from("\x1b\x9b\u202e日本語\U0001f600\u0301\t\n'\"")), max_size=300
)


def shown(texts: list[str], failing: bool = True, timed: bool = True, length: int = 10 * SECOND) -> Snapshot:
    """A window that has seen these statements, each failing every other time, the last one not answered."""
    recording = Recording("10.0.0.1:4000", "10.0.0.2:9001")
    recording.add(Side.CLIENT, bytes([1, *bytes(7)]), START if timed else None)
    for at, text in enumerate(texts):
        time = START + at * SECOND // 7
        recording.add(Side.CLIENT, QuerySqlRequest(0, text).encode(), time if timed else None)
        failure = FailureResponse(5 if at % 4 else 1, text.replace("\0", "")).encode()
        answer = failure if failing and at % 2 else ROWS
        recording.add(Side.SERVER, answer, time + 1000 * at if timed else None)
    recording.add(Side.CLIENT, QuerySqlRequest(0, "SELECT 'waits'").encode(), None)
    window = Window(length)
    for item in items(recording.source(), count_rows=True):
        if item.type == "UNANSWERED":
            break
        window.add(item)
    return window.snapshot()


def held(snapshot: Snapshot, look: Look, width: int, height: int | None) -> list[str]:
    """The lines, which fit."""
    lines = [line.plain for line in traffic_lines(snapshot, look, width, height)]
    assert height is None or len(lines) <= height
    for line in lines:
        assert cell_len(line) <= width
        assert printable(line) == line
    return lines


@given(
    st.lists(SQL.map(lambda text: text.replace("\0", "")), max_size=12),
    st.booleans(),
    st.sampled_from(list(ORDERS)),
)
def test_every_size_is_kept(texts: list[str], timed: bool, order: str) -> None:
    snapshot = shown(texts, timed=timed)
    for width, height in SIZES:
        held(snapshot, Look("\x1b[31m" + "".join(texts[:1]), order, KEYS), width, height)
        held(snapshot, Look("name", order), width, None) if width >= 20 else None
    json.loads(traffic_json(snapshot, "rate", 0.0))


@given(SQL, st.integers(0, 60))
def test_a_text_is_fitted(text: str, width: int) -> None:
    (line,) = fitted([text], width)
    assert cell_len(line) <= width


def test_different_texts_look_different() -> None:
    lines = fitted([f"SELECT a FROM t WHERE {'x' * 100}{number}{'y' * 100}" for number in range(30)], 30)
    assert len(set(lines)) == 30


@pytest.mark.parametrize(("width", "height"), [(80, 24), (132, 50), (40, 10)])
def test_figures_come_first(width: int, height: int) -> None:
    texts = [f"SELECT {'a, ' * 40} b FROM t{at % 30}" for at in range(60)]
    lines = held(shown(texts), Look("tap.dqt", "latency", KEYS), width, height)
    assert lines[0].startswith("top: tap.dqt")
    assert lines[1].startswith("requests ")
    assert lines[2].startswith("latency ")
    assert lines[3].startswith("failures ")
    table = next(at for at, line in enumerate(lines) if "[p95]" in line)
    assert "rate/s" in lines[table]
    assert "SELECT" in lines[table + 1]
    assert "…" in lines[table + 1]
    assert lines[-1].startswith("q quit")
    assert len(lines) == height
    shows = {"slowest", "failure"} & {line.split()[-1] for line in lines if line}
    assert shows == (set() if height == 10 else {"slowest", "failure"})


def test_the_sorted_column_stays_where_there_is_no_room() -> None:
    snapshot = shown([f"SELECT {'a, ' * 40} b FROM t{at % 3}" for at in range(60)])
    names = {"rate": "rate/s", "time": "time %", "latency": "p95", "rows": "rows/s", "failures": "failed"}
    for order, name in names.items():
        assert any(f"[{name}]" in line for line in held(snapshot, Look("x", order), 40, 10))


def test_orders() -> None:
    texts = ["SELECT a FROM often"] * 9 + ["SELECT a FROM fails", "SELECT a FROM fails"] * 2
    snapshot = shown(texts)
    for order, first in (("rate", "often"), ("rows", "often"), ("failures", "often"), ("latency", "fails")):
        lines = held(snapshot, Look("x", order), 80, None)
        table = next(at for at, line in enumerate(lines) if "statement" in line)
        assert first in lines[table + 1], order


def test_without_times_there_are_counts_and_no_rates() -> None:
    lines = held(shown(["SELECT a FROM t"] * 6, timed=False), Look("x", "latency"), 80, None)
    assert lines[1] == "requests  6, 6 rows, 1 waiting, 1 connection"
    assert any("[count]" in line for line in lines)
    assert not any("/s" in line or "p95" in line for line in lines)


@pytest.mark.parametrize(("heard", "leader"), [(0, "10.0.0.2:9001"), (2, "10.0.0.9:53316")])
def test_the_leader_is_who_was_told_last(heard: int, leader: str) -> None:
    """A capture that begins between nodes knows the leader's port of the moment, until a client is told."""
    snapshot = shown(["SELECT 1"])
    snapshot.whole.raft.leaders.append((START + heard * SECOND, 3, "10.0.0.9:53316"))
    snapshot.whole.leaders.append((START + SECOND, "10.0.0.2:9001"))
    lines = held(snapshot, Look("x"), 80, None)
    assert [line.split()[1] for line in lines if line.startswith("leader")] == [leader]


def test_nothing_yet() -> None:
    lines = held(Window(10 * SECOND).snapshot(), Look("x", keys=KEYS), 80, 24)
    assert lines[0].split() == ["top:", "x", "nothing", "yet"]


@given(st.floats(0, 1e13))
def test_figures_are_short(value: float) -> None:
    text = number(value)
    assert len(text) <= 6
    unit = {"k": 1e3, "M": 1e6, "G": 1e9}.get(text[-1], 1.0)
    assert float(text.rstrip("kMG")) * unit == pytest.approx(value, rel=0.06, abs=0.006)
