"""A database is copied into a file: what `dump` and the shell have in common.

A WAL or a journal beside FILE is a part of another database, mostly of one that was there before. SQLite
would take it for one of the copy, and show what that database had. So the copy is refused, whatever is asked
for: what may be deleted, only its owner knows.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import emit_bytes, fail
from dqlitewire.cli.progress import receiving
from dqlitewire.cli.whole_file import whole_file
from dqlitewire.client import Client
from dqlitewire.dial import Deadline
from dqlitewire.traffic.errors import FileExistsAlready
from dqlitewire.traffic.shorten import counted

STDOUT = "-"
WITH_DATABASE = ("-wal", "-journal")  # endings of files that SQLite reads with a database
TIMEOUT = 600.0  # seconds that a whole database may take
Write = Callable[[bytes | memoryview], int]


@contextmanager
def destination(file: str, force: bool) -> Generator[Write]:
    """Open what a database is written to; a file appears when the block ends.

    Args:
        file: its path, or "-" for standard output.
        force: overwrite a file that is there.

    Raises:
        SourceError: it cannot be written, is there already, or has a WAL or journal of another database.
        SystemExit: standard output is a terminal; this was said.
    """
    if file != STDOUT:
        _check_companions(file)
        with whole_file(file, force) as opened:
            yield opened.write
        return
    if sys.stdout.isatty():
        fail("standard output is a terminal: name a file, or send it through a pipe", Exit.REFUSED)
    yield emit_bytes


def _check_companions(file: str) -> None:
    with suppress(ValueError):  # no path, as is said later
        place = os.path.realpath(file)
        for ending in WITH_DATABASE:
            if os.path.exists(place + ending) and os.path.getsize(place + ending):
                raise FileExistsAlready(f"{file}{ending}: is there", "SQLite would read it into the copy")


def copy(client: Client, database: str, write: Write, deadline: Deadline) -> str:
    """Copy a database of a cluster.

    Args:
        client: connected.
        database: its name.
        write: of the destination.
        deadline: for all that comes.

    Returns:
        What was copied, in words.

    Raises:
        ClientError: it could not be fetched.
        OSError: it could not be written.
    """
    with receiving(database) as progress:
        dump = client.dump(database, progress=progress, deadline=deadline)
    size = sum(map(write, dump.chunks()))
    return f"{database}, {counted(size, 'byte')}, from {client.leader.address}"
