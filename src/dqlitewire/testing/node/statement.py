"""Prepared statements, and where one ends in a text of several.

SQLite says of a statement what `sqlite3_prepare` said when it was prepared. It prepares it again by itself in
the first step that finds the schema changed, so names, declared types and the number of columns may differ
between two runs; `Statement.describe` takes that over.

apsw hands out what it took of a text in one piece, with all blanks and semicolons behind it, where
`sqlite3_prepare` ends behind the first semicolon. A node's tail offset is SQLite's, so `own_text` finds that
end again.
"""

from __future__ import annotations

from typing import Any

from dqlitewire.testing.node.encoders import column_kind
from dqlitewire.testing.node.sqlite import apsw

__all__ = ["BLANK_OR_END", "Description", "Statement", "own_text", "statement_piece"]

Description = tuple[tuple[str, str | None], ...]  # of each column its name and declared type

BLANK_OR_END = " \t\r\n\f;"


class Statement:
    """One prepared statement.

    Attributes:
        sql: Its own text, without what followed it.
        offset: Where that text ends, in bytes.
        parameters: How many it has.
        readonly: It does not write, as far as SQLite tells.
        plain: It cannot change the schema.
        told: Its hazard was reported already.
        kept: It is run later than it was prepared.
        ended: It was run to its end, and not reset since.
        bindings: The values of the parameters.
        columns: The names of its columns, as SQLite's own statement has them: from when it was prepared, or
            from when a step found the schema changed. The list is replaced, never changed.
        kinds: How the declared type of each column changes its values' types on the wire.
        described: Both as SQLite said them.
    """

    __slots__ = (
        "bindings",
        "columns",
        "described",
        "ended",
        "kept",
        "kinds",
        "offset",
        "parameters",
        "plain",
        "readonly",
        "sql",
        "told",
    )

    def __init__(
        self, sql: str, offset: int, parameters: int, readonly: bool, described: Description
    ) -> None:
        self.sql: str = sql
        self.offset: int = offset
        self.parameters: int = parameters
        self.readonly: bool = readonly
        self.plain: bool = False
        self.told: bool = False
        self.kept: bool = False
        self.ended: bool = False
        self.bindings: list[Any] = [None] * parameters
        self.described: Description | None = None
        self.describe(described)

    def describe(self, described: Description) -> None:
        """Take over what SQLite says about the columns."""
        if described != self.described:
            self.described = described
            self.columns: list[str] = [name for name, _ in described]
            self.kinds: list[int] = [column_kind(declared) for _, declared in described]

    def again(self) -> Statement:
        """Return the same statement, prepared once more."""
        other = Statement.__new__(Statement)
        other.sql, other.offset, other.parameters = self.sql, self.offset, self.parameters
        other.readonly, other.plain = self.readonly, self.plain
        other.told = other.kept = other.ended = False
        other.bindings = [None] * self.parameters
        other.described, other.columns, other.kinds = self.described, self.columns, self.kinds
        return other


def statement_piece(sql: str, at: int, least: int) -> str:
    """Return a part of a text that is given to SQLite in place of all that follows.

    Args:
        sql: The text.
        at: Where a statement begins in it.
        least: Characters to return at the least; the part goes on to where a statement ends, or to the end
            of the text if that cannot be told.
    """
    while end := sql.find(";", at + least) + 1:
        piece = sql[at:end]
        # "$a(;)" is one parameter, which `complete` does not know
        if piece.rfind("(") <= piece.rfind(")") and apsw.complete(piece):
            return piece
        least = 2 * len(piece)
    return sql[at:]


def own_text(taken: str) -> str:
    """Return the text of one statement as `sqlite3_prepare` ends it, from all that apsw took for it."""
    start = len(taken.rstrip(BLANK_OR_END))
    for _ in range(2):
        semicolon = taken.find(";", start)
        if semicolon < 0:
            break
        if apsw.complete(taken[: semicolon + 1]):
            return taken[: semicolon + 1]
        # in a comment: one of "--" ends with its line, one of "/*" does not end any more
        start = taken.find("\n", semicolon)
        if start < 0:
            break
    return taken
