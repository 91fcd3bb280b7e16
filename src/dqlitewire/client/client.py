"""A blocking client of a cluster, connected to whichever node leads.

What is repeated, and when:

    before a request        the connection was closed meanwhile: another is made
    NOT_EXECUTED            by a node that does not lead (any more), or as the connection broke: sent again to
                            the leader, until the deadline
    UNKNOWN                 never
    a query                 only before its first rows are handed out; if it can write, it is as any other
    inside a transaction    nothing: the transaction is gone with the connection, and that is an error

A request that names what the connection keeps (EXEC, QUERY, FINALIZE of a prepared statement) is not repeated
either: another connection knows another statement by that id, or none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self, TypeVar

from dqlitewire import Message, NodeInfo, RequestType
from dqlitewire.client.connection import LIMITS, Broken, Connection, Dialler
from dqlitewire.client.dump import Dump
from dqlitewire.client.errors import ConnectionFailed, StatementFailed
from dqlitewire.client.fetching import Patience, check_name, fetch
from dqlitewire.client.result import Result
from dqlitewire.client.searching import PAUSE, Search
from dqlitewire.conversation import Answered, Failed, Generation, Interrupted, Outcome, Retry, Rows
from dqlitewire.dial import Address, AddressError, Deadline, DialOptions, Target
from dqlitewire.limits import Limits
from dqlitewire.messages import (
    ClusterRequest,
    DumpRequest,
    ExecSqlRequest,
    InterruptRequest,
    OpenRequest,
    QuerySqlRequest,
    ResultResponse,
)
from dqlitewire.messages.base import Request

A = TypeVar("A", bound=Message)
T = TypeVar("T")

TIMEOUT = 10.0  # seconds, for each call without a deadline of its own
_DRAINING = 0.5  # seconds spent on the rest of a query that was left early
_KEPT = frozenset({RequestType.EXEC, RequestType.QUERY, RequestType.FINALIZE})  # name a prepared statement
_MANY = frozenset({RequestType.QUERY, RequestType.QUERY_SQL})  # answered by many frames
_NONE = frozenset({RequestType.CONNECT, RequestType.HEARTBEAT})  # not answered


class Leader(NamedTuple):
    """The node that a client is connected to.

    Attributes:
        node_id: its id; 0 if it is not known.
        address: where it was reached.
    """

    node_id: int
    address: Address


class Client:
    """A connection to the leader of a cluster; made by `connect`. It has one owner at a time.

    Args:
        target: the nodes to begin with.
        dialler: makes connections.
        database: to open; None for none.
        timeout: seconds for each call that has no deadline of its own.
        deadline: for the first connection; None for one of `timeout`.
        retry: whether to send again what was certainly not executed.

    Raises:
        NoLeaderError: no node was found that leads.
        HazardError: a server would be harmed by opening this database.
    """

    def __init__(
        self,
        target: Target,
        dialler: Dialler,
        database: str | None,
        timeout: float,
        deadline: Deadline | None,
        retry: bool,
    ) -> None:
        self._dialler, self._database = dialler, database
        self._timeout, self._retry = timeout, retry
        self._known = dict.fromkeys(target.addresses)
        self._closed = False
        self._lost_transaction = False
        self._result: Result | None = None
        self._connection: Connection | None = None
        self._node_id = 0
        self._connect(deadline or Deadline(timeout), patient=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._closed = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def leader(self) -> Leader:
        """The node that the client is, or was last, connected to."""
        return Leader(self._node_id, self._address)

    @property
    def generation(self) -> Generation:
        """Of the server; UNKNOWN unless somebody told."""
        return (
            self._dialler.generation if self._connection is None else self._connection.conversation.generation
        )

    @property
    def in_transaction(self) -> bool | None:
        """Whether a transaction is open; None if that is not known."""
        if self._connection is None or self._connection.closed:
            return False
        return self._connection.conversation.session.in_transaction

    # ------------------------------------------------------------ requests

    def open(self, database: str) -> None:
        """Open a database, on a new connection if one is open: a connection has one.

        Args:
            database: its name.

        Raises:
            ClientError: the database cannot be opened.
            HazardError: a server would be harmed by this.
        """
        self._database = database
        if self._connection is not None:
            self._connection.close()
        self._connect(Deadline(self._timeout), patient=False)

    def nodes(self) -> list[NodeInfo]:
        """Return the members of the cluster, as the leader names them.

        Raises:
            ClientError: it did not.
        """
        return list(self.call(ClusterRequest()).nodes)

    def execute(
        self, sql: str, params: Sequence[Any] = (), *, deadline: Deadline | None = None
    ) -> ResultResponse:
        """Execute statements that give no rows.

        Args:
            sql: the text.
            params: of the statements.
            deadline: for the answer; None for one of the client's timeout.

        Raises:
            ClientError: they failed, or nobody knows; `outcome` tells.
            HazardError: they would harm a server; nothing was sent.
        """
        return self.call(ExecSqlRequest(0, sql, params), deadline=deadline)

    def query(self, sql: str, params: Sequence[Any] = (), *, deadline: Deadline | None = None) -> Result:
        """Query, and return when the first rows are there, or it is known that there are none.

        Args:
            sql: one statement.
            params: of the statement.
            deadline: for all rows, but its clock stands while the caller has them; None for one of the
                client's timeout.

        Raises:
            ClientError: it failed.
            HazardError: it would harm a server; nothing was sent.
        """
        deadline = deadline or Deadline(self._timeout)
        request = QuerySqlRequest(0, sql, params)

        def begin(connection: Connection) -> Result:
            event = connection.ask(request, deadline)
            if isinstance(event, Failed):
                raise StatementFailed(event)
            assert isinstance(event, Rows)
            return Result(connection, request, event, deadline, self._give_up)

        self._result = self._repeated(request, begin, deadline)
        return self._result

    def call(self, request: Request[A], *, deadline: Deadline | None = None) -> A:
        """Send a request that is answered by one message, and return that.

        Args:
            request: any but queries, which `query` sends, and those that have no answer.
            deadline: for the answer; None for one of the client's timeout.

        Raises:
            ClientError: it failed, or nobody knows; `outcome` tells.
            HazardError: it would harm a server; nothing was sent.
            ValueError: it is not answered by one message.
        """
        if request.MSG_TYPE in _MANY | _NONE:
            raise ValueError(f"{RequestType(request.MSG_TYPE).name} is not answered by one message")
        until = deadline or Deadline(self._timeout)

        def asked(connection: Connection) -> A:
            event = connection.ask(request, until)
            if isinstance(event, Failed):
                raise StatementFailed(event)
            assert isinstance(event, Answered)
            return event.answer(request)

        answer = self._repeated(request, asked, until)
        if isinstance(request, OpenRequest):
            self._database = request.name
        return answer

    def dump(
        self,
        database: str | None = None,
        *,
        progress: Callable[[int, int | None], object] | None = None,
        deadline: Deadline | None = None,
    ) -> Dump:
        """Fetch a database from the leader.

        Args:
            database: its name; None for the one that is open.
            progress: called with the bytes that have come, and how many will, if that is known.
            deadline: for all of it; None for no end while something comes within the client's timeout.

        Raises:
            NoDatabaseError: there is none of that name.
            ClientError: it failed.
            HazardError: no database has such a name; nothing was sent.
            ValueError: no database is named and none is open.
        """
        name = self._database if database is None else database
        if name is None:
            raise ValueError("no database is named, and none is open")
        check_name(name, self.generation)
        until = deadline or Deadline(self._timeout)  # without one, only the search for a leader counts

        def fetched(connection: Connection) -> Dump:
            if deadline is None:
                until.stand()
            try:
                patience = Patience(deadline, self._timeout)
                return fetch(self._dialler, connection.address, name, progress, patience)
            finally:
                until.go()

        return self._repeated(DumpRequest(name), fetched, until)

    def interrupt(self) -> None:
        """Give up the query whose result is open."""
        if self._result is not None:
            self._result.close()

    # ------------------------------------------------------------ repeating

    def _repeated(self, request: Any, ask: Callable[[Connection], T], deadline: Deadline) -> T:
        """Ask until there is an answer, or a failure that must not be repeated."""
        while True:
            connection = self._ready(deadline)
            in_transaction = connection.conversation.session.in_transaction is not False
            try:
                return ask(connection)
            except Broken as broken:
                self._drop(in_transaction=False)
                said = f"{connection.address}: {broken}"
                failure: ConnectionFailed | StatementFailed = ConnectionFailed(said, broken.outcome)
                failure.__cause__ = broken
                again = True
            except StatementFailed as failed:
                failure = failed
                again = failed.explanation.retry in (Retry.LEADER, Retry.REOPEN)
            kept = request.MSG_TYPE in _KEPT
            if in_transaction or kept or not again or failure.outcome is not Outcome.NOT_EXECUTED:
                raise failure
            if not self._retry:
                raise failure
            try:
                time.sleep(min(PAUSE, deadline.left()))
            except TimeoutError:
                raise failure from None
            self._drop(in_transaction=False)

    def _ready(self, deadline: Deadline) -> Connection:
        """Return the connection on which nothing is open."""
        if self._closed:
            raise ConnectionFailed("the client is closed", Outcome.NOT_EXECUTED)
        if self._result is not None:
            self._result.close()
            self._result = None
        if self._lost_transaction:
            self._lost_transaction = False
            raise ConnectionFailed("the transaction is lost with its connection", Outcome.NOT_EXECUTED)
        if self._connection is None or self._connection.closed:
            self._connect(deadline, patient=True)
        assert self._connection is not None
        return self._connection

    def _connect(self, deadline: Deadline, patient: bool) -> None:
        found = Search(self._known, self._dialler, self._database, deadline, patient).run()
        self._connection, self._node_id = found.connection, found.node_id
        self._address = found.connection.address
        for node in found.nodes:
            with suppress(AddressError):
                self._known[Address.parse(node.address).normalised()] = None

    def _drop(self, *, in_transaction: bool) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lost_transaction = self._lost_transaction or in_transaction

    def _give_up(self, result: Result) -> None:
        """End a query that was left early: by INTERRUPT if that is quick, else by closing the connection."""
        connection = result.connection
        if connection is not self._connection or connection.closed:
            return
        in_transaction = connection.conversation.session.in_transaction is not False
        deadline = Deadline(self._timeout if in_transaction else min(_DRAINING, self._timeout))
        try:
            connection.send(InterruptRequest(), deadline)
            while not isinstance(connection.event(result.request, deadline), (Interrupted, Failed)):
                pass
        except Broken:
            self._drop(in_transaction=in_transaction)


def connect(
    target: str | Target,
    database: str | None = None,
    *,
    options: DialOptions = DialOptions(),  # noqa: B008  (frozen)
    timeout: float = TIMEOUT,
    deadline: Deadline | None = None,
    limits: Limits | None = None,
    generation: Generation = Generation.UNKNOWN,
    retry: bool = True,
) -> Client:
    """Connect to the leader of a cluster.

    Args:
        target: an ADDRESS of any of its nodes, or a store of them: FILE.yaml.
        database: to open; None for none.
        options: TLS and HTTP upgrade; a store adds its certificate.
        timeout: seconds for each call that has no deadline of its own.
        deadline: for this call; None for one of `timeout`.
        limits: of what is sent and received; None for the usual ones, with results of any length.
        generation: of the servers, if it is known.
        retry: whether to send again what was certainly not executed.

    Returns:
        A client, connected.

    Raises:
        NoLeaderError: no node was found that leads.
        HazardError: a server would be harmed by opening this database.
        AddressError: the target is none.
        StoreError: the store cannot be read.
        ValueError: the options make no sense together, or for an address.
    """
    nodes = Target.parse(target) if isinstance(target, str) else target
    dialler = Dialler(nodes.options(options), LIMITS if limits is None else limits, generation)
    return Client(nodes, dialler, database, timeout, deadline, retry)
