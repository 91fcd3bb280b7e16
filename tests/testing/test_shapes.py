"""A result has the shape of the statement as it runs, whatever was asked before, and by whom.

What real nodes do is in the dialogue (`_shapes`).  Here: what the server remembers of a text changes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dqlitewire.testing.node.connection as connection_module
from dqlitewire.constants import NodeRole
from dqlitewire.servers.releases import RELEASES
from dqlitewire.testing import DqliteServer
from dqlitewire.testing.node.cluster import Member
from dqlitewire.testing.node.connection import Connection
from dqlitewire.testing.node.engine import Engine
from dqlitewire.testing.node.errors import SqlFailure
from dqlitewire.testing.node.session import Session
from dqlitewire.testing.node.statement import Statement
from dqlitewire.testing.node.statement_cache import StatementCache
from tests.real.raw import RawConnection, frame, text, word
from tests.testing.dialogue import EXEC, EXEC_SQL, FINALIZE, OPEN, PREPARE, QUERY, QUERY_SQL

TEXTS = [
    "SELECT * FROM t",
    "SELECT * FROM t WHERE 0",
    "SELECT a FROM t",
    "SELECT c FROM t",
    "SELECT t.*, u.* FROM t, u",
    "SELECT * FROM u",
    "SELECT sum(a) FROM t",
    "INSERT INTO t(a) VALUES (1)",
    "INSERT OR ROLLBACK INTO t(a, b) VALUES (1, 'same')",
    "INSERT INTO u SELECT * FROM t",
    "DELETE FROM t",
    "CREATE TABLE t (a, b UNIQUE)",
    "CREATE TABLE t (a DATE, c)",
    "CREATE TABLE IF NOT EXISTS u (x)",
    "CREATE TEMP TABLE t (hidden)",
    "CREATE VIEW u AS SELECT * FROM t",
    "ALTER TABLE t ADD COLUMN c",
    "ALTER TABLE t RENAME COLUMN a TO c",
    "ALTER TABLE t RENAME COLUMN c TO a",
    "ALTER TABLE t DROP COLUMN b",
    "ALTER TABLE t RENAME TO u",
    "DROP TABLE t",
    "DROP TABLE temp.t",
    "DROP TABLE u",
    "DROP VIEW u",
    "CREATE INDEX i ON t(a)",
    "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u VALUES (7); END",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "RELEASE s",
    "VACUUM",
    "REINDEX",
    "PRAGMA table_info(t)",
    "PRAGMA writable_schema=1",
    "SELECT name FROM pragma_table_info('t')",
    "SELECT 1; SELECT 2",
    "EXPLAIN QUERY PLAN SELECT * FROM t",
]
WAYS = ("exec_sql", "query_sql", "prepare", "exec", "query", "finalize")
SIDES = st.integers(0, 1)
STEPS = st.one_of(
    st.tuples(SIDES, st.just("query_sql"), st.sampled_from(TEXTS[:6]), st.just(0)),
    st.tuples(SIDES, st.just("exec_sql"), st.sampled_from(TEXTS[7:]), st.just(0)),
    st.tuples(SIDES, st.sampled_from(WAYS), st.sampled_from(TEXTS), st.integers(0, 3)),
)


class NoMemory(StatementCache):
    """Remembers nothing."""

    def find(self, sql: str) -> None:
        return None


def request(way: str, sql: str, statement: int) -> bytes:
    if way in ("exec_sql", "query_sql", "prepare"):
        kind = {"exec_sql": EXEC_SQL, "query_sql": QUERY_SQL, "prepare": PREPARE}[way]
        return frame(kind, word(0) + text(sql))
    kind = {"exec": EXEC, "query": QUERY, "finalize": FINALIZE}[way]
    return frame(kind, struct.pack("<II", 0, statement))


class Pair:
    """Two connections to one engine, without sockets."""

    def __init__(self, generation: str, forgets: bool) -> None:
        self.engine = Engine(RELEASES[generation])
        member = Member(1, "here", NodeRole.VOTER, live=True)
        self.engine.cluster.join(member)
        self.engine.cluster.set_leader(member)
        self.sessions = [self.engine.connect(member) for _ in range(2)]
        for session in self.sessions:
            session.receive(word(1))
            self.answer(session, frame(OPEN, text("main") + word(0) + text("")))
            workspace = session._desk.workspace
            assert workspace is not None
            if forgets:
                workspace._connection._cache = NoMemory()

    @staticmethod
    def answer(session: Session, data: bytes) -> list[bytes]:
        session.receive(data)
        frames = []
        while (sent := session.step()) is not None:
            frames.append(sent)
        return frames


@pytest.mark.parametrize("generation", ["1.11.1", "1.18.7"])
@settings(max_examples=50)
@given(steps=st.lists(STEPS, min_size=10, max_size=40))
def test_what_is_remembered_of_a_text_changes_no_answer(
    generation: str, steps: list[tuple[int, str, str, int]]
) -> None:
    pairs = [Pair(generation, forgets) for forgets in (False, True)]
    try:
        for number, way, sql, statement in [(0, "exec_sql", "CREATE TABLE t (a, b UNIQUE)", 0), *steps]:
            data = request(way, sql, statement)
            mine, plain = [pair.answer(pair.sessions[number], data) for pair in pairs]
            assert mine == plain, (number, way, sql)
    finally:
        for pair in pairs:
            pair.engine.close()


@pytest.fixture
def client() -> Iterator[RawConnection]:
    with DqliteServer() as server, RawConnection(server.address) as client:
        client.open("main")
        yield client
        assert server.errors == []


def names(client: RawConnection, sql: str) -> list[bytes]:
    body = client.query_sql(sql)[0].body
    (count,) = struct.unpack_from("<Q", body)
    return body[8:].replace(b"\0", b" ").split()[:count]


@pytest.mark.parametrize("repeated", [1, 3])
def test_the_same_text_after_a_change(client: RawConnection, repeated: int) -> None:
    client.exec_sql("CREATE TABLE t (a, b)")
    for change, expected in (
        ("ALTER TABLE t ADD COLUMN c", b"a b c"),
        ("ALTER TABLE t RENAME COLUMN a TO z", b"z b c"),
        ("DROP TABLE t; CREATE TABLE t (other)", b"other"),
        ("DROP TABLE t; CREATE VIEW t AS SELECT 1 AS one, 2 AS two", b"one two"),
        ("DROP VIEW t; CREATE VIEW t AS SELECT 3 AS three", b"three"),
    ):
        for _ in range(repeated):
            names(client, "SELECT * FROM t") if repeated > 1 else None
        client.exec_sql(change)
        for _ in range(repeated):
            assert names(client, "SELECT * FROM t") == expected.split()


def texts(*words: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words), max_size=8).map("".join)


@given(
    texts(
        *("SELECT 1", "INSERT INTO t VALUES ('a;b'')', \"x;\")", "CREATE TABLE x (a)", "EXPLAIN QUERY PLAN "),
        *("CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; DELETE FROM t; END", "CREATE TEMP TRIGGER "),
        *(";", "; ", ";\n", "--;\n", "/*;*/", "/*;", "[;]", "`;`", "';", "$a(;)", "@b::c(;", " ", "(", ")"),
    )
)
def test_of_a_text_enough_is_read_for_its_next_statement(sql: str) -> None:
    pair = Pair("1.18.7", False)
    pair.answer(pair.sessions[0], request("exec_sql", "CREATE TABLE t (a, b)", 0))
    workspace = pair.sessions[0]._desk.workspace
    assert workspace is not None
    connection = workspace._connection

    def outcome(prepare: Callable[..., Statement | None], *words: object) -> object:
        try:
            statement = prepare(*words)
        except SqlFailure as failure:
            return failure.args
        return statement and (statement.sql, statement.offset, statement.readonly)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection_module, "_PIECE", 1)
        try:
            for at in (0, *(at + 1 for at, sign in enumerate(sql) if sign == ";")):
                assert outcome(connection.prepare_at, sql, at) == outcome(connection.prepare, sql[at:])
        finally:
            pair.engine.close()


def test_a_text_of_many_statements_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pair, given_, prepare = Pair("1.18.1", False), [0], Connection.prepare

    def counted(connection: Connection, sql: str) -> Statement | None:
        given_[0] += len(sql)
        return prepare(connection, sql)

    monkeypatch.setattr(Connection, "prepare", counted)
    sql = "SELECT 1 WHERE 0; " * 1000 + "SELECT 1 AS [;] WHERE 0; " * 100
    (answer,) = pair.answer(pair.sessions[0], request("exec_sql", sql, 0))
    assert answer[4] == 6
    assert given_[0] < 1100 * 1200
    pair.engine.close()


@given(st.lists(st.integers(0, 6)))
def test_a_statement_gets_the_lowest_free_id(steps: list[int]) -> None:
    pair = Pair("1.18.1", False)
    taken: list[bool] = []  # as src/lib/registry.h: only the last slot goes with its statement
    try:
        for step in steps:
            if step < len(taken) and taken[step]:
                pair.answer(pair.sessions[0], request("finalize", "", step))
                taken[step] = False
                if step == len(taken) - 1:
                    taken.pop()
            else:
                (answer,) = pair.answer(pair.sessions[0], request("prepare", "SELECT 1", 0))
                if False not in taken:
                    taken.append(False)
                assert int.from_bytes(answer[12:16], "little") == taken.index(False)
                taken[taken.index(False)] = True
    finally:
        pair.engine.close()


def test_memory_is_bounded() -> None:
    pair = Pair("1.18.1", False)
    for number in range(500):
        pair.answer(pair.sessions[0], request("query_sql", f"SELECT {number}", 0))
        pair.answer(pair.sessions[0], request("query_sql", f"/* {'x' * 5000} */ SELECT {number}", 0))
    workspace = pair.sessions[0]._desk.workspace
    assert workspace is not None
    known = workspace._connection._cache._kept
    assert len(known) <= 128
    assert max(map(len, known)) <= 4096
    pair.engine.close()
