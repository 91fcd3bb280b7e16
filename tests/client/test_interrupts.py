"""Ctrl-C at any line of the client: nothing is executed twice, and what comes next gets its own answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from linecache import getline
from math import inf
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from dqlitewire import client as package
from dqlitewire.client import Client, ClientError, connect
from dqlitewire.client.connection import Connection
from dqlitewire.dial import sockets
from dqlitewire.testing import DqliteServer
from tests.profiles import DEEP

NAME = "test.db"
FOLDER = str(Path(package.__file__).parent)
POINTS = 5  # at which it strikes, of each piece of work; all lines in a deep run
ENDLESS = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT i FROM r"


@pytest.fixture
def server() -> Iterator[DqliteServer]:
    with DqliteServer() as server:
        server.run_sql(NAME, "CREATE TABLE t (key INTEGER)")
        yield server
        assert server.errors == []


def lines_until(line: float, call: Callable[[], object]) -> int:
    """Call, and raise KeyboardInterrupt at a line of the client; return how many lines ran before."""
    ran = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal ran
        path = frame.f_code.co_filename
        if not path.startswith(FOLDER) and path != sockets.__file__:
            return None
        # a tracer meets the line of a `with` once more when its block is over, where no signal is handled
        if event == "line" and not getline(path, frame.f_lineno).lstrip().startswith("with "):
            if ran >= line:
                sys.settrace(None)
                raise KeyboardInterrupt
            ran += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(KeyboardInterrupt):
            call()
    finally:
        sys.settrace(before)
    return ran


def insert(client: Client) -> None:
    client.execute("INSERT INTO t VALUES (1)")


def insert_in_a_transaction(client: Client) -> None:
    client.execute("BEGIN")
    insert(client)
    client.execute("COMMIT")


def leave_rows(client: Client) -> None:
    for _ in client.query(ENDLESS):
        break
    insert(client)


def dump(client: Client) -> None:
    client.dump()
    insert(client)


def reconnect(client: Client) -> None:
    client.open(NAME)
    insert(client)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # where a generator is closed
@pytest.mark.parametrize("work", [insert_in_a_transaction, leave_rows, dump, *DEEP * [insert, reconnect]])
def test_wherever_it_strikes(work: Callable[[Client], None], server: DqliteServer) -> None:
    with connect(server.address, NAME, timeout=20) as client:
        total = lines_until(inf, lambda: work(client))
    for line in range(0, total, 1 if DEEP else total // POINTS):
        server.run_sql(NAME, "DELETE FROM t")
        with connect(server.address, NAME, timeout=20) as client:
            lines_until(line, lambda: work(client))
            with suppress(ClientError):  # a transaction that is lost, which is told once
                client.execute("ROLLBACK")
            assert list(client.query("SELECT 'its own'")) == [("its own",)], line
            client.execute("INSERT INTO t VALUES (2)")
        keys = [key for (key,) in server.run_sql(NAME, "SELECT key FROM t ORDER BY key")]
        assert keys in ([1, 2], [2]), line


def test_a_begin_whose_answer_nobody_waited_for(
    server: DqliteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or what is acknowledged next would be in a transaction that nobody knows of."""
    with connect(server.address, NAME, timeout=20) as client:
        with monkeypatch.context() as patched:
            patched.setattr(Connection, "event", interrupt)
            with pytest.raises(KeyboardInterrupt):
                client.execute("BEGIN")
        with suppress(ClientError):
            client.nodes()
        client.execute("INSERT INTO t VALUES (1)")
    assert server.run_sql(NAME, "SELECT key FROM t") == [(1,)]


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt
