"""Sessions of published clients with real nodes, recorded by the proxy and replayed both ways."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dqlitewire.proxy import BlockingProxy
from dqlitewire.proxy.recording import Recorder
from dqlitewire.replay.server import ReplayServer
from tests.downstream import published, shells
from tests.real.nodes import Node
from tests.real.raw import RawConnection, frame, text, word
from tests.traffic.command import COMMAND, run

DEEP = os.environ.get("DQLITE_WIRE_DEEP") == "1"
DBAPI = "dbapi"
SHELL = "go-dqlite 3.0.4"
GENERATION = published.GENERATIONS[-1]
SERIES = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {})"


def record(node: Node, path: Path, session: Callable[[str], object]) -> object:
    recorder = Recorder(path)
    with BlockingProxy([f"127.0.0.1:0={node.address}"], lookers=[recorder]) as proxy:
        seen = session(proxy.addresses[0])
    recorder.close()
    assert not recorder.failed
    return seen


@pytest.mark.parametrize("scenario", [DBAPI, *(one for one in published.SCENARIOS if one != DBAPI)])
def test_a_session_of_the_published_client(
    scenario: str, node_kind: str, own_node: Callable[..., Node], tmp_path: Path
) -> None:
    if not DEEP and (scenario, node_kind) != (DBAPI, "1.18.1"):
        pytest.skip("each client with each node: DQLITE_WIRE_DEEP=1")
    published.clients(GENERATION)

    def session(address: str) -> object:
        seen = published.run(GENERATION, scenario, address, "db")
        return json.dumps(seen).replace(address, "ADDRESS")

    node, path = own_node(node_kind), tmp_path / "s.dqt"
    seen = record(node, path, session)
    with ReplayServer(path) as server:
        assert session(server.address) == seen
    assert server.problems == []
    assert run("replay", path, "--to", node.address).code == 4
    fresh = own_node(node_kind)
    result = run("replay", path, "--to", fresh.address, "--write")
    assert (result.code, result.out) == (0, ""), result.out


@pytest.mark.parametrize("shell", shells.SHELLS)
def test_a_session_of_a_go_shell(shell: str, own_node: Callable[..., Node], tmp_path: Path) -> None:
    if not DEEP and shell != SHELL:
        pytest.skip("each shell: DQLITE_WIRE_DEEP=1")
    shells.require_shell(shell)

    def session(address: str) -> list[str]:
        return shells.say(shell, address, tmp_path, [line.text for line in shells.LINES])

    path = tmp_path / "s.dqt"
    seen = record(own_node("1.18.7"), path, session)
    for match in (False, True):
        with ReplayServer(path, match=match) as server:
            assert session(server.address) == seen
        assert server.problems == []
    result = run("replay", path, "--to", own_node("1.18.7").address, "--write")
    assert (result.code, result.out) == (0, ""), result.out


def test_reading_again_and_changed_data(
    node_kind: str, own_node: Callable[..., Node], tmp_path: Path
) -> None:
    node, path = own_node(node_kind), tmp_path / "s.dqt"
    with RawConnection(node.address) as client:
        client.open("db")
        client.exec_sql("CREATE TABLE t (a INTEGER, b TEXT)")
        client.exec_sql(f"{SERIES.format(3000)} INSERT INTO t SELECT i, 'row ' || i FROM r")

    def session(address: str) -> None:
        with RawConnection(address) as client:
            client.leader()
            client.ok(16, word(1))
            client.open("db")
            client.query_sql("SELECT * FROM t ORDER BY a")
            client.ok(4, word(0) + text("SELECT b FROM t WHERE a = 17"))
            client.ok(6, bytes(8))
            client.ok(7, bytes(8))
            client.send(frame(9, word(0) + text(f"{SERIES.format(30_000)} SELECT i FROM r")))
            client.frame()
            client.send(frame(10, word(0)))
            while client.frame().kind != 8:
                pass

    record(node, path, session)
    with ReplayServer(path) as server:
        session(server.address)
    assert server.problems == []
    for more in ([], ["--timing"]):
        result = run("replay", path, "--to", node.address, *more)
        assert (result.code, result.out) == (0, ""), result
    with RawConnection(node.address) as client:
        client.open("db")
        client.exec_sql("DELETE FROM t WHERE a = 17")
        client.exec_sql("UPDATE t SET b = 'other' WHERE a = 2000")
    result = run("replay", path, "--to", node.address)
    assert result.code == 1
    assert [line.strip() for line in result.out.splitlines() if not line.startswith("connection")] == [
        "- row 17 (17, 'row 17')",
        "- row 2000 (2000, 'row 2000')",
        "+ row 1999 (2000, 'other')",
        "- row 1 ('row 17')",
    ]


def test_what_was_acknowledged_before_the_recorder_was_killed(real_node: Node, tmp_path: Path) -> None:
    path = tmp_path / "s.dqt"
    script = (
        "import sys, time\n"
        "from dqlitewire.proxy import BlockingProxy\n"
        "from dqlitewire.proxy.recording import Recorder\n"
        "proxy = BlockingProxy([f'127.0.0.1:0={sys.argv[1]}'], lookers=[Recorder(sys.argv[2])])\n"
        "proxy.start()\n"
        "print(proxy.addresses[0], flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [COMMAND[0], "-c", script, real_node.address, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with RawConnection(address) as client:
            client.open("killed")
            answers = [client.query_sql("SELECT 1") for _ in range(50)]
            client.send(frame(9, word(0) + text("SELECT 1")))
            process.kill()
    with ReplayServer(path) as server, RawConnection(server.address) as client:
        client.open("killed")
        assert [client.query_sql("SELECT 1") for _ in range(50)] == answers
    # the last request may have been recorded or not
    assert not server.problems or "1 request, the next is QUERY_SQL  SELECT 1" in server.problems[1]
