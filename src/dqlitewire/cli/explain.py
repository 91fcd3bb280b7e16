"""`dqlite-wire explain`: a frame byte by byte, a code or a type in words."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.options import WidthOption
from dqlitewire.cli.output import colourful, emit, fail, joined, painted, width
from dqlitewire.cli.sources import Damage, DirectionOption, FormatOption, side_of
from dqlitewire.conversation import Side
from dqlitewire.explain import explain as frame_spans
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.shorten import elide
from dqlitewire.traffic.sources.formats import PASTED, Format, open_source
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.views.line import Clock, line
from dqlitewire.traffic.views.lookup import explain_word
from dqlitewire.traffic.views.tree import hexdump, tree

EXITS = (Exit.OK, Exit.DAMAGED, Exit.INPUT)


def command(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT",
            help="A failure code, a message type, or bytes: hex, base64, Python, a file, - for stdin.",
        ),
    ],
    format: FormatOption = None,
    direction: DirectionOption = None,
    columns: WidthOption = None,
    all_bytes: Annotated[
        bool, typer.Option("--all", help="Show every byte and every row of long frames.")
    ] = False,
) -> Exit:
    """Explain a frame byte by byte, or a failure code or message type in words.

    Examples: explain 10250; explain QUERY_SQL; explain 01000000000000000000000000000000
    """
    if len(what) == 1 and (found := explain_word(what[0])):
        for number, lines in enumerate(found):
            for text in [""] * bool(number) + lines:
                emit(text)
        return Exit.OK
    damage = Damage()
    with _source(what, format, side_of(direction)) as source:
        for item in damage.watch(items(source)):
            _show(item, width(columns), all_bytes)
    damage.report()
    return damage.exit


def _source(what: list[str], format: Format | None, side: Side | None) -> Source:
    if len(what) == 1 and (what[0] == "-" or os.path.exists(what[0])):
        return open_source(what[0], format=format, side=side)
    text = " ".join(what)
    try:
        source = open_source(os.fsencode(text), format=format, side=side)
    except SourceError as error:
        if "hex digit" not in error.seen and len(what) == 1 and not any(mark in text for mark in " \n'\""):
            _unknown(text)
        raise error
    if source.format not in PASTED:
        _unknown(text)
    return source


def _unknown(text: str) -> NoReturn:
    fail(f"{elide(text, 60)!r} is no code, no message type, no bytes and no file", Exit.INPUT)


def _show(item: Item, columns: int, all_bytes: bool) -> None:
    colour = colourful(sys.stdout)
    shown = line(item, Clock("none"), columns)
    kind = painted(shown.type.strip(), shown.style, colour)
    emit(joined(kind, f" {'request' if item.is_request else 'response'}  {shown.text}".rstrip()))
    span = item.spans()
    if span is None and item.type == "INCOMPLETE":
        span = frame_spans(item.data, is_request=item.is_request)
    if span is not None:
        for text in tree(span, columns, *((None, None) if all_bytes else ())):
            emit(f"  {text}")
    for text in hexdump(item.data, span, columns, None if all_bytes else 4096):
        emit(text)
