"""`python -m tests.fuzz.fenced`: the fuzzer, in a process that `tests.fuzz.sanitize` has made.

A sanitizer sees whether a block of malloc is left, and the zero that stands behind the last byte of a bytes
object is in its block; so are bytes behind the end that the module was told. Both are poisoned while it
reads. What it wrote must still have its zero.

    | header of the object | bytes up to `end` | bytes behind | zero | border of the block
                                               ^--- poisoned ------^
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from dqlitewire import speedups
from tests.fuzz.__main__ import main

HEAD = bytes.__basicsize__ - 1
_asan = ctypes.CDLL(None)
for _name in ("__asan_poison_memory_region", "__asan_unpoison_memory_region"):
    getattr(_asan, _name).argtypes = (ctypes.c_void_p, ctypes.c_size_t)


def fenced(read: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a reader of (frame, pos, end, ...)."""

    def reading(frame: bytes, pos: int, end: int, *rest: int) -> Any:
        assert type(frame) is bytes
        region = id(frame) + HEAD + end, len(frame) - end + 1
        _asan.__asan_poison_memory_region(*region)
        try:
            return read(frame, pos, end, *rest)
        finally:
            _asan.__asan_unpoison_memory_region(*region)

    return reading


def fenced_part(read: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a reader of (buffer, names, size, count); what lies behind the frame is poisoned."""

    def reading(buffer: bytearray, names: bytes, size: int, count: int) -> Any:
        # the buffer stays where it is: the module keeps it from being resized
        start = ctypes.addressof((ctypes.c_char * len(buffer)).from_buffer(buffer))
        region = start + size, len(buffer) - size
        _asan.__asan_poison_memory_region(*region)
        try:
            return read(buffer, names, size, count)
        finally:
            _asan.__asan_unpoison_memory_region(*region)

    return reading


def closed(write: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a writer."""

    def writing(*given: Any) -> Any:
        data = write(*given)
        assert data is None or ctypes.string_at(id(data) + HEAD + len(data), 1) == b"\0"
        return data

    return writing


if __name__ == "__main__":
    module = speedups.native
    assert module is not None, speedups.why
    functions = vars(module) | {
        "read_rows": fenced(module.read_rows),
        "read_part": fenced_part(module.read_part),
    }
    functions |= {name: closed(functions[name]) for name in ("write_rows", "write_params")}
    speedups.native = SimpleNamespace(**functions)
    speedups._use(True)
    assert speedups.name == "native"
    print(f"rows: {speedups.name}, {module.__file__}", flush=True)
    sys.exit(main())
