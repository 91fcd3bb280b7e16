"""Print the code that is generated for a message, or for rows of one signature.

    python -m dqlitewire.declare QueryRequest              its constructor, its encoder, a decoder a schema
    python -m dqlitewire.declare --row INTEGER,TEXT,FLOAT  the reader and the writer of such rows

Names that begin with `g_` are no field's; the essay in `dqlitewire/declare/source.py` explains the code.
What a message does by hand is named instead. An unknown name ends with exit code 2, as all wrong use does.

This program stands above `messages` and `rows`, which import this package: so it imports them by name when
it runs, and the package itself depends on nothing above it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from ..constants import ValueType
from ..generated import source_of
from .declared import REGISTRY, ensure_frame, ensure_init, reader_of

USAGE = "usage: python -m dqlitewire.declare MESSAGE | --row TYPE[,TYPE...]"


class WrongUse(Exception):
    """What the command line asks for does not exist."""


def main(arguments: list[str]) -> int:
    """Print what the arguments ask for.

    Returns:
        The exit code: 0, or 2 for wrong use, which is said on stderr.
    """
    try:
        found = list(_wanted(arguments))
        for title, made in found:
            print(f"# {title}\n{_source(made)}", flush=True)
    except WrongUse as problem:
        print(f"{USAGE}\n{problem}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _wanted(arguments: list[str]) -> Iterator[tuple[str, Callable[..., Any]]]:
    if arguments in (["-h"], ["--help"]):
        print(f"{USAGE}\n\n{__doc__}", flush=True)
        return
    if len(arguments) == 1 and not arguments[0].startswith("-"):
        yield from of_message(arguments[0])
    elif len(arguments) == 2 and arguments[0] == "--row":
        yield from of_row(arguments[1])
    else:
        raise WrongUse("one message, or --row and its types, is needed")


def _source(made: Callable[..., Any]) -> str:
    try:
        return source_of(made)
    except TypeError:
        return f"# by hand: {made.__module__}, {made.__qualname__}\n"


def of_message(name: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield title and function of all that is generated for a message, or for another declared value.

    Raises:
        WrongUse: nothing declared has that name.
    """
    messages = _above("messages")
    declared: list[Any] = [*REGISTRY.values(), messages.NodeInfo, messages.Header]
    by_name = {cls.__name__: cls for cls in declared}
    cls = by_name.get(name)
    if cls is None:
        near = [known for known in sorted(by_name) if known.lower().startswith(name[:1].lower())]
        raise WrongUse(f"no message {name[:60]}, known are {', '.join(near or ['LeaderRequest', '..'])}")
    ensure_init(cls)
    if "__init__" in vars(cls):
        yield f"{name}: the constructor", cls.__init__
    if not hasattr(cls, "MSG_TYPE"):
        return
    ensure_frame(cls)
    yield f"{name}: the encoder", cls._frame
    for schema in cls.SCHEMAS:
        yield f"{name}: the decoder of schema {schema}", reader_of(cls, schema)


def of_row(signature: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield title and function of all that is generated for rows whose columns have these types.

    Raises:
        WrongUse: an unknown type, or more columns than code is generated for.
    """
    types: list[ValueType] = []
    for name in signature.upper().split(","):
        if name not in ValueType.__members__:
            raise WrongUse(f"no type {name}, known are {', '.join(ValueType.__members__)}")
        types.append(ValueType[name])
    yield from _row_functions(tuple(types))


def _row_functions(types: tuple[ValueType, ...]) -> Iterator[tuple[str, Callable[..., Any]]]:
    reading, shapes, tiers = _above("rows.compiled"), _above("rows.shapes"), _above("rows.tiers")
    writing, header = _above("rows.compiled_writers"), _above("rows.row_types").row_header
    names = ", ".join(kind.name for kind in types)
    if len(types) > tiers.MAX_COMPILED_COLUMNS:
        raise WrongUse(f"got {len(types)} columns, at most {tiers.MAX_COMPILED_COLUMNS}")
    yield f"rows of {names}: the reader", reading.compile_row_reader(types)
    if len(types) <= shapes.MAX_GENERATED:
        yield f"rows of {names}: the writer", writing.compile_row_writer(header(types), types)


def _above(name: str) -> Any:
    return import_module(f"dqlitewire.{name}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
