"""The databases of a node, or of a whole fake cluster, by name.

Each is a file below one folder, or a user's file. One connection to it stays open as long as the store (the
keeper): SQLite removes the WAL when the last connection closes, and a DUMP of 1.18.1 shows the WAL.

A process must never close a file that SQLite has open through another handle, since POSIX drops the locks of
the whole process with it; the handle by which DUMP reads the main file is therefore kept as well.
"""

from __future__ import annotations

import os
import zlib
from contextlib import ExitStack
from typing import BinaryIO

from dqlitewire.servers.releases import Release
from dqlitewire.testing.folder import TemporaryFolder
from dqlitewire.testing.node.connection import Connection
from dqlitewire.testing.node.errors import SqlFailure

__all__ = ["Store"]

_UNREADABLE = 10, "disk I/O error"


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
        release: Whose rules the connections follow.
        folder: Where the files are kept; by default a temporary folder that goes with the store.
        files: Files served under a name of their own, where they are.
        readonly: Open every file of `files` for reading only.
    """

    def __init__(
        self,
        release: Release,
        folder: str | os.PathLike[str] | None = None,
        files: dict[str, str] | None = None,
        *,
        readonly: bool = False,
    ) -> None:
        self.release = release
        # absolute paths: none of them is ":memory:" or a URI, or another file when the process has moved
        self._temporary: TemporaryFolder | None = None
        if folder is None:
            self._temporary = TemporaryFolder()
            self.folder: str = self._temporary.path
        else:
            self.folder = os.path.abspath(folder)
        self._files = {name: os.path.abspath(path) for name, path in (files or {}).items()}
        self._readonly = readonly
        self._keepers: dict[str, Connection] = {}
        self._open: dict[str, set[Connection]] = {}
        self._mains: dict[str, BinaryIO] = {}  # database files that were dumped
        os.makedirs(self.folder, exist_ok=True)

    def _path(self, name: str) -> str:
        return self._files.get(name) or os.path.join(self.folder, _file_name(name) + ".db")

    def _connect(self, name: str) -> Connection:
        return Connection(self._path(name), self.release, readonly=self._readonly and name in self._files)

    def open(self, name: str) -> Connection:
        """Open a connection of its own; the first one creates the database.

        Raises:
            SqlFailure: The file cannot be opened, or is no database.
        """
        if name not in self._keepers:
            # keeps the WAL when the last client leaves
            keeper = self._connect(name)
            try:
                if not (self._readonly and name in self._files):
                    keeper.make()
            except BaseException:
                keeper.close()
                raise
            self._keepers[name] = keeper
        connection = self._connect(name)
        connection.peers = self._open.setdefault(name, set())
        connection.peers.add(connection)
        return connection

    def dump(self, name: str) -> tuple[bytes, bytes] | None:
        """Read main file and WAL; None for a name that was never opened.

        Raises:
            SqlFailure: They cannot be read.
        """
        keeper = self._keepers.get(name)
        if keeper is None:
            return None
        if self.release.dump_image:
            return keeper.raw.serialize("main"), b""
        try:
            return self._read_main(name), _read(self._path(name) + "-wal")
        except OSError as error:
            raise SqlFailure(*_UNREADABLE) from error

    def _read_main(self, name: str) -> bytes:
        if name not in self._mains:
            # stays open: closing it would drop the locks that SQLite holds on this file for the process
            self._mains[name] = open(self._path(name), "rb")  # noqa: SIM115
        main = self._mains[name]
        main.seek(0)
        return main.read()

    def close(self) -> None:
        """Close what the store itself keeps open and remove a temporary folder."""
        with ExitStack() as stack:
            if self._temporary is not None:
                stack.callback(self._temporary.remove)
            for main in self._mains.values():
                stack.callback(main.close)
            for keeper in self._keepers.values():
                stack.callback(keeper.close)
            self._keepers.clear()
            self._mains.clear()

    def leave(self) -> None:
        """Be the copy of a forked child, which removes and closes nothing of its parent's."""
        if self._temporary is not None:
            self._temporary.leave()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
