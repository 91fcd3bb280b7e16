"""`dqlite-wire stats`: what was asked, how often, how fast, and what went wrong."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.options import WidthOption, choice
from dqlitewire.cli.output import colourful, emit, emit_json, width
from dqlitewire.cli.progress import watched
from dqlitewire.cli.sources import Damage, Inputs
from dqlitewire.traffic.items import items
from dqlitewire.traffic.stats import SORTS, Statistics
from dqlitewire.traffic.views.report import report, report_json

EXITS = (Exit.OK, Exit.DAMAGED, Exit.INPUT)


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Show so many statements.")] = 20,
    sort: Annotated[str, choice(SORTS, "--sort", help="What to rank statements by.")] = "total",
    columns: WidthOption = None,
    *,
    inputs: Inputs,
) -> Exit:
    """Count dqlite traffic: statements by cost, latencies, failures, retries, leaders, loops."""
    statistics = Statistics()
    damage = Damage()
    for source in inputs.open():
        with source:
            statistics.add_all(watched(items(source, redacted=inputs.redact, count_rows=True), source))
        damage.add(source)
    if as_json:
        emit_json(report_json(statistics, sort, top, damage.notes))
    else:
        room = width(columns, through_pipes=True)
        for text in report(statistics, sort, top, room, colourful(sys.stdout)):
            emit(text)
        damage.report()
    return Exit.DAMAGED if statistics.damaged else damage.exit
