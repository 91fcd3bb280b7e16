"""Replay of transcripts: as a node towards clients, and as a client towards a node.

    with ReplayServer("session.dqt") as server:
        run_client(server.address)
    assert not server.problems

`recording` is what is played, read from transcripts; `recorded` is one connection of it, `tracks` its bytes.
As the node: players (`in_order`, `any_order`) decide what is said to one client, without I/O; `serving` has
the sockets, `server` a thread around them. As the clients: `sending` has the order, `live` one connection,
`answers` compares, `checking` refuses. `sameness` and `difference` say whether two messages are the same, and
what differs.
docs/guides/replay.md describes both, and the command.
"""

from __future__ import annotations

from dqlitewire.replay.server import ReplayServer

__all__ = ["ReplayServer"]
