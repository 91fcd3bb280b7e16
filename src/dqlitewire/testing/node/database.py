"""SQLite as a dqlite node uses it: WAL databases by name, statements prepared one at a time.

All of SQLite's own behaviour comes from SQLite; this module adds what dqlite lays around it: the settings
of every connection (dqlite 1.18.6 `src/db.c: db__open`), what each release refuses, and how much of a text
one statement takes.  Errors are `SqlFailure`, with the code and text a node would send.

No statement reaches a file other than its database, or a setting of the process.  SQLite asks its authorizer
about every statement it compiles, those of a trigger, a pragma function or a VACUUM included, so the rule
stands there (`permissions.py`) and no text is read.  SQLite's temporary files have no name in
any folder; real nodes have them too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from dqlitewire.testing.node.encoders import RawText, column_kind
from dqlitewire.testing.node.memory import Memory
from dqlitewire.testing.node.permissions import FREE, judge_attach, judge_function, judge_pragma
from dqlitewire.text import missing_package

try:
    import apsw
except ModuleNotFoundError as error:
    if error.name != "apsw":
        raise
    raise ModuleNotFoundError(missing_package("apsw", "testing"), name="apsw") from None

if TYPE_CHECKING:
    from dqlitewire.testing.node.generations import Generation
    from dqlitewire.testing.node.hazards import HazardKind

__all__ = ["Connection", "Rows", "SqlFailure", "Statement"]

Rows = Generator[tuple[Any, ...], None, None]
Description = tuple[tuple[str, str | None], ...]

PAGE_SIZE = 4096
_CHECKPOINT_PAGES = 1000
_PROGRESS_STEPS = 10_000
_NOT_UTF8 = 1, "text that is not UTF-8 cannot pass the embedded server"
_NO_ERROR = "not an error"
_BLANK_OR_END = " \t\r\n\f;"
_PIECE = 512  # characters of a longer text that SQLite is given at a time, or more
_PLAIN_ACTIONS = {
    apsw.SQLITE_SELECT,
    apsw.SQLITE_READ,
    apsw.SQLITE_FUNCTION,
    apsw.SQLITE_RECURSIVE,
    apsw.SQLITE_INSERT,
    apsw.SQLITE_UPDATE,
    apsw.SQLITE_DELETE,
}
_NO_VALUES: Any = getattr(apsw, "_null_bindings")  # noqa: B009  binds NULL to every parameter


class SqlFailure(Exception):
    """The code and text of a FAILURE.

    Attributes:
        before_rows: Nothing of an answer was begun when it happened.
    """

    before_rows = False

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def _failure(error: apsw.Error) -> SqlFailure:
    code: int = getattr(error, "extendedresult", 0) or getattr(error, "result", 1)
    return SqlFailure(code & 0xFFFFFFFF, str(error))


class Statement:
    """One prepared statement; `sql` is its own text, without what followed it.

    `columns` and `kinds` are those of SQLite's own statement: of when it was prepared, or of when a step
    found the schema changed and prepared it again.  `plain` says that it cannot change the schema, `told`
    that its hazard was reported already, and `kept` that it is run later than it was prepared.
    """

    __slots__ = (
        "bindings",
        "columns",
        "described",
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
        self.sql = sql
        self.offset = offset
        self.parameters = parameters
        self.readonly = readonly
        self.plain = self.told = self.kept = False
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
        other.told = other.kept = False
        other.bindings = [None] * self.parameters
        other.described, other.columns, other.kinds = self.described, self.columns, self.kinds
        return other


def _some(sql: str, at: int, least: int) -> str:
    # at least so much of a text, up to where a statement ends; all of it if that cannot be told
    while end := sql.find(";", at + least) + 1:
        piece = sql[at:end]
        # "$a(;)" is one parameter, which `complete` does not know
        if piece.rfind("(") <= piece.rfind(")") and apsw.complete(piece):
            return piece
        least = 2 * len(piece)
    return sql[at:]


def _own_text(taken: str) -> str:
    # apsw swallows all blanks and semicolons behind a statement, sqlite3_prepare only the first semicolon
    start = len(taken.rstrip(_BLANK_OR_END))
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


class Connection:
    """One SQLite connection, set up as a node sets it up.

    Attributes:
        message: What `sqlite3_errmsg` would say.
        report: Called with what a real node would not survive, or this server does not let through.
    """

    def __init__(self, path: str, generation: Generation, *, readonly: bool = False) -> None:
        flags = (
            apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        )
        self._generation = generation
        self._verdict = FREE
        self._memory = Memory()
        self._compiled = False  # SQLite has prepared something since `_begin`
        self._plain = True  # .. and nothing that could change the schema
        self.message = _NO_ERROR
        self.report: Callable[[HazardKind, str], None] = lambda _kind, _detail: None
        try:
            # Any: the types of apsw's own stubs are not all known to every checker
            self.raw: Any = apsw.Connection(path, flags=flags)
        except apsw.Error as error:
            raise _failure(error) from error
        try:
            self._set_up(readonly)
        except apsw.Error as error:
            self.close()
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
        """Give a new database its page size and its WAL.

        Raises:
            SqlFailure: It cannot be read or written, or is no database.
        """
        self.raw.authorizer = None
        try:
            self.script(f"PRAGMA page_size={PAGE_SIZE}; PRAGMA journal_mode=WAL; BEGIN IMMEDIATE; COMMIT")
        except apsw.Error as error:
            raise _failure(error) from error
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
        statement = self._prepare(sql)
        if self._verdict.hazard is not None and statement is not None:
            statement.told = True
            self._tell()
        return statement

    def prepare_at(self, sql: str, at: int) -> Statement | None:
        """Prepare the statement of a text that begins at a character of it; None if there is none.

        SQLite is given little more than that statement: it copies what it is given, and would copy a text of
        very many statements once for each.
        """
        piece = _some(sql, at, _PIECE)
        while (statement := self.prepare(piece)) is None and at + len(piece) < len(sql):
            piece = _some(sql, at, 2 * len(piece))  # all semicolons and comments so far
        return statement

    def _prepare(self, sql: str) -> Statement | None:
        known = self._memory.find(sql)
        if known is not None:
            self._begin()
            return known.again()
        statement = self._look(sql, can_cache=not self._memory.knows(sql))
        if not self._compiled:
            # from the cache of apsw, with the columns of when it was put there
            statement = self._look(sql, can_cache=False)
        plain = self._compiled and self._plain
        self._compiled = False
        if statement is None or not plain:
            self._memory.changed()
            return statement
        statement.plain = True
        self._memory.keep(sql, statement)
        return statement.again()

    def _look(self, sql: str, *, can_cache: bool) -> Statement | None:
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
            cursor.execute(sql, _NO_VALUES, can_cache=can_cache)
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
            return self._prepare(sql) is not None
        except SqlFailure:
            return True

    def run(self, statement: Statement) -> Rows:
        """Step a statement with the bindings it has now; closing the iterator resets it."""
        return self._run(statement, statement.bindings)

    def _run(self, statement: Statement, bindings: list[Any]) -> Rows:
        count = 0
        self._begin()
        cursor = self.raw.cursor()
        try:
            # apsw's cache may hold an older one of this text, which writes what need not be written any more
            cursor.execute(statement.sql, bindings, can_cache=statement.plain or statement.kept)
            row = next(cursor, None)
            self._note_change(statement)
            if row is None:
                self._look_again(statement)
                return
            statement.describe(cursor.get_description())
            yield row
            count = 1
            for row in cursor:
                yield row
                count += 1
        except apsw.Error as error:
            failure = self._failed(error, told=statement.told)
            if not count:
                self._look_again(statement)
            raise failure from error
        except UnicodeDecodeError:
            if not count:
                self._look_again(statement)
            yield from self._raw_rows(statement, bindings, count)
        except UnicodeEncodeError as error:
            raise SqlFailure(*_NOT_UTF8) from error
        finally:
            cursor.close(True)
            self._note_change(statement)

    def _note_change(self, statement: Statement) -> None:
        if self._compiled or not statement.plain:
            self._compiled = False
            self._memory.changed()

    def _look_again(self, statement: Statement) -> None:
        # the first step has prepared a statement again whose schema changed, or tried to in vain
        if not statement.columns:
            return
        message, verdict = self.message, self._verdict
        try:
            again = self._prepare(statement.sql)
        except SqlFailure:
            again = None
        if again is not None and again.described is not None:
            statement.describe(again.described)
        self.message, self._verdict = message, verdict

    def _raw_rows(self, statement: Statement, bindings: list[Any], skipped: int) -> Rows:
        # the rest of a query's rows once more, texts as bytes
        columns = [f"c{number}" for number in range(len(statement.columns))]
        cells = [f"iif(typeof({c}) = 'text', CAST({c} AS BLOB), {c}), typeof({c}) = 'text'" for c in columns]
        sql = (
            f"WITH q({', '.join(columns)}) AS MATERIALIZED ({statement.sql.rstrip(_BLANK_OR_END)})"
            f" SELECT {', '.join(cells)} FROM q LIMIT -1 OFFSET {skipped}"
        )
        cursor = self.raw.cursor()
        try:
            for row in cursor.execute(sql, bindings):
                yield tuple(
                    RawText(cell) if raw else cell for cell, raw in zip(row[::2], row[1::2], strict=True)
                )
        except (apsw.Error, UnicodeError) as error:
            raise SqlFailure(*_NOT_UTF8) from error
        finally:
            cursor.close(True)

    def _begin(self) -> None:
        self._verdict = FREE
        self._compiled, self._plain = False, True
        self.message = _NO_ERROR

    def _failed(self, error: apsw.Error, *, told: bool = False) -> SqlFailure:
        self._memory.changed()  # a failure may have rolled back
        if not told:
            self._tell()
        refusal = self._verdict.refusal
        failure = _failure(error) if refusal is None else SqlFailure(*refusal)
        self.message = failure.message
        return failure

    def _tell(self) -> None:
        verdict = self._verdict
        if verdict.hazard is not None:
            self._verdict = verdict._replace(hazard=None)
            self.report(verdict.hazard, verdict.detail)

    def _authorize(
        self, action: int, first: str | None, second: str | None, _third: str | None, _inner: str | None
    ) -> int:
        self._compiled = True
        plain = action in _PLAIN_ACTIONS or (action == apsw.SQLITE_TRANSACTION and first != "ROLLBACK")
        self._plain = self._plain and plain
        if action == apsw.SQLITE_FUNCTION:
            verdict = judge_function(second)
        elif action == apsw.SQLITE_PRAGMA and first:
            verdict = judge_pragma(self._generation, first.lower(), second)
        elif action == apsw.SQLITE_ATTACH:
            verdict = judge_attach(self._generation, first)
        else:
            return apsw.SQLITE_OK
        if verdict.refusal is not None or verdict.hazard is not None:
            self._verdict = verdict
        return apsw.SQLITE_OK if verdict.refusal is None else apsw.SQLITE_DENY


def _checkpoint(connection: apsw.Connection, name: str, pages: int) -> int:
    if pages >= _CHECKPOINT_PAGES:
        try:
            connection.wal_checkpoint(name)
        except apsw.Error:  # a reader is in the way: the next commit tries again
            pass
    return apsw.SQLITE_OK
