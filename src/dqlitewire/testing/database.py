"""SQLite as a dqlite node uses it: WAL databases by name, statements prepared one at a time.

All of SQLite's own behaviour comes from SQLite; this module adds what dqlite lays around it: the settings
of every connection (dqlite 1.18.6 `src/db.c: db__open`), the pragmas each release refuses, how much of a
text one statement takes, and the two files of a DUMP.  Errors are `SqlFailure`, with the code and text a
node would send.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

import apsw

from dqlitewire.testing.encoders import RawText, column_kind

if TYPE_CHECKING:
    from dqlitewire.testing.generations import Generation

__all__ = ["Connection", "PragmaHazard", "Rows", "SqlFailure", "Statement"]

Rows = Generator[tuple[Any, ...], None, None]

PAGE_SIZE = 4096
_CHECKPOINT_PAGES = 1000
_PROGRESS_STEPS = 10_000
_NOT_UTF8 = 1, "text that is not UTF-8 cannot pass the embedded server"
_NO_ERROR = "not an error"
_BLANK_OR_END = " \t\r\n\f;"
_NO_VALUES: Any = getattr(apsw, "_null_bindings")  # noqa: B009  binds NULL to every parameter


class SqlFailure(Exception):
    """The code and text of a FAILURE.

    Attributes:
        rows: What a node's buffer already holds in front of them, b"" for what was begun of an answer.
        before_rows: Nothing was begun when it happened.
    """

    rows = b""
    before_rows = False

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def _failure(error: apsw.Error) -> SqlFailure:
    code: int = getattr(error, "extendedresult", 0) or getattr(error, "result", 1)
    return SqlFailure(code & 0xFFFFFFFF, str(error))


class Statement:
    """One prepared statement; `sql` is its own text, without what followed it."""

    __slots__ = ("bindings", "columns", "kinds", "offset", "parameters", "readonly", "sql")

    def __init__(
        self, sql: str, offset: int, parameters: int, readonly: bool, described: tuple[tuple[Any, ...], ...]
    ) -> None:
        self.sql = sql
        self.offset = offset
        self.parameters = parameters
        self.readonly = readonly
        self.columns: list[str] = [name for name, _ in described]
        self.kinds: list[int] = [column_kind(declared) for _, declared in described]
        self.bindings: list[Any] = [None] * parameters

    @property
    def tail_start(self) -> int:
        """Characters of the prepared text that belong to this statement."""
        return len(self.sql)


def _own_text(taken: str) -> str:
    # apsw swallows all blanks and semicolons behind a statement, sqlite3_prepare only the first semicolon
    start = len(taken.rstrip(_BLANK_OR_END))
    while (semicolon := taken.find(";", start)) >= 0:
        if apsw.complete(taken[: semicolon + 1]):
            return taken[: semicolon + 1]
        start = semicolon + 1
    return taken


class Connection:
    """One SQLite connection, set up as a node sets it up; `message` is what `sqlite3_errmsg` would say."""

    def __init__(self, path: str, generation: Generation, *, readonly: bool = False) -> None:
        flags = (
            apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        )
        self._generation = generation
        self._refusal: SqlFailure | None = None
        self.message = _NO_ERROR
        try:
            # Any: the types of apsw's own stubs are not all known to every checker
            self.raw: Any = apsw.Connection(path, flags=flags)
            self._set_up(readonly)
        except apsw.Error as error:
            raise _failure(error) from error

    def _set_up(self, readonly: bool) -> None:
        raw = self.raw
        if not readonly:
            self.script("PRAGMA synchronous=OFF")
        raw.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)
        raw.set_wal_hook(_checkpoint)  # in the place of SQLite's own
        if self._generation.attach == "limited":
            raw.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
        raw.authorizer = self._authorize

    def make(self) -> None:
        """Give a new database its page size and its WAL."""
        self.raw.authorizer = None
        self.script(f"PRAGMA page_size={PAGE_SIZE}; PRAGMA journal_mode=WAL; BEGIN IMMEDIATE; COMMIT")
        self.raw.authorizer = self._authorize

    def watch(self, interrupted: Callable[[], bool]) -> None:
        """Call `interrupted` now and then while a statement runs; a true answer stops it."""
        self.raw.set_progress_handler(interrupted, _PROGRESS_STEPS)

    def close(self) -> None:
        """Close without waiting for open cursors; an open transaction is rolled back."""
        self.raw.close(True)

    def script(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run SQL for the server's own purposes; returns the rows."""
        rows: list[tuple[Any, ...]] = self.raw.execute(sql, params).fetchall()
        return rows

    @property
    def result(self) -> tuple[int, int]:
        """Last insert id and changes, kept from earlier statements as SQLite keeps them."""
        return self.raw.last_insert_rowid(), self.raw.changes()

    def prepare(self, sql: str) -> Statement | None:
        """Prepare the first statement of a text; None if there is none."""
        found: list[Statement] = []

        def look(cursor: apsw.Cursor, taken: str, _: Any) -> bool:
            if cursor.has_vdbe:
                own = _own_text(taken)
                described = cursor.get_description()
                found.append(
                    Statement(own, len(own.encode()), cursor.bindings_count, cursor.is_readonly, described)
                )
            return False

        cursor = self.raw.cursor()
        cursor.exec_trace = look
        self._begin()
        try:
            cursor.execute(sql, _NO_VALUES)
        except apsw.ExecTraceAbort:
            pass
        except apsw.Error as error:
            raise self._failed(error) from error
        except UnicodeError as error:
            raise SqlFailure(*_NOT_UTF8) from error
        finally:
            cursor.close(True)
        return found[0] if found else None

    def has_statement(self, sql: str) -> bool:
        """Tell whether a tail is more than blanks, semicolons and comments (`is_statement_empty`)."""
        if not sql.strip(_BLANK_OR_END):
            return False
        try:
            return self.prepare(sql) is not None
        except SqlFailure:
            return True

    def run(self, statement: Statement) -> Rows:
        """Step a statement with its bindings; closing the iterator resets it."""
        count = 0
        self._begin()
        cursor = self.raw.cursor()
        try:
            cursor.execute(statement.sql, statement.bindings)
            for row in cursor:
                yield row
                count += 1
        except apsw.Error as error:
            raise self._failed(error) from error
        except UnicodeDecodeError:
            yield from self._raw_rows(statement, count)
        except UnicodeEncodeError as error:
            raise SqlFailure(*_NOT_UTF8) from error
        finally:
            cursor.close(True)

    def _raw_rows(self, statement: Statement, skipped: int) -> Rows:
        # the rest of a query's rows once more, texts as bytes
        columns = [f"c{number}" for number in range(len(statement.columns))]
        cells = [f"iif(typeof({c}) = 'text', CAST({c} AS BLOB), {c}), typeof({c}) = 'text'" for c in columns]
        sql = (
            f"WITH q({', '.join(columns)}) AS MATERIALIZED ({statement.sql.rstrip(_BLANK_OR_END)})"
            f" SELECT {', '.join(cells)} FROM q LIMIT -1 OFFSET {skipped}"
        )
        cursor = self.raw.cursor()
        try:
            for row in cursor.execute(sql, statement.bindings):
                yield tuple(
                    RawText(cell) if raw else cell for cell, raw in zip(row[::2], row[1::2], strict=True)
                )
        except (apsw.Error, UnicodeError) as error:
            raise SqlFailure(*_NOT_UTF8) from error
        finally:
            cursor.close(True)

    def _begin(self) -> None:
        self._refusal = None
        self.message = _NO_ERROR

    def _failed(self, error: apsw.Error) -> SqlFailure:
        failure = self._refusal or _failure(error)
        self.message = failure.message
        return failure

    def _authorize(
        self, action: int, first: str | None, second: str | None, _third: str | None, _inner: str | None
    ) -> int:
        if action == apsw.SQLITE_PRAGMA and first:
            refusal = _refused_pragma(self._generation, first.lower(), second)
        elif action == apsw.SQLITE_ATTACH and self._generation.attach == "denied" and first:
            refusal = SqlFailure(*_DENIED)
        else:
            return apsw.SQLITE_OK
        if refusal is None:
            return apsw.SQLITE_OK
        self._refusal = refusal
        return apsw.SQLITE_DENY


def _checkpoint(connection: apsw.Connection, name: str, pages: int) -> int:
    if pages >= _CHECKPOINT_PAGES:
        try:
            connection.wal_checkpoint(name)
        except apsw.Error:  # a reader is in the way: the next commit tries again
            pass
    return apsw.SQLITE_OK


class PragmaHazard(SqlFailure):
    """A pragma that a real node does not survive."""


# src/vfs.c of 1.18.1: vfsFileControl; and of 1.18.6: vfsAuthorizer
_CUSTOM_CHECKPOINT = 10, "custom checkpoint not allowed"
_TRIXIE_SETTERS = {
    "wal_autocheckpoint": _CUSTOM_CHECKPOINT,
    "page_size": (10, "changing page size is not supported"),
}
_DENIED = 23, "not authorized"
_DENIED_PRAGMAS = {"wal_checkpoint", "busy_timeout", "read_uncommitted", "locking_mode"}
_DENIED_SETTERS = {"journal_mode", "page_size", "wal_autocheckpoint", "synchronous"}


def _refused_pragma(generation: Generation, name: str, value: str | None) -> SqlFailure | None:
    if generation.attach == "denied":
        if name in _DENIED_PRAGMAS or (value is not None and name in _DENIED_SETTERS):
            return SqlFailure(*_DENIED)
        return None
    if generation.old_pragmas:
        if value is not None and (name == "page_size" or (name == "journal_mode" and value.lower() != "wal")):
            return PragmaHazard(1, f"PRAGMA {name}={value} aborts dqlite {generation.name}")
        return None
    if name == "wal_checkpoint":
        return SqlFailure(*_CUSTOM_CHECKPOINT)
    if value is None:
        return None
    if name == "journal_mode" and value.lower() != "wal":
        return SqlFailure(10, "only WAL mode is supported")
    return SqlFailure(*_TRIXIE_SETTERS[name]) if name in _TRIXIE_SETTERS else None
