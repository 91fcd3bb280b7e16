"""`dqlite-wire dump`: a database of a live cluster as one file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from dqlitewire.cli.dialling import Dialling, TargetArgument, target_of, timeout_option
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import emit_bytes, fail, tell
from dqlitewire.cli.progress import receiving
from dqlitewire.cli.whole_file import whole_file
from dqlitewire.dial import Deadline
from dqlitewire.traffic.shorten import counted

EXITS = (Exit.OK, Exit.INPUT, Exit.REFUSED, Exit.FAILED)
TIMEOUT = 600.0  # seconds of the whole, unless somebody says otherwise
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
    """
    if not file:
        raise typer.BadParameter("FILE is empty")
    nodes = target_of(target)
    options = dialling.options(nodes)
    from dqlitewire.cli.asking import failures_told
    from dqlitewire.client import connect

    if file == "-" and sys.stdout.isatty():
        fail("standard output is a terminal: name a FILE, or send it through a pipe", Exit.REFUSED)
    deadline = dialling.deadline()
    with _writing(file, force) as write, failures_told():
        search = Deadline(dialling.patience)
        with connect(nodes, options=options, timeout=dialling.patience, deadline=search) as client:
            with receiving(database) as progress:
                dump = client.dump(database, progress=progress, deadline=deadline)
            leader = client.leader.address
        size = sum(map(write, dump.chunks()))
    where = "" if file == "-" else f"{file}: "
    tell(f"{where}{database}, {counted(size, 'byte')}, from {leader}")
    return Exit.OK


@contextmanager
def _writing(file: str, force: bool) -> Generator[Callable[[bytes | memoryview], int]]:
    if file == "-":
        yield emit_bytes
        return
    with whole_file(file, force) as opened:
        yield opened.write
