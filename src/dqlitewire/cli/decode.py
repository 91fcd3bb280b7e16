"""`dqlite-wire decode`: every message on a line, a tree, a hexdump or as JSON."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TextIO

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.filters import Filters
from dqlitewire.cli.output import fail
from dqlitewire.cli.pages import followed
from dqlitewire.cli.progress import watched
from dqlitewire.cli.showing import Display, View
from dqlitewire.cli.sources import Damage, Inputs
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.inputs import file_id
from dqlitewire.traffic.sources.transcript_writer import TranscriptWriter
from dqlitewire.traffic.views.recorded import record

EXITS = (Exit.OK, Exit.DAMAGED, Exit.INPUT, Exit.REFUSED)


def command(
    display: Display,
    filters: Filters,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more at the end of a growing file.")
    ] = False,
    write: Annotated[
        Path | None,
        typer.Option("--write", "-w", metavar="FILE", help="Write a transcript (.dqt) instead of showing."),
    ] = None,
    append: Annotated[
        bool, typer.Option("--append", help="With -w: continue a transcript that is there.")
    ] = False,
    pages: Annotated[
        Path | None,
        typer.Option(
            "--pages",
            metavar="DIR",
            help="Write the databases that nodes send each other into a new folder, as far as known.",
        ),
    ] = None,
    *,
    inputs: Inputs,
) -> Exit:
    """Show dqlite traffic, one line a message."""
    selection = filters.selection()
    damage = Damage(selection)
    view = View(display)
    _refuse_own_output(inputs.names, write)
    if append and write is None:
        fail("--append goes with --write", Exit.USAGE)
    if pages is not None and inputs.redact:
        fail("--pages writes what --redact leaves out", Exit.USAGE)
    quiet = sys.stdout.isatty() or follow
    with followed(pages) as with_pages:
        try:
            for source in inputs.open(follow):
                with source:
                    found = items(source, redacted=inputs.redact, all_ends=write is not None)
                    passed = view.clock.watch(watched(with_pages(found), source, quiet))
                    stream = damage.watch(damage.select(passed))
                    if write is not None:
                        _record(stream, write, inputs.redact, append, not selection.by_connection)
                        append = True  # behind what this command has written
                    else:
                        view.show(stream, follow)
                    damage.add(source)
        except KeyboardInterrupt:
            if not follow:
                raise
    damage.report()
    return damage.exit


def _refuse_own_output(names: Iterable[str], write: Path | None) -> None:
    """Refuse an input that grows by what is written, before anything is: reading it would never end."""
    written = {_identity(sys.stdout), _identity(write)} - {None}
    for name in names:
        if _identity(sys.stdin if name == "-" else name) in written:
            fail(f"{'stdin' if name == '-' else name}: both read and written", Exit.USAGE)


def _identity(file: str | Path | TextIO | None) -> object:
    """The identity of a file, of a path also before the file is there; None of no regular file."""
    if isinstance(file, (str, Path)) and not os.path.exists(file):
        with contextlib.suppress(ValueError):  # a NUL: no path
            return os.path.realpath(file)
    return file_id(file)


def _record(stream: Iterable[Item], path: Path, redacted: bool, append: bool, picked: bool) -> None:
    try:
        with TranscriptWriter(path, redacted=redacted, append=append, settled=True, picked=picked) as writer:
            for item in stream:
                record(writer, item, picked)
    except OSError as error:  # of the writer: sources have an error of their own
        fail(f"{path}: {error.strerror or error}")
