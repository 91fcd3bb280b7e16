"""Follow the databases of a cluster: the pages that its nodes send each other, written as files.

A follower gets every transaction as the pages that it wrote (`Frames`), and a node that is far behind gets
all databases at once (`InstallSnapshot`). Applied in the order of the committed log (`raft.log.Log`), these
pages are the database. What is not known is a hole: a page of zeros.

    DIR/app.db            complete: every page up to the size in its header is known
    DIR/app.db.partial    not complete: a page is missing, or entries were missed since
    DIR/index.json        what is known of each database

A database is complete if the log was seen from its beginning, or a snapshot was, and no entry is missing
behind that. Files are written in place while messages are taken, so memory is bounded by the log's
(`MAX_PENDING`) and one bit for each page.

Names come off the wire: a file is named by the characters of its database's name that are harmless in a file
name, with a number where two would be the same. What is in the files is what people stored: their owner alone
may read them, whatever the umask.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

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
_BLOCK = 4096  # pages
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


class _Known:
    """Which pages are known: bits, in blocks, so that one high number costs no more than a page does."""

    def __init__(self) -> None:
        self._blocks: dict[int, int] = {}

    def add(self, number: int) -> None:
        block, bit = divmod(number, _BLOCK)
        self._blocks[block] = self._blocks.get(block, 0) | 1 << bit

    def cut(self, last: int) -> None:
        """Forget the pages behind the last one."""
        block, bit = divmod(last, _BLOCK)
        for beyond in [one for one in self._blocks if one > block]:
            del self._blocks[beyond]
        if block in self._blocks:
            self._blocks[block] &= (2 << bit) - 1

    def ranges(self) -> list[list[int]]:
        """The known pages, as pairs of the first and the last of a range."""
        found: list[list[int]] = []
        for block in sorted(self._blocks):
            bits = self._blocks[block]
            for bit in range(bits.bit_length()):
                if bits >> bit & 1:
                    number = block * _BLOCK + bit
                    if found and found[-1][1] == number - 1:
                        found[-1][1] = number
                    else:
                        found.append([number, number])
        return found


class _Followed:
    """A database, and what is known of it."""

    def __init__(self, name: str, path: Path, *, gaps: bool) -> None:
        self.name = name
        self.path = path
        self.gaps = gaps  # an entry or a page is missing since the last snapshot
        self.page_size: int = 0
        self.size: int | None = None  # in pages, by the header
        self.known = _Known()
        self.last_index = 0
        self.refused = 0
        self.problem: str | None = None
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

    def write(self, pages: Iterable[tuple[int, bytes]], page_size: int) -> None:
        """Write pages by their numbers."""
        with self.path.open("rb+") as file:
            if page_size != self.page_size:  # the first, or a VACUUM with another size, which wrote all again
                file.truncate(0)
                self.page_size, self.known = page_size, _Known()
            for number, page in pages:
                if not 1 <= number <= MAX_PAGES:
                    self.refused += 1
                    continue
                self.known.add(number)
                file.seek((number - 1) * page_size)
                file.write(page)
                if number == 1:
                    self.size = _size(page)
            if self.size is not None and self.size <= MAX_PAGES:
                self.known.cut(self.size)
                file.truncate(self.size * page_size)

    def replace(self, content: bytes) -> None:
        """Put a whole file in place of what there was."""
        self.page_size, self.size, self.known = 0, None, _Known()
        size = page_size_of(content)
        if size:
            pages = ((at // size + 1, content[at : at + size]) for at in range(0, len(content), size))
            self.write(pages, size)
            return
        self.path.write_bytes(content)
        if content:
            self.problem = "the snapshot holds no SQLite file"

    def finish(self) -> dict[str, object]:
        """Give the file its name; return what the index tells of it."""
        ranges = self.known.ranges()
        whole = self.size is not None and ranges == [[1, self.size]]
        complete = whole and not self.gaps and not self.refused and self.problem is None
        if complete:
            final = self.path.with_name(self.path.name.removesuffix(PARTIAL))
            self.path = self.path.replace(final)
        told: dict[str, object] = {
            "name": self.name,
            "file": self.path.name,
            "complete": complete,
            "page_size": self.page_size,
            "pages": self.size,
            "known": ranges,
            "last_index": self.last_index,
        }
        told |= {"refused_pages": self.refused} if self.refused else {}
        return told | ({"problem": self.problem} if self.problem else {})


class PageFiles:
    """Files in a folder that follow the databases of one cluster.

    Args:
        folder: made if it is not there.

    Attributes:
        databases: of each database what the index tells, once the files are closed.

    Raises:
        FileExistsAlready: the folder has something in it.
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        if folder.is_dir() and any(folder.iterdir()):
            raise FileExistsAlready(f"{folder} is not empty", "name a folder that is new or empty")
        folder.mkdir(mode=0o700, exist_ok=True)
        self.folder = folder
        self.databases: list[dict[str, object]] = []
        self._log = Log()
        self._followed: dict[str, _Followed] = {}
        self._taken: set[str] = {INDEX}
        self._gaps = False  # entries are missing since the beginning, or the last snapshot
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
        self.databases = [database.finish() for database in self._followed.values()]
        index: dict[str, object] = {
            "last_index": self._log.applied,
            "term": self._log.term,
            "uncommitted": self._log.uncommitted,
            "databases": self.databases,
        }
        index |= {"frames_left_out": self._left_out} if self._left_out else {}
        opened = os.open(self.folder / INDEX, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(opened, "w", encoding="ascii") as file:
            file.write(json.dumps(index, indent=1, ensure_ascii=True) + "\n")

    def _apply(self, committed: Committed) -> None:
        if isinstance(committed, Hole):
            self._gaps = True
            for database in self._followed.values():
                database.gaps = True
        elif isinstance(committed, InstalledSnapshot):
            self._install(committed)
        elif isinstance(committed.command, Frames):
            self._write(committed.index, committed.command)

    def _install(self, installed: InstalledSnapshot) -> None:
        self._gaps = False
        there = {one.name: one for one in installed.snapshot.databases}
        for name in self._followed.keys() - there.keys():
            self._followed[name].gaps = True
        for name, one in there.items():
            database = self._database(name)
            if database is None:
                continue
            database.last_index, database.gaps = installed.last_index, False
            database.refused, database.problem = 0, None
            try:
                database.replace(fold_wal(one.main, one.wal))
            except DecodeError as error:
                database.replace(one.main)
                database.problem = str(error)

    def _write(self, index: int, command: Frames) -> None:
        database = self._database(command.filename)
        if database is None:
            return
        database.last_index = index
        if is_page_size(command.page_size):
            pages = zip(command.page_numbers, command.pages, strict=True)
            database.write(pages, command.page_size)
        else:
            database.refused += len(command.pages)

    def _database(self, name: str) -> _Followed | None:
        if name not in self._followed:
            if len(self._followed) == MAX_DATABASES:
                self._left_out += 1
                return None
            self._followed[name] = _Followed(name, self.folder / self._file_name(name), gaps=self._gaps)
        return self._followed[name]

    def _file_name(self, name: str) -> str:
        base, number = safe_name(name), 1
        file = base
        # file systems may not tell capitals from small letters
        while file.lower() in self._taken or (file + PARTIAL).lower() in self._taken:
            number += 1
            file = f"{base}-{number}"
        self._taken |= {file.lower(), (file + PARTIAL).lower()}
        return file + PARTIAL


def _size(page: bytes) -> int | None:
    """Pages of a database by the header in its first page, None if it has none."""
    if not page.startswith(_HEADER):
        return None
    return int.from_bytes(page[_SIZE_AT : _SIZE_AT + 4], "big") or None


def page_size_of(content: bytes) -> int:
    """The size of a database's pages by its header, 0 if it has none."""
    if len(content) < 100 or not content.startswith(_HEADER):
        return 0
    size = int.from_bytes(content[16:18], "big")
    size = 65536 if size == 1 else size
    return size if is_page_size(size) else 0


def is_page_size(size: int) -> bool:
    return 512 <= size <= 65536 and not size & (size - 1)
