"""Real clients against the embedded server, with the same results as against a real node.

The published Python clients run the sessions of tests/downstream, and must see what they see there; the Go
shells of both Debian releases run a session of their own on a real node and on the embedded server.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dqlitewire.testing import DqliteCluster, DqliteServer, HazardKind
from tests.downstream.published import GENERATIONS, SCENARIOS, expected, run
from tests.real.fixtures import require
from tests.real.nodes import PLAYED, Node, clean_environment, command, missing


@pytest.fixture(params=["1.11.1", "1.18.1", "1.18.6"])
def server(request: pytest.FixtureRequest) -> Iterator[DqliteServer]:
    with DqliteServer(generation=request.param) as server:
        yield server
        assert server.errors == []


@pytest.mark.downstream
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("release", GENERATIONS)
def test_published_clients(server: DqliteServer, release: str, scenario: str) -> None:
    assert run(release, scenario, server.address, "test.db") == expected(scenario, server.address)


SERIES = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 3000) SELECT i FROM r"
# the 1.11.5 shell sends what does not begin with SELECT as EXEC_SQL
SHELL_SESSION = "\n".join(
    (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, at DATETIME, flag BOOLEAN)",
        "INSERT INTO t(name, at, flag) VALUES ('one', '2024-02-29 12:30:00', 1), ('two', NULL, NULL)",
        "INSERT INTO t(name, at, flag) VALUES ('drei ü', 1700000000, 0)",
        "SELECT * FROM t",
        "SELECT count(*), max(name), x'0102', 1.5, NULL FROM t",
        "SELECT nothing FROM t",
        "INSERT INTO t(id) VALUES (1)",
        "UPDATE t SET name = 'x' WHERE id > 1",
        "SELECT group_concat(name) FROM t",
        f"SELECT 'row ' || i FROM ({SERIES})",
        "SELECT abs(-9223372036854775807 - 1)",
        "DELETE FROM t",
        ".leader",
        ".cluster",
        "",
    )
)


def shell(kind: str, address: str, *words: str, cwd: Path, text: str | None = None) -> tuple[int, str, str]:
    finished = subprocess.run(
        [*command(kind, "dqlite"), "-s", address, "shell.db", *words],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
        env=clean_environment(),
    )
    output = finished.stdout.replace(address, "ADDRESS")
    return finished.returncode, output, finished.stderr.replace(address, "ADDRESS")


# trixie's shell sends every statement as QUERY_SQL, which 1.11.1 refuses for writes: both must refuse alike
@pytest.mark.parametrize("kind", PLAYED)
@pytest.mark.parametrize("shell_kind", PLAYED)
def test_go_shell(own_node: Callable[..., Node], tmp_path: Path, shell_kind: str, kind: str) -> None:
    require(missing(shell_kind))
    node = own_node(kind)
    theirs = shell(shell_kind, node.address, cwd=tmp_path, text=SHELL_SESSION)
    with DqliteServer(generation=kind) as server:
        ours = shell(shell_kind, server.address, cwd=tmp_path, text=SHELL_SESSION)
        assert server.errors == []
        assert server.hazards == []
    assert "row 3000" in ours[1]
    assert ours == theirs


@pytest.mark.parametrize("shell_kind", PLAYED)
def test_go_shell_dumps_a_database_that_sqlite_reads(tmp_path: Path, shell_kind: str) -> None:
    require(missing(shell_kind))
    with DqliteServer() as server:
        server.run_sql("shell.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1), ('two')")
        code, _, errors = shell(shell_kind, server.address, f".dump {server.address} shell.db", cwd=tmp_path)
        assert (code, errors) == (0, "")
    import apsw

    dumped = apsw.Connection(str(tmp_path / "shell.db"))
    assert dumped.execute("SELECT * FROM t").fetchall() == [(1,), ("two",)]
    dumped.close()


@pytest.mark.parametrize("shell_kind", PLAYED)
def test_go_shell_follows_the_leader(tmp_path: Path, shell_kind: str) -> None:
    require(missing(shell_kind))
    with DqliteCluster(3) as cluster:
        cluster.run_sql("shell.db", "CREATE TABLE t (a); INSERT INTO t VALUES (42)")
        cluster.elect(cluster.nodes[2])
        code, output, errors = shell(shell_kind, cluster.nodes[0].address, "SELECT a FROM t", cwd=tmp_path)
        assert (code, output.split()[-1], errors) == (0, "42", "")
        assert {record.connection for record in cluster.requests if record.sql} == {2}
        assert HazardKind.RETURNING not in [hazard.kind for hazard in cluster.hazards]
