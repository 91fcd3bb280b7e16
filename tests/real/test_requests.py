"""Every request a single node answers, sent as our bytes; each answer, decoded by us, says what it must."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from dqlitewire import PROTOCOL_VERSION_LEGACY, Message, NodeInfo, NodeRole
from dqlitewire.codec import REQUEST_TYPES
from dqlitewire.messages import (
    AddRequest,
    AssignRequest,
    ClientRequest,
    ClusterRequest,
    DbResponse,
    DescribeRequest,
    DumpRequest,
    EmptyResponse,
    ExecRequest,
    ExecSqlRequest,
    FilesResponse,
    FinalizeRequest,
    InterruptRequest,
    LeaderRequest,
    LeaderResponse,
    MetadataResponse,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    RemoveRequest,
    ResultResponse,
    RowsResponse,
    ServersResponse,
    StmtResponse,
    TransferRequest,
    WeightRequest,
    WelcomeResponse,
)
from dqlitewire.messages.requests import HeartbeatRequest
from tests.real import raw
from tests.real.nodes import Node
from tests.real.session import Session, failed

HEARTBEAT_MS = 15_000
MEMBERSHIP = {AddRequest, AssignRequest, RemoveRequest, TransferRequest}  # see test_members.py
INSERT = "INSERT INTO t (a) VALUES (?)"


def test_every_request_and_its_answer(real_node: Node, database: str) -> None:
    address = real_node.address
    with Session(address) as session:
        dialogue: list[tuple[Message, Message]] = [
            (LeaderRequest(), LeaderResponse(1, address)),
            (ClientRequest(2**64 - 1), WelcomeResponse(HEARTBEAT_MS)),
            (InterruptRequest(), EmptyResponse()),
            (OpenRequest(database), DbResponse(0)),
            (ExecSqlRequest(0, "CREATE TABLE t (id INTEGER PRIMARY KEY, a)"), ResultResponse(0, 0)),
            (ExecSqlRequest(0, INSERT, ["one"]), ResultResponse(1, 1)),
            (PrepareRequest(0, INSERT), StmtResponse(0, 0, 1)),
            (ExecRequest(0, 0, ["two"]), ResultResponse(2, 1)),
            (ExecRequest(0, 0, ["three"]), ResultResponse(3, 1)),
            (ExecSqlRequest(0, "UPDATE t SET a = upper(a)"), ResultResponse(3, 3)),
            (PrepareRequest(0, "SELECT a FROM t WHERE id >= ? AND id <= ?"), StmtResponse(0, 1, 2)),
            (FinalizeRequest(0, 0), EmptyResponse()),
            (ClusterRequest(), ServersResponse([NodeInfo(1, address, NodeRole.VOTER)])),
            (WeightRequest(2**40), EmptyResponse()),
            (DescribeRequest(), MetadataResponse(0, 2**40)),
        ]
        for request, answer in dialogue:
            assert session.call(request) == answer, request
        (frame,) = session.run(QueryRequest(0, 1, [2, 3]))
        assert (frame.column_names, frame.rows) == (["a"], [("TWO",), ("THREE",)])
        (frame,) = session.run(QuerySqlRequest(0, "SELECT id AS n, a FROM t WHERE a = ?", ["ONE"]))
        assert (frame.column_names, frame.rows) == (["n", "a"], [(1, "ONE")])
        files = session.call(DumpRequest(database))
        assert isinstance(files, FilesResponse)
        assert set(files.files) == {database, f"{database}-wal"}
        assert session.sent | MEMBERSHIP == set(REQUEST_TYPES.values())


def test_statement_ids_are_reused(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as session:
        for expected in (0, 1, 2):
            assert session.call(PrepareRequest(0, "SELECT ?")) == StmtResponse(0, expected, 1)
        assert session.call(FinalizeRequest(0, 1)) == EmptyResponse()
        assert session.call(PrepareRequest(0, "SELECT 1")) == StmtResponse(0, 1, 0)


@pytest.mark.parametrize(
    ("sql", "offset"), [("SELECT ?; SELECT 2", 9), ("  SELECT ?1 ;  SELECT 2", 13), ("SELECT ?;", 9)]
)
def test_prepare_schema_1_tells_the_tail(new_node: Node, database: str, sql: str, offset: int) -> None:
    with Session(new_node.address, database) as session:
        assert session.call(PrepareRequest(0, sql, schema=1)) == StmtResponse(0, 0, 1, offset)
        tail = sql.encode()[offset:].decode()
        if tail:
            assert session.call(PrepareRequest(0, tail, schema=1)) == StmtResponse(0, 1, 0, len(tail))


def test_prepare_schema_1_means_nothing_to_old_servers(old_node: Node, database: str) -> None:
    with Session(old_node.address, database) as session:
        answer = session.call(PrepareRequest(0, "SELECT ?; SELECT 2", schema=1))
        assert answer == StmtResponse(0, 0, 1)
        assert isinstance(answer, StmtResponse)
        assert (answer.schema, answer.tail_offset) == (0, None)


def test_legacy_handshake(real_node: Node, database: str) -> None:
    with Session(real_node.address, version=PROTOCOL_VERSION_LEGACY) as session:
        assert session.call(LeaderRequest()) == LeaderResponse(0, real_node.address)
        assert session.call(ClientRequest(1)) == WelcomeResponse(HEARTBEAT_MS)
        assert session.call(OpenRequest(database)) == DbResponse(0)
        assert session.rows("SELECT 1 AS one") == [(1,)]


def test_cluster_format_0(real_node: Node) -> None:
    # our encoder refuses to ask for it, the decoder reads the answer where it is told the format
    with Session(real_node.address) as session:
        session.send_raw(raw.frame(16, raw.word(0)))
        body = session.take_frame()[8:]
        assert body == raw.word(1) + raw.word(1) + raw.text(real_node.address)
        answer = ServersResponse.decode_body(body, format=0)
        assert [(node.node_id, node.address) for node in answer.nodes] == [(1, real_node.address)]


def test_heartbeat_is_refused(new_node: Node) -> None:
    with Session(new_node.address) as session:
        assert session.failure(HeartbeatRequest(1)) == (1005, "unrecognized request type")
        assert isinstance(session.call(LeaderRequest()), LeaderResponse)


def test_pipelined_requests_are_answered_in_order(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as session:
        requests = [ExecSqlRequest(0, "CREATE TABLE t (a INTEGER PRIMARY KEY)")]
        requests += [ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [number]) for number in range(1, 20)]
        session.send_raw(b"".join(map(session.encoder.encode, requests)))
        answers = [session.answer() for _ in requests]
        assert answers[1:] == [ResultResponse(number, 1) for number in range(1, 20)]


@pytest.mark.parametrize("pages", [0, 300])
def test_dump_opens_with_sqlite(real_node: Node, database: str, tmp_path: Path, pages: int) -> None:
    with Session(real_node.address, database) as session:
        session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")
        session.execute("INSERT INTO t VALUES (1, x'0102')")
        if pages:
            session.execute("INSERT INTO t VALUES (2, zeroblob(?))", pages * 4096)
        files = session.call(DumpRequest(database))
    assert isinstance(files, FilesResponse)
    for name, content in files.files.items():
        (tmp_path / name).write_bytes(content)
    with sqlite3.connect(tmp_path / database) as dumped:
        assert dumped.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        expected = [(1, 2)] + ([(2, pages * 4096)] if pages else [])
        assert dumped.execute("SELECT a, length(b) FROM t ORDER BY a").fetchall() == expected
    dumped.close()


def test_dump_of_an_unknown_database(real_node: Node, database: str) -> None:
    with Session(real_node.address) as session:
        files = session.call(DumpRequest(database))
        if real_node.kind == "1.18.7":
            assert failed(files) == (1002, "database does not exists")
            return
        assert files == FilesResponse({database: b"", f"{database}-wal": b""})


def test_interrupt_waits_for_the_query(real_node: Node, database: str) -> None:
    # servers read an INTERRUPT only after all frames of the query are out: DONE, then one EMPTY (dqlite#485)
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n"
    with Session(real_node.address, database) as session:
        frame = session.call(QuerySqlRequest(0, rows))
        session.send(InterruptRequest(0))
        count = 0
        while isinstance(frame, RowsResponse):
            count += len(frame.rows)
            frame = session.more() if frame.has_more else session.answer()
        assert (count, frame) == (20_000, EmptyResponse())
        assert session.rows("SELECT 1 AS one") == [(1,)]


def test_interrupt_after_a_failed_query(real_node: Node, database: str) -> None:
    with Session(real_node.address, database) as session:
        session.send(QuerySqlRequest(0, "SELECT abs(-9223372036854775808) AS a"))
        session.send(InterruptRequest(0))
        assert failed(session.answer()) == (1, "integer overflow")
        assert session.answer() == EmptyResponse()


def test_a_killed_node_is_an_end_of_stream(own_node: Callable[..., Node], node_kind: str) -> None:
    node = own_node(node_kind)
    with Session(node.address) as session:
        assert session.call(LeaderRequest()) == LeaderResponse(1, node.address)
        node.kill()
        with pytest.raises((EOFError, ConnectionError)):
            session.call(LeaderRequest())
