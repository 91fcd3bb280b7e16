"""One thread at a time inside the calls of a client: a second one would take the answers of the first.

The lock is only tried, so nobody waits for it. It counts how often its thread took it, as a call is made of
others, and since an interrupt between two bytecodes may keep it: the same thread goes on all the same.
"""

from __future__ import annotations

import threading

from dqlitewire.exceptions import ConcurrentUseError


class Owner:
    """Lets one thread at a time into a block: `with owner: ...`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        """Go in.

        Raises:
            ConcurrentUseError: another thread is inside.
        """
        if not self._lock.acquire(blocking=False):
            raise ConcurrentUseError("the client is in use by another thread")

    def __exit__(self, *_: object) -> None:
        self._lock.release()
