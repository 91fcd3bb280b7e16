"""A blocking dqlite client on top of `dqlitewire.conversation`: one socket, one database.

    python examples/blocking_client.py ADDRESS DATABASE SQL [SQL ..]

ADDRESS is HOST:PORT of any node; the client goes to the leader. Statements that can give rows are queried,
the others executed. The conversation knows the protocol's order; what is left to do here is a socket and a
loop.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, TypeVar

from dqlitewire import Message, ProtocolError, messages
from dqlitewire.conversation import Answered, ClientConversation, Event, Failed, Lost, Outcome, Rows
from dqlitewire.dial import Address, Deadline, dial
from dqlitewire.sql.survey import survey

A = TypeVar("A", bound=Message)


class RequestFailed(Exception):
    """A request that was not done, or of which nobody knows; `outcome` says which."""

    def __init__(self, text: str, outcome: Outcome) -> None:
        super().__init__(text)
        self.outcome = outcome


class Client:
    def __init__(self, address: str, timeout: float = 10.0) -> None:
        self.conversation = ClientConversation()
        self.socket = dial(Address.parse(address), Deadline(timeout))
        self.socket.settimeout(timeout)

    def close(self) -> None:
        self.socket.close()

    def ask(self, request: Any) -> Generator[Event, None, None]:
        """Send a request and yield the events about it; rows as they come.

        What stops it in the middle of an answer, Ctrl-C or a timeout, closes the connection.
        """
        try:
            if self.socket.fileno() < 0:
                raise RequestFailed("the connection is closed", Outcome.NOT_EXECUTED)
            self.socket.sendall(self.conversation.send(request))
            while not self.conversation.idle:
                for event in self.conversation.receive(self.socket.recv(65536)):
                    if getattr(event, "request", None) is not request:
                        continue  # about one that was given up
                    if isinstance(event, Failed):
                        raise RequestFailed(str(event.explanation), event.outcome)
                    if isinstance(event, Lost):
                        raise RequestFailed("the connection was lost", event.outcome)
                    yield event
        except (OSError, ProtocolError) as error:  # the stream has no meaning any more
            raise RequestFailed(str(error), Outcome.UNKNOWN) from error
        finally:
            if not self.conversation.idle or self.conversation.error is not None:
                self.close()

    def call(self, request: messages.Request[A]) -> A:
        """Send a request that is answered by one message, and return that."""
        *_, last = self.ask(request)
        assert isinstance(last, Answered)
        return last.answer(request)

    def leader(self) -> str:
        """Ask for the leader's address; empty if there is none."""
        return self.call(messages.LeaderRequest()).address

    def open(self, database: str) -> None:
        self.call(messages.OpenRequest(database))

    def execute(self, sql: str, params: Sequence[Any] = ()) -> messages.ResultResponse:
        return self.call(messages.ExecSqlRequest(0, sql, params))

    def query(self, sql: str, params: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a result; a caller that stops early interrupts the query."""
        with closing(self.ask(messages.QuerySqlRequest(0, sql, params))) as events:
            try:
                for event in events:
                    if isinstance(event, Rows):
                        yield from event.message.rows
            except GeneratorExit:
                if not self.conversation.idle:
                    self.call(messages.InterruptRequest())
                raise


def connect(address: str, database: str) -> Client:
    """Open a database on the leader, which any node can tell."""
    with closing(Client(address)) as node:
        leader = node.leader()
    if not leader:
        raise RequestFailed("the cluster has no leader", Outcome.NOT_EXECUTED)
    client = Client(leader)
    client.open(database)
    return client


def main(address: str, database: str, *statements: str) -> None:
    with closing(connect(address, database)) as client:
        for sql in statements:
            if survey(sql).reads_only:
                for row in client.query(sql):
                    print(*row, sep=" | ")
            else:
                print(client.execute(sql).rows_affected, "rows changed")


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) > 3 else sys.exit(__doc__)
