"""A dumped database as one file.

The file is what the server sent with its WAL folded in (`raft.wal`). Servers mark databases as in WAL mode.
SQLite opens such a file only where it can write two more beside it, so not in a folder that is read-only;
therefore the mark is taken back as PRAGMA journal_mode=DELETE would: bytes 18 and 19 of the header become 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dqlitewire.client.errors import ClientError
from dqlitewire.exceptions import DecodeError
from dqlitewire.raft.wal import committed_pages
from dqlitewire.text import shown

HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"
_MODES = slice(18, 20)  # of the header: how the file is written and read; 1 rollback journal, 2 WAL
_MISSING = 1 << 26  # bytes of pages that may be in neither file: SQLite writes no page that it has just freed
_ZEROS = bytes(1 << 16)
_WAL_MODE, _PLAIN = b"\2\2", b"\1\1"


@dataclass(frozen=True)
class Dump:
    """A database as the server sent it.

    Attributes:
        name: of the database.
        files: by name: the database, and its WAL, which may be empty.
    """

    name: str
    files: dict[str, bytes] = field(repr=False)

    def database(self) -> bytes:
        """Return the SQLite file: the WAL folded in, in no need of another file.

        Raises:
            ClientError: what the server sent is no SQLite database.
        """
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the SQLite file in pieces, of which only those from the WAL are copies.

        Raises:
            ClientError: what the server sent is no SQLite database; nothing was yielded.
        """
        main, wal = self._contents()
        try:
            folded = committed_pages(wal)
        except DecodeError as error:
            raise ClientError(f"the WAL of {shown(self.name)} is none: {error}") from error
        page_size, size, places = folded or (0, 0, {})
        end = size * page_size if folded else len(main)
        if end > len(main) + len(wal) + _MISSING:
            raise ClientError(f"the WAL of {shown(self.name)} tells of more pages than were sent")
        first = places.pop(1, None)
        header = main[:HEADER_BYTES] if first is None else wal[first : first + page_size]
        if not header.startswith(_MAGIC) or len(header) < HEADER_BYTES:
            raise ClientError(f"the server sent no SQLite database for {shown(self.name)}")
        if header[_MODES] == _WAL_MODE:
            header = header[: _MODES.start] + _PLAIN + header[_MODES.stop :]
        yield header
        at = len(header)
        for number in sorted(places):
            place = places[number]
            yield from _between(main, at, (number - 1) * page_size)
            yield wal[place : place + page_size]
            at = number * page_size
        yield from _between(main, at, end)

    def _contents(self) -> tuple[bytes, bytes]:
        main = self.files.get(self.name)
        wal = self.files.get(self.name + "-wal", b"")
        if main is None:
            raise ClientError(f"the server sent no file {shown(self.name)}")
        return main, wal

    @property
    def is_empty(self) -> bool:
        """Whether the server sent nothing, as some do where there is no such database."""
        return not any(self.files.values())


def _between(main: bytes, begin: int, end: int) -> Iterator[bytes | memoryview]:
    """Yield what stands between two pages of the WAL; zeros behind the end of the file."""
    if begin < end:
        piece = memoryview(main)[begin:end]
        yield piece
        missing = end - begin - len(piece)
        for _ in range(missing // len(_ZEROS)):
            yield _ZEROS
        yield _ZEROS[: missing % len(_ZEROS)]
