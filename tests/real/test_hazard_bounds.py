"""The bounds of hazards, held against real nodes, the embedded server and the client's refusal at once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from dqlitewire.conversation import ClientConversation, Generation, Hazard, HazardError
from dqlitewire.messages import OpenRequest
from dqlitewire.servers.hazards import LONGEST_NAME
from dqlitewire.testing import DqliteServer, HazardKind
from tests.real.nodes import Node
from tests.real.raw import RawConnection, frame, text, word

OPEN = 3
CLOSED = [LONGEST_NAME + 1, 508, 511, 512]
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
def test_names_are_opened_up_to_a_length(real_node: Node, size: int) -> None:
    opened = answer(real_node.address, size) == 4
    assert opened is (size <= LONGEST_NAME)
    assert refused(size) is (Hazard.NONE if opened else Hazard.LONG_NAME)
    with DqliteServer(generation=real_node.kind) as server:
        assert (answer(server.address, size) == 4) is opened
        assert [hazard.kind for hazard in server.hazards] == ([] if opened else [HazardKind.LONG_NAME])
    assert answer(real_node.address, 1) == 4


@pytest.mark.parametrize("size", FATAL_TO_TRIXIE)
def test_longer_names_kill_1_18_1(own_node: Callable[..., Node], size: int) -> None:
    node = own_node("1.18.1")
    answer(node.address, size)
    with contextlib.suppress(OSError, EOFError), RawConnection(node.address) as client:
        client.open("main")  # what was overwritten may show only now
        client.exec_sql("CREATE TABLE t (a)")
    deadline = time.monotonic() + 10
    while node.alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not node.alive()


@pytest.mark.parametrize("size", FATAL_TO_TRIXIE)
def test_longer_names_do_not_kill_1_11_1(old_node: Node, size: int) -> None:
    assert answer(old_node.address, size) is None
    assert answer(old_node.address, 1) == 4
