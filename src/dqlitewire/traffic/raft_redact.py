"""Hide the values in messages between nodes: pages, contents of files, and bytes without meaning.

Field by field, from the declarations: a field says itself whether it may be shown. Numbers are indexes,
terms, counts and sizes; of a word that is read by its bits, the bits without a meaning are cleared. What
does not decode keeps its preamble."""

from __future__ import annotations

from typing import Any

from dqlitewire.conversation import RaftFrame
from dqlitewire.declare.declared import fill, slots_of
from dqlitewire.declare.fields import Bits
from dqlitewire.raft.kinds import LastWord, Part

_PREAMBLE = 16


def redact_raft(frame: RaftFrame) -> bytes:
    """Return a message of the same length and shape without the values in it.

    Args:
        frame: the message, whole or not.
    """
    message = frame.message
    if message is not None:
        hidden: bytes = hide(message).encode()
        if len(hidden) == len(frame.data):
            return hidden
    head = frame.data[:_PREAMBLE]
    return head + bytes(len(frame.data) - len(head))


def hide(part: Any) -> Any:
    """Return a part of a message with nothing in it that is a value.

    Args:
        part: a message, an entry, a command, or what else is declared.
    """
    known = {field.name: field for field in type(part).FIELDS}
    return fill(type(part), tuple(_hidden(part, name, known.get(name)) for name in slots_of(type(part))))


def _hidden(part: Any, name: str, field: Any) -> Any:
    held = getattr(part, name)
    if isinstance(field, LastWord) and held is not None:
        return held & _mask(part, name)
    if isinstance(held, str):
        return (
            held if field is not None and field.shows else "x" * len(held.encode("utf-8", "surrogateescape"))
        )
    return _plain(held)


def _plain(held: Any) -> Any:
    if isinstance(held, Part):
        return hide(held)
    if isinstance(held, bytes):
        return bytes(len(held))
    if isinstance(held, tuple):
        return tuple(map(_plain, held))  # pyright: ignore[reportUnknownArgumentType]
    return held


def _mask(part: Any, name: str) -> int:
    """The bits of a word that mean something."""
    mask = 0
    for field in type(part).FIELDS:
        if isinstance(field, Bits) and field.of == name and getattr(part, field.name) is not None:
            mask |= ((1 << field.size) - 1) << field.shift
    return mask
