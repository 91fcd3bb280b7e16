"""Options that several commands have, groups of options, and the numbers that options may take.

A group is a dataclass whose fields are annotated as typer annotates parameters. A command that takes one as a
parameter (`inputs: Inputs`) has its fields as options; `grouped` makes the function that typer sees.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer

from dqlitewire.cli.output import MAX_WIDTH

LONGEST = 86_400.0  # seconds that an option may name


def finite(value: float | None) -> float | None:
    """Return the number of an option; NaN passes every check of a range.

    Args:
        value: of the option; None if it was not given.

    Raises:
        typer.BadParameter: it is NaN.
    """
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is no number")
    return value


def choice(words: Iterable[str], *names: str, help: str, then: Callable[[str], None] | None = None) -> Any:
    """Return an option that takes one of some words, as a str.

    Args:
        words: those that may be given, in the order of the help.
        names: of the option; by default that of the parameter.
        help: what is chosen.
        then: called with the word before any other option is looked at.
    """
    known = tuple(words)

    def check(value: str | None) -> str | None:
        if value is not None and value not in known:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(map(repr, known))}.")
        if value is not None and then is not None:
            then(value)
        return value

    def completed(incomplete: str) -> list[str]:
        return [word for word in known if word.startswith(incomplete)]

    return typer.Option(
        *names,
        metavar=f"<{'|'.join(known)}>",
        callback=check,
        help=help,
        is_eager=then is not None,
        autocompletion=completed,
    )


def first_given(group: Any) -> str:
    """Return the name of the first option of a group that has another value than its default; "" if none has.

    Args:
        group: an object of a dataclass that a command takes.
    """
    for field in fields(group):
        if getattr(group, field.name) != field.default:
            hint = get_type_hints(type(group), include_extras=True)[field.name]
            declared = [getattr(said, "param_decls", None) for said in hint.__metadata__]
            names = next(filter(None, declared), None) or [f"--{field.name.replace('_', '-')}"]
            return str(max(names, key=len))
    return ""


WidthOption = Annotated[
    int | None,
    typer.Option("--width", min=40, max=MAX_WIDTH, metavar="N", help="Columns to fit lines into."),
]


def grouped(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command with a parameter for each field of the groups that it takes.

    Args:
        command: a function as `app` describes commands.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if not (isinstance(kind, type) and is_dataclass(kind)):
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[parameter.name] = kind
        kinds = get_type_hints(kind, include_extras=True)
        parameters += (
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=kinds[field.name],
            )
            for field in fields(kind)
        )

    def run(**given: Any) -> Any:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        return command(**given)

    run.__doc__ = command.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run
