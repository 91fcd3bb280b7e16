"""The command line's table of contents."""

from __future__ import annotations

from functools import cache, partial
from typing import Annotated

import typer

from dqlitewire import __version__
from dqlitewire.cli import decode, explain, probe, serve, stats
from dqlitewire.cli.output import Exit, emit, fail

NAME = "dqlite-wire"

app = typer.Typer(
    name=NAME,
    help="See dqlite traffic: decode it, count it, explain it, ask a node.",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    pretty_exceptions_enable=False,
)
for command in (decode, stats, explain, probe, serve):
    command.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        emit(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """See dqlite traffic: decode it, count it, explain it, ask a node."""


# typer brings a click of its own or uses the one installed: their errors are told by what they inherit
_UsageError: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)


_group = cache(partial(typer.main.get_command, app))


def run(arguments: list[str]) -> int:
    """Run a command.

    Typer's own way to do so is not taken: it would write what an argument says straight to the terminal.

    Returns:
        The exit code.
    """
    try:
        with _group().make_context(NAME, list(arguments or ["--help"])) as context:
            context.command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code if arguments else Exit.USAGE
    except _UsageError as error:
        where = getattr(getattr(error, "ctx", None), "command_path", NAME)
        said = " ".join(getattr(error, "format_message", error.__str__)().split()).removesuffix(".")
        fail(f"{said} ({where} --help tells more)", Exit.USAGE)
    return Exit.OK
