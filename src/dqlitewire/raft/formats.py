"""Kinds of field that several objects have: the number of their format, and a count of parts."""

from __future__ import annotations

from dqlitewire.checks import checked_items
from dqlitewire.exceptions import EncodeError
from dqlitewire.raft.kinds import (
    Output,
    Part,
    PartCursor,
    PartField,
)
from dqlitewire.text import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dqlitewire.declare.cursor import Cursor

__all__ = ["FORMAT", "FormatByte", "FormatWord", "Parts"]

FORMAT = 1  # of commands, configurations and snapshots


class Constant(PartField):
    """A number that is always the same."""

    is_attribute: bool = False
    is_stored: bool = False
    is_packed: bool = False
    value: int

    def plain(self, cursor: Cursor, values: dict[str, object]) -> None:
        start, found = cursor.pos, cursor.unsigned(self.name, self.smallest)
        if found != self.value:
            raise cursor.error(self.name, f"got {found}, only {self.value} is allowed", start)

    def put(self, of: Any, out: Output) -> None:
        out.parts.append(self.value.to_bytes(self.smallest, "little"))


class FormatByte(Constant):
    """The format, a byte."""

    kind: str = "format"
    smallest: int = 1
    largest: int | None = 1
    value: int = FORMAT


class FormatWord(Constant):
    """The format, a word."""

    kind: str = "format"
    smallest: int = 8
    largest: int | None = 8
    value: int = FORMAT


class Parts(PartField):
    """A count, and so many objects of one class.

    Attributes:
        of: the class.
        least: the bytes of one of them at least.
    """

    kind: str = "parts"
    smallest: int = 8
    largest: int | None = None
    is_packed: bool = False
    of: type[Part]
    least: int

    def names(self) -> dict[str, object]:
        return {"$checked_parts": checked_parts, "$of": self.of}

    def check(self, path: str) -> list[str]:
        return [f"{self.name} = $checked_parts({self.name}, $of, {path!r})"]

    def plain(self, cursor: Cursor, values: dict[str, object]) -> tuple[Part, ...]:
        assert isinstance(cursor, PartCursor)
        start, count = cursor.pos, cursor.unsigned(self.name, 8)
        if count * self.least > cursor.end - cursor.pos:
            raise cursor.error(self.name, f"got {count}, {cursor.end - cursor.pos} bytes are left", start)
        found: list[Part] = []
        for i in range(count):
            inner = cursor.inner(cursor.pos, cursor.end - cursor.pos, f"{self.name}[{i}]")
            found.append(self.of._read(inner))
            cursor.pos = inner.pos
        return tuple(found)

    def put(self, of: Any, out: Output) -> None:
        items: tuple[Part, ...] = getattr(of, self.name)
        out.parts.append(len(items).to_bytes(8, "little"))
        out.parts += [item.encode() for item in items]


def checked_parts(value: object, of: type[Part], path: str) -> tuple[Part, ...]:
    items = checked_items(value, path)
    for i, item in enumerate(items):
        if type(item) is not of:
            raise EncodeError(f"got {kind_of(item)}, {of.__name__} is needed", path=f"{path}[{i}]")
    return tuple(items)
