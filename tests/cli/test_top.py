"""`top`: what it is pointed at, all of a capture at once, lines of JSON, files that grow, pipes."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.cli.refreshing import ORDERS as OFFERED
from dqlitewire.cli.subjects import SORT_KEYS
from dqlitewire.cli.terminal import _SEQUENCE
from dqlitewire.conversation import Side
from dqlitewire.messages import QuerySqlRequest, RowsResponse
from dqlitewire.proxy.recording import Recorder
from dqlitewire.testing import DqliteServer
from dqlitewire.traffic.views.live import ORDERS
from tests.profiles import DEEP
from tests.traffic.captured import ALL, as_pcap, named, segments
from tests.traffic.command import COMMAND, run
from tests.wire_data import Capture
from tools.drawn.schema import SCHEMAS

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "tests" / "captures"
HANDSHAKE = bytes([1, *bytes(7)])
ROWS = RowsResponse(["a"], [1], [(1,), (1,)], [(1,), (2,)]).encode()


def pair(name: str) -> list[str]:
    return [str(CAPTURES / f"{name}.{side}.bin") for side in ("c2s", "s2c")]


# ---------------------------------------------------------------- all of a capture


@pytest.mark.parametrize("capture", ALL if DEEP else ALL[::5], ids=lambda capture: str(capture.name))
def test_every_recorded_capture(capture: Capture) -> None:
    names = pair(capture.name)
    stats = run("stats", "--json", "--top", "20", "--sort", "count", *names)
    counted = json.loads(stats.out)
    top = run("top", "--once", "--json", *names)
    shown = json.loads(top.out)
    assert top.code == stats.code
    for key in ("connections", "garbage", "undecoded", "lost", "retries", "leaders", "unanswered", "skipped"):
        assert shown[key] == counted[key], key
    assert [{**one, "per_s": None} for one in counted["statements"]] == shown["statements"]
    assert shown["requests"] == shown["totals"]["requests"]
    assert sum(one["count"] for one in shown["failures"]) == sum(one["count"] for one in counted["failures"])
    text = run("top", "--once", "--width", "80", *names)
    assert text.code == top.code
    assert max(map(len, text.out.splitlines())) <= 80
    assert text.out.splitlines()[1].startswith(f"requests  {shown['requests']}, ")


def test_a_capture_with_times(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcap"
    path.write_bytes(as_pcap(segments(named("1.18.7-basics-0"), step=100_000_000)))
    shown = json.loads(run("top", "--once", "--json", "--sort", "latency", path).out)
    counted = json.loads(run("stats", "--json", path).out)
    assert shown["latency_ms"] == counted["latency_ms"]
    taken = counted["last_time"] - counted["first_time"]
    assert shown["window_s"] == pytest.approx(taken)
    assert shown["requests_per_s"] == pytest.approx(shown["requests"] / taken)
    assert shown["at"] == pytest.approx(counted["last_time"])
    latencies = [one["latency_ms"]["p95"] for one in shown["statements"]]
    assert latencies == sorted(latencies, reverse=True)
    assert shown["slowest"][0]["latency_ms"] == shown["latency_ms"]["max"]
    assert "2023-11-14 22:13:" in run("top", "--once", path).out.splitlines()[0]


def test_redacted_values_are_shown_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcap"
    path.write_bytes(as_pcap(segments(named("1.18.7-failures-0"))))
    plain, hidden = (run("top", "--once", "--json", *more, path).out for more in ((), ("--redact",)))
    assert "nowhere" in plain
    assert json.loads(hidden)["requests"] == json.loads(plain)["requests"]
    hidden_text = run("top", "--once", "--redact", path).out
    stats = json.loads(run("stats", "--json", "--redact", path).out)
    assert {one["message"] for one in json.loads(hidden)["failures"]} == {
        one["message"] for one in stats["failures"]
    }
    assert json.loads(hidden)["statements"][0]["statement"] in hidden_text


def test_messages_between_nodes_have_no_statements() -> None:
    paths = sorted((CAPTURES / "raft").glob("1.18.7-example-*.c2s.bin"))
    shown = json.loads(run("top", "--once", "--json", *paths).out)
    assert shown["raft_messages"] > 100
    assert {one["statement"] for one in shown["statements"]} == {"CONNECT"}
    assert f"raft      {shown['raft_messages']} messages between nodes" in run("top", "--once", *paths).out


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(HANDSHAKE + QuerySqlRequest(0, "SELECT 1").encode() + b"\xff" * 40)
    done = run("top", "--once", path)
    assert (done.code, "no dqlite" in done.out) == (1, True)


# ---------------------------------------------------------------- what it is pointed at


def test_a_file_is_a_capture_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("localhost:9001").write_bytes(as_pcap(segments(named("1.18.7-basics-0"))))
    assert json.loads(run("top", "--once", "--json", "localhost:9001").out)["watched"] == "traffic"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "'nothing': no such file, and no HOST:PORT, unix:PATH, @NAME or FILE.yaml"),
        ("localhost:0", "'localhost:0': no such file, and no HOST:PORT, unix:PATH, @NAME or FILE.yaml"),
        ("\x1b[31m", "'?[31m': no such file"),
        ("", "'': no such file"),
    ],
)
def test_what_is_neither_says_what_was_looked_for(name: str, said: str) -> None:
    done = run("top", "--once", name)
    assert (done.code, done.out) == (2, "")
    assert said.replace("?[", "\\x1b[") in done.err or said in done.err


def test_other_ways_to_be_wrong(tmp_path: Path) -> None:
    capture = tmp_path / "x.pcap"
    capture.write_bytes(as_pcap(segments(named("1.18.7-basics-0"))))
    for words, code, said in (
        ((capture, "127.0.0.1:1"), 2, "is traffic, "),
        (("--cert", "x", capture), 2, "--cert goes with nodes"),
        (("--cluster", capture), 2, "--cluster goes with nodes"),
        (("--redact", "127.0.0.1:1"), 2, "--redact goes with traffic"),
        (("--format", "raw", "@x"), 2, "--format goes with traffic"),
        ((tmp_path,), 3, "is a folder"),
        (("gone.yaml",), 3, "gone.yaml: no such file"),
        (("gone.pcap",), 3, "gone.pcap: no such file"),
        (("./trace:1",), 3, "./trace:1: no such file"),
        ((capture, tmp_path / "gone"), 3, "gone: no such file"),
        (("--interval", "0", capture), 2, "--interval"),
        (("--sort", "name", capture), 2, "'rate', 'time', 'latency', 'rows', 'failures'"),
    ):
        done = run("top", "--once", *words)
        assert (done.code, said in done.err) == (code, True), (words, done)
        assert done.out == ""


def test_the_words_that_sort_are_the_same_everywhere() -> None:
    assert tuple(ORDERS) == OFFERED == tuple(SORT_KEYS.values())
    assert not set(SORT_KEYS) & {"q", "Q"}


def test_arrows_are_no_keys() -> None:
    assert _SEQUENCE.sub(b"", b"r\x1b[A\x1bOB\x1b[1;5Cq\x1b[15~\x1b") == b"rq"


# ---------------------------------------------------------------- what goes on


class Running:
    """`top` in a process of its own."""

    def __init__(self, *words: Any, stdin: Any = subprocess.DEVNULL) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "top", *map(str, words)], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def until(self, requests: int) -> dict[str, Any]:
        while (found := self.line())["totals"]["requests"] < requests:
            pass
        return found

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err.decode()


@contextmanager
def running(*words: Any, stdin: Any = subprocess.DEVNULL) -> Iterator[Running]:
    top = Running(*words, stdin=stdin)
    try:
        yield top
    finally:
        top.process.kill()
        top.process.communicate()


class Writer:
    """Requests through a recorder, as a proxy has them."""

    def __init__(self, path: Path, max_size: int | None = None) -> None:
        self.recorder = Recorder(path, max_size=max_size)
        now = time.time_ns()
        self.recorder.opened(1, "10.0.0.1:4000", "10.0.0.2:9001", now)
        self.recorder.passed(1, Side.CLIENT, HANDSHAKE, now)
        self.count = 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.recorder.close()

    def ask(self, count: int) -> None:
        for _ in range(count):
            self.count += 1
            sql = f"SELECT a FROM t WHERE id = {self.count}"
            self.recorder.passed(1, Side.CLIENT, QuerySqlRequest(0, sql).encode(), time.time_ns())
            self.recorder.passed(1, Side.SERVER, ROWS, time.time_ns())


@pytest.mark.parametrize(
    ("max_size", "number"),
    [(4000, signal.SIGTERM), (None, signal.SIGINT)] if DEEP else [(4000, signal.SIGTERM)],
)
def test_a_recording_that_grows(tmp_path: Path, max_size: int | None, number: int) -> None:
    words = ("--json", "--interval", "0.2", tmp_path / "tap.dqt")
    with Writer(tmp_path / "tap.dqt", max_size) as writer, running(*words) as top:
        writer.ask(5)
        top.until(5)
        for total in (30, 90):
            writer.ask(total - writer.count)
            found = top.until(total)
            assert found["totals"]["requests"] == total
        assert found["statements"][0]["statement"] == "SELECT a FROM t WHERE id = ?"
        assert found["statements_in_all"] == 1
        assert found["undecoded"] == found["garbage"]["bytes"] == 0
        assert top.end(number) == (0, "")
    assert (len(list(tmp_path.glob("tap*.dqt"))) > 3) == (max_size is not None)
    whole = json.loads(run("top", "--once", "--json", *sorted(tmp_path.glob("tap*.dqt"))).out)
    assert whole["requests"] == 90


def test_a_recording_is_not_followed_into_another_one(tmp_path: Path) -> None:
    for name, count in (("left_over.dqt", 7), ("tap.dqt", 3)):
        with Writer(tmp_path / name) as writer:
            writer.ask(count)
    (tmp_path / "left_over.dqt").rename(tmp_path / "tap.1.dqt")
    with running("--json", "--interval", "0.1", tmp_path / "tap.dqt") as top:
        top.until(3)
        for _ in range(5):
            assert top.line()["totals"]["requests"] == 3
        assert top.end() == (0, "")


def test_a_recording_that_is_cut_while_it_is_followed(tmp_path: Path) -> None:
    """What comes then is not read as if it stood behind what was read."""
    path = tmp_path / "tap.dqt"
    with Writer(path) as writer:
        writer.ask(5)
    data = path.read_bytes()
    with running("--json", "--interval", "0.1", path) as top:
        top.until(5)
        os.truncate(path, 0)
        assert top.process.stdout is not None
        last = json.loads(top.process.stdout.read().splitlines()[-1])
        assert (last["totals"]["requests"], last["skipped"]) == (5, 1)
        assert last["notes"] == [f"cut to less than the {len(data)} bytes that were read: not read on"]
        assert top.process.wait(60) == 1


def test_a_pipe(tmp_path: Path) -> None:
    packets = as_pcap(segments(named("1.18.7-basics-0")))
    with running("--json", "--interval", "0.2", "-", stdin=subprocess.PIPE) as top:
        assert top.line()["requests"] == 0
        stdin = top.process.stdin
        assert stdin is not None
        stdin.write(packets)
        stdin.flush()
        found = top.until(31)
        assert found["window_s"] >= 1
        stdin.close()
        top.process.stdin = None
        assert top.process.stdout is not None
        last = json.loads(top.process.stdout.read().splitlines()[-1])
        assert (last["totals"]["requests"], top.process.wait(60)) == (31, 0)


def test_text_through_a_pipe_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcap"
    path.write_bytes(as_pcap(segments(named("1.18.7-basics-0"))))
    done = run("top", "--count", "3", "--interval", "0.1", "--width", "80", path)
    assert (done.code, done.err) == (0, "")
    assert done.out.count("top: ") == 3


def test_rates_come_to_nothing_where_nothing_comes(tmp_path: Path) -> None:
    words = ("--json", "--interval", "0.2", "--window", "1", tmp_path / "tap.dqt")
    with Writer(tmp_path / "tap.dqt") as writer, running(*words) as top:
        writer.ask(20)
        top.until(20)
        while top.line()["requests_per_s"]:
            pass
        writer.ask(5)
        assert top.until(25)["requests"] == 5
        assert top.end() == (0, "")


def test_a_pipe_with_a_name_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    words = ("--json", "--interval", "0.1", "--window", "1", path)
    with running(*words) as top, path.open("wb", buffering=0) as pipe:
        pipe.write(as_pcap(segments(named("1.18.7-basics-0"))))
        top.until(31)
        while top.line()["requests_per_s"]:  # of the past it would stand
            pass
        assert top.end() == (0, "")


def test_a_capture_of_the_past_stands_still(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcap"
    path.write_bytes(as_pcap(segments(named("1.18.7-basics-0"))))
    done = run("top", "--json", "--window", "1", "--count", "7", "--interval", "0.2", path)
    rates = [json.loads(line)["requests_per_s"] for line in done.out.splitlines()]
    assert rates[-1] == rates[-2] > 0


def test_the_reader_goes() -> None:
    with running("--json", "--interval", "0.1", CAPTURES / "1.18.7-basics-0.c2s.bin") as top:
        assert top.process.stdout is not None
        top.process.stdout.readline()
        top.process.stdout.close()
        assert top.process.wait(60) == 0
        assert top.process.stderr is not None
        assert top.process.stderr.read() == b""


# ---------------------------------------------------------------- nodes


def test_nodes_once() -> None:
    with DqliteServer() as server:
        done = run("top", "--once", "--json", server.address)
        found = json.loads(done.out)
        assert (done.code, found["watched"], found["elections"]) == (0, "nodes", 0)
        assert found["leader"]["address"] == server.address
        (node,) = found["nodes"]
        assert (node["status"], node["role"], node["missed"]) == ("healthy", "VOTER", 0)
        text = run("top", "--once", "--width", "40", server.address).out
        assert max(map(len, text.splitlines())) <= 40
        assert server.address in text


def test_a_node_that_is_gone() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    done = run("top", "--once", "--json", address)
    assert (done.code, json.loads(done.out)["nodes"][0]["status"]) == (3, "unreachable")
    with DqliteServer() as server:
        assert run("top", "--once", "--json", server.address, address).code == 5


def test_nodes_again_and_again() -> None:
    with DqliteServer() as server:
        done = run("top", "--json", "--count", "3", "--interval", "0.1", server.address)
        found = [json.loads(line) for line in done.out.splitlines()]
        assert (done.code, [one["rounds"] for one in found]) == (0, [1, 2, 3])
        assert found[-1]["nodes"][0]["round_trips_ms"]["p50"] > 0


# ---------------------------------------------------------------- the page


def test_the_page_has_every_key() -> None:
    page = (ROOT / "docs" / "guides" / "top.md").read_text()
    definitions = SCHEMAS["top"]()["$defs"]
    keys = {*definitions["traffic"]["properties"], *definitions["nodes"]["properties"]}
    assert {key for key in keys if f"`{key}`" not in page} == set()


def test_the_output_on_the_page_is_real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "guides" / "top.md").read_text()
    (command,) = re.findall(r"^\$ dqlite-wire (top --once --width .*)$", page, re.MULTILINE)
    shown = re.findall(r"^```\n(top: .*?)^```", page, re.MULTILINE | re.DOTALL)
    assert [run(*shlex.split(command)).out] == shown


def test_the_commands_on_the_page_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    packets = as_pcap(segments(named("1.18.7-basics-0")))
    Path("trace.pcap").write_bytes(packets)
    with Writer(tmp_path / "tap.dqt") as writer:
        writer.ask(3)
    page = (ROOT / "docs" / "guides" / "top.md").read_text()
    commands = re.findall(r"dqlite-wire (top [^#\n]*)", page.partition("```console\n")[2].partition("```")[0])
    assert len(commands) == 4
    with DqliteServer() as server:
        for command in commands:
            words = shlex.split(command.replace("10.0.0.1:9001", server.address))
            more = [] if "--once" in words else ["--count", "1", "--interval", "0.3"]
            done = run(*words, *more, stdin=packets)
            assert (done.code, done.err) == (0, ""), command
            assert done.out.startswith("top: ")
