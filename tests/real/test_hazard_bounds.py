"""The bounds of hazards, held against real nodes, the embedded server and the client's refusal at once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dqlitewire.client import NoDatabaseError, connect
from dqlitewire.conversation import ClientConversation, Generation, Hazard, HazardError
from dqlitewire.messages import OpenRequest
from dqlitewire.servers.hazards import LONGEST_NAME
from dqlitewire.testing import DqliteServer, HazardKind
from tests.real.nodes import Node
from tests.real.raw import RawConnection, frame, text, word
from tests.traffic.command import run
from tests.waiting import wait_for

OPEN = 3
CLOSED = [LONGEST_NAME + 1, 508, 511, 512]
OFTEN = ["--snapshot", "20,20"]  # instead of every 1024 entries
ENDED_BY_SNAPSHOT = ["n" * CLOSED[0], "file:x?mode=ro", "file://host/x", ":memory:"]
ODD = ["never", "plain.db", "plain", "plain.db/x", "a\nb", "%00", "größe", "n" * 300, "n" * LONGEST_NAME]
FATAL_TO_TRIXIE = [513, 528, 1000]


def answer(address: str, size: int) -> int | None:
    """The type of what answers OPEN of a name of so many bytes, None if the connection is closed instead."""
    with RawConnection(address) as client:
        client.send(frame(OPEN, text("n" * size) + word(0) + text("")))
        try:
            return client.frame().kind
        except (EOFError, ConnectionResetError):
            return None


def refused(size: int) -> Hazard:
    client = ClientConversation(generation=Generation.V1_15)
    try:
        client.send(OpenRequest("n" * size))
    except HazardError as error:
        return error.hazard
    return Hazard.NONE


@pytest.mark.parametrize("size", [LONGEST_NAME - 1, LONGEST_NAME, *CLOSED])
def test_names_are_opened_up_to_a_length(own_node: Callable[..., Node], node_kind: str, size: int) -> None:
    node = own_node(node_kind)  # most do not survive their next snapshot
    opened = answer(node.address, size) == 4
    assert opened is (size <= LONGEST_NAME)
    assert refused(size) is (Hazard.NONE if opened else Hazard.LONG_NAME)
    with DqliteServer(generation=node_kind) as server:
        assert (answer(server.address, size) == 4) is opened
        assert [hazard.kind for hazard in server.hazards] == ([] if opened else [HazardKind.LONG_NAME])
    assert answer(node.address, 1) == 4


@pytest.mark.parametrize("size", FATAL_TO_TRIXIE)
def test_longer_names_kill_1_18_1(own_node: Callable[..., Node], size: int) -> None:
    node = own_node("1.18.1")
    answer(node.address, size)
    with contextlib.suppress(OSError, EOFError), RawConnection(node.address) as client:
        client.open("main")  # what was overwritten may show only now
        client.exec_sql("CREATE TABLE t (a)")
    wait_for(lambda: not node.alive(), "end of the node")


@pytest.mark.parametrize("size", FATAL_TO_TRIXIE)
def test_longer_names_do_not_kill_1_11_1_at_once(own_node: Callable[..., Node], size: int) -> None:
    node = own_node("1.11.1")
    assert answer(node.address, size) is None
    assert answer(node.address, 1) == 4


def newest_snapshot(node: Node) -> int:
    """The index of the last one that was written as a whole; 0 if there is none."""
    return max((int(path.name.split("-")[2]) for path in node.folder.glob("data/snapshot-*.meta")), default=0)


def write_past_snapshots(node: Node) -> None:
    """Write as much as makes several."""
    with contextlib.suppress(OSError, EOFError), RawConnection(node.address) as client:
        client.open("written")
        client.exec_sql("CREATE TABLE t (a)")
        for _ in range(60):
            client.exec_sql("INSERT INTO t VALUES (1)")
        client.query_sql("SELECT 1 AS a")


@pytest.mark.parametrize("name", ENDED_BY_SNAPSHOT)
def test_a_name_without_a_database_ends_a_node_at_a_snapshot(
    own_node: Callable[..., Node], node_kind: str, name: str
) -> None:
    """Up to 1.18.1, and in memory all; so it is refused at OPEN."""
    node = own_node(node_kind, options=OFTEN)
    with RawConnection(node.address) as client, contextlib.suppress(OSError, EOFError):
        client.call(OPEN, text(name) + word(0) + text(""))
    time.sleep(0.05)
    assert node.alive()
    write_past_snapshots(node)
    if node_kind == "1.18.7" and name != ":memory:":
        time.sleep(0.3)  # its snapshots fail, which nothing tells
        assert node.alive()
    else:
        wait_for(lambda: not node.alive(), "end of the node")
    with pytest.raises(HazardError):
        ClientConversation(generation=Generation.UNKNOWN).send(OpenRequest(name))


def test_clients_and_commands_leave_a_node_that_survives_snapshots(
    own_node: Callable[..., Node], node_kind: str, tmp_path: Path
) -> None:
    node = own_node(node_kind, options=OFTEN)
    for name in [*ODD, *ENDED_BY_SNAPSHOT, "", "n" * 600, "plain.db-wal"]:
        with contextlib.suppress(NoDatabaseError, HazardError), connect(node.address) as client:
            client.dump(name)
        with contextlib.suppress(HazardError), connect(node.address, name):
            pass
        with contextlib.suppress(HazardError), connect(node.address) as client:
            client.open(name)
    for name in ("typo", *ENDED_BY_SNAPSHOT):
        refused = name in ENDED_BY_SNAPSHOT
        assert run("query", node.address, name, "SELECT 1").code == (4 if refused else 0)
        assert run("dump", node.address, name, "-o", str(tmp_path / "copy.db")).code == (4 if refused else 0)
    before = newest_snapshot(node)
    write_past_snapshots(node)
    wait_for(lambda: not node.alive() or newest_snapshot(node) > before + 20, "snapshot")
    assert node.alive()
    assert node.stop() == 0
