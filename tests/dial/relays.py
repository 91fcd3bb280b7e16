"""What stands in front of a node in production, made in a test: a unix socket, TLS, an HTTP upgrade.

    with Relay(node.address, unix="@name") as relay: ...       # relay.address is what to dial

Each connection has a thread of its own; everything is over when the block is.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from types import TracebackType
from typing import Self

from dqlitewire.dial import Address

SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: dqlite\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Relay:
    """Accepts connections and copies them to a node.

    Args:
        node: its address, HOST:PORT.
        unix: path or "@NAME" to listen on; None for a port of the loopback interface.
        tls: of the server; None for plain bytes.
        path: of an HTTP endpoint that switches to dqlite; None for no HTTP.
        host: to listen on where it is a port.
    """

    def __init__(
        self,
        node: str,
        *,
        unix: str | None = None,
        tls: ssl.SSLContext | None = None,
        path: str | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._node, self._tls, self._path = Address.parse(node), tls, path
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.heads: list[bytes] = []
        if unix is not None:
            self.address = unix if unix.startswith("@") else f"unix:{unix}"
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(Address.parse(self.address).socket_name)
        else:
            self._listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            self._listener.bind((host, 0))
            port = self._listener.getsockname()[1]
            self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._listener.listen()

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        for sock in self._open:
            sock.close()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        self._open.append(client)
        with contextlib.suppress(OSError):
            client.settimeout(60)
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
                self._open.append(client)
            if self._path is not None and not self._upgraded(client):
                client.close()
                return
            node = socket.create_connection((self._node.name, self._node.port))
            self._open.append(node)
            self._copy(client, node)
        client.close()

    def _upgraded(self, client: socket.socket) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = client.recv(1)
            if not byte:
                return False
            head += byte
        self.heads.append(head)
        lines = head.decode().split("\r\n")
        wanted = {"Upgrade: dqlite", "X-Dqlite-Version: 1"}  # as LXD, MicroCloud and Incus look at them
        good = lines[0] == f"POST {self._path} HTTP/1.1" and wanted <= set(lines)
        client.sendall(SWITCHED if good else NOT_FOUND)
        return good

    @staticmethod
    def _copy(client: socket.socket, node: socket.socket) -> None:
        """Copy both ways until a side closes, in one thread: TLS is not to be read and written at a time."""
        with node:
            while True:
                waiting = isinstance(client, ssl.SSLSocket) and client.pending()
                ready = [client] if waiting else select.select([client, node], [], [], 20)[0]
                for sock in ready:
                    data = sock.recv(65536)
                    if not data:
                        return
                    (node if sock is client else client).sendall(data)
