"""Conversations with real nodes: what the table, the hazards and the generations rely on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from dqlitewire.conversation import (
    Answered,
    Ended,
    Ending,
    Failed,
    Generation,
    Hazard,
    HazardError,
    Interrupted,
    Lost,
    Outcome,
    Probed,
    Retry,
    Rows,
    SessionLost,
)
from dqlitewire.messages import (
    AddRequest,
    DumpRequest,
    EmptyResponse,
    ExecRequest,
    ExecSqlRequest,
    FailureResponse,
    FinalizeRequest,
    InterruptRequest,
    LeaderRequest,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    TransferRequest,
)
from tests.conversation.peer import COUNT_TO, Peer
from tests.real.nodes import KINDS, Cluster, Node

OLD, NEW, NEWEST, COWSQL = KINDS
GENERATIONS = {
    OLD: Generation.V1_11,
    NEW: Generation.V1_15,
    NEWEST: Generation.V1_18_3,
    COWSQL: Generation.V1_15,  # nothing on the wire tells it from 1.18.1
}
INTERRUPT = InterruptRequest()
BEGIN = ExecSqlRequest(0, "BEGIN")
BEFORE_1_18_2 = (OLD, NEW, COWSQL)


# ---------------------------------------------------------------- INTERRUPT and failures among rows


def test_interrupt_amid_rows(real_address: str, database: str) -> None:
    query = QuerySqlRequest(0, COUNT_TO.format(50_000) + " SELECT x, 'some text' FROM c")
    with Peer(real_address).open(database) as peer:
        peer.send(query)
        first = peer.hear()
        assert all(isinstance(event, Rows) and not event.last for event in first)
        peer.send(INTERRUPT)
        *rows, interrupted, answered = peer.rest()
        assert all(isinstance(event, Rows) for event in rows)
        assert isinstance(interrupted, Interrupted)
        assert (interrupted.request, interrupted.outcome) == (
            query,
            Outcome.DONE,
        )  # dqlite#485: it runs to its end
        assert interrupted.discarded > 10
        assert answered == Answered(INTERRUPT, EmptyResponse())
        assert peer.rows(QuerySqlRequest(0, "SELECT 7 AS x")) == [(7,)]


def test_interrupt_sent_with_the_query_and_when_idle(real_address: str, database: str) -> None:
    query = QuerySqlRequest(0, COUNT_TO.format(3000) + " SELECT x FROM c")
    with Peer(real_address).open(database) as peer:
        assert peer.ask(INTERRUPT) == [Answered(INTERRUPT, EmptyResponse())]
        peer.send(query)
        assert [type(event) for event in peer.ask(INTERRUPT)] == [Interrupted, Answered]
        assert peer.rows(QuerySqlRequest(0, "SELECT 7 AS x")) == [(7,)]


def test_failure_amid_rows(real_address: str, database: str) -> None:
    overflow = "CASE WHEN x < 1500 THEN x ELSE -9223372036854775807 - 1 END"
    query = QuerySqlRequest(0, COUNT_TO.format(3000) + f" SELECT abs({overflow}) AS x FROM c")
    with Peer(real_address).open(database) as peer:
        *rows, failed = peer.ask(query)
        assert len(rows) >= 2
        assert all(isinstance(event, Rows) and not event.last for event in rows)
        assert failed == Failed(query, FailureResponse(1, "integer overflow"), Outcome.NOT_EXECUTED)
        assert peer.rows(QuerySqlRequest(0, "SELECT 7 AS x")) == [(7,)]


def test_pipelining(real_address: str, database: str) -> None:
    requests = [
        OpenRequest(database),
        ExecSqlRequest(0, "CREATE TABLE t (a)"),
        ExecSqlRequest(0, "INSERT INTO t VALUES (1), (2)"),
        QuerySqlRequest(0, COUNT_TO.format(1000) + " SELECT x FROM c"),
        QuerySqlRequest(0, "SELECT nothing"),
        QuerySqlRequest(0, "SELECT a FROM t"),
    ]
    with Peer(real_address) as peer:
        for request in requests:
            peer.send(request)
        events = peer.rest()
    ends = [event for event in events if not isinstance(event, Rows) or event.last]
    assert [event.request for event in ends] == requests  # type: ignore[attr-defined]
    assert [type(event) for event in ends] == [Answered, Answered, Answered, Rows, Failed, Rows]
    assert sum(len(e.message.rows) for e in events if isinstance(e, Rows)) == 1002


# ---------------------------------------------------------------- generations and parameters


def test_probe(real_node: Node, database: str) -> None:
    with Peer(real_node.address) as peer:
        for db_id in (None, 0):
            peer.socket.sendall(peer.conversation.send_probe(db_id))
            (event,) = peer.rest()
            assert isinstance(event, Probed)
            if real_node.kind == NEWEST and db_id is not None:
                expected = Generation.V1_18_2
            else:
                expected = Generation.V1_11 if real_node.kind == OLD else Generation.V1_12
            assert event.generation is peer.conversation.generation is expected
            if db_id is None:
                peer.open(database)
        assert peer.rows(QuerySqlRequest(0, "SELECT 7 AS x")) == [(7,)]


def many_params(count: int) -> QuerySqlRequest:
    return QuerySqlRequest(0, f"SELECT typeof(?1) AS a, typeof(?{count}) AS b", list(range(count)))


def test_more_than_255_parameters_on_a_new_node(new_node: Node, database: str) -> None:
    with Peer(new_node.address).open(database) as peer:
        with pytest.raises(HazardError) as caught:
            peer.send(many_params(300))
        assert caught.value.hazard is Hazard.MANY_PARAMS
        peer.probe()
        for count in (255, 256, 300):
            assert peer.rows(many_params(count)) == [("integer", "integer")]


def test_more_than_255_parameters_are_lost_on_an_old_node(old_node: Node, database: str) -> None:
    with Peer(old_node.address).open(database) as peer:
        peer.probe()
        with pytest.raises(HazardError) as caught:
            peer.send(many_params(256))
        assert caught.value.hazard is Hazard.MANY_PARAMS
        (event,) = peer.ask(many_params(256), allow=Hazard.MANY_PARAMS)
        assert isinstance(event, Rows)
        assert event.message.rows == [("null", "null")]
        assert peer.rows(many_params(255)) == [("integer", "integer")]


def test_prepare_where_the_schema_is_not_looked_at(real_node: Node, database: str) -> None:
    with Peer(real_node.address).open(database) as peer:
        statement = peer.message(PrepareRequest(0, "SELECT 1; SELECT 2", 1))
        assert statement.tail_offset == (None if real_node.kind == OLD else 9)
        kept = peer.conversation.session.statements[statement.stmt_id]
        assert kept.tail == ("" if real_node.kind == OLD else " SELECT 2")


# ---------------------------------------------------------------- leadership


@pytest.mark.parametrize("kind", KINDS)
def test_leadership_loss(kind: str, real_cluster: Callable[..., Cluster], database: str) -> None:
    cluster = real_cluster(kind)
    first, second = cluster.nodes[:2]
    insert = ExecSqlRequest(0, "INSERT INTO t VALUES (1)")
    with Peer(first.address).open(database) as peer, Peer(first.address) as admin:
        peer.message(ExecSqlRequest(0, "CREATE TABLE t (a)"))
        statement = peer.message(PrepareRequest(0, "SELECT a FROM t")).stmt_id
        peer.message(BEGIN)
        assert peer.conversation.session.in_transaction
        admin.message(TransferRequest(2))
        wait_for_leader(admin, second.address)
        failed, lost = peer.ask(insert)
        assert isinstance(failed, Failed)
        assert (failed.failure, failed.outcome) == (
            FailureResponse(10250, "not leader"),
            Outcome.NOT_EXECUTED,
        )
        assert failed.explanation.retry is Retry.LEADER
        assert lost == SessionLost(database, (statement,), True)
        (failed,) = peer.ask(FinalizeRequest(0, statement))
        assert failed.failure == FailureResponse(12, "no database opened")  # type: ignore[attr-defined]
        with Peer(second.address) as other:
            other.message(TransferRequest(1))
        wait_for_leader(admin, first.address)
        (failed,) = peer.ask(insert)
        assert failed.failure == FailureResponse(12, "no database opened")  # type: ignore[attr-defined]
        assert failed.explanation.retry is Retry.REOPEN  # type: ignore[attr-defined]
        peer.open(database)
        peer.message(insert)
        assert peer.rows(QuerySqlRequest(0, "SELECT count(*) FROM t")) == [(1,)]


def wait_for_leader(peer: Peer, address: str) -> None:
    deadline = time.monotonic() + 60
    while peer.message(LeaderRequest()).address != address:
        assert time.monotonic() < deadline, "the leader did not change"
        time.sleep(0.02)


def test_the_node_dies(own_node: Callable[..., Node], node_kind: str, database: str) -> None:
    node = own_node(node_kind)
    with Peer(node.address).open(database) as peer:
        peer.message(ExecSqlRequest(0, "CREATE TABLE t (a)"))
        node.kill()
        insert = ExecSqlRequest(0, "INSERT INTO t VALUES (1)")
        data = peer.conversation.send(insert)
        try:
            peer.socket.sendall(data)
        except ConnectionError:
            pass  # whether the bytes left is the kernel's secret
        assert peer.rest() == [Lost(insert, Outcome.UNKNOWN), Ended(Ending.UNANSWERED, 0)]


# ---------------------------------------------------------------- hazards are what they are said to be

RETURNING = "INSERT INTO t VALUES (1) RETURNING a"
CREATE = ExecSqlRequest(0, "CREATE TABLE IF NOT EXISTS t (a)")
INSERT = ExecSqlRequest(0, "INSERT INTO t VALUES (1)")
SELECT = QuerySqlRequest(0, "SELECT 1")
PREPARED = [PrepareRequest(0, "SELECT 1")] * 3


def frame(kind: int, *words: int) -> bytes:
    return bytes([len(words), 0, 0, 0, kind, 0, 0, 0]) + b"".join(
        word.to_bytes(8, "little") for word in words
    )


# kind of node, hazard, what is asked: the last but one is refused, and with it the node is gone by the last
DEADLY: list[tuple[str, Hazard, list[Any]]] = [
    *((kind, Hazard.DESCRIBE_FORMAT, [frame(18, 1), LeaderRequest()]) for kind in KINDS),
    *((kind, Hazard.ADD_ZERO, [AddRequest(0, "127.0.0.1:1"), LeaderRequest()]) for kind in (NEW, NEWEST)),
    *((kind, Hazard.RETURNING, [CREATE, ExecSqlRequest(0, RETURNING), INSERT]) for kind in KINDS),
    *((kind, Hazard.RETURNING, [CREATE, QuerySqlRequest(0, RETURNING), INSERT]) for kind in BEFORE_1_18_2),
    (OLD, Hazard.PRAGMA, [QuerySqlRequest(0, "PRAGMA journal_mode=DELETE"), INSERT]),
    (OLD, Hazard.PRAGMA, [CREATE, QuerySqlRequest(0, "PRAGMA wal_checkpoint"), INSERT]),
    (OLD, Hazard.PRAGMA, [ExecSqlRequest(0, "PRAGMA page_size=512"), INSERT]),
    *(
        (kind, Hazard.PRAGMA, [CREATE, ExecSqlRequest(0, "PRAGMA synchronous=2"), INSERT])
        for kind in BEFORE_1_18_2
    ),
    *(
        (kind, Hazard.VOID_STATEMENT, [*PREPARED, FinalizeRequest(0, 1), again, LeaderRequest()])
        for kind in KINDS
        for again in (FinalizeRequest(0, 1), QueryRequest(0, 1), ExecRequest(0, 1))
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "hazard", "requests"), DEADLY)
def test_deadly(
    kind: str, hazard: Hazard, requests: list[Any], own_node: Callable[..., Node], database: str
) -> None:
    node = own_node(kind)
    with Peer(node.address, GENERATIONS[kind]).open(database) as peer:
        for request in requests[:-2]:
            peer.message(request)
        with pytest.raises(HazardError) as caught:
            peer.send(requests[-2])
        assert caught.value.hazard is hazard
        events = peer.ask(requests[-2], allow=hazard)
        if not isinstance(events[-1], Ended):
            try:
                events = peer.ask(requests[-1])
            except OSError:
                events = []
        assert not events or isinstance(events[-1], Ended)
    wait_for_death(node)


def wait_for_death(node: Node) -> None:
    deadline = time.monotonic() + 60
    while node.alive():
        assert time.monotonic() < deadline, "the node is alive"
        time.sleep(0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["", ":memory:"])
@pytest.mark.parametrize("statement", [SELECT, CREATE])
def test_database_in_memory_is_deadly(
    kind: str, name: str, statement: Any, own_node: Callable[..., Node]
) -> None:
    node = own_node(kind)
    with Peer(node.address, GENERATIONS[kind]) as peer:
        with pytest.raises(HazardError):
            peer.send(OpenRequest(name))
        peer.ask(OpenRequest(name), allow=Hazard.MEMORY_DATABASE)
        with pytest.raises(HazardError):
            peer.send(statement)
        assert isinstance(peer.ask(statement, allow=Hazard.MEMORY_DATABASE)[-1], Ended)
    wait_for_death(node)


def test_long_database_name_is_deadly(own_node: Callable[..., Node]) -> None:
    node = own_node(NEW)
    with Peer(node.address, GENERATIONS[NEW]) as peer:
        with pytest.raises(HazardError):
            peer.send(OpenRequest("n" * 600))
        assert isinstance(peer.ask(OpenRequest("n" * 600), allow=Hazard.LONG_NAME)[-1], Ended)
    wait_for_death(node)


@pytest.mark.parametrize("data", [frame(2, 1), frame(20, 0), frame(99, 0)], ids=lambda data: data[4])
def test_a_type_that_1_11_does_not_know_is_never_answered(
    data: bytes, own_node: Callable[..., Node], database: str
) -> None:
    node = own_node(OLD)
    with Peer(node.address, GENERATIONS[OLD]).open(database) as peer:
        with pytest.raises(HazardError):
            peer.send(data)
        peer.send(data, allow=Hazard.OLD_TYPE)
        peer.send(LeaderRequest())
        peer.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            peer.hear()
        assert len(peer.conversation.unanswered) == 2


@pytest.mark.parametrize("data", [frame(2, 1), frame(20, 0), frame(99, 0)], ids=lambda data: data[4])
def test_a_type_that_1_18_does_not_know_is_refused(data: bytes, new_node: Node) -> None:
    with Peer(new_node.address, GENERATIONS[NEW]) as peer:
        (failed,) = peer.ask(data)
        assert failed.failure == FailureResponse(1005, "unrecognized request type")  # type: ignore[attr-defined]
        assert peer.message(LeaderRequest()).address == new_node.address


def test_unknown_role_disables_the_only_voter(
    own_node: Callable[..., Node], node_kind: str, database: str
) -> None:
    node = own_node(node_kind)
    with Peer(node.address, GENERATIONS[node_kind]).open(database) as peer:
        with pytest.raises(HazardError) as caught:
            peer.send(frame(13, 1, 7))
        assert caught.value.hazard is Hazard.ASSIGN_ROLE
        peer.send(frame(13, 1, 7), allow=Hazard.ASSIGN_ROLE)
        with Peer(node.address) as other:  # the node is a stand-by now, and no voter is left to lead
            deadline = time.monotonic() + 60
            while other.message(LeaderRequest()).address:
                assert time.monotonic() < deadline, "the node still leads"
                time.sleep(0.05)


def test_dump_without_open(real_address: str, database: str) -> None:
    with Peer(real_address).open(database) as peer:
        peer.message(ExecSqlRequest(0, "CREATE TABLE t (a)"))
        files = peer.message(DumpRequest(database)).files
    assert list(files) == [database, f"{database}-wal"]


def test_another_database_than_0_loses_nothing(real_address: str, database: str) -> None:
    with Peer(real_address).open(database) as peer:
        peer.message(ExecSqlRequest(0, "CREATE TABLE t (a)"))
        prepared = peer.message(PrepareRequest(0, "SELECT 7"))
        requests = (
            ExecSqlRequest(1, "INSERT INTO t VALUES (1)"),
            QuerySqlRequest(1, "SELECT 1"),
            PrepareRequest(1, "SELECT 1"),
            QueryRequest(1, prepared.stmt_id),
            ExecRequest(1, prepared.stmt_id),
            FinalizeRequest(1, prepared.stmt_id),
        )
        for request in requests:
            (event,) = peer.ask(request)
            assert isinstance(event, Failed)
            assert (event.failure.code, event.failure.message) == (12, "no database opened")
        assert peer.conversation.session.database == database
        assert peer.rows(QueryRequest(0, prepared.stmt_id)) == [(7,)]
