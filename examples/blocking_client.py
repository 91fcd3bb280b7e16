"""A blocking dqlite driver on top of `dqlitewire.conversation`; docs/howto/driver.md builds it step by step.

    python examples/blocking_client.py ADDRESS[,ADDRESS ..] DATABASE SQL [SQL ..]

ADDRESS is HOST:PORT of any node; the driver finds the leader. Statements that only read are queried, the
others executed.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager, suppress
from threading import Semaphore
from typing import Any, TypeVar

from dqlitewire import Message, ProtocolError, messages
from dqlitewire.conversation import (
    Answered,
    ClientConversation,
    Event,
    Failed,
    Lost,
    Outcome,
    Phase,
    Retry,
    Rows,
)
from dqlitewire.dial import Address, Deadline, dial
from dqlitewire.sql.survey import survey

A = TypeVar("A", bound=Message)
T = TypeVar("T")
Params = Sequence[Any]
Row = tuple[Any, ...]
PAUSE = 0.05  # seconds between two attempts


class RequestFailed(Exception):
    """A request that failed: what became of it, and whether to send it again."""

    def __init__(self, text: str, outcome: Outcome, retry: Retry = Retry.SAME) -> None:
        super().__init__(text)
        self.outcome, self.retry = outcome, retry


class Connection:
    """A socket and a conversation, for one thread at a time."""

    timeout = 10.0  # seconds for each request, where there is no deadline for several
    patience = 0.2  # seconds for the rest of a result that was left early
    problem = "the connection was lost"
    failure: RequestFailed | None = None

    def __init__(self, address: str, deadline: Deadline | None = None) -> None:
        self.conversation, self.deadline = ClientConversation(), deadline
        try:
            self.socket = dial(Address.parse(address), deadline or Deadline(self.timeout))
        except OSError as error:
            raise RequestFailed(f"{address}: {str(error) or 'timed out'}", Outcome.NOT_EXECUTED) from error

    def close(self) -> None:
        self.socket.close()

    @property
    def closed(self) -> bool:
        return self.socket.fileno() < 0

    def step(self, data: bytes, deadline: Deadline) -> list[Event]:
        """Send bytes, wait for others, and return what they say; if there are none, what is lost."""
        try:
            self.socket.settimeout(deadline.left())
            self.socket.sendall(data)
            self.socket.settimeout(deadline.left())
            return self.conversation.receive(self.socket.recv(65536))
        except (OSError, ProtocolError) as error:
            self.problem = str(error) or "timed out"
            return self.conversation.receive_eof()

    def ask(self, request: Any, deadline: Deadline | None = None) -> Generator[Event, None, None]:
        """Send a request and yield the events about it; what stops that halfway closes the connection."""
        if self.closed:
            raise RequestFailed("the connection is closed", Outcome.NOT_EXECUTED)
        if not self.conversation.idle and not isinstance(request, messages.InterruptRequest):
            raise RequestFailed("a result was not read to its end", Outcome.NOT_EXECUTED, Retry.NO)
        deadline = deadline or self.deadline or Deadline(self.timeout)
        done = False
        try:
            data = self.conversation.send(request)
            while not done:
                for event in self.step(data, deadline):
                    if getattr(event, "request", None) is not request:
                        continue  # about a query that was interrupted, or about the session
                    if isinstance(event, Failed):
                        raise self.failed(str(event.explanation), event.outcome, event.explanation.retry)
                    if isinstance(event, Lost):
                        raise self.failed(self.problem, event.outcome)
                    done = not isinstance(event, Rows) or event.last
                    yield event
                data = b""
        finally:
            if self.is_open(request) or self.conversation.phase in (Phase.BROKEN, Phase.ENDED):
                self.close()

    def is_open(self, request: Any) -> bool:
        return any(asked is request for asked in self.conversation.unanswered)

    def failed(self, text: str, outcome: Outcome, retry: Retry = Retry.SAME) -> RequestFailed:
        self.failure = RequestFailed(text, outcome, retry)
        return self.failure

    def call(self, request: messages.Request[A], deadline: Deadline | None = None) -> A:
        """Send a request that is answered by one message, and return that."""
        *_, last = self.ask(request, deadline)
        assert isinstance(last, Answered)
        return last.answer(request)

    def execute(self, sql: str, params: Params = ()) -> messages.ResultResponse:
        return self.call(messages.ExecSqlRequest(0, sql, params))

    def query(self, sql: str, params: Params = ()) -> Generator[Row, None, None]:
        return self.rows(messages.QuerySqlRequest(0, sql, params))

    def rows(self, request: messages.QuerySqlRequest | messages.QueryRequest) -> Generator[Row, None, None]:
        """Yield the rows of a result, frame by frame; a caller that stops early interrupts it."""
        with closing(self.ask(request)) as events:
            try:
                for event in events:
                    if isinstance(event, Rows):
                        yield from event.message.rows
            except GeneratorExit:
                if self.is_open(request):
                    self.interrupt()
                raise

    def interrupt(self) -> None:
        """Give up the open query and read its rest; what takes longer closes the connection."""
        with suppress(RequestFailed):
            self.call(messages.InterruptRequest(), Deadline(self.patience))

    @contextmanager
    def prepared(self, sql: str) -> Generator[int, None, None]:
        """Prepare a statement for a block, where EXEC and QUERY name it by its number."""
        number = self.call(messages.PrepareRequest(0, sql)).stmt_id
        try:
            yield number
        finally:
            with suppress(RequestFailed):  # it went with the connection, or with the leader
                self.call(messages.FinalizeRequest(0, number))

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Commit what the block did, or undo it."""
        commits = False
        try:
            self.execute("BEGIN IMMEDIATE")
            yield
            commits = True
            self.execute("COMMIT")
        except BaseException as error:
            if isinstance(error, RequestFailed) and error is self.failure and not commits:
                error.outcome = Outcome.NOT_EXECUTED
            if self.conversation.session.in_transaction is not False:
                try:
                    self.execute("ROLLBACK")
                except RequestFailed:
                    self.close()  # which rolls back, too
            raise


def left(deadline: Deadline) -> float:
    """Return the seconds that are left, 0 if none are."""
    try:
        return deadline.left()
    except TimeoutError:
        return 0.0


def connect(addresses: str, database: str, deadline: Deadline | None = None) -> Connection:
    """Open a database on the leader, which any node can name; ask them until it answers."""
    deadline, nodes = deadline or Deadline(10.0), addresses.split(",")
    problem = RequestFailed("no node names a leader", Outcome.NOT_EXECUTED)
    while left(deadline) >= PAUSE:
        for address in nodes:
            try:
                with closing(Connection(address, Deadline(left(deadline) / (len(nodes) + 1)))) as node:
                    leader = node.call(messages.LeaderRequest()).address
                if leader:
                    connection = Connection(leader, Deadline(left(deadline) / 2))
                    try:
                        connection.call(messages.OpenRequest(database))
                    except BaseException:
                        connection.close()
                        raise
                    connection.deadline = None
                    return connection
            except RequestFailed as failure:
                if failure.retry is Retry.NO:
                    raise
                problem = failure
        time.sleep(PAUSE)
    raise problem


def is_heard(connection: Connection) -> bool:
    """Return whether a connection can be read, which can be its end only while nothing is asked."""
    heard = select.poll()
    heard.register(connection.socket, select.POLLIN)
    return bool(heard.poll(0))


class Pool:
    """Connections to the leader of a cluster, each lent to one thread at a time."""

    def __init__(self, addresses: str, database: str, size: int = 4, timeout: float = 10.0) -> None:
        self.addresses, self.database, self.timeout = addresses, database, timeout
        self.idle: list[Connection] = []
        self.free = Semaphore(size)

    @contextmanager
    def connection(self, deadline: Deadline | None = None) -> Generator[Connection, None, None]:
        """Lend a connection to a block; the deadline is for all that the block asks."""
        deadline = deadline or Deadline(self.timeout)
        if not self.free.acquire(timeout=left(deadline)):
            raise RequestFailed("all connections are in use", Outcome.NOT_EXECUTED)
        try:
            connection = self.take() or connect(self.addresses, self.database, deadline)
            connection.deadline = deadline
            try:
                yield connection
            finally:
                self.give_back(connection)
        finally:
            self.free.release()

    def take(self) -> Connection | None:
        with suppress(IndexError):
            while is_heard(connection := self.idle.pop()):
                connection.close()
            return connection
        return None

    def give_back(self, connection: Connection) -> None:
        session = connection.conversation.session
        clean = session.is_open and session.in_transaction is False and not session.statements
        if clean and connection.conversation.idle and not connection.closed:
            self.idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        while self.idle:
            self.idle.pop().close()

    def run(self, work: Callable[[Connection], T], deadline: Deadline | None = None) -> T:
        """Do one request or one transaction; do it again where it certainly changed nothing."""
        deadline = deadline or Deadline(self.timeout)
        while True:
            try:
                with self.connection(deadline) as connection:
                    return work(connection)
            except RequestFailed as failure:
                again = failure.outcome is Outcome.NOT_EXECUTED and failure.retry is not Retry.NO
                if not again or left(deadline) < PAUSE:
                    raise
            time.sleep(PAUSE)

    def execute(self, sql: str, params: Params = ()) -> messages.ResultResponse:
        return self.run(lambda connection: connection.execute(sql, params))

    def query(self, sql: str, params: Params = ()) -> list[Row]:
        return self.run(lambda connection: list(connection.query(sql, params)))

    def transact(self, work: Callable[[Connection], T], deadline: Deadline | None = None) -> T:
        """Run work in a transaction of the connection that it is given."""

        def attempt(connection: Connection) -> T:
            with connection.transaction():
                return work(connection)

        return self.run(attempt, deadline)


def main(addresses: str, database: str, *statements: str) -> None:
    with closing(Pool(addresses, database)) as pool:
        for sql in statements:
            if survey(sql).reads_only:
                for row in pool.query(sql):
                    print(*row, sep=" | ")
            else:
                print(pool.execute(sql).rows_affected, "rows changed")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:]) if len(sys.argv) > 3 else sys.exit(__doc__)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
