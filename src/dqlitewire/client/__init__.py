"""A blocking client for tools: it finds the leader and follows it. It is not a DB-API driver.

    from dqlitewire.client import connect

    with connect("10.0.0.1:9001", "app.db") as client:
        for row in client.query("SELECT * FROM users"):
            print(row)

`client` has the calls and what is repeated, `searching` finds the leader, `connection` is one socket with its
conversation, `result` the rows of a query, `fetching` gets a
database and `dump` makes one file of it, `errors` what can be raised.
"""

from __future__ import annotations

from dqlitewire.client.client import Client, Leader, connect
from dqlitewire.client.dump import Dump
from dqlitewire.client.errors import (
    Attempt,
    ClientError,
    ConnectionFailed,
    NoDatabaseError,
    NoLeaderError,
    StatementFailed,
)
from dqlitewire.client.result import Result

__all__ = [
    "Attempt",
    "Client",
    "ClientError",
    "ConnectionFailed",
    "Dump",
    "Leader",
    "NoDatabaseError",
    "NoLeaderError",
    "Result",
    "StatementFailed",
    "connect",
]
