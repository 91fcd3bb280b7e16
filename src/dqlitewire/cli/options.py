"""Options that several commands have, and the numbers they may take."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from dqlitewire.cli.output import MAX_WIDTH

LONGEST = 86_400.0  # seconds that a command may be told to wait


def finite(value: float | None) -> float | None:
    """Refuse what is no number: it is neither below a smallest nor above a greatest value."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is no number")
    return value


WidthOption = Annotated[
    int | None,
    typer.Option("--width", min=40, max=MAX_WIDTH, metavar="N", help="Columns to fit lines into."),
]
