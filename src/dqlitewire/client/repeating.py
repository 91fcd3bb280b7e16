"""Whether a request that failed is sent again: the rule by which nothing is executed twice.

    NOT_EXECUTED, and the node does not lead    on the leader, until the deadline
    NOT_EXECUTED, it had not left               on another connection, until the deadline
    NOT_EXECUTED, the connection broke          once: see below
    NOT_EXECUTED, perhaps the leadership        once: the failure may be one that comes again
    UNKNOWN                                     never: it may have been executed, or may be yet
    inside a transaction                        never: what came before is gone with the connection
    EXEC, QUERY, FINALIZE                       never: another connection knows no statement by that id, or
                                                another one
    a query with rows handed out                never

A read that broke the connection may be what ended the node: every server dies of a row with a value of the
wrong type in a column declared BOOLEAN, DATE, DATETIME or TIMESTAMP (dqlite src/query.c: value_type), which
no text of a query shows. Sent to one node after the other it would take down the cluster. So a query is sent
again once, and only if no table of the database has such a column.
"""

from __future__ import annotations

from dqlitewire import SQLITE_NOTFOUND, RequestType
from dqlitewire.client.connection import Broken, Connection
from dqlitewire.client.errors import ConnectionFailed, StatementFailed
from dqlitewire.constants import LEADER_ERROR_CODES
from dqlitewire.conversation import Outcome, Retry, Rows
from dqlitewire.dial import Deadline
from dqlitewire.messages import QuerySqlRequest

_KEPT = frozenset({RequestType.EXEC, RequestType.QUERY, RequestType.FINALIZE})
_DOUBTS = 1  # how often a failure is taken for a sign of lost leadership that may be none
_BREAKS = 1  # connections that may break under one request
_TABLES = (
    "SELECT 1 FROM sqlite_master AS entry, pragma_table_xinfo(entry.name) AS col "
    "WHERE upper(col.type) IN ('BOOLEAN', 'DATE', 'DATETIME', 'TIMESTAMP') LIMIT 1"
)


class Repeats:
    """Decides about one request, however often it fails.

    Args:
        kind: its type.
        retry: whether anything is sent again.
        opened: whether a database is open as far as the client knows.

    Attributes:
        suspect: what came of a query that may have ended the node; None if none has.
    """

    def __init__(self, kind: int, retry: bool, opened: bool) -> None:
        self._kind, self._retry, self._opened = kind, retry, opened
        self._breaks = self._doubts = 0
        self.suspect: ConnectionFailed | None = None

    def allow(self, failure: StatementFailed | ConnectionFailed, in_transaction: bool) -> bool:
        """Return whether the request may be sent again after a failure.

        Args:
            failure: the latest one.
            in_transaction: whether a transaction was open before the request, or may have been.
        """
        if not self._retry or in_transaction or self._kind in _KEPT:
            return False
        if failure.outcome is not Outcome.NOT_EXECUTED:
            return False
        if isinstance(failure, ConnectionFailed):
            broken = failure.__cause__
            if not isinstance(broken, Broken) or not broken.sent:
                return True
            self._breaks += 1
            self.suspect = failure if self._kind == RequestType.QUERY_SQL else None
            return self._breaks <= _BREAKS
        if failure.code in LEADER_ERROR_CODES:
            return True
        retry = failure.explanation.retry
        if failure.code == SQLITE_NOTFOUND:  # it led, and has lost the database; or there never was one
            return retry is Retry.REOPEN and self._opened
        self._doubts += 1
        return retry is Retry.LEADER and self._doubts <= _DOUBTS


def is_deadly(connection: Connection, deadline: Deadline) -> bool:
    """Return whether a read of the database may end a node, as far as its tables tell.

    Args:
        connection: to a node that leads.
        deadline: for the answer.
    """
    try:
        event = connection.ask(QuerySqlRequest(0, _TABLES), deadline)
    except Broken:
        return True
    return not isinstance(event, Rows) or bool(event.message.rows)
