"""What a person gave as SQL: its statements, checked as a whole before the first one is sent.

    wrong use    no text, nothing in it; parameters that are not as many as the statement takes, or of one of
                 several statements
    refused      a statement that may write, without --write; a hazard to any server, always

What begins as no statement of SQLite does is most likely misspelt, and the server has the better words for
it: without --write it is sent behind EXPLAIN, which compiles it and runs nothing (`answers`).

Each statement is sent on its own: rows come of a QUERY, and older servers drop what stands behind the first
statement of one (docs/servers.md).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from dqlitewire import RequestType
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import fail
from dqlitewire.cli.parameters import text as whole_text
from dqlitewire.cli.parameters import wanted
from dqlitewire.conversation import Generation
from dqlitewire.servers.hazards import HazardKind, harms, name_hazard
from dqlitewire.servers.sql_hazards import text_hazards
from dqlitewire.sql.reading import gives_rows, is_known, writing_part
from dqlitewire.sql.survey import split, survey
from dqlitewire.text import shown
from dqlitewire.traffic.shorten import counted, middle, one_line
from dqlitewire.values import WireValue

MAX_SQL = 16 << 20  # bytes of standard input that are taken for SQL
STDIN = "-"
UNFINISHED = "a transaction was begun and not ended: nothing of it stays"
_SHOWN = 40  # characters of a statement in an error
_ONE_BYTE = 255  # parameters that schema 0 can count
_MANY = HazardKind.MANY_PARAMS

_BEGINS = frozenset({"BEGIN", "SAVEPOINT"})
_ENDS = frozenset({"COMMIT", "END", "ROLLBACK"})


@dataclass(frozen=True)
class Statement:
    """One statement.

    Attributes:
        sql: its text.
        params: its parameters.
        rows: whether it is one that answers with rows.
        verb: its deciding keyword.
        doubtful: whether nobody knows if it writes, and it is not allowed to.
    """

    sql: str
    params: tuple[WireValue, ...]
    rows: bool
    verb: str
    doubtful: bool = False

    @property
    def short(self) -> str:
        """Its text, for a line."""
        return middle(one_line(self.sql), _SHOWN)


def sql_text(given: str) -> str:
    """Return the SQL that an argument is, or that standard input has.

    Args:
        given: the argument; "-" for standard input.

    Raises:
        typer.BadParameter: it is no text, or too long.
    """
    if given != STDIN:
        return _checked(given, "SQL")
    data = sys.stdin.buffer.read(MAX_SQL + 1)
    if len(data) > MAX_SQL:
        raise typer.BadParameter(f"standard input: over {MAX_SQL >> 20} MiB, more than any SQL")
    try:
        return _checked(data.decode("utf-8-sig"), "standard input")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"standard input: not UTF-8 at byte {error.start}") from None


def _checked(sql: str, what: str) -> str:
    try:
        return whole_text(sql)
    except ValueError as error:
        raise typer.BadParameter(f"{what}: {error}") from None


def checked_database(name: str) -> str:
    """Return the name of a database that may be opened.

    Args:
        name: as it was given.

    Raises:
        typer.BadParameter: it is no text.
        SystemExit: opening it is a hazard; this was said.
    """
    _checked(name, "DATABASE")
    hazard = name_hazard(name, Generation.UNKNOWN)
    if hazard is not None:
        refuse(f"database {shown(name)}", hazard)
    return name


def refuse(what: str, hazard: HazardKind) -> None:
    """Refuse what would harm a server.

    Args:
        what: it is, in words.
        hazard: why.

    Raises:
        SystemExit: always.
    """
    fail(f"refused: {what}: {hazard.happens}", Exit.REFUSED)


def statements(sql: str, params: Sequence[WireValue] = (), write: bool = False) -> list[Statement]:
    """Return the statements of a text.

    Args:
        sql: the text.
        params: of its only statement.
        write: whether they may write.

    Raises:
        ValueError: there is no statement, or its parameters are others than it takes.
    """
    texts = split(sql)
    if not texts:
        raise ValueError("no statement in it: nothing to run")
    if params and len(texts) > 1:
        raise ValueError(
            f"{counted(len(texts), 'statement')} with parameters: only a single one can have some"
        )
    for text in texts:
        takes = wanted(text)
        if takes is not None and takes != len(params):
            raise ValueError(f"{counted(takes, 'parameter')} in the statement, {len(params)} given")
    return [
        Statement(text, tuple(params), gives_rows(text), survey(text).verbs[0], not (write or is_known(text)))
        for text in texts
    ]


def check(
    sql: str,
    found: Sequence[Statement],
    write: bool,
    generation: Generation,
    in_transaction: bool | None = False,
) -> None:
    """Refuse statements that must not be sent.

    Args:
        sql: the whole text.
        found: its statements.
        write: whether they may write.
        generation: of the servers.
        in_transaction: whether a transaction is open before them; None if that is not known.

    Raises:
        SystemExit: one was refused; this was said.
    """
    open_before = in_transaction
    for statement in found:
        seen = survey(statement.sql)
        kind = RequestType.QUERY_SQL if statement.rows else RequestType.EXEC_SQL
        for row in text_hazards(seen, kind, generation, in_transaction):
            refuse(statement.short, row.kind)
        if len(statement.params) > _ONE_BYTE and harms(generation, _MANY.since, _MANY.before):
            refuse(statement.short, _MANY)
        in_transaction = _in_transaction(in_transaction, statement.verb)
    for row in text_hazards(survey(sql), RequestType.EXEC_SQL, generation, open_before):
        if row.kind is HazardKind.OR_FAIL:  # a table made by one statement, filled by a later one
            refuse(middle(one_line(sql), _SHOWN), row.kind)
    if not write:
        for statement in found:
            if writing_part(statement.sql) and not statement.doubtful:
                fail(f"refused: {needs_write(statement)}", Exit.REFUSED)


def needs_write(statement: Statement) -> str:
    """Return why a statement is not run without --write.

    Args:
        statement: one that may write.
    """
    return f"{writing_part(statement.sql)} may write, which needs --write: {statement.short}"


def _in_transaction(before: bool | None, verb: str) -> bool | None:
    if verb in _BEGINS:
        return True
    return False if verb in _ENDS else None if verb == "RELEASE" else before


def leaves_open(found: Sequence[Statement]) -> bool:
    """Tell whether statements end within a transaction.

    Args:
        found: the statements, from the first of their connection on.
    """
    state: bool | None = False
    for statement in found:
        state = _in_transaction(state, statement.verb)
    return state is True
