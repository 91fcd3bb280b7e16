"""Write parameter tuples and rows: a generated writer for the shapes that keep coming, the plain one for the rest.

A shape is the wire type and the Python type of each value. Its writer packs neighbouring words in one `struct` call and joins
text and blobs between them; it gives up at the first doubt (a number out of range, a NUL in text, a cap that may be exceeded),
and the plain writers, `tuples.pack_params` and `write_row_plainly`, encode the same values or say what is wrong.
"""

from __future__ import annotations

from itertools import repeat
from struct import Struct
from struct import error as struct_error

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
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    M = TypeVar("M")

    from .limits import Options
    from .messages.responses import RowsResponse

    Types = tuple[ValueType, ...]
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
chunk_shapes = Shapes()  # Python types -> (type codes, writer), of some of many parameters
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
            writer = params_shapes[schema].compiled.get(kinds)
            data = writer(params) if writer is not None else _write_cold_params(params, schema, kinds)
        else:
            data = _write_many_params(params, schema)
        if len(data) <= options.max_value_size:
            return data
    except _DOUBTS:
        pass
    return pack_params(params, schema, options, f"{type(message).__name__}.params")


def _write_cold_params(params: Sequence[Any], schema: int, kinds: tuple[type, ...]) -> bytes:
    codes = list(map(_CODES.__getitem__, kinds))
    header = params_header(codes, schema)
    if params_shapes[schema].is_hot(kinds):
        return params_shapes[schema].add(kinds, compile_writer(header, codes))(params)
    return header + _write_values(params, kinds)


def _write_values(params: Sequence[Any], kinds: Sequence[type]) -> bytes:
    return b"".join([write(v) for write, v in zip(map(_WRITE.__getitem__, kinds), params)])  # noqa: B905


def _write_many_params(params: Sequence[Any], schema: int) -> bytes:
    """Encode more values than one writer takes, in chunks: bulk inserts repeat their shape."""
    codes, parts = [], []
    for start in range(0, len(params), MAX_GENERATED):
        chunk = params[start : start + MAX_GENERATED]
        kinds = tuple(map(type, chunk))
        found = chunk_shapes.compiled.get(kinds)
        if found is None:
            found = bytes(map(_CODES.__getitem__, kinds)), None
            if chunk_shapes.is_hot(kinds):
                found = chunk_shapes.add(kinds, (found[0], compile_writer(b"", found[0])))
        codes.append(found[0])
        parts.append(_write_values(chunk, kinds) if found[1] is None else found[1](chunk))
    return b"".join((params_header(b"".join(codes), schema), *parts))


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
    parts = _write_row_list(message, count, options)
    if sum(map(len, parts)) > options.max_value_size:
        for number, row in enumerate(rows):
            _check_sizes(row, number, options)
    return [*head, *parts, PART if message.has_more else DONE]


def _write_row_list(message: RowsResponse, count: int, options: Options) -> list[bytes]:
    parts: list[bytes] = []
    append = parts.append
    known: dict[int, tuple[Types | None, dict[Any, Writer]]] = {}  # by identity of the declared types
    last: object = append  # nothing that declares types
    types: Types | None = None
    writers: dict[Any, Writer] = {}
    for row, declared in zip(message.rows, _declared_types(message)):  # noqa: B905
        if declared is not last:
            last = declared
            found = known.get(id(declared))
            if found is None:
                found = known[id(declared)] = _writers(declared, count, len(parts))
            types, writers = found
        kinds = tuple(map(type, row))
        try:
            append(writers[kinds](row))
        except _DOUBTS:
            append(write_row_plainly(row, types, count, len(parts), options))
            if len(kinds) <= MAX_GENERATED and kinds not in writers:
                _warm(writers, types, kinds)
    return parts


def _declared_types(message: RowsResponse) -> Iterable[Any]:
    """Yield the types each row is declared with, None where those are inferred."""
    if not len(message.row_types):
        return repeat(message.column_types or None)
    if len(message.row_types) != len(message.rows):
        problem = f"got {len(message.row_types)} for {len(message.rows)} rows"
        raise EncodeError(problem, path="RowsResponse.row_types")
    return message.row_types


def _writers(declared: Sequence[Any] | None, count: int, row: int) -> tuple[Types | None, dict[Any, Writer]]:
    """Check declared types; return them with the writers known for them, by the Python types of a row."""
    types = None
    if declared is not None:
        if len(declared) != count:
            problem = f"got {len(declared)} types for {count} columns"
            raise EncodeError(problem, path=f"RowsResponse.row_types[{row}]")
        types = tuple([t if type(t) is ValueType else checked_type(t) for t in declared])
    found = row_shapes.compiled.get((types, count))
    return types, row_shapes.add((types, count), {}) if found is None else found


def _warm(writers: dict[Any, Writer], types: Types | None, kinds: tuple[type, ...]) -> None:
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
    names: dict[str, Any] = {"HEADER": header, "ENDS": TEXT_ENDS, "PADS": PADS, "join": b"".join}
    values = [f"v{i}" for i in range(len(codes))]
    lines = [f"{', '.join(values)}, = values"]
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
            lines += [f"t{i} = v{i}.encode()", f"if 0 in t{i}: raise ValueError"]
            parts += [f"t{i}", f"ENDS[len(t{i}) & 7]"]
    flush()
    lines.append(f"return {parts[0]}" if len(parts) == 1 else f"return join(({', '.join(parts)}))")
    source = "def write(values):\n" + "\n".join(f"    {line}" for line in lines)
    exec(compile(source, "<tuple writer>", "exec"), names)
    made: Writer = names["write"]
    return made
