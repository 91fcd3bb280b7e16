"""`top` on real nodes of each kind: on what a proxy records of them, and while a leader is killed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from dqlitewire.messages import QuerySqlRequest
from dqlitewire.proxy import BlockingProxy
from dqlitewire.proxy.recording import Recorder
from tests.cli.terminals import Terminal
from tests.cli.test_top import running
from tests.profiles import DEEP
from tests.real.nodes import KINDS, Cluster, Node
from tests.real.raw import RawConnection
from tests.traffic.command import run

pytestmark = pytest.mark.real

REQUESTS = 30


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_proxy_records_of_a_node(
    kind: str, real_nodes: Callable[[str], Node], database: str, tmp_path: Path
) -> None:
    path = tmp_path / "tap.dqt"
    node = real_nodes(kind)
    followed = DEEP or kind == "1.18.7"
    with contextlib.ExitStack() as stack:
        recorder = stack.enter_context(closing(Recorder(path, max_size=4000)))
        pairs = [f"127.0.0.1:0={node.address}"]
        proxy = stack.enter_context(BlockingProxy(pairs, lookers=[recorder]))
        if followed:
            top = stack.enter_context(running("--json", "--interval", "0.2", path))
        client = stack.enter_context(RawConnection(proxy.addresses[0]))
        client.leader()
        client.open(database)
        client.exec_sql("CREATE TABLE t (a)")
        for number in range(REQUESTS):
            client.exec_sql(f"INSERT INTO t VALUES ({number})")
            client.query_sql("SELECT a FROM t")
        assert client.call(9, QuerySqlRequest(0, "SELECT * FROM nowhere").encode()[8:]).failure[0] == 1
        if followed:
            found = top.until(2 * REQUESTS + 4)
            assert top.end() == (0, "")
    if not followed:
        found = json.loads(run("top", "--once", "--json", *sorted(tmp_path.iterdir())).out)
    assert found["totals"]["requests"] == 2 * REQUESTS + 4
    statements = {one["statement"]: one for one in found["statements"]}
    assert statements["SELECT a FROM t"]["count"] == REQUESTS
    assert statements["SELECT a FROM t"]["rows"] == found["rows"] == REQUESTS * (REQUESTS + 1) // 2
    assert statements["INSERT INTO t VALUES (?)"]["latency_ms"]["p50"] > 0
    assert statements["SELECT * FROM nowhere"]["failures"] == found["totals"]["failures"] == 1
    assert found["leaders"][-1]["address"]
    assert (found["open"], found["undecoded"], found["garbage"]["bytes"], found["notes"]) == (0, 0, 0, [])
    assert len(list(tmp_path.iterdir())) > 1
    assert node.alive()


@pytest.mark.parametrize("kind", KINDS if DEEP else KINDS[-2:-1])
def test_an_election_is_counted(kind: str, real_cluster: Callable[..., Cluster]) -> None:
    cluster = real_cluster(kind)
    leader = cluster.leader()
    follower = next(address for address in cluster.addresses if address != leader.address)
    before = json.loads(run("top", "--once", "--json", "--cluster", follower).out)
    assert (before["leader"]["address"], len(before["nodes"])) == (leader.address, 3)
    assert before["problems"] == []
    with (
        running("--json", "--interval", "0.3", "--cluster", follower) as top,
        Terminal("top", "--interval", "0.3", *cluster.addresses, columns=132, rows=50) as terminal,
    ):
        terminal.until_text("elections 0 seen")
        while not top.line()["leader"]:
            pass
        leader.kill()
        new = cluster.leader(other_than=leader)
        while not (found := top.line())["elections"]:
            pass
        assert found["elections"] == 1
        (change,) = found["changes"]
        assert (change["before"], change["after"]) == (leader.address, new.address)
        assert found["leader"]["address"] == new.address
        dead = next(node for node in found["nodes"] if node["address"] == leader.address)
        assert (dead["status"], dead["missed"] > 0) == ("unreachable", True)
        assert top.end() == (0, "")
        terminal.until_text("elections 1 seen")
        terminal.press("q")
        assert (terminal.wait(), all(terminal.restored.values())) == (0, True)
    assert run("top", "--once", *cluster.addresses).code == 5
