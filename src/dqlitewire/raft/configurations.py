"""Configurations: the nodes of a cluster with their roles. Nothing in one is aligned.

Upstream: dqlite src/raft/configuration.c.
"""

from __future__ import annotations

from dqlitewire.declare.fields import field
from dqlitewire.declare.variable import Text
from dqlitewire.exceptions import EncodeError
from dqlitewire.limits import DEFAULT_LIMITS
from dqlitewire.raft.entry_data import EntryData, EntryType
from dqlitewire.raft.formats import FormatByte, Parts
from dqlitewire.raft.kinds import (
    GapToWord,
    Output,
    Part,
    PartField,
    RaftRole,
    Role8,
    Unused,
    Word,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dqlitewire.declare.cursor import Cursor

__all__ = ["Configuration", "ConfigurationNode", "Nodes", "UnalignedText"]


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
        cursor.note(self.name, start, "unaligned text")
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
