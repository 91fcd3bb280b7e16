"""Messages on the terminal: the options that say how, and what writes them; for decode and the proxy."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from dqlitewire.cli.options import WidthOption, choice
from dqlitewire.cli.output import colourful, emit, emit_json, joined, painted, width
from dqlitewire.explain import Span
from dqlitewire.text import printable
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.shorten import middle
from dqlitewire.traffic.sources.pieces import Connection
from dqlitewire.traffic.views.fold import Fold, Folded, folded_line, unfolded
from dqlitewire.traffic.views.json_object import json_text
from dqlitewire.traffic.views.line import CLOCK_MODES, Clock, Line, line
from dqlitewire.traffic.views.tree import NARROW, hexdump, tree


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


class View:
    """Writes items to standard output.

    Attributes:
        clock: to be told of all items of a source (`Clock.watch`), before some are left out.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self.clock: Clock = Clock("none" if display.no_time else display.times)
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
        detailed = self._display.verbose or self._display.hexadecimal
        for shown in stream:
            if isinstance(shown, Folded):
                self._emit(folded_line(shown, self.clock, self._width), at_once)
                continue
            if shown.connection not in known:
                known.add(shown.connection)
                self._introduce(shown.connection, at_once)
            self._emit(line(shown, self.clock, self._width, not self._display.no_time), at_once)
            if detailed:
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
        elif shown.below:
            for text in str(shown).split("\n"):
                emit(text, at_once)
        else:
            emit(str(shown), at_once)

    def _details(self, item: Item) -> Iterator[str]:
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
