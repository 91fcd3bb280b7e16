"""`dqlite-wire query`: ask a cluster a question in SQL.

The text is cut into its statements and judged as a whole (`statements`) before a node is dialled. One client
sends them in order, so that BEGIN .. COMMIT works, and the first that fails is the last. Their answers are
shown as they come (`answers`, `tables`).
"""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from typing import Annotated

import typer

from dqlitewire.cli.answers import Display, answer, failure, warn_of_empty
from dqlitewire.cli.dialling import Dialling, TargetArgument, target_of
from dqlitewire.cli.ending import missing
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.options import WidthOption
from dqlitewire.cli.output import colourful, fail, warn, width
from dqlitewire.cli.parameters import parameters
from dqlitewire.cli.statements import (
    Statement,
    check,
    checked_database,
    leaves_open,
    sql_text,
    statements,
)
from dqlitewire.cli.tables import Form
from dqlitewire.client import ClientError, connect
from dqlitewire.conversation import Generation, HazardError
from dqlitewire.dial import Deadline, DialOptions, Target
from dqlitewire.servers.hazards import WHAT_HAPPENS

EXITS = (Exit.OK, Exit.INPUT, Exit.REFUSED, Exit.FAILED)


def command(
    target: TargetArgument,
    database: Annotated[
        str, typer.Argument(metavar="DATABASE", help="Name of the database, as its users open it.")
    ],
    sql: Annotated[
        str | None,
        typer.Argument(
            metavar="SQL",
            help="One or more statements; - for standard input. Without it, on a terminal, a shell.",
            show_default=False,
        ),
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PARAM",
            help="Value of a parameter: NULL, true, false, a number, x'hex', else text. A -- before the "
            "first lets it begin with a minus.",
            show_default=False,
        ),
    ] = None,
    as_text: Annotated[bool, typer.Option("--text", help="Take every PARAM for text.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Let statements write.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a statement.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="RFC 4180, with a header.")] = False,
    columns: WidthOption = None,
    *,
    dialling: Dialling,
) -> Exit:
    """Ask a cluster in SQL: a table, JSON or CSV. The leader is found from any node.

    Examples: query 10.0.0.1:9001 app.db "SELECT * FROM users WHERE id = ?" 5; query --write @node app.db
    "UPDATE t SET a = ?" -- -5
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv: one of them")
    form = Form.JSON if as_json else Form.CSV if as_csv else Form.TABLE
    nodes = target_of(target)
    checked_database(database)
    options = dialling.options(nodes)
    display = Display(form, width(columns), colourful(sys.stdout))
    if sql is None:
        return _shell(nodes, database, options, dialling.timeout, display, write)
    text = sql_text(sql)
    found = _statements(text, params or [], as_text)
    if form is Form.CSV and sum(statement.rows for statement in found) > 1:
        raise typer.BadParameter("--csv: several statements give rows, and a file has one header")
    check(text, found, write, Generation.UNKNOWN)
    return _run(found, display, nodes, database, options, dialling.deadline())


def _statements(text: str, words: list[str], as_text: bool) -> list[Statement]:
    try:
        return statements(text, parameters(words, as_text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _shell(
    nodes: Target, database: str, options: DialOptions, timeout: float, display: Display, write: bool
) -> Exit:
    """Let a person ask, where there is one."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        fail("no SQL: name a statement, or - to read standard input", Exit.USAGE)
    try:
        shell = import_module(_SHELL)
    except ImportError as error:
        if error.name == _SHELL:
            fail("no SQL: name a statement", Exit.USAGE)
        missing(error, "cli")
    connected = partial(connect, nodes, database, options=options, timeout=timeout)
    code: Exit = shell.run(connected, database, display=display, write=write)
    return code


_SHELL = "dqlitewire.cli.shell"


def _run(
    found: list[Statement],
    display: Display,
    nodes: Target,
    database: str,
    options: DialOptions,
    deadline: Deadline,
) -> Exit:
    """Run statements in order, up to the first that fails."""
    running = ""
    try:
        with connect(nodes, database, options=options, timeout=deadline.seconds, deadline=deadline) as client:
            warn_of_empty(client, database, deadline)
            for number, statement in enumerate(found, 1):
                running = f"statement {number}: " if len(found) > 1 else ""
                answer(client, statement, display, deadline)
    except HazardError as error:
        fail(f"refused: {running}{WHAT_HAPPENS[error.hazard]}", Exit.REFUSED)
    except ClientError as error:
        said, code = failure(error)
        fail(f"{running}{said}", code)
    if leaves_open(found):
        warn("a transaction was begun and not ended: nothing of it stays")
    return Exit.OK
