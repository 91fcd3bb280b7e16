"""`dqlite-wire dump`: a database of a live cluster as one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from dqlitewire.cli.answers import failure
from dqlitewire.cli.dialling import Dialling, TargetArgument, target_of, timeout_option
from dqlitewire.cli.dumping import STDOUT, TIMEOUT, copy, destination
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import fail, tell
from dqlitewire.cli.statements import checked_database
from dqlitewire.client import ClientError, connect

EXITS = (Exit.OK, Exit.INPUT, Exit.REFUSED, Exit.FAILED)
PATIENCE = 30.0  # seconds without a byte


@dataclass(frozen=True)
class DumpDialling(Dialling):
    """How nodes are reached, for as long as a large database takes."""

    timeout: Annotated[
        float, timeout_option(f"Time that all may take; {PATIENCE:g} without a byte end it, too.")
    ] = TIMEOUT

    @property
    def patience(self) -> float:
        """Seconds that one wait may take."""
        return min(self.timeout, PATIENCE)


def command(
    target: TargetArgument,
    database: Annotated[
        str, typer.Argument(metavar="DATABASE", help="Name of the database, as its users open it.")
    ],
    file: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; - for standard output.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
    *,
    dialling: DumpDialling,
) -> Exit:
    """Copy a database of a live cluster into one file that SQLite opens.

    It holds all that was committed when the command began, its WAL folded in. FILE appears when it is
    complete, with mode 0600. The leader is found from any node.

    Example: dump 10.0.0.1:9001 app.db -o copy.db
    """
    if not file:
        raise typer.BadParameter("FILE is empty")
    nodes = target_of(target)
    checked_database(database)
    options = dialling.options(nodes)
    deadline = dialling.deadline()
    try:
        with (
            destination(file, force) as write,
            connect(nodes, options=options, timeout=dialling.patience) as client,
        ):
            said = copy(client, database, write, deadline)
    except ClientError as error:
        fail(*failure(error))
    tell(said if file == STDOUT else f"{file}: {said}")
    return Exit.OK
