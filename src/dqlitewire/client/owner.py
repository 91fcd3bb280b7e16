"""One thread at a time inside the calls of a client: a second one would take the answers of the first.

So would a process that was forked from the client's own: it has the same connection.

`dqlitewire.guard`, which keeps a second thread out of codec and conversation, is not enough here: a call
waits for the network between its steps, and is made of other calls of the same client. So this is a lock that
its thread may take again; where an interrupt between two bytecodes has kept it, the same thread goes on all
the same. It is only tried, so nobody waits for it.
"""

from __future__ import annotations

import os
import threading

from dqlitewire.exceptions import ConcurrentUseError


class Owner:
    """Lets one thread at a time into a block: `with owner: ...`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._process = os.getpid()

    @property
    def is_forked(self) -> bool:
        """Whether this is a copy of an owner, in a process that was forked."""
        return os.getpid() != self._process

    def __enter__(self) -> None:
        """Go in.

        Raises:
            ConcurrentUseError: another thread is inside, or the client is another process's.
        """
        if self.is_forked:
            raise ConcurrentUseError("the client is of the process from which this one was forked")
        if not self._lock.acquire(blocking=False):
            raise ConcurrentUseError("the client is in use by another thread")

    def __exit__(self, *_: object) -> None:
        self._lock.release()
