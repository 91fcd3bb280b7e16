"""`dqlite-wire decode`: every message on a line, a tree, a hexdump or as JSON."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer

from dqlitewire import RequestType, ResponseType
from dqlitewire.cli.options import WidthOption, finite
from dqlitewire.cli.output import Exit, colourful, emit, emit_json, fail, joined, painted, warn, width
from dqlitewire.cli.progress import watched
from dqlitewire.conversation import Side
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.item import NO_FRAMES, OTHER_TYPES, Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.select import Selection
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.sources.direction import guess
from dqlitewire.traffic.sources.formats import Format, open_source, recognise
from dqlitewire.traffic.sources.inputs import file_id, open_input
from dqlitewire.traffic.sources.pair import open_pair
from dqlitewire.traffic.sources.pieces import Connection
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.sources.transcript_writer import TranscriptWriter
from dqlitewire.traffic.views.json_object import json_text
from dqlitewire.traffic.views.line import Clock, Line, line
from dqlitewire.traffic.views.recorded import record
from dqlitewire.traffic.views.tree import hexdump, tree

POLL = 0.2  # seconds between looks at a growing file


class Direction(StrEnum):
    """Who sent an input with one direction."""

    REQUEST = "request"
    RESPONSE = "response"


class Times(StrEnum):
    """How times are written."""

    RELATIVE = "relative"
    UTC = "utc"
    LOCAL = "local"
    DELTA = "delta"
    NONE = "none"


Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE",
        help="pcap, pcapng, transcript, raw stream, hex or other text; - is standard input.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="What the sources are (default: look).")
]
DirectionOption = Annotated[
    Direction | None, typer.Option("--direction", help="Who sent a raw stream or text (default: guess).")
]
PortOption = Annotated[
    list[int] | None,
    typer.Option(
        "--port",
        min=1,
        max=65535,
        metavar="PORT",
        help="dqlite port in a capture (default: found by the handshake).",
    ),
]
RequestsOption = Annotated[
    str | None,
    typer.Option("--requests", metavar="FILE", help="What a client sent; with --responses, one connection."),
]
ResponsesOption = Annotated[
    str | None, typer.Option("--responses", metavar="FILE", help="What the server sent.")
]
RedactOption = Annotated[bool, typer.Option("--redact", help="Hide values, keep their shapes.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("decode")(command)


def command(
    sources: Sources = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="A tree of fields with byte ranges.")
    ] = False,
    hexadecimal: Annotated[bool, typer.Option("-x", "--hex", help="A hexdump with field names.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="NAME", help="Only messages of this type, such as QUERY_SQL."),
    ] = None,
    connections: Annotated[
        list[int] | None, typer.Option("--connection", "-c", metavar="N", help="Only this connection.")
    ] = None,
    sql: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Only requests whose SQL contains this, and their answers."),
    ] = None,
    grep: Annotated[
        str | None, typer.Option(metavar="REGEX", help="The same with a regular expression.")
    ] = None,
    min_latency: Annotated[
        float | None,
        typer.Option(metavar="MS", min=0, max=1e9, callback=finite, help="Only requests that took so long."),
    ] = None,
    failures: Annotated[
        bool, typer.Option("--failures", help="Only requests that failed or got no answer.")
    ] = False,
    redact: RedactOption = False,
    limit_rows: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Show so many rows of a ROWS message.")
    ] = None,
    times: Annotated[Times, typer.Option("--time", help="How to write times.")] = Times.RELATIVE,
    no_time: Annotated[
        bool, typer.Option("--no-time", help="No times and latencies: output that can be compared.")
    ] = False,
    columns: WidthOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more at the end of a growing file.")
    ] = False,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write", "-w", metavar="FILE", help="Append to a transcript (.dqt) instead of showing."
        ),
    ] = None,
    format: FormatOption = None,
    direction: DirectionOption = None,
    ports: PortOption = None,
    requests: RequestsOption = None,
    responses: ResponsesOption = None,
) -> None:
    """Show dqlite traffic, one line a message.

    Exit code: 0 all decoded, 1 some bytes were no dqlite, 3 nothing could be read.
    """
    selection = Selection(
        _known_types(types or []),
        frozenset(connections or ()),
        sql,
        _pattern(grep),
        None if min_latency is None else round(min_latency * 1e6),
        failures,
    )
    view = View(
        as_json,
        verbose,
        hexadecimal,
        limit_rows,
        Clock("none" if no_time else times.value),
        width(columns),
        not no_time,
    )
    _refuse_own_output([*(sources or ["-"]), requests, responses], write)
    damage = Damage()
    opened = open_sources(sources, requests, responses, format, direction, ports, follow, redact)
    try:
        for source in opened:
            with source:
                quiet = sys.stdout.isatty() or follow
                stream = damage.watch(watched(items(source, redacted=redact), source, quiet))
                if write is not None:
                    _record(selection(stream), write, redact)
                else:
                    view.show(selection(stream), follow)
                damage.notes += source.notes
                damage.skipped += source.damaged
    except KeyboardInterrupt:
        if not follow:
            raise
    damage.report()
    raise typer.Exit(int(Exit.DAMAGED if damage.found else Exit.OK))


def _refuse_own_output(names: Iterable[str | None], write: Path | None) -> None:
    """Refuse an input that grows by what is written, before anything is: reading it would never end."""
    written = {_identity(sys.stdout), _identity(write)} - {None}
    for name in names:
        if _identity(sys.stdin if name == "-" else name) in written:
            fail(f"{'stdin' if name == '-' else name}: both read and written", Exit.USAGE)


def _identity(file: str | Path | TextIO | None) -> object:
    """What tells a file from others, a path also before the file is there; None of no regular file."""
    if isinstance(file, (str, Path)) and not os.path.exists(file):
        with contextlib.suppress(ValueError):  # a NUL: no path
            return os.path.realpath(file)
    return file_id(file)


def open_sources(
    names: list[str] | None,
    requests: str | None,
    responses: str | None,
    format: Format | None,
    direction: Direction | None,
    ports: list[int] | None,
    follow: bool = False,
    redact: bool = False,
) -> Iterator[Source]:
    """Open what the command line names; two raw streams of different directions are one connection."""
    try:
        yield from _open_sources(names, requests, responses, format, direction, ports, follow)
    except SourceError as error:
        raise (error.without_quotes() if redact else error) from None


def _open_sources(
    names: list[str] | None,
    requests: str | None,
    responses: str | None,
    format: Format | None,
    direction: Direction | None,
    ports: list[int] | None,
    follow: bool,
) -> Iterator[Source]:
    side = None if direction is None else Side.CLIENT if direction is Direction.REQUEST else Side.SERVER
    if requests is not None and responses is not None:
        yield open_pair(requests, responses)
    elif requests is not None or responses is not None:
        name = requests if requests is not None else responses
        assert name is not None
        side = Side.CLIENT if requests is not None else Side.SERVER
        yield open_source(name, format=format, side=side, more=_more if follow else None)
    names = list(names or ([] if requests or responses else ["-"]))
    if names == ["-"] and sys.stdin.isatty():
        fail("nothing to decode: name a file, or pipe something in", Exit.USAGE)
    if len(names) == 2 and (pair := _as_pair(names, format, side)) is not None:
        yield pair
        return
    read = 0
    for name in names:
        if len(names) > 1 and name != "-" and not follow and _empty(name):
            warn(f"{name}: empty, left out")
            continue
        read += 1
        yield open_source(name, format=format, side=side, ports=ports or (), more=_more if follow else None)
    if names and not read:
        raise typer.Exit(int(Exit.INPUT))


def _empty(name: str) -> bool:
    input = open_input(name)
    try:
        return input.size == 0
    finally:
        input.close()


def _as_pair(names: list[str], format: Format | None, side: Side | None) -> Source | None:
    if side is not None or format not in (None, Format.RAW) or "-" in names:
        return None
    first, second = names
    sides = _raw_side(first), _raw_side(second)
    if sides[0] is Side.CLIENT and sides[1] in (Side.SERVER, Format.RAW):
        return open_pair(first, second)
    if sides[1] is Side.CLIENT and sides[0] in (Side.SERVER, Format.RAW):
        return open_pair(second, first)
    return None


def _raw_side(name: str) -> Side | Format | None:
    """Who sent a raw stream; Format.RAW for an empty one, which may be either; None for anything else."""
    input = open_input(name)
    head = input.head()
    input.close()
    if not head:
        return Format.RAW
    return guess(head).side if recognise(head, name) is Format.RAW else None


def _more() -> bool:
    time.sleep(POLL)
    return True


def _known_types(names: list[str]) -> frozenset[str]:
    known = {*RequestType.__members__, *ResponseType.__members__}
    known |= OTHER_TYPES.keys()
    wanted = frozenset(name.strip().upper() for text in names for name in text.split(","))
    for name in sorted(wanted - known):
        if not name.startswith("TYPE "):
            fail(f"unknown type {name}: {', '.join(sorted(known))}", Exit.USAGE)
    return frozenset(name.lower() if name.startswith("TYPE ") else name for name in wanted)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        fail(f"--grep {text!r}: {error}", Exit.USAGE)


class Damage:
    """Counts what was no dqlite, for the last line and the exit code."""

    def __init__(self) -> None:
        self.places = self.bytes = self.undecoded = self.skipped = 0
        self.notes: list[str] = []

    def watch(self, stream: Iterable[Item]) -> Iterator[Item]:
        """Pass items on, counting."""
        for item in stream:
            if item.type in NO_FRAMES:
                self.places += 1
                self.bytes += item.size
            elif item.strange:
                self.undecoded += 1
            yield item

    @property
    def found(self) -> bool:
        """Whether there was any."""
        return bool(self.places or self.undecoded or self.skipped)

    def report(self) -> None:
        """Say so on standard error."""
        if self.places:
            self.notes.append(
                f"{counted(self.bytes, 'byte')} in {counted(self.places, 'place')} are no frames"
            )
        if self.undecoded:
            self.notes.append(
                f"{counted(self.undecoded, 'frame')} {'does' if self.undecoded == 1 else 'do'} not decode"
            )
        for note in self.notes:
            warn(note)


class View:
    """Writes items to standard output."""

    def __init__(
        self,
        as_json: bool,
        verbose: bool,
        hexadecimal: bool,
        limit_rows: int | None,
        clock: Clock,
        width: int,
        times: bool,
    ) -> None:
        self.as_json = as_json
        self.verbose = verbose
        self.hexadecimal = hexadecimal
        self.limit_rows = limit_rows
        self.clock = clock
        self.width = width
        self.times = times
        self.colour = colourful(sys.stdout)

    def show(self, stream: Iterable[Item], at_once: bool = False) -> None:
        """Write all items."""
        known: set[Connection] = set()
        for item in stream:
            if self.as_json:
                emit_json(json_text(item, self.limit_rows, self.times), at_once)
                continue
            if item.connection not in known:
                known.add(item.connection)
                self._introduce(item.connection, at_once)
            shown = line(item, self.clock, self.width, self.times)
            emit(self._painted(shown), at_once)
            for text in self._details(item):
                emit(text, at_once)

    def _introduce(self, connection: Connection, at_once: bool) -> None:
        if connection.client or connection.server:
            started = ", joined in the middle" if connection.midstream else ""
            text = f"-- connection {connection.number}: {connection.client} > {connection.server}{started}"
            emit(painted(text, "dim", self.colour), at_once)

    def _painted(self, shown: Line) -> str:
        if not self.colour:
            return str(shown)
        return joined(
            painted(f"{shown.time}{shown.place}", "dim", True),
            painted(shown.type, shown.style, True),
            f" {shown.text}" if shown.latency else f" {shown.text}".rstrip(),
            painted(shown.latency, "dim", True),
        )

    def _details(self, item: Item) -> Iterator[str]:
        if self.verbose and (span := item.spans()) is not None:
            rows = 64 if self.limit_rows is None else self.limit_rows
            yield from (f"    {text}" for text in tree(span, self.width - 4, rows))
        if self.hexadecimal and item.data:
            yield from hexdump(item.data, item.spans(), self.width)


def _record(stream: Iterable[Item], path: Path, redacted: bool) -> None:
    try:
        with TranscriptWriter(path, redacted=redacted) as writer:
            for item in stream:
                record(writer, item)
    except OSError as error:  # of the writer: sources have an error of their own
        fail(f"{path}: {error.strerror or error}")
