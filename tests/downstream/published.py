"""Run a session of the published clients on this package, and know what its user must see.

`session.py` is what their user writes. It runs on the Python 3.13 that `tests/real/setup-nodes` unpacked,
whatever runs the suite: the clients want 3.13 or newer. `tests/downstream/setup-clients` fetched them.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
from pathlib import Path
from typing import Any

from tests.downstream.session import ROWS, SCENARIOS
from tests.real.fixtures import require
from tests.real.nodes import clean_environment, missing, python

__all__ = ["GENERATIONS", "SCENARIOS", "clients", "expected", "program", "run", "wire"]

GENERATIONS = ("0.2.2", "0.8.0")
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

_EXPECTED: dict[str, dict[str, Any]] = {
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
assert _EXPECTED.keys() == SCENARIOS.keys()


def expected(scenario: str, address: str) -> dict[str, Any]:
    """What the user of a one-node server at this address must see."""
    if scenario != "cluster":
        return _EXPECTED[scenario]
    return _EXPECTED[scenario] | {
        "leader": [1, address],
        "found": address,
        "nodes": [[1, address, 0]],
    }


def run(generation: str, scenario: str, address: str, database: str, *, ends: bool = True) -> dict[str, Any]:
    """Run one scenario of `session.py` with one generation of the clients; what its user saw.

    The process ends with it, which closes the connections that the clients keep, unless `ends` is false: then
    it waits for the next scenario of that generation.
    """
    waiting = _idle.setdefault(generation, [])
    sessions = waiting.pop() if waiting else Sessions(generation)
    try:
        output = sessions.run(scenario, address, database)
    except BaseException:
        sessions.stop()
        raise
    if ends:
        sessions.stop()
    else:
        waiting.append(sessions)
    assert "error" not in output, output["error"][-3000:]
    assert Path(output["wire"]).is_relative_to(SOURCE), "the clients ran on another dqlitewire"
    seen: dict[str, Any] = output["seen"]
    return seen


class Sessions:
    """A process that runs scenarios, one after the other.

    Args:
        generation: of the clients.
    """

    def __init__(self, generation: str) -> None:
        command, environment = program(generation, "session.py")
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
        atexit.register(self.stop)

    def run(self, *what: str) -> dict[str, Any]:
        """Run one; raises if nothing comes of it in time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(what), file=self._process.stdin, flush=True)
        assert select.select([self._process.stdout], [], [], TIMEOUT)[0], (
            f"no end of {what} within {TIMEOUT} s"
        )
        told = self._process.stdout.readline()
        assert told, f"the process ended in {what}"
        output: dict[str, Any] = json.loads(told)
        return output

    def stop(self) -> None:
        """End the process."""
        atexit.unregister(self.stop)
        self._process.kill()
        self._process.communicate()


#: processes that wait for the next scenario, by generation
_idle: dict[str, list[Sessions]] = {}


def program(generation: str, script: str) -> tuple[list[str], dict[str, str]]:
    """The command that runs a script of this folder with one generation of the clients; its environment."""
    require(missing(PYTHON_KIND))
    folder = clients(generation)
    environment = {
        **clean_environment(),
        "PYTHONPATH": os.pathsep.join([str(SOURCE), str(folder)]),
        "PYTHONPYCACHEPREFIX": str(folder / "pyc"),
        "PYTHONDONTWRITEBYTECODE": "",  # SQLAlchemy takes a second to compile, at each start
    }
    return [*python(PYTHON_KIND), "-s", str(HERE / script)], environment


def wire(generation: str) -> tuple[list[str], dict[str, str]]:
    """The Python that sees one generation of the published dqlite-wire; its environment."""
    require(missing(PYTHON_KIND))
    folder = clients(f"wire-{generation}")
    environment = {
        **clean_environment(),
        "PYTHONPATH": str(folder),
        "PYTHONPYCACHEPREFIX": str(folder / "pyc"),
    }
    return [*python(PYTHON_KIND), "-s"], environment


def clients(generation: str) -> Path:
    """The folder that one generation of the clients is installed in; skips, or fails on CI, without it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dqlite-wire" / "clients"
    folder = Path(os.environ.get("DQLITE_CLIENTS") or cache) / generation
    if not (folder / "complete").exists():
        require(f"the published clients {generation} are not there: run tests/downstream/setup-clients")
    return folder
