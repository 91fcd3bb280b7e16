"""`dqlite-wire decode`: every message on a line, a tree, a hexdump or as JSON."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TextIO

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.options import WidthOption, choice, finite
from dqlitewire.cli.output import colourful, emit, emit_json, fail, joined, painted, width
from dqlitewire.cli.progress import watched
from dqlitewire.cli.sources import Damage, Inputs
from dqlitewire.explain import Span
from dqlitewire.traffic.item import TYPES, Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.select import Selection
from dqlitewire.traffic.sources.inputs import file_id
from dqlitewire.traffic.sources.pieces import Connection
from dqlitewire.traffic.sources.transcript_writer import TranscriptWriter
from dqlitewire.traffic.views.json_object import json_text
from dqlitewire.traffic.views.line import CLOCK_MODES, Clock, Line, line
from dqlitewire.traffic.views.recorded import record
from dqlitewire.traffic.views.tree import hexdump, tree

EXITS = (Exit.OK, Exit.DAMAGED, Exit.INPUT, Exit.REFUSED)


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


@dataclass(frozen=True)
class Filters:
    """Which messages are shown."""

    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="NAME", help="Only messages of this type, such as QUERY_SQL."),
    ] = None
    connections: Annotated[
        list[int] | None, typer.Option("--connection", "-c", metavar="N", help="Only this connection.")
    ] = None
    sql: Annotated[
        str | None,
        typer.Option(
            "--sql", metavar="TEXT", help="Only requests whose SQL contains this, and their answers."
        ),
    ] = None
    grep: Annotated[
        str | None, typer.Option("--grep", metavar="REGEX", help="The same with a regular expression.")
    ] = None
    min_latency: Annotated[
        float | None,
        typer.Option(
            "--min-latency",
            metavar="MS",
            min=0,
            max=1e9,
            callback=finite,
            help="Only requests that took so long.",
        ),
    ] = None
    failures: Annotated[
        bool, typer.Option("--failures", help="Only requests that failed or got no answer.")
    ] = False

    def selection(self) -> Selection:
        """Return what picks them out.

        Raises:
            SystemExit: a type or a pattern is none.
        """
        return Selection(
            _known_types(self.types or []),
            frozenset(self.connections or ()),
            self.sql,
            _pattern(self.grep),
            None if self.min_latency is None else round(self.min_latency * 1e6),
            self.failures,
        )


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
    *,
    inputs: Inputs,
) -> Exit:
    """Show dqlite traffic, one line a message."""
    selection = filters.selection()
    view = View(display)
    _refuse_own_output(inputs.names, write)
    if append and write is None:
        fail("--append goes with --write", Exit.USAGE)
    damage = Damage()
    quiet = sys.stdout.isatty() or follow
    try:
        for source in inputs.open(follow):
            with source:
                stream = damage.watch(
                    watched(items(source, redacted=inputs.redact, all_ends=write is not None), source, quiet)
                )
                if write is not None:
                    _record(selection(stream), write, inputs.redact, append)
                    append = True  # behind what this command has written
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


def _known_types(names: list[str]) -> frozenset[str]:
    wanted = frozenset(name.strip().upper() for text in names for name in text.split(","))
    for name in sorted(wanted - TYPES):
        if not name.startswith("TYPE "):
            fail(f"unknown type {name}: {', '.join(sorted(TYPES))}", Exit.USAGE)
    return frozenset(name.lower() if name.startswith("TYPE ") else name for name in wanted)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        fail(f"--grep {text!r}: {error}", Exit.USAGE)


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
        if not (self._display.verbose or self._display.hexadecimal):
            return
        for data, span, title in (
            (item.data, item.spans(), ""),
            (item.sent, item.sent_spans(), "    went on as:"),
        ):
            lines = list(self._detailed(data, span))
            yield from [title] * bool(title and lines)
            yield from lines

    def _detailed(self, data: bytes | None, span: Span | None) -> Iterator[str]:
        display = self._display
        if display.verbose and span is not None:
            rows = 64 if display.limit_rows is None else display.limit_rows
            yield from (f"    {text}" for text in tree(span, self._width - 4, rows))
        if display.hexadecimal and data:
            yield from hexdump(data, span, self._width)


def _record(stream: Iterable[Item], path: Path, redacted: bool, append: bool) -> None:
    try:
        with TranscriptWriter(path, redacted=redacted, append=append, settled=True) as writer:
            for item in stream:
                record(writer, item)
    except OSError as error:  # of the writer: sources have an error of their own
        fail(f"{path}: {error.strerror or error}")
