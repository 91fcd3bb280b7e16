"""Probing live nodes, and what stands in their place."""

from __future__ import annotations

import json
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dqlitewire import NodeInfo, NodeRole
from dqlitewire.cli import probe as probe_command
from dqlitewire.conversation import Generation
from dqlitewire.dial import Address, Answer, Deadline, DialOptions, Health, Status, judge, probe
from dqlitewire.dial.probing import probe_member
from dqlitewire.dial.surveying import Survey
from dqlitewire.messages import (
    FailureResponse,
    FilesResponse,
    LeaderResponse,
    MetadataResponse,
    ServersResponse,
)
from tests.client.fakes import closed_port
from tests.real.nodes import Cluster, Node
from tests.real.raw import RawConnection, text, word
from tests.traffic.command import COMMAND, on_terminal, run
from tests.waiting import receive


@contextmanager
def serving(
    answer: Callable[[socket.socket], None], connections: int = 1, first: int = 24
) -> Iterator[tuple[str, list[bytes]]]:
    """A server that handles so many connections; gives its address and what it received first on each.

    Args:
        answer: handles a connection.
        connections: how many there are.
        first: how many bytes are received before; those of a handshake and of LEADER.
    """
    received: list[bytes] = []

    def serve() -> None:
        for _ in range(connections):
            try:
                connection, _ = server.accept()
            except OSError:  # the block is over
                return
            with connection:
                connection.settimeout(60)
                received.append(receive(connection, first))
                answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}", received
            thread.join(60)
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(60)
        assert len(received) == connections
        assert not thread.is_alive()


def test_a_healthy_node(real_node: Node) -> None:
    health = probe(real_node.address)
    assert health.status is Status.HEALTHY
    assert (health.leader_id, health.leader_address) == (1, real_node.address)
    assert [(node.node_id, node.address, node.role.name) for node in health.nodes] == [
        (1, real_node.address, "VOTER")
    ]
    assert health.server == "1.11 or older" if real_node.kind == "1.11.1" else "1.12 or newer"
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


def test_watching_what_does_not_change(real_node: Node) -> None:
    watching = ("--watch", "0.1", "--count", "3", real_node.address)
    result = run("probe", "--json", *watching)
    assert result.code == 0
    assert [json.loads(line)["status"] for line in result.out.splitlines()] == ["healthy"]
    (line,) = on_terminal("probe", *watching, NO_COLOR="1").splitlines()
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ  ", line)
    assert f"  {real_node.address}  healthy  leader 1 at {real_node.address}  voter  1 voter  " in line
    assert "\x1b" not in line


def test_one_line_a_change(own_node: Callable[..., Node]) -> None:
    """A node that is killed, started again and given a weight, watched as somebody would from a shell."""
    node = own_node("1.18.1")
    command = [*COMMAND, "probe", "--json", "--watch", "0.1", "--timeout", "2", node.address]
    begin = time.time()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline())]
        node.kill()
        while seen[-1]["status"] != "unreachable":  # it may die in the midst of a probe
            seen.append(json.loads(process.stdout.readline()))
        node.start()
        while seen[-1]["status"] != "healthy":  # while it starts, it may take a connection and close it
            seen.append(json.loads(process.stdout.readline()))
        with RawConnection(node.address) as connection:
            connection.ok(19, word(77))
        seen.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == ""
        assert process.wait(60) == 0  # it runs until it is stopped
    states = [(each["status"], each["weight"]) for each in seen]
    assert (states[0], states[-2:]) == (("healthy", 0), [("healthy", 0), ("healthy", 77)])
    assert ("unreachable", None) in states
    said = [(each["status"], each["detail"], each["weight"]) for each in seen]
    assert all(before != after for before, after in pairwise(said))
    times = [each["time"] for each in seen]
    assert times == sorted(times)
    assert begin <= times[0] <= time.time()


def test_only_read_only_requests_are_sent(real_node: Node) -> None:
    """The bytes of a whole probe, seen by a proxy in the middle."""
    requests: list[bytes] = []

    def forward(client: socket.socket) -> None:
        with RawConnection(real_node.address, handshake=None) as node:
            data = first[0]
            while data:
                requests.append(data)
                node.socket.sendall(data)
                client.sendall(node.frame().whole)
                data = receive(client, 16)  # each is of a word

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
    assert (found["status"], found["leader"]) == ("no_leader", None)
    assert len(found["nodes"]) == 3
    assert "no leader (the node knows no leader)" in run("probe", leader.address).out  # it is no spare


def test_unreachable() -> None:
    address = closed_port()
    result = run("probe", address)
    assert (result.code, result.out) == (5, f"{address}  unreachable (connection refused)\n")


def test_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        for seconds in ("0.2", "20"):  # in which a busy machine connects
            result = run("probe", "--timeout", seconds, address)
            if "silent" in result.out:
                break
    said = f"{address}  silent (connected, but no answer within {seconds} s)\n"
    assert (result.code, result.out) == (5, said)


def test_who_was_not_asked_in_time_did_not_fail_to_answer() -> None:
    time_over = Deadline(1.0, iter([0.0, 2.0]).__next__)
    late = probe_member(Address.parse("127.0.0.1:1"), time_over, DialOptions())
    assert (late.status, late.detail) == (Status.UNREACHABLE, "not asked, for the 1 s were over")


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46" + bytes(9), "it speaks TLS"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "it answered 'SSH-2.0-OpenSSH_'"),
        (b"", "the connection was closed without an answer"),
        (b"\x05\xff\x1b[5m" + bytes(20), "it answered 05 ff 1b 5b 35 6d" + " 00" * 10),
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
    assert health.detail == "LEADER was answered otherwise: FAILURE 1 SQLITE_ERROR: go away"


# ---------------------------------------------------------------- a deadline over all, and every answer


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Peer:
    """A socket whose other end follows a script.

    Args:
        clock: moved on while we wait.
        answers: what each request is answered with, piece by piece; None closes, a number waits so long.
    """

    def __init__(self, clock: Clock, *answers: list[bytes | float | None]) -> None:
        self.clock = clock
        self.answers = [iter(answer) for answer in answers]
        self.now: Iterator[bytes | float | None] = iter(())
        self.timeout = 0.0
        self.received = 0

    def settimeout(self, timeout: float) -> None:
        assert timeout > 0
        self.timeout = timeout

    def send(self, data: memoryview) -> int:
        self.now = self.answers.pop(0) if self.answers else iter(())
        return len(data)

    def recv(self, size: int) -> bytes:
        self.received += 1
        for piece in self.now:
            if piece is None:
                return b""
            if isinstance(piece, float):
                if piece >= self.timeout:
                    break
                self.clock.now += piece
            else:
                return piece
        self.clock.now += self.timeout
        raise TimeoutError("timed out")

    def close(self) -> None:
        pass


LEADER = LeaderResponse(3, "10.0.0.3:9000").encode()
NODES = ServersResponse([NodeInfo(3, "10.0.0.3:9000", NodeRole.VOTER)]).encode()
ABOUT = MetadataResponse(1, 2).encode()
OLD = FailureResponse(1005, "unrecognized schema version").encode()
GOOD: list[list[bytes | float | None]] = [[LEADER], [NODES], [ABOUT], [OLD]]


def asked(
    monkeypatch: pytest.MonkeyPatch, *connections: list[list[bytes | float | None]]
) -> tuple[Health, int]:
    """Probe peers that follow scripts; how they are, and how often they were listened to."""
    clock = Clock()
    peers = [Peer(clock, *script) for script in connections]
    left = iter(peers)
    monkeypatch.setattr("dqlitewire.dial.probing.dial", lambda address, deadline, options: next(left))
    monkeypatch.setattr("dqlitewire.dial.probing.what_speaks", lambda address, deadline, options: "")
    begin = clock.now
    health = probe("node:1", 2.0, clock=clock)
    assert clock.now - begin <= 2.0
    return health, sum(peer.received for peer in peers)


def test_a_scripted_node_that_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    health, received = asked(monkeypatch, GOOD)
    assert (health.status, health.detail, received) == (Status.HEALTHY, "", 4)


@pytest.mark.parametrize("number", range(4))
def test_a_byte_at_a_time_does_not_prolong_it(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    slowly = [piece for byte in GOOD[number][0] for piece in (1.0, bytes([byte]))]  # type: ignore[union-attr]
    health, received = asked(monkeypatch, [*GOOD[:number], slowly])
    assert received <= number + 3
    assert "no answer within 2 s" in health.detail
    assert health.status is (Status.FAILING if number else Status.SILENT)


def test_many_bytes_that_end_nothing_do_not_prolong_it(monkeypatch: pytest.MonkeyPatch) -> None:
    huge = (1 << 18).to_bytes(4, "little") + b"\1\0\0\0"
    health, received = asked(monkeypatch, [[huge, *[0.01, bytes(8)] * 1000]])
    assert received <= 204
    assert health.status is Status.SILENT


ODD: dict[str, list[bytes | float | None]] = {
    "closes": [None],
    "closes in the middle": [LEADER[:9], None],
    "hangs": [],
    "garbage": [b"\xff" * 64],
    "http": [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    "another answer": [FilesResponse({"a": b""}).encode()],
    "two answers": [NODES + ABOUT + NODES + LEADER],
    "too large": [(1 << 27).to_bytes(4, "little") + b"\1\0\0\0"],
    "an unknown type": [bytes([1, 0, 0, 0, 99, 0, 0, 0, *bytes(8)])],
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_node_that_answers_leader_alone_is_not_healthy(
    odd: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    health, _ = asked(monkeypatch, [*GOOD[:number], ODD[odd]])
    assert health.status is Status.FAILING
    assert health.leader_address == "10.0.0.3:9000"
    assert health.detail.startswith(("CLUSTER: ", "DESCRIBE: ", "LEADER with schema 1: ")[number - 1])
    monkeypatch.setattr(probe_command, "probe", lambda *_: health)
    result = run("probe", "node:1")
    assert (result.code, result.err) == (5, "")
    assert result.out.startswith("node:1  failing (")


@pytest.mark.parametrize("leader", [LEADER, LeaderResponse(0, "").encode()], ids=["leader", "no leader"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_node_that_answers_with_a_failure_is_not_healthy(
    number: int, leader: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [[leader], *GOOD[1:]]
    script[number] = [FailureResponse(1, "disk on fire").encode()]
    health, _ = asked(monkeypatch, script)
    assert health.status is Status.FAILING
    assert health.detail == f"{('CLUSTER', 'DESCRIBE')[number - 1]}: disk on fire"
    assert health.generation is not Generation.UNKNOWN  # all was asked


def test_a_node_too_old_for_a_question_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown: list[bytes | float | None] = [FailureResponse(1005, "unrecognized request type").encode()]
    health, _ = asked(monkeypatch, [*GOOD[:2], unknown, GOOD[3]])
    assert (health.status, health.detail) == (Status.HEALTHY, "DESCRIBE: unrecognized request type")


@pytest.mark.parametrize("odd", [name for name in ODD if name != "two answers"])
def test_a_peer_that_does_not_answer_leader(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    health, _ = asked(monkeypatch, [ODD[odd]])
    assert health.status is (Status.SILENT if odd == "hangs" else Status.NOT_DQLITE)
    assert health.detail


def test_an_error_of_the_connection_after_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Peer, size: int) -> bytes:
        if self.answers:
            return LEADER
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr(Peer, "recv", broken)
    health, _ = asked(monkeypatch, [[], []])
    assert health.status is Status.FAILING


@pytest.mark.parametrize("odd", ODD)
def test_the_old_handshake_makes_nothing_worse(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = LeaderResponse(0, "").encode()
    health, _ = asked(monkeypatch, [[unknown], *GOOD[1:]], [ODD[odd]])
    assert health.status is Status.NO_LEADER
    assert health.detail.startswith("the node knows no leader")


def test_a_node_that_goes_away_in_the_middle() -> None:
    frame = LeaderResponse(3, "10.0.0.3:9000").encode()
    with serving(lambda connection: connection.sendall(frame)) as (address, _):
        result = run("probe", address)
    closed = "CLUSTER: the connection was closed without an answer"
    assert result.code == 5
    assert result.out.splitlines()[0] == f"{address}  failing ({closed})"


def test_a_name_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: held.wait(20) and [])
    health = probe("slow.invalid:1", 0.05)
    held.set()
    assert (health.status, health.detail) == (Status.UNREACHABLE, "no answer within 0.05 s")


def test_every_address_of_a_host_is_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        health = probe(f"localhost:{port}", 0.2)  # perhaps ::1 first, where nobody listens
    assert health.detail == "connected, but no answer within 0.2 s"


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "a\udcff", "\u202e"])
def test_what_can_be_no_host(host: str) -> None:
    assert run("probe", f"{host}:1", "--timeout", "2").code == 5


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_ends_well_when_it_is_stopped(number: signal.Signals) -> None:
    command = [*COMMAND, "probe", "--watch", "0.1", "--timeout", "1", "127.0.0.1:1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(number)
        out, errors = process.communicate(timeout=60)
    assert re.fullmatch(r"\S+ \S+Z  127.0.0.1:1  unreachable \(connection refused\)\n", line)
    assert (process.returncode, out, errors) == (0, "", "")


def test_watching_a_store_tells_of_the_nodes_that_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = iter(
        [
            [Health("a:1", Status.HEALTHY, leader_address="a:1"), Health("b:1", Status.HEALTHY)],
            [
                Health("a:1", Status.HEALTHY, leader_address="a:1", round_trip=9.0),
                Health("b:1", Status.SILENT),
            ],
            [Health("a:1", Status.HEALTHY, leader_address="b:1"), Health("b:1", Status.SILENT)],
        ]
    )
    monkeypatch.setattr(Survey, "run", lambda _: judge([Answer(health) for health in next(rounds)]))
    path = tmp_path / "x.yaml"
    path.write_text("[{Address: a:1, ID: 1}, {Address: b:1, ID: 2}]")
    result = run("probe", "--json", "--watch", "0.1", "--count", "3", path)
    seen = [(each["address"], each["status"]) for each in map(json.loads, result.out.splitlines())]
    assert seen == [("a:1", "healthy"), ("b:1", "healthy"), ("b:1", "silent"), ("a:1", "healthy")]
    assert result.code == 5


def test_every_exit_code_is_in_the_help() -> None:
    shown = " ".join(run("probe", "--help").out.partition("Exit code: ")[2].split())
    assert [int(code) for code in re.findall(r"(?:^|; )(\d+) ", shown)] == [0, 2, 3, 4, 5, 6, 130]
    assert {int(code) for code in probe_command.CODES.values()} <= {0, 4, 5, 6}
    assert set(probe_command.CODES) == set(Status)
