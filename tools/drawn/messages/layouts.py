"""How the bytes of each message lie, from its declaration, as something that can be drawn and read.

A layout is a sequence of elements in wire order: a `Cell` is one field or a part of it, a `Group` is elements
that come together, several times or perhaps not at all. Most of it follows from the declared fields. What a
message reads and writes by hand has its elements in `BY_HAND`, by the kind of the field; bodies that differ
with what went before (an old handshake, a format that was asked for) are in `VARIANTS`.

tests/docs/test_layouts.py reads every vector by the layout that is drawn for it, and holds what it finds
against `dqlitewire.explain`: a drawing that is wrong fails there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dqlitewire import RequestType, ResponseType
from dqlitewire.declare.contract import BODY, Field
from dqlitewire.messages import NodeInfo

__all__ = [
    "BY_HAND",
    "HEADER",
    "VARIANTS",
    "WORDS",
    "Cell",
    "Element",
    "Group",
    "Layout",
    "header",
    "layouts_of",
    "params",
    "rows",
]


class Cell(NamedTuple):
    """One field, or a part of one.

    Attributes:
        name: of the field.
        size: bytes, 0 where it varies.
        kind: what the bytes are, a key of `WORDS`.
        value: what stands there, where that is always the same.
    """

    name: str
    size: int
    kind: str
    value: str = ""


class Group(NamedTuple):
    """Elements that come together.

    Attributes:
        words: how often, for people.
        parts: the elements.
        times: the cell that holds the number; "rows" up to a marker, "" where they may be missing.
    """

    words: str
    parts: tuple[Cell | Group, ...]
    times: str = ""


Element = Cell | Group


class Layout(NamedTuple):
    """One form of a message.

    Attributes:
        name: part of the drawing's file name.
        words: when it has this form, "" if it has no other.
        schema: the header's schema byte.
        parts: the body.
        note: a sentence more, "" for none.
    """

    name: str
    words: str
    schema: int
    parts: tuple[Element, ...]
    note: str = ""


# what each kind of cell is, for people
WORDS = {
    "u8": "unsigned, 1 byte",
    "u16": "unsigned, 2 bytes",
    "u32": "unsigned, 4 bytes",
    "u64": "unsigned, 8 bytes",
    "role": "a role, 8 bytes",
    "reserved": "zero, 8 bytes",
    "ignored": "ignored, 8 bytes",
    "padding": "ignored, 4 bytes",
    "text": "text: UTF-8, NUL, zeros to the next word",
    "bytes": "as many bytes as size says: whole words",
    "param types": "a byte each, then zeros",
    "row types": "half a byte each, then zeros to the next word",
    "value": "a value, whole words, as its type says",
    "marker": "all ff: the end. All ee: more frames follow",
    "flag": "0 or 1",
    "unused": "ignored",
    "entry": "as many bytes as its size says",
    "configuration": "as many bytes as configuration_size says",
    "snapshot": "as many bytes as snapshot_size says",
    "content": "as many bytes as its size says",
    "page": "as many bytes as page_size says",
    "unaligned text": "text: UTF-8 and a NUL",
    "to the next word": "ignored, up to the next whole word",
    "half": "whatever was encoded before the failure",
}


HEADER = (Cell("words", 4, "u32"), Cell("type", 1, "u8"), Cell("schema", 1, "u8"), Cell("unused", 2, "u16"))


def header(code: int, schema: int) -> tuple[Cell, ...]:
    """Return the word in front of every body.

    Args:
        code: the type.
        schema: the schema.
    """
    values = "", str(code), str(schema), "0"
    return tuple(cell._replace(value=value) for cell, value in zip(HEADER, values, strict=True))


def params(schema: int) -> tuple[Cell | Group, ...]:
    """Return the elements of a parameter tuple.

    Args:
        schema: 0 or 1.
    """
    count = Cell("count", 4, "u32") if schema else Cell("count", 1, "u8")
    value = Group("for each parameter", (Cell("value", 0, "value"),), "count")
    return count, Cell("types", 0, "param types"), value


def _params(field: Field, schema: int) -> tuple[Element, ...]:
    return (Group("parameters; without any, the body mostly ends here", params(schema)),)


def _nodes(field: Field, schema: int) -> tuple[Element, ...]:
    return (
        Cell(field.name, 8, "u64"),
        Group("for each node", _cells(NodeInfo.FIELDS, 0), field.name),
    )


def _files(field: Field, schema: int) -> tuple[Element, ...]:
    file = Cell("name", 0, "text"), Cell("size", 8, "u64"), Cell("content", 0, "bytes")
    return Cell(field.name, 8, "u64"), Group("for each file", file, field.name)


def _names(field: Field, schema: int) -> tuple[Element, ...]:
    each = Group("for each column", (Cell(field.name, 0, "text"),), "columns")
    return Cell("columns", 8, "u64"), each


def rows() -> tuple[Group, ...]:
    """Return the elements of rows."""
    values = Group("for each column", (Cell("value", 0, "value"),), "columns")
    return (
        Group("for each row, none if there are no columns", (Cell("types", 0, "row types"), values), "rows"),
    )


def _rows(field: Field, schema: int) -> tuple[Element, ...]:
    return rows()


def _marker(field: Field, schema: int) -> tuple[Element, ...]:
    return (Cell("marker", 8, "marker"),)


def _nothing(field: Field, schema: int) -> tuple[Element, ...]:
    return ()


# kind of a field that its message reads and writes by hand -> the elements of it in one schema
BY_HAND: dict[str, Callable[[Field, int], tuple[Element, ...]]] = {
    "params": _params,
    "nodes": _nodes,
    "files": _files,
    "names": _names,
    "types": _nothing,  # they stand in front of each row
    "rows": _rows,
    "marker": _marker,
}


def _cells(fields: tuple[Field, ...], schema: int) -> tuple[Element, ...]:
    """The elements of declared fields in one schema."""
    found: list[Element] = []
    for field in fields:
        if field.place != BODY or field.since > schema:
            continue
        if field.kind in BY_HAND:
            found += BY_HAND[field.kind](field, schema)
        elif field.kind in WORDS:
            size = field.smallest if field.smallest == field.largest else 0
            found.append(Cell(field.name, size, field.kind))
        else:
            raise ValueError(
                f"a {field.kind} field: say in tools/drawn/messages/layouts.py how its bytes lie"
            )
    return tuple(found)


def _without_roles(cls: Any) -> tuple[Element, ...]:
    nodes = Group("for each node", _cells(NodeInfo.FIELDS, 0)[:-1], "nodes")
    return Cell("nodes", 8, "u64"), nodes


def _behind_rows(cls: Any) -> tuple[Element, ...]:
    return Cell("half-built rows", 0, "half"), *_cells(cls.FIELDS, 0)


class Variant(NamedTuple):
    """A form of a message that neither schema nor declaration shows.

    Attributes:
        name: part of the drawing's file name.
        words: when it has this form.
        note: a sentence more, "" for none.
        parts: makes the elements from the message's class.
    """

    name: str
    words: str
    note: str
    parts: Callable[[Any], tuple[Element, ...]]


# by whether it is a request, and type
VARIANTS: dict[tuple[bool, int], Variant] = {
    (True, RequestType.ASSIGN): Variant(
        "promote",
        "without a role",
        "The old form, PROMOTE: the node becomes a voter.",
        lambda cls: _cells(cls.FIELDS, 0)[:1],
    ),
    (False, ResponseType.LEADER): Variant(
        "legacy", "behind the legacy handshake", "", lambda cls: _cells(cls.FIELDS, 0)[1:]
    ),
    (False, ResponseType.SERVERS): Variant(
        "format-0", "format 0", "The answer to CLUSTER with format 0 has no roles.", _without_roles
    ),
    (False, ResponseType.FAILURE): Variant(
        "behind-rows",
        "behind half-built rows",
        "The server was writing another answer when the request failed. Code and message end the body: "
        "they begin at the first word behind which a text, begun one word later, ends with the body.",
        _behind_rows,
    ),
}


def layouts_of(cls: Any) -> list[Layout]:
    """Return the forms of a message, the usual one first.

    Args:
        cls: its class.

    Raises:
        ValueError: a field's kind has no layout.
    """
    found = [
        Layout(
            str(schema),
            f"schema {schema}" if len(cls.SCHEMAS) > 1 else "",
            schema,
            _cells(cls.FIELDS, schema),
        )
        for schema in cls.SCHEMAS
    ]
    variant = VARIANTS.get((cls.IS_REQUEST, cls.MSG_TYPE))
    if variant is not None:
        found.append(Layout(variant.name, variant.words, 0, variant.parts(cls), variant.note))
    return found
