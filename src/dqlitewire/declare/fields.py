"""Fields: what a declaration is written with. The kind of a field is its class.

    last_insert_id: int = u64()                             # a `U64`
    message: str = text(cap="max_failure_message_size")     # a `Text`
    params: Sequence[Any] = field(Params, default=())       # a kind that its own module declares

A kind says everything that is to be known of its fields, and nothing else asks which kind a field is:

* its place: in the body, in the frame's header, or derived from other fields (`place`);
* its bytes in the body: the format for `struct` where the size is fixed, else the least and the most;
* the lines it contributes to generated code: `check` to the constructor, `write` to the encoder, `read` and
  `conditions` to a decoder (the essay in `source.py` says what generated code looks like);
* `plain`, which reads the same field through a `Cursor`, with every bound tested and every error placed;
* what redaction may show of it, and how Hypothesis draws it.

Kinds that many messages have are here. A kind that belongs to one message, or to one family of messages,
stands beside it in `dqlitewire.messages`.
"""

from __future__ import annotations

from ..checks import checked_integer, checked_text
from ..constants import NodeRole
from ..exceptions import EncodeError
from ..limits import DEFAULT_LIMITS
from ..scalars import pack_text
from ..text import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, NoReturn

    from .cursor import Cursor

__all__ = [
    "BODY",
    "DERIVED",
    "HEADER",
    "MISSING",
    "Bits",
    "ByHand",
    "Field",
    "Fixed",
    "Integer",
    "Role",
    "SchemaByte",
    "Text",
    "bits",
    "by_hand",
    "field",
    "ignored",
    "padding",
    "reserved",
    "role",
    "schema_byte",
    "text",
    "u32",
    "u64",
]

MISSING = object()
BODY, HEADER, DERIVED = "body", "header", "derived"  # the places of a field


class Field:
    """One field of a declaration; a derived class is a kind.

    Attributes:
        kind: the kind's name, for people.
        place: where it is on the wire: BODY, HEADER, or DERIVED from other fields or from the request.
        format: the format for `struct` of a field in the body that has a fixed size, else empty.
        smallest: bytes in the body at least.
        largest: bytes in the body at most, None if there is no bound but the frame's.
        is_packed: whether `struct` packs it with its neighbours; else `write` yields all of its bytes.
        is_attribute: whether messages have it as an attribute and an argument of the constructor.
        is_stored: whether messages store it.
        needed_name: the only name it may have, if other fields or methods look for it by name.
        uses: what the lines of its generated code refer to, each by its `__name__` behind a `$`.
        shows: whether a redacted frame may show its value.
        name: the attribute's name.
        default: what the constructor takes it for, MISSING if it must be given.
        keyword: whether the constructor takes it by keyword only.
        compared: whether messages are equal only if it is.
        cap: the cap in `Limits` that bounds it, or None.
        since: the first schema that has it.
    """

    # What holds for all fields of a kind is set by its class, what holds for one by `__init__`.
    kind: str = ""
    place: str = BODY
    format: str = ""
    smallest: int = 0
    largest: int | None = 0
    is_packed: bool = True
    is_attribute: bool = True
    is_stored: bool = True
    needed_name: str = ""
    uses: tuple[Any, ...] = ()
    shows: bool = False
    name: str
    default: object = MISSING
    keyword: bool = False
    compared: bool = True
    cap: str | None = None
    since: int = 0

    def __init__(self, **facts: Any) -> None:
        self.__dict__ = facts

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def names(self) -> dict[str, object]:
        """Return what the lines of generated code refer to."""
        return {f"${one.__name__}": one for one in self.uses}

    def encoder_names(self) -> dict[str, object]:
        """Return what the lines of the encoder refer to, where that is imported at its first use."""
        return self.names()

    def decoder_names(self) -> dict[str, object]:
        """Return what the lines of a decoder refer to, where that is imported at its first use."""
        return self.names()

    # ---- the constructor

    def check(self, path: str) -> list[str]:
        """Return the lines that check and normalise the argument, a local variable of the field's name."""
        return []

    def attribute(self) -> object:
        """Return what the class has under the name of a field that is not stored; None for nothing."""
        return None

    # ---- the encoder

    @property
    def argument(self) -> str:
        """The expression that is packed for a field with a format; empty if it packs nothing."""
        return f"self.{self.name}"

    @property
    def words(self) -> str:
        """The expression for the words of a field of variable size beyond the smallest."""
        return ""

    def write(self, path: str) -> list[str]:
        """Return the lines before packing; those of a field of variable size bind `$value_NAME`."""
        return []

    @property
    def schema(self) -> str:
        """The expression for the header's schema byte, of a field that decides it; else empty."""
        return ""

    # ---- the decoders

    def read(self, path: str, position: str, schema: int) -> list[str]:
        """Return the lines that read a field of variable size and bind its name and `$pos` behind it.

        Args:
            path: of the field, for errors.
            position: the expression for where the field begins.
            schema: of the body.
        """
        raise TypeError(f"a {self.kind} field has no generated reader")

    def conditions(self) -> list[str]:
        """Return the tests that the value read must pass to be certainly right."""
        return []

    def stored(self, schema: int) -> str:
        """Return the expression for what a message read in this schema stores."""
        return self.name

    def plain(self, cursor: Cursor, values: dict[str, object]) -> object:
        """Read the value where the cursor stands; raise what is wrong with it.

        Args:
            cursor: moved behind the field.
            values: of the fields before it, by name; those of derived fields may be built on them.
        """
        raise TypeError(f"a {self.kind} field is read by its message")

    # ---- tools

    def strategy(self, of: Any) -> Any:
        """Return the Hypothesis strategy of its values; `of` is the module `testing.strategies`."""
        raise TypeError(f"nobody has said how a {self.kind} field is drawn")


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


def refuse_empty(path: str) -> NoReturn:
    raise EncodeError("got no text, some is needed", path=path)


def move_to(position: str) -> list[str]:
    """Return the line that binds `$pos`, where a position is neither a number nor that already."""
    return [] if position.isdigit() or position == "$pos" else [f"$pos = {position}"]


class Text(Field):
    """UTF-8 with a NUL, padded to whole words.

    Attributes:
        low: 1 if the constructor refuses an empty text, else 0.
        plain_if_empty: whether an empty text is left to the plain decoder.
    """

    kind: str = "text"
    smallest: int = 8
    largest: int | None = None
    uses: tuple[Any, ...] = (type, str, len, UnicodeEncodeError, checked_text, pack_text, refuse_empty)

    low: int = 0
    plain_if_empty: bool = False

    def check(self, path: str) -> list[str]:
        name = self.name
        lines = [f"if $type({name}) is not $str:", f"    {name} = $checked_text({name}, {path!r})"]
        return [*lines, f"if not {name}:", f"    $refuse_empty({path!r})"] if self.low else lines

    @property
    def words(self) -> str:
        return f"($len($value_{self.name}) >> 3)"

    def write(self, path: str) -> list[str]:
        # `struct` adds NUL and padding. Text in doubt goes to `pack_text`, which says what is wrong.
        value, cap = f"$value_{self.name}", f"$options.{self.cap}"
        return [
            "try:",
            f"    {value} = self.{self.name}.encode()",
            "except $UnicodeEncodeError:",
            f"    {value} = b'\\0'",
            f"if 0 in {value} or $len({value}) > {cap}:",
            f"    $pack_text(self.{self.name}, {cap}, {path!r})",
        ]

    def read(self, path: str, position: str, schema: int) -> list[str]:
        name = self.name
        at = position if position.isdigit() else "$pos"
        return [
            *move_to(position),
            f"$nul = $frame.index(0, {at}, $end)",
            f"{name} = $frame[{at}:$nul].decode()",
            f"$size_{name} = $nul - {at}",
            "$pos = ($nul + 8) & -8",
        ]

    def conditions(self) -> list[str]:
        tests = [f"$size_{self.name} <= $options.{self.cap}"]
        return [*tests, self.name] if self.plain_if_empty else tests

    def plain(self, cursor: Cursor, values: dict[str, object]) -> str:
        return cursor.text(self.name, getattr(cursor.options, str(self.cap)))

    def strategy(self, of: Any) -> Any:
        cap: int = getattr(DEFAULT_LIMITS, str(self.cap))

        def fits(text: str) -> bool:
            return len(text.encode()) <= cap

        return of.texts(min_length=self.low).filter(fits)


class SchemaByte(Field):
    """The header's schema byte, as an argument of the constructor."""

    kind: str = "schema"
    place: str = HEADER
    needed_name: str = "schema"
    uses: tuple[Any, ...] = (type, int, checked_integer)

    def check(self, path: str) -> list[str]:
        name = self.name
        return [
            f"if $type({name}) is not $int or {name} >> 1:",
            f"    {name} = $checked_integer({name}, 0, 1, {path!r})",
        ]

    @property
    def schema(self) -> str:
        return f"self.{self.name}"

    def stored(self, schema: int) -> str:
        return str(schema)

    def plain(self, cursor: Cursor, values: dict[str, object]) -> int:
        return cursor.schema

    def strategy(self, of: Any) -> Any:
        return of.st.sampled_from([0, 1])


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


class ByHand(Field):
    """A field that its message reads and writes by hand."""

    largest: int | None = None


# What a declaration is written with; `Any` lets an annotation say what the attribute is. Type checkers look
# at `default`, `kw_only` and `init` of these calls.


def field(kind: type[Field], *, default: Any = MISSING, kw_only: bool = False, init: bool = True) -> Any:
    """Declare a field of any kind.

    Args:
        kind: its class.
        default: what the constructor takes it for.
        kw_only: whether the constructor takes it by keyword only.
        init: False if it is no argument of the constructor, as its kind says too.
    """
    return kind(default=default, keyword=kw_only)


def by_hand(kind: str, *, default: Any, smallest: int = 0) -> Any:
    """Declare a field that its message reads and writes by hand, and whose kind is but a name.

    Args:
        kind: the name, for people.
        default: what the constructor takes it for.
        smallest: bytes in the body at least.
    """
    return ByHand(kind=kind, default=default, smallest=smallest)


def u32() -> Any:
    """Declare an unsigned integer of 4 bytes."""
    return U32()


def u64(
    *,
    default: Any = MISSING,
    low: int = 0,
    high: int = 2**64 - 1,
    decodes: tuple[int, int] | None = None,
    cap: str | None = None,
    since: int = 0,
    plain_if_empty: bool = False,
    shows: bool = True,
) -> Any:
    """Declare an unsigned integer of 8 bytes; for the arguments see `Integer` and `Field`."""
    return U64(
        default=default,
        low=low,
        high=high,
        decodes=decodes,
        cap=cap,
        since=since,
        plain_if_empty=plain_if_empty,
        shows=shows,
    )


def text(
    *, default: Any = MISSING, cap: str, low: int = 0, plain_if_empty: bool = False, shows: bool = False
) -> Any:
    """Declare a text; for the arguments see `Text` and `Field`."""
    return Text(default=default, cap=cap, low=low, plain_if_empty=plain_if_empty, shows=shows)


def role() -> Any:
    """Declare a node's role."""
    return Role()


def reserved(*, init: Literal[False] = False) -> Any:
    """Declare a word that is written 0 and must be 0."""
    return Reserved()


def padding(*, init: Literal[False] = False) -> Any:
    """Declare four bytes that are written 0 and ignored."""
    return Padding()


def ignored(*, init: Literal[False] = False) -> Any:
    """Declare a word that is written 0 and ignored."""
    return Ignored()


def schema_byte(*, default: Any = 0) -> Any:
    """Declare the header's schema byte as an argument of the constructor."""
    return SchemaByte(default=default)


def bits(
    of: str, shift: int, size: int, *, versions: tuple[int, ...] | None = None, init: bool = False
) -> Any:
    """Declare some bits of another field; for the arguments see `Bits`."""
    return Bits(of=of, shift=shift, size=size, versions=versions)
