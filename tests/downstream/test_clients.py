"""Two generations of dqlite-client, dqlite-dbapi and sqlalchemy-dqlite run real sessions on this package.

`session.py` is what their user writes; here stands what that user must see. The programs run on the Python
3.13 that `tests/real/setup-nodes` unpacked, whatever runs the suite: the clients want 3.13 or newer.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.downstream.session import ROWS, SCENARIOS
from tests.real.fixtures import require
from tests.real.nodes import Node, clean_environment, missing, python

PYTHON_KIND = "1.18.1"
HERE = Path(__file__).parent
SOURCE = HERE.parent.parent / "src"
TIMEOUT = 120

VALUES = [
    -(2**63),
    1.5,
    "grüße 🙂",
    {"bytes": bytes(range(256)).hex()},
    None,
    True,
]
TEXT_TIME = "2024-02-29 12:30:00"
TIME = {"datetime": "2024-02-29T12:30:00"}
MANY = [
    ROWS,
    sum(range(1, ROWS + 1)),
    sum(len(f"row {number}") for number in range(1, ROWS + 1)),
    0.5 * sum(range(1, ROWS + 1)),
]
BOOKS = [
    [
        f"Volume {number}",
        9.5 + number,
        {"bytes": bytes([number] * 3).hex()},
        number % 2 == 0,
        {"datetime": f"2024-02-29T12:30:{number:02}"},
        None if number else "the first",
    ]
    for number in range(3)
]

EXPECTED: dict[str, dict[str, Any]] = {
    "client": {
        "inserted": [1, 1],
        "row": [*VALUES, TEXT_TIME],
        "many": MANY,
        "parameters": 255,
        "syntax": ["OperationalError", 1],
        "midway": ["OperationalError", 1],
        "unencodable": ["DataError", None],
        "unique": ["OperationalError", 2067],
        "still usable": 2,
    },
    "cluster": {
        "weight": 7,
        "files": ["", "-wal"],
        "magic": "SQLite format 3",
        "pooled": 0,
    },
    "dbapi": {
        "row": [*VALUES, TIME],
        "description": ["i", "f", "s", "b", "n", "o", "d"],
        "many": MANY,
        "many by fetchmany": ROWS,
        "errors": {
            "syntax": ["OperationalError", 1],
            "table": ["OperationalError", 1],
            "unique": ["IntegrityError", 2067],
            "not null": ["IntegrityError", 1299],
            "check": ["IntegrityError", 275],
            "midway": ["OperationalError", 1],
        },
        "unencodable": ["DataError", None],
        "busy": ["OperationalError", 5],
        "count": 5,
    },
    "dbapi_async": {
        "row": [*VALUES, TIME],
        "many": MANY,
        "midway": ["OperationalError", 1],
        "still usable": 1,
    },
    "orm": {
        "books": BOOKS,
        "after": ["Prologue", "Volume 1"],
        "unique": ["IntegrityError", 2067],
        "count": 2,
        "many": MANY,
        "tables": ["author", "book"],
    },
    "orm_async": {"books": BOOKS, "unique": ["IntegrityError", 2067], "many": MANY},
}


def clients(generation: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dqlite-wire" / "clients"
    return Path(os.environ.get("DQLITE_CLIENTS") or cache) / generation


@pytest.fixture(params=["0.2.2", "0.8.0"])
def run(request: pytest.FixtureRequest, real_node: Node, database: str) -> Callable[[str], dict[str, Any]]:
    """Run a scenario of `session.py` with one generation of the clients; what its user saw."""
    folder = clients(request.param)
    require(missing(PYTHON_KIND))
    if not (folder / "complete").exists():
        require(f"the published clients {request.param} are not there: run tests/downstream/setup-clients")

    def program(scenario: str) -> dict[str, Any]:
        path = os.pathsep.join([str(SOURCE), str(folder)])
        finished = subprocess.run(
            [*python(PYTHON_KIND), "-s", str(HERE / "session.py"), scenario, real_node.address, database],
            env={**clean_environment(), "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr[-3000:]
        output: dict[str, Any] = json.loads(finished.stdout)
        assert Path(output["wire"]).is_relative_to(SOURCE)
        seen: dict[str, Any] = output["seen"]
        return seen

    return program


def test_every_scenario_has_its_expectation() -> None:
    assert EXPECTED.keys() == SCENARIOS.keys()


@pytest.mark.downstream
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_session(run: Callable[[str], dict[str, Any]], real_node: Node, scenario: str) -> None:
    expected = EXPECTED[scenario]
    if scenario == "cluster":
        expected = expected | {
            "leader": [1, real_node.address],
            "found": real_node.address,
            "nodes": [[1, real_node.address, 0]],
        }
    assert run(scenario) == expected
