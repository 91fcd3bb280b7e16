"""Write the body of a ROWS frame: natively where that is in use and sure; else by generated writers for
shapes that keep coming, and plainly for the rest.

The rows of a message come in runs with the same declared types, and within a run the Python types of the
values change as NULLs come and go:

    rows[0]   (1, "a", 2.5)     declared INTEGER, TEXT, FLOAT: the favourite writer of these declared types is
    rows[1]   (2, "b", 0.5)     called without a look at the rows, and goes on for as long as it can
    rows[2]   (3, None, 0.5)    other Python types: it returns 2; the writer of int, None, float is looked up
    rows[3]   (4, "d", 1)       an int for FLOAT: no writer holds that, `write_row_plainly` says what is wrong

A writer is asked for one row twice only at the start of a run, since looking up its types costs as much as
writing a small row. It gives up at the first doubt (a number out of range, a NUL in text), the rows before
that one being written; `write_row_plainly` then encodes the row, or says what is wrong.
"""

from __future__ import annotations

from .. import speedups
from ..caches import Cache
from ..constants import ValueType
from ..exceptions import EncodeError
from ..header import ROW_DONE, ROW_PART
from ..scalars import U64, checked_type, infer_type, pack_blob, pack_text, pack_value
from ..values import KIND_OF
from .row_types import row_header
from .shapes import CODES, DOUBTS, MAX_COLD, MAX_COMPILED, MAX_GENERATED, WRITER_SIZE, Shape, Shapes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Protocol

    from ..limits import Options
    from .row_types import Types
    from .shapes import RowWriter

    class Rows(Protocol):
        """What `RowsResponse` has, which this module does not know."""

        @property
        def column_names(self) -> Sequence[str]: ...
        @property
        def column_types(self) -> Sequence[ValueType]: ...
        @property
        def row_types(self) -> Sequence[tuple[ValueType, ...]]: ...
        @property
        def rows(self) -> Sequence[tuple[Any, ...]]: ...
        @property
        def has_more(self) -> bool: ...


__all__ = ["write_row_plainly", "write_rows"]

_NULL = CODES[type(None)]

row_shapes: Shapes = Shapes()  # (type codes that were declared, or None, Python types) -> writer
# (type codes that were declared, or None, columns) -> a writer that rows with them were written with
favourites: Cache[tuple[bytes | None, int], RowWriter] = Cache(MAX_COMPILED, WRITER_SIZE)


def write_rows(message: Rows, options: Options) -> list[bytes]:
    """Encode the body of a ROWS frame, in parts."""
    names, rows = message.column_names, message.rows
    count, limit = len(names), options.max_column_count
    if count > limit:
        problem = f"got {count}, at most {limit}"
        raise EncodeError(problem, path="RowsResponse.column_names", limit=limit)
    if not count and rows:
        raise EncodeError(f"got {len(rows)} rows without columns", path="RowsResponse.rows")
    if message.column_types and len(message.column_types) != count:
        problem = f"got {len(message.column_types)} types for {count} columns"
        raise EncodeError(problem, path="RowsResponse.column_types")
    if len(rows) > options.max_rows:
        limit = options.max_rows
        raise EncodeError(f"got {len(rows)} rows, at most {limit}", path="RowsResponse.rows", limit=limit)
    head = [U64.pack(count)]
    for i, name in enumerate(names):
        head.append(pack_text(name, options.max_column_name_size, f"RowsResponse.column_names[{i}]"))
    parts = _write_natively(message, count) or _write_row_list(message, count, options)
    if sum(map(len, parts)) > options.max_value_size:
        for number, row in enumerate(rows):
            _check_sizes(row, number, options)
    return [*head, *parts, ROW_PART if message.has_more else ROW_DONE]


def _write_natively(message: Rows, count: int) -> list[bytes] | None:
    """Encode all rows at once; None without the native writer, or where it is not sure."""
    native = speedups.write_rows
    if native is None:
        return None
    rows, row_types = message.rows, message.row_types
    if not len(row_types):
        runs = [(0, message.column_types or None)]
    elif len(row_types) == len(rows):
        runs = row_types.changes  # type: ignore[attr-defined]
    else:
        return None
    data = native(rows, runs, count)
    return None if data is None else [data]


def _write_row_list(message: Rows, count: int, options: Options) -> list[bytes]:
    parts: list[bytes] = []
    known: dict[int, Declared] = {}  # by identity of the declared types
    try:
        for start, stop, declared in _declared_runs(message):
            found = known.get(id(declared))
            if found is None:
                row = None if declared is message.column_types else start
                found = known[id(declared)] = Declared(declared, count, row)
            found.write(message.rows, start, stop, parts, options)
    except EncodeError:  # generated writers test no cap: a row before the one that is wrong may exceed one
        for number in range(len(parts)):
            _check_sizes(message.rows[number], number, options)
        raise
    return parts


def _declared_runs(message: Rows) -> Iterable[tuple[int, int, Any]]:
    """Yield runs of rows and the types they are declared with, None where those are inferred."""
    count, row_types = len(message.rows), message.row_types
    if not len(row_types):
        return [(0, count, message.column_types or None)]
    if len(row_types) != count:
        raise EncodeError(f"got {len(row_types)} for {count} rows", path="RowsResponse.row_types")
    return row_types.runs()  # type: ignore[attr-defined, no-any-return]


class Declared:
    """Types that rows of one message are declared with, None if inferred, and how such rows are written.

    Attributes:
        writers: by Python types.
        others: cold shapes by Python types, None where no writer can be made.
    """

    def __init__(self, declared: Sequence[Any] | None, count: int, row: int | None) -> None:
        types = None
        if declared is not None:
            path = "RowsResponse.column_types" if row is None else f"RowsResponse.row_types[{row}]"
            if len(declared) != count:
                raise EncodeError(f"got {len(declared)} types for {count} columns", path=path)
            types = tuple(
                [
                    t if type(t) is ValueType else checked_type(t, f"{path}[{i}]")
                    for i, t in enumerate(declared)
                ]
            )
        self.types: Types | None = types
        self.codes: bytes | None = None if types is None else bytes(types)
        self.count = count
        self.writers: dict[Any, RowWriter] = {}
        self.others: dict[Any, Shape | None] = {}
        self.favourite: RowWriter | None = favourites.get((self.codes, count))

    def write(self, rows: Sequence[Any], at: int, stop: int, parts: list[bytes], options: Options) -> None:
        """Write a run of rows."""
        append = parts.append
        if self.favourite is not None:  # most runs have one shape: try without a look at it
            try:
                at = self.favourite(rows, at, stop, append)
            except DOUBTS:
                at = len(parts)
        while at < stop:
            kinds = tuple(map(type, rows[at]))
            writer = self.writers.get(kinds) or self._warm(kinds)
            if writer is not None:
                self.favourite = writer
                try:
                    at = writer(rows, at, stop, append)
                    continue
                except DOUBTS:
                    at = len(parts)  # rows before the one in doubt are written
            parts.append(write_row_plainly(rows[at], self.types, self.count, at, options))
            at += 1

    def _warm(self, kinds: tuple[type, ...]) -> RowWriter | None:
        """Return the writer of a shape, if there is one or it has just earned one."""
        if len(kinds) != self.count or len(kinds) > MAX_GENERATED:
            return None
        key = self.codes, kinds
        if kinds not in self.others:
            found: RowWriter | None = row_shapes.find(key)
            if found is not None:
                return self._have(kinds, found)
            if len(self.others) >= MAX_COLD:
                self.others.clear()
            self.others[kinds] = self._cold(kinds)
        shape = self.others[kinds]
        if shape is None or not row_shapes.earns(shape):
            return None
        from .compiled_writers import compile_row_writer  # at the first use: import would take longer

        return self._have(kinds, row_shapes.add(key, compile_row_writer(shape.header, shape.codes)))

    def _have(self, kinds: tuple[type, ...], writer: RowWriter) -> RowWriter:
        if self.favourite is None:
            favourites.add((self.codes, self.count), writer)
        self.writers[kinds] = writer
        return writer

    def _cold(self, kinds: tuple[type, ...]) -> Shape | None:
        """Return a shape, if its values are exactly what its types hold."""
        key = self.codes, kinds
        shape = row_shapes.cold.get(key)
        if shape is None:
            try:
                codes = _held_codes(self.types, kinds)
            except DOUBTS:
                return None
            shape = row_shapes.cold.add(key, Shape(row_header(codes), codes))
        return shape


def _held_codes(types: Types | None, kinds: tuple[type, ...]) -> list[int]:
    """Return the codes to send, if every Python type is exactly what its wire type holds."""
    if types is None:
        return [CODES[kind] for kind in kinds]
    codes = [_NULL if kind is type(None) else int(code) for code, kind in zip(types, kinds, strict=True)]
    if any(KIND_OF[code].python is not kind for code, kind in zip(codes, kinds, strict=True)):
        raise ValueError("a value its type does not hold")
    return codes


def _check_sizes(row: Sequence[Any], number: int, options: Options) -> None:
    """Test the caps of values, where a frame is large enough to exceed one."""
    for i, value in enumerate(row):
        path = f"RowsResponse.rows[{number}][{i}]"
        if isinstance(value, str) and len(value) > options.max_text_value_size // 4:
            pack_text(value, options.max_text_value_size, path)
        elif isinstance(value, bytes) and len(value) > options.max_blob_size:
            pack_blob(value, options.max_blob_size, path)


def write_row_plainly(
    row: Sequence[Any], types: Types | None, count: int, number: int, options: Options
) -> bytes:
    """Encode a row value by value: the cold path, and the oracle of the fast one."""
    path = f"RowsResponse.rows[{number}]"
    if len(row) != count:
        raise EncodeError(f"got {len(row)} values for {count} columns", path=path)
    codes: list[ValueType] = []
    values: list[bytes] = []
    for i, value in enumerate(row):
        where = f"{path}[{i}]"
        code = infer_type(value, where) if value is None or types is None else types[i]
        codes.append(code)
        values.append(pack_value(value, code, options, where))
    return row_header(codes) + b"".join(values)
