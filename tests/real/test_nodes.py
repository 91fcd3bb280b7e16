"""The nodes themselves, through hand-packed bytes: what every other real-node proof stands on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.real.nodes import KINDS, Cluster, Node
from tests.real.raw import HANDSHAKE_LEGACY, VOTER, RawConnection, word


def test_shared_node_leads_itself(real_node: Node) -> None:
    with RawConnection(real_node.address) as connection:
        assert connection.leader() == (1, real_node.address)


def test_kinds_are_what_they_claim(old_node: Node, new_node: Node) -> None:
    # 1.12 and newer know schemas; there is no version query on the wire
    for node, refused in ((old_node, False), (new_node, True)):
        with RawConnection(node.address) as connection:
            assert (connection.call(0, word(0), schema=1).kind == 0) is refused


def test_databases_are_apart(real_node: Node, database: str) -> None:
    with RawConnection(real_node.address) as connection:
        connection.open(database)
        connection.exec_sql("CREATE TABLE t (a)")
        assert connection.exec_sql("INSERT INTO t VALUES (1), (2)") == (2, 2)
        (frame,) = connection.query_sql("SELECT count(*) AS n FROM t")
        assert frame.body == word(1) + b"n".ljust(8, b"\0") + word(1) + word(2) + b"\xff" * 8


def test_unknown_handshake_closes(real_node: Node) -> None:
    with RawConnection(real_node.address, handshake=2) as connection:
        assert connection.closed_by_peer()


def test_legacy_handshake_answers(real_node: Node) -> None:
    with RawConnection(real_node.address, handshake=HANDSHAKE_LEGACY) as connection:
        assert connection.ok(0, word(0)).body.rstrip(b"\0").decode() == real_node.address


@pytest.mark.parametrize("kind", KINDS)
def test_cluster_forms_and_survives_a_crash(real_cluster: Callable[..., Cluster], kind: str) -> None:
    cluster = real_cluster(kind)
    first = cluster.leader()
    assert first is cluster.nodes[0]
    first.kill()
    assert cluster.leader(other_than=first).alive()


def test_restart_keeps_the_data(own_node: Callable[..., Node], node_kind: str, database: str) -> None:
    node = own_node(node_kind)
    with RawConnection(node.address) as connection:
        connection.open(database)
        connection.exec_sql("CREATE TABLE t (a)")
        connection.exec_sql("INSERT INTO t VALUES (7)")
    node.kill()
    node.start()
    with RawConnection(node.address) as connection:
        connection.open(database)
        assert word(7) in connection.query_sql("SELECT a FROM t")[0].body


def test_roles_are_numbers(real_cluster: Callable[..., Cluster]) -> None:
    cluster = real_cluster("1.18.1", 2)
    with RawConnection(cluster.nodes[0].address) as connection, pytest.raises(RuntimeError, match="role"):
        connection.assign(2, VOTER)
