"""The blocks of docs/guides/testing.md: examples, commands, what is said of a script that is not followed."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.cli import serve
from dqlitewire.client import StatementFailed, connect
from dqlitewire.constants import RequestType
from dqlitewire.faults import UnusedFaultError
from dqlitewire.messages import DbResponse, ExecSqlRequest, OpenRequest
from dqlitewire.testing import DqliteServer
from dqlitewire.testing.script import ScriptedServer, ScriptError, expect, send
from dqlitewire.testing.script_session import Step
from tests.docs.blocks import blocks
from tests.docs.running import run_python
from tests.real.raw import RawConnection
from tests.traffic.command import run

PAGE = "docs/guides/testing.md"
PYTHON = blocks(PAGE, "python")
NEVER_HIT, SCRIPT = blocks(PAGE, "")


class Driver:
    """A client that repeats what was not executed, as the example takes for given."""

    def __init__(self, address: str) -> None:
        self._client = connect(address, "test", retry=False)

    def close(self) -> None:
        self._client.close()

    def execute(self, sql: str) -> None:
        for _ in range(2):
            with contextlib.suppress(StatementFailed):
                self._client.execute(sql)
                return
        self._client.execute(sql)


def test_the_first_example_and_its_record() -> None:
    first, _, requests, _ = PYTHON
    kept: list[DqliteServer] = []

    class Kept(DqliteServer):
        def __init__(self) -> None:
            super().__init__()
            kept.append(self)

    drivers: list[Driver] = []

    def driver(address: str) -> Driver:
        drivers.append(Driver(address))
        return drivers[-1]

    names: dict[str, Any] = {"connect": driver}
    run_python([first], names)
    names["DqliteServer"] = Kept
    names["test_busy_is_retried"]()
    with DqliteServer() as server:
        server.run_sql("test", "CREATE TABLE t (a)")
        client = driver(server.address)
        client.execute("INSERT INTO t VALUES (1)")
        run_python([requests], {"server": server, "RequestType": RequestType})
    assert len(kept) == 1
    for one in drivers:
        one.close()


def test_a_fault_that_never_hits() -> None:
    server = DqliteServer(strict=True)
    server.start()
    with RawConnection(server.address) as client:
        client.open("main")
        server.fail_next(5, on="QUERY")
        for _ in range(3):
            client.query_sql("SELECT 1")
    with pytest.raises(UnusedFaultError) as raised:
        server.stop()
    assert str(raised.value) == NEVER_HIT.text.rstrip()


def test_the_script() -> None:
    said: list[bytes] = []

    def drive(address: str) -> None:
        with RawConnection(address) as client:
            client.open("main")
            client.send(ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [1]).encode())
            said.append(client.receive(3))

    run_python([PYTHON[3]], {"drive": drive})
    assert said == [b"\xff" * 3]
    shown = SCRIPT.text.rstrip()
    steps: list[Step] = [expect(OpenRequest), send(DbResponse(0))]
    wanted = expect(ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [1, "x"]))

    def play() -> None:
        with ScriptedServer(*steps, wanted) as scripted, RawConnection(scripted.address) as client:
            client.open("main")
            client.send(ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [2, "x"]).encode())
            assert client.closed_by_peer()

    with pytest.raises(ScriptError) as raised:
        play()
    assert str(raised.value) == shown


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of each but the wait for the signal that ends it, which tests/testing/test_serve.py sends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serve, "_block_signals", set)
    monkeypatch.setattr(signal, "sigwait", lambda _: signal.SIGINT)
    with closing(sqlite3.connect("app.db")) as file:
        file.execute("CREATE TABLE t (a)")
    (session,) = blocks(PAGE, "bash")
    commands = [shlex.split(line, comments=True) for line in session.text.splitlines()]
    assert {tuple(words[:2]) for words in commands} == {("dqlite-wire", "serve")}
    said = [run(*words[1:], "--port", "0") for words in commands]
    assert [(done.code, done.err) for done in said] == [(0, "")] * 5
    assert [done.out.count(" on 127.0.0.1:") for done in said] == [1, 1, 3, 1, 1]
    assert "database app.db (read-only)" in said[1].out
