"""Kinds of field of variable size: their bytes say where they end.

There is one that many messages have, a text: UTF-8 up to a NUL, padded to whole words.

    byte  0     1     2     3     4     5     6     7     8
          | l     e     a     d     e     r    NUL    0   |  next field
          '------------ $size_NAME -----------'           $pos
                       without the NUL

A generated decoder is at `$pos` behind such a field, and what follows is read from there; up to the first one
each position is a number. Nothing is tested on the way: without a NUL `index` raises, and a size over the cap
fails one of the `conditions`.
"""

from __future__ import annotations

from ..checks import checked_text
from ..exceptions import EncodeError
from ..limits import DEFAULT_LIMITS
from ..scalars import pack_text
from .contract import Field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .cursor import Cursor

__all__ = ["Text", "move_to"]


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
