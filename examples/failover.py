"""Insert rows into a cluster whose leader may die at any moment, and lose or double none of them.

    python examples/failover.py DATABASE COUNT ADDRESS [ADDRESS ..]

`dqlitewire.client` finds the leader, follows it, and sends again what was certainly not executed. What it
leaves is an insert of unknown outcome (the connection was lost, or leadership was): each row has a key, by
which it is looked up. A query on the new leader sees all that can still commit. At the end the table must
hold every key once.
"""

from __future__ import annotations

import os
import sys

from dqlitewire.client import Client, ConnectionFailed, StatementFailed, connect
from dqlitewire.conversation import Outcome, Retry
from dqlitewire.dial import Address, Target

PATIENCE = 60.0  # seconds without a leader


class Inserter:
    """Inserts rows, each once."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.leader = ""

    def tell_leader(self) -> None:
        if self.leader != (leader := str(self.client.leader.address)):
            self.leader = leader
            print("leader", leader, flush=True)

    def insert(self, key: int) -> str:
        """Insert the row of a key exactly once; return how it went."""
        how = "acknowledged"
        while True:
            try:
                self.client.execute("INSERT INTO entries (key, text) VALUES (?, ?)", [key, f"row {key}"])
            except (ConnectionFailed, StatementFailed) as failure:
                print(f"key {key}: {failure}, {failure.outcome.value}", flush=True)
                if isinstance(failure, StatementFailed) and failure.explanation.retry is Retry.NO:
                    raise
                if failure.outcome is Outcome.UNKNOWN and self.has(key):
                    return "found"
                how = "sent again"
            else:
                return how
            finally:
                self.tell_leader()

    def has(self, key: int) -> bool:
        return list(self.client.query("SELECT 1 FROM entries WHERE key = ?", [key])) != []


def main(database: str, count: str, *addresses: str) -> None:
    nodes = Target(" ".join(addresses), tuple(map(Address.parse, addresses)))
    with connect(nodes, database, timeout=PATIENCE) as client:
        client.execute("CREATE TABLE IF NOT EXISTS entries (key INTEGER, text TEXT)")
        inserter = Inserter(client)
        inserter.tell_leader()
        outcomes = {"acknowledged": 0, "found": 0, "sent again": 0}
        for key in range(int(count)):
            outcomes[inserter.insert(key)] += 1
            if key % 100 == 99:
                print(key + 1, "rows", flush=True)
        rows = list(client.query("SELECT key, count(*) FROM entries GROUP BY key ORDER BY key"))
    assert rows == [(key, 1) for key in range(int(count))], "a row is missing or there twice"
    print(", ".join(f"{number} {how}" for how, number in outcomes.items()))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:]) if len(sys.argv) > 3 and sys.argv[2].isdigit() else sys.exit(__doc__)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
