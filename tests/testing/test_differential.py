"""The embedded server against real nodes: one dialogue, compared answer by answer, byte by byte.

What differs is listed here and in docs/guides/testing.md, and must differ: a difference that went away fails
as well.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.real.nodes import PLAYED, Cluster, Node
from tests.testing.dialogue import cluster_dialogue, speak, whole_dialogue

SQLITE = "another SQLite release with other options"
OPTIONS = (
    "Debian's SQLite has options that apsw's has not: statement and page tables, LIMIT in DELETE, pragmas"
)
UTF8 = "apsw takes text as str, so what is not UTF-8 cannot pass"
DIFFERENCES = {
    "query_sql SELECT sqlite_version() AS v": SQLITE,
    "query_sql PRAGMA compile_options": SQLITE,
    "query_sql PRAGMA database_list": "the path of a file on disk, where a node has a name in memory",
    "a parameter that is not UTF-8": UTF8,
    "SQL that is not UTF-8": UTF8,
    "query_sql SELECT ?32767 AS x": "32 766 parameters at most, where Debian's SQLite allows 250 000",
    **dict.fromkeys((f"query_sql PRAGMA {name}_list" for name in ("function", "module", "pragma")), SQLITE),
    "query_sql PRAGMA mmap_size": "-1 of a VFS that knows no such size",
    "query_sql PRAGMA default_cache_size": OPTIONS,
    "query_sql PRAGMA temp.secure_delete": OPTIONS,
    "query_sql SELECT count(*) FROM sqlite_stmt": OPTIONS,
    "prepare/0 DELETE FROM bytes LIMIT 1": OPTIONS,
}

_PAGES = {"prepare/0 SELECT pgno FROM sqlite_dbpage": OPTIONS}
OUTSIDE = "ATTACH of an expression is refused before it is known what it names"
_PLAN = {"query_sql EXPLAIN QUERY PLAN SELECT * FROM bytes": "a column that older SQLite leaves 0"}
# of one kind alone
OWN_DIFFERENCES = {
    "1.11.1": {
        **_PLAN,
        "exec of a row, the schema changed": 'says "database schema has changed" where a row was refused',
        **dict.fromkeys(
            ("query_sql PRAGMA main.max_page_count", "query_sql PRAGMA temp.max_page_count"), SQLITE
        ),
    },
    "1.18.1": {**_PAGES, **_PLAN},
    "1.18.7": {
        **_PAGES,
        **dict.fromkeys((f"{way} ATTACH 'a' || 'b' AS y" for way in ("query_sql", "exec_sql")), OUTSIDE),
    },
    "cowsql": _PAGES,
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
    # INTERRUPT stops a query, if it does not come too late; real nodes read it when all rows are sent
    interrupted = "interrupt in the middle of rows"
    one, other = ours.pop(interrupted), theirs.pop(interrupted)
    assert one[:-1] == other[: len(one) - 1]
    assert one[-1] == other[-1]
    expected = DIFFERENCES | OWN_DIFFERENCES[kind]
    differing = {label for label in ours if ours[label] != theirs[label]}
    assert differing == set(expected), "\n".join(
        f"{label}\n  ours   {ours.get(label)}\n  theirs {theirs.get(label)}"
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


@pytest.mark.parametrize("kind", PLAYED)
def test_the_dialogue_harms_no_node(kind: str) -> None:
    with DqliteServer(generation=kind) as server:
        for _ in speak(whole_dialogue(kind), server.address):
            pass
        # synchronous=2 harms at the next write, but it is set back before
        told = [hazard for hazard in server.hazards if not hazard.detail.startswith("PRAGMA synchronous=2")]
        kinds = {hazard.kind.name for hazard in told}
    # rows that never come harm the connection alone, a name of 505 bytes not even that
    assert kinds <= {"ENDLESS_ROWS", "LONG_NAME", "OUTSIDE"}
