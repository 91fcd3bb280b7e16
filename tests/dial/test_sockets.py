"""Connecting: every kind of address, TLS, the HTTP upgrade, and one deadline over all of it."""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from dqlitewire.dial import Address, Deadline, DialOptions, Status, UpgradeRefusedError, dial, probe
from dqlitewire.dial.sockets import send_all
from dqlitewire.testing import DqliteServer
from tests.waiting import receive

Handler = Callable[[socket.socket], None]


@contextmanager
def listening(handler: Handler, server: socket.socket) -> Iterator[None]:
    """Serve one connection; the thread is over when this is."""

    def serve() -> None:
        try:
            connection, _ = server.accept()
        except OSError:  # nobody came
            return
        with connection:
            handler(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)  # which ends an `accept`, as closing does not
        thread.join(60)
        server.close()
        assert not thread.is_alive()


def tcp() -> tuple[socket.socket, Address]:
    server = socket.create_server(("127.0.0.1", 0))
    return server, Address.parse(f"127.0.0.1:{server.getsockname()[1]}")


def echo(connection: socket.socket) -> None:
    while data := connection.recv(100):
        connection.sendall(data)


def check_echo(sock: socket.socket) -> None:
    with sock:
        sock.sendall(b"hello")
        assert receive(sock, 5) == b"hello"


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize("kind", ["unix", "abstract"])
def test_unix_sockets(kind: str, tmp_path: Path) -> None:
    address = Address.parse(f"unix:{tmp_path}/x" if kind == "unix" else f"@dqlite-wire-test-{time.time_ns()}")
    server = socket.socket(socket.AF_UNIX)
    server.bind(address.socket_name)
    server.listen()
    with listening(echo, server):
        check_echo(dial(address, Deadline(60)))


@pytest.mark.parametrize(
    "text", ["unix:/nowhere/x", f"unix:/{'x' * 200}", f"@{'x' * 200}", "@nobody-listens"]
)
def test_nobody_listens_there(text: str) -> None:
    with pytest.raises(OSError):
        dial(Address.parse(text), Deadline(60))
    assert probe(text).status is Status.UNREACHABLE
    assert probe(text).detail


@pytest.mark.parametrize("unix", ["file", "@"])
def test_a_node_on_a_unix_socket_is_probed(unix: str, tmp_path: Path) -> None:
    path = str(tmp_path / "node") if unix == "file" else f"@dqlite-wire-test-{time.time_ns()}"
    with DqliteServer(unix=path):
        health = probe(path if unix == "@" else f"unix:{path}")
    assert (health.status, health.leader_address) == (Status.HEALTHY, path)


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The authority's certificate, and a client's with its key, as files."""
    folder = tmp_path_factory.mktemp("tls")
    client = authority.issue_cert("client@example.org")
    found = {name: str(folder / f"{name}.pem") for name in ("ca", "cert", "key", "other")}
    authority.cert_pem.write_to_path(found["ca"])
    client.cert_chain_pems[0].write_to_path(found["cert"])
    client.private_key_pem.write_to_path(found["key"])
    trustme.CA().cert_pem.write_to_path(found["other"])
    return found


def in_tls(authority: trustme.CA, handler: Handler, names: tuple[str, ...] = ("127.0.0.1",)) -> Handler:
    """A server that requires a certificate of its authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED

    def serve(connection: socket.socket) -> None:
        connection.settimeout(60)
        try:
            with context.wrap_socket(connection, server_side=True) as wrapped:
                handler(wrapped)
        except OSError:
            pass  # the client tells

    return serve


def test_tls(authority: trustme.CA, files: dict[str, str]) -> None:
    server, address = tcp()
    with listening(in_tls(authority, echo), server):
        options = DialOptions(files["cert"], files["key"], files["ca"])
        sock = dial(address, Deadline(60), options)
        assert isinstance(sock, ssl.SSLSocket)
        check_echo(sock)


def test_a_server_of_another_name(authority: trustme.CA, files: dict[str, str]) -> None:
    for given, fits in ((None, False), ("node.example", True)):
        server, address = tcp()
        with listening(in_tls(authority, echo, ("node.example",)), server):
            options = DialOptions(files["cert"], files["key"], files["ca"], given)
            if fits:
                check_echo(dial(address, Deadline(60), options))
            else:
                with pytest.raises(ssl.SSLCertVerificationError, match="not valid for '127"):
                    dial(address, Deadline(60), options)


def test_a_server_of_another_authority(authority: trustme.CA, files: dict[str, str]) -> None:
    server, address = tcp()
    with listening(in_tls(authority, echo), server):
        health = probe(str(address), 5, DialOptions(ca=files["other"]))
    assert health.status is Status.UNREACHABLE
    assert "certificate verify failed" in health.detail


def test_a_missing_client_certificate(authority: trustme.CA, files: dict[str, str]) -> None:
    server, address = tcp()
    with listening(in_tls(authority, echo), server):
        health = probe(str(address), 5, DialOptions(ca=files["ca"]))
    assert health.status is not Status.HEALTHY  # in TLS 1.3 the refusal comes behind the handshake


def test_options_that_make_no_sense(files: dict[str, str], tmp_path: Path) -> None:
    server, address = tcp()
    with server:
        with pytest.raises(ValueError, match="a key without its certificate"):
            dial(address, Deadline(60), DialOptions(key=files["key"]))
        with pytest.raises(ValueError, match="TLS on '@x' needs the name of the server"):
            dial(Address.parse("@x"), Deadline(60), DialOptions(ca=files["ca"]))
        with pytest.raises(FileNotFoundError):
            dial(address, Deadline(60), DialOptions(ca=str(tmp_path / "none")))
        with pytest.raises(ssl.SSLError):
            dial(address, Deadline(60), DialOptions(cert=files["key"]))


# ---------------------------------------------------------------- the HTTP upgrade

SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUPGRADE:\t dqlite \r\n\r\n"


def upgrading(answer: bytes, seen: list[bytes], then: Handler = echo) -> Handler:
    def serve(connection: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n") and (data := connection.recv(1)):
            head += data
        seen.append(head)
        connection.sendall(answer)
        then(connection)

    return serve


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_an_upgrade(tls: bool, authority: trustme.CA, files: dict[str, str]) -> None:
    seen: list[bytes] = []
    handler = upgrading(SWITCHED, seen)
    options = DialOptions(upgrade="/internal/database")
    if tls:
        handler = in_tls(authority, handler)
        options = DialOptions(files["cert"], files["key"], files["ca"], upgrade="/internal/database")
    server, address = tcp()
    with listening(handler, server):
        check_echo(dial(address, Deadline(60), options))
    lines = seen[0].decode().split("\r\n")
    assert lines[0] == "POST /internal/database HTTP/1.1"
    assert {f"Host: {address}", "Upgrade: dqlite", "X-Dqlite-Version: 1"} <= set(lines)


def test_not_a_byte_behind_the_upgrade_is_taken() -> None:
    server, address = tcp()
    with (
        listening(upgrading(SWITCHED + b"early", []), server),
        dial(address, Deadline(60), DialOptions(upgrade="/")) as sock,
    ):
        assert receive(sock, 5) == b"early"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "the server answered 'HTTP/1.1 404 Not Found'"),
        (b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n\r\n", "it is to 'websocket', not dqlite"),
        (b"HTTP/1.1 101 OK\r\n\r\n", "it is to '', not dqlite"),
        (b"\r\n\r\n", "the server answered ''"),
        (b"SSH-2.0-x", "no HTTP answer but b'SSH-2.0-x'"),
        (b"x" * 20_000, "no HTTP answer but b'xxxx"),
    ],
)
def test_no_upgrade(answer: bytes, told: str) -> None:
    server, address = tcp()
    with (
        listening(upgrading(answer, [], lambda connection: None), server),
        pytest.raises(UpgradeRefusedError, match="no upgrade: ") as raised,
    ):
        dial(address, Deadline(60), DialOptions(upgrade="/"))
    assert told in str(raised.value)
    assert len(str(raised.value)) < 80


# ---------------------------------------------------------------- the deadline


def dribble(data: bytes) -> Handler:
    def serve(connection: socket.socket) -> None:
        for byte in data:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                return
            time.sleep(0.05)

    return serve


def test_a_byte_at_a_time_does_not_prolong_an_upgrade() -> None:
    server, address = tcp()
    begin = time.monotonic()
    with listening(dribble(SWITCHED), server):
        with pytest.raises(TimeoutError):
            dial(address, Deadline(0.3), DialOptions(upgrade="/"))
        assert time.monotonic() - begin < 20


def test_a_byte_at_a_time_does_not_prolong_tls(files: dict[str, str]) -> None:
    server, address = tcp()
    begin = time.monotonic()
    with listening(dribble(b"\x16\x03\x03\x40\x00" + bytes(60)), server):
        with pytest.raises(TimeoutError):
            dial(address, Deadline(0.3), DialOptions(ca=files["ca"]))
        assert time.monotonic() - begin < 20


def test_who_reads_slowly_does_not_prolong_sending() -> None:
    ours, theirs = socket.socketpair()
    over = threading.Event()

    def read() -> None:
        while not over.wait(0.02):
            theirs.recv(1000)

    thread = threading.Thread(target=read)
    thread.start()
    begin = time.monotonic()
    with ours, theirs:
        with pytest.raises(TimeoutError):
            send_all(ours, bytes(10_000_000), Deadline(0.3))
        assert time.monotonic() - begin < 20
        over.set()
        thread.join()


def test_nothing_is_done_when_time_is_over() -> None:
    clock = iter([0.0, 5.0]).__next__
    with pytest.raises(TimeoutError):
        Deadline(5, clock).left()


def test_a_clock_that_stands() -> None:
    now = 100.0
    deadline = Deadline(5.0, lambda: now)
    now += 2
    deadline.stand()
    now += 60
    deadline.stand()  # stands already
    now += 60
    assert deadline.left() == 3
    deadline.go()
    deadline.go()
    assert deadline.left() == 3
    now += 1
    assert deadline.left() == 2
    assert deadline.share(2).seconds == 1
    now += 2
    with pytest.raises(TimeoutError):
        deadline.left()


def test_a_deadline_without_end_and_what_is_none() -> None:
    server, address = tcp()
    deadline = Deadline(math.inf)
    with listening(echo, server):
        check_echo(dial(address, deadline))
    deadline.stand()
    deadline.go()
    assert 0 < deadline.left() == deadline.share(2).seconds * 2 < threading.TIMEOUT_MAX
    with pytest.raises(ValueError, match="seconds is nan"):
        Deadline(math.nan)
    for seconds in (None, "5"):
        with pytest.raises(TypeError, match=r"seconds is \w+, a number is needed"):
            Deadline(seconds)  # type: ignore[arg-type]
