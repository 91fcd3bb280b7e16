"""The nodes of one (fake) cluster without sockets: bytes go in, bytes come out.

`Engine.connect` gives a `Session`, one client's connection to one node.  No I/O but SQLite's happens in
either.  Of these modules each knows those below it: `engine` makes sessions, `session` says what is answered
when, `dispatch` what is answered, `shared` holds what all of them work on.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from dqlitewire.faults import RequestRecord
from dqlitewire.testing.node.session import Session
from dqlitewire.testing.node.shared import Shared

if TYPE_CHECKING:
    from dqlitewire.servers.releases import Release
    from dqlitewire.testing.node.cluster import Member

__all__ = ["Engine", "RequestRecord"]


class Engine(Shared):
    """What the nodes of one cluster have in common, and their open sessions.

    Takes the arguments of `Shared`.
    """

    def __init__(self, generation: Release, *args: Any, **options: Any) -> None:
        super().__init__(generation, *args, **options)
        self.sessions: set[Session] = set()
        self.cluster.on_change.append(self._lead_changed)
        self._connections = 0

    def connect(self, member: Member) -> Session:
        """Begin a connection to one node."""
        self._connections += 1
        session = Session(self, member, self._connections, self.sessions.discard)
        self.sessions.add(session)
        return session

    def close(self) -> None:
        """Close every session and the databases; each is closed whatever the others raise."""
        with ExitStack() as stack:
            stack.callback(self.store.close)
            for session in list(self.sessions):
                stack.callback(session.close)

    def leave(self) -> None:
        """Be the copy of a forked child: SQLite's connections are the parent's."""
        self.store.leave()

    def _lead_changed(self, old: Member | None) -> None:
        for session in self.sessions:
            if session.member is old:
                session.lose_database()
