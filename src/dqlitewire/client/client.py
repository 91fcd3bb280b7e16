"""A blocking client of a cluster, connected to whichever node leads.

    a call -> _repeated -> _ready       the connection, or a new one to the leader (`searching`)
                           the request  (`connection`)
                           failed?      `repeating` decides whether it is sent again

Connections are made when they are needed: what failed closes its own, and so does a query that was left early
if its rest is long. A transaction that is gone with its connection is told once: by the failure of a request
in it, or else by the next request, which is not sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self, TypeVar

from dqlitewire import Message, NodeInfo, RequestType
from dqlitewire.client.connection import LIMITS, Broken, Connection, Dialler
from dqlitewire.client.dump import Dump
from dqlitewire.client.errors import ConnectionFailed, NoLeaderError, StatementFailed
from dqlitewire.client.fetching import Patience, check_name, fetch
from dqlitewire.client.repeating import Repeats, is_deadly
from dqlitewire.client.result import Result
from dqlitewire.client.searching import PAUSE, Search
from dqlitewire.conversation import Answered, Failed, Generation, Outcome, Rows
from dqlitewire.dial import Address, AddressError, Deadline, DialOptions, Target
from dqlitewire.dial.options import PLAIN
from dqlitewire.dial.sockets import server_name
from dqlitewire.limits import Limits
from dqlitewire.messages import (
    ClusterRequest,
    DumpRequest,
    ExecSqlRequest,
    InterruptRequest,
    LeaderRequest,
    OpenRequest,
    QuerySqlRequest,
    ResultResponse,
    TransferRequest,
)
from dqlitewire.messages.base import Request

A = TypeVar("A", bound=Message)
T = TypeVar("T")

TIMEOUT = 10.0  # seconds, for each call without a deadline of its own
_DRAINING = 0.2  # seconds spent on the rest of a query that was left early
_MANY = frozenset({RequestType.QUERY, RequestType.QUERY_SQL})  # answered by many frames
_NONE = frozenset({RequestType.CONNECT, RequestType.HEARTBEAT})  # not answered


class Leader(NamedTuple):
    """The node that a client is connected to.

    Attributes:
        node_id: its id; 0 if it is not known.
        address: as the cluster names it; where it was reached if that is no address.
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
        StatementFailed: the leader cannot open the database.
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
        self._target, self._members = target.addresses, list[Address]()
        self._closed = False
        self._result: Result | None = None
        self._connection: Connection | None = None
        self._connect(database, deadline or Deadline(timeout), patient=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; nothing can be asked any more."""
        self._closed = True
        self._drop()
        self._give_up_result()

    @property
    def leader(self) -> Leader:
        """The node that the client is, or was last, connected to."""
        return self._leader

    @property
    def generation(self) -> Generation:
        """Of the server, as far as it was told; UNKNOWN if it was not."""
        connection = self._connection
        return self._dialler.generation if connection is None else connection.conversation.generation

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
        self._check_open()
        self._give_up_result()
        before = self._connection
        self._connect(database, Deadline(self._timeout), patient=True)
        self._database = database
        if before is not None:
            before.close()

    def nodes(self, *, deadline: Deadline | None = None) -> list[NodeInfo]:
        """Return the members of the cluster, as its leader names them.

        Args:
            deadline: for the answer; None for one of the client's timeout.

        Raises:
            ClientError: it did not.
        """
        until = deadline or Deadline(self._timeout)
        named = self.call(LeaderRequest(), deadline=until).address
        connection = self._connection
        if named != self._named and connection is not None and not connection.in_transaction:
            self._drop()  # any node answers CLUSTER; this one does not lead any more
        return list(self.call(ClusterRequest(), deadline=until).nodes)

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
        elif isinstance(request, TransferRequest):
            self._drop()  # this node led until it answered
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
            except Broken as broken:
                if connection.in_transaction:  # which is on this connection, and lives on
                    said = f"{connection.address}: {broken}"
                    raise ConnectionFailed(said, broken.outcome) from broken
                raise
            finally:
                until.go()

        return self._repeated(DumpRequest(name), fetched, until)

    def interrupt(self) -> None:
        """Give up the query whose result is open, if there is one."""
        self._give_up_result()

    # ------------------------------------------------------------ repeating

    def _repeated(self, request: Any, ask: Callable[[Connection], T], deadline: Deadline) -> T:
        """Ask until there is an answer, or a failure that must not be repeated."""
        repeats = Repeats(request.MSG_TYPE, self._retry, self._database is not None)
        last: ConnectionFailed | StatementFailed | None = None
        while True:
            connection = self._ready(deadline, last)
            in_transaction = connection.in_transaction
            if repeats.suspect is not None and is_deadly(connection, deadline):
                raise repeats.suspect
            try:
                return ask(connection)
            except Broken as broken:
                failure: ConnectionFailed | StatementFailed = ConnectionFailed(
                    f"{connection.address}: {broken}", broken.outcome
                )
                failure.__cause__ = broken
                self._drop()
            except StatementFailed as failed:
                failure = failed
                if connection.has_lost_database and self._database is not None:
                    self._drop()
            try:
                left = deadline.left()
            except TimeoutError:
                raise failure from failure.__cause__
            if not repeats.allow(failure, in_transaction):
                raise failure
            last = failure
            self._drop()
            time.sleep(min(PAUSE, left))

    def _ready(self, deadline: Deadline, last: Exception | None = None) -> Connection:
        """Return a connection to the leader on which nothing runs.

        Args:
            deadline: for making one.
            last: what went wrong before.
        """
        self._check_open()
        self._give_up_result()
        connection = self._connection
        if connection is not None:
            connection.check()
            if not connection.closed:
                return connection
            self._connection = None
            if connection.in_transaction:
                said = f"{connection.address}: the transaction is lost with its connection"
                raise ConnectionFailed(said, Outcome.NOT_EXECUTED)
        try:
            return self._connect(self._database, deadline, patient=True)
        except NoLeaderError as error:
            raise error from last

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionFailed("the client is closed", Outcome.NOT_EXECUTED)

    def _connect(self, database: str | None, deadline: Deadline, patient: bool) -> Connection:
        known = (*self._target, *self._members)
        found = Search(known, self._dialler, database, deadline, patient).run()
        self._connection, self._named = found.connection, found.named
        self._leader = Leader(found.node_id, found.address)
        self._members.clear()
        for node in found.nodes:
            with suppress(AddressError):
                self._members.append(Address.parse(node.address))
        return found.connection

    def _drop(self) -> None:
        """Close the connection; what was in a transaction is lost, and somebody knows."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # ------------------------------------------------------------ results

    def _give_up_result(self) -> None:
        result, self._result = self._result, None
        if result is not None:
            result.close()

    def _give_up(self, result: Result) -> None:
        """End a query that was left early: by INTERRUPT if that is quick, else by closing the connection.

        No server stops at an INTERRUPT: it sends all rows, and then its answer (dqlite issue 485). Only the
        end of the connection stops it. But with the connection a transaction is lost, so that in one all rows
        are taken for as long as the deadline lasts.
        """
        connection = result.connection
        if connection.closed:
            return
        try:
            left = result.deadline.left()
            deadline = result.deadline if connection.in_transaction else Deadline(min(_DRAINING, left))
            connection.ask(InterruptRequest(), deadline)
        except TimeoutError:
            connection.close()
        except Broken:
            pass


def connect(
    target: str | Target,
    database: str | None = None,
    *,
    options: DialOptions = PLAIN,
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
        StatementFailed: the leader cannot open the database.
        HazardError: a server would be harmed by opening this database.
        AddressError: the target is none.
        StoreError: the store cannot be read.
        OSError: a file of the options cannot be read.
        ValueError: the options make no sense together, or for an address.
    """
    nodes = Target.parse(target) if isinstance(target, str) else target
    options = nodes.options(options)
    for address in nodes.addresses:
        server_name(address, options)
    if options.tls:
        options.tls_context()
    dialler = Dialler(options, LIMITS if limits is None else limits, generation)
    return Client(nodes, dialler, database, timeout, deadline, retry)
