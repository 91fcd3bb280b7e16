"""The published stacks and the Go shells through the proxy: the same results, and byte for byte the same.

One session of each kind a server in the suite; each with each server, both ways, with DQLITE_WIRE_DEEP=1.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from itertools import cycle
from pathlib import Path

import pytest

from dqlitewire.proxy import BlockingProxy
from dqlitewire.proxy.recording import Recorder
from dqlitewire.traffic.sources.transcript_parts import View
from tests.downstream import published, shells
from tests.downstream.tap import Tap, streams_of
from tests.profiles import DEEP
from tests.proxy.both_sides import advertising, between_taps, recorded_streams
from tests.proxy.peers import nothing_left
from tests.real.fixtures import require_server
from tests.real.nodes import KINDS, Node

pytestmark = [pytest.mark.real, pytest.mark.downstream]

LINES = [line.text for line in shells.LINES]
CLIENTS = [
    (kind, generation, one)
    for kind in KINDS
    for generation in published.GENERATIONS
    for one in published.SCENARIOS
]
SHELLS = [(kind, shell) for kind in KINDS for shell in shells.SHELLS]
if not DEEP:
    CLIENTS = list(
        zip(KINDS, cycle(published.GENERATIONS), ["cluster", "dbapi", "orm", "client"], strict=False)
    )
    SHELLS = list(zip(KINDS, shells.SHELLS, strict=True))


@pytest.mark.parametrize(("kind", "generation", "scenario"), CLIENTS)
def test_a_published_stack_sees_the_same_behind_other_addresses(
    kind: str,
    generation: str,
    scenario: str,
    real_nodes: Callable[[str], Node],
    database: str,
    tmp_path: Path,
) -> None:
    published.clients(generation)
    node = real_nodes(kind)
    behind_other_addresses(
        node,
        tmp_path / "s.dqt",
        lambda local: published.run(generation, scenario, local, database),
        lambda local: published.expected(scenario, local),
    )


@pytest.mark.parametrize(("kind", "shell"), SHELLS)
def test_a_go_shell_sees_the_same_bytes(
    kind: str, shell: str, own_node: Callable[..., Node], tmp_path: Path
) -> None:
    shells.require_shell(shell)
    direct = shells.say(shell, own_node(kind).address, tmp_path, LINES)
    with advertising(kind) as node, between_taps(node, tmp_path / "s.dqt") as both:
        assert shells.say(shell, both.front.address, tmp_path, LINES) == direct


@pytest.mark.skipif(not DEEP, reason="each with each, the other way: DQLITE_WIRE_DEEP=1")
@pytest.mark.parametrize(("kind", "generation", "scenario"), CLIENTS)
def test_a_published_stack_sees_the_same_bytes(
    kind: str, generation: str, scenario: str, tmp_path: Path
) -> None:
    require_server(kind)
    published.clients(generation)
    with advertising(kind) as node:
        with between_taps(node, tmp_path / "s.dqt") as both:
            seen = published.run(generation, scenario, both.front.address, "db")
        assert seen == published.expected(scenario, node.address)


@pytest.mark.skipif(not DEEP, reason="each with each, the other way: DQLITE_WIRE_DEEP=1")
@pytest.mark.parametrize(("kind", "shell"), SHELLS)
def test_a_go_shell_sees_the_same_behind_other_addresses(
    kind: str, shell: str, own_node: Callable[..., Node], tmp_path: Path
) -> None:
    shells.require_shell(shell)
    direct = shells.say(shell, own_node(kind).address, tmp_path, LINES)
    behind_other_addresses(
        own_node(kind),
        tmp_path / "s.dqt",
        lambda local: shells.say(shell, local, tmp_path, LINES),
        lambda local: direct,
    )


def behind_other_addresses(
    node: Node, path: Path, session: Callable[[str], object], expected: Callable[[str], object]
) -> None:
    """Run a session that is told the proxy's address for the node's; the bytes are the same but for that."""
    with (
        closing(Recorder(path)) as recorder,
        nothing_left(),
        Tap("127.0.0.1:0", node.address) as behind,
        BlockingProxy([f"127.0.0.1:0={behind.address}={node.address}"], lookers=[recorder]) as proxy,
    ):
        local = proxy.addresses[0]
        assert session(local) == expected(local)
    assert recorder.failed is None
    assert not proxy.errors
    assert proxy.connections == len(behind.wires) > 0
    asked = streams_of(behind.wires)
    assert recorded_streams(path, View.NODE) == asked
    told = recorded_streams(path, View.CLIENT)
    # both have ports of five digits, so that no length and no padding differs
    assert len(local) == len(node.address)
    names = local.encode(), node.address.encode()
    assert not any(names[1] in answers for _, answers in told)
    assert sorted((requests, answers.replace(*names)) for requests, answers in told) == asked
