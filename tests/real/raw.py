"""Talk to a node without the codec: hand-packed frames over a blocking socket.

What sets a test's scene (forming a cluster, forbidden bytes, a second opinion) must not depend on the code
under test.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

HANDSHAKE = 1
HANDSHAKE_LEGACY = 0x86104DD760433FE5
PART, DONE = b"\xee" * 8, b"\xff" * 8
VOTER, STANDBY, SPARE = range(3)
TIMEOUT = 30.0


def word(value: int) -> bytes:
    return struct.pack("<Q", value)


def text(value: str | bytes) -> bytes:
    data = (value.encode() if isinstance(value, str) else value) + b"\0"
    return data + bytes(-len(data) % 8)


def blob(data: bytes) -> bytes:
    return word(len(data)) + data + bytes(-len(data) % 8)


def frame(kind: int, body: bytes, schema: int = 0) -> bytes:
    if len(body) % 8 or not body:
        raise ValueError("a body is made of whole words, at least one")
    return struct.pack("<IBBH", len(body) // 8, kind, schema, 0) + body


class Frame(NamedTuple):
    """One frame of a server."""

    kind: int
    schema: int
    body: bytes

    @property
    def whole(self) -> bytes:
        return frame(self.kind, self.body, self.schema)

    @property
    def failure(self) -> tuple[int, str]:
        """Code and message of a FAILURE, also of one that carries half-built rows in front of them."""
        if self.kind != 0:
            raise ValueError(f"not a FAILURE but type {self.kind}")
        for at in range(0, len(self.body) - 8, 8):
            end = self.body.find(b"\0", at + 8)
            if end >= 0 and (end // 8 + 1) * 8 == len(self.body):
                return struct.unpack_from("<Q", self.body, at)[0], self.body[at + 8 : end].decode(
                    errors="replace"
                )
        raise ValueError(f"no message in {self.body.hex()}")


class RawConnection:
    """A blocking connection; `handshake=None` sends none."""

    def __init__(self, address: str, handshake: int | None = HANDSHAKE, timeout: float = TIMEOUT) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if handshake is not None:
            self.send(word(handshake))

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def __del__(self) -> None:
        # what a test that failed left open is no fault of the later one that runs when it is collected
        if hasattr(self, "socket"):
            self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self.socket.recv(min(size - len(data), 1 << 20))
            if not chunk:
                raise EOFError(f"closed after {len(data)} of {size} bytes")
            data += chunk
        return bytes(data)

    def frame(self) -> Frame:
        words, kind, schema, _ = struct.unpack("<IBBH", self.receive(8))
        return Frame(kind, schema, self.receive(words * 8))

    def call(self, kind: int, body: bytes, schema: int = 0) -> Frame:
        self.send(frame(kind, body, schema))
        return self.frame()

    def ok(self, kind: int, body: bytes, schema: int = 0) -> Frame:
        answer = self.call(kind, body, schema)
        if answer.kind == 0:
            raise RuntimeError("[{}] {}".format(*answer.failure))
        return answer

    def closed_by_peer(self) -> bool:
        """Wait until the server closes; True if it did without a word."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    # the few requests that set a scene

    def leader(self) -> tuple[int, str]:
        body = self.ok(0, word(0)).body
        return struct.unpack_from("<Q", body)[0], body[8:].split(b"\0")[0].decode()

    def open(self, name: str) -> None:
        self.ok(3, text(name) + word(0) + text(""))

    def exec_sql(self, sql: str) -> tuple[int, int]:
        """(last insert id, rows affected)"""
        last_id, affected = struct.unpack("<QQ", self.ok(8, word(0) + text(sql)).body)
        return last_id, affected

    def query_sql(self, sql: str) -> list[Frame]:
        """The frames of the answer, up to and including the last."""
        self.send(frame(9, word(0) + text(sql)))
        frames = [self.frame()]
        while frames[-1].kind == 7 and frames[-1].body.endswith(PART):
            frames.append(self.frame())
        return frames

    def add(self, node_id: int, address: str) -> None:
        self.ok(12, word(node_id) + text(address))

    def assign(self, node_id: int, role: int) -> None:
        self.ok(13, word(node_id) + word(role))
