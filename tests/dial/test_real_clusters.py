"""Clusters of real nodes as `probe` finds them: well, with a node killed, in an election, with no quorum."""

from __future__ import annotations

import contextlib
import json
import os
import re
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from dqlitewire.dial import FindingKind
from tests.dial.fronts import Front
from tests.dial.relays import Relay
from tests.profiles import DEEP
from tests.real.fixtures import require_server
from tests.real.nodes import KINDS, Cluster, Node
from tests.real.raw import RawConnection, text, word
from tests.traffic.command import run
from tests.waiting import wait_for

ADD, ASSIGN, REMOVE, DUMP = 12, 13, 14, 15
GENERATION = {"1.11.1": "1.11"}
PATIENCE = "20"  # seconds in which an election comes to an end, however busy the machine is


def probed(*arguments: str | Path, code: int) -> list[dict[str, object]]:
    """The objects that `probe --json` prints."""
    result = run("probe", "--json", *arguments)
    assert (result.code, result.err) == (code, ""), result.out
    return [json.loads(line) for line in result.out.splitlines()]


def kinds(found: list[dict[str, object]]) -> set[str]:
    return {finding["kind"] for each in found for finding in each["findings"]}  # type: ignore[attr-defined]


def names(found: list[dict[str, object]]) -> dict[object, object]:
    return {each["node_id"]: each["address"] for each in found}


def files_of(cluster: Cluster) -> dict[str, list[str]]:
    """Which files each node has, but for the log's, which grow and are made ahead."""
    return {
        node.address: sorted(
            path.name for path in (node.folder / "data").iterdir() if not path.name[0].isdigit()
            and not path.name.startswith("open-")
        )
        for node in cluster.nodes
    }  # fmt: skip


def dumped(address: str, database: str = "none.db") -> bytes:
    """What a node has of a database that nobody opened: nothing, or a refusal."""
    with RawConnection(address) as connection:
        return connection.call(DUMP, text(database)).body


@pytest.mark.parametrize("kind", KINDS)
def test_the_life_of_a_cluster(
    kind: str,
    real_cluster: Callable[..., Cluster],
    own_node: Callable[..., Node],
    tmp_path: Path,
) -> None:
    cluster = real_cluster(kind, 3)
    standby, spare = own_node(kind, node_id=4), own_node(kind, node_id=5)
    with RawConnection(cluster.leader().address) as connection:
        for node, role in ((standby, 1), (spare, 2)):
            connection.ok(ADD, word(node.id) + text(node.address))
            if role != 2:
                connection.ok(ASSIGN, word(node.id) + word(role))
    every = {node.id: node.address for node in (*cluster.nodes, standby, spare)}
    before = files_of(cluster), [dumped(address) for address in cluster.addresses]

    # from a follower, whatever node it is; a new spare knows nobody
    for start in (cluster.nodes[1], standby):
        found = probed(start.address, "--cluster", "--timeout", PATIENCE, code=0)
        assert (names(found), kinds(found)) == (every, set())
        assert [each["role"] for each in sorted(found, key=lambda each: str(each["node_id"]))] == [
            *["VOTER"] * 3,
            "STANDBY",
            "SPARE",
        ]
        assert {each["generation"] for each in found} == {GENERATION.get(kind, "1.12")}
        assert all(each["round_trip_ms"] for each in found)
    assert (files_of(cluster), [dumped(address) for address in cluster.addresses]) == before

    # as a store has them, and behind sockets, where the store's ids tell which is which
    store = tmp_path / "cluster.yaml"
    write_store(store, every)
    assert run("probe", store).out.startswith(f"healthy: leader 1 at {cluster.addresses[0]}, 5 members")
    with contextlib.ExitStack() as relays:
        behind = {}
        for number, address in every.items():
            unix = str(tmp_path / str(number)) if number % 2 else f"@probe-{os.getpid()}-{number}"
            behind[number] = relays.enter_context(Relay(address, unix=unix)).address
        write_store(store, behind)
        found = probed(store, "--cluster", "--timeout", PATIENCE, code=0)
        assert (names(found), kinds(found)) == (behind, {"other_address"})

    if DEEP or kind == "1.18.7":
        remove(standby, cluster, every)
        kill_a_follower(cluster, every)
    after = kill_the_leader(cluster, every)
    if DEEP or kind == "1.18.7":
        after.kill()
        last = next(node for node in cluster.nodes if node.alive())
        wait_for(lambda: run("probe", last.address).code == 4, "end of the leadership")
        for seconds in ("1", "5", PATIENCE):  # all of which it waits for a leader
            found = probed(last.address, "--cluster", "--timeout", seconds, code=5)
            if kinds(found) == {"unreachable", "no_leader", "no_quorum"}:
                break
        assert kinds(found) == {"unreachable", "no_leader", "no_quorum"}


def remove(standby: Node, cluster: Cluster, every: dict[int, str]) -> None:
    """A stand-by says what it knew."""
    with RawConnection(cluster.leader().address) as connection:
        connection.ok(REMOVE, word(standby.id))
    found = probed(*cluster.addresses, standby.address, "--timeout", PATIENCE, code=5)
    assert kinds(found) & {"removed", "not_a_member"}
    assert [each["address"] for each in found if each["findings"]] == [standby.address]
    del every[standby.id]


def kill_a_follower(cluster: Cluster, every: dict[int, str]) -> None:
    """It comes back."""
    leader = cluster.leader()
    follower = next(node for node in cluster.nodes if node is not leader)
    follower.kill()
    found = probed(leader.address, "--cluster", "--timeout", PATIENCE, code=5)
    assert (names(found), kinds(found)) == (every, {"unreachable"})
    assert [each["node_id"] for each in found if each["status"] == "unreachable"] == [follower.id]
    follower.start()
    wait_for(
        lambda: run("probe", follower.address, "--cluster", "--timeout", PATIENCE).code == 0,
        "healthy cluster",
    )


def kill_the_leader(cluster: Cluster, every: dict[int, str]) -> Node:
    """Ask while the others elect the next one, which is returned."""
    leader = cluster.leader()
    others = [node for node in cluster.nodes if node is not leader]
    leader.kill()
    found = probed(others[0].address, "--cluster", "--timeout", PATIENCE, code=5)
    assert (names(found), kinds(found)) == (every, {"unreachable"}), found
    (dead,) = (each for each in found if each["status"] == "unreachable")
    assert dead["node_id"] == leader.id
    said = {each["leader"]["address"] for each in found if each["role"] == "VOTER" and each["leader"]}  # type: ignore[index]
    assert len(said) == 1
    assert leader.address not in said

    return cluster.leader(other_than=leader)


def write_store(path: Path, nodes: dict[int, str]) -> None:
    path.write_text("".join(f"- Address: {a!r}\n  ID: {i}\n  Role: 0\n" for i, a in nodes.items()))


@pytest.mark.skipif(not DEEP, reason="elections with the library's own timers take seconds")
@pytest.mark.parametrize("kind", KINDS)
def test_an_election_of_seconds(kind: str) -> None:
    require_server(kind)
    with Cluster(kind, 3, latency=None) as cluster:
        leader = cluster.leader()
        leader.kill()
        other = next(node for node in cluster.nodes if node is not leader)
        found = probed(other.address, "--cluster", "--timeout", PATIENCE, code=5)
        assert kinds(found) == {"unreachable"}
        assert [each["node_id"] for each in found if each["findings"]] == [leader.id]


# ---------------------------------------------------------------- behind what stands before it in production


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    folder = tmp_path_factory.mktemp("authority")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.crt"))
    client = ca.issue_cert("client")
    client.cert_chain_pems[0].write_to_path(str(folder / "client.crt"))
    client.private_key_pem.write_to_path(str(folder / "client.key"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return folder, context


@pytest.mark.parametrize(
    ("kind", "path"),
    [(kind, path) for kind in KINDS for path in (None, "/internal/database")]
    if DEEP
    else [("cowsql", None), ("1.18.7", "/internal/database")],
)
def test_members_are_dialled_as_the_target_was(
    kind: str, path: str | None, authority: tuple[Path, ssl.SSLContext]
) -> None:
    require_server(kind)
    folder, context = authority
    with contextlib.ExitStack() as everything:
        fronts = [everything.enter_context(Front(tls=context, path=path)) for _ in range(3)]
        nodes = []
        for number, front in enumerate(fronts, 1):
            node = Node(kind, number, options=["--bind", front.inside])
            node.address = front.address
            nodes.append(everything.enter_context(node))
        with RawConnection(nodes[0].address) as connection:
            for node in nodes[1:]:
                connection.ok(ADD, word(node.id) + text(node.address))
                connection.ok(ASSIGN, word(node.id) + word(0))
        options = ["--ca", folder / "ca.crt", "--cert", folder / "client.crt", "--key", folder / "client.key"]
        options += ["--upgrade", path] if path else []
        plain = [front.plain for front in fronts]
        found = probed(nodes[1].address, "--cluster", "--timeout", PATIENCE, *options, code=0)
        assert (names(found), kinds(found)) == ({node.id: node.address for node in nodes}, set())
        assert sum(front.plain for front in fronts) - sum(plain) < 10  # what raft dialled meanwhile
        result = run("probe", nodes[1].address, "--cluster", "--timeout", "2", *options[:2])
        assert result.code == 5
        assert "the server wants a client certificate" in " ".join(result.out.split())


# ---------------------------------------------------------------- more than one


def test_two_clusters_mixed_up(real_cluster: Callable[..., Cluster], real_address: str) -> None:
    cluster = real_cluster("1.18.7", 3)
    found = probed(*cluster.addresses, real_address, code=5)
    assert kinds(found) == {"other_cluster"}
    assert [bool(each["findings"]) for each in found] == [False, False, False, True]
    said = run("probe", *cluster.addresses, real_address)
    assert f"! {real_address} is of another cluster, with 1 at {real_address}" in " ".join(said.out.split())


def test_servers_of_different_releases(own_node: Callable[..., Node]) -> None:
    """As in a rolling upgrade: 1.11.1 leads, the others are newer."""
    for kind in ("1.11.1", "1.18.1", "1.18.7"):
        require_server(kind)
    nodes = [own_node(kind, node_id=i) for i, kind in enumerate(("1.11.1", "1.18.1", "1.18.7"), 1)]
    with RawConnection(nodes[0].address) as connection:
        for node in nodes[1:]:
            connection.ok(ADD, word(node.id) + text(node.address))
            connection.ok(ASSIGN, word(node.id) + word(1))
    found = probed(nodes[0].address, "--cluster", "--timeout", PATIENCE, code=0)
    assert kinds(found) == {"generations"}
    assert [each["generation"] for each in found] == ["1.11", "1.12", "1.12"]


def test_a_member_that_hangs_keeps_nobody_waiting_for_the_others(
    real_cluster: Callable[..., Cluster],
) -> None:
    cluster = real_cluster("1.18.7", 3)
    leader = cluster.leader()
    hung = next(node for node in cluster.nodes if node is not leader)
    with hung.hanging():
        found = probed(leader.address, "--cluster", "--timeout", "1", code=5)
    assert {each["node_id"]: each["status"] for each in found} == {
        node.id: "silent" if node is hung else "healthy" for node in cluster.nodes
    }
    assert threading.active_count() < 50


# ---------------------------------------------------------------- the page

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "traffic.md").read_text()


def test_the_page_shows_what_is_printed(
    real_cluster: Callable[..., Cluster], own_node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its two examples, run on such a cluster: all but addresses, blanks and times is as it stands there."""
    section = PAGE.partition("### A cluster\n")[2].partition("\n## ")[0]
    well, killed = re.findall(r"```console\n\$ dqlite-wire (.*)\n([^`]*)```", section)
    cluster, spare = real_cluster("1.18.7", 3), own_node("1.18.7", node_id=4)
    with RawConnection(cluster.nodes[0].address) as connection:
        connection.ok(ADD, word(4) + text(spare.address))
    monkeypatch.setenv("COLUMNS", "80")

    def told(command: str) -> str:
        for number, node in enumerate((*cluster.nodes, spare), 1):
            command = command.replace(f"10.0.0.{number}:9001", node.address)
        out = run(*command.split()).out
        for number, node in enumerate((*cluster.nodes, spare), 1):
            out = out.replace(node.address, f"10.0.0.{number}:9001")
        return as_compared(out)

    assert told(well[0]) == as_compared(well[1])
    cluster.nodes[2].kill()
    assert told(killed[0]) == as_compared(killed[1])


def as_compared(out: str) -> str:
    return " ".join(re.sub(r"\d+\.\d\d ms", "N ms", out).split())


def test_every_kind_of_finding_is_on_the_page() -> None:
    section = PAGE.partition("### A cluster\n")[2].partition("\n## ")[0]
    tables = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    problems, notes = (set(re.findall("`([a-z_]+)`", " ".join(part))) for part in (tables[:-5], tables[-5:]))
    assert problems == {kind.name.lower() for kind in FindingKind if kind.problem}
    assert notes == {kind.name.lower() for kind in FindingKind if not kind.problem}
