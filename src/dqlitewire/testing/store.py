"""The databases of a node, or of a whole fake cluster, by name."""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from typing import TYPE_CHECKING

from dqlitewire.testing.database import Connection

if TYPE_CHECKING:
    from dqlitewire.testing.generations import Generation

__all__ = ["Store"]


def _file_name(name: str) -> str:
    # what is not plain becomes its hex code; upper case too, for file systems that fold it
    plain = "".join(
        c if c.isascii() and ((c.isalnum() and not c.isupper()) or c in "-_") else f"%{ord(c):x}%"
        for c in name
    )
    if len(plain) > 200:
        return f"{plain[:150]}~{zlib.crc32(name.encode('utf-8', 'surrogateescape')):08x}{len(name):x}"
    return plain


class Store:
    """The databases of a node or of a whole fake cluster, by name.

    Args:
        generation: Whose rules the connections follow.
        folder: Where the files are kept; by default a temporary folder that goes with the store.
        files: Files served under a name of their own, where they are.
        readonly: Open every file of `files` for reading only.
    """

    def __init__(
        self,
        generation: Generation,
        folder: str | os.PathLike[str] | None = None,
        files: dict[str, str] | None = None,
        *,
        readonly: bool = False,
    ) -> None:
        self.generation = generation
        self._owned = folder is None
        self.folder = tempfile.mkdtemp(prefix="dqlite-") if folder is None else os.fspath(folder)
        os.makedirs(self.folder, exist_ok=True)
        self._files = dict(files or {})
        self._readonly = readonly
        self._keepers: dict[str, Connection] = {}

    def _path(self, name: str) -> str:
        return self._files.get(name) or os.path.join(self.folder, _file_name(name) + ".db")

    def _connect(self, name: str) -> Connection:
        return Connection(self._path(name), self.generation, readonly=self._readonly and name in self._files)

    def open(self, name: str) -> Connection:
        """Open a connection of its own; the first one creates the database."""
        if name not in self._keepers:
            # keeps the WAL when the last client leaves
            keeper = self._keepers[name] = self._connect(name)
            if not (self._readonly and name in self._files):
                keeper.make()
        return self._connect(name)

    def dump(self, name: str) -> tuple[bytes, bytes] | None:
        """Read main file and WAL; None for a name that was never opened."""
        keeper = self._keepers.get(name)
        if keeper is None:
            return None
        if self.generation.dump_image:
            return keeper.raw.serialize("main"), b""
        path = self._path(name)
        return _read(path), _read(path + "-wal")

    def close(self) -> None:
        """Close what the store itself keeps open and remove a temporary folder."""
        for keeper in self._keepers.values():
            keeper.close()
        self._keepers.clear()
        if self._owned:
            shutil.rmtree(self.folder, ignore_errors=True)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
