"""How the bytes of what nodes send each other lie: messages, entries, commands, configurations, snapshots.

As `layouts` for clients: elements follow from the declared fields by their kinds, here from
`dqlitewire.raft`. tests/docs/test_raft_layouts.py reads every recorded message by them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dqlitewire.declare.contract import BODY
from dqlitewire.raft.formats import FORMAT
from tools.drawn.messages.layouts import Cell, Element, Group
from tools.drawn.text import look_up

__all__ = ["PREAMBLE", "elements", "message"]

PREAMBLE = (
    Cell("type", 1, "u8"),
    Cell("unused", 1, "u8"),
    Cell("version", 1, "u8"),
    Cell("unused", 5, "5 bytes, ignored"),
    Cell("header_size", 8, "u64"),
)


def _number(kind: str) -> Callable[[Any], tuple[Element, ...]]:
    return lambda field: (Cell(field.name, field.smallest, kind),)


def _text(field: Any) -> tuple[Element, ...]:
    return (Cell(field.name, 0, "text" if field.smallest == 8 else "unaligned text"),)


def _unused(field: Any) -> tuple[Element, ...]:
    if field.smallest != field.largest:
        return (Cell("unused", 0, "to the next word"),)
    return (Cell("unused", field.smallest, "unused"),)


def _last_word(field: Any) -> tuple[Element, ...]:
    return (Group("not sent by every server", (Cell(field.name, 8, "u64"),), "header"),)


def _format(field: Any) -> tuple[Element, ...]:
    return (Cell(field.name, field.smallest, f"u{8 * field.smallest}", str(field.value)),)


def _entry_heads(field: Any) -> tuple[Element, ...]:
    head = Cell("term", 8, "u64"), Cell("type", 1, "u8"), Cell("unused", 3, "unused"), Cell("size", 4, "u32")
    return Cell("entry_count", 8, "u64"), Group("for each entry", head, "entry_count")


def _entries(field: Any) -> tuple[Element, ...]:
    return (Group("behind the header, for each entry", (Cell("entry", 0, "entry"),), "entry_count"),)


def _configuration(field: Any) -> tuple[Element, ...]:
    return Cell("configuration_size", 8, "u64"), Cell(field.name, 0, "configuration")


def _parts(field: Any) -> tuple[Element, ...]:
    return Cell(field.name, 8, "u64"), Group("for each of them", elements(field.of), field.name)


def _command(field: Any) -> tuple[Element, ...]:
    return Cell("format", 1, "u8", str(FORMAT)), Cell("type", 1, "u8"), Cell("unused", 6, "unused")


KINDS: dict[str, Callable[[Any], tuple[Element, ...]]] = {
    "u64": _number("u64"),
    "u32": _number("u32"),
    "u16": _number("u16"),
    "flag": lambda field: (Cell(field.name, field.smallest, "flag"),),
    "size": _number("u64"),
    "raft role": _number("u8"),
    "text": _text,
    "unused": lambda field: _unused(field) if field.smallest else (Cell("unused", 0, "to the next word"),),
    "last word": _last_word,
    "format": _format,
    "entry heads": _entry_heads,
    "entries": _entries,
    "configuration": _configuration,
    "snapshot": lambda field: (Group("behind the header", (Cell(field.name, 0, "snapshot"),), "always"),),
    "nodes": _parts,
    "databases": _parts,
    "content": lambda field: (Cell(field.name, 0, "content"),),
    "command header": _command,
    "page numbers": lambda field: (Group("for each page", (Cell("page number", 8, "u64"),), "page_count"),),
    "pages": lambda field: (Group("for each page", (Cell("page", 0, "page"),), "page_count"),),
}


def elements(cls: Any) -> tuple[Element, ...]:
    """Return the elements of a declared object.

    Args:
        cls: its class.

    Raises:
        ValueError: a field's kind has no layout.
    """
    found: list[Element] = []
    for field in cls.FIELDS:
        if field.place != BODY:
            continue
        where = "tools/drawn/messages/raft_layouts.py how its bytes lie"
        found += look_up(KINDS, field.kind, f"a {field.kind} field", where)(field)
    return tuple(found)


def message(cls: Any) -> tuple[Element, ...]:
    """Return the elements of a message, preamble included.

    Args:
        cls: its class.
    """
    first = PREAMBLE[0]._replace(value=str(int(cls.TYPE)))
    return (first, *PREAMBLE[1:], *elements(cls))
