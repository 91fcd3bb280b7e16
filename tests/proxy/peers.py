"""What stands on both sides of a proxy in these tests: nodes that do as they are told, clients, counts."""

from __future__ import annotations

import os
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.waiting import PATIENCE, wait_for

HANDSHAKE = struct.pack("<Q", 1)
LEGACY = struct.pack("<Q", 0x86104DD760433FE5)


def frame(kind: int, body: bytes = b"", schema: int = 0) -> bytes:
    return struct.pack("<IBBH", len(body) // 8, kind, schema, 0) + body


class Peer:
    """A server in threads: each connection is given to a function, and closed when that returns."""

    def __init__(self, serve: Callable[[socket.socket], None], path: str = "") -> None:
        family = socket.AF_UNIX if path else socket.AF_INET
        self._socket = socket.socket(family)
        self._socket.bind(path or ("127.0.0.1", 0))
        self._socket.listen(1024)
        self.address = f"unix:{path}" if path else f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.connections = 0
        self.problems: list[BaseException] = []
        self._serve = serve
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._socket.accept()
                self.connections += 1
                sock.settimeout(PATIENCE)
                self._open.append(sock)
                self._threads.append(threading.Thread(target=self._one, args=(sock,), daemon=True))
                self._threads[-1].start()

    def _one(self, sock: socket.socket) -> None:
        try:
            self._serve(sock)
        except OSError as error:
            self.problems.append(error)
        finally:
            sock.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)


def connect(address: str) -> socket.socket:
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(address[5:])
        return sock
    if address.startswith("@"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect("\0" + address[1:])
        return sock
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE)


def read(sock: socket.socket, size: int) -> bytes:
    """Read so many bytes, fewer at the end of the stream."""
    parts = []
    while size > 0 and (part := sock.recv(min(size, 1 << 20))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_all(sock: socket.socket) -> bytes:
    return read(sock, 1 << 40)


def count_all(sock: socket.socket) -> int:
    """Read to the end of the stream, and keep nothing."""
    buffer, total = bytearray(1 << 18), 0
    while size := sock.recv_into(buffer):
        total += size
    return total


def reset(sock: socket.socket) -> None:
    """Close by RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def pieces(data: bytes, seed: int, most: int = 64) -> Iterator[bytes]:
    """Cut bytes anywhere."""
    rnd, at = random.Random(seed), 0
    while at < len(data):
        size = rnd.randint(1, most)
        yield data[at : at + size]
        at += size


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def nothing_left() -> Iterator[None]:
    """No descriptor and no thread more than before."""
    before, threads = descriptors(), threading.active_count()
    yield
    wait_for(lambda: descriptors() <= before and threading.active_count() <= threads)
