"""The command `dqlite-wire`."""

from __future__ import annotations

import importlib
import sys

MISSING = "dqlite-wire: the command line needs more than the library: pip install dqlite-wire[cli]"


def main() -> None:
    """Run the command line; without its extra packages, say how to get them."""
    try:
        for package in ("typer", "rich"):
            importlib.import_module(package)
    except ImportError as error:
        sys.exit(f"{MISSING} ({error.name} is missing)")
    from dqlitewire.cli.app import run

    run()
