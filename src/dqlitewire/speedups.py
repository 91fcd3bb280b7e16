"""Which reader and writer of rows are in use: those of the native module `_speedups`, or those in Python.

The native module is optional, and nothing but speed depends on it. It is used where it was built, loads into
this interpreter, has the version that this package was written for, and DQLITEWIRE_PURE does not forbid it;
otherwise `why` says which of these it was. It is built for the stable ABI: one file serves every CPython from
3.11 on but the free-threaded ones, which do not look for it. Nor does an interpreter with a GIL of its own
(PEP 684) load it, since only newer ABIs let a module say that it may be.

`read_rows`, `read_part`, `write_rows`, `write_params` and `alike` are functions of the module, or None. They
are looked up here at each call, so that `_use` can switch between the two in one process.
"""

from __future__ import annotations

import os
import sys

from .values import ENCODED_AS, TYPES_BY_CODE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["VERSION", "name", "why"]

VERSION = 2  # of what the functions take and give; as in _speedups.c

name: str  # "native" or "pure"
why: str  # "" where it is native
native: Any  # the module, where it may be used
read_rows: Callable[[bytes, int, int, int], Any] | None
read_part: Callable[[bytearray, bytes, int, int], Any] | None
write_rows: Callable[[Any, Any, int], bytes | None] | None
write_params: Callable[[Any, int], bytes | None] | None
alike: Callable[[list[Any], bool], bool] | None

_FUNCTIONS = ("read_rows", "read_part", "write_rows", "write_params", "alike")


def _load() -> tuple[Any, str]:
    if os.environ.get("DQLITEWIRE_PURE", "0") not in ("", "0"):
        return None, "switched off by DQLITEWIRE_PURE"
    path = f"{__package__}._speedups"
    try:  # not by a statement: tools that follow imports would look for a source in Python
        module: Any = __import__(path, fromlist=["VERSION"])
        found = getattr(module, "VERSION", None)
        if found != VERSION:
            return None, f"built for version {found}, {VERSION} is needed"
        missing = [name for name in _FUNCTIONS if not callable(getattr(module, name, None))]
        if missing:
            return None, f"without {', '.join(missing)}"
        module.set_kinds(TYPES_BY_CODE, ENCODED_AS)
    except Exception as error:  # a file of somebody else's may raise anything
        if type(error) is ModuleNotFoundError and error.name == path:
            free_threaded = "free-threading" in sys.version
            return None, "not for free-threaded interpreters" if free_threaded else "not built"
        return None, f"not loaded: {str(error) or type(error).__name__}"
    return module, ""


native, _why = _load()


def _use(wanted: bool) -> bool:
    """Switch between native and Python in this process, for tests and benchmarks; return what was in use.

    Where the native module may not be used it is Python all the same.
    """
    global name, why, read_rows, read_part, write_rows, write_params, alike
    before = read_rows is not None
    module = native if wanted else None
    name = "pure" if module is None else "native"
    why = "" if module is not None else _why or "switched off"
    read_rows = getattr(module, "read_rows", None)
    read_part = getattr(module, "read_part", None)
    write_rows = getattr(module, "write_rows", None)
    write_params = getattr(module, "write_params", None)
    alike = getattr(module, "alike", None)
    return before


read_rows = read_part = write_rows = write_params = alike = None
_use(True)
