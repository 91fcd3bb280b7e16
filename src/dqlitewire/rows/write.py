"""Write parameter tuples and rows: generated writers for the shapes that keep coming, the plain for the rest.

A shape is the wire type and the Python type of each value. Its writer packs neighbouring words in one
`struct` call and joins text and blobs between them; it gives up at the first doubt (a number out of range, a
NUL in text, a cap that may be exceeded), and the plain writers, `tuples.pack_params` and `write_row_plainly`,
encode the same values or say what is wrong. Making a writer is paid with credit, as making a reader is
(`rows.py`).
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from ..caches import Cache, Credit
from ..constants import ValueType
from ..exceptions import EncodeError
from ..tuples import DONE, PART, check_params_shape, pack_params, params_header, row_header
from ..types import (
    DOUBLE,
    I64,
    NULL_CELL,
    PADS,
    TEXT_ENDS,
    U64,
    checked_type,
    infer_type,
    pack_blob,
    pack_text,
    pack_value,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    M = TypeVar("M")

    from ..limits import Options
    from ..messages.responses import RowsResponse

    Types = tuple[ValueType, ...]
    Writer = Callable[[Sequence[Any]], bytes]
    RowWriter = Callable[[Sequence[Any], int, int, Callable[[bytes], None]], int]

__all__ = ["write_params", "write_rows"]

HEAT = 16  # uses of a shape before it is compiled
MAX_CREDIT, USES_PER_CREDIT = 128, 128  # compiling costs as much as writing 20 to 60 rows plainly
MAX_GENERATED = 64  # values; above, each is looked up by its type
# Shapes that are kept, and bytes of one at the most: 300 for each value of a writer, 20 of a cold shape.
MAX_COMPILED, WRITER_SIZE = 256, 1500 + 330 * MAX_GENERATED
MAX_COLD, COLD_SIZE = 1024, 500 + 20 * MAX_GENERATED

_CODES: dict[type, int] = {type(None): 5, bool: 11, int: 1, float: 2, str: 3, bytes: 4}
_FORMATS = {1: "q", 2: "d", 5: "8x", 9: "q", 11: "Q"}
_HOLDS: dict[int, type] = {1: int, 2: float, 3: str, 4: bytes, 5: type(None), 9: int, 10: str, 11: bool}
_DOUBTS = (EncodeError, ValueError, KeyError, OverflowError, struct_error)


class Cold:
    """A shape without a writer of its own: the header it is sent with, its type codes, and its uses."""

    __slots__ = ("codes", "header", "uses")

    def __init__(self, header: bytes, codes: Sequence[int]) -> None:
        self.header = header
        self.codes = bytes(codes)
        self.uses = 0


class Shapes:
    """Writers of the shapes that are hot, and what is known of the others; all threads share one.

    A writer is made once a shape was used often, and is paid with uses of any shape without one, so that ever
    new shapes cost at most about half as much again as the plain writers take.
    """

    __slots__ = ("cold", "compiled", "credit", "find", "heat")

    def __init__(self, heat: int = HEAT) -> None:
        self.heat = heat
        self.compiled: Cache[Any, Any] = Cache(MAX_COMPILED, WRITER_SIZE)
        self.find = self.compiled.get
        self.cold: Cache[Any, Cold] = Cache(MAX_COLD, COLD_SIZE)
        self.credit = Credit(MAX_CREDIT, USES_PER_CREDIT)

    def earns(self, shape: Cold) -> bool:
        """Count a use of a cold shape; tell whether a writer is to be made for it."""
        self.credit.earn(1)
        shape.uses += 1
        return shape.uses >= self.heat and self.credit.spend()

    def add(self, key: object, made: M) -> M:
        self.cold.forget(key)
        return self.compiled.add(key, made)  # type: ignore[no-any-return]


params_shapes = (Shapes(), Shapes())  # by schema: Python types -> writer
chunk_shapes = Shapes()  # Python types -> (type codes, writer), of some of many parameters
row_shapes = Shapes()  # (type codes that were declared, or None, Python types) -> writer
# (type codes that were declared, or None, columns) -> a writer that rows with them were written with
favourites: Cache[tuple[bytes | None, int], RowWriter] = Cache(MAX_COMPILED, WRITER_SIZE)


# ---- one value, looked up by its exact type


def _text(value: str) -> bytes:
    data = value.encode()
    if 0 in data:
        raise ValueError("NUL in text")
    return data + TEXT_ENDS[len(data) & 7]


def _blob(value: bytes) -> bytes:
    return b"".join((U64.pack(len(value)), value, PADS[len(value) & 7]))


_WRITE: dict[type, Callable[[Any], bytes]] = {
    type(None): {None: NULL_CELL}.__getitem__,
    bool: {False: U64.pack(0), True: U64.pack(1)}.__getitem__,
    int: I64.pack,
    float: DOUBLE.pack,
    str: _text,
    bytes: _blob,
}


# ---- parameters


def write_params(message: Any, form: int, options: Options) -> bytes:
    """Encode the parameter tuple of a request, or the empty one."""
    params, schema = message.params, form & 1
    count = len(params)
    if not count:
        return bytes(8)
    if count > 255 or count > options.max_param_count:
        check_params_shape(count, schema, options.max_param_count, f"{type(message).__name__}.params")
    try:
        if count <= MAX_GENERATED:
            kinds = tuple(map(type, params))
            writer = params_shapes[schema].find(kinds)
            data = writer(params) if writer is not None else _write_cold_params(params, schema, kinds)
        else:
            data = _write_many_params(params, schema)
        if len(data) <= options.max_value_size:
            return data
    except _DOUBTS:
        pass
    return pack_params(params, schema, options, f"{type(message).__name__}.params")


def _write_cold_params(params: Sequence[Any], schema: int, kinds: tuple[type, ...]) -> bytes:
    shapes = params_shapes[schema]
    shape = shapes.cold.get(kinds)
    if shape is None:
        codes = list(map(_CODES.__getitem__, kinds))
        shape = shapes.cold.add(kinds, Cold(params_header(codes, schema), codes))
    if shapes.earns(shape):
        return shapes.add(kinds, compile_writer(shape.header, shape.codes))(params)
    return shape.header + _write_values(params, kinds)


def _write_values(params: Sequence[Any], kinds: Sequence[type]) -> bytes:
    return b"".join([write(v) for write, v in zip(map(_WRITE.__getitem__, kinds), params)])  # noqa: B905


def _write_many_params(params: Sequence[Any], schema: int) -> bytes:
    """Encode more values than one writer takes, in chunks: bulk inserts repeat their shape."""
    codes: list[bytes] = []
    parts: list[bytes] = []
    for start in range(0, len(params), MAX_GENERATED):
        chunk = params[start : start + MAX_GENERATED]
        kinds = tuple(map(type, chunk))
        known, writer = chunk_shapes.find(kinds) or _cold_chunk(kinds)
        codes.append(known)
        parts.append(_write_values(chunk, kinds) if writer is None else writer(chunk))
    return b"".join((params_header(b"".join(codes), schema), *parts))


def _cold_chunk(kinds: tuple[type, ...]) -> tuple[bytes, Writer | None]:
    shape = chunk_shapes.cold.get(kinds)
    if shape is None:
        shape = chunk_shapes.cold.add(kinds, Cold(b"", list(map(_CODES.__getitem__, kinds))))
    if chunk_shapes.earns(shape):
        return chunk_shapes.add(kinds, (shape.codes, compile_writer(b"", shape.codes)))
    return shape.codes, None


# ---- rows


def write_rows(message: RowsResponse, options: Options) -> list[bytes]:
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
    parts = _write_row_list(message, count, options)
    if sum(map(len, parts)) > options.max_value_size:
        for number, row in enumerate(rows):
            _check_sizes(row, number, options)
    return [*head, *parts, PART if message.has_more else DONE]


def _write_row_list(message: RowsResponse, count: int, options: Options) -> list[bytes]:
    rows = message.rows
    parts: list[bytes] = []
    append = parts.append
    known: dict[int, _Declared] = {}  # by identity of the declared types
    for start, stop, declared in _declared_runs(message):
        found = known.get(id(declared))
        if found is None:
            row = None if declared is message.column_types else start
            found = known[id(declared)] = _Declared(declared, count, row)
        at = start
        while at < stop:
            writer = found.favourite
            if writer is not None:
                try:
                    at = writer(rows, at, stop, append)
                    if at == stop:
                        break
                except _DOUBTS:
                    at = len(parts)
            at = found.write(rows, at, stop, parts, options)
    return parts


def _declared_runs(message: RowsResponse) -> Iterable[tuple[int, int, Any]]:
    """Yield runs of rows and the types they are declared with, None where those are inferred."""
    count, row_types = len(message.rows), message.row_types
    if not len(row_types):
        return [(0, count, message.column_types or None)]
    if len(row_types) != count:
        raise EncodeError(f"got {len(row_types)} for {count} rows", path="RowsResponse.row_types")
    return row_types.runs()  # type: ignore[attr-defined, no-any-return]


class _Declared:
    """Types that rows of one message are declared with, None if inferred, and how such rows are written.

    Attributes:
        writers: by Python types.
        others: cold shapes by Python types, None where no writer can be made.
    """

    __slots__ = ("codes", "count", "favourite", "others", "types", "writers")

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
        self.codes = None if types is None else bytes(types)
        self.count = count
        self.writers: dict[Any, RowWriter] = {}
        self.others: dict[Any, Cold | None] = {}
        self.favourite: RowWriter | None = favourites.get((self.codes, count))

    def write(self, rows: Sequence[Any], at: int, stop: int, parts: list[bytes], options: Options) -> int:
        """Write the next row, and those like it; return the number of the one behind."""
        kinds = tuple(map(type, rows[at]))
        writer = self.writers.get(kinds)
        if writer is None:
            writer = self._warm(kinds)
        if writer is not None:
            self.favourite = writer
            try:
                return writer(rows, at, stop, parts.append)
            except _DOUBTS:
                at = len(parts)
        parts.append(write_row_plainly(rows[at], self.types, self.count, at, options))
        return at + 1

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
        return self._have(kinds, row_shapes.add(key, compile_row_writer(shape.header, shape.codes)))

    def _have(self, kinds: tuple[type, ...], writer: RowWriter) -> RowWriter:
        if self.favourite is None:
            favourites.add((self.codes, self.count), writer)
        self.writers[kinds] = writer
        return writer

    def _cold(self, kinds: tuple[type, ...]) -> Cold | None:
        """Return a shape, if its values are exactly what its types hold."""
        key = self.codes, kinds
        shape = row_shapes.cold.get(key)
        if shape is None:
            try:
                codes = _held_codes(self.types, kinds)
            except _DOUBTS:
                return None
            shape = row_shapes.cold.add(key, Cold(row_header(codes), codes))
        return shape


def _held_codes(types: Types | None, kinds: tuple[type, ...]) -> list[int]:
    """Return the codes to send, if every Python type is exactly what its wire type holds."""
    if types is None:
        return [_CODES[kind] for kind in kinds]
    codes = [5 if kind is type(None) else int(code) for code, kind in zip(types, kinds, strict=True)]
    if any(_HOLDS[code] is not kind for code, kind in zip(codes, kinds, strict=True)):
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
        values.append(pack_value(value, code, options.max_text_value_size, options.max_blob_size, where))
    return row_header(codes) + b"".join(values)


# ---- code


def compile_writer(header: bytes, codes: Sequence[int]) -> Writer:
    """Generate the writer of values with these type codes, behind a constant header."""
    names = dict(_NAMES, HEADER=header)
    steps, result = _write_values_code(header, codes, names)
    lines = ["def write(values):", f"    {_values(codes)} = values", *steps, f"    return {result}"]
    made: Writer = _compiled(lines, names)
    return made


def compile_row_writer(header: bytes, codes: Sequence[int]) -> RowWriter:
    """Generate the writer of rows with these type codes.

    It is called with the rows, the numbers of the first and of the one behind the last, and where to append
    each; it stops at the first row with a value of another Python type, and returns its number.
    """
    names = dict(_NAMES, HEADER=header)
    steps, result = _write_values_code(header, codes, names)
    others = [
        f"v{i} is not None" if c == 5 else f"type(v{i}) is not {_NAMES_OF[c]}" for i, c in enumerate(codes)
    ]
    lines = [
        "def write(rows, at, stop, append):",
        "    while at < stop:",
        f"        {_values(codes)} = rows[at]",
        f"        if {' or '.join(others)}: return at",
        *(f"    {step}" for step in steps),
        f"        append({result})",
        "        at += 1",
        "    return at",
    ]
    made: RowWriter = _compiled(lines, names)
    return made


_NAMES: dict[str, Any] = {"ENDS": TEXT_ENDS, "PADS": PADS, "join": b"".join}
_NAMES_OF = {code: kind.__name__ for code, kind in _HOLDS.items()}


def _compiled(lines: list[str], names: dict[str, Any]) -> Any:
    exec("\n".join(lines), names)
    return names["write"]


def _values(codes: Sequence[int]) -> str:
    return "".join(f"v{i}, " for i in range(len(codes)))


def _write_values_code(header: bytes, codes: Sequence[int], names: dict[str, Any]) -> tuple[list[str], str]:
    """Return the steps before, and the expression of, the encoded values."""
    steps: list[str] = []
    parts: list[str] = []
    layout, arguments = (f"{len(header)}s", ["HEADER"]) if header else ("", [])

    def flush() -> None:
        nonlocal layout, arguments
        if layout:
            pack = f"pack{len(parts)}"
            names[pack] = Struct("<" + layout).pack
            only_header = arguments == ["HEADER"] and layout == f"{len(header)}s"
            parts.append("HEADER" if only_header else f"{pack}({', '.join(arguments)})")
        layout, arguments = "", []

    for i, code in enumerate(codes):
        if code in _FORMATS:
            layout += _FORMATS[code]
            arguments += [] if code == 5 else [f"v{i}"]
        elif code == 4:
            layout += "Q"
            arguments.append(f"len(v{i})")
            flush()
            parts += [f"v{i}", f"PADS[len(v{i}) & 7]"]
        else:
            flush()
            steps += [f"    t{i} = v{i}.encode()", f"    if 0 in t{i}: raise ValueError"]
            parts += [f"t{i}", f"ENDS[len(t{i}) & 7]"]
    flush()
    return steps, parts[0] if len(parts) == 1 else f"join(({', '.join(parts)}))"
