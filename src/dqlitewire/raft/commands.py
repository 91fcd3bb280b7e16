"""The commands of the log.

A command is a header word (format, type) and its fields. All integers are little endian; a file name is text,
padded to a word. Upstream: dqlite src/command.c.
"""

from __future__ import annotations

from enum import IntEnum

from dqlitewire.checks import checked_integer, checked_items
from dqlitewire.declare.fields import field
from dqlitewire.exceptions import EncodeError
from dqlitewire.raft.entry_data import EntryData, EntryType
from dqlitewire.raft.formats import FORMAT
from dqlitewire.raft.kinds import (
    U16,
    U32,
    Flag8,
    Gap1,
    Gap2,
    Name,
    Output,
    PartCursor,
    PartField,
    Unused,
    Word,
    checked_bytes,
    keep_unused,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, ClassVar

    from dqlitewire.declare.cursor import Cursor

__all__ = ["COMMANDS", "Checkpoint", "Command", "CommandType", "Frames", "Open", "Undo", "read_command"]


class CommandType(IntEnum):
    """Types of the commands in entries of type COMMAND."""

    OPEN = 1
    FRAMES = 2
    UNDO = 3
    CHECKPOINT = 4


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
