"""Where vectors say that their bytes come from, held against recordings and real nodes."""

from __future__ import annotations

import pytest

from tests import origins
from tests.origins import claim, recorded
from tests.real.fixtures import SharedNodes
from tests.real.nodes import KINDS
from tests.wire_data import ALL_VECTORS, MALFORMED, VECTORS, Malformed, Vector

DIRECTIONS = {"handshake": "handshake", "requests": "request", "responses": "response"}


@pytest.mark.parametrize("vector", ALL_VECTORS, ids=str)
def test_what_is_recorded_is_said_and_nothing_else(vector: Vector) -> None:
    found = claim(vector, "recorded")
    assert (found["servers"] if found else []) == recorded(DIRECTIONS[vector.file], vector.data)


def test_claims_exclude_each_other() -> None:
    every: list[Vector | Malformed] = [*ALL_VECTORS, *MALFORMED]
    for vector in every:
        hows = [origin["how"] for origin in vector.origin]
        assert len(hows) == len(set(hows)) > 0, vector
        assert "constructed" not in hows or hows == ["constructed"], vector
        assert all(origin.get("why", "-") for origin in vector.origin), vector
        assert all(set(origin.get("servers", ())) <= set(KINDS) for origin in vector.origin), vector


def accepts(address: str, vector: Vector, after: list[list[object]]) -> bool:
    return origins.accepted(address, after, vector.data)


def answers(address: str, vector: Vector, to: list[list[object]]) -> bool:
    return vector.data in origins.answered(address, to)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("how", "steps", "holds"), [("accepted", "after", accepts), ("answered", "to", answers)]
)
def test_servers_do_what_is_claimed_and_the_others_do_not(
    real_nodes: SharedNodes, kind: str, how: str, steps: str, holds: object
) -> None:
    assert callable(holds)
    address = real_nodes(kind).address
    claims = [(vector, found) for vector in VECTORS if (found := claim(vector, how))]
    assert len(claims) > 20
    wrong = [
        str(vector)
        for vector, found in claims
        if holds(address, vector, found.get(steps, [])) != (kind in found["servers"])
    ]
    assert wrong == []
