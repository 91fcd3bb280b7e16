"""The command `dqlite-wire`."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; without its extra packages, say how to get them."""
    try:
        from dqlitewire.cli import ending  # takes long enough to be interrupted

        code = ending.exit_code_of(_command)
    except KeyboardInterrupt:  # meanwhile, or for the second time
        code = 130
    sys.exit(code)


def _command() -> int:
    from dqlitewire.cli import ending

    try:
        for package in ("typer", "rich"):
            importlib.import_module(package)
    except ImportError as error:
        ending.missing(error, "cli")
    from dqlitewire.cli.app import run

    return run(sys.argv[1:])
