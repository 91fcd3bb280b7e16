"""The embedded server against real nodes: one dialogue, compared answer by answer, byte by byte.

What differs is listed here and in docs/testing.md, and must differ: a difference that went away fails as
well.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.real.nodes import PLAYED, Cluster, Node
from tests.testing.dialogue import cluster_dialogue, speak, whole_dialogue

SQLITE = "another SQLite release with other options"
UTF8 = "apsw takes text as str, so what is not UTF-8 cannot pass"
DIFFERENCES = {
    "query_sql SELECT sqlite_version() AS v": SQLITE,
    "query_sql PRAGMA compile_options": SQLITE,
    "query_sql PRAGMA database_list": "the path of a file on disk, where a node has a name in memory",
    "a parameter that is not UTF-8": UTF8,
    "SQL that is not UTF-8": UTF8,
    "interrupt in the middle of rows": "INTERRUPT stops a query; real nodes read it when all rows are sent",
    "query_sql SELECT ?32767 AS x": "32 766 parameters at most, where Debian's SQLite allows 250 000",
}


OLD_DIFFERENCES = {
    "exec of a row, the schema changed": '1.11.1 says "database schema has changed" where a row was refused',
}


@pytest.mark.parametrize("kind", PLAYED)
def test_same_answers(own_node: Callable[..., Node], kind: str) -> None:
    steps = whole_dialogue(kind)
    with DqliteServer(generation=kind) as server:
        ours = dict(speak(steps, server.address))
        assert server.errors == []
    node = own_node(kind)
    theirs = dict(speak(steps, node.address))
    assert node.alive(), node.log_tail()

    assert len(ours) > 1300
    expected = DIFFERENCES | (OLD_DIFFERENCES if kind == "1.11.1" else {})
    differing = {label for label in ours if ours[label] != theirs[label]}
    assert differing == set(expected), "\n".join(
        f"{label}\n  ours   {ours[label]}\n  theirs {theirs[label]}"
        for label in sorted(differing ^ set(expected))
    )


@pytest.mark.parametrize("kind", PLAYED)
def test_same_answers_of_a_cluster(real_cluster: Callable[..., Cluster], kind: str) -> None:
    steps = cluster_dialogue(kind)
    with DqliteCluster(3, generation=kind) as fake:
        ours = dict(speak(steps, *fake.addresses))
        assert fake.errors == []
    real = real_cluster(kind, 3)
    theirs = dict(speak(steps, *real.addresses))
    assert len(ours) > 60
    assert ours == theirs
