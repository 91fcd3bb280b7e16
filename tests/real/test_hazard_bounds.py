"""The bounds of hazards, held against real nodes, the embedded server and the client's refusal at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dqlitewire.conversation import ClientConversation, Generation, Hazard, HazardError
from dqlitewire.messages import OpenRequest
from dqlitewire.servers.hazards import LONGEST_NAME
from dqlitewire.testing import DqliteServer, HazardKind
from tests.real.nodes import Node
from tests.real.raw import RawConnection, frame, text, word

OPEN = 3
CLOSED = [LONGEST_NAME + 1, 511, 512, 513, 527]
FATAL_TO_TRIXIE = [528, 600, 1000]


def answer(address: str, size: int) -> int | None:
    """The type of what answers OPEN of a name of so many bytes, None if the connection is closed instead."""
    with RawConnection(address) as client:
        client.send(frame(OPEN, text("n" * size) + word(0) + text("")))
        try:
            return client.frame().kind
        except (EOFError, ConnectionResetError):
            return None


def is_refused(size: int) -> bool:
    client = ClientConversation(generation=Generation.V1_15)
    try:
        client.send(OpenRequest("n" * size))
    except HazardError as error:
        assert error.hazard is Hazard.LONG_NAME
        return True
    return False


@pytest.mark.parametrize("size", [LONGEST_NAME - 1, LONGEST_NAME, *CLOSED])
def test_names_are_opened_up_to_a_length(real_node: Node, size: int) -> None:
    opened = answer(real_node.address, size) == 4
    assert opened is (size <= LONGEST_NAME)
    assert is_refused(size) is not opened
    with DqliteServer(generation=real_node.kind) as server:
        assert (answer(server.address, size) == 4) is opened
        assert [hazard.kind for hazard in server.hazards] == ([] if opened else [HazardKind.LONG_NAME])
    assert answer(real_node.address, 1) == 4


@pytest.mark.parametrize("size", FATAL_TO_TRIXIE)
def test_longer_names_kill_1_18_1(own_node: Callable[..., Node], size: int) -> None:
    node = own_node("1.18.1")
    answer(node.address, size)
    with pytest.raises((OSError, EOFError)):
        while True:
            answer(node.address, 1)
            with RawConnection(node.address) as client:
                client.leader()


@pytest.mark.parametrize("size", FATAL_TO_TRIXIE)
def test_longer_names_do_not_kill_1_11_1(old_node: Node, size: int) -> None:
    assert answer(old_node.address, size) is None
    assert answer(old_node.address, 1) == 4
