"""Insert rows into a cluster whose leader may die at any moment, and lose or double none of them.

    python examples/failover.py DATABASE COUNT ADDRESS [ADDRESS ..]

Each row has a key. A failed insert that was not executed is sent again to the new leader. One with unknown
outcome (the connection was lost, or leadership was) is looked up by its key first: a query on the new leader
sees all that can still commit. At the end the table must hold every key once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import closing

from blocking_client import Client, RequestFailed

from dqlitewire.conversation import Outcome

PATIENCE = 60.0  # seconds without a leader
PAUSE = 0.05


class Cluster:
    """A connection to whichever node leads."""

    def __init__(self, database: str, addresses: Sequence[str]) -> None:
        self.database = database
        self.addresses = list(addresses)
        self.client = self.find_leader()

    def find_leader(self) -> Client:
        """Ask the nodes until one names a leader that can be reached and opens the database."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for address in self.addresses:
                try:
                    with closing(Client(address, timeout=2.0)) as node:
                        leader = node.leader()
                    if not leader:
                        continue
                    client = Client(leader)
                except (OSError, RequestFailed):
                    continue
                try:
                    client.open(self.database)
                    client.execute("SELECT 1 WHERE 0")  # only a leader does it
                except RequestFailed:
                    client.close()
                    continue
                print("leader", leader, flush=True)
                return client
            time.sleep(PAUSE)
        raise RuntimeError("no leader was found")

    def again(self) -> None:
        self.client.close()
        self.client = self.find_leader()

    def execute_once(self, key: int) -> str:
        """Insert the row of a key exactly once; return how it went."""
        how = "acknowledged"
        while True:
            try:
                self.client.execute("INSERT INTO entries (key, text) VALUES (?, ?)", [key, f"row {key}"])
            except RequestFailed as failure:
                print(f"key {key}: {failure}, {failure.outcome.value}", flush=True)
                self.again()
                if failure.outcome is Outcome.UNKNOWN and self.has(key):
                    return "found"
                how = "sent again"
            else:
                return how

    def has(self, key: int) -> bool:
        while True:
            try:
                return bool(list(self.client.query("SELECT 1 FROM entries WHERE key = ?", [key])))
            except RequestFailed:  # reading can be repeated
                self.again()


def main(database: str, count: str, *addresses: str) -> None:
    cluster = Cluster(database, addresses)
    cluster.client.execute("CREATE TABLE IF NOT EXISTS entries (key INTEGER, text TEXT)")
    outcomes = {"acknowledged": 0, "found": 0, "sent again": 0}
    for key in range(int(count)):
        outcomes[cluster.execute_once(key)] += 1
        if key % 100 == 99:
            print(key + 1, "rows", flush=True)
    rows = list(cluster.client.query("SELECT key, count(*) FROM entries GROUP BY key ORDER BY key"))
    assert rows == [(key, 1) for key in range(int(count))], "a row is missing or there twice"
    print(", ".join(f"{number} {how}" for how, number in outcomes.items()))
    cluster.client.close()


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) > 3 and sys.argv[2].isdigit() else sys.exit(__doc__)
