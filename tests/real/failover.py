"""Kill the leader of a real cluster again and again while `examples/failover.py` inserts rows.

    python -m tests.real.failover [--kills N] [KIND ...]          make failover

Every two hundred rows the leader is killed, as a crash would; when the example has found the next one, the
dead node starts again on its data. The example fails unless each of its rows is there once, and so does this,
which reads the table from the last leader. A node that dies by itself is started again, and counted: cowsql
1.15.9 may end with SIGSEGV when a node that was killed is sent a snapshot.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.real.nodes import KINDS, Cluster, Node, missing, release
from tests.real.session import Session

ROOT = Path(__file__).resolve().parents[2]
EVERY = 200  # rows between two kills; the example goes on for some dozen before it notices
POLL = 0.05
TIMEOUT = 60.0


class Report(NamedTuple):
    """What came of one run.

    Attributes:
        leaders: how often the example found a leader.
        outcomes: its last line, how the rows went in.
        unknown: how many of its inserts failed with an unknown outcome.
        restarts: how often a node had died by itself.
    """

    kills: int
    leaders: int
    rows: int
    outcomes: str
    unknown: int
    restarts: int
    seconds: float


class Keeper:
    """Starts nodes again that died by themselves."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = list(nodes)
        self.killed: Node | None = None
        self.restarts = 0
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self) -> None:
        while not self.ended.wait(POLL):
            with self.lock:
                for node in self.nodes:
                    if node is not self.killed and not node.alive():
                        node.start()
                        self.restarts += 1

    def kill(self, node: Node) -> None:
        with self.lock:
            self.killed = node
            node.kill()

    def revive(self) -> None:
        with self.lock:
            if self.killed is not None:
                self.killed.start()
                self.killed = None

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()


def failover(kind: str, kills: int, database: str = "failover") -> Report:
    """Run the example over as many kills; raise unless it lost and doubled nothing."""
    began = time.monotonic()
    count = EVERY * (kills + kills // 5 + 2)  # a kill that came late, on a busy machine, is left out
    leaders: list[str] = []
    killed = unknown = 0
    outcomes = ""
    with Cluster(kind) as cluster, Keeper(cluster.nodes) as keeper:
        for line in example(database, count, cluster.addresses):
            if line.startswith("leader "):
                leaders.append(line.split()[1])
                keeper.revive()
            elif line.endswith(" rows"):
                # the example tells each hundred; the first of two is followed by a kill, unless it has not
                # noticed the last one yet
                due = int(line.split()[0]) % EVERY == EVERY // 2
                if due and killed < kills and keeper.killed is None:
                    keeper.kill(cluster.node(leaders[-1]))
                    killed += 1
            elif line.startswith("key "):
                unknown += line.endswith(", unknown")
            else:
                outcomes = line
        keeper.revive()
        with Session(cluster.leader().address, database) as session:
            rows = session.rows("SELECT key, text FROM entries ORDER BY key, rowid")
    assert killed == kills, f"only {killed} kills came in time"
    assert len(leaders) > kills, f"{kills} kills, and only {len(leaders)} leaders were found"
    assert rows == [(key, f"row {key}") for key in range(count)], "a row is missing or there twice"
    return Report(
        kills, len(leaders), count, outcomes, unknown, keeper.restarts, round(time.monotonic() - began, 1)
    )


def example(database: str, count: int, addresses: list[str]) -> Iterator[str]:
    """What the example prints, line by line; raises if it fails."""
    command = [sys.executable, str(ROOT / "examples" / "failover.py"), database, str(count), *addresses]
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for line in process.stdout:
                yield line.rstrip("\n")
            assert process.wait(TIMEOUT) == 0, process.stderr.read()
        finally:
            process.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("kinds", nargs="*", default=KINDS, metavar="KIND")
    options = parser.parse_args()
    failed = 0
    for kind in options.kinds:
        if missing(kind):
            print(missing(kind))
            continue
        try:
            report = failover(kind, options.kills)
        except AssertionError as error:
            failed += 1
            print(f"{kind} ({release(kind)}): FAILED: {error}", flush=True)
            continue
        print(
            f"{kind} ({release(kind)}): {report.kills} kills, {report.leaders} leaders, {report.rows} rows: "
            f"{report.outcomes}; {report.unknown} unknown outcomes, "
            f"{report.restarts} nodes died by themselves; {report.seconds} s",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
