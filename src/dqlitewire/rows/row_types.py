"""The types of a frame's rows, stored once for each run of rows that share them; and rows as they must be.

A row begins with its types, a nibble a column, and most rows of a result have the types of the row before. So
a frame of a million rows keeps a handful of tuples rather than a million, and `RowTypes` shows them as the
sequence of one tuple a row that a user of the message expects. The sequence is expanded when it is first read
row by row; the package itself never does that, it reads `runs`.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import speedups
from ..checks import checked_items, is_sequence, no_sequence
from ..exceptions import DecodeError
from ..header import row_header_size
from ..values import TYPES_BY_CODE, allowed_codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, overload

    from ..constants import ValueType
    from ..values import WireValue

    Row = tuple[WireValue, ...]
    Types = tuple[ValueType, ...]
    Key = int | bytes  # what a row's header is looked up by, see `key_of`

__all__ = ["RowTypes", "checked_rows", "key_of", "read_row_types", "row_header"]


def row_header(types: Sequence[int]) -> bytes:
    """Return the type nibbles of a row, padded to whole words."""
    header = 0
    for i, code in enumerate(types):
        header |= code << 4 * i
    return header.to_bytes(row_header_size(len(types)), "little")


def read_row_types(header: bytes, count: int, offset: int, path: str) -> tuple[ValueType, ...]:
    types: list[ValueType] = []
    for i in range(count):
        code = header[i >> 1] >> 4 if i & 1 else header[i >> 1] & 15
        found = TYPES_BY_CODE[code]
        if found is None:
            problem = f"value type {code}, allowed {allowed_codes()}"
            raise DecodeError(problem, path=f"{path}[{i}]", offset=offset + (i >> 1))
        types.append(found)
    return tuple(types)


def key_of(header: bytes) -> int | bytes:
    """Return what stands for a row's header where headers are compared: a number, if it is one word."""
    return int.from_bytes(header, "little") if len(header) == 8 else header


def checked_rows(value: object, path: str) -> list[tuple[Any, ...]]:
    """Copy a sequence of sequences into a list of tuples."""
    rows = checked_items(value, path)
    native = speedups.alike
    if native is not None and rows and type(rows[0]) is tuple and native(rows, True):
        return rows
    kinds = [*map(type, rows)]
    if kinds.count(tuple) == len(kinds):
        return rows
    for kind in dict.fromkeys(kinds):
        if not is_sequence(kind):
            number = kinds.index(kind)
            raise no_sequence(rows[number], f"{path}[{number}]")
    return list(map(tuple, rows))


def _are_one_object(items: list[Any]) -> bool:
    native = speedups.alike
    if native is not None:
        return native(items, False)
    first = items[0]
    for item in items:  # noqa: SIM110 -- a generator takes twice the time, and `count` asks for equality
        if item is not first:
            return False
    return True


def _runs_of(items: list[Any], path: str) -> list[tuple[int, Types]]:
    """Return the first row and the types of each run of one object."""
    runs: list[tuple[int, Types]] = []
    known: dict[tuple[int, ...], Types] = {}  # like types are one object: writers go by identity
    seen: dict[int, Types] = {}  # by the identity of an item, all of which are in `items`
    last_item: object = items  # is no item
    last: Types | None = None
    for number, item in enumerate(items):
        if item is last_item:
            continue
        last_item = item
        found = seen.get(id(item))
        if found is None:
            found = tuple(checked_items(item, f"{path}[{number}]"))
            # by the identity of types: hashing them might run code of the caller's
            found = seen[id(item)] = known.setdefault((*map(id, found),), found)
        if found is not last:
            runs.append((number, found))
            last = found
    return runs


class RowTypes(Sequence["Types"]):
    """Types of each row, stored once for each run of rows that share them."""

    __slots__ = ("_count", "_expanded", "_runs")

    def __init__(self, runs: list[tuple[int, Types]], count: int) -> None:
        self._runs = runs  # (first row, types), ascending; a run of no rows only where there are no rows
        self._count = count
        self._expanded: list[Types] | None = None

    @classmethod
    def of(cls, rows: object, path: str) -> RowTypes:
        """Copy a sequence with a sequence of types for each row; rows mostly share one object."""
        items = checked_items(rows, path)
        if not items:
            return cls([], 0)
        if _are_one_object(items):
            return cls([(0, tuple(checked_items(items[0], f"{path}[0]")))], len(items))
        return cls(_runs_of(items, path), len(items))

    @property
    def first(self) -> Types:
        return self._runs[0][1] if self._count else ()

    @property
    def changes(self) -> list[tuple[int, Types]]:
        """First row and types of each run."""
        return self._runs

    def runs(self) -> Iterator[tuple[int, int, Types]]:
        """Yield (first row, row behind the last, types) for each run."""
        for i, (start, types) in enumerate(self._runs):
            stop = self._runs[i + 1][0] if i + 1 < len(self._runs) else self._count
            yield start, stop, types

    def _expand(self) -> list[Types]:
        if self._expanded is None:
            expanded: list[Types] = []
            for start, stop, types in self.runs():
                expanded += [types] * (stop - start)
            self._expanded = expanded
        return self._expanded

    def __len__(self) -> int:
        return self._count

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, index: int) -> Types: ...
        @overload
        def __getitem__(self, index: slice) -> Sequence[Types]: ...

    def __getitem__(self, index: int | slice) -> Types | Sequence[Types]:
        return self._expand()[index]

    def __iter__(self) -> Iterator[Types]:
        return iter(self._expand())

    def __eq__(self, other: object) -> bool:
        whole: Any = other
        if isinstance(other, RowTypes):
            return self._count == other._count and (
                self._runs == other._runs or self._expand() == other._expand()
            )
        if isinstance(other, (list, tuple)):
            return self._expand() == [(*types,) for types in whole]
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._expand())

    def __reduce__(self) -> tuple[object, ...]:
        return RowTypes, (self._runs, self._count)
