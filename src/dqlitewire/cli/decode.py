"""`dqlite-wire decode`: every message on a line, a tree, a hexdump or as JSON."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, TextIO

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.filters import Filters
from dqlitewire.cli.output import fail
from dqlitewire.cli.pages import followed
from dqlitewire.cli.progress import watched
from dqlitewire.cli.showing import Display, View
from dqlitewire.cli.sources import Damage, Inputs, wait_while_read
from dqlitewire.traffic.errors import SourceError
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
    """Show dqlite traffic, one line a message.

    Example: decode --failures trace.pcap
    """
    selection = filters.selection()
    damage = Damage(selection)
    view = View(display)
    _refuse_own_output(inputs.names, write)
    if append and write is None:
        fail("--append goes with --write", Exit.USAGE)
    if pages is not None and inputs.redact:
        fail("--pages writes what --redact leaves out", Exit.USAGE)
    quiet = sys.stdout.isatty() or follow
    writing = None if write is None else _Writing(write, inputs.redact, append, not selection.by_connection)
    with followed(pages) as with_pages:
        try:
            for source in inputs.open(follow, wait_while_read if write is None and pages is None else None):
                with source:
                    found = items(source, redacted=inputs.redact, all_ends=write is not None)
                    passed = view.clock.watch(watched(with_pages(found), source, quiet))
                    stream = damage.watch(damage.select(passed))
                    if writing is not None:
                        writing.record(stream)
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


class _Writing:
    """Writes the items of sources into one transcript, one source behind the other."""

    def __init__(self, path: Path, redacted: bool, append: bool, picked: bool) -> None:
        self._path = path
        self._opens = partial(TranscriptWriter, path, redacted=redacted, settled=True, picked=picked)
        self._append = append
        self._picked = picked
        self._continued = False  # a source was written

    def record(self, stream: Iterable[Item]) -> None:
        """Write the items of a source; of one that cannot be read no new file is left."""
        is_new, item = not os.path.lexists(self._path), None
        try:
            with self._opens(append=self._append or self._continued, continued=self._continued) as writer:
                for item in stream:
                    record(writer, item, self._picked)
        except OSError as error:  # of the writer: sources have an error of their own
            fail(f"{self._path}: {error.strerror or error}")
        except SourceError:
            if is_new and item is None:
                self._path.unlink(missing_ok=True)
            raise
        self._continued = True
