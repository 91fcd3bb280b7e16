"""Find the node that leads: ask all that are known side by side, and believe the one that acts as leader.

Each address has a worker, a thread that asks its node until the search is over:

    LEADER                  names itself: does it act as leader? then it is found
                            names another: that one gets a worker, too
                            names nobody: ask with the handshake from before 1.0, which spares answer
    QUERY_SQL before OPEN   a leader says "no database opened", any other node "not leader"; nothing is
                            created (dqlite src/gateway.c: the leader is looked for first)
    OPEN, QUERY_SQL         what the client is going to do

A node that names another which cannot be reached may be the leader itself, behind an address that only the
cluster knows: then it is asked to act. A silent node holds up its own worker and nobody else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from dqlitewire import PROTOCOL_VERSION_LEGACY, NodeInfo
from dqlitewire.client.connection import Broken, Connection, Dialler
from dqlitewire.client.errors import Attempt, NoLeaderError
from dqlitewire.conversation import Answered, Event, Failed, Rows
from dqlitewire.dial import Address, AddressError, Deadline
from dqlitewire.messages import (
    ClusterRequest,
    LeaderRequest,
    LeaderResponse,
    OpenRequest,
    QuerySqlRequest,
    ServersResponse,
)
from dqlitewire.text import sanitize_for_log

PAUSE = 0.05  # seconds between two questions to one node
_ATTEMPT = 1.0  # seconds that an attempt may take at least, where there are as many
_MAX_WORKERS = 64  # addresses that are asked at a time
_NO_DATABASE = 12


@dataclass
class Found:
    """The leader.

    Attributes:
        connection: to it, with the database open if there is one.
        node_id: its id; 0 if nobody told.
        nodes: the members of its cluster; empty if it did not tell.
    """

    connection: Connection
    node_id: int
    nodes: list[NodeInfo]


@dataclass
class _Candidate:
    address: Address
    said: str = "not asked in time"
    definite: bool = False  # it cannot be reached, and that is not for want of time


class Search:
    """One search.

    Args:
        addresses: of the nodes that are known.
        dialler: makes connections.
        database: to open; None for none.
        deadline: for all of it.
        patient: whether to go on when no node can be reached; a cluster that was there may return.
    """

    def __init__(
        self,
        addresses: Iterable[Address],
        dialler: Dialler,
        database: str | None,
        deadline: Deadline,
        patient: bool = False,
    ) -> None:
        self._dialler, self._database, self._deadline = dialler, database, deadline
        self._patient = patient
        self._lock = threading.Lock()
        self._candidates: dict[Address, _Candidate] = {}
        self._results: SimpleQueue[Found | Exception | None] = SimpleQueue()  # None: look at the candidates
        self._over = False
        for address in addresses:
            self._add(address)

    def run(self) -> Found:
        """Return the leader.

        Raises:
            NoLeaderError: none was found.
            HazardError: the database must not be opened.
        """
        begin = time.monotonic()
        try:
            while True:
                try:
                    result = self._results.get(timeout=self._deadline.left())
                except (Empty, TimeoutError):
                    raise NoLeaderError(self._attempts(), time.monotonic() - begin) from None
                if isinstance(result, Found):
                    return result
                if result is not None:
                    raise result
                if not self._patient and all(each.definite for each in list(self._candidates.values())):
                    raise NoLeaderError(self._attempts())
        finally:
            with self._lock:
                self._over = True
            self._drop_others(result if "result" in locals() else None)

    def _drop_others(self, kept: object) -> None:
        while True:
            try:
                other = self._results.get_nowait()
            except Empty:
                return
            if isinstance(other, Found) and other is not kept:
                other.connection.close()

    def _attempts(self) -> list[Attempt]:
        return [Attempt(str(each.address), each.said) for each in list(self._candidates.values())]

    # ------------------------------------------------------------ workers

    def _add(self, address: Address) -> _Candidate:
        address = address.normalised()
        with self._lock:
            if address in self._candidates or self._over or len(self._candidates) >= _MAX_WORKERS:
                return self._candidates.get(address) or _Candidate(address)
            candidate = self._candidates[address] = _Candidate(address)
        threading.Thread(target=self._work, args=(candidate,), daemon=True).start()
        return candidate

    def _work(self, candidate: _Candidate) -> None:
        try:
            while not self._over:
                left = self._deadline.left()
                found = self._attempt(candidate, Deadline(max(left / 2, min(left, _ATTEMPT))))
                if found is not None:
                    self._hand_over(found)
                    return
                self._results.put(None)
                time.sleep(min(PAUSE, self._deadline.left()))
        except TimeoutError:
            pass
        except Exception as error:
            self._results.put(error)

    def _hand_over(self, found: Found) -> None:
        with self._lock:
            if not self._over:
                self._results.put(found)
                return
        found.connection.close()

    def _attempt(self, candidate: _Candidate, deadline: Deadline) -> Found | None:
        try:
            connection = self._dialler.connect(candidate.address, deadline)
        except (OSError, ValueError) as error:
            silent = isinstance(error, TimeoutError)
            said = "no answer in time" if silent else getattr(error, "strerror", None) or str(error)
            candidate.said, candidate.definite = said.lower() if not silent else said, not silent
            return None
        try:
            found = self._asked(candidate, connection, deadline)
        except Broken as broken:
            candidate.said, candidate.definite = str(broken), not broken.silent
            found = None
        except BaseException:
            connection.close()
            raise
        if found is None:
            connection.close()
        return found

    def _asked(self, candidate: _Candidate, connection: Connection, deadline: Deadline) -> Found | None:
        node_id, named = self._leader(connection, candidate.address, deadline)
        candidate.definite = False
        if not named:
            candidate.said = "knows no leader"
            return None
        try:
            address = Address.parse(named).normalised()
        except AddressError:
            candidate.said = f"names a leader at {sanitize_for_log(named)!r}, which is no address"
            address = candidate.address
        if address != candidate.address:
            candidate.said = f"names {address} as leader"
            if not self._add(address).definite:
                return None
            node_id = 0
        return self._acting(candidate, connection, node_id, deadline)

    def _leader(self, connection: Connection, address: Address, deadline: Deadline) -> tuple[int, str]:
        request = LeaderRequest()
        match connection.ask(request, deadline):
            case Answered(_, LeaderResponse(node_id, named)) if named:
                return node_id, named
            case _:
                pass
        legacy = self._dialler.connect(address, deadline, PROTOCOL_VERSION_LEGACY)
        try:
            match legacy.ask(request, deadline):
                case Answered(_, LeaderResponse(node_id, named)):
                    return node_id, named
                case _:
                    return 0, ""
        finally:
            legacy.close()

    def _acting(
        self, candidate: _Candidate, connection: Connection, node_id: int, deadline: Deadline
    ) -> Found | None:
        """Return what was found if the node does what only a leader does."""
        harmless = QuerySqlRequest(0, "SELECT 1")
        event = connection.ask(harmless, deadline)
        leads = isinstance(event, Failed) and event.failure.code == _NO_DATABASE
        if leads and self._database is not None:
            event = connection.ask(OpenRequest(self._database), deadline)
            if isinstance(event, Answered):
                event = connection.ask(harmless, deadline)
            leads = isinstance(event, Rows)
        if not leads:
            candidate.said = f"is said to lead, and refuses: {_said(event)}"
            return None
        nodes: list[NodeInfo] = []
        match connection.ask(ClusterRequest(), deadline):
            case Answered(_, ServersResponse() as servers):
                nodes = list(servers.nodes)
            case _:
                pass
        return Found(connection, node_id, nodes)


def _said(event: Event) -> str:
    if isinstance(event, Failed):
        return sanitize_for_log(event.failure.message)
    return f"answered {type(event).__name__}"
