"""The door to SQLite: `apsw`, or an error that says how to get it, and its errors as FAILUREs.

The standard `sqlite3` hides what a node shows: declared types, statement tails, parameter counts, the
authorizer's questions.
"""

from __future__ import annotations

from dqlitewire.testing.node.errors import SqlFailure
from dqlitewire.text import missing_package

try:
    import apsw
except ModuleNotFoundError as error:
    if error.name != "apsw":
        raise
    raise ModuleNotFoundError(missing_package("apsw", "testing"), name="apsw") from None

__all__ = ["apsw", "failure_of"]


def failure_of(error: apsw.Error) -> SqlFailure:
    """Return the FAILURE of an error of SQLite: its extended code and its text."""
    code: int = getattr(error, "extendedresult", 0) or getattr(error, "result", 1)
    return SqlFailure(code & 0xFFFFFFFF, str(error))
