"""A client that vanishes amid rows: the connection ends, and nobody's log fills."""

from __future__ import annotations

import logging
import socket
import struct
from contextlib import suppress

import pytest

from dqlitewire.proxy import BlockingProxy
from tests.proxy.peers import HANDSHAKE, Peer, frame
from tests.real.raw import PART, text, word
from tests.waiting import PATIENCE, wait_for

ROWS = frame(7, word(1) + text("a") + word(1) + word(5) + PART) * 2000
QUERY = frame(9, word(0) + text("SELECT 1") + word(0), 1)


def endless(sock: socket.socket) -> None:
    sock.recv(1 << 16)
    with suppress(OSError):
        while True:
            sock.sendall(ROWS)


@pytest.mark.parametrize("followed", [True, False], ids=["frame by frame", "as it comes"])
def test_a_client_vanishes_amid_rows(followed: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with Peer(endless) as node, BlockingProxy([f"127.0.0.1:0={node.address}"], faults=followed) as proxy:
        host, port = proxy.addresses[0].rsplit(":", 1)
        for _ in range(5):
            with socket.create_connection((host, int(port)), PATIENCE) as client:
                client.sendall(HANDSHAKE + QUERY)
                for _ in range(3):
                    assert client.recv(1 << 16)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_for(lambda: not proxy.open_connections)
        assert proxy.errors == []
    assert [record.getMessage() for record in caplog.records] == []
