"""`dqlite-wire decode`: every message on a line, a tree, a hexdump or as JSON."""

from __future__ import annotations

import contextlib
import os
import sys
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
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.inputs import file_id
from dqlitewire.traffic.sources.pieces import Connection
from dqlitewire.traffic.sources.transcript_writer import TranscriptWriter
from dqlitewire.traffic.views.json_object import json_text
from dqlitewire.traffic.views.line import CLOCK_MODES, Clock, Line, line
from dqlitewire.traffic.views.recorded import record
from dqlitewire.traffic.views.tree import hexdump, tree

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
    columns: WidthOption = None


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
    selection = filters.selection()
    view = View(display)
    _refuse_own_output(inputs.names, write)
    damage = Damage()
    quiet = sys.stdout.isatty() or follow
    try:
        for source in inputs.open(follow):
            with source:
                stream = damage.watch(watched(items(source, redacted=inputs.redact), source, quiet))
                if write is not None:
                    _record(selection(stream), write, inputs.redact)
                else:
                    view.show(selection(stream), follow)
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
    """Writes items to standard output."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._clock = Clock("none" if display.no_time else display.times)
        self._width = width(display.columns)
        self._colour = colourful(sys.stdout)

    def show(self, stream: Iterable[Item], at_once: bool = False) -> None:
        """Write all items."""
        times, limit_rows = not self._display.no_time, self._display.limit_rows
        known: set[Connection] = set()
        for item in stream:
            if self._display.as_json:
                emit_json(json_text(item, limit_rows, times), at_once)
                continue
            if item.connection not in known:
                known.add(item.connection)
                self._introduce(item.connection, at_once)
            emit(self._painted(line(item, self._clock, self._width, times)), at_once)
            for text in self._details(item):
                emit(text, at_once)

    def _introduce(self, connection: Connection, at_once: bool) -> None:
        if connection.client or connection.server:
            started = ", joined in the middle" if connection.midstream else ""
            text = f"-- connection {connection.number}: {connection.client} > {connection.server}{started}"
            emit(painted(text, "dim", self._colour), at_once)

    def _painted(self, shown: Line) -> str:
        if not self._colour:
            return str(shown)
        return joined(
            painted(f"{shown.time}{shown.place}", "dim", True),
            painted(shown.type, shown.style, True),
            f" {shown.text}" if shown.latency else f" {shown.text}".rstrip(),
            painted(shown.latency, "dim", True),
        )

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
