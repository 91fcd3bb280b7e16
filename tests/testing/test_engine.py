"""Corners of the engine that no dialogue reaches."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from dqlitewire.testing import DqliteCluster, DqliteServer
from dqlitewire.testing.node.engine import Engine
from dqlitewire.testing.node.session import Session
from dqlitewire.testing.node.sqlite import apsw
from tests.real.raw import RawConnection, frame, text, word
from tests.testing.dialogue import ASSIGN, CONNECT, DUMP, PREPARE, QUERY, QUERY_SQL, REMOVE, files


@pytest.fixture
def server() -> Iterator[DqliteServer]:
    with DqliteServer() as server:
        yield server


def test_connect_is_raft_s(server: DqliteServer) -> None:
    with RawConnection(server.address) as peer:
        peer.send(frame(CONNECT, word(2) + text("127.0.0.1:2")) + b"raft" * 1000)
        peer.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            peer.receive(1)
    assert server.errors == []


def test_the_wal_is_checkpointed(server: DqliteServer, client: RawConnection) -> None:
    client.exec_sql("CREATE TABLE t (a)")
    sizes = []
    for _ in range(8):
        client.exec_sql("INSERT INTO t VALUES (zeroblob(1000000))")
        (_, main), (_, wal) = files(client.call(DUMP, text("main")).body)
        sizes.append(len(wal))
    assert len(main) > 4_000_000
    assert max(sizes) < 6_000_000


def test_a_prepared_statement_whose_table_went_long_ago(client: RawConnection) -> None:
    client.exec_sql("CREATE TABLE t (a, b)")
    client.ok(PREPARE, word(0) + text("SELECT * FROM t"))
    client.exec_sql("DROP TABLE t")
    for number in range(200):  # nothing remembers the statement any more
        client.query_sql(f"SELECT {number}")
    answer = client.call(QUERY, word(0))
    assert answer.failure == (1, "no such table: t")
    assert answer.body.startswith(word(2) + text("a") + text("b"))


def test_a_prepared_statement_whose_table_has_less_columns(client: RawConnection) -> None:
    client.exec_sql("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2)")
    client.ok(PREPARE, word(0) + text("SELECT * FROM t"))
    client.exec_sql("ALTER TABLE t DROP COLUMN b")
    # the names of old, as a real node gives them once
    body = client.call(QUERY, word(0)).body
    assert body == word(2) + text("a") + text("b") + word(0x51) + word(1) + word(0) + b"\xff" * 8
    body = client.call(QUERY, word(0)).body
    assert body == word(1) + text("a") + word(1) + word(1) + b"\xff" * 8


def test_semicolons_in_a_comment_take_no_time(monkeypatch: pytest.MonkeyPatch, client: RawConnection) -> None:
    asked = []
    complete = apsw.complete
    monkeypatch.setattr(apsw, "complete", lambda text: asked.append(text) or complete(text))
    for comment in ("-- {}", "/* {}", "-- {}\n{}", "/* {}\n{}", "/* {}\n\n;\n;"):
        sql = f"SELECT 1 WHERE 0 {comment.replace('{}', ';' * 5000)}"
        client.ok(PREPARE, word(0) + text(sql), 1)
        assert len(asked) <= 4, comment
        asked.clear()


def test_results_that_cannot_be_read_again(client: RawConnection) -> None:
    client.exec_sql("CREATE TABLE t (a DEFAULT 1)")
    answer = client.call(QUERY_SQL, word(0) + text("EXPLAIN QUERY PLAN SELECT 1"))
    assert answer.kind == 7


@pytest.mark.parametrize("kind", [ASSIGN, REMOVE])
def test_a_leader_that_is_no_voter_steps_down(kind: int) -> None:
    with DqliteCluster(2) as cluster, RawConnection(cluster.nodes[0].address) as client:
        client.ok(kind, word(1) + (word(1) if kind == ASSIGN else b""))
        assert cluster.leader is cluster.nodes[1]
        assert client.leader() == (0, "")  # only voters know


def test_many_kinds_of_rows(client: RawConnection) -> None:
    values = ("1", "1.5", "'x'", "x'00'", "NULL")
    columns = 6
    rows = []
    for number in range(5**columns // 4):
        digits = [number // 5**place % 5 for place in range(columns)]
        rows.append("(" + ", ".join(values[digit] for digit in digits) + ")")
    client.exec_sql("CREATE TABLE t (a, b, c, d, e, f); " + f"INSERT INTO t VALUES {', '.join(rows)}")
    frames = client.query_sql("SELECT * FROM t")
    again = client.query_sql("SELECT * FROM t")
    assert frames == again
    assert frames[-1].body.endswith(b"\xff" * 8)


def test_a_defect_ends_one_connection_and_is_told(
    server: DqliteServer, client: RawConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawConnection(server.address) as other:
        other.open("main")
        defect = ZeroDivisionError("on purpose")

        def fails(session: Session, request: int, schema: int, body: bytes) -> bytes:
            raise defect

        with monkeypatch.context() as patched:
            patched.setattr(Session, "_answer", fails)
            client.send(frame(0, word(0)))
            assert client.closed_by_peer()
        assert other.query_sql("SELECT 1")[0].kind == 7
    assert server.errors == [defect]


def test_the_engine_keeps_nothing(server: DqliteServer) -> None:
    engine: Engine = server._engine
    for number in range(50):
        with RawConnection(server.address) as client:
            client.open(f"db{number % 5}")
            client.send(frame(QUERY_SQL, word(0) + text("SELECT 1")))
            client.frame()
    assert len(engine.store._keepers) == 5
    assert len(os.listdir(engine.store.folder)) == 15  # database, WAL and index of each
    with RawConnection(server.address) as last:
        last.leader()
        assert len(engine.sessions) <= 2
