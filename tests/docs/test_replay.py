"""The blocks of docs/guides/replay.md: its commands, what they print of a difference, and its code."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.messages import ExecSqlRequest
from dqlitewire.proxy import BlockingProxy
from dqlitewire.proxy.recording import Recorder
from dqlitewire.testing import DqliteServer
from dqlitewire.testing.recordings import Recordings
from tests.docs.blocks import blocks
from tests.docs.running import run_python
from tests.real.raw import RawConnection
from tests.replay.test_command import serving
from tests.traffic.command import run

PAGE = "docs/guides/replay.md"
SERVE, DIFFERS, TO, ROWS = blocks(PAGE, "")
FIXTURE, SERVER = blocks(PAGE, "python")


def insert(address: str, value: int = 1) -> None:
    """The second of two connections: its fourth request inserts a row."""
    with RawConnection(address) as client:
        client.leader()
    with RawConnection(address) as client:
        client.open("db")
        client.exec_sql("CREATE TABLE IF NOT EXISTS t (a)")
        client.query_sql("SELECT * FROM t")
        client.send(ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [value]).encode())
        client.frame()


def record(path: Path, server: DqliteServer, session: Callable[[str], object]) -> None:
    recorder = Recorder(path)
    with BlockingProxy([f"127.0.0.1:0={server.address}"], lookers=[recorder]) as proxy:
        session(proxy.addresses[0])
    recorder.close()


def test_the_commands_and_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with DqliteServer() as server:
        record(Path("session.dqt"), server, insert)
        words = shlex.split(SERVE.text.replace(":9001", ":0"))
        with serving(*words[2:]) as (process, address):
            with pytest.raises(EOFError):
                insert(address, 2)
            said = process.communicate(timeout=60)[1]
        assert said == DIFFERS.text
        Path("cluster.yaml").write_text(f"- Address: {server.address}\n  ID: 1\n  Role: 0\n")
        for line in TO.text.splitlines():
            command = shlex.split(line.replace("10.0.0.1:9001", server.address))
            done = run(*command[1:])
            assert done.code == (1 if "--write" in command else 4), done  # the table has a row by then


def test_rows_that_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def ask(address: str) -> None:
        with RawConnection(address) as client:
            client.leader()
            client.open("db")
            client.leader()
            client.query_sql("SELECT * FROM t")

    with DqliteServer() as server:
        server.run_sql("db", "CREATE TABLE t (a, b)")
        for number in range(1, 18):
            server.run_sql("db", "INSERT INTO t VALUES (?, ?)", [number, f"row {number}"])
        record(Path("session.dqt"), server, ask)
        server.run_sql("db", "UPDATE t SET a = 2000, b = 'other' WHERE a = 17")
        done = run("replay", "session.dqt", "--to", server.address)
    assert (done.code, done.out) == (1, ROWS.text)


def test_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recordings").mkdir()
    with DqliteServer() as server:
        record(Path("session.dqt"), server, insert)
    names: dict[str, Any] = {"run_client": insert}
    run_python([SERVER], names)
    Path("recordings/books.dqt").write_bytes(Path("session.dqt").read_bytes())
    names["Callable"] = Callable
    run_python([FIXTURE], names)
    with Recordings(tmp_path, {}) as dqlite_recording:  # which the fixture of that name hands out
        names["test_books"](dqlite_recording)
