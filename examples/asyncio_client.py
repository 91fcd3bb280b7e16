"""An asyncio dqlite driver on top of `dqlitewire.conversation`; docs/howto/driver.md builds it step by step.

    python examples/asyncio_client.py ADDRESS[,ADDRESS ..] DATABASE SQL [SQL ..]

ADDRESS is HOST:PORT of any node; the driver finds the leader. Statements that only read are queried, the
others executed, one after the other.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, closing, suppress
from typing import Any, TypeVar

from dqlitewire import Message, ProtocolError, messages
from dqlitewire.conversation import Answered, ClientConversation, Event, Failed, Lost, Outcome, Retry, Rows
from dqlitewire.dial import Address
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


def after(seconds: float) -> float:
    """Return a deadline, by the clock of the loop."""
    return asyncio.get_running_loop().time() + seconds


class Connection(asyncio.Protocol):
    """A transport and a conversation, for one task at a time; the loop calls what it hears."""

    timeout = 10.0  # seconds for each request, where there is no deadline for several
    patience = 0.2  # seconds for the rest of a result that was left early
    deadline: float | None = None
    problem = "the connection was lost"
    failure: RequestFailed | None = None
    closed = False
    transport: asyncio.Transport

    def __init__(self) -> None:
        self.conversation = ClientConversation()
        self.events: list[Event] = []
        self.heard = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self.hear(self.conversation.receive(data))
        except ProtocolError as error:
            self.close(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.close(exc)

    def hear(self, events: list[Event]) -> None:
        self.events += events
        if events:
            self.transport.pause_reading()  # until somebody has taken them
            self.heard.set()

    def close(self, error: Exception | None = None) -> None:
        if not self.closed:
            self.closed = True
            self.problem = str(error or self.problem)
            self.hear(self.conversation.receive_eof())
            self.transport.abort()

    async def step(self, deadline: float) -> list[Event]:
        """Wait for events and take them; if none come, what is lost."""
        try:
            async with asyncio.timeout_at(deadline):
                await self.heard.wait()
        except TimeoutError:
            self.close(TimeoutError("timed out"))
        self.heard.clear()
        events, self.events = self.events, []
        self.transport.resume_reading()
        return events

    async def ask(self, request: Any, deadline: float | None = None) -> AsyncGenerator[Event, None]:
        """Send a request and yield the events about it; what stops that halfway closes the connection."""
        if self.closed:
            raise RequestFailed("the connection is closed", Outcome.NOT_EXECUTED)
        busy = self.events or not self.conversation.idle
        if busy and not isinstance(request, messages.InterruptRequest):
            raise RequestFailed("a result was not read to its end", Outcome.NOT_EXECUTED, Retry.NO)
        deadline = deadline or self.deadline or after(self.timeout)
        done = False
        try:
            self.transport.write(self.conversation.send(request))
            while not done:
                for event in await self.step(deadline):
                    if getattr(event, "request", None) is not request:
                        continue  # about a query that was interrupted, or about the session
                    if isinstance(event, Failed):
                        raise self.failed(str(event.explanation), event.outcome, event.explanation.retry)
                    if isinstance(event, Lost):
                        raise self.failed(self.problem, event.outcome)
                    done = not isinstance(event, Rows) or event.last
                    yield event
        finally:
            self.events = [event for event in self.events if getattr(event, "request", None) is not request]
            if self.is_open(request):
                self.close()

    def is_open(self, request: Any) -> bool:
        return any(asked is request for asked in self.conversation.unanswered)

    def failed(self, text: str, outcome: Outcome, retry: Retry = Retry.SAME) -> RequestFailed:
        self.failure = RequestFailed(text, outcome, retry)
        return self.failure

    async def call(self, request: messages.Request[A], deadline: float | None = None) -> A:
        """Send a request that is answered by one message, and return that."""
        (event,) = [event async for event in self.ask(request, deadline)]
        assert isinstance(event, Answered)
        return event.answer(request)

    async def execute(self, sql: str, params: Params = ()) -> messages.ResultResponse:
        return await self.call(messages.ExecSqlRequest(0, sql, params))

    def query(self, sql: str, params: Params = ()) -> AsyncGenerator[Row, None]:
        return self.rows(messages.QuerySqlRequest(0, sql, params))

    async def rows(
        self, request: messages.QuerySqlRequest | messages.QueryRequest
    ) -> AsyncGenerator[Row, None]:
        """Yield the rows of a result, frame by frame; who closes it early interrupts it."""
        async with aclosing(self.ask(request)) as events:
            try:
                async for event in events:
                    if isinstance(event, Rows):
                        for row in event.message.rows:
                            yield row
            except GeneratorExit:
                if self.is_open(request):
                    await self.interrupt()
                raise

    async def interrupt(self) -> None:
        """Give up the open query and read its rest; what takes longer closes the connection."""
        with suppress(RequestFailed):
            await self.call(messages.InterruptRequest(), after(self.patience))

    @asynccontextmanager
    async def prepared(self, sql: str) -> AsyncGenerator[int, None]:
        """Prepare a statement for a block, where EXEC and QUERY name it by its number."""
        number = (await self.call(messages.PrepareRequest(0, sql))).stmt_id
        try:
            yield number
        finally:
            with suppress(RequestFailed):  # it went with the connection, or with the leader
                await self.call(messages.FinalizeRequest(0, number))

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None, None]:
        """Commit what the block did, or undo it."""
        commits = False
        try:
            await self.execute("BEGIN IMMEDIATE")
            yield
            commits = True
            await self.execute("COMMIT")
        except Exception as error:
            if isinstance(error, RequestFailed) and error is self.failure and not commits:
                error.outcome = Outcome.NOT_EXECUTED
            if self.conversation.session.in_transaction is not False:
                try:
                    await self.execute("ROLLBACK")
                except RequestFailed:
                    self.close()  # which rolls back, too
            raise
        except BaseException:  # cancelled: do not wait any more
            self.close()
            raise


async def dial(address: str, deadline: float) -> Connection:
    where = Address.parse(address)
    try:
        async with asyncio.timeout_at(deadline):
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(Connection, where.name, where.port)
            return connection
    except OSError as error:
        raise RequestFailed(f"{address}: {str(error) or 'timed out'}", Outcome.NOT_EXECUTED) from error


async def connect(addresses: str, database: str, deadline: float | None = None) -> Connection:
    """Open a database on the leader, which any node can name; ask them until it answers."""
    deadline, nodes = deadline or after(10.0), addresses.split(",")
    problem = RequestFailed("no node names a leader", Outcome.NOT_EXECUTED)
    while (left := deadline - after(0)) >= PAUSE:
        for address in nodes:
            try:
                patience = after(left / (len(nodes) + 1))
                with closing(await dial(address, patience)) as node:
                    leader = (await node.call(messages.LeaderRequest(), patience)).address
                if leader:
                    patience = after((deadline - after(0)) / 2)
                    connection = await dial(leader, patience)
                    try:
                        await connection.call(messages.OpenRequest(database), patience)
                    except BaseException:
                        connection.close()
                        raise
                    return connection
            except RequestFailed as failure:
                if failure.retry is Retry.NO:
                    raise
                problem = failure
        await asyncio.sleep(PAUSE)
    raise problem


class Pool:
    """Connections to the leader of a cluster, each lent to one task at a time."""

    def __init__(self, addresses: str, database: str, size: int = 4, timeout: float = 10.0) -> None:
        self.addresses, self.database, self.timeout = addresses, database, timeout
        self.idle: list[Connection] = []
        self.free = asyncio.Semaphore(size)

    @asynccontextmanager
    async def connection(self, deadline: float | None = None) -> AsyncGenerator[Connection, None]:
        """Lend a connection to a block; the deadline is for all that the block asks."""
        deadline = deadline or after(self.timeout)
        try:
            async with asyncio.timeout_at(deadline):
                await self.free.acquire()
        except TimeoutError:
            raise RequestFailed("all connections are in use", Outcome.NOT_EXECUTED) from None
        try:
            connection = self.take() or await connect(self.addresses, self.database, deadline)
            connection.deadline = deadline
            try:
                yield connection
            finally:
                self.give_back(connection)
        finally:
            self.free.release()

    def take(self) -> Connection | None:
        while self.idle:
            if not (connection := self.idle.pop()).closed:
                return connection
        return None

    def give_back(self, connection: Connection) -> None:
        session = connection.conversation.session
        clean = session.is_open and session.in_transaction is False and not session.statements
        if clean and connection.conversation.idle and not connection.events and not connection.closed:
            self.idle.append(connection)
        else:
            connection.close()

    async def close(self) -> None:
        while self.idle:
            self.idle.pop().close()
        await asyncio.sleep(0)  # the loop closes what was aborted

    async def run(self, work: Callable[[Connection], Awaitable[T]], deadline: float | None = None) -> T:
        """Do one request or one transaction; do it again where it certainly changed nothing."""
        deadline = deadline or after(self.timeout)
        while True:
            try:
                async with self.connection(deadline) as connection:
                    return await work(connection)
            except RequestFailed as failure:
                again = failure.outcome is Outcome.NOT_EXECUTED and failure.retry is not Retry.NO
                if not again or deadline < after(PAUSE):
                    raise
            await asyncio.sleep(PAUSE)

    async def execute(self, sql: str, params: Params = ()) -> messages.ResultResponse:
        return await self.run(lambda connection: connection.execute(sql, params))

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        async def work(connection: Connection) -> list[Row]:
            return [row async for row in connection.query(sql, params)]

        return await self.run(work)

    async def transact(self, work: Callable[[Connection], Awaitable[T]], deadline: float | None = None) -> T:
        """Run work in a transaction of the connection that it is given."""

        async def attempt(connection: Connection) -> T:
            async with connection.transaction():
                return await work(connection)

        return await self.run(attempt, deadline)


async def main(addresses: str, database: str, *statements: str) -> None:
    pool = Pool(addresses, database)
    for sql in statements:
        if survey(sql).reads_only:
            for row in await pool.query(sql):
                print(*row, sep=" | ")
        else:
            print((await pool.execute(sql)).rows_affected, "rows changed")
    await pool.close()


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:])) if len(sys.argv) > 3 else sys.exit(__doc__)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
