"""A blocking client of a cluster, connected to whichever node leads.

What is asked goes through `following`, which has the connection and sends again what may be sent again. One
result may be open: whatever is asked next gives it up.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from dqlitewire import Message, NodeInfo, RequestType
from dqlitewire.client.connection import LIMITS, Broken, Connection, Dialler
from dqlitewire.client.dump import Dump
from dqlitewire.client.errors import ConnectionFailed, StatementFailed
from dqlitewire.client.fetching import Patience, check_name, fetch
from dqlitewire.client.following import Following, Leader
from dqlitewire.client.owner import Owner
from dqlitewire.client.result import Result
from dqlitewire.conversation import Answered, Failed, Generation, Rows
from dqlitewire.dial import Deadline, DialOptions, Target
from dqlitewire.dial.options import PLAIN
from dqlitewire.dial.sockets import server_name
from dqlitewire.exceptions import ConcurrentUseError
from dqlitewire.limits import Limits
from dqlitewire.messages import (
    ClusterRequest,
    ExecSqlRequest,
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
_MANY = frozenset({RequestType.QUERY, RequestType.QUERY_SQL})  # answered by many frames
_NONE = frozenset({RequestType.CONNECT, RequestType.HEARTBEAT})  # not answered


class Client:
    """A connection to the leader of a cluster; made by `connect`. It has one owner at a time: while a call
    runs, or a result waits for rows, other threads get a ConcurrentUseError, and nothing has changed. So does
    a process that was forked.

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
        self._timeout = timeout
        self._result: Result | None = None
        self._owner = Owner()
        self._following = Following(target.addresses, dialler, retry)
        self._following.connect(database, deadline or Deadline(timeout), patient=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; nothing can be asked any more. What another thread asks ends, too."""
        self._following.closed = True
        if self._owner.is_forked:
            self._following.drop()  # which the other process does not notice
            return
        try:
            with self._owner:
                self._following.drop()
                self._give_up_result()
        except ConcurrentUseError:  # who is inside closes; here is only seen to it that it comes out
            connection = self._following.connection
            if connection is not None:
                connection.cut()

    @property
    def leader(self) -> Leader:
        """The node that the client is, or was last, connected to."""
        return self._following.leader

    @property
    def generation(self) -> Generation:
        """Of the server, as far as it was told; UNKNOWN if it was not."""
        connection = self._following.connection
        if connection is None:
            return self._following.dialler.generation
        return connection.conversation.generation

    @property
    def in_transaction(self) -> bool | None:
        """Whether a transaction is open; None if that is not known."""
        connection = self._following.connection
        if connection is None or connection.closed:
            return False
        return connection.conversation.session.in_transaction

    # ------------------------------------------------------------ requests

    def open(self, database: str) -> None:
        """Open a database, on a new connection if one is open: a connection has one.

        Args:
            database: its name.

        Raises:
            ClientError: the database cannot be opened.
            HazardError: a server would be harmed by this.
        """
        with self._inside():
            self._give_up_result()
            self._following.connect(database, Deadline(self._timeout))

    def nodes(self, *, deadline: Deadline | None = None) -> list[NodeInfo]:
        """Return the members of the cluster, as its leader names them.

        Args:
            deadline: for the answer; None for one of the client's timeout.

        Raises:
            ClientError: it did not.
        """
        until = deadline or Deadline(self._timeout)
        with self._inside():
            named = self.call(LeaderRequest(), deadline=until).address
            connection = self._following.connection
            if named != self._following.named and connection is not None and not connection.in_transaction:
                self._following.drop()  # any node answers CLUSTER; this one does not lead any more
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
            return Result(connection, request, event, deadline, self._owner)

        with self._inside():
            self._result = result = self._asked(request.MSG_TYPE, begin, deadline)
            return result

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

        with self._inside():
            answer = self._asked(request.MSG_TYPE, asked, until)
            if isinstance(request, OpenRequest):
                self._following.database = request.name
            elif isinstance(request, TransferRequest):
                self._following.drop()  # this node led until it answered
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
        name = self._following.database if database is None else database
        if name is None:
            raise ValueError("no database is named, and none is open")
        check_name(name, self.generation)
        until = deadline or Deadline(self._timeout)  # without one, only the search for a leader counts

        def fetched(connection: Connection) -> Dump:
            if deadline is None:
                until.stand()
            try:
                patience = Patience(deadline, self._timeout)
                return fetch(self._following.dialler, connection.address, name, progress, patience)
            except Broken as broken:
                if connection.in_transaction:  # which is on this connection, and lives on
                    said = f"{connection.address}: {broken}"
                    raise ConnectionFailed(said, broken.outcome) from broken
                raise
            finally:
                until.go()

        with self._inside():
            return self._asked(RequestType.DUMP, fetched, until)

    def interrupt(self) -> None:
        """Give up the query whose result is open, if there is one."""
        with self._owner:
            self._give_up_result()

    # ------------------------------------------------------------ inside

    @contextmanager
    def _inside(self) -> Generator[None]:
        with self._owner:
            try:
                self._following.check_open()
                yield
            finally:
                if self._following.closed:  # by another thread, meanwhile
                    self._following.drop()

    def _asked(self, kind: int, ask: Callable[[Connection], T], deadline: Deadline) -> T:
        self._give_up_result()
        return self._following.repeated(kind, ask, deadline)

    def _give_up_result(self) -> None:
        result, self._result = self._result, None
        if result is not None:
            result.close()


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
        ValueError: the options make no sense together, or for an address; or a timeout is NaN.
    """
    nodes = Target.parse(target) if isinstance(target, str) else target
    options = nodes.options(options)
    for address in nodes.addresses:
        server_name(address, options)
    if options.tls:
        options.tls_context()
    dialler = Dialler(options, LIMITS if limits is None else limits, generation)
    return Client(nodes, dialler, database, timeout, deadline, retry)
