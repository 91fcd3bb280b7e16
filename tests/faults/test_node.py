"""Faults on one node of a cluster: the same calls on the node, which leave the others alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from dqlitewire.constants import RequestType
from dqlitewire.faults import FaultMethods, UnusedFaultError
from dqlitewire.faults.kinds import Delay, Fail
from dqlitewire.testing import DqliteCluster, DqliteServer, Node
from tests.real.raw import RawConnection, word

LEADER, CLUSTER = RequestType.LEADER, RequestType.CLUSTER


@pytest.fixture
def cluster() -> Iterator[DqliteCluster]:
    with DqliteCluster(3) as cluster:
        yield cluster


def ask(node: Node, times: int = 1) -> list[int]:
    """The types of the answers to LEADER; -1 for a connection that was closed."""
    found = []
    with RawConnection(node.address) as connection:
        for _ in range(times):
            try:
                found.append(connection.call(LEADER, word(0)).kind)
            except EOFError:
                found.append(-1)
                break
    return found


def calls() -> list[str]:
    """The calls of all kinds of fault."""
    return [name for name, method in vars(FaultMethods).items() if hasattr(method, "__signature__")]


ARGUMENTS = {"fail_next": (5,), "delay": (0.001,), "split_writes": (3,)}


@pytest.mark.parametrize(
    ("call", "direction"),
    [(call, "response") for call in calls()] + [(call, "request") for call in calls() if call != "fail_next"],
)
def test_every_kind_strikes_on_its_node_alone(cluster: DqliteCluster, call: str, direction: str) -> None:
    one, two, three = cluster.nodes
    fault = getattr(two, call)(*ARGUMENTS.get(call, ()), direction=direction, on=LEADER)
    for node in (one, three):
        assert ask(node, 2) == [1, 1]
    assert fault.hits == 0
    if call != "hold":
        ask(two)
        assert fault.hits == 1
        assert ask(two) == [1]
    assert "node 2" in repr(fault)


def test_a_node_fails_and_the_others_answer(cluster: DqliteCluster) -> None:
    cluster.nodes[1].fail_next(5, times=2, on=LEADER)
    assert [ask(node, 3) for node in cluster.nodes] == [[1, 1, 1], [0, 0, 1], [1, 1, 1]]


def test_faults_of_all_and_of_one_strike_in_the_order_of_orders(cluster: DqliteCluster) -> None:
    first = cluster.nodes[0].fail_next(5, on=LEADER)
    second = cluster.fail_next(6, on=LEADER)
    assert ask(cluster.nodes[2]) == [0]
    assert (first.hits, second.hits) == (0, 1)
    assert ask(cluster.nodes[0], 2) == [0, 1]
    assert first.hits == 1


def test_after_counts_the_requests_of_the_node(cluster: DqliteCluster) -> None:
    cluster.nodes[1].fail_next(5, on=LEADER, after=1)
    assert ask(cluster.nodes[0], 3) == [1, 1, 1]
    assert ask(cluster.nodes[1], 3) == [1, 0, 1]


def test_clearing_a_node_leaves_the_faults_of_others(cluster: DqliteCluster) -> None:
    cleared = cluster.nodes[0].fail_next(5, on=LEADER)
    kept = cluster.nodes[1].fail_next(5, on=LEADER)
    everywhere = cluster.fail_next(5, on=CLUSTER)
    cluster.nodes[0].clear_faults()
    assert [fault.over for fault in (cleared, kept, everywhere)] == [True, False, False]
    assert [ask(node) for node in cluster.nodes] == [[1], [0], [1]]
    cluster.clear_faults()
    assert everywhere.over


def test_a_fault_is_of_where_it_was_ordered_last(cluster: DqliteCluster) -> None:
    fault = Fail(5, times=None, on=LEADER)
    assert cluster.nodes[1].order(fault) is fault
    assert [ask(node) for node in cluster.nodes] == [[1], [0], [1]]
    cluster.clear_faults()
    again = cluster.order(Fail(5, times=None, on=LEADER))
    assert [ask(node) for node in cluster.nodes] == [[0], [0], [0]]
    assert "node" not in repr(again)


def test_requests_say_which_node_they_came_to(cluster: DqliteCluster) -> None:
    for node in cluster.nodes[1:]:
        ask(node)
    assert [(record.node, record.type) for record in cluster.requests] == [(2, LEADER), (3, LEADER)]


def test_an_unused_fault_names_its_node_and_what_came_elsewhere() -> None:
    cluster = DqliteCluster(2, strict=True)
    cluster.start()
    cluster.nodes[1].fail_next(5, on=LEADER)
    ask(cluster.nodes[0])
    with pytest.raises(UnusedFaultError, match=r"node 2, 1 to come, 0 hits>, came: LEADER on node 1 1"):
        cluster.stop()


def test_a_node_that_stopped_keeps_its_faults(cluster: DqliteCluster) -> None:
    node = cluster.nodes[1]
    node.fail_next(5, on=LEADER)
    node.stop()
    node.start()
    assert ask(node, 2) == [0, 1]


def test_a_node_of_an_earlier_run_takes_no_orders() -> None:
    cluster = DqliteCluster(2)
    with cluster:
        old = cluster.nodes[0]
    with pytest.raises(RuntimeError):
        old.fail_next(5)
    with cluster:
        with pytest.raises(ValueError, match="of this cluster as it runs"):
            old.fail_next(5)
        with pytest.raises(ValueError, match="of this cluster as it runs"):
            old.clear_faults()
    with DqliteServer() as server:
        server.nodes[0].fail_next(5, on=LEADER)
        assert ask(server.nodes[0], 2) == [0, 1]
        with pytest.raises(TypeError):
            server.nodes[0].order("fail")  # type: ignore[type-var]


def test_calls_keep_the_types_and_words_of_their_kind(cluster: DqliteCluster) -> None:
    assert isinstance(cluster.nodes[0].delay(0.1), Delay)
    words = set(inspect.signature(Delay).parameters)
    assert set(inspect.signature(cluster.nodes[0].delay).parameters) == words
