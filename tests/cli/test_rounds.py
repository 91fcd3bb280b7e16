"""What `top` counts and shows of nodes."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from dqlitewire import NodeInfo, NodeRole
from dqlitewire.cli.rounds import CHANGES, KEPT, Rounds, node_lines, nodes_json
from dqlitewire.dial import Health, Status
from dqlitewire.dial.cluster import Answer
from dqlitewire.dial.verdict import Verdict, judge
from dqlitewire.text import printable
from tests.profiles import DEEP

WIDTHS, HEIGHTS = (132, 80, 40, 20, 1), (50, 24, 10, 4, 1)
SIZES = list(product(WIDTHS, HEIGHTS) if DEEP else [*zip(WIDTHS, HEIGHTS, strict=True), (40, 50), (132, 4)])
ADDRESSES = [f"10.0.0.{number}:9001" for number in range(1, 6)]


def verdict(leaders: dict[int, int | None], gone: tuple[int, ...] = ()) -> Verdict:
    """Nodes, each with the leader that it names; some do not answer."""
    nodes = [
        NodeInfo(number, address, NodeRole.VOTER)
        for number, address in enumerate(ADDRESSES[: len(leaders)], 1)
    ]
    asked = []
    for number, leader in leaders.items():
        health = Health(ADDRESSES[number - 1], Status.UNREACHABLE, "refused")
        if number not in gone:
            health = Health(ADDRESSES[number - 1], Status.HEALTHY, nodes=nodes, round_trip=0.001 * number)
            health.votes = True
            if leader is not None:
                health.leader_id, health.leader_address = leader, ADDRESSES[leader - 1]
        asked.append(Answer(health))
    return judge(asked)


def after(*steps: Verdict) -> Rounds:
    rounds = Rounds()
    for now, step in enumerate(steps):
        rounds.add(step, 1e9 + now)
    return rounds


ONE, TWO = (dict.fromkeys((1, 2, 3), leader) for leader in (1, 2))
NOBODY = dict.fromkeys((1, 2, 3))


def test_a_change_of_leader_is_an_election() -> None:
    rounds = after(verdict(ONE), verdict(NOBODY, (1,)), verdict(TWO, (1,)), verdict(TWO))
    assert (rounds.elections, rounds.count, rounds.leader) == (1, 4, ADDRESSES[1])
    (change,) = rounds.changes
    assert (change.before, change.after, change.time) == (ADDRESSES[0], ADDRESSES[1], 1e9 + 2)
    assert [rounds.trips[address].missed for address in ADDRESSES[:3]] == [2, 0, 0]
    made = json.loads(nodes_json(rounds))
    assert made["changes"][0]["after"] == ADDRESSES[1]


def test_no_leader_for_a_while_is_none() -> None:
    rounds = after(verdict(NOBODY), verdict(ONE), verdict(NOBODY), verdict(ONE))
    assert (rounds.elections, list(rounds.changes)) == (0, [])


def test_what_is_kept_is_bounded() -> None:
    rounds = after(*[verdict(ONE), verdict(TWO)] * KEPT)
    assert rounds.elections == 2 * KEPT - 1
    assert len(rounds.changes) == CHANGES
    assert {len(trips.last) for trips in rounds.trips.values()} == {KEPT}
    rounds.add(verdict({1: 1}), 2e9)
    assert list(rounds.trips) == ADDRESSES[:1]


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.integers(1, 5), st.sampled_from([None, 1, 2]), min_size=5, max_size=5),
            st.sets(st.integers(1, 5)),
        ),
        min_size=1,
        max_size=4,
    ),
    st.text(max_size=60),
)
def test_every_size_is_kept(steps: list[tuple[dict[int, int | None], set[int]]], name: str) -> None:
    rounds = after(*(verdict(dict(sorted(leaders.items())), tuple(gone)) for leaders, gone in steps))
    for width, height in SIZES:
        lines = [line.plain for line in node_lines(rounds, name, width, height, ("q quit",))]
        assert len(lines) <= height
        for line in lines:
            assert cell_len(line) <= width
            assert printable(line) == line
    nodes_json(rounds)


def test_all_nodes_stand_before_what_is_wrong_with_them() -> None:
    lines = [
        line.plain for line in node_lines(after(verdict(ONE), verdict(TWO, (1,))), "x", 40, 10, ("q quit",))
    ]
    assert [address for address in ADDRESSES[:3] if any(address in line for line in lines[5:])] == ADDRESSES[
        :3
    ]


def test_without_a_screen_problems_are_told_as_a_whole() -> None:
    found = verdict(ONE, (2,))
    said = "certificate verify failed: unable to get local issuer certificate"
    found.view.nodes[1].answer.health.detail = said
    found = judge([node.answer for node in found.view.nodes])
    lines = [line.plain for line in node_lines(after(found), "x", 80)]
    at = next(number for number, line in enumerate(lines) if line.startswith("! "))
    assert " ".join(line.strip() for line in lines[at:]).endswith(said)
    assert max(map(cell_len, lines)) <= 80


def test_before_the_first_round() -> None:
    assert node_lines(Rounds(), "x", 80, 24)[0].plain.split() == ["top:", "x", "asking"]
    with pytest.raises(ValueError, match="no round"):
        nodes_json(Rounds())
