"""Follow the databases of a cluster: the pages that its nodes send each other, written as files.

A follower gets every transaction as the pages that it wrote (`Frames`), and a node that is far behind gets all
databases at once (`InstallSnapshot`). Applied in the order of the committed log (`raft.log.Log`), these pages
are the database. What is not known is a hole: a page of zeros.

    DIR/app.db            complete: every page up to the size in the header was seen, at the index applied last
    DIR/app.db.partial    not complete: a page is missing, or entries were missed since
    DIR/index.json        for each database what is known of it

A database is complete if the log was seen from its beginning, or a snapshot was, and no entry is missing behind
that. Files are written in place while messages are taken, so memory is bounded by the log's (`MAX_PENDING`) and
one bit for each page.

Names come off the wire: a file is named by the characters of its database's name that are harmless in a file
name, with a number where two would be the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from dqlitewire.exceptions import DecodeError
from dqlitewire.raft.commands import Frames
from dqlitewire.raft.log import Committed, Hole, InstalledSnapshot, Log
from dqlitewire.raft.messages import RaftMessage
from dqlitewire.raft.wal import fold_wal
from dqlitewire.traffic.errors import FileExistsAlready

__all__ = ["INDEX", "PARTIAL", "PageFiles", "safe_name"]

INDEX, PARTIAL = "index.json", ".partial"
MAX_NAME = 100  # characters; file systems take 255 bytes, and suffixes follow
MAX_PAGES = 1 << 25  # of a database: a number beyond it would make a file of terabytes of zeros
MAX_DATABASES = 1000
_HARMLESS = re.compile(r"[^A-Za-z0-9._@+=-]")
_SIZE_AT = 28  # in page 1: the size of the database in pages, big endian
_HEADER = b"SQLite format 3\0"


def safe_name(name: str) -> str:
    """Return a file name for a database's name, which may be anything.

    Args:
        name: as it came off the wire.
    """
    shown = _HARMLESS.sub("_", name)[:MAX_NAME]
    shown = re.sub(r"^\.+", lambda dots: "_" * len(dots[0]), shown)
    return shown or "_"


@dataclass(slots=True)
class _Followed:
    """A database: its file, and which pages of it are known (bit N - 1 of `known` for page N)."""

    name: str
    path: Path
    file: BinaryIO
    page_size: int = 0
    known: bytearray = field(default_factory=bytearray)
    last_index: int = 0
    gaps: bool = False
    refused: int = 0
    problem: str | None = None

    def write(self, number: int, page: bytes) -> None:
        byte, bit = divmod(number - 1, 8)
        self.known.extend(bytes(max(byte + 1 - len(self.known), 0)))
        self.known[byte] |= 1 << bit
        self.file.seek((number - 1) * self.page_size)
        self.file.write(page)

    def is_known(self, number: int) -> bool:
        byte, bit = divmod(number - 1, 8)
        return byte < len(self.known) and bool(self.known[byte] >> bit & 1)

    def clear(self, page_size: int) -> None:
        self.file.truncate(0)
        self.known.clear()
        self.page_size = page_size

    def size(self) -> int | None:
        """Pages of the database by its header; None if that is not known."""
        self.file.seek(0)
        header = self.file.read(100)
        if not self.is_known(1) or not header.startswith(_HEADER):
            return None
        return int.from_bytes(header[_SIZE_AT : _SIZE_AT + 4], "big") or None

    def ranges(self) -> Iterator[list[int]]:
        start = 0
        for number in range(1, 8 * len(self.known) + 2):
            if self.is_known(number):
                start = start or number
            elif start:
                yield [start, number - 1]
                start = 0


class PageFiles:
    """Files in a folder that follow the databases of one cluster.

    Args:
        folder: made if it is not there; files of this class in it are replaced if `force` is set.
        force: whether a folder that has something in it is taken.

    Raises:
        FileExistsAlready: the folder has something in it.
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path, *, force: bool = False) -> None:
        if not force and folder.is_dir() and any(folder.iterdir()):
            raise FileExistsAlready(f"{folder}: is not empty")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._log = Log()
        self._databases: dict[str, _Followed] = {}
        self._taken: set[str] = {INDEX}
        self._complete_from_here = True  # every entry was seen since the beginning or a snapshot
        self._left_out = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def take(self, message: RaftMessage) -> None:
        """Take a message between nodes, of any connection of the cluster.

        Raises:
            OSError: a file cannot be written.
        """
        for committed in self._log.take(message):
            self._apply(committed)

    def close(self) -> None:
        """Apply what stands behind holes, name the files by whether they are complete, and write the index.

        Raises:
            OSError: a file cannot be written.
        """
        for committed in self._log.finish():
            self._apply(committed)
        told = [self._finish(database) for database in self._databases.values()]
        index = {
            "last_index": self._log.applied,
            "term": self._log.term,
            "uncommitted": self._log.uncommitted,
            "databases": told,
        }
        index |= {"left_out": self._left_out} if self._left_out else {}
        (self.folder / INDEX).write_text(json.dumps(index, indent=1, ensure_ascii=True) + "\n", encoding="ascii")

    def _apply(self, committed: Committed) -> None:
        if isinstance(committed, Hole):
            self._complete_from_here = False
            for database in self._databases.values():
                database.gaps = True
        elif isinstance(committed, InstalledSnapshot):
            self._install(committed)
        elif isinstance(committed.command, Frames):
            self._write(committed.index, committed.command)

    def _install(self, installed: InstalledSnapshot) -> None:
        self._complete_from_here = True
        there = {database.name for database in installed.snapshot.databases}
        for name, gone in self._databases.items():
            if name not in there:
                gone.gaps = True
        for one in installed.snapshot.databases:
            database = self._database(one.name)
            if database is None:
                continue
            database.last_index, database.gaps, database.problem = installed.last_index, False, None
            try:
                content = fold_wal(one.main, one.wal)
            except DecodeError as error:
                database.gaps, database.problem = True, str(error)
                content = one.main
            size = _page_size(content)
            database.clear(size)
            if size:
                for number in range(1, len(content) // size + 1):
                    database.write(number, content[(number - 1) * size : number * size])
            elif content:
                database.gaps, database.problem = True, "the snapshot holds no SQLite file"

    def _write(self, index: int, command: Frames) -> None:
        database = self._database(command.filename)
        if database is None:
            return
        size = command.page_size or 65536  # 16 bits on the wire
        if database.page_size not in (0, size):
            database.clear(size)  # VACUUM with another page size wrote all pages again
        database.page_size, database.last_index = size, index
        for number, page in zip(command.page_numbers, command.pages, strict=True):
            if 1 <= number <= MAX_PAGES:
                database.write(number, page)
            else:
                database.refused += 1

    def _database(self, name: str) -> _Followed | None:
        if name not in self._databases:
            if len(self._databases) == MAX_DATABASES:
                self._left_out += 1
                return None
            path = self.folder / self._file_name(name)
            path.unlink(missing_ok=True)  # also a link, which is not followed
            file = path.open("xb+", buffering=0)
            file.close()
            followed = _Followed(name, path, path.open("rb+"), gaps=not self._complete_from_here)
            self._databases[name] = followed
        return self._databases[name]

    def _file_name(self, name: str) -> str:
        base, number = safe_name(name), 1
        file = base
        # file systems may not tell capitals from small letters
        while file.lower() in self._taken or (file + PARTIAL).lower() in self._taken:
            number += 1
            file = f"{base}-{number}"
        self._taken |= {file.lower(), (file + PARTIAL).lower()}
        return file + PARTIAL

    def _finish(self, database: _Followed) -> dict[str, object]:
        size = database.size()
        if size is not None and size <= MAX_PAGES:
            database.file.truncate(size * database.page_size)
            _forget_beyond(database.known, size)
        ranges = list(database.ranges())
        whole = size is not None and ranges == [[1, size]]
        complete = whole and not database.gaps and not database.refused
        database.file.close()
        if complete:
            final = database.path.with_name(database.path.name.removesuffix(PARTIAL))
            database.path.replace(final)
            database.path = final
        told: dict[str, object] = {
            "name": database.name,
            "file": database.path.name,
            "complete": complete,
            "page_size": database.page_size,
            "pages": size,
            "known": ranges,
            "last_index": database.last_index,
        }
        told |= {"refused_pages": database.refused} if database.refused else {}
        return told | ({"problem": database.problem} if database.problem else {})


def _forget_beyond(known: bytearray, size: int) -> None:
    """Drop the bits of pages behind the last one of the database."""
    del known[(size + 7) // 8 :]
    if known and len(known) == (size + 7) // 8 and size % 8:
        known[-1] &= (1 << size % 8) - 1


def _page_size(content: bytes) -> int:
    if len(content) < 100 or not content.startswith(_HEADER):
        return 0
    size = int.from_bytes(content[16:18], "big")
    size = 65536 if size == 1 else size
    return size if size >= 512 and not size & (size - 1) else 0
