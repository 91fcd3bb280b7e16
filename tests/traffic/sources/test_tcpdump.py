"""A session on a real node, captured by tcpdump on loopback, is told message for message as the client had
it."""

from __future__ import annotations

import itertools
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from dqlitewire.conversation import Side
from dqlitewire.messages import (
    ClusterRequest,
    ExecSqlRequest,
    FailureResponse,
    LeaderRequest,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    RowsResponse,
)
from dqlitewire.messages.requests import ConnectRequest
from dqlitewire.raft import TimeoutNow
from dqlitewire.traffic import exchanges, frames
from tests.real.fixtures import require
from tests.real.nodes import Node
from tests.real.raw import HANDSHAKE, RawConnection, word
from tests.traffic.command import run
from tests.waiting import PATIENCE, is_waiting

T = TypeVar("T")
_names = itertools.count(1)


@pytest.fixture(autouse=True)
def _capture_is_possible() -> None:
    """Skip before anything is opened: what a skipped test leaves open is reported in some later test."""
    require("" if shutil.which("tcpdump") else "tcpdump is not installed")
    require("" if os.geteuid() == 0 else "tcpdump needs root")


@contextmanager
def capturing(path: Path, port: int | str, interface: str = "lo") -> Iterator[list[str]]:
    """Run tcpdump on a port, or on "1 or 2"; when this ends, what passed is in the file, and in the list what
    the kernel dropped."""
    options = ["-U", "--immediate-mode", "-B", "16384", "-s", "0", "-w", str(path)]
    process = subprocess.Popen(
        ["tcpdump", "-i", interface, *options, f"tcp port {port}"], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    dropped: list[str] = []
    said = b""
    try:
        while b"listening on" not in said and process.poll() is None:
            ready, _, _ = select.select([process.stderr], [], [], 20)
            said += os.read(process.stderr.fileno(), 4096) if ready else b""
        assert b"listening on" in said, said
        yield dropped
        wait_until_quiet(path, process.pid)
    finally:
        process.terminate()
        said += process.communicate(timeout=60)[1]
    dropped += [
        count for count in re.findall(r"(\d+) packets dropped by kernel", said.decode()) if count != "0"
    ]


def captured(path: Path, address: str, session: Callable[[], T], interface: str = "lo") -> T:
    """Run a session under tcpdump; again if the kernel could not keep up, for then the file is not what
    passed."""
    for _ in range(5):
        with capturing(path, int(address.rpartition(":")[2]), interface) as dropped:
            result = session()
        if not dropped:
            return result
    pytest.fail("the kernel dropped packets in every attempt")


def wait_until_quiet(path: Path, tcpdump: int) -> None:
    """Wait until nothing has come for half a second, and tcpdump, which is told of each packet at once, has
    written what came."""
    size, since, end = -1, time.monotonic(), time.monotonic() + PATIENCE
    while not is_waiting(tcpdump) or time.monotonic() - since < 0.5:
        time.sleep(0.05)
        if path.stat().st_size != size:
            size, since = path.stat().st_size, time.monotonic()
        if time.monotonic() > end:  # it goes on, as between nodes
            return


class Tap:
    """A connection that keeps what passed on it; a context manager that closes it."""

    def __init__(self, address: str) -> None:
        self.connection = RawConnection(address)
        self.requests: list[bytes] = []
        self.responses: list[bytes] = []
        self.port = self.connection.socket.getsockname()[1]

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def call(self, request: bytes) -> bytes:
        """Send a request and read its whole answer; returns the last frame."""
        self.requests.append(request)
        self.connection.send(request)
        while True:
            answer = self.connection.frame().whole
            self.responses.append(answer)
            if not (answer[4] == 7 and answer[-8:] == b"\xee" * 8):
                return answer


def session(address: str, database: str) -> Tap:
    with Tap(address) as tap:
        tap.call(LeaderRequest().encode())
        tap.call(OpenRequest(f"{database}-{next(_names)}").encode())
        tap.call(ExecSqlRequest(0, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data BLOB)").encode())
        for number in range(20):
            params = [f"name {number}", os.urandom(number * 300)]
            tap.call(ExecSqlRequest(0, "INSERT INTO t (name, data) VALUES (?, ?)", params).encode())
        tap.call(PrepareRequest(0, "SELECT id, name FROM t WHERE id > ?").encode())
        for number in range(5):
            tap.call(QueryRequest(0, 0, [number]).encode())
        tap.call(QuerySqlRequest(0, "SELECT * FROM t").encode())  # several frames, more than a segment
        tap.call(QuerySqlRequest(0, "SELECT * FROM nowhere").encode())
        tap.call(ClusterRequest().encode())
        recursion = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT i FROM n"
        )
        tap.call(QuerySqlRequest(0, recursion).encode())
    return tap


@pytest.mark.parametrize("interface", ["lo", "any"])
def test_every_message_as_the_client_had_it(
    real_node: Node, database: str, tmp_path: Path, interface: str
) -> None:
    path = tmp_path / "session.pcap"
    tap = captured(path, real_node.address, lambda: session(real_node.address, database), interface)
    seen = [item for item in frames(path) if item.connection.client.endswith(f":{tap.port}")]
    assert [item.data for item in seen if item.side is Side.CLIENT] == tap.requests
    assert [item.data for item in seen if item.side is Side.SERVER] == tap.responses
    assert all(item.error is None for item in seen)
    assert [item.time for item in seen] == sorted(item.time for item in seen)

    answered = [(c, e) for c, e in exchanges(path) if c.client.endswith(f":{tap.port}")]
    assert len(answered) == len(tap.requests)
    assert [e.request.data for _, e in answered if e.request] == tap.requests
    assert all(e.duration is not None and 0 < e.duration < 60e9 for _, e in answered)
    assert sum(e.row_count or 0 for _, e in answered) == sum(
        len(RowsResponse.decode_body(data[8:]).rows) for data in tap.responses if data[4] == 7
    )
    failed = [e for _, e in answered if e.failure is not None]
    assert [e.failure for e in failed] == [FailureResponse(1, "no such table: nowhere")]
    assert [e.sql for _, e in answered if e.label == "QUERY"] == ["SELECT id, name FROM t WHERE id > ?"] * 5


def test_following_a_capture_that_grows(real_node: Node, database: str, tmp_path: Path) -> None:
    path = tmp_path / "growing.pcap"
    with capturing(path, int(real_node.address.rpartition(":")[2])):
        command = [sys.executable, "-m", "dqlitewire.cli", "decode", "--follow", "--json", str(path)]
        follower = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert follower.stdout is not None
        try:
            with Tap(real_node.address) as tap:
                tap.call(LeaderRequest().encode())
                lines = [follower.stdout.readline() for _ in range(3)]  # shown while the capture goes on
                assert [b'"HANDSHAKE"' in lines[0], b'"LEADER"' in lines[1], b'"LEADER"' in lines[2]] == [
                    True
                ] * 3
                tap.call(OpenRequest(database).encode())
                assert b'"OPEN"' in follower.stdout.readline()
        finally:
            follower.terminate()
            follower.communicate(timeout=60)


def continued(tap: Tap) -> Tap:
    tap.call(ExecSqlRequest(0, f"CREATE TABLE t{next(_names)} (a)").encode())
    for number in range(10):
        tap.call(ExecSqlRequest(0, "INSERT INTO u VALUES (?)", [number]).encode())
    tap.call(QuerySqlRequest(0, "SELECT a FROM u").encode())
    return tap


def test_the_beginning_was_missed(real_node: Node, database: str, tmp_path: Path) -> None:
    path = tmp_path / "middle.pcap"
    with Tap(real_node.address) as early:
        early.call(LeaderRequest().encode())
        early.call(OpenRequest(database).encode())
        early.call(ExecSqlRequest(0, "CREATE TABLE u (a)").encode())

        def talk() -> tuple[int, int]:
            before = len(early.requests), len(early.responses)
            continued(early)
            return before

        before = captured(path, real_node.address, talk)
    seen = [item for item in frames(path) if item.connection.client.endswith(f":{early.port}")]
    assert [item.data for item in seen if item.side is Side.CLIENT] == early.requests[before[0] :]
    assert [item.data for item in seen if item.side is Side.SERVER] == early.responses[before[1] :]


def test_statistics_of_a_live_session(real_node: Node, database: str, tmp_path: Path) -> None:
    path = tmp_path / "session.pcap"
    captured(path, real_node.address, lambda: session(real_node.address, database))
    result = run("stats", path, "--width", "120")
    assert result.code == 0
    assert "INSERT INTO t(name, data) VALUES (?, ..)" in result.out
    assert "no such table: nowhere" in result.out


def test_tshark_puts_the_same_streams_together(real_node: Node, database: str, tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    require("" if tshark else "tshark is not installed")
    assert tshark
    path = tmp_path / "session.pcap"
    captured(path, real_node.address, lambda: session(real_node.address, database))
    out = subprocess.run(
        [tshark, "-r", str(path), "-q", "-z", "follow,tcp,raw,0"], capture_output=True, check=True
    )
    lines = out.stdout.decode().split("Node 1:")[1].splitlines()[1:]
    streams = {
        side: b"".join(
            bytes.fromhex(line) for line in lines if line.startswith("\t") is side and line.strip("= ")
        )
        for side in (True, False)
    }
    ours = [item for item in frames(path) if item.connection.number == 1]
    for side, sent_by_server, before in ((Side.CLIENT, False, word(HANDSHAKE)), (Side.SERVER, True, b"")):
        told = b"".join(item.data for item in ours if item.side is side)
        assert told
        assert streams[sent_by_server] == before + told


def test_raft_between_nodes_is_labelled(real_cluster: object, tmp_path: Path) -> None:
    path = tmp_path / "raft.pcap"
    cluster = real_cluster("1.18.1", 1)  # type: ignore[operator]
    address = cluster.addresses[0]

    def connect() -> None:
        with RawConnection(address) as connection:
            connection.send(ConnectRequest(9, "1.2.3.4:5").encode())
            connection.send(TimeoutNow(1, 2, 1).encode())
            time.sleep(0.2)

    captured(path, address, connect)
    seen = [item.type for item in frames(path)]
    assert "CONNECT" in seen
    shown = run("decode", path).out
    assert "CONNECT" in shown
    assert "TIMEOUT_NOW" in shown
