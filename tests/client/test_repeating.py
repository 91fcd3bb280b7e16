"""Nothing is executed twice, nothing acknowledged is lost: all kinds of failures, in and outside of
transactions, against a model that knows nothing of the rules."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import messages
from dqlitewire.client import Client, ClientError, ConnectionFailed, NoLeaderError, StatementFailed, connect
from dqlitewire.client.repeating import Repeats
from dqlitewire.conversation import Failed, Outcome, Retry, explain_failure
from dqlitewire.dial import Deadline
from dqlitewire.messages.base import Request
from dqlitewire.servers.failures import RULES
from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.waiting import wait_for

TIMEOUT = 60.0
SHORT = 0.15  # where a node is to be silent
NAME = "test.db"

# what a server may say though it has carried the request out, or may yet; and what it says instead of that
IN_DOUBT = (
    (10506, "disk I/O error"),
    (10506, "leadership lost"),
    (1, "server is shutting down"),
    (1, "operation canceled"),
    (10, "leader exec failed"),
    (10, "disk I/O error"),
    (4, "callback requested query abort"),
    (7, "out of memory"),  # raft's own numbers
    (9, "interrupted"),
    (13, "database or disk is full"),
)
NOT_DONE = (
    (10250, "not leader"),
    (8202, "not leader"),
    (12, "no database opened"),
    (1, "barrier error"),
    (1, "nonempty statement tail"),
    (5, "database is locked"),
    (5, "checkpoint in progress"),
    (19, "UNIQUE constraint failed: t.key"),
)


def _which(on: str) -> dict[str, Any]:
    """What selects the request: the search for a leader has queries of its own."""
    return {"on": on, "sql": "FROM t" if on == "QUERY_SQL" else None}


def _fails(code: int, text: str, executed: bool) -> Callable[[DqliteCluster, str], object]:
    return lambda cluster, on: cluster.fail_next(code, text, executed, **_which(on))


def _closes(executed: bool, reset: bool, count: int) -> Callable[[DqliteCluster, str], object]:
    return lambda cluster, on: cluster.drop_after(0, count, reset, executed, **_which(on))


# every way in which a request can fail: an order to the cluster for the next request of a type
FAILURES: dict[str, Callable[[DqliteCluster, str], object]] = {
    **{f"{code} {text}": _fails(code, text, False) for code, text in (*IN_DOUBT, *NOT_DONE)},
    **{f"{code} {text}, executed": _fails(code, text, True) for code, text in IN_DOUBT},
    **{
        f"closed{', executed' * executed}{', reset' * reset} behind {count} bytes": _closes(
            executed, reset, count
        )
        for executed in (False, True)
        for reset in (False, True)
        for count in (0, 9)
    },
    "request cut": lambda cluster, on: cluster.drop_after(0, 12, **_which(on), direction="request"),
    "request dropped": lambda cluster, on: cluster.drop_after(0, 0, **_which(on), direction="request"),
    "another type": lambda cluster, on: cluster.corrupt(**_which(on)),
}
SILENT: dict[str, Callable[[DqliteCluster, str], object]] = {
    "silent": lambda cluster, on: cluster.hold(**_which(on)),
    "silent and deaf": lambda cluster, on: cluster.hold(**_which(on), direction="request"),
    "a frame that does not end": lambda cluster, on: cluster.corrupt(at=0, xor=4, **_which(on)),
    "slow": lambda cluster, on: cluster.delay(2 * SHORT, **_which(on)),
}
EVENTS: dict[str, Callable[[DqliteCluster, str], object]] = {
    "another leader": lambda cluster, _: cluster.elect(),
    "the same leader again": lambda cluster, _: (
        lambda leader: (cluster.lose_leadership(), cluster.elect(leader))
    )(cluster.leader),
    "a crash": lambda cluster, _: (lambda node: (node.stop(), node.start()))(cluster.leader),  # type: ignore[union-attr]
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dqlitewire.client.following._PAUSE", 0.001)


@pytest.fixture(scope="module")
def cluster() -> Iterator[DqliteCluster]:
    with DqliteCluster(3) as cluster:
        cluster.run_sql(NAME, "CREATE TABLE t (key INTEGER)")
        yield cluster
        assert cluster.errors == []


def keys(cluster: DqliteCluster) -> list[int]:
    return [key for (key,) in cluster.run_sql(NAME, "SELECT key FROM t ORDER BY key")]


def is_free(cluster: DqliteCluster) -> bool:
    with suppress(apsw.BusyError):
        cluster.run_sql(NAME, "DELETE FROM t WHERE key = 0")
        return True
    return False


# ---------------------------------------------------------------- a table


@pytest.mark.parametrize("name", [*FAILURES, *SILENT, *EVENTS])
@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
def test_an_insert_is_done_once_or_told(name: str, inside: bool, cluster: DqliteCluster) -> None:
    order = {**FAILURES, **SILENT, **EVENTS}[name]
    wait_for(lambda: is_free(cluster), "an end of what ran before", TIMEOUT)
    cluster.run_sql(NAME, "DELETE FROM t")
    with connect(cluster.addresses[0], NAME, timeout=TIMEOUT) as client:
        if inside:
            client.execute("BEGIN")
            client.execute("INSERT INTO t VALUES (1)")
        order(cluster, "EXEC_SQL")
        outcome = Outcome.DONE
        try:
            deadline = Deadline(SHORT if name in SILENT else TIMEOUT)
            client.execute("INSERT INTO t VALUES (2)", deadline=deadline)
        except (StatementFailed, ConnectionFailed) as failure:
            outcome = failure.outcome
        cluster.clear_faults()
        if inside:
            assert outcome is not Outcome.DONE  # nothing is repeated
            with suppress(ClientError):
                client.execute("ROLLBACK")
            assert keys(cluster) == []
        else:
            allowed = {
                Outcome.DONE: [[2]],
                Outcome.NOT_EXECUTED: [[]],
                Outcome.UNKNOWN: [[], [2]],
            }[outcome]
            assert keys(cluster) in allowed
        # whatever it was, the client can be used, once the node knows that the connection is gone
        wait_for(lambda: is_free(cluster), "an end of the transaction", TIMEOUT)
        client.execute("INSERT INTO t VALUES (3)")
        assert keys(cluster).count(3) == 1


@pytest.mark.parametrize("name", [*FAILURES, *EVENTS])
def test_what_is_certainly_not_executed_for_want_of_a_leader_is_sent_again(
    name: str, cluster: DqliteCluster
) -> None:
    """And what reads is, whatever may have become of it."""
    order = {**FAILURES, **EVENTS}[name]
    cluster.run_sql(NAME, "DELETE FROM t")
    with connect(cluster.addresses[0], NAME, timeout=TIMEOUT) as client:
        for retry in (True, False):
            client._following.retry = retry
            again = []
            for ask, on in (
                (lambda: client.execute("INSERT INTO t VALUES (1)"), "EXEC_SQL"),
                (lambda: list(client.query("SELECT count(*) FROM t")), "QUERY_SQL"),
                (client.nodes, "CLUSTER"),
            ):
                client.call(messages.LeaderRequest())  # connected, whatever came before
                order(cluster, on)
                with suppress(StatementFailed, ConnectionFailed):
                    ask()
                    again.append(on)
                cluster.clear_faults()
            assert again == expected(name, retry)


def expected(name: str, retry: bool) -> list[str]:
    """Which requests come to a good end, by the words of the failure."""
    every = ["EXEC_SQL", "QUERY_SQL", "CLUSTER"]
    if name in EVENTS:
        return every if retry or name == "a crash" else every[2:]
    if not retry:
        return []
    code, _, text = name.removesuffix(", executed").partition(" ")
    if not code.isdecimal():  # the connection broke: what reads is repeated, an insert may be there
        return every[1:]
    if code in ("10250", "8202", "12") or text == "barrier error":
        return every
    if text == "nonempty statement tail":  # means anything, as the answer to a query
        return ["QUERY_SQL"]
    return every[1:] if (int(code), text) in IN_DOUBT else []


REQUESTS = (
    messages.ExecSqlRequest(0, "INSERT INTO t VALUES (1)"),
    messages.ExecSqlRequest(0, "COMMIT"),
    messages.ExecRequest(0, 0),
    messages.QueryRequest(0, 0),
    messages.QuerySqlRequest(0, "SELECT 1"),
    messages.PrepareRequest(0, "INSERT INTO t VALUES (1)"),
    messages.FinalizeRequest(0, 0),
    messages.OpenRequest(NAME),
    messages.DumpRequest(NAME),
    messages.ClusterRequest(),
    messages.AddRequest(2, "a:1"),
    messages.TransferRequest(2),
)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
def test_every_failure_that_is_known(request_: Request[Any], inside: bool) -> None:
    """All rules of the table: what may be sent again changed nothing, and how often is bounded."""
    for codes, words, *_ in RULES:
        for code, unknown_text in itertools.product(codes, ("", "?")):
            failure = messages.FailureResponse(code, words or unknown_text)
            failed = StatementFailed(
                Failed(request_, failure, explain_failure(code, failure.message, request=request_).outcome)
            )
            repeats = Repeats(request_.MSG_TYPE, True, True)
            allowed = [repeats.allow(failed, inside) for _ in range(9)]
            if failed.outcome is not Outcome.NOT_EXECUTED or inside or failed.explanation.retry is Retry.NO:
                assert not any(allowed), failed
            if any(allowed[1:]):
                assert failed.explanation.retry in (Retry.LEADER, Retry.REOPEN), failed
            assert not any(Repeats(request_.MSG_TYPE, False, True).allow(failed, inside) for _ in range(2))


# ---------------------------------------------------------------- a model


@dataclass
class Model:
    """What the callers of a client may rely on, from nothing but its answers.

    Attributes:
        there: keys that were acknowledged.
        perhaps: keys of which nobody knows; each set is there as a whole or not at all.
        pending: keys of the open transaction; None if there is none.
    """

    there: set[int] = field(default_factory=set)
    perhaps: list[set[int]] = field(default_factory=list)
    pending: set[int] | None = None

    def check(self, found: list[int]) -> None:
        assert len(found) == len(set(found)), "executed twice"
        left = set(found)
        assert self.there <= left, "acknowledged and lost"
        left -= self.there
        for keys in self.perhaps:
            assert keys <= left or not keys & left, "a transaction in parts"
            left -= keys
        assert not left, "executed, and told otherwise"


STEPS = st.tuples(
    st.sampled_from(["insert", "insert", "insert", "BEGIN", "COMMIT", "ROLLBACK", "query", "nodes"]),
    st.sampled_from([None, None, *FAILURES, *EVENTS]),
)


@given(st.lists(STEPS, min_size=2, max_size=8))
def test_a_session(steps: list[tuple[str, str | None]]) -> None:
    with DqliteCluster(3) as cluster:
        cluster.run_sql(NAME, "CREATE TABLE t (key INTEGER)")
        model = Model()
        with connect(cluster.addresses[0], NAME, timeout=TIMEOUT) as client:
            for key, (step, failure) in enumerate(steps):
                if failure is not None:
                    on = {"query": "QUERY_SQL", "nodes": "CLUSTER"}.get(step, "EXEC_SQL")
                    {**FAILURES, **EVENTS}[failure](cluster, on)
                take(client, model, step, key)
                cluster.clear_faults()
            if model.pending is not None:
                with suppress(ClientError):
                    client.execute("ROLLBACK")
        assert cluster.errors == []
        model.check(keys(cluster))


def take(client: Client, model: Model, step: str, key: int) -> None:
    """Take a step and note what its end says. A failure in a transaction ends it, as a tool would."""
    asked: dict[str, Callable[[], Any]] = {
        "insert": lambda: client.execute("INSERT INTO t VALUES (?)", [key]),
        "query": lambda: list(client.query("SELECT key FROM t")),
        "nodes": client.nodes,
    }
    inside = model.pending is not None
    if (step in ("COMMIT", "ROLLBACK")) != inside and step not in asked:
        return  # BEGIN inside of a transaction, and its end outside of one
    try:
        asked.get(step, lambda: client.execute(step))()
    except (StatementFailed, ConnectionFailed) as failure:
        unknown = failure.outcome is Outcome.UNKNOWN
        if step == "insert" and not inside and unknown:
            model.perhaps.append({key})
        if inside or step == "BEGIN":
            if step == "COMMIT" and unknown:
                model.perhaps.append(model.pending or set())
            with suppress(ClientError):
                client.execute("ROLLBACK")
            model.pending = None
        return
    match step:
        case "insert" if model.pending is not None:
            model.pending.add(key)
        case "insert":
            model.there.add(key)
        case "BEGIN":
            model.pending = set()
        case "COMMIT":
            model.there |= model.pending or set()
            model.pending = None
        case "ROLLBACK":
            model.pending = None
        case _:
            pass


# ---------------------------------------------------------------- what the table does not have


def test_a_transaction_that_is_lost_unseen_is_told_before_anything_is_sent(cluster: DqliteCluster) -> None:
    cluster.run_sql(NAME, "DELETE FROM t")
    with connect(cluster.addresses[0], NAME, timeout=TIMEOUT) as client:
        client.execute("BEGIN")
        client.execute("INSERT INTO t VALUES (1)")
        leader = cluster.leader
        assert leader is not None
        leader.stop()
        leader.start()
        with pytest.raises(ConnectionFailed, match="the transaction is lost with its connection") as told:
            client.execute("INSERT INTO t VALUES (2)")
        assert told.value.outcome is Outcome.NOT_EXECUTED
        client.execute("INSERT INTO t VALUES (3)")
        assert keys(cluster) == [3]


def test_a_prepared_statement_is_not_taken_for_another_one(cluster: DqliteCluster) -> None:
    with connect(cluster.addresses[0], NAME, timeout=TIMEOUT) as client:
        prepared = client.call(messages.PrepareRequest(0, "INSERT INTO t VALUES (99)"))
        cluster.elect()
        with pytest.raises(StatementFailed) as told:
            client.call(messages.ExecRequest(0, prepared.stmt_id))
        assert told.value.outcome is Outcome.NOT_EXECUTED
        assert 99 not in keys(cluster)
        assert client.call(messages.PrepareRequest(0, "SELECT 1")).stmt_id == 0  # on a new connection


def test_a_query_that_ends_nodes_does_not_end_them_one_after_the_other() -> None:
    for declared, deaths in (("boolean", 1), ("Timestamp", 1), ("TEXT", 2), ("BOOL", 2)):
        with DqliteCluster(3) as cluster:
            cluster.run_sql(NAME, f"CREATE TABLE t (a {declared}, updated_at); INSERT INTO t VALUES (1, 2)")
            drop = cluster.drop_after(0, 0, executed=False, on="QUERY_SQL", sql="FROM t", times=None)
            with connect(cluster.addresses[0], NAME, timeout=TIMEOUT) as client:
                with pytest.raises(ConnectionFailed):
                    client.query("SELECT a FROM t")
                assert drop.hits == deaths
                drop.cancel()
                assert list(client.query("SELECT updated_at FROM t")) == [(2,)]


def test_a_failure_that_only_looks_like_lost_leadership_comes_at_once() -> None:
    """1.18.7 answers a query with too many parameters by "leader exec failed"."""
    with DqliteServer(generation="1.18.7") as server, connect(server.address, NAME, timeout=60) as client:
        with pytest.raises(StatementFailed) as told:
            client.query("SELECT ?", [1, 2])
        assert told.value.code == 10
        assert len([one for one in server.requests if one.sql == "SELECT ?"]) == 2


def test_no_leader_comes_back() -> None:
    with DqliteCluster(3) as cluster, connect(cluster.addresses[0], NAME, timeout=TIMEOUT) as client:
        cluster.lose_leadership()
        for seconds in (SHORT, 10 * SHORT, 100 * SHORT):  # in which a busy machine has asked each
            with pytest.raises(NoLeaderError) as told:
                client.execute("CREATE TABLE t (a)", deadline=Deadline(seconds))
            if {attempt.said for attempt in told.value.attempts} == {"knows no leader"}:
                break
        assert {attempt.said for attempt in told.value.attempts} == {"knows no leader"}
        assert isinstance(told.value.__cause__, StatementFailed)
        cluster.elect()
        client.execute("CREATE TABLE t (a)")
