"""Snapshots: all the databases of a node. Upstream: dqlite src/fsm.c (decodeDatabase)."""

from __future__ import annotations

from dqlitewire.declare.fields import field
from dqlitewire.raft.formats import FormatWord, Parts
from dqlitewire.raft.kinds import (
    Name,
    Output,
    Part,
    PartField,
    Unused,
    checked_bytes,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dqlitewire.declare.cursor import Cursor

__all__ = ["Database", "Databases", "Size", "Snapshot"]


class Size(PartField):
    """The size of one of the contents that follow.

    Attributes:
        of: the name of the content.
    """

    kind: str = "size"
    smallest: int = 8
    largest: int | None = 8
    is_attribute: bool = False
    is_stored: bool = False
    is_packed: bool = False
    of: str

    def plain(self, cursor: Cursor, values: dict[str, object]) -> int:
        start, size = cursor.pos, cursor.unsigned(self.name, 8)
        if size > cursor.end - cursor.pos:
            raise cursor.error(self.name, f"got {size}, {cursor.end - cursor.pos} bytes are left", start)
        return size

    def put(self, of: Any, out: Output) -> None:
        out.parts.append(len(getattr(of, self.of)).to_bytes(8, "little"))

    def attribute(self) -> object:
        of = self.of
        return property(lambda message: len(getattr(message, of)))


class MainSize(Size):
    """The size of `main`."""

    of = "main"


class WalSize(Size):
    """The size of `wal`."""

    of = "wal"


class Content(PartField):
    """Bytes whose size stands before them in the field of the same name with `_size`."""

    kind: str = "content"
    largest: int | None = None
    is_packed: bool = False
    uses: tuple[Any, ...] = (checked_bytes,)

    def check(self, path: str) -> list[str]:
        return [f"{self.name} = $checked_bytes({self.name}, {path!r})"]

    def plain(self, cursor: Cursor, values: dict[str, object]) -> bytes:
        size = values[f"{self.name}_size"]
        assert isinstance(size, int)
        return cursor.raw(self.name, size)

    def put(self, of: Any, out: Output) -> None:
        out.parts.append(getattr(of, self.name))


class Database(Part):
    """A database in a snapshot.

    Args:
        name: its name.
        main: the database file.
        wal: SQLite's WAL file, empty from 1.18.3 on.
        unused: bytes without meaning, in wire order; empty for zeros.
    """

    name: str = field(Name)
    main_size: int = field(MainSize, init=False)
    wal_size: int = field(WalSize, init=False)
    main: bytes = field(Content)
    wal: bytes = field(Content, default=b"")
    unused: bytes = field(Unused, default=b"", kw_only=True)


class Databases(Parts):
    """The databases of a snapshot."""

    kind, of, least = "databases", Database, 24


class Snapshot(Part):
    """All the databases of a node.

    Args:
        databases: a sequence of `Database`.
    """

    unused = b""
    format: None = field(FormatWord, init=False)
    databases: tuple[Database, ...] = field(Databases)
