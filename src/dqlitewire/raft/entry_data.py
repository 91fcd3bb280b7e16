"""What entries of the log carry: the base of commands and configurations, and barriers."""

from __future__ import annotations

from enum import IntEnum

from dqlitewire.declare.fields import field
from dqlitewire.raft.kinds import (
    Output,
    Part,
    PartField,
    Unused,
    keep_unused,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from dqlitewire.declare.cursor import Cursor

__all__ = ["Barrier", "BarrierData", "EntryData", "EntryType"]


class EntryType(IntEnum):
    """Types of the entries of the log."""

    COMMAND = 1
    BARRIER = 2
    CHANGE = 3


class EntryData(Part):
    """What an entry carries; `ENTRY_TYPE` says which entry."""

    __slots__ = ()
    if TYPE_CHECKING:
        ENTRY_TYPE: ClassVar[EntryType]


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
