"""SQLite as a dqlite node uses it: one connection to a WAL database, statements prepared one at a time.

All of SQLite's own behaviour comes from SQLite; this module adds what dqlite lays around it: the settings of
every connection (dqlite 1.18.6 `src/db.c: db__open`), checkpoints, and how much of a text one statement
takes. What a statement may not do is the authorizer's (`authorizer.py`). Errors are `SqlFailure`, with the
code and text a node would send.

Two things that a node gets from `sqlite3_stmt` and apsw does not give are made up for:

* A text that is not UTF-8 cannot be handed over as `str`. The rows of such a query are read once more, by a
  statement that casts texts to blobs (`_raw_rows`).
* apsw keeps prepared statements in a cache of its own and prepares again behind the caller's back. Whether
  that has happened is told by the authorizer, which SQLite calls for each statement that it compiles.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from dqlitewire.servers.hazards import HazardKind, harms
from dqlitewire.servers.releases import Release
from dqlitewire.testing.node.authorizer import Authorizer
from dqlitewire.testing.node.encoders import PAGE, RawText
from dqlitewire.testing.node.errors import SqlFailure
from dqlitewire.testing.node.soundex import soundex
from dqlitewire.testing.node.sqlite import apsw, failure_of
from dqlitewire.testing.node.statement import BLANK_OR_END, Statement, own_text, statement_piece
from dqlitewire.testing.node.statement_cache import StatementCache

__all__ = ["Connection", "Rows"]

Rows = Generator[tuple[Any, ...], None, None]
_CHECKPOINT_PAGES = 1000
_PROGRESS_STEPS = 10_000
_NOT_UTF8 = 1, "text that is not UTF-8 cannot pass the embedded server"
_NO_ERROR, _NO_MORE_ROWS = "not an error", "no more rows available"
_PIECE = 512  # characters of a longer text that SQLite is given at a time, or more
_NO_VALUES: Any = getattr(apsw, "_null_bindings")  # noqa: B009  binds NULL to every parameter


class Connection:
    """One SQLite connection, set up as a node sets it up.

    Attributes:
        message: What `sqlite3_errmsg` would say.
        peers: The open connections to the same database, this one among them.
        report: Called with what a real node would not survive, or this server does not let through.
    """

    def __init__(self, path: str, release: Release, *, readonly: bool = False) -> None:
        flags = (
            apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        )
        self._release = release
        self._authorizer = Authorizer(release)
        self._cache = StatementCache()
        self.message: str = _NO_ERROR
        self.peers: set[Connection] = {self}
        self.report: Callable[[HazardKind, str], None] = lambda _kind, _detail: None
        try:
            # Any: the types of apsw's own stubs are not all known to every checker
            self.raw: Any = apsw.Connection(path, flags=flags)
        except apsw.Error as error:
            raise failure_of(error) from error
        try:
            self._set_up(readonly)
        except apsw.Error as error:
            self.close()
            raise failure_of(error) from error

    def _set_up(self, readonly: bool) -> None:
        raw = self.raw
        if not readonly:
            self.script("PRAGMA synchronous=OFF")
        raw.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)
        if not self._release.autocheckpoint:
            raw.set_wal_hook(_checkpoint)  # in the place of SQLite's own
        self.script("PRAGMA secure_delete=1")
        raw.create_scalar_function("soundex", soundex, 1, deterministic=True, flags=apsw.SQLITE_INNOCUOUS)
        if self._release.attach == "limited":
            raw.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
        raw.authorizer = self._authorizer.authorize

    def make(self) -> None:
        """Give a new database its page size and its WAL.

        Raises:
            SqlFailure: It cannot be read or written, or is no database.
        """
        self.raw.authorizer = None
        try:
            self.script(f"PRAGMA page_size={PAGE}; PRAGMA journal_mode=WAL; BEGIN IMMEDIATE; COMMIT")
        except apsw.Error as error:
            raise failure_of(error) from error
        self.raw.authorizer = self._authorizer.authorize

    def watch(self, interrupted: Callable[[], bool]) -> None:
        """Call `interrupted` now and then while a statement runs; a true answer stops it."""
        self.raw.set_progress_handler(interrupted, _PROGRESS_STEPS)

    def close(self) -> None:
        """Close without waiting for open cursors; an open transaction is rolled back."""
        self.peers.discard(self)
        self.raw.close(True)

    @property
    def others_write(self) -> bool:
        """Whether the transaction of another connection to this database has written."""
        for other in self.peers:
            if other is not self and other.raw.txn_state() == apsw.SQLITE_TXN_WRITE:
                return True
        return False

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
        if self._authorizer.verdict.hazard is not None and statement is not None:
            statement.told = True
            self._tell()
        return statement

    def prepare_at(self, sql: str, at: int) -> Statement | None:
        """Prepare the statement of a text that begins at a character of it; None if there is none.

        SQLite is given little more than that statement: it copies what it is given, and would copy a text of
        very many statements once for each.
        """
        piece = statement_piece(sql, at, _PIECE)
        while (statement := self.prepare(piece)) is None and at + len(piece) < len(sql):
            piece = statement_piece(sql, at, 2 * len(piece))  # all semicolons and comments so far
        return statement

    def _prepare(self, sql: str) -> Statement | None:
        known = self._cache.find(sql)
        if known is not None:
            self._begin()
            return known.again()
        statement = self._look(sql, can_cache=not self._cache.knows(sql))
        if not self._authorizer.compiled:
            # from the cache of apsw, with the columns of when it was put there
            statement = self._look(sql, can_cache=False)
        plain = self._authorizer.compiled and self._authorizer.plain
        self._authorizer.compiled = False
        if self._authorizer.sets:
            # a setting holds for what is compiled from here on, which on a node is each text; SQLite expires
            # what is prepared when the pragma runs, which it may never do, and when an authorizer is set
            self.raw.authorizer = self._authorizer.authorize
        if statement is None or not plain:
            self._cache.changed()
            return statement
        statement.plain = True
        self._cache.keep(sql, statement)
        return statement.again()

    def _look(self, sql: str, *, can_cache: bool) -> Statement | None:
        found: list[Statement] = []

        def look(cursor: apsw.Cursor, taken: str, _: Any) -> bool:
            if cursor.has_vdbe:
                own = own_text(taken)
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
        if not sql.strip(BLANK_OR_END):
            return False
        try:
            found = self._prepare(sql) is not None
        except SqlFailure:
            return True
        self._tell()  # a pragma in the tail acts as well
        return found

    def has_to_analyze(self) -> bool:
        """Tell whether an index has no statistics yet, so that PRAGMA optimize would write."""
        (analyzed,) = self.script("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'")[0]
        without = "AND tbl_name NOT IN (SELECT tbl FROM sqlite_stat1)" if analyzed else ""
        found = self.script(f"SELECT 1 FROM sqlite_schema WHERE type = 'index' {without}")
        self._begin()
        return found != []

    def reset(self, statement: Statement) -> None:
        """Reset a statement that was run to its end, before it is bound again."""
        statement.ended = False
        self.message = _NO_ERROR

    def run(self, statement: Statement) -> Rows:
        """Step a statement with the bindings it has now; closing the iterator resets it."""
        return self._run(statement, statement.bindings)

    def _run(self, statement: Statement, bindings: list[Any]) -> Rows:
        count = 0
        self._begin()
        changed = self.raw.total_changes()
        cursor = self.raw.cursor()
        try:
            # apsw's cache may hold an older one of this text, which writes what need not be written any more
            cursor.execute(statement.sql, bindings, can_cache=statement.plain or statement.kept)
            row = next(cursor, None)
            self._note_change(statement)
            if row is None:
                self._look_again(statement)
                self._end(statement)
                return
            statement.describe(cursor.get_description())
            yield row
            count = 1
            for row in cursor:
                yield row
                count += 1
            self._end(statement)
        except apsw.Error as error:
            failure = self._failed(error, told=statement.told)
            self._note_kept(statement, changed)
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

    def _note_kept(self, statement: Statement, changed: int) -> None:
        # OR FAIL, in the text or in the schema, keeps what was written before the failure; outside of a
        # transaction that is committed, which 1.18.2 and later do not expect of a statement that failed
        or_fail = HazardKind.OR_FAIL
        if not harms(self._release.generation, or_fail.since, or_fail.before):
            return
        if not self.raw.in_transaction and self.raw.total_changes() > changed:
            self.report(or_fail, statement.sql)

    def _end(self, statement: Statement) -> None:
        # one that is kept is reset only when it is run again
        if statement.kept:
            statement.ended = True
            self.message = _NO_MORE_ROWS

    def _note_change(self, statement: Statement) -> None:
        if self._authorizer.compiled or not statement.plain:
            self._authorizer.compiled = False
            self._cache.changed()

    def _look_again(self, statement: Statement) -> None:
        # the first step has prepared a statement again whose schema changed, or tried to in vain
        if not statement.columns:
            return
        message, verdict = self.message, self._authorizer.verdict
        try:
            again = self._prepare(statement.sql)
        except SqlFailure:
            again = None
        if again is not None and again.described is not None:
            statement.describe(again.described)
        self.message, self._authorizer.verdict = message, verdict

    def _raw_rows(self, statement: Statement, bindings: list[Any], skipped: int) -> Rows:
        # the rest of a query's rows once more, texts as bytes
        columns = [f"c{number}" for number in range(len(statement.columns))]
        cells = [f"iif(typeof({c}) = 'text', CAST({c} AS BLOB), {c}), typeof({c}) = 'text'" for c in columns]
        sql = (
            f"WITH q({', '.join(columns)}) AS MATERIALIZED ({statement.sql.rstrip(BLANK_OR_END)})"
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
        self._authorizer.begin()
        self.message = _NO_ERROR

    def _failed(self, error: apsw.Error, *, told: bool = False) -> SqlFailure:
        self._cache.changed()  # a failure may have rolled back
        if not told:
            self._tell()
        refusal = self._authorizer.verdict.refusal
        failure = failure_of(error)
        if refusal is not None and refusal[0] != failure.code:  # else in SQLite's words, in VACUUM its own
            failure = SqlFailure(*refusal)
        self.message = failure.message
        return failure

    def _tell(self) -> None:
        verdict = self._authorizer.verdict
        if verdict.hazard is not None:
            self._authorizer.verdict = verdict._replace(hazard=None)
            self.report(verdict.hazard, verdict.detail)


def _checkpoint(connection: apsw.Connection, name: str, pages: int) -> int:
    if pages >= _CHECKPOINT_PAGES:
        try:
            connection.wal_checkpoint(name)
        except apsw.Error:  # a reader is in the way: the next commit tries again
            pass
    return apsw.SQLITE_OK
