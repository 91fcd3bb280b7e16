"""The command line's table of contents."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Annotated

import typer

from dqlitewire import __version__
from dqlitewire.cli import decode, explain, output, probe, stats
from dqlitewire.traffic.errors import SourceError

app = typer.Typer(
    name="dqlite-wire",
    help="See dqlite traffic: decode it, count it, explain it, ask a node.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    pretty_exceptions_enable=False,
)
for command in (decode, stats, explain, probe):
    command.register(app)
with contextlib.suppress(ImportError):
    from dqlitewire.cli import serve

    serve.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dqlite-wire {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """See dqlite traffic: decode it, count it, explain it, ask a node."""


def run() -> None:
    """Run the command: errors in one line; a reader that goes away is none."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except SourceError as error:
        print(f"dqlite-wire: {error}", file=sys.stderr)
        sys.exit(output.Exit.INPUT)
    except (BrokenPipeError, output.ReaderGone):
        # what is still buffered cannot go anywhere either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
