"""The rows of a query: as they come, in bounded memory, with an end that is told."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections.abc import Iterator
from math import inf, nan

import pytest

from dqlitewire import ValueType, messages
from dqlitewire.client import Client, ClientError, ConnectionFailed, StatementFailed, connect
from dqlitewire.conversation import Generation, HazardError, Outcome
from dqlitewire.dial import Deadline
from dqlitewire.faults import Fault
from dqlitewire.faults.strike import Strike
from dqlitewire.testing import DqliteServer

NAME = "test.db"
_NUMBERS = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {})"
COUNT = _NUMBERS + " SELECT i, 'text' AS b FROM r"
MANY = COUNT.format(20_000)
ENDLESS = COUNT.format(10**12)
FAILS = _NUMBERS.format(3000) + " SELECT abs(-9223372036854775807 - (i = 1500)) AS x FROM r"


class Pause(Fault):
    """Wait in the middle of an answer."""

    def frame(self, strike: Strike, data: bytes) -> bytes:
        if strike.frames == 2:
            strike.wait(600)
        return data


@pytest.fixture
def server() -> Iterator[DqliteServer]:
    with DqliteServer() as server:
        yield server
        assert (server.errors, server.hazards) == ([], [])


@pytest.fixture
def client(server: DqliteServer) -> Iterator[Client]:
    with connect(server.address, NAME, timeout=20) as client:
        yield client


def still_works(client: Client) -> None:
    assert list(client.query("SELECT 1")) == [(1,)]


def test_a_client_whose_calls_have_no_end(server: DqliteServer) -> None:
    with connect(server.address, NAME, timeout=inf) as client:
        client.execute("CREATE TABLE t (a)")
        still_works(client)
        client.dump()
    with pytest.raises(ValueError, match="seconds is nan"):
        connect(server.address, NAME, timeout=nan)


def test_columns_are_known_before_the_rows(client: Client) -> None:
    assert client.query("SELECT 1 AS a, 'x' AS a, NULL").columns == ("a", "a", "NULL")
    assert client.query("SELECT 1 AS a WHERE 0").columns == ("a",)
    result = client.query(MANY)
    assert result.columns == ("i", "b")
    assert [number for number, _ in result] == list(range(1, 20_001))
    assert list(result) == []  # it was handed out
    client.execute("CREATE TABLE t (a BOOLEAN, b DATETIME)")
    client.execute("INSERT INTO t VALUES (1, '2020-01-01')")
    (frame,) = client.query("SELECT *, x'00' AS c FROM t").frames()
    assert frame.rows == [(True, "2020-01-01", b"\0")]
    assert frame.row_types == [[ValueType.BOOLEAN, ValueType.ISO8601, ValueType.BLOB]]


def test_memory_is_bounded_by_a_piece(client: Client) -> None:
    peaks = []
    for rows in (2_000, 20_000):
        gc.collect()
        tracemalloc.start()
        assert sum(1 for _ in client.query(COUNT.format(rows))) == rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0] + 2**21


@pytest.mark.parametrize("sql", [MANY, ENDLESS, "SELECT 1 AS a UNION SELECT 2"])
def test_whoever_leaves_early_can_go_on(sql: str, client: Client) -> None:
    result = client.query(sql)
    for _ in result:
        break
    with pytest.raises(ClientError, match="before its last row"):
        list(result)
    still_works(client)
    with client.query(sql):
        pass
    still_works(client)
    unread = client.query(sql)
    still_works(client)  # the next request gives it up
    with pytest.raises(ClientError, match="before its last row"):
        next(iter(unread))
    result = client.query(sql)
    rows = iter(result)
    next(rows)
    client.interrupt()
    if sql != "SELECT 1 AS a UNION SELECT 2":
        with pytest.raises(ClientError, match="before its last row"):
            list(rows)
    still_works(client)


def test_a_transaction_survives_a_query_that_is_left_early(client: Client, server: DqliteServer) -> None:
    client.execute("CREATE TABLE t (a)")
    client.execute("BEGIN")
    client.execute("INSERT INTO t VALUES (1)")
    for _ in client.query(MANY):
        break
    client.execute("COMMIT")
    assert server.run_sql(NAME, "SELECT * FROM t") == [(1,)]


def test_a_transaction_that_does_not_survive_it_is_told(server: DqliteServer) -> None:
    with connect(server.address, NAME, timeout=60) as client:
        client.execute("CREATE TABLE t (a)")
        client.execute("BEGIN")
        client.execute("INSERT INTO t VALUES (1)")
        server.order(Pause(on="QUERY_SQL", sql="RECURSIVE"))  # as if the rest were long
        result = client.query(ENDLESS)
        rows = iter(result)
        assert next(rows) == (1, "text")
        result.deadline = Deadline(0.3)  # for its end
        with pytest.raises(ConnectionFailed, match="the transaction is lost"):
            client.execute("INSERT INTO t VALUES (2)")
        still_works(client)
    assert server.run_sql(NAME, "SELECT * FROM t") == []


def test_a_failure_comes_behind_the_rows(client: Client) -> None:
    result = client.query(FAILS)
    rows: list[object] = []
    with pytest.raises(StatementFailed) as told:
        rows.extend(result)
    assert 500 < len(rows) < 1500
    assert (told.value.code, told.value.message, told.value.outcome) == (
        1,
        "integer overflow",
        Outcome.NOT_EXECUTED,
    )
    assert told.value.explanation.name == "SQLITE_ERROR"
    assert str(told.value) == "SQLITE_ERROR (1): integer overflow"
    with pytest.raises(ClientError):
        list(result)  # nobody takes a part for the whole
    still_works(client)


def test_a_connection_that_breaks_between_rows(server: DqliteServer, client: Client) -> None:
    for order in (
        lambda: server.drop_after(2, on="QUERY_SQL"),
        lambda: server.drop_after(1, 100, reset=True, on="QUERY_SQL"),
    ):
        order()
        rows: list[object] = []
        with pytest.raises(ConnectionFailed) as told:
            rows.extend(client.query(MANY))
        assert rows
        assert told.value.outcome is Outcome.NOT_EXECUTED
        assert str(told.value).startswith(server.address)
        server.clear_faults()
        still_works(client)


def test_a_node_that_stops_between_rows(server: DqliteServer) -> None:
    with connect(server.address, NAME, timeout=60) as client:
        server.order(Pause(on="QUERY_SQL", sql="RECURSIVE"))
        with pytest.raises(ConnectionFailed, match=r"no answer within 0.4 s"):
            list(client.query(MANY, deadline=Deadline(0.4)))
        server.clear_faults()
        still_works(client)


def test_the_clock_stands_while_the_caller_has_a_row(server: DqliteServer) -> None:
    spent = 0.0  # by the caller
    clock = lambda: time.monotonic() + spent  # noqa: E731
    with connect(server.address, NAME, timeout=60) as client:
        result = client.query(MANY, deadline=Deadline(60, clock))
        spent += 50
        for number, _ in result:
            if number in (1, 10_000):
                spent += 50
        assert number == 20_000
        deadline = Deadline(60, clock)
        assert list(client.query("SELECT 1", deadline=deadline)) == [(1,)]
        left = deadline.left()
        spent += 10
        assert deadline.left() <= left - 10  # and runs when it is at its end


@pytest.mark.parametrize(
    "sql",
    ["INSERT INTO t VALUES (1) RETURNING a", "PRAGMA wal_checkpoint", "PRAGMA journal_mode = DELETE"],
)
def test_hazards_are_refused_before_anything_is_sent(sql: str, server: DqliteServer) -> None:
    with connect(server.address, NAME, timeout=20) as client:
        before = len(server.requests)
        for ask in (client.query, client.execute):
            with pytest.raises(HazardError):
                ask(sql)
        with pytest.raises(HazardError):
            client.query("SELECT 1", list(range(300)))
        assert len(server.requests) == before
        still_works(client)
    with connect(server.address, NAME, generation=Generation.V1_18_2, timeout=20) as client:
        assert client.generation is Generation.V1_18_2
        assert len(next(iter(client.query("SELECT " + ", ".join("?" * 300), list(range(300)))))) == 300


def test_texts_that_are_no_utf8_come_with_the_others(client: Client) -> None:
    assert list(client.query("SELECT CAST(x'ff41' AS TEXT) UNION ALL SELECT 'b'")) == [("\udcffA",), ("b",)]


def test_requests_that_are_not_answered_by_one_message(client: Client) -> None:
    for request in (
        messages.QuerySqlRequest(0, "SELECT 1"),
        messages.ConnectRequest(1, "x"),
        messages.HeartbeatRequest(0),
    ):
        with pytest.raises(ValueError, match="is not answered by one message"):
            client.call(request)
    assert client.call(messages.ExecSqlRequest(0, "CREATE TABLE t (a)")).rows_affected == 0


def test_a_closed_client_says_so(client: Client) -> None:
    client.close()
    client.close()
    for ask in (client.nodes, lambda: client.query("SELECT 1"), lambda: client.open("x")):
        with pytest.raises(ConnectionFailed, match="the client is closed"):
            ask()


def test_an_interrupt_leaves_the_client_usable(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    received = client._following.connection.conversation.receive  # type: ignore[union-attr]
    calls = iter(range(100))

    def interrupted(data: bytes) -> object:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return received(data)

    monkeypatch.setattr(client._following.connection.conversation, "receive", interrupted)  # type: ignore[union-attr]
    with pytest.raises(KeyboardInterrupt):
        list(client.query(COUNT.format(200_000)))
    still_works(client)


def test_nothing_is_shared_between_clients(server: DqliteServer) -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with connect(server.address, NAME, timeout=20) as client:
                for _ in range(5):
                    assert sum(1 for _ in client.query(COUNT.format(2000))) == 2000
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
