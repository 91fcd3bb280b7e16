"""`dqlite-wire stats`: what was asked, how often, how fast, and what went wrong."""

from __future__ import annotations

import sys
from enum import Enum
from typing import Annotated

import typer

from dqlitewire.cli.decode import (
    DirectionOption,
    FormatOption,
    PortOption,
    RedactOption,
    RequestsOption,
    ResponsesOption,
    Sources,
    open_sources,
)
from dqlitewire.cli.options import WidthOption
from dqlitewire.cli.output import Exit, colourful, emit, emit_json, warn, width
from dqlitewire.cli.progress import watched
from dqlitewire.traffic.items import items
from dqlitewire.traffic.stats import SORTS, Statistics
from dqlitewire.traffic.views.report import report, report_json

Sort = Enum("Sort", {name: name for name in SORTS}, type=str)  # type: ignore[misc]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("stats")(command)


def command(
    sources: Sources = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Show so many statements.")] = 20,
    sort: Annotated[Sort, typer.Option(help="What to rank statements by.")] = Sort.total,  # type: ignore[attr-defined]
    columns: WidthOption = None,
    redact: RedactOption = False,
    format: FormatOption = None,
    direction: DirectionOption = None,
    ports: PortOption = None,
    requests: RequestsOption = None,
    responses: ResponsesOption = None,
) -> None:
    """Count dqlite traffic: statements by cost, latencies, failures, retries, leaders, loops.

    Exit code: 0 all decoded, 1 some bytes were no dqlite, 3 nothing could be read.
    """
    statistics = Statistics()
    notes: list[str] = []
    skipped = 0
    for source in open_sources(sources, requests, responses, format, direction, ports, redact=redact):
        with source:
            for item in watched(items(source, redacted=redact, count_rows=True), source):
                statistics.add(item)
        statistics.next_source()
        notes += source.notes
        skipped += source.damaged
    if as_json:
        emit_json(report_json(statistics, sort.value, top, notes))
    else:
        for text in report(
            statistics, sort.value, top, width(columns, through_pipes=True), colourful(sys.stdout)
        ):
            emit(text)
        for note in notes:
            warn(note)
    raise typer.Exit(int(Exit.DAMAGED if statistics.damaged or skipped else Exit.OK))
