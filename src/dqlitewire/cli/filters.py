"""The options that select messages, of every command that reads recorded traffic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.options import finite
from dqlitewire.cli.output import fail
from dqlitewire.traffic.item import TYPES
from dqlitewire.traffic.select import Selection


@dataclass(frozen=True)
class Filters:
    """Which messages are wanted."""

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
            "--sql", metavar="TEXT", help="Only requests whose SQL has this, and their answers; in any case."
        ),
    ] = None
    grep: Annotated[
        str | None,
        typer.Option(
            "--grep", metavar="REGEX", help="The same with a regular expression; (?-i:..) minds case."
        ),
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

    def selection(self, whole: bool = False) -> Selection:
        """Return what picks them out.

        Args:
            whole: types select requests with all their answers.

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
            whole,
        )


def _known_types(names: list[str]) -> frozenset[str]:
    wanted = frozenset(name.strip().upper() for text in names for name in text.split(","))
    for name in sorted(wanted - TYPES):
        if not name.startswith("TYPE "):
            near = get_close_matches(name, TYPES, 1, 0.75)
            told = f"did you mean {near[0]}?" if near else ", ".join(sorted(TYPES))
            fail(f"unknown type {name}: {told}", Exit.USAGE)
    return frozenset(name.lower() if name.startswith("TYPE ") else name for name in wanted)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        fail(f"--grep {text!r}: {error}", Exit.USAGE)
