"""The options of a view that is shown again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from dqlitewire.cli.options import LONGEST, WidthOption, choice, finite

ORDERS = ("rate", "time", "latency", "rows", "failures")  # as in traffic.views.live
WINDOW = 10.0  # seconds


@dataclass(frozen=True)
class How:
    """How it is shown."""

    once: Annotated[
        bool, typer.Option("--once", help="Print it once: all of a capture, one round of nodes.")
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, each time.")] = False
    interval: Annotated[
        float,
        typer.Option(
            min=0.1, max=LONGEST, metavar="SECONDS", callback=finite, help="How often to show it anew."
        ),
    ] = 1.0
    count: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after so many times.")] = None
    sort: Annotated[str, choice(ORDERS, "--sort", help="What statements are sorted by.")] = "rate"
    window: Annotated[
        float,
        typer.Option(
            min=1, max=LONGEST, metavar="SECONDS", callback=finite, help="Show the last so many seconds."
        ),
    ] = WINDOW
    columns: WidthOption = None
