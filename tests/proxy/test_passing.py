"""Bytes pass: any bytes, both ways, in order, ends and resets too; nothing hangs, and nothing is left."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.faults import Delay
from dqlitewire.messages import LeaderResponse
from dqlitewire.proxy import BlockingProxy
from tests.client.fakes import closed_port
from tests.proxy.peers import (
    HANDSHAKE,
    LEGACY,
    Peer,
    connect,
    count_all,
    frame,
    nothing_left,
    pieces,
    read,
    read_all,
    reset,
)
from tests.waiting import PATIENCE, wait_for

LOCAL = "127.0.0.1:0"
UPGRADE = b"POST /internal/database HTTP/1.1\r\nHost: a\r\nUpgrade: dqlite\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: dqlite\r\n\r\n"


async def looks(frame: Any) -> None:
    """A hook that changes nothing."""


# every way in which bytes can go: nothing to do; headers walked; faults followed; everything held
WAYS: dict[str, dict[str, Any]] = {
    "raw": {"map_addresses": False, "faults": False},
    "mapped": {"faults": False},
    "faults": {},
    "hook": {"on_frame": looks},
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    return WAYS[request.param]


@pytest.fixture(autouse=True)
def all_is_closed() -> Iterator[None]:
    with nothing_left():
        yield


def streams() -> dict[str, tuple[bytes, bytes]]:
    """Both directions of connections that are dqlite's, and of some that are not, or only at first."""
    rnd = random.Random(13)
    large = frame(7, rnd.randbytes(40_000))
    talk = frame(0, bytes(8)) + frame(9, rnd.randbytes(8 * 500)) + frame(14)
    answers = LeaderResponse(1, "10.1.1.1:1").encode() + large + frame(0, bytes(16))
    half = frame(9, bytes(80))[:-13]
    return {
        "dqlite": (HANDSHAKE + talk, answers),
        "legacy": (LEGACY + talk, answers),
        "half frames": (HANDSHAKE + talk + half, answers + half),
        "half headers": (HANDSHAKE + talk + b"\1\0\0", answers + b"\2\0\0\0\1"),
        "half a LEADER": (HANDSHAKE + talk, answers[:20]),
        "random behind a handshake": (HANDSHAKE + rnd.randbytes(3000), rnd.randbytes(3000)),
        "random": (rnd.randbytes(3000), rnd.randbytes(3000)),
        "TLS": (b"\x16\x03\x01" + rnd.randbytes(600), b"\x16\x03\x03" + rnd.randbytes(900)),
        "upgrade": (UPGRADE + HANDSHAKE + talk, SWITCHED + answers),
        "upgrade refused": (UPGRADE, b"HTTP/1.1 401 Unauthorized\r\n\r\n" + answers),
        "HTTP without an end": (b"GET /" + b"a" * 70_000, b"HTTP/1.1 400 \r\n\r\n"),
        "raft": (HANDSHAKE + frame(11, bytes(24)) + rnd.randbytes(3000), b""),
        "a part of a handshake": (HANDSHAKE[:5], b""),
        "nothing": (b"", b""),
        "only answers": (b"", answers),
    }


@pytest.mark.parametrize("name", streams())
def test_every_byte_passes(way: dict[str, Any], name: str) -> None:
    requests, answers = streams()[name]
    got: list[bytes] = []

    def node(sock: socket.socket) -> None:
        got.append(read_all(sock))  # its client goes on reading when it has ended its own direction
        for piece in pieces(answers, 2, 5000):
            sock.sendall(piece)

    with Peer(node) as peer, BlockingProxy({LOCAL: peer.address}, **way) as proxy:
        with connect(proxy.addresses[0]) as sock:
            for piece in pieces(requests, 1, 4000 if len(requests) > 5000 else 300):
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
            back = read_all(sock)
        assert not proxy.errors
    assert got == [requests]
    assert back == answers


def test_bytes_that_come_one_by_one_go_on_at_once(way: dict[str, Any]) -> None:
    def node(sock: socket.socket) -> None:
        assert read(sock, 8) == HANDSHAKE
        while byte := sock.recv(1):
            sock.sendall(byte)

    with (
        Peer(node) as peer,
        BlockingProxy({LOCAL: peer.address}, **way) as proxy,
        connect(proxy.addresses[0]) as sock,
    ):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(HANDSHAKE)
        for byte in b"\0" * 8 * 8:  # an empty frame is one word: eight bytes wait for each other
            sock.sendall(bytes([byte]))
        assert read(sock, 64) == bytes(64)
    assert not peer.problems


@pytest.mark.parametrize("kind", ["tcp", "six", "unix", "abstract"])
def test_every_kind_of_address_on_both_sides(kind: str, tmp_path: Path) -> None:
    local = {
        "tcp": LOCAL,
        "six": "[::1]:0",
        "unix": f"unix:{tmp_path}/local=1",
        "abstract": f"@dqlite-wire-{os.getpid()}",
    }[kind]

    def echo(sock: socket.socket) -> None:
        sock.sendall(read_all(sock))

    path = str(tmp_path / "real") if kind == "unix" else ""
    with Peer(echo, path) as peer, BlockingProxy([f"{local}={peer.address}"]) as proxy:
        with connect(proxy.addresses[0]) as sock:
            sock.sendall(b"abc")
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b"abc"
        assert proxy[peer.address] == proxy.addresses[0]
        assert not proxy.addresses[0].endswith(":0")
    assert not (tmp_path / "local=1").exists()


def test_a_stale_socket_is_replaced_and_a_living_one_never(tmp_path: Path) -> None:
    path = str(tmp_path / "local")
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(path)
    dead.close()
    with Peer(lambda sock: None) as peer, BlockingProxy([f"unix:{path}={peer.address}"]):
        second = BlockingProxy([f"unix:{path}={peer.address}"])
        with pytest.raises(OSError, match=r"cannot listen on unix:.*in use"):
            second.start()
        other = tmp_path / "file"
        other.write_text("kept")
        with pytest.raises(OSError, match="cannot listen on"):
            BlockingProxy([f"unix:{other}={peer.address}"]).start()
        assert other.read_text() == "kept"
    assert not os.path.exists(path)


# ---- ends


def test_a_direction_may_end_before_the_other(way: dict[str, Any]) -> None:
    def node(sock: socket.socket) -> None:
        sock.sendall(b"first")
        sock.shutdown(socket.SHUT_WR)
        late.append(read_all(sock))

    late: list[bytes] = []
    with Peer(node) as peer, BlockingProxy({LOCAL: peer.address}, **way) as proxy:
        with connect(proxy.addresses[0]) as sock:
            assert read_all(sock) == b"first"
            sock.sendall(b"still here")
        wait_for(lambda: bool(late))
        wait_for(lambda: not proxy.open_connections)
    assert late == [b"still here"]


@pytest.mark.parametrize("hook", [None, looks])
def test_an_end_waits_for_the_requests_before_it(hook: Any) -> None:
    """Requests that wait for delayed answers, half a request and the end behind them go on in their order."""
    session = HANDSHAKE + frame(0, bytes(8)) + frame(0, bytes(8)) + frame(9, bytes(24))
    got: list[bytes] = []

    def node(sock: socket.socket) -> None:
        taken = read(sock, 8)
        while size := len(header := read(sock, 8)):
            body = read(sock, 8 * header[0]) if size == 8 else b""
            taken += header + body
            if len(body) == 8 * header[0]:
                sock.sendall(frame(1, bytes(16)))
        got.append(taken)

    with Peer(node) as peer, BlockingProxy({LOCAL: peer.address}, on_frame=hook) as proxy:
        proxy.order(Delay(0.002, times=None))
        for size in range(8, len(session) + 1):
            with connect(proxy.addresses[0]) as sock:
                sock.sendall(session[:size])
                sock.shutdown(socket.SHUT_WR)
                read_all(sock)
            assert got.pop() == session[:size]
        assert not proxy.errors


def test_a_reset_is_passed_on(way: dict[str, Any]) -> None:
    def node(sock: socket.socket) -> None:
        if read(sock, 8) == b"reset me":
            reset(sock)
            return
        with suppress(ConnectionResetError):
            sock.recv(1)
            return
        was_reset.set()

    was_reset = threading.Event()
    with Peer(node) as peer, BlockingProxy({LOCAL: peer.address}, **way) as proxy:
        with connect(proxy.addresses[0]) as sock:
            sock.sendall(b"reset me")
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        other = connect(proxy.addresses[0])
        other.sendall(b"I reset.")
        wait_for(lambda: peer.connections == 2)
        reset(other)
        assert was_reset.wait(PATIENCE)
        wait_for(lambda: not proxy.open_connections)


def test_a_node_that_is_not_there_is_said() -> None:
    said: list[str] = []
    address = closed_port()
    with BlockingProxy({LOCAL: address}, say=said.append) as proxy:
        for _ in range(2):
            with connect(proxy.addresses[0]) as sock:
                assert sock.recv(1) == b""
        wait_for(lambda: not proxy.open_connections)
    assert len(said) == 2
    assert said[1].startswith("connection 2 from 127.0.0.1:")
    assert f"cannot reach {address}: Connection refused" in said[0]


@pytest.mark.parametrize(
    ("real", "problem"),
    [
        ("unix:/nowhere/at/all", ": No such file or directory"),
        ("localhost:1", ": Connection refused"),
        ("no.such.host.invalid:1", ""),
        ("é..ü:1", ""),
    ],
)
def test_a_node_that_cannot_be_named_is_said(real: str, problem: str) -> None:
    said: list[str] = []
    with BlockingProxy({LOCAL: real}, say=said.append) as proxy, connect(proxy.addresses[0]) as sock:
        assert sock.recv(1) == b""
        assert said[0].endswith(problem)


def test_clients_vanish_at_every_byte(way: dict[str, Any]) -> None:
    session = HANDSHAKE + frame(0, bytes(8)) + frame(9, bytes(24))
    answer = LeaderResponse(1, "10.0.0.1:9001").encode()

    def node(sock: socket.socket) -> None:
        with suppress(OSError):
            if read(sock, 24) == session[:24]:
                sock.sendall(answer)
            read_all(sock)

    with Peer(node) as peer, BlockingProxy({LOCAL: peer.address}, **way) as proxy:
        for size in range(len(session) + 1):
            for end in (socket.socket.close, reset):
                sock = connect(proxy.addresses[0])
                sock.sendall(session[:size])
                end(sock)
        wait_for(lambda: not proxy.open_connections)
        assert not proxy.errors
        with connect(proxy.addresses[0]) as sock:
            sock.sendall(session)
            assert read(sock, len(answer)) == answer


def test_servers_vanish_at_every_byte(way: dict[str, Any]) -> None:
    answers = LeaderResponse(1, "10.0.0.1:9001").encode() + frame(7, bytes(16))
    sizes = iter([size for size in range(len(answers) + 1) for _ in range(2)])
    ends: Iterator[Any] = iter([socket.socket.close, reset] * (len(answers) + 1))

    def node(sock: socket.socket) -> None:
        read(sock, 24)
        sock.sendall(answers[: next(sizes)])
        next(ends)(sock)

    with Peer(node) as peer, BlockingProxy({LOCAL: peer.address}, **way) as proxy:
        for size in range(len(answers) + 1):
            for end in ("closed", "reset"):
                with connect(proxy.addresses[0]) as sock:
                    sock.sendall(HANDSHAKE + frame(0, bytes(8)))
                    if end == "closed":
                        assert read_all(sock) == answers[:size]
                    else:
                        with suppress(ConnectionResetError):
                            read_all(sock)
        wait_for(lambda: not proxy.open_connections)
        assert not proxy.errors


# ---- back-pressure


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("direction", ["answers", "requests"])
def test_a_slow_reader_slows_the_sender_and_fills_no_memory(way: dict[str, Any], direction: str) -> None:
    block, count = frame(7, bytes(1 << 16)), 1000  # 63 MiB
    sent, asked, total = threading.Event(), threading.Event(), list[int]()

    def flood(sock: socket.socket) -> None:
        for _ in range(count):
            sock.sendall(block)
        sock.shutdown(socket.SHUT_WR)
        sent.set()

    def take(sock: socket.socket) -> None:
        asked.wait(PATIENCE)
        total.append(count_all(sock))

    def node(sock: socket.socket) -> None:
        total.append(len(read(sock, 8)))
        (flood if direction == "answers" else take)(sock)

    before = resident()
    with Peer(node) as peer, BlockingProxy({LOCAL: peer.address}, **way) as proxy:
        with connect(proxy.addresses[0]) as sock:
            sock.sendall(HANDSHAKE)
            thread = threading.Thread(target=take if direction == "answers" else flood, args=(sock,))
            thread.start()
            time.sleep(0.15)
            assert not sent.is_set()  # nobody reads, so nobody can have sent all
            assert resident() - before < 20 << 20
            asked.set()
            thread.join()
            count_all(sock)
        wait_for(lambda: len(total) == 2)
        assert total == [8, count * len(block)]


def test_many_connections_at_once() -> None:
    def echo(sock: socket.socket) -> None:
        with suppress(OSError):
            sock.sendall(read(sock, 100))
            read_all(sock)

    with Peer(echo) as peer, BlockingProxy({LOCAL: peer.address}) as proxy:
        socks = [connect(proxy.addresses[0]) for _ in range(150)]
        for number, sock in enumerate(socks):
            sock.sendall(b"%100d" % number)
        for number, sock in enumerate(socks):
            assert read(sock, 100) == b"%100d" % number
        assert proxy.open_connections == proxy.connections == 150
        # the proxy ends first: every client sees it
        proxy.stop()
        for sock in socks:
            with suppress(ConnectionResetError):
                assert sock.recv(1) == b""
            sock.close()


def test_the_end_is_bounded_though_nobody_reads() -> None:
    def node(sock: socket.socket) -> None:
        read(sock, 8)
        with suppress(OSError):
            sock.sendall(frame(7, bytes(1 << 20)) * 20)

    with Peer(node) as peer:
        proxy = BlockingProxy({LOCAL: peer.address})
        proxy.start()
        with connect(proxy.addresses[0]) as sock:
            sock.sendall(HANDSHAKE)
            time.sleep(0.1)
            stopping = threading.Thread(target=proxy.stop)
            stopping.start()
            stopping.join(60)
            assert not stopping.is_alive()
            with suppress(ConnectionResetError):
                assert count_all(sock) < 20 << 20
