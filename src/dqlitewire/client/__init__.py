"""A blocking client for tools: it finds the leader and follows it. It is not a DB-API driver.

    from dqlitewire.client import connect

    with connect("10.0.0.1:9001", "app.db") as client:
        for row in client.query("SELECT * FROM users"):
            print(row)

`client` has the calls, `following` the connection to the leader and what is sent again on another one
(`repeating` decides), `searching` finds the leader among its `candidate`s, which must act so (`leadership`).
`connection` is one socket with its conversation, `result` the rows of a query, `fetching` gets a database and
`dump` makes one file of it, `owner` keeps a second thread out, `errors` has what can be raised.
"""

from __future__ import annotations

from dqlitewire.client.client import Client, connect
from dqlitewire.client.dump import Dump
from dqlitewire.client.errors import (
    Attempt,
    ClientError,
    ConnectionFailed,
    NoDatabaseError,
    NoLeaderError,
    StatementFailed,
)
from dqlitewire.client.following import Leader
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
