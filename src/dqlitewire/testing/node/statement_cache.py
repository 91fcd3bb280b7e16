"""What SQLite said about a text, for as long as it would say the same again.

A driver sends the same few texts again and again, and preparing one costs more than running it. What was
prepared may be used again unless what the connection knows of the schema may have changed since: by a
statement that changes it, by a rollback, or by a statement that SQLite had to prepare anew because another
connection had changed the schema. `changed` is called for each of these and ends the validity of everything
kept. None of them is missed: SQLite asks its authorizer whenever it prepares (`authorizer.py`), and what it
prepares while nothing should be prepared is such a change.

The cache counts changes instead of dropping entries. An entry holds the count of when it was kept, and is
valid while that is the present one:

    count            0        1                 1          2
    text         keep(A)   ALTER TABLE ..    find(A): no   keep(A) found A described otherwise
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dqlitewire.testing.node.statement import Statement

__all__ = ["StatementCache"]

_MOST = 128  # texts
_LONGEST = 4096  # characters of one


class StatementCache:
    """The statements of one connection by their text."""

    def __init__(self) -> None:
        self._changes = 0
        self._kept: dict[str, tuple[int, Statement]] = {}

    def changed(self) -> None:
        """Take note that SQLite may say something else of any text."""
        self._changes += 1

    def find(self, sql: str) -> Statement | None:
        """Return the statement of a text if it is valid."""
        changes, statement = self._kept.get(sql, (-1, None))
        return statement if changes == self._changes else None

    def knows(self, sql: str) -> bool:
        """Tell whether a text was prepared before, though the statement may not be valid."""
        return sql in self._kept

    def keep(self, sql: str, statement: Statement) -> None:
        """Keep the statement of a text that was prepared just now."""
        _, before = self._kept.pop(sql, (-1, None))
        if before is None or before.described != statement.described:
            self._changes += 1  # a new text may have made SQLite read the schema
        if len(sql) <= _LONGEST:
            self._kept[sql] = self._changes, statement
            if len(self._kept) > _MOST:
                del self._kept[next(iter(self._kept))]
