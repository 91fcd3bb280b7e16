"""Real clusters and the proxy: clients stay behind it through a failover, and nodes meet through it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dqlitewire.conversation import Side
from dqlitewire.proxy import BlockingProxy
from tests.profiles import DEEP
from tests.real.fixtures import require_server
from tests.real.nodes import KINDS, LATENCY_MS, Cluster, Node, free_port
from tests.real.raw import RawConnection, word
from tests.real.session import Session
from tests.waiting import wait_for

# one of the lineages in the suite, all of them in a deep run
SOME = KINDS if DEEP else ("1.18.7",)
TIMEOUT = 30.0


class Connections:
    """A looker that tells raft's connections from clients'."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.bytes: Counter[Side] = Counter()
        self._begun: dict[int, bytes] = {}

    def opened(self, connection: int, client: str, server: str, time: int) -> None:
        self._begun[connection] = b""

    def passed(self, connection: int, side: Side, data: bytes, time: int) -> None:
        begun = self._begun.get(connection)
        if begun is not None and side is Side.CLIENT:
            begun = self._begun[connection] = begun + data[:16]
            if len(begun) >= 16:
                self.kinds["raft" if begun[12] == 11 else "client"] += 1
                del self._begun[connection]
        self.bytes[side] += len(data)

    def changed(self, connection: int, side: Side, data: bytes, sent: bytes, time: int) -> None:
        self.kinds["changed"] += 1

    def fault(self, connection: int, kind: str, fault: int, on: str, time: int) -> None:
        raise AssertionError("nothing was ordered")

    def ended(self, connection: int, side: Side | None, time: int) -> None:
        self._begun.pop(connection, None)


def rows(address: str, database: str) -> int:
    with RawConnection(address) as client:
        client.open(database)
        return len(client.query_sql("SELECT a FROM t")[0].body) // 8


@pytest.mark.real
@pytest.mark.parametrize("kind", SOME)
def test_a_client_stays_behind_the_proxy_through_a_failover(
    kind: str, real_cluster: Callable[..., Cluster], database: str
) -> None:
    cluster = real_cluster(kind)
    with BlockingProxy([f"127.0.0.1:0={address}" for address in cluster.addresses], faults=False) as proxy:
        local = {node.address: proxy[node.address] for node in cluster.nodes}
        leader = cluster.leader()
        with RawConnection(local[leader.address]) as client:
            assert client.leader() == (leader.id, local[leader.address])
            client.open(database)
            client.exec_sql("CREATE TABLE t (a)")
            for form in (0, 1):
                body = client.ok(16, word(form)).body
                assert all(address.encode() in body for address in local.values())
                assert not any(address.encode() in body for address in local)
        leader.kill()
        successor = cluster.leader(other_than=leader)
        others = [node for node in cluster.nodes if node is not leader]
        for node in others:
            with RawConnection(local[node.address]) as client:
                assert client.leader() == (successor.id, local[successor.address])
        with RawConnection(local[successor.address]) as client:
            client.open(database)
            client.exec_sql("INSERT INTO t VALUES (1)")
        assert rows(local[successor.address], database)


@contextmanager
def meeting_through_a_proxy(
    kind: str, looker: Connections, latency: int | None = LATENCY_MS
) -> Iterator[tuple[Cluster, BlockingProxy]]:
    """A cluster whose nodes advertise the LOCALs of a proxy and listen elsewhere."""
    cluster = Cluster(kind, latency=latency)
    pairs = []
    for node in cluster.nodes:
        real = f"127.0.0.1:{free_port()}"
        node.options += ["--bind", real]
        pairs.append(f"{node.address}={real}")
    with BlockingProxy(pairs, lookers=[looker], faults=False, say=lambda text: None) as proxy, cluster:
        yield cluster, proxy


@pytest.mark.real
@pytest.mark.parametrize("kind", SOME)
def test_nodes_join_elect_and_fail_over_through_proxies(kind: str, database: str) -> None:
    require_server(kind)
    looker = Connections()
    with meeting_through_a_proxy(kind, looker) as (cluster, proxy):
        leader = cluster.leader()
        with RawConnection(leader.address) as client:
            client.open(database)
            client.exec_sql("CREATE TABLE t (a)")
            client.exec_sql("INSERT INTO t VALUES (1)")
        assert looker.kinds["raft"] >= 4  # the first node to two others, and both back
        assert not looker.kinds["changed"]  # the nodes name their LOCALs themselves

        leader.kill()
        successor = cluster.leader(other_than=leader)
        with RawConnection(successor.address) as client:
            client.open(database)
            client.exec_sql("INSERT INTO t VALUES (2)")

        started: Node = leader.start()
        wait_for(lambda: cluster.leader() is not None and started.alive(), "leader of all three", TIMEOUT)
        with RawConnection(started.address) as client:
            assert client.leader()[0] == cluster.leader().id
        with RawConnection(cluster.leader().address) as client:
            client.open(database)
            client.exec_sql("INSERT INTO t VALUES (3)")
        assert not proxy.errors
        assert looker.kinds["raft"] >= 6


@pytest.mark.real
@pytest.mark.skipif(not DEEP, reason="three nodes with the library's own timers: DQLITE_WIRE_DEEP=1")
@pytest.mark.parametrize("kind", KINDS)
def test_a_blob_of_60_mib_is_replicated_through_proxies(kind: str) -> None:
    require_server(kind)
    looker = Connections()
    blob = os.urandom(1 << 20) * 60
    with meeting_through_a_proxy(kind, looker, latency=None) as (cluster, proxy):
        leader = cluster.leader()
        with Session(leader.address, "db") as session:
            session.execute("CREATE TABLE b (a BLOB)")
            session.execute("INSERT INTO b VALUES (?)", blob)
            assert session.row("SELECT a FROM b") == (blob,)
        # to the leader and from it to at least one other, through one proxy
        assert looker.bytes[Side.CLIENT] > 2 * len(blob)
        assert looker.bytes[Side.SERVER] > len(blob)
        leader.kill()
        with Session(cluster.leader(other_than=leader).address, "db") as session:
            assert session.row("SELECT a FROM b") == (blob,)
        assert not proxy.errors
