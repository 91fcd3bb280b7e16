"""Messages on the terminal: the options that say how, and what writes them. For decode, and for a live proxy."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from dqlitewire.cli.options import WidthOption, choice
from dqlitewire.cli.output import colourful, emit, emit_json, joined, painted, width
from dqlitewire.explain import Span
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.sources.pieces import Connection
from dqlitewire.traffic.views.json_object import json_text
from dqlitewire.traffic.views.line import CLOCK_MODES, Clock, Line, line
from dqlitewire.traffic.views.tree import hexdump, tree


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
