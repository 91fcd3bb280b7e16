"""`stats` on traffic that goes on, with decode's selection, and on terminals of any width."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.live import Live
from dqlitewire.conversation import Side
from dqlitewire.messages import FailureResponse, QuerySqlRequest, RowsResponse
from dqlitewire.traffic import Recording
from dqlitewire.traffic.items import items
from dqlitewire.traffic.select import MAX_HELD, Selection
from dqlitewire.traffic.shorten import apart, middle
from dqlitewire.traffic.stats import Statistics
from dqlitewire.traffic.views.line import duration
from dqlitewire.traffic.views.report import report
from tests.traffic.captured import as_pcap, named, segments
from tests.traffic.command import COMMAND, on_terminal, run

CAPTURES = Path(__file__).parent.parent / "captures"
HANDSHAKE = bytes([1, *bytes(7)])
QUERY = QuerySqlRequest(0, "SELECT 1").encode()


def pair(name: str) -> list[str]:
    return [str(CAPTURES / f"{name}.{side}.bin") for side in ("c2s", "s2c")]


# ---------------------------------------------------------------- what goes on


class Running:
    """`stats` on a pipe that stays open, in a process of its own."""

    def __init__(self, *options: str) -> None:
        # whoever runs the tests in the background may have SIGINT ignored
        restore = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        program = f"{restore}; from dqlitewire.cli import main; main()"
        self.process = subprocess.Popen(
            [COMMAND[0], "-c", program, "stats", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "COLUMNS": "80"},
        )

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def wait_for_requests(self, count: int) -> dict[str, Any]:
        """Read what it prints every so often until so many were counted."""
        while (found := self.line())["messages"]["request"].get("QUERY_SQL", 0) < count:
            pass
        return found

    def end(self, number: int) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
def test_an_interrupt_shows_what_was_counted(number: int, as_json: bool, tmp_path: Path) -> None:
    counted = Running("--every", "0.1", "--json", *([] if as_json else ["--sort", "count"]))
    counted.write(HANDSHAKE + QUERY * 3)
    seen = counted.wait_for_requests(3)
    assert abs(seen["time"] - time.time()) < 60
    counted.write(QUERY * 2)
    assert counted.wait_for_requests(5)["connections"] == 1
    code, out, err = counted.end(number)
    last = json.loads(out.splitlines()[-1])
    assert (code, err, last["messages"]["request"]) == (130, "", {"QUERY_SQL": 5})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_shows_the_report_as_text(number: int) -> None:
    counted = Running("--width", "60", "--every", "0.1")
    counted.write(HANDSHAKE + QUERY * 3)
    assert counted.process.stdout is not None
    while not counted.process.stdout.readline().startswith(b"requests      3 "):
        pass
    code, out, err = counted.end(number)
    assert (code, err) == (130, "")
    reports = re.split(r"^-- \d\d:\d\d:\d\d, after [\d.]+ s$", out, flags=re.MULTILINE)
    assert "requests      3 (" in reports[-1]
    assert "latency" not in reports[-1]


@pytest.mark.parametrize("data", [b"", b"\xd4\xc3\xb2"], ids=["nothing came", "the format is not known yet"])
def test_an_interrupt_before_anything_was_counted(data: bytes) -> None:
    counted = Running("--json", "--every", "0.1")
    counted.write(data)
    assert counted.line()["connections"] == 0
    code, out, err = counted.end(signal.SIGINT)
    assert (code, err, json.loads(out.splitlines()[-1])["statements"]) == (130, "", [])


def test_a_file_that_grows(tmp_path: Path) -> None:
    path = tmp_path / "growing.pcap"
    packets = segments(named("1.18.1-basics-0"))
    whole = as_pcap(packets)
    path.write_bytes(whole[: len(whole) // 2])
    counted = Running("-f", "--json", "--every", "0.1", str(path))
    while not (first := counted.line())["connections"]:
        pass
    with path.open("ab") as file:
        file.write(whole[len(whole) // 2 :])
    expected = json.loads(run("stats", "--json", path).out)
    while (found := counted.line())["response_bytes"] < expected["response_bytes"]:
        pass
    assert first["response_bytes"] < found["response_bytes"]
    code, out, _ = counted.end(signal.SIGTERM)
    last = json.loads(out.splitlines()[-1])
    del last["time"]
    assert (code, last["statements"]) == (130, expected["statements"])


def test_the_last_report_comes_at_the_end_too(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(as_pcap(segments(named("1.18.1-basics-0"))))
    shown = run("stats", "--every", "3600", path).out
    assert shown.startswith("-- ")
    assert shown.partition("\n")[2].rstrip() == run("stats", path).out.rstrip()
    (line,) = run("stats", "--json", "--every", "3600", path).out.splitlines()
    assert {*json.loads(line)} == {*json.loads(run("stats", "--json", path).out), "time"}
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


@pytest.mark.parametrize("at", range(6))
def test_an_interrupt_strikes_between_two_items_only(at: int) -> None:
    """Wherever it comes: in the source, while an item is worked on, while what was counted is shown."""
    done: list[int] = []
    shown: list[int] = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def source() -> Iterator[int]:
        for number in range(3):
            if at == 0 and number == 1:
                signal.raise_signal(signal.SIGINT)
            yield number

    def show() -> None:
        if at == 4:
            signal.raise_signal(signal.SIGINT)
        shown.append(len(done))

    def work() -> None:
        with Live(3600, show) as live:
            for number in live.items(source()):
                if number == 1 and at in (1, 2):
                    signal.raise_signal(signal.SIGINT)
                if number == 1 and at in (3, 4):
                    signal.raise_signal(signal.SIGALRM)
                if number == 1 and at == 2:
                    signal.raise_signal(signal.SIGINT)  # impatient
                done.append(number)
                if at in (3, 5) and number == 2:
                    signal.raise_signal(signal.SIGTERM)

    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == {0: [0], 1: [0, 1], 2: [0], 3: [0, 1, 2], 4: [0, 1], 5: [0, 1, 2]}[at]
    assert shown == {3: [2], 4: [2]}.get(at, [])
    assert signal.getsignal(signal.SIGINT) is before


def test_signals_stay_as_they_are_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Live(None, lambda: None):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)
    thread = threading.Thread(target=lambda: Live(0.1, lambda: None).__enter__())
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


# ---------------------------------------------------------------- selection

SELECTIONS = (
    ["--failures"],
    ["--min-latency", "0"],
    ["--sql", "insert"],
    ["--grep", "^SELECT"],
    ["-c", "1"],
    ["-c", "2"],
    ["--failures", "--sql", "select"],
    ["--grep", "INSERT|UPDATE", "--min-latency", "1"],
)


@pytest.mark.parametrize("options", SELECTIONS, ids=" ".join)
@pytest.mark.parametrize("name", ["1.18.1-basics-0", "1.18.1-failures-0"])
def test_it_counts_what_decode_shows(name: str, options: list[str], tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(as_pcap(segments(named(name), step=1_500_000)))
    shown = [json.loads(line) for line in run("decode", "--json", *options, path).out.splitlines()]
    counted = json.loads(run("stats", "--json", "--top", "1000", *options, path).out)
    for way in ("request", "response"):
        types = Counter(one["type"] for one in shown if one["direction"] == way and one["code"] is not None)
        assert counted["messages"][way] == types
    requests = {(one["connection"], one["exchange"]) for one in shown} - {(1, None)}
    assert sum(statement["count"] for statement in counted["statements"]) == len(requests)


@pytest.mark.parametrize("name", ["1.18.1-basics-0", "1.18.1-failures-0", "1.18.1-multiframe-0"])
def test_types_select_requests_with_their_answers(name: str) -> None:
    whole = json.loads(run("stats", "--json", "--top", "1000", *pair(name)).out)
    for kind in whole["messages"]["request"]:
        found = json.loads(run("stats", "--json", "--top", "1000", "--type", kind, *pair(name)).out)
        asked = whole["messages"]["request"][kind]
        assert found["messages"]["request"] == {kind: asked}
        assert sum(statement["count"] for statement in found["statements"]) == asked
        assert {statement["type"] for statement in found["statements"]} == {kind}
    found = json.loads(run("stats", "--json", "--top", "1000", "--type", "FAILURE", *pair(name)).out)
    assert sum(statement["failures"] for statement in found["statements"]) == whole["messages"][
        "response"
    ].get("FAILURE", 0)


@pytest.mark.parametrize("selection", [Selection(min_latency=0), Selection(frozenset({"ROWS"}), whole=True)])
def test_a_long_answer_is_counted_whole(selection: Selection) -> None:
    recording, now = Recording(), 10**18
    recording.add(Side.CLIENT, HANDSHAKE + QUERY, now)
    frames = [RowsResponse(["a"], [1], [(1,)], [(n,)], has_more=n < 999).encode() for n in range(1000)]
    for frame in frames:
        recording.add(Side.SERVER, frame, now + 1)
    assert len(frames) > MAX_HELD
    counted = Statistics().add_all(selection(items(recording.source(), count_rows=True)))
    assert counted.messages == {("request", "QUERY_SQL"): 1, ("response", "ROWS"): 1000}
    assert counted.answer_bytes == sum(map(len, frames))
    assert [(s.rows, s.frames) for s in counted.statements.values()] == [(1000, 1000)]


def test_wrong_selections_are_wrong_use() -> None:
    for options in (["--type", "NOPE"], ["--grep", "("], ["--every", "0"], ["--every", "nan"], ["-c", "x"]):
        assert run("stats", *options, *pair("1.18.1-basics-0")).code == Exit.USAGE


# ---------------------------------------------------------------- widths

SIMILAR = st.builds(
    "".join,
    st.lists(
        st.sampled_from(["SELECT ", "a", "b", ", ..", "FROM t ", "\n", "\x1b", "…", " #2", "x" * 50]),
        max_size=12,
    ),
)


@given(st.lists(SIMILAR, max_size=30, unique=True), st.integers(8, 90))
def test_texts_that_are_cut_stay_apart(texts: list[str], width: int) -> None:
    shown = apart(texts, width)
    assert len(set(shown)) == len(texts)
    assert max(map(len, shown), default=0) <= width
    assert all(short == text for short, text in zip(shown, texts, strict=True) if len(text) <= width)


@given(st.text(max_size=50), st.integers(0, 60))
def test_the_middle_is_cut(text: str, width: int) -> None:
    shown = middle(text, width)
    assert len(shown) == min(len(text), width)
    assert shown == text or "…" in shown or not width


COLUMNS = ", ".join(f"a_table_of_ours.column_{n} AS a_table_of_ours_column_{n}" for n in range(30))
STATEMENTS = [
    *(
        f"SELECT {COLUMNS} FROM a_table_of_ours WHERE a_table_of_ours.{name} = 1"
        for name in ("id", "name", "b")
    ),
    *(
        f"SELECT {COLUMNS}, {n} + c{n} FROM a_table_of_ours ORDER BY a_table_of_ours_column_1"
        for n in range(4)
    ),
    *(
        f"INSERT INTO instances_{name} (instance_id, key, value) VALUES (1, 2, 3)"
        for name in ("config", "devices")
    ),
    "SELECT id FROM instances",
    "DELETE FROM instances WHERE a = 1",
    "PRAGMA user_version",
]


def talk() -> Recording:
    """Every statement in a loop; some fail, and the last one is never answered."""
    recording, now, chance = Recording("a:1", "b:1"), 10**18, random.Random(1)
    recording.add(Side.CLIENT, HANDSHAKE, now)
    for number, sql in enumerate(STATEMENTS):
        for _ in range(11 + number):
            now += 10**6
            recording.add(Side.CLIENT, QuerySqlRequest(0, sql).encode(), now)
            now += round(10**5 * chance.random()) * 10 ** chance.randint(1, 5)
            answer = RowsResponse(["a"], [1], [(1,)] * 3, [(1,)] * 3)
            recording.add(
                Side.SERVER, (answer if number != 8 else FailureResponse(5, "locked")).encode(), now
            )
    recording.add(Side.CLIENT, QuerySqlRequest(0, STATEMENTS[0]).encode(), now)
    return recording


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("width", [40, 47, 61, 80, 100, 132, 160])
def test_nothing_vanishes_on_a_narrow_terminal(width: int, timed: bool) -> None:
    recording = talk()
    recording.connection.timed = timed
    statistics = Statistics().add_all(items(recording.source(), count_rows=True))
    lines = list(report(statistics, width=width))
    assert max(map(len, lines)) <= width
    words = " ".join(" ".join(lines).split())
    for name in (
        "count",
        "rows",
        "frames",
        "failed",
        *(("total", "p50", "p95", "p99", "%") if timed else ()),
    ):
        assert re.search(rf"(?<!\w){name}(?!\w)", words), name
    for statement in statistics.statements.values():
        assert str(statement.count) in words
        if timed:
            for share in (0.5, 0.95, 0.99):
                assert duration(statement.latency.quantile(share)) in words
    assert "longest" in words
    assert "after" in words
    assert "SQLITE_BUSY: locked" in words
    assert "retry: yes, here, after a pause" in words
    tables = "\n".join(lines).split("\n\n")
    texts = [" ".join(block.split()) for block in _texts(tables[1])]
    assert len(texts) == len(STATEMENTS)
    assert len({*texts}) == len(texts), texts


def _texts(shown: str) -> Iterator[str]:
    """The statements of a table, whatever its layout."""
    block: list[str] = []
    for line in shown.splitlines()[1:]:
        text = re.search(r"(?:^| {2,})((?:SELECT|INSERT|DELETE|PRAGMA).*)", line)
        if text:
            if block:
                yield " ".join(block)
            block = [text[1]]
        elif (
            block
            and not re.match(r"^ *(count )?\d+", line)
            and not re.match(r"^ {4}(\w+ )?(\d|%|p\d|rows|failed)", line)
        ):
            block.append(line)
    if block:
        yield " ".join(block)


def test_long_statements_that_differ_in_the_middle_are_counted_apart() -> None:
    statistics = Statistics().add_all(items(talk().source(), count_rows=True))
    assert sorted(s.count for s in statistics.statements.values()) == sorted(
        count + (number == 0) for number, count in enumerate(range(11, 11 + len(STATEMENTS)))
    )
    assert max(map(len, statistics.statements)) <= 500


@pytest.mark.parametrize("columns", ["40", "80", "132"])
def test_on_a_terminal(columns: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(as_pcap(segments(named("1.18.1-basics-0"))))
    painted = on_terminal("stats", path, COLUMNS=columns)
    plain = on_terminal("stats", path, COLUMNS=columns, NO_COLOR="1")
    assert "\x1b[1m" in painted
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[\d*m", "", painted) == plain
    assert max(map(len, plain.splitlines())) <= int(columns)
