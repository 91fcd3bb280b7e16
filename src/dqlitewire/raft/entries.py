"""The entries of the log as AppendEntries carries them: their heads in the header, what they carry behind it.

    header  | .. | count | term | type, unused, size | term | type, unused, size | .. | unused |
    payload | what entry 1 carries | what entry 2 carries | ..

Nothing stands between two entries of the payload, and every size is a number of whole words.
"""

from __future__ import annotations

from struct import Struct

from dqlitewire.checks import checked_items
from dqlitewire.declare.contract import Field
from dqlitewire.declare.declared import fill
from dqlitewire.declare.fields import field
from dqlitewire.exceptions import DecodeError, EncodeError
from dqlitewire.raft.commands import read_command
from dqlitewire.raft.configurations import Configuration
from dqlitewire.raft.entry_data import Barrier, EntryData, EntryType
from dqlitewire.raft.kinds import Output, Part, PartCursor, PartField, Word, keep_unused
from dqlitewire.text import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dqlitewire.declare.cursor import Cursor

__all__ = ["ENTRY_HEAD", "Entries", "Entry", "EntryHeads"]

ENTRY_HEAD = Struct("<QB3sI")  # term, type, unused, size


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


def checked_data(value: Any, path: str) -> EntryData:
    if not isinstance(value, EntryData):
        raise EncodeError(f"got {kind_of(value)}, a command, barrier or configuration is needed", path=path)
    return value


class Data(Field):
    """What an entry carries."""

    kind: str = "entry data"
    largest: int | None = None
    uses: tuple[Any, ...] = (checked_data,)

    def check(self, path: str) -> list[str]:
        return [f"{self.name} = $checked_data({self.name}, {path!r})"]


class TypeOfEntry(Field):
    """The entry's type, which is that of what it carries."""

    kind: str = "entry type"
    largest: int | None = 0
    is_attribute: bool = False
    is_stored: bool = False
    shows: bool = True

    def attribute(self) -> object:
        return property(lambda entry: entry.command.ENTRY_TYPE)


class Entry(Part):
    """An entry of the log.

    Args:
        term: of the leader that wrote it.
        command: a command, a `Barrier` or a `Configuration`.
        index: its place in the log; set by the message around it where it is 0.
    """

    unused = b""
    term: int = field(Word)
    type: EntryType = field(TypeOfEntry, init=False)
    command: EntryData = field(Data)
    index: int = field(Word, default=0)


def checked_entries(value: object, before: int, path: str) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for i, entry in enumerate(checked_items(value, path)):
        if type(entry) is not Entry:
            raise EncodeError(f"got {kind_of(entry)}, Entry is needed", path=f"{path}[{i}]")
        index = before + 1 + i
        if entry.index not in (0, index):
            raise EncodeError(f"got index {entry.index}, {index} is its place", path=f"{path}[{i}]")
        entries.append(fill(Entry, (entry.term, entry.command, index)))
    return tuple(entries)


class EntryHeads(PartField):
    """A count, and of each entry its term, type and size."""

    kind: str = "entry heads"
    smallest: int = 8
    largest: int | None = None
    is_attribute: bool = False
    is_stored: bool = False
    is_packed: bool = False

    def plain(self, cursor: Cursor, values: dict[str, object]) -> list[tuple[int, int, int]]:
        assert isinstance(cursor, PartCursor)
        start, count = cursor.pos, cursor.unsigned("entry_count", 8)
        if count * ENTRY_HEAD.size > cursor.header_end - cursor.pos:
            problem = f"got {count}, {cursor.header_end - cursor.pos} bytes of the header are left"
            raise cursor.error("entries", problem, start)
        heads: list[tuple[int, int, int]] = []
        for i in range(count):
            head = cursor.raw("entry_head", ENTRY_HEAD.size)
            term, code, unused, size = ENTRY_HEAD.unpack(head)
            keep_unused(values, unused)
            if size % 8:
                raise cursor.error(
                    f"entries[{i}]", f"got {size} bytes, whole words are needed", cursor.pos - 4
                )
            heads.append((term, code, size))
        return heads

    def put(self, of: Any, out: Output) -> None:
        out.parts.append(len(of.entries).to_bytes(8, "little"))
        for i, entry in enumerate(of.entries):
            data = entry.command.encode()
            if len(data) >= 1 << 32 or len(data) % 8:
                path = f"AppendEntries.entries[{i}]"
                raise EncodeError(f"got {len(data)} bytes, whole words below 4 GiB are needed", path=path)
            out.parts.append(ENTRY_HEAD.pack(entry.term, entry.type, out.gap(3), len(data)))
            out.payload.append(data)


class Entries(PartField):
    """What the entries carry, one after the other: the payload."""

    kind: str = "entries"
    largest: int | None = None
    is_packed: bool = False
    uses: tuple[Any, ...] = (checked_entries,)

    def check(self, path: str) -> list[str]:
        return [f"{self.name} = $checked_entries({self.name}, prev_log_index, {path!r})"]

    def plain(self, cursor: Cursor, values: dict[str, object]) -> tuple[Entry, ...]:
        assert isinstance(cursor, PartCursor)
        heads: Any = values["entry_heads"]
        before: Any = values["prev_log_index"]
        found: list[Entry] = []
        for i, (term, code, size) in enumerate(heads):
            if size > cursor.end - cursor.pos:
                problem = f"got {size} bytes, {cursor.end - cursor.pos} are left"
                raise cursor.error(f"entries[{i}]", problem)
            inner = cursor.inner(cursor.pos, size, f"entries[{i}]")
            found.append(fill(Entry, (term, read_entry(code, inner), before + 1 + i)))
            cursor.pos = inner.end
        return tuple(found)

    def put(self, of: Any, out: Output) -> None:
        pass  # `EntryHeads` encoded them, for their sizes
