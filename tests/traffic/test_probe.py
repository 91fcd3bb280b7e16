"""Probing live nodes, and what stands in their place."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dqlitewire.messages import FailureResponse, LeaderResponse
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.probe import Status, probe, split_address
from tests.real.nodes import Cluster, Node
from tests.real.raw import RawConnection, text, word
from tests.traffic.command import on_terminal, run


@contextmanager
def serving(
    answer: Callable[[socket.socket], None], connections: int = 1
) -> Iterator[tuple[str, list[bytes]]]:
    """A server that handles so many connections; gives its address and what it received first on each."""
    received: list[bytes] = []

    def serve() -> None:
        for _ in range(connections):
            connection, _ = server.accept()
            with connection:
                received.append(connection.recv(65536))
                answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", received
        thread.join(20)
        assert not thread.is_alive()


def test_a_healthy_node(real_node: Node) -> None:
    health = probe(real_node.address)
    assert health.status is Status.HEALTHY
    assert (health.leader_id, health.leader_address) == (1, real_node.address)
    assert [(node.node_id, node.address, node.role.name) for node in health.nodes] == [
        (1, real_node.address, "VOTER")
    ]
    assert health.server == {"1.11.1": "1.11 or older", "1.18.1": "1.12 or newer"}[real_node.kind]
    assert health.failure_domain == 0
    assert health.weight is not None  # other tests set it on the shared node
    assert health.round_trip is not None
    assert 0 < health.round_trip < 5


def test_the_command_on_a_healthy_node(real_node: Node) -> None:
    result = run("probe", real_node.address)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[0] == f"{real_node.address}  healthy"
    assert f"1  {real_node.address}  voter (leader)" in result.out
    found = json.loads(run("probe", "--json", real_node.address).out)
    assert found["status"] == "healthy"
    assert found["leader"] == {"node_id": 1, "address": real_node.address}
    assert found["round_trip_ms"] > 0


def test_watching(real_node: Node) -> None:
    result = run("probe", "--json", "--watch", "0.1", "--count", "3", real_node.address)
    assert result.code == 0
    assert [json.loads(line)["status"] for line in result.out.splitlines()] == ["healthy"] * 3


def test_watching_on_a_terminal(real_node: Node) -> None:
    watching = ("--watch", "0.1", "--count", "3", real_node.address)
    screens = on_terminal("probe", *watching, NO_COLOR="1").split("\x1b[H\x1b[J")
    assert len(screens) == 3  # drawn once, then over it
    for screen in screens:
        assert screen.splitlines()[0] == f"{real_node.address}  healthy"
        assert f"1  {real_node.address}  voter (leader)" in screen
        assert "\x1b" not in screen
    lines = on_terminal("probe", "--json", *watching).splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["healthy"] * 3


def test_only_read_only_requests_are_sent(real_node: Node) -> None:
    """The bytes of a whole probe, seen by a proxy in the middle."""
    requests: list[bytes] = []

    def forward(client: socket.socket) -> None:
        with RawConnection(real_node.address, handshake=None) as node:
            data = first[0]
            while data:
                requests.append(data)
                node.socket.sendall(data)
                if data != word(1):
                    client.sendall(node.socket.recv(65536))
                data = client.recv(65536)

    with serving(forward) as (address, first):
        assert probe(address).status is Status.HEALTHY
    types = [
        (request[4], request[5], request[8:])
        for request in b"".join(requests)[8:] and split(b"".join(requests)[8:])
    ]
    assert types == [(0, 0, word(0)), (16, 0, word(1)), (18, 0, word(0)), (0, 1, word(0))]


def split(data: bytes) -> list[bytes]:
    frames = []
    while data:
        size = 8 + 8 * struct.unpack_from("<I", data)[0]
        frames.append(data[:size])
        data = data[size:]
    return frames


def test_followers_and_other_nodes(real_cluster: Callable[..., Cluster]) -> None:
    cluster = real_cluster("1.18.1", 3)
    leader = cluster.leader()
    for address in cluster.addresses:
        health = probe(address)
        assert health.status is Status.HEALTHY
        assert health.leader_address == leader.address
        assert len(health.nodes) == 3


def test_a_stand_by_names_the_leader_too(
    real_cluster: Callable[..., Cluster], own_node: Callable[..., Node]
) -> None:
    cluster = real_cluster("1.18.1", 1)
    other = own_node("1.18.1", node_id=2)
    with RawConnection(cluster.addresses[0]) as connection:
        connection.ok(12, word(2) + text(other.address))
        connection.ok(13, word(2) + word(1))
    health = wait_for_members(other.address)
    assert health.status is Status.HEALTHY
    assert health.leader_address == cluster.addresses[0]
    assert health.detail == "the node is no voter"


def wait_for_members(address: str) -> Any:
    for _ in range(100):
        health = probe(address)
        if len(health.nodes) == 2 and health.leader_address:
            break
        threading.Event().wait(0.05)
    return health


def test_no_leader(real_cluster: Callable[..., Cluster]) -> None:
    cluster = real_cluster("1.18.1", 3)
    leader = cluster.leader()
    for node in cluster.nodes:
        if node is not leader:
            node.kill()
    for _ in range(200):  # it steps down when it notices
        result = run("probe", "--json", leader.address)
        if result.code != 0:
            break
        threading.Event().wait(0.05)
    assert result.code == 4
    found = json.loads(result.out)
    assert (found["status"], found["leader"]) == ("no leader", None)
    assert len(found["nodes"]) == 3
    assert "no leader (the node knows no leader" in run("probe", leader.address).out


def test_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    result = run("probe", address)
    assert (result.code, result.out) == (5, f"{address}  unreachable (Connection refused)\n")


def test_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        result = run("probe", "--timeout", "0.2", address)
    assert (result.code, result.out) == (
        5,
        f"{address}  unreachable (connected, but no answer within 0.2 s)\n",
    )


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46" + bytes(9), "it speaks TLS"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "it answered 'SSH-2.0-OpenSSH_'"),
        (b"", "the connection was closed without an answer"),
    ],
)
def test_not_dqlite(answer: bytes, detail: str) -> None:
    with serving(lambda connection: connection.sendall(answer)) as (address, _):
        result = run("probe", address)
    assert result.code == 6
    assert result.out == f"{address}  not dqlite ({detail})\n"


def test_a_wrong_answer() -> None:
    frame = FailureResponse(1, "go away").encode()
    with serving(lambda connection: connection.sendall(frame)) as (address, _):
        health = probe(address)
    assert health.status is Status.NOT_DQLITE
    assert "go away" in health.detail


def test_a_node_that_goes_away_in_the_middle() -> None:
    frame = LeaderResponse(3, "10.0.0.3:9000").encode()
    with serving(lambda connection: connection.sendall(frame)) as (address, _):
        health = probe(address)
    assert health.status is Status.HEALTHY
    assert health.leader_address == "10.0.0.3:9000"
    assert health.nodes == []


@pytest.mark.parametrize(
    "address", ["", "localhost", "host:", ":9000", "host:0", "host:65536", "host:x", "host:９"]
)
def test_no_address(address: str) -> None:
    with pytest.raises(SourceError, match="is no HOST:PORT"):
        split_address(address)
    result = run("probe", address)
    assert result.code in (2, 3)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("a:1", ("a", 1)), ("[::1]:9001", ("::1", 9001)), ("127.0.0.1:65535", ("127.0.0.1", 65535))],
)
def test_addresses(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address) == expected


def test_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def unknown(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    result = run("probe", "no-such-host.invalid:9000")
    assert asked == ["no-such-host.invalid"]
    assert result == (
        5,
        "no-such-host.invalid:9000  unreachable (no such host (Name or service not known))\n",
        "",
    )
