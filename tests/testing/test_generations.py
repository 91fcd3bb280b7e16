"""What 1.18.6 does otherwise, as its source says: no real node of it runs here."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.real.raw import Frame, RawConnection, frame, text, word
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
    speak,
    whole_dialogue,
)
from tests.testing.embedded import embedded


@pytest.fixture
def server() -> Iterator[DqliteServer]:
    with embedded(generation="1.18.6") as server:
        yield server


def call(client: RawConnection, kind: int, sql: str, *values: object, schema: int = 0) -> Frame:
    return client.call(kind, word(0) + text(sql) + encode_params(values, schema), schema)


def run(client: RawConnection, kind: int, statement: int, *values: object) -> Frame:
    return client.call(kind, struct.pack("<II", 0, statement) + encode_params(values, 0))


def test_the_whole_dialogue_is_answered() -> None:
    with DqliteServer(generation="1.18.6") as server:
        answers = dict(speak(whole_dialogue("1.18.6"), server.address))
        assert len(answers) > 900
        assert server.errors == []
        assert {hazard.kind.name for hazard in server.hazards} == {"ENDLESS_ROWS", "LONG_NAME", "OUTSIDE"}


@pytest.mark.parametrize("kind", [PREPARE, EXEC_SQL, QUERY_SQL])
def test_an_unknown_schema(client: RawConnection, kind: int) -> None:
    assert call(client, kind, "SELECT 1", schema=2).failure == (1, "unrecognized schema version")


def test_rows_in_exec(client: RawConnection) -> None:
    words = (1, "rows yielded when none expected for EXEC request")
    assert call(client, EXEC_SQL, "SELECT 1").failure == words
    call(client, PREPARE, "SELECT 1")
    assert run(client, EXEC, 0).failure == words


def test_statements_take_the_next_values(server: DqliteServer, client: RawConnection) -> None:
    sql = "INSERT INTO t(b) VALUES (?); INSERT INTO t(b) VALUES (?); INSERT INTO t(b) VALUES (?)"
    for values in ((1, 2), (3, 4, 5, 6)):
        assert call(client, EXEC_SQL, sql, *values).kind == 6
    rows = server.run_sql("main", "SELECT b FROM t")
    assert rows == [(1,), (2,), (None,), (3,), (4,), (5,)]


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


def test_returning(server: DqliteServer, client: RawConnection) -> None:
    (answer,) = client.query_sql("INSERT INTO t(b) VALUES ('x'), ('y') RETURNING a")
    assert answer.body == word(1) + text("a") + (word(1) + word(1)) + (word(1) + word(2)) + b"\xff" * 8
    assert server.run_sql("main", "SELECT count(*) FROM t") == [(2,)]
    assert server.hazards == []


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


def test_a_busy_write_through_query_sql_reads_as_a_tail(server: DqliteServer, client: RawConnection) -> None:
    with RawConnection(server.address) as writer:
        writer.open("main")
        writer.exec_sql("BEGIN IMMEDIATE")
        (answer,) = client.query_sql("INSERT INTO t(b) VALUES (1)")
        assert answer.body == word(1) + text("nonempty statement tail")
        assert call(client, EXEC_SQL, "INSERT INTO t(b) VALUES (1)").failure == (5, "database is locked")
        call(client, PREPARE, "INSERT INTO t(b) VALUES (1)")
        assert run(client, QUERY, 0).body == word(5) + text("database is locked")


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


def test_dump(client: RawConnection) -> None:
    assert client.call(DUMP, text("nothing")).failure == (1002, "database does not exists")
    client.exec_sql("INSERT INTO t(b) VALUES ('in the WAL until now')")
    (name, main), wal = files(client.call(DUMP, text("main")).body)
    assert (name, wal) == ("main", ("main-wal", b""))
    assert main.startswith(b"SQLite format 3\0")
    assert b"in the WAL until now" in main


def test_followers_refuse_open() -> None:
    with DqliteCluster(2, generation="1.18.6") as cluster, RawConnection(cluster.nodes[1].address) as client:
        answer = client.call(OPEN, text("main") + word(0) + text(""))
        assert answer.failure == (10250, "not leader")


def test_an_empty_text_keeps_the_result(client: RawConnection) -> None:
    client.exec_sql("INSERT INTO t(a) VALUES (7)")
    assert client.exec_sql("-- nothing") == (7, 1)
