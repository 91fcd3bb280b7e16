"""What a field is: the contract between a kind of field and everything that handles messages.

A kind is a class, a field of a declaration is an object of it:

    last_insert_id: int = u64()                             # a `U64`
    message: str = text(cap="max_failure_message_size")     # a `Text`
    params: Sequence[Any] = field(Params, default=())       # a kind that its own module declares

What holds for all fields of a kind is set by the class; what holds for one is set by its declaration, in the
object. The generators never ask which kind a field is, but for `ByHand`; they ask the field:

    who asks              when                    what
    `declared`            class statement         attribute, is_stored, is_attribute, keyword, needed_name
    `source.constructor`  first object            check, default
    `source.encoder`      first encoding          write, argument, words, schema
    `decoder`             first decoding          read or format, conditions, stored
    `messages.base`       a decoder's doubt       plain
    tools                 explain, views, tests   plain; kind, smallest, largest, shows, strategy

The way of a value, to the bytes and back:

    argument --check--> slot --write, argument--> bytes --read, conditions, stored--> slot
                                                    '---------- plain ---------------'

A kind keeps four promises:

* What `check` lets pass can be encoded, but for the caps: these may be other ones than the constructor knew,
  so `write` tests them, and nothing else.
* What passes `conditions` is certainly right: `plain` reads the same value from the same bytes. What does
  not may be right as well; then `plain` decides, with every bound tested and every error placed.
* A field in the body is of fixed size and has a format for `struct`, or is of variable size and has `words`
  and `read`. Neighbours of fixed size are packed and unpacked by one call. After `write` a field of variable
  size has its bytes in `$value_NAME`: without their padding, which `struct` adds, where `is_packed`.
* Its lines name what they use with `$`, builtins included, since a field may have any name (the essay in
  `source.py` shows the code). What stands behind the `$` is in `uses`, or in what `names` returns.

Kinds that many messages have are in `fixed.py` and `variable.py`, and `fields.py` has what declarations call.
A kind that belongs to one message, or to one family of messages, stands beside it: `messages.params`,
`messages.by_hand`, `raft.kinds`. A new one is a class and nothing else: `tests/declare/test_fields.py` makes
one, and holds all of them to these promises.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cursor import Cursor

__all__ = ["BODY", "DERIVED", "HEADER", "MISSING", "ByHand", "Field"]

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


class ByHand(Field):
    """A field that its message reads and writes by hand."""

    largest: int | None = None
