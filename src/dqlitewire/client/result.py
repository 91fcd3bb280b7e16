"""The rows of a query as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

from dqlitewire.client.connection import Broken, Connection
from dqlitewire.client.errors import ClientError, ConnectionFailed, StatementFailed
from dqlitewire.conversation import Failed, Rows
from dqlitewire.dial import Deadline
from dqlitewire.messages import QuerySqlRequest, RowsResponse


class Result:
    """The rows of a query; made by `Client.query`. Leaving it early interrupts the query.

    Args:
        connection: on which the query runs.
        request: the query.
        first: the first event about it.
        deadline: for the rest; its clock stands while the caller has a row.
        give_up: called with this object when it is left early.

    Attributes:
        columns: the names of the columns.
    """

    def __init__(
        self,
        connection: Connection,
        request: QuerySqlRequest,
        first: Rows,
        deadline: Deadline,
        give_up: Callable[[Result], None],
    ) -> None:
        self.columns: tuple[str, ...] = tuple(first.message.column_names)
        self.connection, self.request = connection, request
        self._next: Rows | None = first
        self._deadline = deadline
        self._give_up = give_up
        self.open = not first.last
        self._left_early = False
        deadline.stand()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up what has not come yet."""
        if self.open:
            self.open, self._left_early, self._next = False, True, None
            self._deadline.go()
            self._give_up(self)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows."""
        for frame in self.frames():
            yield from map(tuple, frame.rows)

    def frames(self) -> Iterator[RowsResponse]:
        """Yield the frames, which have the types of the values.

        Raises:
            StatementFailed: the query failed after the rows that came.
            ConnectionFailed: the connection broke, or the rest did not come in time.
            ClientError: the result was left early.
        """
        if self._left_early:
            raise ClientError("the result was left before its end")
        try:
            while self._next is not None:
                event, self._next = self._next, None
                yield event.message
                if self._left_early:
                    raise ClientError("the result was left before its end")
                if not event.last:
                    self._next = self._received()
        finally:
            self.close()

    def _received(self) -> Rows:
        self._deadline.go()
        try:
            event = self.connection.event(self.request, self._deadline)
        except Broken as broken:
            self.open = False
            raise ConnectionFailed(f"{self.connection.address}: {broken}", broken.outcome) from broken
        except BaseException:
            self.open = False
            raise
        self._deadline.stand()
        if isinstance(event, Failed):
            self.open = False
            raise StatementFailed(event)
        assert isinstance(event, Rows)
        self.open = not event.last
        return event
