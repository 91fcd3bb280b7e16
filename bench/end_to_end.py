"""200 000 rows from a real node: the client's CPU, ours beside Go's database/sql and go-dqlite.

Ours is ``examples/blocking_client.py``, in a process of its own. Every client keeps all rows, ours
as tuples and Go's scanned into a struct. The CPU is that of the whole client process, system calls
and collectors included. The node is the tests' (`make nodes`).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import cache, partial
from pathlib import Path

from bench import go_dqlite
from bench.candidates import NATIVE, OURS, ROOT, Codec, environment, load_native
from bench.measure import Times, Unavailable, in_turns

KIND = "1.18.7"
ROWS = 200_000
SELECT = "SELECT i, t, f FROM big ORDER BY i"
CREATE = "CREATE TABLE big (i INTEGER, t TEXT, f FLOAT)"
FILL = (
    "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < ?)"
    " INSERT INTO big SELECT i, printf('text %015d', i), i * 0.5 FROM r"
)

# The same commands as bench/go/main.go.
CLIENT = """
import json, sys, time
sys.path[:0] = sys.argv[1:4]
from bench.go_dqlite import shown_rows
from blocking_client import connect
client = connect(sys.argv[4], "bench")
client.timeout = 600
for line in sys.stdin:
    name, _, times = line.partition(" ")
    if name == "check\\n":
        print(json.dumps(shown_rows(list(client.query(sys.argv[5])))), flush=True)
        continue
    begin = time.process_time_ns()
    for _ in range(int(times)):
        rows = list(client.query(sys.argv[5]))
    print((time.process_time_ns() - begin) // int(times), flush=True)
"""


def expected() -> list[tuple[int, str, float]]:
    return [(i, f"text {i:015d}", i * 0.5) for i in range(1, ROWS + 1)]


def command(source: Path, address: str) -> list[str]:
    folders = [str(source), str(ROOT), str(ROOT / "examples")]
    return [sys.executable, "-s", "-c", CLIENT, *folders, address, SELECT]


@cache
def reading(pure: Codec, rounds: int) -> tuple[Times, Times]:
    """Seconds a row of each client: CPU, and by the clock."""
    from examples.blocking_client import connect
    from tests.real.nodes import Node, missing

    if reason := missing(KIND):
        raise Unavailable(f"{reason} (`make nodes`)")
    program = go_dqlite.program()
    modes = {OURS: False}
    try:
        load_native(pure.folder)
        modes[NATIVE] = True
    except Unavailable:
        pass
    with ExitStack() as stack:
        node = stack.enter_context(Node(KIND))
        with closing(connect(node.address, "bench")) as client:
            client.timeout = 600
            client.execute(CREATE)
            client.execute(FILL, [ROWS])
        clients = {
            name: go_dqlite.Child(command(pure.folder, node.address), environment(os.environ, native=native))
            for name, native in modes.items()
        }
        clients[go_dqlite.DATABASE_SQL] = go_dqlite.Child([str(program), "query", node.address, SELECT])
        wanted = go_dqlite.shown_rows(expected())
        for name, child in clients.items():
            stack.enter_context(child)
            assert child.rows() == wanted, f"{name}: other rows than were inserted"
        passed = Times()
        samples = {
            name: partial(_clocked, name, child.sample("query"), passed) for name, child in clients.items()
        }
        return in_turns(samples, rounds, ROWS), passed


def _clocked(name: str, sample: Callable[[], float], passed: Times) -> float:
    begin = time.perf_counter()
    spent = sample()
    passed.add(name, (time.perf_counter() - begin) / ROWS)
    return spent
