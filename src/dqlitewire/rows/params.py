"""Parameter tuples: read and written value by value, and fast natively or by generated writers.

The layouts are told in `dqlitewire.tuples`. Where the native writer is in use (`dqlitewire.speedups`) it
writes all that it is sure of; without it a writer is generated for a shape that keeps coming. `write_params`
gives up at the first doubt (a number out of range, a NUL in text, a cap that may be exceeded), and
`pack_params` encodes the same values or says what is wrong. There is one reader, the plain one: only servers
and tools read parameters.
"""

from __future__ import annotations

from .. import speedups
from ..checks import choice_of
from ..exceptions import DecodeError, EncodeError
from ..scalars import NULL_CELL, PADS, TEXT_ENDS, U64, infer_type, pack_value, read_value
from ..text import shown
from ..values import KINDS, PACK, allowed_codes
from .shapes import CODES, DOUBTS, MAX_GENERATED, Shape, Shapes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..limits import Options
    from ..values import WireValue
    from .shapes import Writer

__all__ = ["check_params_shape", "pack_params", "params_header", "read_params", "write_params"]

_COUNT_SIZES = (1, 4)  # bytes of the count, by schema
_IN_PARAMS = frozenset(int(kind.code) for kind in KINDS if kind.in_params)


# ---- plain


def check_params_shape(count: int, schema: int, limit: int, path: str) -> int:
    """Return the schema, if it and the count are allowed."""
    chosen = choice_of(schema, (0, 1))
    if chosen is None:
        raise EncodeError(f"params schema {shown(schema)}, allowed 0 and 1", path=path)
    if count > limit:
        raise EncodeError(f"got {count} parameters, at most {limit}", path=path, limit=limit)
    if chosen == 0 and count > 255:
        raise EncodeError(f"got {count} parameters, at most 255 in schema 0", path=path)
    return int(chosen)


def params_header(types: Sequence[int], schema: int, buffer_offset: int = 0) -> bytes:
    header = len(types).to_bytes(_COUNT_SIZES[schema], "little") + bytes(types)
    return header + bytes(-(buffer_offset + len(header)) % 8)


def pack_params(params: Sequence[object], schema: int, options: Options, path: str) -> bytes:
    """Encode a parameter tuple value by value: the cold path, and the oracle of the fast one."""
    types = [infer_type(value, f"{path}[{i}]") for i, value in enumerate(params)]
    parts = [params_header(types, schema)]
    for i, (value, value_type) in enumerate(zip(params, types, strict=True)):
        where = f"{path}[{i}]"
        parts.append(pack_value(value, value_type, options, where))
    return b"".join(parts)


def read_params(
    data: bytes | memoryview,
    pos: int,
    end: int,
    schema: int,
    options: Options,
    path: str,
    count: int | None = None,
    shift: int = 0,
) -> tuple[list[WireValue], int]:
    """Read the tuple at data[pos:end]; words are counted from `shift` bytes before the data's start."""
    start = pos
    if count is None:
        size = _COUNT_SIZES[schema]
        if end - pos < size:
            raise DecodeError(f"got {end - pos} bytes, a count of {size} is needed", path=path, offset=pos)
        count = int.from_bytes(data[pos : pos + size], "little")
        pos += size
    if count > options.max_param_count:
        raise DecodeError(
            f"got {shown(count)} parameters, at most {options.max_param_count}",
            path=path,
            offset=start,
            limit=options.max_param_count,
        )
    values_at = pos + count
    values_at += -(values_at + shift) % 8
    if values_at > end:
        raise DecodeError(f"header of {count} types, {end - pos} bytes are left", path=path, offset=start)
    codes = bytes(data[pos : pos + count])
    values: list[WireValue] = []
    at = values_at
    for i, code in enumerate(codes):
        if code not in _IN_PARAMS:
            problem = f"value type {code}, allowed {allowed_codes(in_params=True)} in parameters"
            raise DecodeError(problem, path=f"{path}[{i}]", offset=pos + i)
        try:
            value, at = read_value(code, data, at, end, options)
        except DecodeError as error:
            error.path = f"{path}[{i}]"
            raise
        values.append(value)
    return values, at - start


# ---- fast

params_shapes: tuple[Shapes, Shapes] = (Shapes(), Shapes())  # by schema: Python types -> writer
chunk_shapes: Shapes = Shapes()  # Python types -> (type codes, writer), of some of many parameters


# One value, looked up by its exact type:


def _text(value: str) -> bytes:
    data = value.encode()
    if 0 in data:
        raise ValueError("NUL in text")
    return data + TEXT_ENDS[len(data) & 7]


def _blob(value: bytes) -> bytes:
    return b"".join((U64.pack(len(value)), value, PADS[len(value) & 7]))


_BY_FORM: dict[int, Callable[[Any], bytes]] = {
    3: _text,
    4: _blob,
    5: {None: NULL_CELL}.__getitem__,
    11: {False: U64.pack(0), True: U64.pack(1)}.__getitem__,
}
_WRITE = {python: _BY_FORM.get(code) or PACK[code] for python, code in CODES.items()}


def write_params(message: Any, form: int, options: Options) -> bytes:
    """Encode the parameter tuple of a request, or the empty one."""
    params, schema = message.params, form & 1
    count = len(params)
    if not count:
        return bytes(8)
    if count > 255 or count > options.max_param_count:
        check_params_shape(count, schema, options.max_param_count, f"{type(message).__name__}.params")
    native = speedups.write_params
    try:
        if native is not None:
            data = native(params, schema)
        elif count <= MAX_GENERATED:
            kinds = tuple(map(type, params))
            writer = params_shapes[schema].find(kinds)
            data = writer(params) if writer is not None else _write_cold_params(params, schema, kinds)
        else:
            data = _write_many_params(params, schema)
        if data is not None and len(data) <= options.max_value_size:
            return data
    except DOUBTS:
        pass
    return pack_params(params, schema, options, f"{type(message).__name__}.params")


def _write_cold_params(params: Sequence[Any], schema: int, kinds: tuple[type, ...]) -> bytes:
    shapes = params_shapes[schema]
    shape = shapes.cold.get(kinds)
    if shape is None:
        codes = list(map(CODES.__getitem__, kinds))
        shape = shapes.cold.add(kinds, Shape(params_header(codes, schema), codes))
    if shapes.earns(shape):
        from .compiled_writers import compile_writer

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
        shape = chunk_shapes.cold.add(kinds, Shape(b"", list(map(CODES.__getitem__, kinds))))
    if chunk_shapes.earns(shape):
        from .compiled_writers import compile_writer

        return chunk_shapes.add(kinds, (shape.codes, compile_writer(b"", shape.codes)))
    return shape.codes, None
