"""Draw what the pages of messages have in common: the header, values, parameter tuples, rows, markers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dqlitewire import PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY
from dqlitewire.header import ROW_DONE, ROW_PART
from dqlitewire.limits import DEFAULT_LIMITS
from dqlitewire.values import BLOB, KINDS, TEXT, Kind
from tests.wire_data import VECTORS
from tools.drawn import DOCS
from tools.drawn.messages.byte_diagram import diagram
from tools.drawn.messages.explained import explained
from tools.drawn.messages.layouts import HEADER, Cell, params, rows
from tools.drawn.text import table

__all__ = ["PARTS", "drawings"]

FOLDER = DOCS / "drawings" / "messages"

_BLOB = Cell("size", 8, "u64"), Cell("bytes", 0, "so many, then what fills the word: ignored")

_DRAWN = {
    "frame-header": ("The header of a frame", (*HEADER, Cell("body", 0, "as many words as the header says"))),
    "value-text": (
        "A text",
        (Cell("UTF-8", 0, "no NUL in it, then a NUL, then zeros to the next word"),),
    ),
    "value-blob": ("A blob", _BLOB),
    "parameters-0": ("Parameters in schema 0", params(0)),
    "parameters-1": ("Parameters in schema 1", params(1)),
    "row": ("A row", rows()[0].parts),
}


def drawings() -> dict[Path, str]:
    """Return the drawings, by their files."""
    return {FOLDER / f"{name}.svg": diagram(title, parts) for name, (title, parts) in _DRAWN.items()}


# ---------------------------------------------------------------- tables


def _kinds() -> str:
    lines = [(str(int(kind.code)), kind.name, _form(kind), _python(kind), _sent(kind)) for kind in KINDS]
    return table(("type", "name", "on the wire", "in Python", "as a parameter"), lines)


def _form(kind: Kind) -> str:
    match kind.form:
        case "q":
            return "signed, 8 bytes" + (": seconds since 1970" if kind.name == "UNIXTIME" else "")
        case "d":
            return "IEEE 754 double, 8 bytes"
        case "Q":
            return "8 bytes: 0 is false, anything else true"
        case "8x":
            return "8 bytes without meaning"
        case str(form) if form in (TEXT, BLOB):
            limit = getattr(DEFAULT_LIMITS, kind.cap)
            return f"a {form}, at most [`{kind.cap}`](../limits.md) ({limit:,} bytes)"
        case other:
            raise ValueError(
                f"a value of form {other!r}: say in tools/drawn/messages/value_pages.py how it lies"
            )


def _python(kind: Kind) -> str:
    return "`None`" if kind.python is type(None) else f"`{kind.python.__name__}`"


def _sent(kind: Kind) -> str:
    if not kind.in_params:
        return "refused"
    sent = ", ".join(f"`{'None' if one is type(None) else one.__name__}`" for one in kind.sent_for)
    return f"for {sent}" if sent else "where the type is chosen by hand"


def _handshakes() -> str:
    versions = (PROTOCOL_VERSION, "the protocol's version"), (PROTOCOL_VERSION_LEGACY, "legacy, before 1.0")
    lines = [(f"`{value.to_bytes(8, 'little').hex(' ')}`", words) for value, words in versions]
    return table(("bytes", "version"), [*lines, ("anything else", "the server closes the connection")])


def _markers() -> str:
    lines = (ROW_DONE, "DONE", "the last row was sent"), (ROW_PART, "PART", "another frame of ROWS follows")
    return table(("bytes", "name", "meaning"), [(f"`{data.hex(' ')}`", *words) for data, *words in lines])


def example(name: str) -> str:
    """Return a vector and how it is read, as Markdown.

    Args:
        name: of the vector.
    """
    vector = next(one for one in VECTORS if one.name == name)
    return explained(vector.data, "request" if vector.is_request else "response")


PARTS: dict[str, Callable[[], str]] = {
    "handshakes": _handshakes,
    "kinds": _kinds,
    "markers": _markers,
    "parameters example": lambda: example("query, four parameters, schema 1"),
    "rows example": lambda: example("rows, another type in each row"),
}
