"""What becomes of a serving thread in a process that was forked while it ran: nothing of it is used there.

The thread itself is not in the child, but its descriptors are.  Left open they would keep connections and
ports alive that the parent closes, so the child closes its copies at once.  The rest is shared with the
parent and must not be touched: the epoll set, the pages of SQLite's wal-index, files and locks.  Closing an
SQLite connection would do that, and Python closes what nobody refers to, so the child refers to it for ever.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["watch"]


class Forked(Protocol):
    """What must know that the process was forked."""

    def leave(self) -> None:
        """Be the copy of a forked child: close its descriptors and never touch anything else."""


_watched: weakref.WeakSet[Forked] = weakref.WeakSet()


def watch(served: Forked) -> None:
    """Call `leave` in every process that is forked from this one, and keep it from being collected there."""
    _watched.add(served)


def _in_child() -> None:
    left = list(_watched)
    _watched.clear()
    for served in left:
        try:
            served.leave()
        finally:
            _keep_for_ever(served)


def _keep_for_ever(served: Forked) -> None:
    try:
        import ctypes

        # one reference more than there are: a list of ours would be emptied when the interpreter ends
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(served))
    except (ImportError, AttributeError):
        _kept.append(served)


_kept: list[Forked] = []

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
