"""The blocks of docs/guides/traffic.md that no other test runs."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from dqlitewire import ValueType
from dqlitewire.messages import ExecSqlRequest, FailureResponse, QuerySqlRequest, RowsResponse
from dqlitewire.testing import DqliteServer
from tests.docs.blocks import Block, blocks
from tests.docs.recorded import HANDSHAKE, transcript
from tests.docs.running import run_python
from tests.traffic import between_nodes, wire
from tests.traffic.captured import as_pcap, named, segments
from tests.traffic.command import run

PAGE = "docs/guides/traffic.md"


def block(text: str, language: str = "") -> Block:
    """The one block with this text."""
    (found,) = (block for block in blocks(PAGE, language) if text in block.text)
    return found


def in_one(text: str) -> list[str]:
    """The lines, with one blank for many."""
    return [" ".join(line.split()) for line in text.splitlines()]


def rows(count: int) -> RowsResponse:
    return RowsResponse(["a"], [ValueType.INTEGER], [[ValueType.INTEGER]] * count, [[1]] * count)


@pytest.fixture
def capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A folder with the capture of a real session, which is returned too."""
    monkeypatch.chdir(tmp_path)
    packets = as_pcap(segments(named("1.18.7-basics-0")))
    Path("trace.pcap").write_bytes(packets)
    return packets


def test_lines_of_decode(tmp_path: Path) -> None:
    path = transcript(
        tmp_path / "shown.dqt",
        [
            (0, "request", HANDSHAKE),
            (0.000212, "request", QuerySqlRequest(0, "SELECT a FROM t WHERE b = ?", [7])),
            (0.000894, "response", rows(2)),
        ],
    )
    assert in_one(run("decode", path).out) == in_one(block("-- connection 1").text)


def test_lines_between_nodes(tmp_path: Path) -> None:
    path = tmp_path / "cluster.pcap"
    path.write_bytes(wire.pcap(between_nodes.packets("1.18.7"), nanoseconds=True))
    shown = block("raft of node").text.splitlines()
    done = run("decode", "-c", "5", "-c", "6", "--width", "108", path)
    assert done.out.splitlines()[: len(shown)] == shown


def test_statements_of_stats(tmp_path: Path) -> None:
    talk: list[tuple[float, str, object]] = [(0, "request", HANDSHAKE)]
    at = 0.0

    def ask(request: object, answer: object, seconds: float) -> None:
        nonlocal at
        talk.append((round(at, 6), "request", request))
        at += seconds
        talk.append((round(at, 6), "response", answer))
        at += 0.001

    for number in range(361):
        select = QuerySqlRequest(0, f"SELECT * FROM lines WHERE order_id = {number}")
        ask(select, rows(3), 0.0024 + number % 7 / 10_000)
    for number in range(30):
        insert = ExecSqlRequest(0, "INSERT INTO config(id, key) VALUES (?, ?)", [number, "a"])
        refused = FailureResponse(2067, "UNIQUE constraint failed: config.key")
        ask(insert, refused, 0.0019 + number % 3 / 10_000)
    path = transcript(tmp_path / "busy.dqt", talk)  # type: ignore[arg-type]
    shown = block("statements by total").text
    done = run("stats", "--width", "108", path)
    assert shown in done.out, done.out


def test_the_first_commands(capture: bytes) -> None:
    session = blocks(PAGE, "console")[0].text
    commands = [line[2:].partition("  #")[0].strip() for line in session.splitlines()]
    recorded = 0
    with DqliteServer() as server:
        for command in commands:
            first, *rest = (shlex.split(part) for part in command.split(" | "))
            if first[0] == "tcpdump":
                recorded += 1
                understood(first)
                if not rest:
                    continue
            piped = first[0] == "tcpdump"
            words = [word.replace("10.0.0.1:9001", server.address) for word in (rest[0] if piped else first)]
            words += ["--once"] if words[1] == "top" else []
            done = run(*words[1:], stdin=capture if piped else b"")
            assert done.code == 0, (command, done)
            assert done.out, command
    assert (recorded, len(commands)) == (3, 10)


def understood(tcpdump: list[str]) -> None:
    """Let tcpdump compile the filter, for which it needs no rights."""
    if shutil.which("tcpdump"):
        command = ["tcpdump", "-y", "EN10MB", "-d", tcpdump[-1]]
        subprocess.run(command, check=True, capture_output=True, timeout=300)


def test_the_commands_of_probe(tmp_path: Path) -> None:
    text = block("--upgrade /internal/database", "console")
    steps = [shlex.split(command) for command, _ in text.steps()]
    assert len(steps) == 5
    store = tmp_path / "cluster.yaml"
    with DqliteServer() as server:
        store.write_text(f"- Address: {server.address}\n  ID: 1\n  Role: 0\n")
        for words in steps:
            if "--upgrade" in words:  # how a certificate is asked for is tests/proxy/test_howto.py's
                assert run(*words[1:]).code == 3  # no such files here
                continue
            here = [str(store) if word.endswith("cluster.yaml") else word for word in words[1:]]
            here = [server.address if word[:5] == "10.0." else word for word in here]
            assert run(*here).code == 0, words


def test_what_is_typed_for_completion() -> None:
    (typed,) = blocks(PAGE, "bash")
    for line in typed.text.splitlines():
        shell = line.partition("--show-completion ")[2].split()[0].rstrip(")\"'")
        assert shell in run("--show-completion", shell).out
        assert (f".{shell}rc" in line) or (f"/{shell}/" in line)


def test_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cluster.pcap").write_bytes(wire.pcap(between_nodes.packets("1.18.7"), nanoseconds=True))
    (typed,) = blocks(PAGE, "indented")
    decode, sqlite = typed.text.splitlines()
    assert run(*shlex.split(decode.partition(" > ")[0])[1:]).code == 0
    program, path, sql = shlex.split(sqlite)
    assert (program, path.partition("/")[0]) == ("sqlite3", "pages")
    (database,) = {path.stem for path in Path("pages").iterdir()} - {"index"}
    with closing(sqlite3.connect(Path("pages") / database)) as copy:
        (table,) = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert copy.execute(sql.replace("word", table)).fetchall()


def test_the_code(capture: bytes) -> None:
    names = {"frame": QuerySqlRequest(0, "SELECT 1").encode()}
    printed = run_python(blocks(PAGE, "python"), names).splitlines()
    assert any("SELECT" in line for line in printed)
    assert names["span"].error is None  # type: ignore[attr-defined]
