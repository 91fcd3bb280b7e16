"""An asyncio dqlite client on top of `dqlitewire.conversation`: requests of several tasks share one
connection.

    python examples/asyncio_client.py ADDRESS DATABASE SQL [SQL ..]

ADDRESS is HOST:PORT of the leader. The statements are sent at once and answered in order: the conversation
keeps the queue, one task reads, and each request waits for its own events. A task that is cancelled leaves
its request where it is; the answer comes, belongs to nobody and is dropped, and the others get theirs.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

from dqlitewire import Message, ProtocolError, messages
from dqlitewire.conversation import Answered, ClientConversation, Event, Failed, Interrupted, Lost, Rows
from dqlitewire.dial import Address
from dqlitewire.sql.survey import survey

A = TypeVar("A", bound=Message)


class RequestFailed(Exception):
    """A request that was not done, or of which nobody knows; `event.outcome` says which."""

    def __init__(self, event: Failed | Lost) -> None:
        super().__init__(str(event.explanation) if isinstance(event, Failed) else "the connection was lost")
        self.event = event


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.conversation = ClientConversation()
        self.waiting: dict[int, asyncio.Queue[Event]] = {}  # by identity of the request
        self.task = asyncio.create_task(self.read())

    async def read(self) -> None:
        """Hand out events until the stream ends or makes no sense; then say what is lost."""
        try:
            while data := await self.reader.read(65536):
                self.hand_out(self.conversation.receive(data))
        except (OSError, ProtocolError):
            pass
        finally:
            self.hand_out(self.conversation.receive_eof())
            self.writer.close()

    def hand_out(self, events: list[Event]) -> None:
        for event in events:
            queue = self.waiting.get(id(getattr(event, "request", None)))
            if queue is not None:
                queue.put_nowait(event)

    async def ask(self, request: Any) -> AsyncIterator[Any]:
        """Send a request and yield the events about it, the last of which ends it."""
        queue = self.waiting[id(request)] = asyncio.Queue()
        try:
            self.writer.write(self.conversation.send(request))
            await self.writer.drain()
            while True:
                event = await queue.get()
                if isinstance(event, (Failed, Lost)):
                    raise RequestFailed(event)
                yield event
                if not isinstance(event, Rows) or event.last:
                    return
        finally:
            del self.waiting[id(request)]

    async def call(self, request: messages.Request[A]) -> A:
        (event,) = [event async for event in self.ask(request)]
        assert isinstance(event, Answered)
        return event.answer(request)

    async def execute(self, sql: str, params: Sequence[Any] = ()) -> messages.ResultResponse:
        return await self.call(messages.ExecSqlRequest(0, sql, params))

    async def query(self, sql: str, params: Sequence[Any] = ()) -> AsyncIterator[tuple[Any, ...]]:
        """Yield the rows of a result; a caller that stops early should call `interrupt`."""
        async for event in self.ask(messages.QuerySqlRequest(0, sql, params)):
            if isinstance(event, Interrupted):
                return
            for row in event.message.rows:
                yield row

    async def interrupt(self) -> None:
        """Give up the query sent last and wait until the connection is free."""
        await self.call(messages.InterruptRequest())

    async def close(self) -> None:
        self.writer.close()
        await self.task


async def connect(address: str, database: str) -> Client:
    where = Address.parse(address)
    client = Client(*await asyncio.open_connection(where.name, where.port))
    await client.call(messages.OpenRequest(database))
    return client


async def run(client: Client, sql: str) -> str:
    if survey(sql).reads_only:
        return "\n".join([" | ".join(map(str, row)) async for row in client.query(sql)])
    return f"{(await client.execute(sql)).rows_affected} rows changed"


async def main(address: str, database: str, *statements: str) -> None:
    client = await connect(address, database)
    print(*await asyncio.gather(*(run(client, sql) for sql in statements)), sep="\n")
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:])) if len(sys.argv) > 3 else sys.exit(__doc__)
