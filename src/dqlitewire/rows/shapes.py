"""Which shapes of parameters and rows have a generated writer, and which are cold.

A shape is the Python type of each value, and for rows the wire types that were declared. A writer of a shape
is generated (`compiled_writers`) when the shape was used often, and is paid with credit that uses of any
shape without a writer earn, as readers are paid with rows (`tiers`): ever new shapes then cost at most about
half as much again as the plain writers take. Everything that is kept is bounded in number and in bytes.
"""

from __future__ import annotations

from struct import error as struct_error

from ..caches import Cache, Credit
from ..exceptions import EncodeError
from ..values import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    M = TypeVar("M")

    Writer = Callable[[Sequence[Any]], bytes]
    # (rows, number of the first, of the one behind the last, what adds a row) -> of the first not written
    RowWriter = Callable[[Sequence[Any], int, int, Callable[[bytes], None]], int]

__all__ = [
    "CODES",
    "DOUBTS",
    "MAX_GENERATED",
    "Shape",
    "Shapes",
]

HEAT = 16  # uses of a shape before it is compiled
MAX_CREDIT, USES_PER_CREDIT = 128, 128  # compiling costs as much as writing 20 to 60 rows plainly
MAX_GENERATED = 64  # values; above, each is looked up by its type
# Shapes that are kept, and bytes of one at the most: 460 for each value of a writer, its source included, and
# 20 of a cold shape.
MAX_COMPILED, WRITER_SIZE = 256, 2000 + 460 * MAX_GENERATED
MAX_COLD, COLD_SIZE = 1024, 500 + 20 * MAX_GENERATED

# What fast writers raise where they are not sure; the plain ones then write the value or say what is wrong.
DOUBTS = (EncodeError, ValueError, KeyError, OverflowError, struct_error)

# By exact Python type, what a value is sent as where no type is declared.
CODES: dict[type, int] = {kind.python: int(kind.code) for kind in KINDS if kind.sent_for}


class Shape:
    """A shape without a writer of its own: the header it is sent with, its type codes, and its uses."""

    __slots__ = ("codes", "header", "uses")  # there may be a thousand

    def __init__(self, header: bytes, codes: Sequence[int]) -> None:
        self.header: bytes = header
        self.codes: bytes = bytes(codes)
        self.uses: int = 0


class Shapes:
    """Writers of the shapes that are hot, and what is known of the others."""

    def __init__(self, heat: int = HEAT) -> None:
        self.heat = heat
        self.compiled: Cache[Any, Any] = Cache(MAX_COMPILED, WRITER_SIZE)
        self.find = self.compiled.get
        self.cold: Cache[Any, Shape] = Cache(MAX_COLD, COLD_SIZE)
        self.credit: Credit = Credit(MAX_CREDIT, USES_PER_CREDIT)

    def earns(self, shape: Shape) -> bool:
        """Count a use of a cold shape; tell whether a writer is to be made for it."""
        self.credit.earn(1)
        shape.uses += 1
        return shape.uses >= self.heat and self.credit.spend()

    def add(self, key: object, made: M) -> M:
        self.cold.forget(key)
        return self.compiled.add(key, made)  # type: ignore[no-any-return]
