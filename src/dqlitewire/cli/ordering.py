"""The options of commands that spoil traffic: faults ordered from the start, in words or from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import fail

if TYPE_CHECKING:
    from dqlitewire.faults import Fault


@dataclass(frozen=True)
class Ordering:
    """Faults."""

    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="WORDS", help="Order a fault: 'fail code=5 times=2 on=EXEC_SQL'."),
    ] = None
    faults: Annotated[
        list[Path] | None, typer.Option("--faults", metavar="FILE.toml", help="Order the faults of a file.")
    ] = None
    seed: Annotated[
        int, typer.Option("--seed", min=0, metavar="N", help="Of the draws of faults with a probability.")
    ] = 0

    def read(self) -> list[Fault]:
        """Return the faults, in order; end the command where words order none."""
        if not (self.fault or self.faults):
            return []
        from dqlitewire.faults.words import FaultWordsError, parse_faults, read_faults

        try:
            found = parse_faults(self.fault or ())
        except FaultWordsError as error:
            fail(f"--fault: {error}", Exit.USAGE)
        for path in self.faults or ():
            try:
                found += read_faults(path)
            except FaultWordsError as error:
                fail(f"--faults: {error}", Exit.USAGE)
            except OSError as error:
                fail(f"--faults: {path}: {error.strerror or error}")
        return found
