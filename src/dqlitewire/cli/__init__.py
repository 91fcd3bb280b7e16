"""The command `dqlite-wire`."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

from dqlitewire.cli import ending


def main() -> NoReturn:
    """Run the command line; without its extra packages, say how to get them."""
    sys.exit(ending.of(_command))


def _command() -> int:
    try:
        for package in ("typer", "rich"):
            importlib.import_module(package)
    except ImportError as error:
        ending.missing(error, "cli")
    from dqlitewire.cli.app import run

    return run(sys.argv[1:])
