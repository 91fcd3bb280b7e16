"""Every family of FAILURE that a node can be brought to send safely, with its exact code and message.

Not here, since they abort a server or need a disk that fails: 15 (DESCRIBE format), 7, 11, 13 and 26
(SQLite's own disasters), 5 "checkpoint in progress".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from dqlitewire import Message, NodeRole, ServerFailure
from dqlitewire.exceptions import DecodeError, PoisonedError
from dqlitewire.messages import (
    AddRequest,
    AssignRequest,
    EmptyResponse,
    ExecRequest,
    ExecSqlRequest,
    FinalizeRequest,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    RemoveRequest,
    RowsResponse,
    StmtResponse,
    TransferRequest,
)
from tests.real import raw
from tests.real.nodes import KINDS, Cluster, Node
from tests.real.session import Session, failed
from tests.waiting import wait_for

SCHEMA = """
CREATE TABLE t (a INTEGER PRIMARY KEY, b UNIQUE, c CHECK (c < 100), d NOT NULL DEFAULT 0);
CREATE TABLE child (a REFERENCES t (a));
CREATE TABLE guarded (a);
CREATE TRIGGER guard BEFORE INSERT ON guarded BEGIN SELECT RAISE(ABORT, 'keep out'); END;
INSERT INTO t (a, b, c) VALUES (1, 1, 1);
"""


class Case(NamedTuple):
    name: str
    request: Message
    failure: tuple[int, str]


def exec_sql(sql: str, *params: int) -> ExecSqlRequest:
    return ExecSqlRequest(0, sql, list(params))


def query_sql(sql: str, *params: int) -> QuerySqlRequest:
    return QuerySqlRequest(0, sql, list(params))


CASES = [
    # 0: an error all the same
    Case("empty, prepare", PrepareRequest(0, ""), (0, "empty statement")),
    Case("empty, query", query_sql("-- nothing"), (0, "empty statement")),
    # 1: SQL errors, and dqlite's own for lack of a better code
    Case("syntax", exec_sql("SELEKT 1"), (1, 'near "SELEKT": syntax error')),
    Case("syntax, prepare", PrepareRequest(0, "SELECT FROM"), (1, 'near "FROM": syntax error')),
    Case("no such table", query_sql("SELECT * FROM nowhere"), (1, "no such table: nowhere")),
    Case("overflow", query_sql("SELECT abs(-9223372036854775808) AS x"), (1, "integer overflow")),
    Case("columns", query_sql("SELECT " + ",".join(["1"] * 2001)), (1, "too many columns in result set")),
    Case("own group", RemoveRequest(99), (1, "server ID is not valid")),
    Case("id in use", AddRequest(1, "127.0.0.1:1"), (1, "server ID already in use")),
    Case("same role", AssignRequest(1, NodeRole.VOTER), (1, "server role is not valid")),
    Case("unknown node", AssignRequest(99, NodeRole.VOTER), (1, "Resource not found")),
    Case("to nobody", TransferRequest(0), (1, "Resource not found")),
    Case("to itself", TransferRequest(1), (1, "server ID is not valid")),
    # 5: busy
    Case("second open", OpenRequest("other"), (5, "a database for this connection is already open")),
    # 12: no such thing on this connection
    Case("no statement", ExecRequest(0, 7), (12, "no statement with the given id")),
    Case("no statement, query", QueryRequest(0, 7), (12, "no statement with the given id")),
    Case("no statement, finalize", FinalizeRequest(0, 7), (12, "no statement with the given id")),
    Case("no database", ExecSqlRequest(5, "SELECT 1"), (12, "no database opened")),
    # 18, 20: too big, mismatch
    Case("too big", query_sql("SELECT zeroblob(2000000000) AS b"), (18, "string or blob too big")),
    Case("mismatch", exec_sql("INSERT INTO t (a) VALUES ('x')"), (20, "datatype mismatch")),
    # 19: constraints, with their extended codes
    Case("check", exec_sql("INSERT INTO t (c) VALUES (100)"), (275, "CHECK constraint failed: c < 100")),
    Case("foreign key", exec_sql("INSERT INTO child VALUES (9)"), (787, "FOREIGN KEY constraint failed")),
    Case("not null", exec_sql("INSERT INTO t (d) VALUES (NULL)"), (1299, "NOT NULL constraint failed: t.d")),
    Case("primary key", exec_sql("INSERT INTO t (a) VALUES (1)"), (1555, "UNIQUE constraint failed: t.a")),
    Case("trigger", exec_sql("INSERT INTO guarded VALUES (1)"), (1811, "keep out")),
    Case("unique", exec_sql("INSERT INTO t (b) VALUES (1)"), (2067, "UNIQUE constraint failed: t.b")),
    # 25: more parameters than the statement has
    Case("parameters", query_sql("SELECT ?", 1, 2), (25, "bind parameters")),
    # 100: rows where none were expected
    Case("rows", exec_sql("SELECT 1"), (100, "another row available")),
]

# What other servers than 1.18.1 say. 1.18.2 gave every request that runs a statement one error path, which
# passes SQLite's own codes on and calls the rest 10 (dqlite 1.18.7 src/gateway.c: handle_query_sql_done_cb).
DIFFERENT: dict[str, dict[str, tuple[int, str]]] = {
    "1.11.1": {
        # raft 0.15 has no text for it
        "unknown node": (1, "unknown error"),
        "to nobody": (1, "unknown error"),
        "parameters": (25, "column index out of range"),
    },
    "1.18.1": {},
    "1.18.7": {
        "parameters": (10, "leader exec failed"),
        "rows": (1, "rows yielded when none expected for EXEC request"),
    },
    "cowsql": {"rows": (100, "rows yielded when none expected for EXEC request")},
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_failure(real_node: Node, database: str, case: Case) -> None:
    with Session(real_node.address, database) as session:
        session.execute(SCHEMA)
        expected = DIFFERENT[real_node.kind].get(case.name, case.failure)
        assert session.failure(case.request) == expected
        # a FAILURE never costs the connection
        assert session.rows("SELECT a FROM t") == [(1,)]


def test_nonempty_tail(new_node: Node, database: str) -> None:
    with Session(new_node.address, database) as session:
        for request in (PrepareRequest(0, "SELECT 1; SELECT 2"), query_sql("SELECT 1; SELECT 2")):
            assert session.failure(request) == (1, "nonempty statement tail")


def test_query_without_columns_on_old_servers(old_node: Node, database: str) -> None:
    with Session(old_node.address, database) as session:
        assert session.failure(query_sql("CREATE TABLE t (a)")) == (1, "not an error")


@pytest.mark.parametrize(
    ("kind", "body", "schema", "failure"),
    [
        (0, raw.word(0), 1, (1005, "unrecognized schema version")),
        (4, raw.word(0) + raw.text("SELECT 1"), 2, (1, "unrecognized schema version")),
        (16, raw.word(2), 0, (1005, "unrecognized cluster format")),
        (20, raw.word(0), 0, (1005, "unrecognized request type")),
        (99, raw.word(0), 0, (1005, "unrecognized request type")),
    ],
)
def test_what_our_encoder_cannot_say(
    new_node: Node, database: str, kind: int, body: bytes, schema: int, failure: tuple[int, str]
) -> None:
    with Session(new_node.address, database) as session:
        session.send_raw(raw.frame(kind, body, schema))
        assert failed(session.answer()) == failure
        assert session.rows("SELECT 1 AS one") == [(1,)]


def test_before_open(real_node: Node) -> None:
    with Session(real_node.address) as session:
        for request in (exec_sql("SELECT 1"), query_sql("SELECT 1"), PrepareRequest(0, "SELECT 1")):
            assert session.failure(request) == (12, "no database opened")


def test_busy(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as writer, Session(real_node.address, database) as other:
        writer.execute("CREATE TABLE t (a)")
        writer.execute("BEGIN IMMEDIATE")
        assert other.failure(exec_sql("INSERT INTO t VALUES (1)")) == (5, "database is locked")
        writer.execute("COMMIT")
        other.execute("INSERT INTO t VALUES (1)")


def test_busy_snapshot(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as reader, Session(real_node.address, database) as writer:
        writer.execute("CREATE TABLE t (a)")
        reader.execute("BEGIN")
        assert reader.rows("SELECT count(*) AS n FROM t") == [(0,)]
        writer.execute("INSERT INTO t VALUES (1)")
        assert reader.failure(exec_sql("INSERT INTO t VALUES (2)")) == (517, "database is locked")


CHECKPOINT, JOURNAL = "wal_checkpoint", "journal_mode=DELETE"
NOT_AUTHORIZED = (23, "not authorized")
PRAGMAS = {
    ("1.18.1", CHECKPOINT): (10, "custom checkpoint not allowed"),
    ("1.18.1", JOURNAL): (10, "only WAL mode is supported"),
    ("1.18.7", CHECKPOINT): NOT_AUTHORIZED,
    ("1.18.7", JOURNAL): NOT_AUTHORIZED,
    ("cowsql", JOURNAL): (10, "only WAL mode is supported"),
}


@pytest.mark.parametrize(("kind", "pragma"), PRAGMAS)
def test_pragmas_refused(own_node: Callable[..., Node], database: str, kind: str, pragma: str) -> None:
    with Session(own_node(kind).address, database) as session:
        assert session.failure(query_sql(f"PRAGMA {pragma}")) == PRAGMAS[kind, pragma]


def read_on(session: Session) -> None:
    while True:
        session.answer()


def test_a_checkpoint_kills_cowsql(own_node: Callable[..., Node], database: str) -> None:
    """Here it is no 1.18.1: the checkpoint runs, and the node dies with a later write."""
    node = own_node("cowsql")
    with Session(node.address, database) as session:
        session.execute("CREATE TABLE t (a)")
        refusal = (100, "rows yielded when none expected for EXEC request")
        assert session.failure(query_sql(f"PRAGMA {CHECKPOINT}")) == refusal
        for number in range(2):
            session.send(exec_sql(f"INSERT INTO t VALUES ({number})"))
        with pytest.raises((EOFError, ConnectionError)):
            read_on(session)
    wait_for(lambda: not node.alive(), "end of the node")


# ---------------------------------------------------------------- through QUERY_SQL


WRITES = [
    ("unique", "INSERT INTO t (b) VALUES (1)", (2067, "UNIQUE constraint failed: t.b")),
    ("check", "INSERT INTO t (c) VALUES (100)", (275, "CHECK constraint failed: c < 100")),
    ("foreign key", "INSERT INTO child VALUES (9)", (787, "FOREIGN KEY constraint failed")),
    ("mismatch", "INSERT INTO t (a) VALUES ('x')", (20, "datatype mismatch")),
    ("trigger", "INSERT INTO guarded VALUES (1)", (1811, "keep out")),
]


@pytest.mark.parametrize(("name", "sql", "failure"), WRITES, ids=[name for name, *_ in WRITES])
def test_a_write_that_fails_through_query_sql(
    new_node: Node, database: str, name: str, sql: str, failure: tuple[int, str]
) -> None:
    """1.18.7 has put the column count 0 in front of the code by then; naive readers take it for the code."""
    with Session(new_node.address, database) as session:
        session.execute(SCHEMA)
        session.send(query_sql(sql))
        frame = session.take_frame()
        code = raw.word(failure[0])
        assert frame[8:].startswith(raw.word(0) + code if new_node.kind == "1.18.7" else code)
        assert session.failure(query_sql(sql)) == failure
        assert session.rows("SELECT a FROM t") == [(1,)]


def test_a_busy_write_through_query_sql(new_node: Node, database: str) -> None:
    """1.18.7 takes whatever fails before the statement runs for a tail that is not empty."""
    expected = {"1.18.7": (1, "nonempty statement tail")}.get(new_node.kind, (5, "database is locked"))
    with Session(new_node.address, database) as writer, Session(new_node.address, database) as other:
        writer.execute("CREATE TABLE t (a)")
        writer.execute("BEGIN IMMEDIATE")
        assert other.failure(query_sql("INSERT INTO t VALUES (1)")) == expected
        writer.execute("COMMIT")
        other.execute("INSERT INTO t VALUES (1)")


# ---------------------------------------------------------------- behind rows


def drain(session: Session) -> None:
    """Read to the end of a run of rows, which ends in an error."""
    while True:
        session.more()


def failing_after(count: int) -> str:
    """A query whose row `count` + 1 fails."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= {count})"
    return f"{numbers} SELECT abs(CASE WHEN i > {count} THEN -9223372036854775808 ELSE i END) AS a FROM n"


@pytest.mark.parametrize("count", [1, 10, 200])
def test_half_built_rows_stand_before_the_code(real_node: Node, database: str, count: int) -> None:
    with Session(real_node.address, database) as session:
        session.send(query_sql(failing_after(count)))
        frame = session.take_frame()
        assert frame[8:24] == raw.word(1) + raw.text("a")  # the column names of the rows that never came
        assert session.failure(query_sql(failing_after(count))) == (1, "integer overflow")


@pytest.mark.parametrize("count", [300, 5000])
def test_failure_in_mid_rows(real_node: Node, database: str, count: int) -> None:
    with Session(real_node.address, database) as session:
        frame = session.call(query_sql(failing_after(count)))
        assert isinstance(frame, RowsResponse)
        assert frame.has_more
        with pytest.raises(ServerFailure) as caught:
            drain(session)
        assert (caught.value.code, caught.value.message) == (1, "integer overflow")
        assert session.rows("SELECT 1 AS one") == [(1,)]


def test_prepared_query_failing_in_mid_rows(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as session:
        assert session.call(PrepareRequest(0, failing_after(300))) == StmtResponse(0, 0, 0)
        for _ in range(2):
            assert isinstance(session.call(QueryRequest(0, 0)), RowsResponse)
            with pytest.raises(ServerFailure, match="integer overflow"):
                session.more()


@pytest.mark.parametrize("columns", ["1 AS " + "c" * 4079, ", ".join(["1 AS c"] * 511)])
def test_names_that_fill_a_page_never_end(
    own_node: Callable[..., Node], node_kind: str, database: str, columns: str
) -> None:
    # the server sends frames without rows and the PART marker for ever; the decoder says so at once
    with Session(own_node(node_kind).address, database) as session:
        with pytest.raises(DecodeError, match="page"):
            session.run(query_sql(f"SELECT {columns}"))
        with pytest.raises(PoisonedError):
            session.decoder.decode_continuation()


def test_names_that_just_fit(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as session:
        name = "c" * 4071
        frames = session.run(query_sql(f"SELECT 1 AS {name}"))
        assert [row for frame in frames for row in frame.rows] == [(1,)]
        assert frames[0].column_names == [name]


# ---------------------------------------------------------------- several nodes


@pytest.mark.parametrize("kind", KINDS)
def test_followers_and_leadership_loss(
    real_cluster: Callable[..., Cluster], kind: str, database: str
) -> None:
    # slow timers: the leader must not step down before the write is under way
    cluster = real_cluster(kind, latency=100)
    leader = cluster.leader()
    follower = next(node for node in cluster.nodes if node is not leader)

    not_leader = (10250, "not leader")
    if kind == "1.18.7":  # asks for the leader when a database is opened
        with Session(follower.address) as session:
            assert session.failure(OpenRequest(database)) == not_leader
    with Session(follower.address, "" if kind == "1.18.7" else database) as session:
        for request in (exec_sql("SELECT 1"), query_sql("SELECT 1")):
            assert session.failure(request) == not_leader
        for change in (AddRequest(9, "127.0.0.1:9"), RemoveRequest(1), TransferRequest(1)):
            assert session.failure(change)[0] == 10250

    with Session(leader.address, database) as session, Session(leader.address, database) as waiting:
        session.execute("CREATE TABLE t (a)")
        assert session.call(PrepareRequest(0, "INSERT INTO t VALUES (1)")) == StmtResponse(0, 0, 0)
        # without a quorum a write waits until the leader steps down: its outcome is unknown
        for node in cluster.nodes:
            if node is not leader:
                node.kill()
        lost = "leadership lost" if kind == "1.18.7" else "disk I/O error"
        assert waiting.failure(exec_sql("INSERT INTO t VALUES (2)")) == (10506, lost)
        # the connection outlives the loss; the database and the statements do not
        assert session.failure(ExecRequest(0, 0)) == (10250, "not leader")
        assert session.failure(FinalizeRequest(0, 0)) == (12, "no database opened")


@pytest.mark.parametrize("kind", KINDS)
def test_leadership_given_away_and_back(
    real_cluster: Callable[..., Cluster], kind: str, database: str
) -> None:
    cluster = real_cluster(kind)
    first, second = cluster.nodes[:2]
    with Session(first.address, database) as session:
        session.execute("CREATE TABLE t (a)")
        assert session.call(TransferRequest(second.id)) == EmptyResponse()
        assert cluster.leader(other_than=first) is second
        assert session.failure(exec_sql("SELECT 1 WHERE 0")) == (10250, "not leader")
        with Session(second.address) as other:
            assert other.call(TransferRequest(first.id)) == EmptyResponse()
        assert cluster.leader(other_than=second) is first
        assert session.failure(exec_sql("SELECT 1 WHERE 0")) == (12, "no database opened")
        session.call(OpenRequest(database))
        assert session.rows("SELECT count(*) AS n FROM t") == [(0,)]
