"""Kinds of field of a fixed size: words, halves of a word, and bits of one that another field has read.

Each has a format, by which `struct` packs and unpacks it with its neighbours, so none has a `read`. What its
value may be stands in `conditions` for the generated decoder and in `plain` for the other one.

    reserved            8 bytes   written 0, must be 0
    padding, ignored    4, 8      written 0, not looked at
    u32, u64            4, 8      an unsigned integer between two bounds, and at most a cap
    role                8         an unsigned integer that stands for a `NodeRole`
    bits                none      some bits of another field, an attribute that nobody stores
"""

from __future__ import annotations

from ..checks import checked_integer
from ..constants import NodeRole
from ..exceptions import EncodeError
from ..limits import DEFAULT_LIMITS
from ..text import shown
from .contract import DERIVED, Field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cursor import Cursor

__all__ = ["U32", "U64", "Bits", "Fixed", "Ignored", "Integer", "Padding", "Reserved", "Role"]


class Fixed(Field):
    """A field of fixed size that carries nothing: it is written 0."""

    is_attribute: bool = False
    is_stored: bool = False

    @property
    def argument(self) -> str:
        return "" if self.format.endswith("x") else "0"

    def plain(self, cursor: Cursor, values: dict[str, object]) -> None:
        cursor.unsigned(self.name, self.smallest)


class Reserved(Fixed):
    """A word that must be 0."""

    kind: str = "reserved"
    format: str = "Q"
    smallest: int = 8
    largest: int | None = 8

    def conditions(self) -> list[str]:
        return [f"{self.name} == 0"]

    def plain(self, cursor: Cursor, values: dict[str, object]) -> None:
        start, value = cursor.pos, cursor.unsigned(self.name, 8)
        if value:
            raise cursor.error(self.name, f"got {value}, only 0 is allowed", start)


class Padding(Fixed):
    """Four bytes that are ignored."""

    kind: str = "padding"
    format: str = "4x"
    smallest: int = 4
    largest: int | None = 4


class Ignored(Fixed):
    """A word that is ignored."""

    kind: str = "ignored"
    format: str = "8x"
    smallest: int = 8
    largest: int | None = 8


def over(value: int, limit: int, path: str) -> EncodeError:
    return EncodeError(f"got {shown(value)}, at most {limit}", path=path, limit=limit)


class Integer(Field):
    """An unsigned integer of fixed size.

    Attributes:
        low: the least that the constructor takes.
        high: the most that the constructor takes.
        decodes: the least and the most that decoders take, where they take more than the constructor.
        plain_if_empty: whether 0 is left to the plain decoder, behind which the message checks or logs it.
    """

    uses: tuple[Any, ...] = (type, int, checked_integer, over)
    shows: bool = True
    low: int = 0
    high: int
    decodes: tuple[int, int] | None = None
    plain_if_empty: bool = False

    @property
    def _decodes(self) -> tuple[int, int]:
        return self.decodes or (self.low, self.high)

    @property
    def _default_cap(self) -> int | None:
        cap: int | None = None if self.cap is None else getattr(DEFAULT_LIMITS, self.cap)
        return cap

    def check(self, path: str) -> list[str]:
        name, low, cap = self.name, self.low, self._default_cap
        high = self.high if cap is None else min(self.high, cap)
        # One shift tests both bounds of a range 0 to 2**n - 1.
        is_range_of_bits = low == 0 and not high & (high + 1)
        outside = f"{name} >> {high.bit_length()}" if is_range_of_bits else f"not {low} <= {name} <= {high}"
        test = f"$type({name}) is not $int or {outside}"
        if self.default is None:
            test = f"{name} is not None and ({test})"
        return [f"if {test}:", f"    {name} = $checked_integer({name}, {low}, {high}, {path!r}, {cap})"]

    @property
    def argument(self) -> str:
        return f"$value_{self.name}" if self.cap else f"self.{self.name}"

    def write(self, path: str) -> list[str]:
        if not self.cap:
            return []
        value, cap = f"$value_{self.name}", f"$options.{self.cap}"
        return [
            f"{value} = self.{self.name}",
            f"if {value} > {cap}:",
            f"    raise $over({value}, {cap}, {path!r})",
        ]

    def conditions(self) -> list[str]:
        low, high = self._decodes
        tests = [f"{self.name} >= {low}"] if low else []
        if high < (1 << 8 * self.smallest) - 1:
            tests.append(f"{self.name} <= {high}")
        if self.cap:
            tests.append(f"{self.name} <= $options.{self.cap}")
        return [*tests, self.name] if self.plain_if_empty else tests

    def plain(self, cursor: Cursor, values: dict[str, object]) -> int:
        start, value = cursor.pos, cursor.unsigned(self.name, self.smallest)
        low, high = self._decodes
        cap = None if self.cap is None else getattr(cursor.options, str(self.cap))
        if cap is not None and value > cap:
            raise cursor.error(self.name, f"got {value}, at most {cap}", start, cap)
        if not low <= value <= high:
            raise cursor.error(self.name, f"got {value}, allowed {low} to {high}", start)
        return value

    def strategy(self, of: Any) -> Any:
        cap = self._default_cap
        return of.st.integers(self.low, self.high if cap is None else min(self.high, cap))


class U32(Integer):
    """Four bytes; two of them make a word."""

    kind: str = "u32"
    format: str = "I"
    smallest: int = 4
    largest: int | None = 4
    high: int = 2**32 - 1


class U64(Integer):
    """A word."""

    kind: str = "u64"
    format: str = "Q"
    smallest: int = 8
    largest: int | None = 8
    high: int = 2**64 - 1


def checked_role(value: object, path: str) -> NodeRole:
    return NodeRole(checked_integer(value, 0, len(NodeRole) - 1, path))


class Role(Integer):
    """A node's role, a word."""

    kind: str = "role"
    format: str = "Q"
    smallest: int = 8
    largest: int | None = 8
    high = len(NodeRole) - 1
    uses: tuple[Any, ...] = (type, NodeRole, checked_role)

    def names(self) -> dict[str, object]:
        return super().names() | {"$roles": tuple(NodeRole)}

    def check(self, path: str) -> list[str]:
        name = self.name
        return [f"if $type({name}) is not $NodeRole:", f"    {name} = $checked_role({name}, {path!r})"]

    def stored(self, schema: int) -> str:
        return f"$roles[{self.name}]"

    def plain(self, cursor: Cursor, values: dict[str, object]) -> NodeRole:
        return NodeRole(super().plain(cursor, values))

    def strategy(self, of: Any) -> Any:
        return of.st.sampled_from(NodeRole)


class Bits(Field):
    """Some bits of another field, None where that is missing or the version of the message has others.

    Attributes:
        of: that field's name.
        shift: the number of the lowest bit.
        size: how many there are.
        versions: the versions of the message that have them, None for all.
    """

    kind: str = "bits"
    place: str = DERIVED
    largest: int | None = 0
    is_attribute: bool = False
    is_stored: bool = False
    shows: bool = True
    of: str
    shift: int
    size: int
    versions: tuple[int, ...] | None

    def attribute(self) -> object:
        of, shift, mask, versions = self.of, self.shift, (1 << self.size) - 1, self.versions

        def value(message: Any) -> int | None:
            word: int | None = getattr(message, of)
            if word is None or (versions is not None and message.version not in versions):
                return None
            found = word >> shift & mask
            return found if mask > 1 else bool(found)

        return property(value)
