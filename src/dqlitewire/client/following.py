"""The connection to whichever node leads, and what is asked on it until there is an answer.

    repeated -> ready       the connection, or a new one to the leader (`searching`)
                the request (`connection`)
                failed?     `repeating` decides whether it is sent again

Connections are made when they are needed: what failed closes its own. A transaction that is gone with its
connection is told once: by the failure of a request in it, or else by the next request, which is not sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from dqlitewire.client.connection import Broken, Connection, Dialler
from dqlitewire.client.errors import ConnectionFailed, NoLeaderError, StatementFailed
from dqlitewire.client.repeating import Repeats, is_deadly
from dqlitewire.client.searching import Search
from dqlitewire.conversation import Outcome
from dqlitewire.dial import Address, AddressError, Deadline

T = TypeVar("T")

_PAUSE = 0.05  # seconds before a request is sent again


class Leader(NamedTuple):
    """The node that a client is connected to.

    Attributes:
        node_id: its id; 0 if it is not known.
        address: as the cluster names it; where it was reached if that is no address.
    """

    node_id: int
    address: Address


class Following:
    """A connection that follows the leader of a cluster.

    Args:
        addresses: of the nodes to begin with.
        dialler: makes connections.
        retry: whether to send again what was certainly not executed.

    Attributes:
        dialler: as given.
        retry: as given.
        database: what is opened on each connection; None for nothing.
        connection: the one that is open; None before the next request makes it.
        leader: the node of the last connection.
        named: its address, as it told it.
        closed: whether no connection is made any more.
    """

    leader: Leader
    named: str

    def __init__(self, addresses: Iterable[Address], dialler: Dialler, retry: bool) -> None:
        self.dialler: Dialler = dialler
        self.retry: bool = retry
        self.database: str | None = None
        self.connection: Connection | None = None
        self.closed: bool = False
        self._given, self._members = tuple(addresses), list[Address]()

    def connect(self, database: str | None, deadline: Deadline, patient: bool = True) -> Connection:
        """Find the leader, and take it for the one of all further requests.

        Args:
            database: to open; None for none.
            deadline: for it.
            patient: whether to go on when no node can be reached.

        Raises:
            NoLeaderError: no node was found that leads.
            StatementFailed: the leader cannot open the database.
            HazardError: a server would be harmed by opening it.
        """
        known = (*self._given, *self._members)
        found = Search(known, self.dialler, database, deadline, patient).run()
        before, self.connection = self.connection, found.connection
        if before is not None:
            before.close()
        self.database, self.named = database, found.named
        self.leader = Leader(found.node_id, found.address)
        self._members.clear()
        for node in found.nodes:
            with suppress(AddressError):
                self._members.append(Address.parse(node.address))
        return found.connection

    def drop(self) -> None:
        """Close the connection; what was in a transaction is lost, and somebody knows."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def check_open(self) -> None:
        """Refuse to go on.

        Raises:
            ConnectionFailed: the client is closed.
        """
        if self.closed:
            raise ConnectionFailed("the client is closed", Outcome.NOT_EXECUTED)

    def ready(self, deadline: Deadline, last: Exception | None = None) -> Connection:
        """Return a connection to the leader, as far as is known.

        Args:
            deadline: for making one.
            last: what went wrong before.

        Raises:
            NoLeaderError: no node was found that leads.
            ConnectionFailed: the connection is gone, and with it a transaction.
            StatementFailed: the leader cannot open the database any more.
        """
        self.check_open()
        connection = self.connection
        if connection is not None:
            connection.check()
            if not connection.closed:
                return connection
            self.connection = None
            if connection.in_transaction:
                said = f"{connection.address}: the transaction is lost with its connection"
                raise ConnectionFailed(said, Outcome.NOT_EXECUTED)
        try:
            return self.connect(self.database, deadline)
        except NoLeaderError as error:
            raise error from last

    def repeated(self, kind: int, ask: Callable[[Connection], T], deadline: Deadline) -> T:
        """Ask until there is an answer, or a failure that must not be repeated.

        Args:
            kind: type of the request.
            ask: sends it and returns its answer.
            deadline: for all of it.

        Raises:
            ClientError: the failure, or there is no leader.
        """
        repeats = Repeats(kind, self.retry, self.database is not None)
        last: ConnectionFailed | StatementFailed | None = None
        while True:
            connection = self.ready(deadline, last)
            in_transaction = connection.in_transaction
            if repeats.suspect is not None and is_deadly(connection, deadline):
                raise repeats.suspect
            try:
                return ask(connection)
            except Broken as broken:
                last = ConnectionFailed(f"{connection.address}: {broken}", broken.outcome)
                last.__cause__ = broken
                self.drop()
            except StatementFailed as failed:
                last = failed
                if connection.has_lost_database and self.database is not None:
                    self.drop()
            try:
                left = deadline.left()
            except TimeoutError:
                raise last from last.__cause__
            if not repeats.allow(last, in_transaction):
                raise last
            self.drop()
            time.sleep(min(_PAUSE, left))
