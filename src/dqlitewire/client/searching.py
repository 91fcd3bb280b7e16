"""Find the node that leads: ask all that are known side by side, and believe the one that acts as leader.

A thread asks a node, over and over until the search is over, and takes the next one meanwhile:

    LEADER                  is there one? a node that names nobody is asked again with the handshake from
                            before 1.0, which those that are no voters answer
    QUERY_SQL before OPEN   is it this one? A leader says "no database opened", any other node "not leader";
                            nothing is created (dqlite src/gateway.c: LOOKUP_DB comes behind CHECK_LEADER)
    OPEN, QUERY_SQL         what the client is going to do; a query proves that a majority is there
    CLUSTER                 who can be asked when this leader is gone

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
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from dqlitewire import PROTOCOL_VERSION_LEGACY, SQLITE_NOTFOUND, NodeInfo
from dqlitewire.client.connection import Broken, Connection, Dialler
from dqlitewire.client.errors import Attempt, NoLeaderError, StatementFailed
from dqlitewire.conversation import Answered, Event, Failed, Retry, Rows
from dqlitewire.dial import Address, AddressError, Deadline, SilentError, Status, probe
from dqlitewire.messages import (
    ClusterRequest,
    LeaderRequest,
    LeaderResponse,
    OpenRequest,
    QuerySqlRequest,
    ServersResponse,
)
from dqlitewire.text import sanitize_for_log, shown

PAUSE = 0.05  # seconds before a node is asked again, doubled each time
_LONGEST_PAUSE = 0.4
_ATTEMPT = 1.0  # seconds that an attempt may take at least, where there are as many
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


class _Candidate:
    """A node that may lead.

    Args:
        address: where it listens.

    Attributes:
        said: what came of the last attempt that came to an end, in words; empty before the first.
        definite: whether it cannot be reached, and that is not for want of time.
        step: what is being done with it.
        pause: seconds before it is asked again.
        due: when it is to be asked.
        error: the last one of those that were explained.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.said = ""
        self.definite = False
        self.step = ""
        self.pause = PAUSE
        self.due = 0.0
        self.error = ""

    @property
    def words(self) -> str:
        """What came of it, or what is being waited for."""
        return self.said or (f"connected, but no answer to {self.step}" if self.step else "no answer")


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
        self._candidates: dict[Address, _Candidate] = {}
        self._due: SimpleQueue[_Candidate | None] = SimpleQueue()
        self._workers = 0
        self._results: SimpleQueue[Found | Exception | None] = SimpleQueue()  # None: look at the candidates
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
        """Let the workers go, and close what was found besides."""
        with self._lock:
            self._over.set()
        for _ in range(self._workers):
            self._due.put(None)
        while not self._results.empty():
            other = self._results.get()
            if isinstance(other, Found):
                other.connection.close()

    def _all(self) -> list[_Candidate]:
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
            candidate = self._candidates[address] = _Candidate(address)
            self._due.put(candidate)
            if self._workers < _AT_ONCE:
                self._workers += 1
                threading.Thread(target=self._work, daemon=True).start()  # nobody waits for a silent node

    def _work(self) -> None:
        try:
            while (candidate := self._due.get()) is not None:
                if self._over.wait(max(0.0, candidate.due - time.monotonic())):
                    return
                found = self._attempt(candidate)
                if found is not None:
                    self._hand_over(found)
                    return
                candidate.due = time.monotonic() + candidate.pause
                candidate.pause = min(2 * candidate.pause, _LONGEST_PAUSE)
                self._due.put(candidate)
                self._results.put(None)
        except TimeoutError:
            pass
        except Exception as error:  # of the request, which no other node would take either
            self._results.put(error)

    def _hand_over(self, found: Found) -> None:
        with self._lock:
            if not self._over.is_set():
                self._results.put(found)
                return
        found.connection.close()

    def _share(self) -> Deadline:
        """Return a deadline that leaves time for another attempt with each node."""
        left = self._deadline.left()
        rounds = 2 * (1 + len(self._candidates) // _AT_ONCE)
        return Deadline(max(left / rounds, min(_MOST * left, _ATTEMPT)))

    # ------------------------------------------------------------ one node

    def _attempt(self, candidate: _Candidate) -> Found | None:
        """Ask a node once.

        Raises:
            TimeoutError: the search is over.
        """
        deadline = self._share()
        candidate.step = ""
        try:
            connection = self._dialler.connect(candidate.address, deadline)
            try:
                found = self._asked(candidate, connection, deadline)
            except BaseException:
                connection.close()
                raise
            if found is None:
                connection.close()
            return found
        except (OSError, Broken, ValueError) as error:
            self._note(candidate, error, deadline)
            return None

    def _asked(self, candidate: _Candidate, connection: Connection, deadline: Deadline) -> Found | None:
        candidate.step = "LEADER"
        node_id, named = self._leader(connection, deadline)
        candidate.definite = False
        if not named:
            self._add_members(candidate, connection, deadline)
            candidate.said = "knows no leader"
            return None
        refused = self._refused(candidate, connection, deadline)
        if refused is None:
            return self._found(candidate, connection, node_id, named, deadline)
        try:
            address = Address.parse(named).normalised()
        except AddressError:
            candidate.said = f"names {shown(named)} as leader, which is no address"
            return None
        if candidate.said:  # it was asked before, and did not lead to the leader
            self._add_members(candidate, connection, deadline)
        if address == candidate.address:
            candidate.said = f"says that it leads, and refuses: {_said(refused)}"
        else:
            candidate.said = f"names {address} as leader"
            self._add(address)
        return None

    def _leader(self, connection: Connection, deadline: Deadline) -> tuple[int, str]:
        """Return id and address of the leader that a node knows; the id is 0 where it is not told."""
        request = LeaderRequest()
        match connection.ask(request, deadline):
            case Answered(_, LeaderResponse(node_id, named)) if named:
                return node_id, named
            case _:
                pass
        other = self._dialler.connect(connection.address, deadline, PROTOCOL_VERSION_LEGACY)
        try:
            match other.ask(request, deadline):
                case Answered(_, LeaderResponse(node_id, named)):
                    return node_id, named
                case _:
                    return 0, ""
        finally:
            other.close()

    def _refused(self, candidate: _Candidate, connection: Connection, deadline: Deadline) -> Event | None:
        """Return the answer by which a node shows that it does not lead; None if it acts as leader.

        Raises:
            StatementFailed: it leads, and cannot open the database.
        """
        harmless = QuerySqlRequest(0, "SELECT 1")
        candidate.step = "QUERY_SQL"
        event = connection.ask(harmless, deadline)
        if not (isinstance(event, Failed) and event.failure.code == SQLITE_NOTFOUND):
            return event
        if self._database is None:
            return None
        candidate.step = "OPEN"
        event = connection.ask(OpenRequest(self._database), deadline)
        if isinstance(event, Answered):
            candidate.step = "QUERY_SQL"
            event = connection.ask(harmless, deadline)
        if isinstance(event, Failed) and event.explanation.retry is Retry.NO:
            raise StatementFailed(event)
        return None if isinstance(event, Rows) else event

    def _found(
        self,
        candidate: _Candidate,
        connection: Connection,
        node_id: int,
        named: str,
        deadline: Deadline,
    ) -> Found:
        nodes = self._members(candidate, connection, deadline)
        ids = [node.node_id for node in nodes if node.address == named]
        address = candidate.address
        with suppress(AddressError):
            address = Address.parse(named)
        return Found(connection, node_id or (ids[0] if len(ids) == 1 else 0), named, address, nodes)

    def _members(
        self, candidate: _Candidate, connection: Connection, deadline: Deadline
    ) -> Sequence[NodeInfo]:
        """Return the nodes of the cluster as a node knows them; none if it does not tell."""
        candidate.step = "CLUSTER"
        match connection.ask(ClusterRequest(), deadline):
            case Answered(_, ServersResponse() as servers):
                return servers.nodes
            case _:
                return ()

    def _add_members(self, candidate: _Candidate, connection: Connection, deadline: Deadline) -> None:
        for node in self._members(candidate, connection, deadline):
            with suppress(AddressError):
                self._add(Address.parse(node.address))

    def _note(self, candidate: _Candidate, error: Exception, deadline: Deadline) -> None:
        """Note why a node cannot be asked; the first time, look what is wrong there.

        Args:
            candidate: the node.
            error: what came of the attempt.
            deadline: that it had.

        Raises:
            TimeoutError: the search is over.
        """
        silent = isinstance(error, TimeoutError) or (isinstance(error, Broken) and error.silent)
        candidate.definite = not silent
        if silent and candidate.said and deadline.seconds < _ATTEMPT:
            return  # too short an attempt to say more than one before
        met = f"{candidate.step}: {error!r}"
        if met == candidate.error:
            return
        candidate.error = met
        if not silent:
            candidate.said = f"{candidate.step}: {error}" if candidate.step else _words(error)
        elif isinstance(error, SilentError) and not candidate.step:
            candidate.said = f"connected, but no answer to {self._layers()}"
        else:
            candidate.said = ""
            candidate.said = candidate.words
        if not self._patient:
            self._look(candidate)

    def _look(self, candidate: _Candidate) -> None:
        """Find out what is wrong with a node: `probe` knows the words of TLS, HTTP and other protocols."""
        candidate.definite, definite = False, candidate.definite
        try:
            options = self._dialler.options
            health = probe(str(candidate.address), self._share().seconds, options)
        except ValueError:
            return
        finally:
            candidate.definite = definite
        if (
            health.status not in (Status.HEALTHY, Status.NO_LEADER, Status.SILENT, Status.FAILING)
            and definite
        ):
            candidate.said = sanitize_for_log(health.detail[:1].lower() + health.detail[1:])
        elif health.speaks:
            candidate.said, candidate.definite = sanitize_for_log(health.detail), True

    def _layers(self) -> str:
        options = self._dialler.options
        return " or ".join(["TLS"] * options.tls + ["the upgrade"] * (options.upgrade is not None))


def _words(error: Exception) -> str:
    told = getattr(error, "strerror", None) or str(error)
    return sanitize_for_log(told.lower() if isinstance(error, OSError) else told)


def _said(event: Event) -> str:
    if isinstance(event, Failed):
        return sanitize_for_log(event.failure.message)
    return f"answered {type(event).__name__}"
