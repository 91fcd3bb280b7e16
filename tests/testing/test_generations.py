"""What 1.18.7 does otherwise than the releases before it, on a real node and on the embedded server."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.real.moved import note
from tests.real.nodes import Cluster, Node
from tests.real.raw import DONE, Frame, RawConnection, frame, text, word
from tests.testing.dialogue import (
    DUMP,
    EXEC,
    EXEC_SQL,
    OPEN,
    PREPARE,
    QUERY,
    QUERY_SQL,
    encode_params,
    files,
)

KIND = "1.18.7"


@pytest.fixture(params=["embedded", "real"])
def address(request: pytest.FixtureRequest, real_nodes: Callable[[str], Node]) -> Iterator[str]:
    if request.param == "real":
        note(request, KIND)
        node = real_nodes(KIND)
        yield node.address
        assert node.alive(), node.log_tail()
        return
    with DqliteServer(generation=KIND) as server:
        yield server.address
        assert server.errors == []


@pytest.fixture
def client(address: str, database: str) -> Iterator[RawConnection]:
    with RawConnection(address) as client:
        client.open(database)
        client.exec_sql("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
        yield client


@pytest.fixture
def other(client: RawConnection, address: str, database: str) -> Iterator[RawConnection]:
    """A second connection to the same database."""
    with RawConnection(address) as other:
        other.open(database)
        yield other


def call(client: RawConnection, kind: int, sql: str, *values: object, schema: int = 0) -> Frame:
    return client.call(kind, word(0) + text(sql) + encode_params(values, schema), schema)


def run(client: RawConnection, kind: int, statement: int, *values: object) -> Frame:
    return client.call(kind, struct.pack("<II", 0, statement) + encode_params(values, 0))


@pytest.mark.parametrize("kind", [PREPARE, EXEC_SQL, QUERY_SQL])
def test_an_unknown_schema(client: RawConnection, kind: int) -> None:
    assert call(client, kind, "SELECT 1", schema=2).failure == (1, "unrecognized schema version")


def test_rows_in_exec(client: RawConnection) -> None:
    words = (1, "rows yielded when none expected for EXEC request")
    assert call(client, EXEC_SQL, "SELECT 1").failure == words
    call(client, PREPARE, "SELECT 1")
    assert run(client, EXEC, 0).failure == words


def test_statements_take_the_next_values(client: RawConnection) -> None:
    sql = "INSERT INTO t(b) VALUES (?); INSERT INTO t(b) VALUES (?); INSERT INTO t(b) VALUES (?)"
    for values in ((1, 2), (3, 4, 5, 6)):
        assert call(client, EXEC_SQL, sql, *values).kind == 6
    (answer,) = client.query_sql("SELECT group_concat(ifnull(b, '-')) AS b FROM t")
    assert answer.body == word(1) + text("b") + word(3) + text("1,2,-,3,4,5") + DONE


def test_bindings_are_cleared(client: RawConnection) -> None:
    call(client, PREPARE, "SELECT typeof(?1) AS x")
    assert b"integer" in run(client, QUERY, 0, 7).body
    assert b"null" in run(client, QUERY, 0).body


def test_bad_and_too_many_parameters(client: RawConnection) -> None:
    bad = word(0) + text("SELECT ?") + b"\1\x63\0\0\0\0\0\0" + word(1)
    assert client.call(EXEC_SQL, bad).failure == (1, "bind parameters")
    assert client.call(QUERY_SQL, bad).failure == (10, "leader exec failed")
    assert call(client, QUERY_SQL, "SELECT ?", 1, 2).failure == (10, "leader exec failed")
    assert call(client, EXEC_SQL, "INSERT INTO t(b) VALUES (?)", 1, 2).kind == 6


def test_a_header_longer_than_the_body_closes(client: RawConnection) -> None:
    client.send(frame(QUERY_SQL, word(0) + text("SELECT ?") + b"\x14\1\0\0\0\0\0\0"))
    assert client.closed_by_peer()


@pytest.mark.parametrize(
    "verb", ["BEGIN", "ROLLBACK", "INSERT INTO t(b) VALUES (1)", "PRAGMA foreign_keys=1"]
)
def test_query_runs_what_has_no_columns(client: RawConnection, verb: str) -> None:
    if verb == "ROLLBACK":
        client.exec_sql("BEGIN")
    (answer,) = client.query_sql(verb)
    assert (answer.kind, answer.body) == (7, word(0) + b"\xff" * 8)


def test_returning(client: RawConnection, other: RawConnection) -> None:
    (answer,) = client.query_sql("INSERT INTO t(b) VALUES ('x'), ('y') RETURNING a")
    assert answer.body == word(1) + text("a") + (word(1) + word(1)) + (word(1) + word(2)) + DONE
    (answer,) = other.query_sql("SELECT count(*) AS n FROM t")
    assert answer.body == word(1) + text("n") + word(1) + word(2) + DONE


def test_a_failing_write_in_query_has_a_count_in_front(client: RawConnection) -> None:
    client.exec_sql("INSERT INTO t(a) VALUES (1)")
    (answer,) = client.query_sql("INSERT INTO t(a) VALUES (1)")
    assert answer.failure == (1555, "UNIQUE constraint failed: t.a")
    assert answer.body.startswith(word(0) + word(1555))


def test_failures_can_be_sent_clean() -> None:
    with (
        DqliteServer(clean_failures=True) as server,
        RawConnection(server.address) as client,
    ):
        client.open("main")
        (answer,) = client.query_sql("SELECT 1 AS x, abs(-9223372036854775807 - 1) AS y")
        assert answer.body == word(1) + text("integer overflow")


def test_a_busy_write_through_query_sql_reads_as_a_tail(client: RawConnection, other: RawConnection) -> None:
    other.exec_sql("BEGIN IMMEDIATE")
    (answer,) = client.query_sql("INSERT INTO t(b) VALUES (1)")
    assert answer.body == word(1) + text("nonempty statement tail")
    assert call(client, EXEC_SQL, "INSERT INTO t(b) VALUES (1)").failure == (5, "database is locked")
    call(client, PREPARE, "INSERT INTO t(b) VALUES (1)")
    assert run(client, QUERY, 0).body == word(5) + text("database is locked")


@pytest.mark.parametrize("first", ["INSERT INTO t(b) VALUES (1)", "CREATE TEMP TABLE mine (a)"])
@pytest.mark.parametrize(
    "second",
    [
        "CREATE TABLE IF NOT EXISTS t (a)",
        "CREATE TEMP TABLE x (a)",
        "INSERT INTO t SELECT 1, 2 WHERE 0",
        "VACUUM",
    ],
)
def test_what_may_write_waits_for_who_has_written(
    client: RawConnection, other: RawConnection, first: str, second: str
) -> None:
    other.exec_sql("BEGIN")
    assert call(client, EXEC_SQL, second).kind == 6  # it has not written
    client.exec_sql("DROP TABLE IF EXISTS temp.x")
    other.exec_sql(first)
    assert call(client, EXEC_SQL, second).failure == (5, "database is locked")
    assert client.query_sql(second)[0].body == word(1) + text("nonempty statement tail")
    for reading in ("SELECT 1", "BEGIN", "COMMIT", "PRAGMA user_version"):
        assert client.query_sql(reading)[0].kind == 7
    other.exec_sql("ROLLBACK")
    assert call(client, EXEC_SQL, second).kind == 6


def test_a_later_statement_of_a_script_waits_as_long_as_it_takes(
    client: RawConnection, other: RawConnection
) -> None:
    other.exec_sql("BEGIN IMMEDIATE")
    script = "SELECT 1 WHERE 0; INSERT INTO t(b) VALUES (?); INSERT INTO t(b) VALUES (?)"
    client.send(frame(EXEC_SQL, word(0) + text(script) + encode_params((5, 6), 0)))
    client.send(frame(QUERY_SQL, word(0) + text("SELECT group_concat(b) AS b FROM t")))
    client.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.receive(1)
    client.socket.settimeout(60)
    other.exec_sql("INSERT INTO t(b) VALUES (4)")
    other.exec_sql("COMMIT")
    assert client.frame().body == word(3) + word(1)
    assert client.frame().body == word(1) + text("b") + word(3) + text("4,5,6") + DONE


@pytest.mark.parametrize("way", ["leadership", "other", "stop", "half"])
def test_a_script_that_waits_may_never_go_on(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr("dqlitewire.testing.serving.connection._ABANDONED_AFTER", 0.1)
    with DqliteServer(generation=KIND) as server, contextlib.ExitStack() as stack:
        client, other = (stack.enter_context(RawConnection(server.address)) for _ in range(2))
        client.open("main")
        other.open("main")
        other.exec_sql("CREATE TABLE t (a); BEGIN IMMEDIATE")
        client.send(frame(EXEC_SQL, word(0) + text("SELECT 1 WHERE 0; INSERT INTO t VALUES (1)")))
        assert other.exec_sql("INSERT INTO t VALUES (2)") == (1, 1)
        if way == "leadership":
            server.lose_leadership()
            assert client.frame().failure == (10506, "leadership lost")
        elif way == "other":
            other.close()
            assert client.frame().kind == 6
            assert server.run_sql("main", "SELECT a FROM t") == [(1,)]
        elif way == "half":
            client.socket.shutdown(socket.SHUT_WR)
            assert client.frame().failure == (5, "database is locked")
        else:
            server.stop()
            assert client.closed_by_peer()
        assert server.errors == []


@pytest.mark.parametrize("fault", [{"executed": True}, {"executed": False}])
def test_a_fault_strikes_a_script_that_waits(fault: dict[str, bool]) -> None:
    with DqliteServer(generation=KIND) as server, contextlib.ExitStack() as stack:
        client, other = (stack.enter_context(RawConnection(server.address)) for _ in range(2))
        client.open("main")
        other.open("main")
        other.exec_sql("CREATE TABLE t (a); BEGIN IMMEDIATE")
        server.fail_next(7, on="exec_sql", connection=1, **fault)
        script = word(0) + text("SELECT 1 WHERE 0; INSERT INTO t VALUES (1)")
        assert client.call(EXEC_SQL, script).failure[0] == 7
        server.delay(0.05, on="exec_sql", connection=1)
        client.send(frame(EXEC_SQL, script))
        other.exec_sql("COMMIT")
        assert client.frame().kind == 6
        assert client.query_sql("SELECT 1")[0].kind == 7
        assert server.errors == []


def test_a_snapshot_that_is_too_old_is_told(client: RawConnection, other: RawConnection) -> None:
    client.exec_sql("BEGIN")
    client.query_sql("SELECT * FROM t")
    other.exec_sql("INSERT INTO t(b) VALUES (1)")
    assert client.query_sql("INSERT INTO t(b) VALUES (2)")[0].failure == (517, "database is locked")
    assert call(client, EXEC_SQL, "INSERT INTO t(b) VALUES (2)").failure == (517, "database is locked")


def test_values_are_bound_when_it_is_ones_turn(client: RawConnection, other: RawConnection) -> None:
    other.exec_sql("BEGIN IMMEDIATE")
    bad = word(0) + text("INSERT INTO t(b) VALUES (?)") + b"\1\x63\0\0\0\0\0\0" + word(1)
    assert client.call(EXEC_SQL, bad).failure == (5, "database is locked")
    other.exec_sql("ROLLBACK")
    assert client.call(EXEC_SQL, bad).failure == (1, "bind parameters")


@pytest.mark.parametrize(
    "sql",
    [
        "PRAGMA wal_checkpoint",
        "PRAGMA busy_timeout",
        "PRAGMA locking_mode",
        "PRAGMA read_uncommitted",
        "PRAGMA journal_mode=DELETE",
        "PRAGMA page_size=8192",
        "PRAGMA synchronous=2",
        "PRAGMA wal_autocheckpoint=5",
        "ATTACH 'x' AS y",
    ],
)
def test_what_the_authorizer_denies(client: RawConnection, sql: str) -> None:
    assert call(client, EXEC_SQL, sql).failure == (23, "not authorized")
    assert call(client, QUERY_SQL, sql).failure == (23, "not authorized")


@pytest.mark.parametrize("sql", ["PRAGMA journal_mode", "PRAGMA page_size", "PRAGMA synchronous"])
def test_what_may_be_read(client: RawConnection, sql: str) -> None:
    assert client.query_sql(sql)[0].kind == 7


def test_dump(client: RawConnection, database: str) -> None:
    assert client.call(DUMP, text("nothing")).failure == (1002, "database does not exists")
    client.exec_sql("INSERT INTO t(b) VALUES ('in the WAL until now')")
    (name, main), wal = files(client.call(DUMP, text(database)).body)
    assert (name, wal) == (database, (f"{database}-wal", b""))
    assert main.startswith(b"SQLite format 3\0")
    assert b"in the WAL until now" in main


@pytest.mark.parametrize("real", [False, True])
def test_followers_refuse_open(real_cluster: Callable[..., Cluster], real: bool) -> None:
    with contextlib.ExitStack() as stack:
        cluster = real_cluster(KIND) if real else stack.enter_context(DqliteCluster(3, generation=KIND))
        follower = stack.enter_context(RawConnection(cluster.nodes[1].address))
        answer = follower.call(OPEN, text("main") + word(0) + text(""))
        assert answer.failure == (10250, "not leader")


def test_an_empty_text_keeps_the_result(client: RawConnection) -> None:
    client.exec_sql("INSERT INTO t(a) VALUES (7)")
    assert client.exec_sql("-- nothing") == (7, 1)
