"""Write parameter tuples: generated writers for the shapes that keep coming, value by value for the rest.

Both give up at the first doubt (a number out of range, a NUL in text, a cap that may be exceeded), and
`plain_params.pack_params` encodes the same values or says what is wrong.
"""

from __future__ import annotations

from ..scalars import NULL_CELL, PADS, TEXT_ENDS, U64
from ..values import PACK
from .plain_params import check_params_shape, pack_params, params_header
from .shapes import CODES, DOUBTS, MAX_GENERATED, Shape, Shapes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..limits import Options
    from .shapes import Writer

__all__ = ["write_params"]


params_shapes = (Shapes(), Shapes())  # by schema: Python types -> writer
chunk_shapes = Shapes()  # Python types -> (type codes, writer), of some of many parameters


# ---- one value, looked up by its exact type


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
    try:
        if count <= MAX_GENERATED:
            kinds = tuple(map(type, params))
            writer = params_shapes[schema].find(kinds)
            data = writer(params) if writer is not None else _write_cold_params(params, schema, kinds)
        else:
            data = _write_many_params(params, schema)
        if len(data) <= options.max_value_size:
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
