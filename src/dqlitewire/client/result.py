"""The rows of a query as they come.

No more than a piece of the answer is held, however long it is. The clock of the deadline stands from the
moment when the caller gets a frame until it asks for the next one. Whoever stops in between (`break`, an
exception, `close`) has the query interrupted, and a result that was left so gives no more rows: an iteration
that goes on raises an error, so that nobody takes a part for the whole.

No server stops at an INTERRUPT: it sends all rows, and then its answer (dqlite issue 485). Only the end of
the connection stops it. So a connection whose query has a long rest is closed. But with it a transaction is
lost: in one all rows are taken, for as long as the deadline lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from dqlitewire.client.connection import Broken, Connection
from dqlitewire.client.errors import ClientError, ConnectionFailed, StatementFailed
from dqlitewire.client.owner import Owner
from dqlitewire.conversation import Failed, Rows
from dqlitewire.dial import Deadline
from dqlitewire.messages import InterruptRequest, QuerySqlRequest, RowsResponse

_DRAINING = 0.2  # seconds spent on the rest of a query that was left early


class Result:
    """The rows of a query; made by `Client.query`. Leaving it early interrupts the query.

    Args:
        connection: on which the query runs.
        request: the query.
        first: the first event about it.
        deadline: for the rest; its clock stands while the caller has a row.
        owner: of the connection.

    Attributes:
        columns: the names of the columns.
    """

    def __init__(
        self,
        connection: Connection,
        request: QuerySqlRequest,
        first: Rows,
        deadline: Deadline,
        owner: Owner,
    ) -> None:
        self._owner = owner
        self.columns: tuple[str, ...] = tuple(first.message.column_names)
        self._connection = connection
        self._request = request
        self._deadline = deadline
        self._next: Rows | None = first
        self._running = not first.last
        self._held = self._left_early = False  # whether the caller has a frame; whether it wants no more
        deadline.stand()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up what was not handed out; the query is interrupted if it runs."""
        if not (self._running or self._held or self._next is not None):
            self._deadline.go()
            return
        with self._owner:
            self._deadline.go()
            self._left_early, self._next = True, None
            if self._running:
                self._running = False
                self._interrupt()

    def _interrupt(self) -> None:
        if self._connection.closed:
            return
        try:
            left = self._deadline.left()
            spent = left if self._connection.in_transaction else min(_DRAINING, left)
            self._connection.ask(InterruptRequest(), Deadline(spent))
        except TimeoutError:
            self._connection.close()
        except Broken:
            pass

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows.

        Raises:
            StatementFailed: the query failed after the rows that came.
            ConnectionFailed: the connection broke, or the rest did not come in time.
            ClientError: the result was left early.
        """
        for frame in self.frames():
            yield from map(tuple, frame.rows)

    def frames(self) -> Iterator[RowsResponse]:
        """Yield the frames, which have the types of the values.

        Raises:
            StatementFailed: the query failed after the rows that came.
            ConnectionFailed: the connection broke, or the rest did not come in time.
            ClientError: the result was left early.
        """
        self._check()
        try:
            while self._next is not None:
                event, self._next = self._next, None
                self._held = True
                yield event.message
                self._held = False
                self._check()
                if not event.last:
                    with self._owner:
                        self._next = self._received()
        finally:
            self.close()

    def _check(self) -> None:
        if self._left_early:
            raise ClientError("the result ended before its last row")

    def _received(self) -> Rows:
        self._deadline.go()
        self._running, self._left_early = False, True  # until it is known how it goes on
        try:
            event = self._connection.event(self._request, self._deadline)
        except Broken as broken:
            raise ConnectionFailed(f"{self._connection.address}: {broken}", broken.outcome) from broken
        if isinstance(event, Failed):
            raise StatementFailed(event)
        assert isinstance(event, Rows)
        self._running, self._left_early = not event.last, False
        self._deadline.stand()
        return event
