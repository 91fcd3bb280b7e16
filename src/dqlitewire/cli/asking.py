"""What `query` does: it checks the statements of a person, runs them in order, and shows their answers.

The text is cut into its statements and judged as a whole (`statements`) before a node is dialled. One client
sends them in order, so that BEGIN .. COMMIT works, and the first that fails is the last. Their answers are
shown as they come (`answers`, `tables`). Without a text there is the shell, which builds on the same parts.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import typer

from dqlitewire.cli.answers import Display, answer, failure, warn_of_empty
from dqlitewire.cli.dialling import Dialling
from dqlitewire.cli.ending import missing
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import colourful, fail, warn, width
from dqlitewire.cli.parameters import parameters
from dqlitewire.cli.statements import (
    UNFINISHED,
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


@dataclass(frozen=True)
class Wanted:
    """What is asked, as the command line has it.

    Attributes:
        database: its name.
        sql: the text; "-" for standard input, None for the shell.
        params: words of parameters.
        as_text: whether each of them is text.
        write: whether statements may write.
        as_json: rows as JSON.
        as_csv: rows as CSV.
        columns: of a table; None for those of the terminal.
    """

    database: str
    sql: str | None
    params: list[str]
    as_text: bool = False
    write: bool = False
    as_json: bool = False
    as_csv: bool = False
    columns: int | None = None

    @property
    def form(self) -> Form:
        """How rows are written.

        Raises:
            typer.BadParameter: in two ways.
        """
        if self.as_json and self.as_csv:
            raise typer.BadParameter("--json and --csv: one of them")
        return Form.JSON if self.as_json else Form.CSV if self.as_csv else Form.TABLE


def ask(nodes: Target, wanted: Wanted, dialling: Dialling) -> Exit:
    """Ask a cluster.

    Args:
        nodes: of the cluster.
        wanted: what is asked.
        dialling: how nodes are reached.

    Raises:
        typer.BadParameter: that is wrong use.
        SystemExit: it was refused, or failed; this was said.
    """
    display = Display(wanted.form, width(wanted.columns), colourful(sys.stdout))
    checked_database(wanted.database)
    options = dialling.options(nodes)
    if wanted.sql is None:
        return _shell(nodes, wanted, options, dialling.timeout, display)
    text = sql_text(wanted.sql)
    found = _statements(text, wanted)
    if display.form is Form.CSV and sum(statement.rows for statement in found) > 1:
        raise typer.BadParameter("--csv: several statements give rows, and a file has one header")
    check(text, found, wanted.write, Generation.UNKNOWN)
    return _run(found, display, nodes, wanted.database, options, dialling.deadline())


def _statements(text: str, wanted: Wanted) -> list[Statement]:
    try:
        return statements(text, parameters(wanted.params, wanted.as_text), wanted.write)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _shell(nodes: Target, wanted: Wanted, options: DialOptions, timeout: float, display: Display) -> Exit:
    """Let a person ask, where there is one."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        fail("no SQL: name a statement, or - to read standard input", Exit.USAGE)
    try:
        shell = import_module(_SHELL)
    except ImportError as error:
        if error.name == _SHELL:
            fail("no SQL: name a statement", Exit.USAGE)
        missing(error, "cli")
    connected = partial(connect, nodes, wanted.database, options=options, timeout=timeout)
    code: Exit = shell.run(connected, wanted.database, display=display, write=wanted.write)
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
    begun = 0
    running = ""
    try:
        with connect(nodes, database, options=options, timeout=deadline.seconds, deadline=deadline) as client:
            warn_of_empty(client, database, deadline)
            for begun, statement in enumerate(found, 1):
                running = f"statement {begun}: " if len(found) > 1 else ""
                answer(client, statement, display, deadline)
    except KeyboardInterrupt:
        if begun and not found[begun - 1].rows and not leaves_open(found[:begun]):
            warn(f"{running}interrupted; it may have been executed")
        raise
    except HazardError as error:
        fail(f"refused: {running}{WHAT_HAPPENS[error.hazard]}", Exit.REFUSED)
    except ClientError as error:
        said, code = failure(error)
        fail(f"{running}{said}", code)
    if leaves_open(found):
        warn(UNFINISHED)
    return Exit.OK
