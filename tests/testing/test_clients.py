"""Real clients against the embedded server, with the same results as against a real node.

The published Python clients run the sessions of tests/downstream, and must see what they see there; the Go
shells of both Debian releases run a session of their own on a real node and on the embedded server.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.testing import DqliteCluster, DqliteServer, HazardKind
from tests.downstream.session import SCENARIOS
from tests.downstream.test_clients import EXPECTED, HERE, PYTHON_KIND, SOURCE, TIMEOUT, clients
from tests.real.fixtures import require
from tests.real.nodes import KINDS, Node, clean_environment, command, missing, python


@pytest.fixture(params=["1.11.1", "1.18.1", "1.18.6"])
def server(request: pytest.FixtureRequest) -> Iterator[DqliteServer]:
    with DqliteServer(generation=request.param) as server:
        yield server
        assert server.errors == []


@pytest.mark.downstream
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("release", ["0.2.2", "0.8.0"])
def test_published_clients(server: DqliteServer, release: str, scenario: str) -> None:
    require(missing(PYTHON_KIND))
    folder = clients(release)
    if not (folder / "complete").exists():
        require(f"the published clients {release} are not there: run tests/downstream/setup-clients")
    finished = subprocess.run(
        [*python(PYTHON_KIND), "-s", str(HERE / "session.py"), scenario, server.address, "test.db"],
        env={
            **clean_environment(),
            "PYTHONPATH": os.pathsep.join([str(SOURCE), str(folder)]),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    expected: dict[str, Any] = EXPECTED[scenario]
    if scenario == "cluster":
        expected = expected | {
            "leader": [1, server.address],
            "found": server.address,
            "nodes": [[1, server.address, 0]],
        }
    assert json.loads(finished.stdout)["seen"] == expected


# the 1.11.5 shell sends what does not begin with SELECT as EXEC_SQL
SHELL_SESSION = """\
CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, at DATETIME, flag BOOLEAN) INSERT INTO t(name, at, flag)
VALUES ('one', '2024-02-29 12:30:00', 1), ('two', NULL, NULL), ('drei ü', 1700000000, 0) SELECT * FROM t
SELECT count(*), max(name), x'0102', 1.5, NULL FROM t SELECT nothing FROM t INSERT INTO t(id) VALUES (1)
UPDATE t SET name = 'x' WHERE id > 1 SELECT group_concat(name) FROM t SELECT * FROM (WITH RECURSIVE r(i) AS
(SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 3000) SELECT i, 'row ' || i FROM r) SELECT
abs(-9223372036854775807 - 1) DELETE FROM t .leader .cluster
"""


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
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shell_kind", KINDS)
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


@pytest.mark.parametrize("shell_kind", KINDS)
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


@pytest.mark.parametrize("shell_kind", KINDS)
def test_go_shell_follows_the_leader(tmp_path: Path, shell_kind: str) -> None:
    require(missing(shell_kind))
    with DqliteCluster(3) as cluster:
        cluster.run_sql("shell.db", "CREATE TABLE t (a); INSERT INTO t VALUES (42)")
        cluster.elect(cluster.nodes[2])
        code, output, errors = shell(shell_kind, cluster.nodes[0].address, "SELECT a FROM t", cwd=tmp_path)
        assert (code, output.split()[-1], errors) == (0, "42", "")
        assert {record.connection for record in cluster.requests if record.sql} == {2}
        assert HazardKind.RETURNING not in [hazard.kind for hazard in cluster.hazards]
