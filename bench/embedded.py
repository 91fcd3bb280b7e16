"""The embedded server: how soon it is there, and 100 000 rows through a published client.

    python -m bench.embedded

The server runs in a process of its own, beside a real 1.18.1 node; the client (dqlite-client 0.2.2 on this
package) reads the same table from both in turn.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.downstream.published import PYTHON_KIND, SOURCE
from tests.downstream.published import _clients as clients
from tests.real.nodes import Node, clean_environment, python

KIND = "1.18.1"
CLIENT = "0.2.2"
ROWS = 100_000
START_LIMIT = 0.050
RATIO_FLOOR = 0.5

SERVER = """
import sys
from dqlitewire.testing import DqliteServer
with DqliteServer() as server:
    print(server.address, flush=True)
    sys.stdin.read()
"""

# itf3: INTEGER, TEXT of 20 characters, FLOAT
READER = """
import asyncio, json, sys, time
import dqliteclient

async def main(rows, rounds, addresses):
    connections = [await dqliteclient.connect(address, database="bench") for address in addresses]
    for connection in connections:
        await connection.execute("CREATE TABLE big (i INTEGER, t TEXT, f FLOAT)")
        await connection.execute(
            "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < %d)"
            " INSERT INTO big SELECT i, printf('text %%015d', i), i * 0.5 FROM r" % rows
        )
    spent = [[] for _ in connections]
    for number in range(rounds + 1):
        for connection, times in zip(connections, spent):
            begin = time.perf_counter()
            found = await connection.fetchall("SELECT i, t, f FROM big")
            times.append(time.perf_counter() - begin)
            assert len(found) == rows
    print(json.dumps([times[1:] for times in spent]))

asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
"""


def starting(rounds: int) -> list[float]:
    """Seconds from the call of `start` until a client has its first answer, imports not counted."""
    from dqlitewire.testing import DqliteServer
    from tests.real.raw import RawConnection

    with DqliteServer() as server:  # what is imported and made once
        pass
    spent = []
    for _ in range(rounds):
        begin = time.perf_counter()
        with DqliteServer() as server, RawConnection(server.address) as client:
            client.leader()
            spent.append(time.perf_counter() - begin)
    return spent


@contextmanager
def serving() -> Iterator[str]:
    """The embedded server in a process of its own; its address."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def reading(rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each reading of all rows: from the embedded server, from the real node."""
    folder: Path = clients(CLIENT)
    with serving() as ours, Node(KIND) as node:
        finished = subprocess.run(
            [*python(PYTHON_KIND), "-s", "-c", READER, str(ROWS), str(rounds), ours, node.address],
            env={**clean_environment(), "PYTHONPATH": os.pathsep.join([str(SOURCE), str(folder)])},
            capture_output=True,
            text=True,
            check=False,
        )
    if finished.returncode:
        raise RuntimeError(finished.stderr)
    embedded, real = json.loads(finished.stdout)
    return embedded, real


def main() -> int:
    """Measure, print, and hold both figures against their limits."""
    started = statistics.median(starting(21))
    embedded, real = reading(11)
    ratio = statistics.median(r / e for e, r in zip(embedded, real, strict=True))
    met = [started <= START_LIMIT, ratio >= RATIO_FLOOR]
    print(f"start to first answer        {started * 1000:8.2f} ms  <= {START_LIMIT * 1000:.0f} ms  {met[0]}")
    seconds = f"{statistics.median(embedded):.3f} s, real {statistics.median(real):.3f} s"
    print(f"{ROWS} rows, speed of {KIND} {ratio:8.2f} x   >= {RATIO_FLOOR}  {met[1]}  ({seconds})")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
