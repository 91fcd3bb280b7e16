"""The embedded server: how soon it is there, and 100 000 rows through a published client.

The server runs in a process of its own, beside a real node; the client (dqlite-client on this package)
reads the same table from both in turn. Node and client are those of the tests: `make nodes` fetches them.
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

from bench.candidates import ROOT
from bench.measure import Unavailable

KIND = "1.18.1"
CLIENT = "0.2.2"
ROWS = 100_000

SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
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
            "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < ?)"
            " INSERT INTO big SELECT i, printf('text %015d', i), i * 0.5 FROM r", [rows]
        )
    spent = [[] for _ in connections]
    for number in range(rounds + 1):
        for connection, times in zip(connections, spent):
            begin = time.perf_counter()
            found = await connection.fetchall("SELECT i, t, f FROM big")
            times.append(time.perf_counter() - begin)
            assert len(found) == rows
            assert tuple(found[-1]) == (rows, "text %015d" % rows, rows * 0.5)
    print(json.dumps([times[1:] for times in spent]))

asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
"""


def starting(rounds: int) -> float:
    """Seconds from the call until a client has its first answer, imports not counted."""
    try:
        from dqlitewire.testing import DqliteServer
        from tests.real.raw import RawConnection
    except ImportError as error:
        raise Unavailable(f"the extra `testing` is needed: {error}") from error
    with DqliteServer():  # what is made once
        pass
    spent = []
    for _ in range(rounds):
        begin = time.perf_counter()
        with DqliteServer() as server, RawConnection(server.address) as client:
            client.leader()
            spent.append(time.perf_counter() - begin)
    return statistics.median(spent)


@contextmanager
def serving(source: Path) -> Iterator[str]:
    """The embedded server in a process of its own; its address."""
    command = [sys.executable, "-c", SERVER, str(source)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def reading(source: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each reading of all rows: from the embedded server, from the real node."""
    from tests.real.nodes import Node, clean_environment, missing, python

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    clients = Path(os.environ.get("DQLITE_CLIENTS") or cache / "dqlite-wire" / "clients") / CLIENT
    reason = missing(KIND) or ("" if (clients / "complete").exists() else f"no dqlite-client {CLIENT}")
    if reason:
        raise Unavailable(f"{reason} (`make nodes`)")
    path = os.pathsep.join([str(source), str(clients)])
    with serving(source) as ours, Node(KIND) as node:
        finished = subprocess.run(
            [*python(KIND), "-s", "-c", READER, str(ROWS), str(rounds), ours, node.address],
            env={**clean_environment(), "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(clients / "pyc")},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    if finished.returncode:
        raise RuntimeError(finished.stderr)
    embedded, real = json.loads(finished.stdout)
    return embedded, real
