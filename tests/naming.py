"""Names of tests are the same in every process, as workers that share a run must agree on them."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: what `repr` says of where an object lies
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def shown(value: object) -> str:
    """Return `repr(value)` without addresses: an `ids=` for values of any kind."""
    return _ADDRESS.sub("", repr(value))


def unstable(names: Iterable[str]) -> list[str]:
    """Return the names that hold an address."""
    return [name for name in names if _ADDRESS.search(name)]
