"""Parameter tuples, plain: one value after the other, with every bound and cap tested.

The layouts are told in `dqlitewire.tuples`. Here the errors are worded; the fast writer in `write_params` is
held against `pack_params` and hands over to it when in doubt. There is no other reader: servers read
parameters, and only the tests have one for which that has to be fast.
"""

from __future__ import annotations

from ..checks import choice_of
from ..exceptions import DecodeError, EncodeError
from ..scalars import infer_type, pack_value, read_value
from ..text import shown
from ..values import KINDS, allowed_codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..limits import Options
    from ..values import WireValue

__all__ = ["check_params_shape", "pack_params", "params_header", "read_params"]

_COUNT_SIZES = (1, 4)  # bytes of the count, by schema
_IN_PARAMS = frozenset(int(kind.code) for kind in KINDS if kind.in_params)


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
