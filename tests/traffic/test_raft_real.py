"""A real cluster, captured by tcpdump while it elects, replicates, transfers and installs a snapshot."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dqlitewire import RequestType
from dqlitewire.messages import FilesResponse
from dqlitewire.raft.wal import fold_wal
from dqlitewire.traffic import open_source
from dqlitewire.traffic.items import items
from tests.real.fixtures import require, require_server
from tests.real.nodes import KINDS, Cluster, Node
from tests.real.raw import RawConnection, text, word
from tests.traffic.command import run
from tests.traffic.sources.test_tcpdump import capturing
from tests.waiting import wait_for
from tools.drawn.messages.raft_pages import SENT

# one of the lineages in the suite, all of them in a deep run
SOME = KINDS if os.environ.get("DQLITE_WIRE_DEEP") else ("1.18.7",)
TRANSFER = 17
SNAPSHOT = "8,8"  # threshold and trailing entries


def insert(node: Node, database: str, times: int) -> None:
    with RawConnection(node.address) as client:
        client.open(database)
        for number in range(times):
            client.exec_sql(f"INSERT INTO t VALUES ({number})")


def count(node: Node, database: str) -> int:
    with RawConnection(node.address) as client:
        client.open(database)
        body = client.query_sql("SELECT count(*) FROM t")[0].body
        return int.from_bytes(body[-16:-8], "little")


def catch_up(node: Node, leader: Node, path: Path) -> None:
    """Wait until a node that was killed has all entries, by what the tools make of the capture.

    cowsql 1.15.9 often dies when it gets a snapshot, and is started anew.
    """

    def done() -> bool:
        if not node.alive():
            node.start()
        follower = between(path, leader, node)
        return follower is not None and follower["lag"] == 0 and follower["snapshots"] > 0

    wait_for(done, "follower that has all entries")


def between(path: Path, leader: Node, follower: Node) -> dict[str, Any] | None:
    raft = json.loads(run("stats", "--json", path).out)["raft"]
    ends = leader.address, follower.address
    found = [one for one in raft["followers"] if (one["leader"], one["follower"]) == ends]
    return found[0] if found else None


def session(cluster: Cluster, database: str, path: Path) -> tuple[Node, Node]:
    """Write, transfer, kill, write on, and take the node back; returns the last leader and that node."""
    first = cluster.leader()
    with RawConnection(first.address) as client:
        client.open(database)
        client.exec_sql("CREATE TABLE t (a)")
    insert(first, database, 5)
    heir = next(node for node in cluster.nodes if node is not first)
    with RawConnection(first.address) as client:
        client.ok(TRANSFER, word(heir.id))
    assert cluster.leader(other_than=first) is heir
    first.kill()
    insert(heir, database, 40)
    first.start()
    insert(cluster.leader(), database, 3)
    catch_up(first, cluster.leader(), path)
    assert count(cluster.leader(), database) == 48
    return cluster.leader(), first


@pytest.mark.real
@pytest.mark.parametrize("kind", SOME)
def test_a_cluster_is_told_as_it_was(kind: str, database: str, tmp_path: Path) -> None:
    require("" if shutil.which("tcpdump") else "tcpdump is not installed")
    require("" if os.geteuid() == 0 else "tcpdump needs root")
    require_server(kind)
    path, cluster = tmp_path / "cluster.pcap", Cluster(kind)
    for node in cluster.nodes:
        node.options += ["--snapshot", SNAPSHOT]
    ports = " or ".join(address.rpartition(":")[2] for address in cluster.addresses)
    with capturing(path, ports) as dropped, cluster:
        leader, returned = session(cluster, database, path)
        dumped = dump(cluster.leader(), database)
        time.sleep(0.5)  # the next heartbeats tell what is committed
    if dropped:
        pytest.skip("the kernel dropped packets")
    check_layouts(path, kind)
    check(path, cluster, leader, returned)
    run("decode", path, "--pages", tmp_path / "pages")
    told = json.loads((tmp_path / "pages" / "index.json").read_text())["databases"]
    (followed,) = (one for one in told if one["name"] == database)
    assert followed["complete"]
    assert (tmp_path / "pages" / followed["file"]).read_bytes() == dumped


def check_layouts(path: Path, kind: str) -> None:
    """Hold the layouts of the messages against what docs/reference/raft.md says of the server."""
    seen = set()
    with open_source(path) as source:
        for item in items(source):
            message: Any = item.raft_message
            if message is None:
                continue
            sent = SENT[kind].get(message.TYPE, (0, None))
            last = getattr(message, "flags", getattr(message, "last_word", None))
            assert (message.version, last if sent[1] is None else last is not None) == sent, message
            seen.add(message.TYPE)
    assert seen >= set(SENT[kind])


def dump(node: Node, database: str) -> bytes:
    """The database as a node has it, its WAL folded in."""
    with RawConnection(node.address) as client:
        files = FilesResponse.decode_body(client.ok(RequestType.DUMP, text(database)).body).files
    return fold_wal(files[database], files.get(f"{database}-wal", b""))


def check(path: Path, cluster: Cluster, leader: Node, returned: Node) -> None:
    """Hold what the tools say against what was done."""
    done = run("decode", "--json", path)
    shown: list[dict[str, Any]] = [json.loads(line) for line in done.out.splitlines()]
    types = Counter(one["type"] for one in shown)
    assert types["TIMEOUT_NOW"] == 1
    assert types["REQUEST_VOTE"] >= 2
    assert types["INSTALL_SNAPSHOT"] >= 1
    assert not types["GARBAGE"]
    assert not types["GAP"]
    assert not [one for one in shown if "error" in one]
    by_place = {(one["connection"], one["offset"]): one for one in shown if one["type"] != "END"}
    paired = [one for one in shown if "answers" in one]
    for result in paired:
        rpc = by_place[result["answers"]["connection"], result["answers"]["offset"]]
        assert result["type"] in (f"{rpc['type']}_RESULT", "APPEND_ENTRIES_RESULT")
        assert result["latency_ms"] == pytest.approx((result["time"] - rpc["time"]) * 1000, abs=50)
        assert 0 <= result["latency_ms"] < 10_000
    # a node that comes back answers a backlog of heartbeats at once, which cannot be told from each other
    assert len(paired) > (types["APPEND_ENTRIES_RESULT"] + types["REQUEST_VOTE_RESULT"]) / 5

    raft = json.loads(run("stats", "--json", path).out)["raft"]
    last = [term for term in raft["terms"] if term["leader"]][-1]  # behind it there may be a refused pre-vote
    assert (last["leader"], raft["leaders"][-1]["leader"]) == (leader.address, leader.address)
    assert last["votes_asked"] >= 1
    assert raft["snapshots"] >= 1
    follower = between(path, leader, returned)
    assert follower is not None
    assert follower["snapshots"] >= 1
    entries = [
        (entry["index"], entry["term"])
        for one in shown
        if one["type"] == "APPEND_ENTRIES" and one["fields"]
        for entry in one["fields"]["entries"]
    ]
    assert follower["last_index_sent"] == max(entries)[0]
    # the last result may have come behind the end
    assert follower["lag"] <= 1
    assert {one["leader"] for one in raft["followers"]} <= set(cluster.addresses)
