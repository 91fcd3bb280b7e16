"""TLS on either side, with certificates made here; the HTTP upgrade passed through and made; errors."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from dqlitewire import decode_message
from dqlitewire.dial import DialOptions
from dqlitewire.messages import LeaderResponse
from dqlitewire.proxy import BlockingProxy, ClientTls
from tests.proxy.peers import (
    HANDSHAKE,
    Peer,
    connect,
    count_all,
    frame,
    nothing_left,
    read,
    read_all,
)
from tests.waiting import PATIENCE, wait_for

LOCAL = "127.0.0.1:0"
ASK = HANDSHAKE + frame(0, bytes(8))


class Files:
    """Certificates as files: an authority, one for a server, one for a client; and a stranger's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.ca = self._write("ca", self.authority.cert_pem.bytes())
        self.server, self.server_key = self._pair("server", self.authority, "127.0.0.1", "db.example")
        self.client, self.client_key = self._pair("client", self.authority, "client@example.com")
        stranger = trustme.CA()
        self.strange_ca = self._write("strange-ca", stranger.cert_pem.bytes())
        self.strange, self.strange_key = self._pair("strange", stranger, "127.0.0.1")

    def _write(self, name: str, data: bytes) -> str:
        path = self.folder / f"{name}.pem"
        path.write_bytes(data)
        return str(path)

    def _pair(self, name: str, authority: trustme.CA, *names: str) -> tuple[str, str]:
        made = authority.issue_cert(*names)
        chain = b"".join(one.bytes() for one in made.cert_chain_pems)
        return self._write(name, chain), self._write(f"{name}-key", made.private_key_pem.bytes())

    def context(self, cert: str = "", key: str = "", ca: str = "") -> ssl.SSLContext:
        """Of a client."""
        context = ssl.create_default_context(cafile=ca or self.ca)
        if cert:
            context.load_cert_chain(cert, key)
        return context

    def server_context(self, *, client_ca: str = "") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server, self.server_key)
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def all_is_closed() -> Iterator[None]:
    with nothing_left():
        yield


def node(sock: socket.socket) -> None:
    """Answers LEADER with an address that is nobody's, then echoes."""
    with suppress(OSError):
        if read(sock, len(ASK)) != ASK:
            return
        sock.sendall(LeaderResponse(1, "10.0.0.1:9001").encode())
        while data := sock.recv(65536):
            sock.sendall(data)


def in_tls(
    context: ssl.SSLContext, serve: Callable[[socket.socket], None]
) -> Callable[[socket.socket], None]:
    def one(sock: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(sock, server_side=True) as wrapped:
            serve(wrapped)

    return one


def leader(sock: socket.socket) -> str:
    sock.sendall(ASK)
    head = read(sock, 8)
    answer = decode_message(head + read(sock, head[0] * 8))
    assert isinstance(answer, LeaderResponse)
    return answer.address


@contextmanager
def tls_client(files: Files, address: str, **certificate: Any) -> Iterator[ssl.SSLSocket]:
    context = files.context(**certificate)
    with connect(address) as sock, context.wrap_socket(sock, server_hostname="127.0.0.1") as wrapped:
        yield wrapped


def test_plain_in_front_of_tls(files: Files) -> None:
    to = DialOptions(cert=files.client, key=files.client_key, ca=files.ca)
    with (
        Peer(in_tls(files.server_context(client_ca=files.ca), node)) as peer,
        BlockingProxy([f"{LOCAL}={peer.address}=10.0.0.1:9001"], to=to) as proxy,
        connect(proxy.addresses[0]) as sock,
    ):
        assert leader(sock) == proxy.addresses[0]
        data = bytes(range(256)) * 4000
        sock.sendall(frame(9, data))
        assert read(sock, len(data) + 8) == frame(9, data)


def test_tls_in_front_of_plain(files: Files) -> None:
    tls = ClientTls(files.server, files.server_key)
    with Peer(node) as peer, BlockingProxy([f"{LOCAL}={peer.address}=10.0.0.1:9001"], tls=tls) as proxy:
        with tls_client(files, proxy.addresses[0]) as sock:
            assert leader(sock) == proxy.addresses[0]
            data = bytes(range(256)) * 4000
            sock.sendall(frame(9, data))
            assert read(sock, len(data) + 8) == frame(9, data)
        wait_for(lambda: not proxy.open_connections)


def test_tls_on_both_sides_and_what_was_sent_before_the_end_arrives(files: Files) -> None:
    def flood(sock: socket.socket) -> None:
        read(sock, 8)
        sock.sendall(frame(7, bytes(1 << 20)) * 4)

    tls, to = ClientTls(files.server, files.server_key), DialOptions(ca=files.ca)
    with (
        Peer(in_tls(files.server_context(), flood)) as peer,
        BlockingProxy({LOCAL: peer.address}, tls=tls, to=to) as proxy,
        tls_client(files, proxy.addresses[0]) as sock,
    ):
        sock.sendall(HANDSHAKE)
        assert count_all(sock) == 4 * (8 + (1 << 20))


def test_a_client_s_certificate_may_be_required(files: Files) -> None:
    said: list[str] = []
    tls = ClientTls(files.server, files.server_key, files.ca)
    with Peer(node) as peer, BlockingProxy({LOCAL: peer.address}, tls=tls, say=said.append) as proxy:
        with tls_client(files, proxy.addresses[0], cert=files.client, key=files.client_key) as sock:
            assert leader(sock) == "10.0.0.1:9001"
        strangers: list[dict[str, str]] = [{}, {"cert": files.strange, "key": files.strange_key}]
        for certificate in strangers:
            with (
                pytest.raises((OSError, IndexError)),
                tls_client(files, proxy.addresses[0], **certificate) as sock,
            ):
                leader(sock)
        with connect(proxy.addresses[0]) as sock:  # no TLS at all
            sock.sendall(ASK)
            with suppress(ConnectionResetError):
                read_all(sock)
        wait_for(lambda: len(said) == 3 and not proxy.open_connections)
    assert all("TLS failed: " in text for text in said)
    assert "peer did not return a certificate" in said[0]
    assert peer.connections == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (DialOptions(ca="strange"), "self-signed|unable to get local issuer"),
        (DialOptions(ca="good", server_name="other.example"), "other.example"),
    ],
)
def test_a_wrong_node_is_refused_in_words(files: Files, options: DialOptions, problem: str) -> None:
    said: list[str] = []
    ca = files.strange_ca if options.ca == "strange" else files.ca
    to = DialOptions(ca=ca, server_name=options.server_name)
    with (
        Peer(in_tls(files.server_context(), node)) as peer,
        BlockingProxy({LOCAL: peer.address}, to=to, say=said.append) as proxy,
        connect(proxy.addresses[0]) as sock,
    ):
        assert read_all(sock) == b""
        wait_for(lambda: not proxy.open_connections)
    assert re.search(rf"cannot reach {re.escape(peer.address)}: TLS failed: .*({problem})", said[0]), said


def test_a_node_that_refuses_our_certificate_is_heard(files: Files) -> None:
    said: list[str] = []
    to = DialOptions(ca=files.ca)
    with (
        Peer(in_tls(files.server_context(client_ca=files.ca), node)) as peer,
        BlockingProxy({LOCAL: peer.address}, to=to, say=said.append) as proxy,
        connect(proxy.addresses[0]) as sock,
    ):
        with suppress(OSError):
            sock.sendall(ASK)
            read_all(sock)
        wait_for(lambda: bool(said) and not proxy.open_connections)
    assert re.search("certificate required|reset before an answer", said[0])


def test_a_node_without_tls_is_said(files: Files) -> None:
    said: list[str] = []
    with (
        Peer(lambda sock: sock.sendall(b"HTTP/1.1 400 no\r\n\r\n")) as peer,
        BlockingProxy({LOCAL: peer.address}, to=DialOptions(ca=files.ca), say=said.append) as proxy,
        connect(proxy.addresses[0]) as sock,
    ):
        with suppress(OSError):
            assert read_all(sock) == b""
        wait_for(lambda: bool(said))
    assert "TLS failed: wrong version number" in said[0] or "record layer failure" in said[0]


def test_a_peer_that_is_silent_in_the_handshake_is_given_up(files: Files) -> None:
    said: list[str] = []
    tls = ClientTls(files.server, files.server_key)

    def silent(sock: socket.socket) -> None:
        with suppress(OSError):
            read_all(sock)

    with Peer(silent) as peer:
        with (
            BlockingProxy({LOCAL: peer.address}, tls=tls, say=said.append, timeout=0.1) as proxy,
            connect(proxy.addresses[0]) as sock,
        ):
            with suppress(ConnectionResetError):
                assert read_all(sock) == b""
            wait_for(lambda: not proxy.open_connections)
        to = DialOptions(ca=files.ca)
        with (
            BlockingProxy({LOCAL: peer.address}, to=to, say=said.append, timeout=0.1) as proxy,
            connect(proxy.addresses[0]) as sock,
        ):
            assert read_all(sock) == b""
            wait_for(lambda: not proxy.open_connections)
    assert "TLS failed: no handshake within 0.1 s" in said[0]
    assert len(said) == 2
    assert f"cannot reach {peer.address}: no connection within 0.1 s" in said[1]


def test_the_proxy_may_end_in_the_middle_of_a_handshake(files: Files) -> None:
    said: list[str] = []
    begun = threading.Event()

    def silent(sock: socket.socket) -> None:
        begun.set()
        with suppress(OSError):
            read_all(sock)

    options: list[dict[str, Any]] = [
        {"tls": ClientTls(files.server, files.server_key)},
        {"to": DialOptions(ca=files.ca)},
        {"to": DialOptions(upgrade="/x")},
    ]
    with Peer(silent) as peer:
        for option in options:
            with (
                BlockingProxy({LOCAL: peer.address}, say=said.append, **option) as proxy,
                connect(proxy.addresses[0]) as sock,
            ):
                wait_for(lambda: proxy.open_connections == 1)
                if "to" in option:
                    assert begun.wait(PATIENCE)
                    begun.clear()
                proxy.stop()
                with suppress(ConnectionResetError):
                    assert read_all(sock) == b""
            assert not proxy.open_connections
    assert said == []


def test_files_that_are_none_are_named(files: Files, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    bad: list[dict[str, Any]] = [
        {"tls": ClientTls(str(empty))},
        {"tls": ClientTls(files.server, files.client_key)},
        {"tls": ClientTls(files.server, files.server_key, str(empty))},
        {"tls": ClientTls("/nowhere.pem")},
        {"to": DialOptions(ca=str(empty))},
        {"to": DialOptions(ca="/nowhere.pem")},
    ]
    for options in bad:
        with pytest.raises(OSError, match=r"\.pem"):
            BlockingProxy({LOCAL: "127.0.0.1:1"}, **options)
    with pytest.raises(ValueError, match="needs the name"):
        BlockingProxy({LOCAL: "unix:/a"}, to_tls=True)


# ---- HTTP upgrade


def upgrading(
    status: str = "101 Switching Protocols", protocol: str = "dqlite"
) -> Callable[[socket.socket], None]:
    def one(sock: socket.socket) -> None:
        with suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n") and (byte := sock.recv(1)):
                head += byte
            heads.append(head)
            sock.sendall(f"HTTP/1.1 {status}\r\nUpgrade: {protocol}\r\n\r\n".encode())
            node(sock)

    return one


heads: list[bytes] = []


@pytest.mark.parametrize("tls", [False, True])
def test_the_upgrade_is_made(files: Files, tls: bool) -> None:
    to = DialOptions(ca=files.ca if tls else None, upgrade="/internal/database")
    serve = in_tls(files.server_context(), upgrading()) if tls else upgrading()
    with (
        Peer(serve) as peer,
        BlockingProxy([f"{LOCAL}={peer.address}=10.0.0.1:9001"], to=to) as proxy,
        connect(proxy.addresses[0]) as sock,
    ):
        assert leader(sock) == proxy.addresses[0]
    assert heads[-1].startswith(b"POST /internal/database HTTP/1.1\r\n")
    assert b"\r\nUpgrade: dqlite\r\n" in heads[-1]


@pytest.mark.parametrize(
    ("status", "protocol", "problem"),
    [("403 Forbidden", "dqlite", "403 Forbidden"), ("101 ok", "websocket", "websocket")],
)
def test_an_upgrade_that_is_refused_is_said(status: str, protocol: str, problem: str) -> None:
    said: list[str] = []
    with (
        Peer(upgrading(status, protocol)) as peer,
        BlockingProxy({LOCAL: peer.address}, to=DialOptions(upgrade="/x"), say=said.append) as proxy,
        connect(proxy.addresses[0]) as sock,
    ):
        assert read_all(sock) == b""
        wait_for(lambda: not proxy.open_connections)
    assert problem in said[0]


@pytest.mark.parametrize("ends", ["silent", "closes", "endless"])
def test_an_upgrade_without_an_answer_is_said(ends: str) -> None:
    def one(sock: socket.socket) -> None:
        with suppress(OSError):
            sock.recv(1000)
            if ends == "endless":
                while True:
                    sock.sendall(b"a" * 10_000)
            elif ends == "silent":
                read_all(sock)

    said: list[str] = []
    timeout = 0.3 if ends == "silent" else 20.0
    with (
        Peer(one) as peer,
        BlockingProxy(
            {LOCAL: peer.address}, to=DialOptions(upgrade="/x"), say=said.append, timeout=timeout
        ) as proxy,
        connect(proxy.addresses[0]) as sock,
    ):
        assert read_all(sock) == b""
        wait_for(lambda: not proxy.open_connections)
    assert ("no connection within" if ends == "silent" else "no upgrade") in said[0]


@pytest.mark.parametrize("tls", [False, True])
def test_the_upgrade_passes_and_what_is_behind_it_is_mapped(files: Files, tls: bool) -> None:
    request = b"POST /internal/database HTTP/1.1\r\nHost: a\r\nUpgrade: dqlite\r\n\r\n"
    serve = in_tls(files.server_context(), upgrading()) if tls else upgrading()
    options: dict[str, Any] = {}
    if tls:
        options = {"tls": ClientTls(files.server, files.server_key), "to": DialOptions(ca=files.ca)}
    with (
        Peer(serve) as peer,
        BlockingProxy([f"{LOCAL}={peer.address}=10.0.0.1:9001"], **options) as proxy,
    ):
        opened = tls_client(files, proxy.addresses[0]) if tls else connect(proxy.addresses[0])
        with opened as sock:
            sock.sendall(request)
            assert b"101" in read(sock, len(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: dqlite\r\n\r\n"))
            assert leader(sock) == proxy.addresses[0]
        wait_for(lambda: not proxy.open_connections)
    assert heads[-1] == request
