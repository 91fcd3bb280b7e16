"""Which reader and writer of rows are in use: those of the native module `_speedups`, or those in Python.

The native module is optional, and nothing but speed depends on it. It is used where it was built, loads into
this interpreter, has the version that this package was written for, and DQLITEWIRE_PURE does not forbid it;
otherwise `why` says which of these it was. Built for the stable ABI, one file serves every CPython from 3.11
on, but for free-threaded ones, which do not look for it.

`read_rows`, `write_rows` and `write_params` are functions of the module, or None. They are looked up here at
each call, so that `_use` can switch between the two in one process.
"""

from __future__ import annotations

import os
import sys

from .values import ENCODED_AS, TYPES_BY_CODE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["VERSION", "name", "why"]

VERSION = 1  # of what the functions take and give; as in _speedups.c


def _load() -> tuple[ModuleType | None, str]:
    if os.environ.get("DQLITEWIRE_PURE", "0") not in ("", "0"):
        return None, "switched off by DQLITEWIRE_PURE"
    try:
        from . import _speedups as module
    except ImportError as error:
        if "_speedups" not in str(error) or error.name != f"{__package__}._speedups":
            return None, f"not loaded: {error}"
        free_threaded = "free-threading" in sys.version
        return None, "not for free-threaded interpreters" if free_threaded else "not built"
    found = getattr(module, "VERSION", None)
    if found != VERSION:
        return None, f"built for version {found}, {VERSION} is needed"
    return module, ""


_module, _why = _load()


def _use(native: bool) -> bool:
    """Switch between native and Python in this process, for tests and benchmarks; return what was in use.

    Where the native module could not be loaded it is Python all the same.
    """
    global name, why, read_rows, write_rows, write_params
    before = read_rows is not None
    module = _module if native else None
    if module is not None:
        module.set_kinds(TYPES_BY_CODE, ENCODED_AS)
    name = "pure" if module is None else "native"
    why = "" if module is not None else _why or "switched off"
    read_rows = getattr(module, "read_rows", None)
    write_rows = getattr(module, "write_rows", None)
    write_params = getattr(module, "write_params", None)
    return before


name = why = ""
read_rows = write_rows = write_params = None
_use(True)
