"""The parts of a frame, kept as positions: a frame of a million rows is explained in twice its size.

While a frame is read, `Parts.note` keeps of each part where it begins and what kind it is: nine bytes. A
`Span` is made from that when it is asked for; it reads its value and its children from the frame again, so
that no value is kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from .constants import ValueType
from .header import HEADER, ROW_DONE, row_header_size
from .rows.params import read_params
from .rows.row_types import read_row_types
from .scalars import read_text, read_value
from .text import abbreviate
from .values import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, overload

    from .exceptions import DecodeError
    from .limits import Options

__all__ = ["Parts", "Span"]


class Span:
    """A named range of a frame's bytes and what it means; made by `explain`.

    Value and children are read when asked for, children once.

    Attributes:
        name: the field's name, or that of a part of it.
        start: first byte, counted from the frame's start.
        end: first byte behind it.
        value: the decoded value, None for a group or padding.
        children: the parts, in wire order.
        error: why reading stopped here, for the root of a frame that could not be read whole.
        source: where value and children are read from when they are asked for: the parts of the frame that
            this is one of, and its kind among those of `_VALUES` and `_DIVIDED`.
    """

    __slots__ = ("_children", "_source", "_value", "end", "error", "name", "start")

    def __init__(
        self,
        name: str,
        start: int,
        end: int,
        value: object = None,
        children: Sequence[Span] = (),
        error: DecodeError | None = None,
        source: tuple[Parts, str] | None = None,
    ) -> None:
        self.name: str = name
        self.start: int = start
        self.end: int = end
        self.error: DecodeError | None = error
        self._value = value
        self._children = children
        self._source = source

    @property
    def value(self) -> Any:
        """The decoded value, None for a group or padding."""
        if self._source is None:
            return self._value
        parts, kind = self._source
        return parts.value(kind, self.start, self.end)

    @property
    def children(self) -> Sequence[Span]:
        """The parts, in wire order."""
        if self._source is not None and not self._children:
            parts, kind = self._source
            self._children = parts.divided(kind, self.start, self.end)
        return self._children

    def __repr__(self) -> str:
        count = len(self.children)
        inner = f", {count} children" if count else ""
        return f"Span({self.name!r}, {self.start}, {self.end}, {abbreviate(self.value)}{inner})"


class Parts(Sequence[Span]):
    """Parts that follow one another, in wire order.

    Attributes:
        data: the frame.
        end: first byte behind the last part.
    """

    def __init__(self, data: bytes, options: Options, schema: int) -> None:
        self.data = data
        self.options = options
        self.schema = schema
        self.end: int = 0
        self._starts = array("Q")
        self._which = array("B")  # of each part: its number in
        self._kinds: list[tuple[str, str, int | None]] = []  # name, kind, which part has the index 0
        self._known: dict[tuple[str, str], int] = {}

    def note(self, name: str, start: int, end: int, kind: str, index: int | None = None) -> None:
        """Add a part; those with one name and an index follow one another."""
        which = self._known.get((name, kind))
        if which is None:
            which = self._known[name, kind] = len(self._kinds)
            self._kinds.append((name, kind, None if index is None else len(self._starts) - index))
        self._which.append(which)
        self._starts.append(start)
        self.end = end

    def __len__(self) -> int:
        return len(self._starts)

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, index: int) -> Span: ...
        @overload
        def __getitem__(self, index: slice) -> Sequence[Span]: ...

    def __getitem__(self, index: int | slice) -> Span | Sequence[Span]:
        numbers = range(len(self._starts))[index]
        return self._span(numbers) if isinstance(numbers, int) else [self._span(n) for n in numbers]

    def _span(self, number: int) -> Span:
        name, kind, first = self._kinds[self._which[number]]
        following = number + 1
        return Span(
            name if first is None else f"{name}[{number - first}]",
            self._starts[number],
            self._starts[following] if following < len(self._starts) else self.end,
            source=(self, kind),
        )

    def value(self, kind: str, start: int, end: int) -> Any:
        """Read the value of a part again."""
        return _VALUES[kind](self, start, end)

    def divided(self, kind: str, start: int, end: int) -> Sequence[Span]:
        """Return the parts of a part."""
        return _DIVIDED[kind](self, start, end) if kind in _DIVIDED else ()

    def like(self) -> Parts:
        """Return no parts of the same frame."""
        return Parts(self.data, self.options, self.schema)

    def note_cells(self, codes: Sequence[int], start: int, end: int) -> None:
        """Add the values that stand from `start` on, as far as they go."""
        for i, code in enumerate(codes):
            if start >= end:
                break
            _, after = self.cell(code, start, end)
            self.note("", start, after, f"value {code:d}", i)
            start = after

    def cell(self, code: int, start: int, end: int) -> tuple[Any, int]:
        """Read a value again; return it and the position behind it."""
        return read_value(code, self.data, start, end, self.options)


def _header(of: Parts, start: int, end: int) -> Parts:
    parts = of.like()
    at = start
    for name, size in (("size_words", 4), ("msg_type", 1), ("schema", 1), ("reserved", 2)):
        parts.note(name, at, at + size, "number")
        at += size
    return parts


def _row_types(of: Parts, start: int, end: int) -> tuple[ValueType, ...]:
    count = int.from_bytes(of.data[HEADER.size : HEADER.size + 8], "little")
    return read_row_types(of.data[start : start + row_header_size(count)], count, start, "")


def _row_values(of: Parts, start: int, end: int) -> tuple[Any, ...]:
    types = _row_types(of, start, end)
    at = start + row_header_size(len(types))
    values: list[Any] = []
    for code in types:
        if at >= end:
            break
        value, at = of.cell(code, at, end)
        values.append(value)
    return tuple(values)


def _row(of: Parts, start: int, end: int) -> Parts:
    parts, types = of.like(), _row_types(of, start, end)
    at = start + row_header_size(len(types))
    parts.note("types", start, at, "row types")
    parts.note_cells(types, at, end)
    return parts


def _params_types(of: Parts, start: int, end: int) -> tuple[ValueType, ...]:
    size = 4 if of.schema else 1
    count = int.from_bytes(of.data[start - size : start], "little")
    return tuple(map(ValueType, of.data[start : start + count]))


def _params_values(of: Parts, start: int, end: int) -> list[Any]:
    return read_params(of.data, start, end, of.schema, of.options, "")[0]


def _params(of: Parts, start: int, end: int) -> Parts:
    parts, at = of.like(), start + (4 if of.schema else 1)
    parts.note("count", start, at, "number")
    types = _params_types(of, at, end)
    after = (at + len(types) + 7) & -8
    parts.note("types", at, after, "params types")
    parts.note_cells(types, after, end)
    return parts


def _cell(code: int) -> Callable[[Parts, int, int], Any]:
    return lambda of, start, end: of.cell(code, start, end)[0]


# What reads the value of a part again, for each kind of part.
_VALUES: dict[str, Callable[[Parts, int, int], Any]] = {
    "header": lambda of, start, end: None,  # its children have values
    "number": lambda of, start, end: int.from_bytes(of.data[start:end], "little"),
    "text": lambda of, start, end: read_text(of.data, start, end, end - start, of.options.text_errors)[0],
    "unaligned text": lambda of, start, end: str(of.data[start : end - 1], "utf-8", of.options.text_errors),
    "bytes": lambda of, start, end: of.data[start:end],
    "marker": lambda of, start, end: "DONE" if of.data[start:end] == ROW_DONE else "PART",
    "row": _row_values,
    "row types": _row_types,
    "params": _params_values,
    "params types": _params_types,
    **{f"value {kind.code:d}": _cell(kind.code) for kind in KINDS},
}
# What reads the parts of a part, for the kinds that have any.
_DIVIDED: dict[str, Callable[[Parts, int, int], Sequence[Span]]] = {
    "header": _header,
    "row": _row,
    "params": _params,
}
