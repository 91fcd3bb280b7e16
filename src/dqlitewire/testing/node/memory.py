"""What SQLite said about a text, for as long as it would say the same again.

A text that comes again need not be prepared again, unless what the connection knows of the schema may have
changed: by a statement that changes it, by a rollback, or because a statement had to be prepared anew and so
found a change of another connection.  Any of these ends all that is remembered; none of them is missed, for
SQLite asks its authorizer whenever it prepares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dqlitewire.testing.node.database import Statement

__all__ = ["Memory"]

_MOST = 128
_LONGEST = 4096


class Memory:
    """The statements of one connection by their text."""

    def __init__(self) -> None:
        self._age = 0
        self._known: dict[str, tuple[int, Statement]] = {}

    def changed(self) -> None:
        """Take note that all may be different now."""
        self._age += 1

    def find(self, sql: str) -> Statement | None:
        """Return what is still true of a text."""
        age, statement = self._known.get(sql, (-1, None))
        return statement if age == self._age else None

    def knows(self, sql: str) -> bool:
        """Tell whether a text was seen, though it may be different now."""
        return sql in self._known

    def keep(self, sql: str, statement: Statement) -> None:
        """Remember a text that was prepared just now."""
        _, before = self._known.pop(sql, (-1, None))
        if before is None or before.described != statement.described:
            self._age += 1  # a new text may have made SQLite read the schema
        if len(sql) <= _LONGEST:
            self._known[sql] = self._age, statement
            if len(self._known) > _MOST:
                del self._known[next(iter(self._known))]
