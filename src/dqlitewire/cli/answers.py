"""Statements are run and their answers shown: what `query` and the shell have in common.

Only the client knows when a query is over. If showing its rows ends early, because the reader of our output
has gone or at Ctrl-C, the connection is closed at once: a server reads an INTERRUPT only behind all rows, and
a connection that is gone is what stops it.

JSON is one object a line: `{"columns": [..], "rows": [[..], ..]}`, written as its rows come, values as
`decode --json` writes them. If rows are missing, since the query failed or was interrupted, the object is
ended with `error`, which says why; a statement that could not begin has no object.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import emit, emit_data, emit_json, tell, warn
from dqlitewire.cli.statements import Statement, needs_write
from dqlitewire.cli.tables import Form, Row, Table, csv_lines
from dqlitewire.client import Client, ClientError, NoDatabaseError, NoLeaderError, StatementFailed
from dqlitewire.conversation import Outcome, Retry
from dqlitewire.dial import Deadline
from dqlitewire.dial.client import SPOKEN
from dqlitewire.messages import ResultResponse
from dqlitewire.text import shown
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.views.json_object import plain

_CHANGING = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE"})
_INSERTING = frozenset({"INSERT", "REPLACE"})
_ANYTHING = "SELECT EXISTS (SELECT 1 FROM sqlite_master)"


@dataclass(frozen=True)
class Display:
    """How answers are shown.

    Attributes:
        form: of rows.
        width: of a table: columns that its lines fit into.
        colour: of a table: whether the terminal shows colours.
    """

    form: Form
    width: int
    colour: bool = False

    def rows(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Write the rows of a query to standard output as they come.

        Args:
            columns: their names.
            rows: may raise between two; what came before is written then.
        """
        match self.form:
            case Form.TABLE:
                for line in Table(columns, self.width, self.colour).lines(rows):
                    emit(line)
            case Form.JSON:
                _json_rows(columns, rows)
            case Form.CSV:
                for line in csv_lines(columns, rows):
                    emit_data(line)

    def done(self, verb: str, result: ResultResponse) -> None:
        """Say what a statement without rows has done; with CSV on standard error.

        Args:
            verb: of the statement.
            result: its answer, in which the numbers of other statements than these are left over from others.
        """
        changed = result.rows_affected if verb in _CHANGING else None
        last = result.last_insert_id if verb in _INSERTING and changed else None
        if self.form is Form.JSON:
            emit_json(json.dumps({"rows_affected": changed, "last_insert_id": last}), at_once=True)
            return
        said = "done" if changed is None else f"{counted(changed, 'row')} changed"
        said += "" if last is None else f", last insert id {last}"
        (tell if self.form is Form.CSV else emit)(said)


def _json_rows(columns: Sequence[str], rows: Iterable[Row]) -> None:
    emit_json(f'{{"columns": {_json(columns)}, "rows": [', end="")
    try:
        for number, row in enumerate(rows):
            emit_json(f"{', ' if number else ''}{_json(row)}", end="")
    except (KeyboardInterrupt, ClientError) as error:
        said = failure(error)[0] if isinstance(error, ClientError) else "interrupted"
        emit_json(f'], "error": {_json(said)}}}', at_once=True)
        raise
    emit_json("]}", at_once=True)


def _json(value: object) -> str:
    return json.dumps(plain(value), ensure_ascii=False)


class MayWrite(ClientError):
    """A statement that this program does not know and the server does."""


def answer(
    client: Client,
    statement: Statement,
    display: Display,
    deadline: Deadline | None = None,
    lasting: bool = False,
) -> None:
    """Run a statement and show its answer.

    Args:
        client: connected.
        statement: checked.
        display: how to show the answer.
        deadline: for waiting; None for the client's own timeout.
        lasting: whether the client is used on when this one ends early; else it is closed.

    Raises:
        ClientError: it failed.
        HazardError: it would harm the server.
    """
    if statement.doubtful:
        client.query(f"EXPLAIN {statement.sql}", statement.params, deadline=deadline).close()
        raise MayWrite(f"refused: {needs_write(statement)}")
    if not statement.rows:
        display.done(statement.verb, client.execute(statement.sql, statement.params, deadline=deadline))
        return
    result = client.query(statement.sql, statement.params, deadline=deadline)
    try:
        display.rows(result.columns, result)
    except ClientError:
        raise
    except BaseException:
        (result if lasting else client).close()
        raise


def warn_of_empty(client: Client, database: str, deadline: Deadline | None = None) -> None:
    """Say on standard error that there is nothing in a database: OPEN makes one of any name.

    Args:
        client: with the database open.
        database: its name.
        deadline: for waiting; None for the client's own timeout.

    Raises:
        ClientError: it could not be found out.
    """
    if list(client.query(_ANYTHING, deadline=deadline)) == [(0,)]:
        warn(f"database {shown(database, 60)} is empty: is it new, or is the name wrong?")


def failure(error: ClientError) -> tuple[str, Exit]:
    """Return what to say of an error, and the exit code.

    Args:
        error: of a client.
    """
    unknown = "; it may have been executed" if getattr(error, "outcome", None) is Outcome.UNKNOWN else ""
    match error:
        case StatementFailed():
            info = error.explanation
            # of what fails whenever it is tried, the meaning says what stays
            return f"{error} ({info.meaning}{'' if info.retry is Retry.NO else unknown})", Exit.FAILED
        case NoDatabaseError():
            return str(error), Exit.FAILED
        case MayWrite():
            return str(error), Exit.REFUSED
        case NoLeaderError():
            said = {attempt.said for attempt in error.attempts}
            return str(error) + "".join(
                f"; {_OPTIONS[each]}" for each in _OPTIONS if each in said
            ), Exit.INPUT
        case _:
            return f"{error}{unknown}", Exit.INPUT


#: what the command line has for a peer that speaks otherwise than it was spoken to
_OPTIONS = {
    SPOKEN["tls"]: "for TLS give --ca, --cert or --server-name",
    SPOKEN["http"]: "for HTTP give --upgrade PATH",
}
