"""Real clients against the embedded server, with the same results as against a real node.

The published Python clients run the sessions of tests/downstream, and must see what they see there; the Go
shells run theirs on a real node and on the embedded server that plays it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dqlitewire.testing import DqliteCluster, DqliteServer, HazardKind
from tests.downstream.published import GENERATIONS, SCENARIOS, expected, run
from tests.downstream.shells import LINES, SHELLS, require_shell, run_shell, say
from tests.real.nodes import PLAYED, Node


@pytest.fixture(params=["1.11.1", "1.18.1", "1.18.7", "cowsql"])
def server(request: pytest.FixtureRequest) -> Iterator[DqliteServer]:
    with DqliteServer(generation=request.param) as server:
        yield server
        assert server.errors == []


@pytest.mark.downstream
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("release", GENERATIONS)
def test_published_clients(server: DqliteServer, release: str, scenario: str) -> None:
    seen = run(release, scenario, server.address, "test.db", ends=False)
    assert seen == expected(scenario, server.address)


# all shells but one send every statement as QUERY_SQL; 1.11.1 refuses writes in that, and so must ours
@pytest.mark.downstream
@pytest.mark.parametrize("kind", PLAYED)
@pytest.mark.parametrize("name", SHELLS)
def test_go_shell(own_node: Callable[..., Node], tmp_path: Path, name: str, kind: str) -> None:
    require_shell(name)
    lines = [line.text for line in LINES]
    theirs = say(name, own_node(kind).address, tmp_path, lines)
    with DqliteServer(generation=kind) as server:
        ours = say(name, server.address, tmp_path, lines)
        assert server.errors == []
        assert server.hazards == []
    assert dict(zip(lines, ours, strict=True)) == dict(zip(lines, theirs, strict=True))


@pytest.mark.downstream
@pytest.mark.parametrize("name", SHELLS)
def test_go_shell_dumps_a_database_that_sqlite_reads(tmp_path: Path, name: str) -> None:
    require_shell(name)
    with DqliteServer() as server:
        server.run_sql("shell.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1), ('two')")
        code, _, errors = run_shell(name, server.address, tmp_path, f".dump {server.address} shell.db")
        assert (code, errors) == (0, "")
    import apsw

    dumped = apsw.Connection(str(tmp_path / "shell.db"))
    assert dumped.execute("SELECT * FROM t").fetchall() == [(1,), ("two",)]
    dumped.close()


@pytest.mark.downstream
@pytest.mark.parametrize("name", SHELLS)
def test_go_shell_follows_the_leader(tmp_path: Path, name: str) -> None:
    require_shell(name)
    with DqliteCluster(3) as cluster:
        cluster.run_sql("shell.db", "CREATE TABLE t (a); INSERT INTO t VALUES (42)")
        cluster.elect(cluster.nodes[2])
        code, output, errors = run_shell(name, cluster.nodes[0].address, tmp_path, "SELECT a FROM t")
        assert (code, output.split()[-1], errors) == (0, "42", "")
        assert {record.connection for record in cluster.requests if record.sql} == {2}
        assert HazardKind.RETURNING not in [hazard.kind for hazard in cluster.hazards]
