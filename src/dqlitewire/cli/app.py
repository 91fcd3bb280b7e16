"""The table of commands, and how one of them is run.

A command is a module of this package. Its function `command` has the help as its docstring and the options
as its parameters (groups of them too: `options.grouped`), and returns the exit code; `EXITS` lists the codes
that it returns. The module's name in `COMMANDS` registers it. Commands do not import each other.
"""

from __future__ import annotations

import re
from functools import cache, partial
from importlib import import_module
from typing import Annotated, Any, TypeVar

import typer

from dqlitewire import __version__, speedups
from dqlitewire.cli import completion, exits
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.options import choice, grouped
from dqlitewire.cli.output import emit, fail

NAME = "dqlite-wire"
# in the order of the help
COMMANDS = (
    "decode",
    "stats",
    "explain",
    "probe",
    "top",
    "query",
    "dump",
    "serve",
    "proxy",
    "replay",
    "dissector",
)


_T = TypeVar("_T")

# typer brings a click of its own or uses the one installed: their errors are recognised by their base class
_UsageError: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)


def _application() -> typer.Typer:
    """Return the command with all its commands, as typer knows them."""
    app = typer.Typer(
        name=NAME,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for name in COMMANDS:
        module = import_module(f"dqlitewire.cli.{name}")
        summary = module.command.__doc__.partition("\n")[0]  # whole: click would cut it
        app.command(name, short_help=summary, epilog=exits.in_words(module.EXITS))(grouped(module.command))
    return app


@cache
def _group() -> Any:
    """Return the command as it is run, with arguments as a person names them.

    Typer puts types into the help (`<list[str]>`), and its releases differ in how; each argument of ours has
    a name that tells what it takes.
    """
    group = typer.main.get_command(app)
    for command in group.commands.values():  # type: ignore[attr-defined]
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                shown = parameter.metavar if parameter.required else f"[{parameter.metavar}]"
                shown += "..." if parameter.nargs == -1 else ""
                parameter.make_metavar = partial(_always, shown)
                parameter.get_usage_pieces = partial(_always, [shown])
                parameter.get_help_record = partial(_always, (parameter.metavar, parameter.help))
    return group


def _always(value: _T, *_: object, **__: object) -> _T:
    return value


def _version(wanted: bool) -> None:
    if wanted:
        emit(f"{NAME} {__version__}")
        emit(f"rows: {speedups.name}" + (f", {speedups.why}" if speedups.why else ""))
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version, and how rows are read."
        ),
    ] = False,
    completion: Annotated[
        str | None,
        choice(
            completion.SHELLS,
            "--show-completion",
            help="Print what makes a shell complete our words.",
            then=completion.show,
        ),
    ] = None,
) -> None:
    """See dqlite traffic, record it, spoil it, play it again; ask a node, or be one."""


app = _application()
#: a number, or a comment of SQL, which only looks like an option
_NO_OPTION = re.compile(r"-+[\d.\s]")


def run(arguments: list[str]) -> int:
    """Run a command.

    Typer's own way to do so is not taken: it would write what an argument says straight to the terminal.

    Returns:
        The exit code.
    """
    if completion.wanted():
        return completion.complete(_group(), NAME)
    try:
        with _group().make_context(NAME, list(arguments or ["--help"])) as context:
            code = context.command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code if arguments else Exit.USAGE
    except _UsageError as error:
        where = getattr(getattr(error, "ctx", None), "command_path", NAME)
        said = " ".join(getattr(error, "format_message", error.__str__)().split()).removesuffix(".")
        if _NO_OPTION.match(getattr(error, "option_name", "")):
            said += ": behind -- it is a value"
        fail(f"{said} ({where} --help tells more)", Exit.USAGE)
    return int(code)
