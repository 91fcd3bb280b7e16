"""`dqlite-wire decode`: every message on a line, a tree, a hexdump or as JSON."""

from __future__ import annotations

import contextlib
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TextIO

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.filters import Filters
from dqlitewire.cli.options import WidthOption, choice
from dqlitewire.cli.output import colourful, emit, emit_json, fail, joined, painted, width
from dqlitewire.cli.progress import watched
from dqlitewire.cli.sources import Damage, Inputs
from dqlitewire.text import printable
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.shorten import middle
from dqlitewire.traffic.sources.inputs import file_id
from dqlitewire.traffic.sources.pieces import Connection
from dqlitewire.traffic.sources.transcript_writer import TranscriptWriter
from dqlitewire.traffic.views.fold import Fold, Folded, folded_line, unfolded
from dqlitewire.traffic.views.json_object import json_text
from dqlitewire.traffic.views.line import CLOCK_MODES, Clock, Line, line
from dqlitewire.traffic.views.recorded import record
from dqlitewire.traffic.views.tree import NARROW, hexdump, tree

EXITS = (Exit.OK, Exit.DAMAGED, Exit.INPUT)


@dataclass(frozen=True)
class Display:
    """How messages are shown."""

    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="A tree of fields with byte ranges.")] = (
        False
    )
    hexadecimal: Annotated[bool, typer.Option("-x", "--hex", help="A hexdump with field names.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False
    limit_rows: Annotated[
        int | None,
        typer.Option("--limit-rows", min=0, metavar="N", help="Show so many rows of a ROWS message."),
    ] = None
    times: Annotated[str, choice(CLOCK_MODES, "--time", help="How to write times.")] = "relative"
    no_time: Annotated[
        bool, typer.Option("--no-time", help="No times and latencies: output that can be compared.")
    ] = False
    no_fold: Annotated[
        bool, typer.Option("--no-fold", help="Show each frame of rows, not the first and last of an answer.")
    ] = False
    columns: WidthOption = None

    @property
    def folds(self) -> bool:
        """Whether the frames of one answer are folded: not where a view shows what is in each."""
        return not (self.no_fold or self.verbose or self.hexadecimal or self.as_json)


def command(
    display: Display,
    filters: Filters,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more at the end of a growing file.")
    ] = False,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write", "-w", metavar="FILE", help="Append to a transcript (.dqt) instead of showing."
        ),
    ] = None,
    *,
    inputs: Inputs,
) -> Exit:
    """Show dqlite traffic, one line a message."""
    damage = Damage(filters.selection())
    view = View(display)
    _refuse_own_output(inputs.names, write)
    quiet = sys.stdout.isatty() or follow
    try:
        for source in inputs.open(follow):
            with source:
                passed = view.clock.watch(watched(items(source, redacted=inputs.redact), source, quiet))
                stream = damage.watch(damage.select(passed))
                if write is not None:
                    _record(stream, write, inputs.redact)
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


class View:
    """Writes items to standard output.

    Attributes:
        clock: to be told of all items of a source (`Clock.watch`), before some are left out.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self.clock = Clock("none" if display.no_time else display.times)
        self._width = width(display.columns)
        self._colour = colourful(sys.stdout)

    def show(self, stream: Iterable[Item], at_once: bool = False) -> None:
        """Write all items."""
        display = self._display
        if display.as_json:
            for item in stream:
                emit_json(json_text(item, display.limit_rows, not display.no_time), at_once)
            return
        fold = Fold()
        try:
            self._show(fold(stream) if display.folds else unfolded(stream), at_once)
        except KeyboardInterrupt:
            self._show(fold.rest(), at_once)
            raise

    def _show(self, stream: Iterable[Item | Folded], at_once: bool) -> None:
        known: set[Connection] = set()
        for shown in stream:
            if isinstance(shown, Folded):
                self._emit(folded_line(shown, self.clock, self._width), at_once)
                continue
            if shown.connection not in known:
                known.add(shown.connection)
                self._introduce(shown.connection, at_once)
            self._emit(line(shown, self.clock, self._width, not self._display.no_time), at_once)
            for text in self._details(shown):
                emit(text, at_once)

    def _introduce(self, connection: Connection, at_once: bool) -> None:
        said = [f"{connection.client} > {connection.server}"] * bool(connection.client or connection.server)
        said += ["joined in the middle"] * (connection.midstream and bool(said))
        said += [f"in {connection.source}"] * bool(connection.source)
        if said:
            text = f"-- connection {connection.number}: {', '.join(said)}"
            room = self._width
            if room < NARROW:
                rows = textwrap.wrap(printable(text), room, subsequent_indent="   ")
            else:
                rows = [middle(printable(text), room)]
            for row in rows:
                emit(painted(row, "dim", self._colour), at_once)

    def _emit(self, shown: Line, at_once: bool) -> None:
        if self._colour:
            for row in shown.rows():
                emit(joined(*(painted(text, style, True) if style else text for text, style in row)), at_once)
        else:
            for text in str(shown).split("\n"):
                emit(text, at_once)

    def _details(self, item: Item) -> Iterator[str]:
        display = self._display
        if display.verbose and (span := item.spans()) is not None:
            rows = 64 if display.limit_rows is None else display.limit_rows
            yield from (f"    {text}" for text in tree(span, self._width - 4, rows))
        if display.hexadecimal and item.data:
            yield from hexdump(item.data, item.spans(), self._width)


def _record(stream: Iterable[Item], path: Path, redacted: bool) -> None:
    try:
        with TranscriptWriter(path, redacted=redacted) as writer:
            for item in stream:
                record(writer, item)
    except OSError as error:  # of the writer: sources have an error of their own
        fail(f"{path}: {error.strerror or error}")
