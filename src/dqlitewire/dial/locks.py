"""Locks on folders: the kernel lets go of one when the process that holds it ends, however it ends."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any

try:
    import fcntl as _module
except ImportError:  # not on Windows
    _fcntl: Any = None
else:
    _fcntl = _module

__all__ = ["lock", "unlock"]

_PAUSE = 0.01


def lock(folder: str, tries: int = 1) -> int:
    """Lock a folder and return the descriptor that holds the lock.

    Raises:
        BlockingIOError: Somebody holds it, even after as many tries.
        OSError: It is gone, another user's, no folder, or cannot be locked.
    """
    if _fcntl is None:
        raise OSError("no locks on this system")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for left in reversed(range(tries)):
            try:
                _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not left:
                    raise
                time.sleep(_PAUSE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def unlock(descriptor: int) -> None:
    """Let go, for all copies of the descriptor: a forked child may have one."""
    with suppress(OSError):
        _fcntl.flock(descriptor, _fcntl.LOCK_UN)
    os.close(descriptor)
