"""The session that the picture in the README shows, and how it was recorded.

    python -m tests.docs.books    # writes docs/recordings/books.dqt anew

It starts a real node on port 9001, and a proxy in front of it. Times in the recording are those of the
machine that made it.
"""

from __future__ import annotations

from pathlib import Path

from dqlitewire.messages import (
    ExecRequest,
    ExecSqlRequest,
    FinalizeRequest,
    LeaderRequest,
    OpenRequest,
    PrepareRequest,
    QuerySqlRequest,
)
from dqlitewire.proxy import BlockingProxy, Recorder
from examples.demo import Client
from tests.real.nodes import Node

RECORDING = Path(__file__).parents[2] / "docs" / "recordings" / "books.dqt"
BOOKS = (("Middlemarch", 880), ("Der Prozeß", None))
COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i FROM n"


def session(address: str) -> None:
    """Be the client."""
    client = Client(address)
    client.call(LeaderRequest())
    client.call(OpenRequest("library"))
    client.call(ExecSqlRequest(0, "CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT, pages INTEGER)"))
    client.call(PrepareRequest(0, "INSERT INTO book(title, pages) VALUES (?, ?)"))
    for title, pages in BOOKS:
        client.call(ExecRequest(0, 0, [title, pages]))
    client.call(FinalizeRequest(0, 0))
    client.call(QuerySqlRequest(0, "SELECT title, pages FROM book WHERE id >= ?", [1]))
    client.call(QuerySqlRequest(0, COUNT))
    while client.streaming:
        client.receive()
    client.call(QuerySqlRequest(0, "SELECT year FROM book"))
    client.socket.close()


def main() -> None:
    """Record it."""
    RECORDING.unlink(missing_ok=True)
    node = Node("1.18.7")
    node.address = "127.0.0.1:9001"  # where a reader would look for one
    with node:
        recorder = Recorder(RECORDING)
        with BlockingProxy({"127.0.0.1:0": node.address}, lookers=[recorder], map_addresses=False) as proxy:
            session(proxy.addresses[0])
        recorder.close()
    RECORDING.chmod(0o644)  # nothing in it is a secret


if __name__ == "__main__":
    main()
