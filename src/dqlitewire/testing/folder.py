"""The temporary folder of a server, gone with it: at the latest when the next server starts.

No process can clean up after a SIGKILL, and what SIGTERM and SIGHUP do is not to be changed inside somebody
else's program.  So each folder is locked by the process that uses it, and the kernel lets go of the lock
however that process ends; whoever makes a folder first removes those of their own that nobody holds.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import suppress

from dqlitewire.testing.locks import lock, unlock

__all__ = ["TemporaryFolder"]

_PREFIX = "dqlite-testing-"
_TRIES = 10
_LACKING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class TemporaryFolder:
    """A folder of its own.

    Attributes:
        path: Where it is, absolute.
    """

    def __init__(self) -> None:
        _remove_abandoned(tempfile.gettempdir())
        self._lock = -1
        for _ in range(_TRIES):
            self.path: str = os.path.abspath(tempfile.mkdtemp(prefix=_PREFIX))
            try:
                self._lock = lock(self.path)
            except (BlockingIOError, FileNotFoundError):
                continue  # another process found it before it was locked, and removes it
            except OSError as error:
                if error.errno in _LACKING:
                    self.remove()
                    raise
                # else a file system without locks, where nobody else can hold it either
            if os.path.isdir(self.path):
                return
            self.leave()
        raise FileExistsError(f"{self.path} is removed as soon as it is made")

    def remove(self) -> None:
        """Remove it with all that is in it."""
        with suppress(OSError):
            os.rmdir(self.path)  # an empty one needs no descriptor
        shutil.rmtree(self.path, ignore_errors=True)
        held, self._lock = self._lock, -1
        if held >= 0:
            unlock(held)

    def leave(self) -> None:
        """Close this process's copy of a hold that another process keeps."""
        held, self._lock = self._lock, -1
        if held >= 0:
            os.close(held)


def _remove_abandoned(parent: str) -> None:
    with suppress(OSError), os.scandir(parent) as entries:
        for path in [entry.path for entry in entries if entry.name.startswith(_PREFIX)]:
            with suppress(OSError):
                held = lock(path)
                try:
                    if os.fstat(held).st_uid == os.geteuid():
                        shutil.rmtree(path, ignore_errors=True)
                finally:
                    unlock(held)
