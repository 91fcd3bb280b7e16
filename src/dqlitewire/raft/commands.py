"""What entries of the log carry: commands, configurations, barriers; and what a snapshot carries.

A command is a header word (format, type) and its fields. All integers are little endian; a file name is text,
padded to a word; nothing in a configuration is aligned. Upstream: dqlite src/command.c, src/fsm.c
(decodeDatabase), src/raft/configuration.c.
"""

from __future__ import annotations

from enum import IntEnum

from dqlitewire.checks import checked_integer, checked_items
from dqlitewire.declare.fields import Text, field
from dqlitewire.exceptions import DecodeError, EncodeError
from dqlitewire.limits import DEFAULT_LIMITS
from dqlitewire.raft.kinds import (
    U16,
    U32,
    Flag8,
    Gap1,
    Gap2,
    GapToWord,
    Name,
    Output,
    Part,
    PartCursor,
    PartField,
    RaftRole,
    Role8,
    Unused,
    Word,
    checked_bytes,
    keep_unused,
)
from dqlitewire.text import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, ClassVar

    from dqlitewire.declare.cursor import Cursor

__all__ = [
    "COMMANDS",
    "Barrier",
    "Checkpoint",
    "Command",
    "CommandType",
    "Configuration",
    "ConfigurationNode",
    "Database",
    "EntryData",
    "EntryType",
    "Frames",
    "Open",
    "Snapshot",
    "Undo",
    "read_entry",
]

FORMAT = 1  # of commands, configurations and snapshots


class EntryType(IntEnum):
    """Types of the entries of the log."""

    COMMAND = 1
    BARRIER = 2
    CHANGE = 3


class CommandType(IntEnum):
    """Types of the commands in entries of type COMMAND."""

    OPEN = 1
    FRAMES = 2
    UNDO = 3
    CHECKPOINT = 4


class Constant(PartField):
    """A number that is always the same."""

    is_attribute: bool = False
    is_stored: bool = False
    is_packed: bool = False
    value: int

    def plain(self, cursor: Cursor, values: dict[str, object]) -> None:
        start, found = cursor.pos, cursor.unsigned(self.name, self.smallest)
        if found != self.value:
            raise cursor.error(self.name, f"got {found}, only {self.value} is allowed", start)

    def put(self, of: Any, out: Output) -> None:
        out.parts.append(self.value.to_bytes(self.smallest, "little"))


class FormatByte(Constant):
    """The format, a byte."""

    kind: str = "format"
    smallest: int = 1
    largest: int | None = 1
    value: int = FORMAT


class FormatWord(Constant):
    """The format, a word."""

    kind: str = "format"
    smallest: int = 8
    largest: int | None = 8
    value: int = FORMAT


class EntryData(Part):
    """What an entry carries; `ENTRY_TYPE` says which entry."""

    __slots__ = ()
    if TYPE_CHECKING:
        ENTRY_TYPE: ClassVar[EntryType]


# ---- commands


class CommandHeader(PartField):
    """The word before a command's fields: format, type, six bytes that nobody reads."""

    kind: str = "command header"
    smallest: int = 8
    largest: int | None = 8
    is_attribute: bool = False
    is_stored: bool = False
    is_packed: bool = False

    def plain(self, cursor: Cursor, values: dict[str, object]) -> None:
        cursor.unsigned("format", 1)
        cursor.unsigned("type", 1)  # both were looked at by `read_command`
        keep_unused(values, cursor.raw(self.name, 6))

    def put(self, of: Any, out: Output) -> None:
        out.parts.append(bytes([FORMAT, of.COMMAND_TYPE]) + out.gap(6))


class Command(EntryData, shared=True):
    """A command of the log."""

    ENTRY_TYPE = EntryType.COMMAND
    if TYPE_CHECKING:
        COMMAND_TYPE: ClassVar[CommandType]

    unused: bytes = field(Unused, default=b"", kw_only=True)


class Open(Command):
    """Open a database; no server sends it, applying it does nothing.

    Args:
        filename: the database's name.
        unused: bytes without meaning, in wire order; empty for zeros.
    """

    COMMAND_TYPE = CommandType.OPEN
    command: None = field(CommandHeader, init=False)
    filename: str = field(Name)


class PageCount(U32):
    """How many pages follow."""

    is_attribute: bool = False
    is_stored: bool = False

    def put(self, of: Any, out: Output) -> None:
        out.parts.append(len(of.page_numbers).to_bytes(4, "little"))


def checked_page_numbers(value: object, path: str) -> tuple[int, ...]:
    items = checked_items(value, path)
    return tuple(checked_integer(n, 0, 2**64 - 1, f"{path}[{i}]") for i, n in enumerate(items))


class PageNumbers(PartField):
    """The numbers of the pages, words."""

    kind: str = "page numbers"
    largest: int | None = None
    uses: tuple[Any, ...] = (checked_page_numbers,)
    is_packed: bool = False
    shows: bool = True

    def check(self, path: str) -> list[str]:
        return [f"{self.name} = $checked_page_numbers({self.name}, {path!r})"]

    def plain(self, cursor: Cursor, values: dict[str, object]) -> tuple[int, ...]:
        count, page_size = values["page_count"], values["page_size"]
        assert isinstance(count, int)
        assert isinstance(page_size, int)
        left = cursor.end - cursor.pos
        if count * (8 + page_size) != left:
            problem = f"got {count} pages of {page_size} bytes and their numbers, {left} bytes are left"
            raise cursor.error("page_count", problem)
        data = cursor.raw(self.name, 8 * count)
        return tuple(int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8))

    def put(self, of: Any, out: Output) -> None:
        out.parts += [number.to_bytes(8, "little") for number in of.page_numbers]


def checked_pages(value: object, numbers: Sequence[int], size: int, path: str) -> tuple[bytes, ...]:
    pages = tuple(checked_bytes(one, f"{path}[{i}]") for i, one in enumerate(checked_items(value, path)))
    if len(pages) != len(numbers):
        raise EncodeError(f"got {len(pages)} pages, {len(numbers)} are numbered", path=path)
    for i, page in enumerate(pages):
        if len(page) != size:
            raise EncodeError(f"got {len(page)} bytes, pages have {size}", path=f"{path}[{i}]")
    return pages


class Pages(PartField):
    """The pages, one after the other."""

    kind: str = "pages"
    largest: int | None = None
    uses: tuple[Any, ...] = (checked_pages,)
    is_packed: bool = False

    def check(self, path: str) -> list[str]:
        return [f"{self.name} = $checked_pages({self.name}, page_numbers, page_size, {path!r})"]

    def plain(self, cursor: Cursor, values: dict[str, object]) -> tuple[bytes, ...]:
        size, count, start = values["page_size"], values["page_count"], cursor.pos
        assert isinstance(size, int)
        assert isinstance(count, int)
        cursor.raw(self.name, cursor.end - start)  # `PageNumbers` saw that these are the pages
        return tuple(cursor.data[start + size * i : start + size * (i + 1)] for i in range(count))

    def put(self, of: Any, out: Output) -> None:
        out.parts += of.pages


class Frames(Command):
    """A transaction: the pages that it wrote, as SQLite hands them to its WAL.

    Args:
        filename: the database's name.
        tx_id: 0 in all that was seen.
        truncate: pages of the database behind the transaction, 0 in all that was seen.
        is_commit: whether it is the whole transaction; always, in all that was seen.
        page_size: bytes of a page.
        page_numbers: the numbers of the pages, counted from 1.
        pages: their contents, in the same order.
        unused: bytes without meaning, in wire order; empty for zeros.

    Raises:
        EncodeError: not as many pages as numbers, or a page of another size.
    """

    COMMAND_TYPE = CommandType.FRAMES
    command: None = field(CommandHeader, init=False)
    filename: str = field(Name)
    tx_id: int = field(Word, default=0)
    truncate: int = field(U32, default=0)
    is_commit: bool = field(Flag8, default=True)
    gap_1: None = field(Gap1, init=False)
    gap_2: None = field(Gap2, init=False)
    page_count: int = field(PageCount, init=False)
    page_size: int = field(U16, default=4096)
    gap_3: None = field(Gap2, init=False)
    page_numbers: tuple[int, ...] = field(PageNumbers, default=())
    pages: tuple[bytes, ...] = field(Pages, default=())


class Undo(Command):
    """Undo a transaction; no server sends it.

    Args:
        tx_id: the transaction.
        unused: bytes without meaning, in wire order; empty for zeros.
    """

    COMMAND_TYPE = CommandType.UNDO
    command: None = field(CommandHeader, init=False)
    tx_id: int = field(Word)


class Checkpoint(Command):
    """Write the WAL back into the database; servers from 1.18.3 on neither send nor obey it.

    Args:
        filename: the database's name.
        unused: bytes without meaning, in wire order; empty for zeros.
    """

    COMMAND_TYPE = CommandType.CHECKPOINT
    command: None = field(CommandHeader, init=False)
    filename: str = field(Name)


COMMANDS: dict[int, type[Command]] = {one.COMMAND_TYPE: one for one in (Open, Frames, Undo, Checkpoint)}


def read_command(cursor: PartCursor) -> Command:
    if cursor.end - cursor.pos < 8:
        raise cursor.error("", f"got {cursor.end - cursor.pos} bytes, a command has at least 8")
    format_, code = cursor.data[cursor.pos], cursor.data[cursor.pos + 1]
    if format_ != FORMAT:
        raise cursor.error("format", f"got {format_}, only {FORMAT} is allowed")
    if code not in COMMANDS:
        raise cursor.error("type", f"got {code}, allowed 1 to {len(COMMANDS)}", cursor.pos + 1)
    return COMMANDS[code]._read(cursor)


# ---- barriers and configurations


class BarrierData(PartField):
    """All the bytes there are, without meaning."""

    kind: str = "unused"
    largest: int | None = None
    is_attribute: bool = False
    is_stored: bool = False
    is_packed: bool = False

    def plain(self, cursor: Cursor, values: dict[str, object]) -> None:
        keep_unused(values, cursor.raw(self.name, cursor.end - cursor.pos))

    def put(self, of: Any, out: Output) -> None:
        out.parts.append(of.unused)


class Barrier(EntryData):
    """An entry that is waited for and does nothing.

    Args:
        unused: its bytes, 8 in all that was seen.
    """

    ENTRY_TYPE = EntryType.BARRIER
    data: None = field(BarrierData, init=False)
    unused: bytes = field(Unused, default=bytes(8), kw_only=True)


class UnalignedText(Text, PartField):
    """UTF-8 with a NUL and no padding."""

    cap: str | None = "max_address_size"
    smallest: int = 1
    low: int = 0
    is_packed: bool = False
    shows: bool = True

    def plain(self, cursor: Cursor, values: dict[str, object]) -> str:
        start = cursor.pos
        limit: int = getattr(cursor.options, str(self.cap))
        nul = cursor.data.find(0, start, min(cursor.end, start + limit + 1))
        if nul < 0:
            raise cursor.error(self.name, f"no NUL within {min(limit, cursor.end - start)} bytes")
        cursor.pos = nul + 1
        cursor.note(self.name, start, "text")
        try:
            return str(cursor.data[start:nul], "utf-8", cursor.options.text_errors)
        except UnicodeDecodeError as error:
            raise cursor.error(self.name, f"not UTF-8: {error.reason}", start + error.start) from error

    def put(self, of: Any, out: Output) -> None:
        path = f"{type(of).__name__}.{self.name}"
        try:
            data = getattr(of, self.name).encode()
        except UnicodeEncodeError as error:
            raise EncodeError(f"lone surrogate at character {error.start}", path=path) from error
        limit = getattr(DEFAULT_LIMITS, str(self.cap))
        if 0 in data or len(data) > limit:
            raise EncodeError(f"got {len(data)} bytes, at most {limit} without NUL", path=path, limit=limit)
        out.parts.append(data + b"\0")


class ConfigurationNode(Part):
    """A node of a configuration.

    Args:
        id: its id.
        address: where it listens.
        role: voter, stand-by or spare, by raft's numbers.
    """

    unused = b""
    id: int = field(Word)
    address: str = field(UnalignedText)
    role: RaftRole = field(Role8)


class Parts(PartField):
    """A count, and so many objects of one class.

    Attributes:
        of: the class.
        least: the bytes of one of them at least.
    """

    kind: str = "parts"
    smallest: int = 8
    largest: int | None = None
    is_packed: bool = False
    of: type[Part]
    least: int

    def names(self) -> dict[str, object]:
        return {"$checked_parts": checked_parts, "$of": self.of}

    def check(self, path: str) -> list[str]:
        return [f"{self.name} = $checked_parts({self.name}, $of, {path!r})"]

    def plain(self, cursor: Cursor, values: dict[str, object]) -> tuple[Part, ...]:
        assert isinstance(cursor, PartCursor)
        start, count = cursor.pos, cursor.unsigned(self.name, 8)
        if count * self.least > cursor.end - cursor.pos:
            raise cursor.error(self.name, f"got {count}, {cursor.end - cursor.pos} bytes are left", start)
        found: list[Part] = []
        for i in range(count):
            inner = cursor.inner(cursor.pos, cursor.end - cursor.pos, f"{self.name}[{i}]")
            found.append(self.of._read(inner))
            cursor.pos = inner.pos
        return tuple(found)

    def put(self, of: Any, out: Output) -> None:
        items: tuple[Part, ...] = getattr(of, self.name)
        out.parts.append(len(items).to_bytes(8, "little"))
        out.parts += [item.encode() for item in items]


def checked_parts(value: object, of: type[Part], path: str) -> tuple[Part, ...]:
    items = checked_items(value, path)
    for i, item in enumerate(items):
        if type(item) is not of:
            raise EncodeError(f"got {kind_of(item)}, {of.__name__} is needed", path=f"{path}[{i}]")
    return tuple(items)


class Nodes(Parts):
    """The nodes of a configuration."""

    kind, of, least = "nodes", ConfigurationNode, 10
    shows: bool = True


class Configuration(EntryData):
    """All the nodes of the cluster; an entry of type CHANGE always holds the whole.

    Args:
        nodes: a sequence of `ConfigurationNode`.
        unused: bytes without meaning, in wire order; empty for zeros.
    """

    ENTRY_TYPE = EntryType.CHANGE
    format: None = field(FormatByte, init=False)
    nodes: tuple[ConfigurationNode, ...] = field(Nodes)
    padding: None = field(GapToWord, init=False)
    unused: bytes = field(Unused, default=b"", kw_only=True)


def read_entry(entry_type: int, cursor: PartCursor) -> EntryData:
    """Read what an entry carries.

    Args:
        entry_type: the entry's type.
        cursor: over its bytes.

    Raises:
        DecodeError: they are not what an entry of that type carries.
    """
    match entry_type:
        case EntryType.COMMAND:
            found: EntryData = read_command(cursor)
        case EntryType.BARRIER:
            found = Barrier._read(cursor)
        case EntryType.CHANGE:
            found = Configuration._read(cursor)
        case _:
            raise DecodeError(f"got {entry_type}, allowed 1 to {len(EntryType)}", path=f"{cursor.path}.type")
    cursor.finish()
    return found


# ---- snapshots


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
