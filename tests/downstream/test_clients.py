"""Two generations of dqlite-client, dqlite-dbapi and sqlalchemy-dqlite run real sessions on this package.

Against real nodes; `tests/testing/test_clients.py` runs the same sessions against the embedded server.
"""

from __future__ import annotations

import pytest

from tests.downstream.published import GENERATIONS, SCENARIOS, expected, run
from tests.real.nodes import Node


@pytest.mark.downstream
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_session(real_node: Node, database: str, generation: str, scenario: str) -> None:
    seen = run(generation, scenario, real_node.address, database, ends=False)
    assert seen == expected(scenario, real_node.address)
