"""Hide the values in messages between nodes: pages, contents of files, and bytes without meaning.

Field by field, from the declarations: a field says itself whether it may be shown. Numbers are indexes,
terms, counts and sizes; of a word that is read by its bits, the bits without a meaning are cleared. What
does not decode keeps the numbers that tell its size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from dqlitewire.conversation import RaftFrame
from dqlitewire.declare.contract import Field
from dqlitewire.declare.declared import fill, slots_of
from dqlitewire.declare.fixed import Bits
from dqlitewire.raft import RaftType
from dqlitewire.raft.entries import ENTRY_HEAD
from dqlitewire.raft.kinds import LastWord, Part

_PREAMBLE = 16
_SIZES_AT = _PREAMBLE + 32  # a count of entries, or the size of a configuration


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
    out = bytearray(len(frame.data))
    for start, end in _framing(frame.data):
        out[start:end] = frame.data[start:end]
    return bytes(out)


def _framing(data: bytes) -> Iterator[tuple[int, int]]:
    """The places of the numbers that tell the size of a message: preamble, counts and lengths."""
    yield 0, min(_PREAMBLE, len(data))
    sizes = data[_SIZES_AT : _SIZES_AT + 8]
    if data[0] not in (RaftType.APPEND_ENTRIES, RaftType.INSTALL_SNAPSHOT) or len(sizes) < 8:
        return
    yield _SIZES_AT, _SIZES_AT + 8
    number, behind = int.from_bytes(sizes, "little"), _SIZES_AT + 8
    if data[0] == RaftType.INSTALL_SNAPSHOT:
        places = [behind + number]
    else:
        ends = range(behind + ENTRY_HEAD.size, len(data) + 1, ENTRY_HEAD.size)
        places = [end - 4 for end in ends[:number]]
    for place in places:
        end = place + (8 if data[0] == RaftType.INSTALL_SNAPSHOT else 4)
        if end <= len(data):
            yield place, end


def hide(part: Any) -> Any:
    """Return a part of a message with nothing in it that is a value.

    Args:
        part: a message, an entry, a command, or what else is declared.
    """
    cls = cast("Any", type(part))
    known: dict[str, Any] = {field.name: field for field in cls.FIELDS}
    return fill(cls, tuple(_hidden(part, name, known.get(name)) for name in slots_of(cls)))


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
    mask, fields = 0, cast("tuple[Field, ...]", part.FIELDS)
    for field in fields:
        if isinstance(field, Bits) and field.of == name and getattr(part, field.name) is not None:
            mask |= ((1 << field.size) - 1) << field.shift
    return mask
