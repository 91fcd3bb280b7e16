"""The recording that the README's picture shows is of the session it names, and a real node answers it so."""

from __future__ import annotations

from collections.abc import Callable

from dqlitewire.replay import ReplayServer
from tests.docs.books import RECORDING, session
from tests.real.nodes import Node
from tests.traffic.command import run


def test_the_session_is_the_recorded_one() -> None:
    with ReplayServer(RECORDING) as server:
        session(server.address)
    assert not server.problems


def test_a_real_node_answers_as_recorded(own_node: Callable[[str], Node]) -> None:
    result = run("replay", RECORDING, "--to", own_node("1.18.7").address, "--write")
    assert (result.code, result.out) == (0, "")
    assert "no difference" in result.err
