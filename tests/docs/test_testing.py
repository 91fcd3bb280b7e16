"""The blocks of docs/guides/testing.md: examples, commands, and what is said when a script is not followed."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dqlitewire import testing
from dqlitewire.client import StatementFailed, connect
from dqlitewire.constants import RequestType
from dqlitewire.faults import UnusedFaultError
from dqlitewire.messages import DbResponse, ExecSqlRequest, OpenRequest
from dqlitewire.testing import DqliteServer
from dqlitewire.testing.script import ScriptError, ScriptedServer, expect, send
from tests.docs.blocks import blocks
from tests.docs.running import run_python
from tests.real.raw import RawConnection
from tests.traffic.command import COMMAND

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
            try:
                self._client.execute(sql)
            except StatementFailed as error:
                assert error.code == 5
            else:
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
    with pytest.raises(UnusedFaultError) as raised, testing.DqliteServer(strict=True) as server:
        with RawConnection(server.address) as client:
            client.open("main")
            server.fail_next(5, on="QUERY")
            for _ in range(3):
                client.query_sql("SELECT 1")
    assert str(raised.value) == NEVER_HIT.text.rstrip()


def test_the_script() -> None:
    said: list[bytes] = []

    def drive(address: str) -> None:
        with RawConnection(address) as client:
            client.open("main")
            client.send(ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [1]).encode())
            said.append(client.socket.recv(3))

    run_python([PYTHON[3]], {"drive": drive})
    assert said == [b"\xff" * 3]
    shown = SCRIPT.text.rstrip()
    steps = [expect(OpenRequest), send(DbResponse(0))]
    wanted = expect(ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [1, "x"]))
    with pytest.raises(ScriptError) as raised, ScriptedServer(*steps, wanted) as scripted:
        with RawConnection(scripted.address) as client:
            client.open("main")
            client.send(ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [2, "x"]).encode())
            assert client.closed_by_peer()
    assert str(raised.value) == shown


def test_the_commands(tmp_path: Path) -> None:
    (session,) = blocks(PAGE, "bash")
    commands = [shlex.split(line, comments=True) for line in session.text.splitlines()]
    assert len(commands) == 5
    with closing(sqlite3.connect(tmp_path / "app.db")) as file:
        file.execute("CREATE TABLE t (a)")
    assert {tuple(words[:2]) for words in commands} == {("dqlite-wire", "serve")}
    with contextlib.ExitStack() as closing_all:  # side by side, since starting takes long
        serving = [
            closing_all.enter_context(
                subprocess.Popen(
                    [*COMMAND, *words[1:], "--port", "0"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
                )
            )
            for words in commands
        ]
        try:
            for process in serving:
                assert process.stdout is not None
                assert " on 127.0.0.1:" in process.stdout.readline(), process.args
        finally:
            for process in serving:
                process.send_signal(signal.SIGINT)
    assert [process.returncode for process in serving] == [0] * 5
