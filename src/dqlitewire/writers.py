"""Write parameter tuples and rows: a generated writer for the shapes that keep coming, the plain one for the rest.

A shape is the wire type and the Python type of each value. Its writer packs neighbouring words in one `struct` call and joins
text and blobs between them; it gives up at the first doubt (a number out of range, a NUL in text, a cap that may be exceeded),
and the plain writers, `tuples.pack_params` and `write_row_plainly`, encode the same values or say what is wrong.
"""

from __future__ import annotations

from struct import Struct, error as struct_error

from .constants import ValueType
from .exceptions import EncodeError
from .tuples import DONE, PART, check_params_shape, pack_params, params_header, row_header
from .types import (
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
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    M = TypeVar("M")

    from .limits import Options
    from .messages.responses import RowsResponse

    Writer = Callable[[Sequence[Any]], bytes]

__all__ = ["write_params", "write_rows"]

HEAT = 16  # uses of a shape before it is compiled
MAX_COMPILED = 256
MAX_COLD = 4096
MAX_GENERATED = 64  # values; above, each is looked up by its type

_CODES: dict[type, int] = {type(None): 5, bool: 11, int: 1, float: 2, str: 3, bytes: 4}
_FORMATS = {1: "q", 2: "d", 5: "8x", 9: "q", 11: "Q"}
_HOLDS: dict[int, type] = {1: int, 2: float, 3: str, 4: bytes, 5: type(None), 9: int, 10: str, 11: bool}
_DOUBTS = (EncodeError, ValueError, KeyError, OverflowError, struct_error)


class Shapes:
    """What was made for shapes that are hot, and how often the others were asked for."""

    __slots__ = ("cold", "compiled", "heat")

    def __init__(self, heat: int = HEAT) -> None:
        self.heat = heat
        self.compiled: dict[Any, Any] = {}
        self.cold: dict[Any, int] = {}

    def is_hot(self, shape: object) -> bool:
        if len(self.cold) >= MAX_COLD:
            self.cold.clear()
        uses = self.cold[shape] = self.cold.get(shape, 0) + 1
        return uses >= self.heat

    def add(self, shape: object, made: M) -> M:
        if len(self.compiled) >= MAX_COMPILED:
            self.compiled.clear()
        self.cold.pop(shape, None)
        self.compiled[shape] = made
        return made


params_shapes = (Shapes(), Shapes())  # by schema: Python types -> writer
row_shapes = Shapes()  # (wire types, columns) -> Python types -> writer


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


def write_params(message: Any, options: Options) -> bytes:
    """Encode the parameter tuple of a request; nothing, or an empty header, without parameters."""
    params, schema = message.params, message.schema
    count = len(params)
    if not count:
        return bytes(8) if message.empty_header else b""
    if count > 255 or count > options.max_param_count:
        check_params_shape(count, schema, options.max_param_count, f"{type(message).__name__}.params")
    kinds = tuple(map(type, params))
    try:
        writer = params_shapes[schema].compiled.get(kinds)
        data = writer(params) if writer is not None else _write_cold_params(params, schema, kinds)
        if len(data) <= options.max_value_size:
            return data
    except _DOUBTS:
        pass
    return pack_params(params, schema, options, f"{type(message).__name__}.params")


def _write_cold_params(params: Sequence[Any], schema: int, kinds: tuple[type, ...]) -> bytes:
    codes = list(map(_CODES.__getitem__, kinds))
    header = params_header(codes, schema)
    shapes = params_shapes[schema]
    if len(kinds) <= MAX_GENERATED and shapes.is_hot(kinds):
        return shapes.add(kinds, compile_writer(header, codes))(params)
    values = [write(v) for write, v in zip(map(_WRITE.__getitem__, kinds), params)]  # noqa: B905
    return b"".join((header, *values))


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
    if len(rows) > options.max_rows:
        limit = options.max_rows
        raise EncodeError(f"got {len(rows)} rows, at most {limit}", path="RowsResponse.rows", limit=limit)
    head = [U64.pack(count)]
    for i, name in enumerate(names):
        head.append(pack_text(name, options.max_column_name_size, f"RowsResponse.column_names[{i}]"))
    runs = _declared_types(message)
    parts: list[bytes] = []
    for start, stop, types in runs:
        _write_run(rows, start, stop, types, count, options, parts)
    if sum(map(len, parts)) > options.max_value_size:
        for number, row in enumerate(rows):
            _check_sizes(row, number, options)
    return [*head, *parts, PART if message.has_more else DONE]


def _declared_types(message: RowsResponse) -> list[tuple[int, int, tuple[ValueType, ...] | None]]:
    """Return runs of rows and the types they are declared with, None where those are inferred."""
    rows, columns = message.rows, len(message.column_names)
    row_types: Any = message.row_types
    if len(row_types):
        if len(row_types) != len(rows):
            problem = f"got {len(row_types)} for {len(rows)} rows"
            raise EncodeError(problem, path="RowsResponse.row_types")
        return [(a, b, _checked_types(t, columns, f"row_types[{a}]")) for a, b, t in row_types.runs()]
    types = message.column_types
    if not types and columns:
        return [(0, len(rows), None)]
    return [(0, len(rows), _checked_types(types, columns, "column_types"))]


def _checked_types(types: Sequence[Any], columns: int, name: str) -> tuple[ValueType, ...]:
    if len(types) != columns:
        raise EncodeError(f"got {len(types)} types for {columns} columns", path=f"RowsResponse.{name}")
    return tuple([t if type(t) is ValueType else checked_type(t) for t in types])


def _write_run(
    rows: Sequence[Any],
    start: int,
    stop: int,
    types: tuple[ValueType, ...] | None,
    count: int,
    options: Options,
    parts: list[bytes],
) -> None:
    """Encode rows that are declared with the same types."""
    writers = row_shapes.compiled.get((types, count))
    if writers is None:
        writers = row_shapes.add((types, count), {})
    append = parts.append
    for number in range(start, stop):
        row = rows[number]
        kinds = tuple(map(type, row))
        try:
            append(writers[kinds](row))
        except _DOUBTS:
            append(write_row_plainly(row, types, count, number, options))
            if len(kinds) == count <= MAX_GENERATED and kinds not in writers:
                _warm(writers, types, kinds)


def _warm(writers: dict[Any, Writer], types: tuple[ValueType, ...] | None, kinds: tuple[type, ...]) -> None:
    """Compile the writer of a shape that has become hot, if its values are exactly what its types hold."""
    if not row_shapes.is_hot((types, kinds)):
        return
    try:
        codes = _held_codes(types, kinds)
    except _DOUBTS:
        return
    if len(writers) >= MAX_COMPILED:
        writers.clear()
    writers[kinds] = compile_writer(row_header(codes), codes)


def _held_codes(types: tuple[ValueType, ...] | None, kinds: tuple[type, ...]) -> list[int]:
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
    row: Sequence[Any], types: tuple[ValueType, ...] | None, count: int, number: int, options: Options
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
    names: dict[str, Any] = {"HEADER": header, "ENDS": TEXT_ENDS, "PADS": PADS, "join": b"".join}
    values = [f"v{i}" for i in range(len(codes))]
    lines = [f"{', '.join(values)}, = values"]
    parts: list[str] = []
    layout, arguments = f"{len(header)}s", ["HEADER"]

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
            lines += [f"t{i} = v{i}.encode()", f"if 0 in t{i}: raise ValueError"]
            parts += [f"t{i}", f"ENDS[len(t{i}) & 7]"]
    flush()
    lines.append(f"return {parts[0]}" if len(parts) == 1 else f"return join(({', '.join(parts)}))")
    source = "def write(values):\n" + "\n".join(f"    {line}" for line in lines)
    exec(compile(source, "<tuple writer>", "exec"), names)
    made: Writer = names["write"]
    return made
