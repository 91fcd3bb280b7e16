"""Find the node that leads: ask all that are known side by side, and believe the one that acts as leader.

A thread asks a node (`leadership`), over and over until the search is over, and takes the next one meanwhile.

A node that does not lead names one that is asked like the others; if it names none, or was asked before and
its word led nowhere, the members that it knows are asked as well. Whether an address is the node's own is
never judged by its text: a leader may be reached under a name that the cluster does not know, and the one
that the cluster knows may not be reachable from here. So neither a wrong address, nor a node that only says
that it leads, nor a silent one keeps the search from the leader.

If no node can be reached at all, the search is over at once, unless it is `patient`: what has answered
before may come back. Otherwise it goes on until the deadline, since an election takes some hundred
milliseconds, and a node that leads may just be starting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from dqlitewire import PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY, NodeInfo
from dqlitewire.client.candidate import SHORTEST, Candidate
from dqlitewire.client.connection import Broken, Connection, Dialler
from dqlitewire.client.errors import Attempt, NoLeaderError
from dqlitewire.client.leadership import members, named_leader, refusal
from dqlitewire.conversation import Event, Failed
from dqlitewire.dial import Address, AddressError, Deadline
from dqlitewire.text import sanitize_for_log, shown

_MOST = 0.75  # of the time that is left: the rest is for saying what came of it
_AT_ONCE = 32  # nodes that are asked at a time
_MOST_NAMED = 256  # nodes that others name


@dataclass
class Found:
    """The leader.

    Attributes:
        connection: to it, with the database open if there is one.
        node_id: its id; 0 if nobody told.
        named: its address as it tells it.
        address: the same; where it was reached if that is none.
        nodes: the members of its cluster; empty if it did not tell.
    """

    connection: Connection
    node_id: int
    named: str
    address: Address
    nodes: Sequence[NodeInfo]


class Search:
    """One search.

    Args:
        addresses: of the nodes that are known.
        dialler: makes connections.
        database: to open; None for none.
        deadline: for all of it.
        patient: whether to go on when no node can be reached.
    """

    def __init__(
        self,
        addresses: Iterable[Address],
        dialler: Dialler,
        database: str | None,
        deadline: Deadline,
        patient: bool = False,
    ) -> None:
        self._addresses = list(addresses)
        self._dialler, self._database, self._deadline = dialler, database, deadline
        self._patient = patient
        self._most = len(self._addresses) + _MOST_NAMED
        self._lock = threading.Lock()
        self._candidates: dict[Address, Candidate] = {}
        self._due: SimpleQueue[Candidate | None] = SimpleQueue()
        self._workers = 0
        self._results: SimpleQueue[Found | Exception | None] = SimpleQueue()  # None: look at the candidates
        self._open: set[Connection] = set()  # on which nodes are being asked
        self._over = threading.Event()

    def run(self) -> Found:
        """Return the leader.

        Raises:
            NoLeaderError: none was found.
            StatementFailed: the leader refuses to open the database.
            HazardError: the database must not be opened.
        """
        try:
            for address in self._addresses:
                self._add(address)
            return self._first()
        finally:
            self._end()

    def _first(self) -> Found:
        while True:
            try:
                result = self._results.get(timeout=self._deadline.left())
            except (Empty, TimeoutError):
                raise NoLeaderError(self._attempts(), self._deadline.seconds) from None
            if isinstance(result, Found):
                return result
            if result is not None:
                raise result
            if not self._patient and all(each.definite for each in self._all()):
                raise NoLeaderError(self._attempts())

    def _end(self) -> None:
        """Let the workers go, also those that wait for a node, and close what was found besides."""
        with self._lock:
            self._over.set()
            for connection in self._open:
                connection.cut()
        for _ in range(self._workers):
            self._due.put(None)
        while not self._results.empty():
            other = self._results.get()
            if isinstance(other, Found):
                other.connection.close()

    def _all(self) -> list[Candidate]:
        with self._lock:
            return list(self._candidates.values())

    def _attempts(self) -> list[Attempt]:
        return [Attempt(str(each.address), each.words) for each in self._all()]

    # ------------------------------------------------------------ workers

    def _add(self, address: Address) -> None:
        address = address.normalised()
        with self._lock:
            if address in self._candidates or len(self._candidates) >= self._most or self._over.is_set():
                return
            candidate = self._candidates[address] = Candidate(address)
            self._due.put(candidate)
            if self._workers < _AT_ONCE:
                self._workers += 1
                threading.Thread(target=self._work, daemon=True).start()  # nobody waits for a silent node

    def _work(self) -> None:
        try:
            while (candidate := self._due.get()) is not None:
                if self._over.wait(max(0.0, candidate.due - time.monotonic())):
                    return
                if self._attempt(candidate):
                    return
                candidate.rest()
                self._due.put(candidate)
                self._results.put(None)
        except TimeoutError:
            pass
        except Exception as error:  # of the request, which no other node would take either
            self._results.put(error)

    def _share(self) -> Deadline:
        """Return a deadline that leaves time for another attempt with each node."""
        left = self._deadline.left()
        rounds = 2 * (1 + len(self._candidates) // _AT_ONCE)
        return Deadline(max(left / rounds, min(_MOST * left, SHORTEST)))

    @contextmanager
    def _connected(
        self, address: Address, deadline: Deadline, version: int = PROTOCOL_VERSION
    ) -> Generator[Connection]:
        """Connect for the time of a block, or until the search is over; what is handed over stays open."""
        connection = self._dialler.connect(address, deadline, version)
        with self._lock:
            self._open.add(connection)
            if self._over.is_set():
                connection.cut()
        try:
            yield connection
        finally:
            with self._lock:
                if connection in self._open:
                    self._open.remove(connection)
                    connection.close()

    def _hand_over(self, found: Found) -> None:
        with self._lock:
            if not self._over.is_set():
                self._open.remove(found.connection)
                self._results.put(found)

    # ------------------------------------------------------------ one node

    def _attempt(self, candidate: Candidate) -> bool:
        """Ask a node once; return whether it leads.

        Raises:
            TimeoutError: the search is over.
        """
        deadline = self._share()
        candidate.step = ""
        try:
            with self._connected(candidate.address, deadline) as connection:
                return self._asked(candidate, connection, deadline)
        except (OSError, Broken, ValueError) as error:
            if self._over.is_set():
                raise TimeoutError from None
            options = self._dialler.options
            if candidate.failed(error, deadline.seconds, options) and not self._patient:
                candidate.look(options, self._share())
            return False

    def _asked(self, candidate: Candidate, connection: Connection, deadline: Deadline) -> bool:
        node_id, named = named_leader(candidate, connection, deadline)
        if not named:
            with self._connected(candidate.address, deadline, PROTOCOL_VERSION_LEGACY) as other:
                node_id, named = named_leader(candidate, other, deadline)
        candidate.definite = False
        if not named:
            self._add_members(candidate, connection, deadline)
            candidate.said = "knows no leader"
            return False
        refused = refusal(candidate, connection, self._database, deadline)
        if refused is None:
            self._hand_over(self._found(candidate, connection, node_id, named, deadline))
            return True
        try:
            address = Address.parse(named).normalised()
        except AddressError:
            candidate.said = f"names {shown(named)} as leader, which is no address"
            return False
        if candidate.said:  # it was asked before, and did not lead to the leader
            self._add_members(candidate, connection, deadline)
        if address == candidate.address:
            candidate.said = f"says that it leads, and refuses: {_said(refused)}"
        else:
            candidate.said = f"names {sanitize_for_log(str(address))} as leader"
            self._add(address)
        return False

    def _found(
        self,
        candidate: Candidate,
        connection: Connection,
        node_id: int,
        named: str,
        deadline: Deadline,
    ) -> Found:
        nodes = members(candidate, connection, deadline)
        ids = [node.node_id for node in nodes if node.address == named]
        address = candidate.address
        with suppress(AddressError):
            address = Address.parse(named)
        return Found(connection, node_id or (ids[0] if len(ids) == 1 else 0), named, address, nodes)

    def _add_members(self, candidate: Candidate, connection: Connection, deadline: Deadline) -> None:
        for node in members(candidate, connection, deadline):
            with suppress(AddressError):
                self._add(Address.parse(node.address))


def _said(event: Event) -> str:
    if isinstance(event, Failed):
        return sanitize_for_log(event.failure.message)
    return f"answered {type(event).__name__}"
