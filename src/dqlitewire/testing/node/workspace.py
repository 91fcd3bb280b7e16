"""What a node keeps for one connection that opened a database: SQLite connection, statements, transaction.

Every rule of the requests that carry SQL stands here, as far as SQLite itself does not decide: which texts a
release refuses, how parameters are bound, which statements run in QUERY. Failures are `SqlFailure`.

The statements are a registry as in dqlite's src/lib/registry.h: a list of slots, of which a new statement
gets the lowest free one. The list shrinks only at its end, so the id of a finalized statement may still be
inside it. A node then looks into the empty slot and dies; here it is a hazard, and FAILURE 12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any

from dqlitewire.constants import RequestType
from dqlitewire.servers.hazards import HazardKind
from dqlitewire.servers.refusals import EMPTY_STATEMENT, LOCKED, NO_STATEMENT, STATEMENT_TAIL
from dqlitewire.servers.releases import Release
from dqlitewire.servers.sql_hazards import PRAGMAS, SqlHazard, text_hazards
from dqlitewire.sql.survey import survey
from dqlitewire.testing.node.connection import Connection, Rows
from dqlitewire.testing.node.errors import BadValue, SqlFailure
from dqlitewire.testing.node.lenient_reader import Params
from dqlitewire.testing.node.row_batches import RowBatches
from dqlitewire.testing.node.statement import Statement

__all__ = ["Blocked", "Script", "Workspace"]

_ROWS_IN_QUERY = 100, "rows yielded when none expected for EXEC request"
_NO_VALUES = Params(b"", 0, 0)

# RETURNING and a failed OR FAIL are told by what the statement does, OUTSIDE by the authorizer
_TOLD_HERE = frozenset({HazardKind.OLD_PRAGMA, HazardKind.RAW_WRITE})

Report = Callable[[HazardKind, str], None]


class Script:
    """A text of statements, executed up to one that has to wait.

    Attributes:
        sql: The text.
        at: The characters of it that are done.
        values: What is left of the parameters, `count` of them.
        blocked: The statement that waits until no other connection writes.
    """

    __slots__ = ("at", "blocked", "count", "sql", "values")

    def __init__(self, sql: str, at: int, values: Iterator[Any], count: int, blocked: Statement) -> None:
        self.sql: str = sql
        self.at: int = at
        self.values: Iterator[Any] = values
        self.count: int = count
        self.blocked: Statement = blocked


class Blocked(Exception):
    """A script has to wait until no other connection writes.

    Attributes:
        script: How far it is.
    """

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.script = script


class Workspace:
    """An open database of one connection.

    Args:
        connection: Its own SQLite connection, closed by `close`.
        release: Whose rules hold.
        report: Called with each hazard.
    """

    def __init__(self, connection: Connection, release: Release, report: Report) -> None:
        connection.report = report
        self._connection = connection
        self._release = release
        self._queues = release.queues_writes
        self._report = report
        self._statements: list[Statement | None] = []
        self._free: list[int] = []  # a heap of ids, some of them no longer free

    def close(self) -> None:
        """Close the SQLite connection; an open transaction is rolled back."""
        self._connection.close()

    def prepare(self, sql: str, *, with_tail: bool) -> tuple[int, Statement]:
        """Prepare the first statement of a text under the lowest free id."""
        statement = self._prepare_one(sql, with_tail=with_tail)
        statement.kept = True
        statements = self._statements
        while self._free:
            statement_id = heappop(self._free)
            if statement_id < len(statements) and statements[statement_id] is None:
                statements[statement_id] = statement
                return statement_id, statement
        statements.append(statement)
        return len(statements) - 1, statement

    def finalize(self, statement_id: int) -> None:
        """Forget a statement."""
        self._find(statement_id)
        self._statements[statement_id] = None
        if statement_id == len(self._statements) - 1:
            self._statements.pop()
        else:
            heappush(self._free, statement_id)

    def execute(self, statement_id: int, params: Params) -> tuple[int, int]:
        """Run a prepared statement that yields no row."""
        statement = self._find(statement_id)
        self._refuse_deadly(statement, RequestType.EXEC)
        if self._queues and self._waits(statement):
            raise SqlFailure(*LOCKED)
        self._bind(statement, params.values(), params.count, RequestType.EXEC)
        self._step(statement, self._release.rows_in_exec)
        self._clear_bindings(statement)
        return self._connection.result

    def execute_sql(self, sql: str, params: Params) -> tuple[int, int]:
        """Run every statement of a text; the result is that of the last one.

        Raises:
            Blocked: One behind the first has to wait; `go_on` with the script of the exception goes on.
        """
        return self._execute(sql, 0, params.values(), params.count, None)

    def go_on(self, script: Script) -> tuple[int, int]:
        """Run what is left of a text."""
        return self._execute(script.sql, script.at, script.values, script.count, script.blocked)

    def _execute(
        self, sql: str, at: int, values: Iterator[Any], count: int, blocked: Statement | None
    ) -> tuple[int, int]:
        release = self._release
        while at < len(sql) or not at:
            statement = blocked or self._compiled(sql, at)
            if statement is None:
                known = release.blank_tail_result if at else release.empty_text_result
                return self._connection.result if known else (0, 0)
            blocked = None
            if self._queues and self._waits(statement):
                if not at:
                    raise SqlFailure(*LOCKED)
                # what is behind the first one is queued, too, and without a limit of time
                raise Blocked(Script(sql, at, values, count, statement))
            self._refuse_deadly(statement, RequestType.EXEC_SQL)
            taken = self._bind(statement, values, count, RequestType.EXEC_SQL)
            if release.takes_in_turn:
                count -= taken
            else:
                values, count = _NO_VALUES.values(), 0
            self._step(statement, release.rows_in_exec_sql)
            at += len(statement.sql)
        return self._connection.result

    def query(self, statement_id: int, params: Params) -> RowBatches:
        """Run a prepared statement for its rows."""
        statement = self._find(statement_id)
        self._refuse_deadly(statement, RequestType.QUERY)
        if self._queues and self._waits(statement):
            raise SqlFailure(*LOCKED)
        self._bind(statement, params.values(), params.count, RequestType.QUERY)
        try:
            return self._rows(statement, masked=False)
        finally:
            self._clear_bindings(statement)

    def query_sql(self, sql: str, params: Params) -> RowBatches:
        """Run the one statement of a text for its rows."""
        statement = self._prepare_one(sql, with_tail=False)
        self._refuse_deadly(statement, RequestType.QUERY_SQL)
        if self._queues and self._waits(statement):
            # any failure until here is taken for that of the tail (src/gateway.c: handle_query_sql_done_cb)
            raise SqlFailure(*(STATEMENT_TAIL if self._release.masks_query_sql else LOCKED))
        self._bind(statement, params.values(), params.count, RequestType.QUERY_SQL)
        return self._rows(statement, masked=self._release.masks_query_sql)

    def _find(self, statement_id: int) -> Statement:
        if statement_id < len(self._statements):
            statement = self._statements[statement_id]
            if statement is not None:
                return statement
            # src/lib/registry.h looks into the empty slot; only the last slot goes with its statement
            self._report(HazardKind.STALE_STATEMENT, f"statement {statement_id}")
        raise SqlFailure(*NO_STATEMENT)

    def _prepare_one(self, sql: str, *, with_tail: bool) -> Statement:
        statement = self._compiled(sql)
        if statement is None:
            raise SqlFailure(*EMPTY_STATEMENT)
        strict = self._release.refuses_tail and not with_tail
        if strict and self._connection.has_statement(sql[len(statement.sql) :]):
            raise SqlFailure(*STATEMENT_TAIL)
        return statement

    def _waits(self, statement: Statement) -> bool:
        # dqlite 1.18.7 src/leader.c: exec_tick lets one connection write at a time, and asks
        # sqlite3_stmt_readonly whether a statement may write, not whether it will. The first statement of a
        # request fails at once where it would have to wait.
        return not statement.readonly and self._connection.others_write

    def _clear_bindings(self, statement: Statement) -> None:
        if not self._release.keeps_bindings:
            statement.bindings = [None] * statement.parameters

    def _bind(self, statement: Statement, values: Iterator[Any], count: int, request: RequestType) -> int:
        release = self._release
        wanted = statement.parameters
        if statement.ended:
            self._connection.reset(statement)
        if release.takes_in_turn:
            statement.bindings = [None] * wanted
            if count > wanted and request in release.too_many:
                raise SqlFailure(*release.too_many[request])
            count = min(count, wanted)
        index = 0
        try:
            while index < count:
                value = next(values)
                if index >= wanted:
                    self._connection.message = "column index out of range"  # sqlite3_bind's
                    raise SqlFailure(*release.too_many[request])
                statement.bindings[index] = value
                index += 1
        except BadValue:
            raise SqlFailure(*release.bad_value[request]) from None
        return count

    def _compiled(self, sql: str, at: int | None = None) -> Statement | None:
        try:
            if at is None:
                return self._connection.prepare(sql)
            return self._connection.prepare_at(sql, at)
        except SqlFailure:
            # Debian's SQLite has a table of pages, the embedded server's has none and fails here
            if any(row.kind is HazardKind.RAW_WRITE for row in self._hazards(sql, RequestType.EXEC_SQL)):
                self._report(HazardKind.RAW_WRITE, sql)
            raise

    def _hazards(self, sql: str, request: RequestType) -> Iterator[SqlHazard]:
        seen = survey(sql)
        if not seen.plain:
            in_transaction = self._connection.raw.in_transaction
            yield from text_hazards(seen, request, self._release.generation, in_transaction)

    def _refuse_deadly(self, statement: Statement, request: RequestType) -> None:
        # what kills a node when it is run; the authorizer has judged what does so when it is compiled
        if survey(statement.sql).plain:
            return
        for row in self._hazards(statement.sql, request):
            if row.kind not in _TOLD_HERE or (row.compiles and not row.begun):
                continue
            if row in PRAGMAS["optimize"] and not self._connection.has_to_analyze():
                continue
            self._report(row.kind, statement.sql)
            raise SqlFailure(1, f"this statement kills {self._release.title}")

    def _step(self, statement: Statement, when_row: tuple[int, str]) -> None:
        self._refuse_returning(statement, when_row)
        rows = self._connection.run(statement)
        try:
            if next(rows, None) is not None:
                raise SqlFailure(*when_row)
        finally:
            rows.close()

    def _refuse_returning(self, statement: Statement, answer: tuple[int, str]) -> None:
        # a node answers this way, keeps the write or not, and aborts at the next statement of any connection
        if not statement.readonly and statement.columns and survey(statement.sql).returning:
            self._report(HazardKind.RETURNING, statement.sql)
            raise SqlFailure(*answer)

    def _rows(self, statement: Statement, *, masked: bool) -> RowBatches:
        release = self._release
        silent = not statement.columns
        if statement.readonly:
            if silent and not release.runs_silent_reads_in_query:
                raise SqlFailure(1, self._connection.message)
        elif not release.runs_writes_in_query:
            if silent:
                raise SqlFailure(1, self._connection.message)
            self._refuse_returning(statement, (1, f"RETURNING aborts {release.title}"))
        elif not release.returning:
            self._step(statement, _ROWS_IN_QUERY)
            return RowBatches(statement, _no_rows())
        rows = self._connection.run(statement)
        if release.masks_query_sql and not statement.readonly:
            rows = _queued(rows, masked)
        batches = RowBatches(statement, rows)
        if batches.endless:
            self._report(HazardKind.ENDLESS_ROWS, statement.sql)
        return batches


def _no_rows() -> Rows:
    yield from ()


def _queued(rows: Rows, masked: bool) -> Rows:
    # a lock that no connection of this server holds: another process's, on a file that is served where it is
    try:
        yield from rows
    except SqlFailure as error:
        if (error.code, error.message) != LOCKED:
            raise
        failure = SqlFailure(*STATEMENT_TAIL) if masked else error
        failure.before_rows = True
        raise failure from None
