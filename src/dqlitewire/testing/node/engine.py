"""What the nodes of one (fake) cluster share: databases, configuration, ordered faults, records.

`Engine.connect` gives a `Session`, one client's connection to one node.  No I/O but SQLite's happens in
either: bytes go in, bytes come out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dqlitewire.constants import RequestType
from dqlitewire.faults.faults import Faults
from dqlitewire.servers.releases import Release
from dqlitewire.testing.node.cluster import Cluster, Member
from dqlitewire.testing.node.hazards import Hazard
from dqlitewire.testing.node.session import Session
from dqlitewire.testing.node.store import Store

if TYPE_CHECKING:
    import os

__all__ = ["Engine", "RequestRecord"]

_REQUESTS_KEPT = 10_000
_BYTES_KEPT = 1 << 26  # of their bodies together; the last one stays whatever its size
_HAZARDS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as it came: for assertions about what a driver sends.

    Attributes:
        connection: Number of the connection, counted from 1.
        type: Request type; an int where the protocol has no name for it.
        schema: Schema byte.
        body: The bytes behind the header.
    """

    connection: int
    type: int
    schema: int
    body: bytes

    @property
    def sql(self) -> str | None:
        """The SQL text, of requests that carry one."""
        if self.type not in (RequestType.PREPARE, RequestType.EXEC_SQL, RequestType.QUERY_SQL):
            return None
        end = self.body.find(0, 8)
        return self.body[8:end].decode("utf-8", "replace") if end >= 0 else None


class Engine:
    """What the nodes of one cluster have in common.

    Args:
        generation: Which release to play.
        folder: Where databases are kept; by default a temporary folder that goes with the engine.
        files: Database files to serve where they are, by name.
        readonly: Open those for reading only.
        clean_failures: Send FAILURE without the rows that real servers leave in front of it.
    """

    def __init__(
        self,
        generation: Release,
        folder: str | os.PathLike[str] | None = None,
        files: dict[str, str] | None = None,
        *,
        readonly: bool = False,
        clean_failures: bool = False,
    ) -> None:
        self.generation = generation
        self.clean_failures = clean_failures
        self.store = Store(generation, folder, files, readonly=readonly)
        self.cluster = Cluster(generation.not_found_text)
        self.cluster.on_change.append(self._lead_changed)
        self.faults = Faults()
        self.hazards: list[Hazard] = []
        self.requests: deque[RequestRecord] = deque()
        self.sessions: set[Session] = set()
        self.breathe: Callable[[], None] = lambda: None
        self.weights: dict[int, int] = {}
        self.stopping = False
        self._connections = 0
        self._bytes_kept = 0

    def connect(self, member: Member) -> Session:
        """Begin a connection to one node."""
        self._connections += 1
        session = Session(self, member, self._connections)
        self.sessions.add(session)
        return session

    def record(self, connection: int, request: int, schema: int, body: bytes) -> None:
        """Note a request."""
        requests = self.requests
        requests.append(RequestRecord(connection, request, schema, body))
        self._bytes_kept += len(body)
        while len(requests) > _REQUESTS_KEPT or (self._bytes_kept > _BYTES_KEPT and len(requests) > 1):
            self._bytes_kept -= len(requests.popleft().body)

    def hazard(self, hazard: Hazard) -> None:
        """Note a hazard; of very many the first are enough."""
        if len(self.hazards) < _HAZARDS_KEPT:
            self.hazards.append(hazard)

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
