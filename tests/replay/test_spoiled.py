"""What a proxy spoiled: the client sees it again, and the node's view is that of the node."""

from __future__ import annotations

import contextlib
import copy
import socket
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.faults import Fault
from dqlitewire.faults.kinds import Corrupt, Delay, Drop, Fail, Hold, Split
from dqlitewire.proxy import BlockingProxy
from dqlitewire.proxy.recording import Recorder
from dqlitewire.replay.server import ReplayServer
from dqlitewire.testing import DqliteServer
from tests.real.raw import frame, text, word
from tests.traffic.command import run

ASKED = (
    word(1) + frame(3, text("db") + word(0) + text("")),
    frame(9, word(0) + text("SELECT 1, 'a row of some bytes'")),
    frame(9, word(0) + text("SELECT 2")),
)
FAULTS: list[Fault] = [
    Fail(code=5, message="busy", on="QUERY_SQL"),
    Drop(frames=0, bytes=20, on="QUERY_SQL"),
    Drop(frames=0, on="QUERY_SQL"),
    Delay(seconds=0.05),
    Split(size=7),
    Corrupt(at=40, xor=255, on="QUERY_SQL"),
    Hold(on="QUERY_SQL"),
]


def said(address: str, patience: float) -> list[bytes]:
    """What a client gets that asks one thing after the other, and gives up when nothing comes."""
    host, port = address.split(":")
    got = []
    with socket.create_connection((host, int(port))) as client, contextlib.suppress(ConnectionError):
        client.settimeout(patience)
        for asked in ASKED:
            client.sendall(asked)
            data = b""
            with contextlib.suppress(TimeoutError):
                while piece := client.recv(1000):
                    data += piece
                    if len(data) >= 8 and len(data) >= 8 + 8 * int.from_bytes(data[:4], "little"):
                        break
                else:
                    got.append(data + b"closed")
                    break
            got.append(data)
    return got


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_the_client_sees_it_again(fault: Any, tmp_path: Path) -> None:
    with DqliteServer() as server:
        for patience in (0.4, 4, 40):  # a busy machine is late with what comes
            path = tmp_path / f"{patience}.dqt"
            recorder = Recorder(path)
            with BlockingProxy([f"127.0.0.1:0={server.address}"], lookers=[recorder]) as proxy:
                proxy.order(copy.copy(fault))
                seen = said(proxy.addresses[0], patience)
            recorder.close()
            with ReplayServer(path) as replay:
                again = said(replay.address, patience)
            if again == seen and replay.problems == []:
                break
        assert again == seen
        assert replay.problems == []
        result = run("replay", path, "--to", server.address)
        assert (result.code, result.out) == (0, ""), result
