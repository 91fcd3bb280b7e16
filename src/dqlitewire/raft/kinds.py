"""Kinds of fields that messages between nodes are declared with.

They extend the kinds of `dqlitewire.declare`: the constructor is generated from the same `check`
lines, a field is read by the same `plain` through the same `Cursor`, and in addition each kind here can `put`
its bytes. These messages are few beside the frames of clients, so there are no generated readers for them.

Unused bytes. Nodes send bytes without meaning: alignment that nobody fills, which holds what the memory held
before. A `Gap` reads them into the object's `unused`, in wire order, and writes them back from there, zeros
where there are none. So what was decoded encodes to the same bytes, whoever sent it.
"""

from __future__ import annotations

from enum import IntEnum

from dqlitewire.checks import checked_integer, whole_bytes
from dqlitewire.declare.contract import BODY, DERIVED, HEADER, Field
from dqlitewire.declare.cursor import Cursor
from dqlitewire.declare.declared import Value, fill, slots_of
from dqlitewire.declare.fixed import U64, Integer
from dqlitewire.declare.variable import Text
from dqlitewire.exceptions import EncodeError
from dqlitewire.limits import DEFAULT_LIMITS
from dqlitewire.scalars import pack_text
from dqlitewire.text import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Self, TypeVar

    P = TypeVar("P", bound="Part")

__all__ = ["Output", "Part", "PartCursor", "PartField", "RaftRole"]


class RaftRole(IntEnum):
    """Roles as raft numbers them; the clients' protocol has other numbers (`NodeRole`)."""

    STANDBY = 0
    VOTER = 1
    SPARE = 2


class PartCursor(Cursor):
    """A cursor in a message between nodes.

    Attributes:
        header_end: where the header ends; a last word that older nodes do not send is before it or missing.
    """

    __slots__ = ("header_end",)

    header_end: int

    def inner(self, start: int, size: int, name: str) -> PartCursor:
        """Return a cursor over an object inside of this one.

        Args:
            start: where it begins.
            size: its bytes.
            name: of the field, for errors.
        """
        path = f"{self.path}.{name}"
        made = PartCursor(self.data, start, start + size, self.options, path, self.schema, self.parts)
        made.header_end = made.end
        return made

    def whole(self, of: type[P], size: int, name: str) -> P:
        """Read an object that takes so many bytes from here on, all of them, and move behind it.

        Args:
            of: its class.
            size: its bytes.
            name: of the field, for errors.
        """
        inner = self.inner(self.pos, size, name)
        found = of._read(inner)
        inner.finish()
        self.pos = inner.end
        return found


class Output:
    """The bytes of an object that is written, and the unused ones that are left of it.

    Attributes:
        parts: what was written.
        payload: what follows the header of a message.
    """

    __slots__ = ("_at", "_unused", "parts", "payload")

    def __init__(self, unused: bytes) -> None:
        self.parts: list[bytes] = []
        self.payload: list[bytes] = []
        self._unused = unused
        self._at = 0

    def gap(self, size: int) -> bytes:
        """Take unused bytes, zeros where there are none."""
        taken = self._unused[self._at : self._at + size]
        self._at += size
        return taken.ljust(size, b"\0")


class PartField(Field):
    """A field that puts its own bytes."""

    def put(self, of: Any, out: Output) -> None:
        """Append the bytes of an object's field to what was written of it."""
        raise TypeError(f"nobody has said how a {self.kind} field is written")


class Part(Value):
    """What is read and written field by field, in the order of the declaration."""

    __slots__ = ()
    if TYPE_CHECKING:
        FIELDS: ClassVar[tuple[Field, ...]]
        unused: bytes

    @classmethod
    def _read(cls, cursor: PartCursor) -> Self:
        unused = bytearray()
        values: dict[str, object] = {"unused": unused}
        for one in cls.FIELDS:
            if one.place == BODY:
                values[one.name] = one.plain(cursor, values)
            elif one.place == HEADER:
                values[one.name] = cursor.schema
        values["unused"] = bytes(unused)
        return fill(cls, tuple(values[name] for name in slots_of(cls)))

    def _written(self) -> Output:
        out = Output(self.unused)
        for one in self.FIELDS:
            if isinstance(one, PartField) and one.place == BODY:
                one.put(self, out)
        return out

    def encode(self) -> bytes:
        """Encode into bytes; what was decoded gives the same bytes.

        Raises:
            EncodeError: a field that cannot be encoded.
        """
        return b"".join(self._written().parts)


# ---- numbers


class _Number(Integer, PartField):
    is_packed: bool = False

    def put(self, of: Any, out: Output) -> None:
        out.parts.append(int(getattr(of, self.name)).to_bytes(self.smallest, "little"))


class Word(_Number, U64):
    """Eight bytes."""


class U32(_Number):
    """Four bytes."""

    kind: str = "u32"
    format: str = "I"
    smallest: int = 4
    largest: int | None = 4
    high: int = 2**32 - 1


class U16(_Number):
    """Two bytes."""

    kind: str = "u16"
    format: str = "H"
    smallest: int = 2
    largest: int | None = 2
    high: int = 2**16 - 1


class U8(_Number):
    """One byte."""

    kind: str = "u8"
    format: str = "B"
    smallest: int = 1
    largest: int | None = 1
    high: int = 2**8 - 1


def checked_flag(value: object, path: str) -> bool:
    return bool(checked_integer(int(value) if type(value) is bool else value, 0, 1, path))


class Flag(_Number):
    """A word that is 0 or 1."""

    kind: str = "flag"
    format: str = "Q"
    smallest: int = 8
    largest: int | None = 8
    high: int = 1
    uses: tuple[Any, ...] = (checked_flag,)

    def check(self, path: str) -> list[str]:
        return [f"{self.name} = $checked_flag({self.name}, {path!r})"]

    def plain(self, cursor: Cursor, values: dict[str, object]) -> bool:
        return bool(super().plain(cursor, values))


class Flag8(Flag):
    """A byte that is 0 or 1."""

    format: str = "B"
    smallest: int = 1
    largest: int | None = 1


def checked_role(value: object, path: str) -> RaftRole:
    return RaftRole(checked_integer(value, 0, len(RaftRole) - 1, path))


class Role8(_Number):
    """A node's role, a byte."""

    kind: str = "raft role"
    format: str = "B"
    smallest: int = 1
    largest: int | None = 1
    high: int = len(RaftRole) - 1
    uses: tuple[Any, ...] = (checked_role,)

    def check(self, path: str) -> list[str]:
        return [f"{self.name} = $checked_role({self.name}, {path!r})"]

    def plain(self, cursor: Cursor, values: dict[str, object]) -> RaftRole:
        return RaftRole(super().plain(cursor, values))


class Version(Integer):
    """The version in the type word: cowsql's, which has more in some messages; dqlite's is 0."""

    kind: str = "version"
    place: str = HEADER
    high: int = 255
    is_packed: bool = False


class LastWord(Word):
    """The last word of a header, None where a node does not send it."""

    kind: str = "last word"
    smallest: int = 0

    def check(self, path: str) -> list[str]:
        return [f"if {self.name} is not None:", *(f"    {line}" for line in super().check(path))]

    def plain(self, cursor: Cursor, values: dict[str, object]) -> Any:
        if isinstance(cursor, PartCursor) and cursor.pos >= cursor.header_end:
            return None
        return cursor.unsigned(self.name, 8)

    def put(self, of: Any, out: Output) -> None:
        value = getattr(of, self.name)
        if value is not None:
            out.parts.append(int(value).to_bytes(8, "little"))


# ---- bytes without meaning


def checked_bytes(value: Any, path: str) -> bytes:
    try:
        return whole_bytes(value)
    except TypeError:
        raise EncodeError(f"got {kind_of(value)}, bytes are needed", path=path) from None


class Unused(Field):
    """All the unused bytes of an object, in wire order; empty for zeros."""

    kind: str = "unused bytes"
    place: str = DERIVED
    largest: int | None = 0
    compared: bool = False  # two messages are equal whatever the memory held that nobody filled
    uses: tuple[Any, ...] = (checked_bytes,)

    def check(self, path: str) -> list[str]:
        return [f"{self.name} = $checked_bytes({self.name}, {path!r})"]


def keep_unused(values: dict[str, object], data: bytes) -> None:
    kept = values["unused"]
    assert isinstance(kept, bytearray)
    kept += data


class Gap(PartField):
    """Unused bytes, a fixed number."""

    kind: str = "unused"
    is_attribute: bool = False
    is_stored: bool = False
    is_packed: bool = False

    def plain(self, cursor: Cursor, values: dict[str, object]) -> None:
        keep_unused(values, cursor.raw(self.name, self.smallest))

    def put(self, of: Any, out: Output) -> None:
        out.parts.append(out.gap(self.smallest))


class Gap1(Gap):
    """One unused byte."""

    smallest: int = 1
    largest: int | None = 1


class Gap2(Gap):
    """Two unused bytes."""

    smallest: int = 2
    largest: int | None = 2


class Gap3(Gap):
    """Three unused bytes."""

    smallest: int = 3
    largest: int | None = 3


class Gap6(Gap):
    """Six unused bytes."""

    smallest: int = 6
    largest: int | None = 6


class Gap8(Gap):
    """An unused word."""

    smallest: int = 8
    largest: int | None = 8


class GapToWord(Gap):
    """Unused bytes up to the next whole word of the object, which ends there."""

    largest: int | None = 7

    def plain(self, cursor: Cursor, values: dict[str, object]) -> None:
        rest = cursor.end - cursor.pos
        if rest > 7:
            raise cursor.error("", f"got {rest} bytes behind the last field, at most 7 of padding")
        keep_unused(values, cursor.raw(self.name, rest))

    def put(self, of: Any, out: Output) -> None:
        out.parts.append(out.gap(-sum(map(len, out.parts)) % 8))


class Name(Text, PartField):
    """A file name: UTF-8 with a NUL, padded to whole words by bytes that are kept."""

    cap: str | None = "max_filename_size"
    is_packed: bool = False
    shows: bool = True

    def plain(self, cursor: Cursor, values: dict[str, object]) -> str:
        start = cursor.pos
        found = super().plain(cursor, values)
        keep_unused(values, cursor.data[cursor.data.index(0, start) + 1 : cursor.pos])
        return found

    def put(self, of: Any, out: Output) -> None:
        limit = getattr(DEFAULT_LIMITS, str(self.cap))
        text = pack_text(getattr(of, self.name), limit, f"{type(of).__name__}.{self.name}")
        kept = text.index(0) + 1
        out.parts += (text[:kept], out.gap(len(text) - kept))
