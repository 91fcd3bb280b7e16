"""Messages between nodes: the declarations (dqlite src/raft/uv_encoding.c, uv_recv.c).

A message is a preamble of two words, a header, and for two of them a payload:

    byte  0              8               16                     16 + header size
          | type word    | header size   | header ...           | payload ... |

    type word  byte 0: the type, byte 2: the version (cowsql; 0 in dqlite), the others 0

An RPC and its result are on different connections, each of which is written by one side only: there are no
ids, a result belongs to an RPC by term and index.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from dqlitewire.declare.fields import bits, field
from dqlitewire.exceptions import EncodeError
from dqlitewire.raft.configurations import Configuration
from dqlitewire.raft.entries import Entries, Entry, EntryHeads
from dqlitewire.raft.kinds import (
    Flag,
    Gap8,
    LastWord,
    Output,
    Part,
    PartCursor,
    PartField,
    Unused,
    Version,
    Word,
)
from dqlitewire.raft.snapshots import Snapshot
from dqlitewire.text import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, TypeVar

    from dqlitewire.declare.cursor import Cursor

    P = TypeVar("P", bound=Part)

__all__ = [
    "MESSAGES",
    "PREAMBLE",
    "AppendEntries",
    "AppendEntriesResult",
    "InstallSnapshot",
    "RaftMessage",
    "RaftType",
    "RequestVote",
    "RequestVoteResult",
    "TimeoutNow",
]

PREAMBLE = Struct("<BxB5xQ")  # type, version, header size
COWSQL = (2,)  # the version of its results, whose last word has more in it


class RaftType(IntEnum):
    """Types of the messages between nodes."""

    APPEND_ENTRIES = 1
    APPEND_ENTRIES_RESULT = 2
    REQUEST_VOTE = 3
    REQUEST_VOTE_RESULT = 4
    INSTALL_SNAPSHOT = 5
    TIMEOUT_NOW = 6


class RaftMessage(Part, shared=True):
    """A message between nodes.

    Attributes:
        TYPE: its type.
        HEADER_SIZES: the sizes of its header without what varies: the oldest layout first.
        RESULT: the type of what answers it on another connection, None if nothing does.
    """

    if TYPE_CHECKING:
        TYPE: ClassVar[RaftType]
        HEADER_SIZES: ClassVar[tuple[int, ...]]
    RESULT: ClassVar[RaftType | None] = None

    version: int = field(Version, default=0, kw_only=True)
    unused: bytes = field(Unused, default=b"", kw_only=True)

    def encode(self) -> bytes:
        """Encode preamble, header and payload; what was decoded gives the same bytes.

        Raises:
            EncodeError: a field that cannot be encoded.
        """
        out = self._written()
        header = b"".join(out.parts)
        return b"".join((PREAMBLE.pack(self.TYPE, self.version, len(header)), header, *out.payload))


class AppendEntries(RaftMessage):
    """Entries for the log of another node; without any a heartbeat, or a probe of where to go on.

    Args:
        term: of the leader.
        prev_log_index: the index of the entry before the first one that is sent.
        prev_log_term: the term of that entry.
        leader_commit: up to which index the leader knows entries to be committed.
        entries: a sequence of `Entry`.
        version: in the type word.
        unused: bytes without meaning, in wire order; empty for zeros.
    """

    TYPE, HEADER_SIZES, RESULT = RaftType.APPEND_ENTRIES, (48,), RaftType.APPEND_ENTRIES_RESULT

    term: int = field(Word)
    prev_log_index: int = field(Word)
    prev_log_term: int = field(Word)
    leader_commit: int = field(Word)
    entry_heads: None = field(EntryHeads, init=False)
    gap: None = field(Gap8, init=False)
    entries: tuple[Entry, ...] = field(Entries, default=())


class AppendEntriesResult(RaftMessage):
    """The answer to AppendEntries and to InstallSnapshot.

    Args:
        term: of the node that answers.
        rejected: 0, or the `prev_log_index` that does not fit its log.
        last_log_index: the last index of its log, a hint where to go on.
        last_word: features, of cowsql with the capacity; 1.11.1 does not send it.
        version: in the type word.
        unused: bytes without meaning, in wire order; empty for zeros.

    Attributes:
        features: what the node can; None if it was not told.
        capacity: KiB of log space that it has prepared, of cowsql; None if it was not told.
    """

    TYPE, HEADER_SIZES = RaftType.APPEND_ENTRIES_RESULT, (24, 32)

    term: int = field(Word)
    rejected: int = field(Word)
    last_log_index: int = field(Word)
    last_word: int | None = field(LastWord, default=0)
    features: int | None = bits("last_word", 0, 16, init=False)
    capacity: int | None = bits("last_word", 16, 16, versions=COWSQL, init=False)


# ---- elections


class RequestVote(RaftMessage):
    """A candidate asks for a vote, or in a pre-vote whether it would be given.

    Args:
        term: that it stands for; of a pre-vote its own plus one, which it has not taken.
        candidate_id: its id.
        last_log_index: the last index of its log.
        last_log_term: the term of that entry.
        flags: bit 0 disrupt leader, bit 1 pre-vote; None in the oldest layout, which has none.
        version: in the type word.
        unused: bytes without meaning, in wire order; empty for zeros.

    Attributes:
        disrupt_leader: the vote is part of a transfer.
        pre_vote: it is a pre-vote.
    """

    TYPE, HEADER_SIZES, RESULT = RaftType.REQUEST_VOTE, (32, 40), RaftType.REQUEST_VOTE_RESULT

    term: int = field(Word)
    candidate_id: int = field(Word)
    last_log_index: int = field(Word)
    last_log_term: int = field(Word)
    flags: int | None = field(LastWord, default=0)
    disrupt_leader: bool | None = bits("flags", 0, 1, init=False)
    pre_vote: bool | None = bits("flags", 1, 1, init=False)


class RequestVoteResult(RaftMessage):
    """The answer to RequestVote.

    Args:
        term: of the voter; in the answer to a pre-vote the one that was asked for.
        vote_granted: whether it gives its vote.
        flags: bit 0 answers a pre-vote; of cowsql features and capacity too; None in the oldest layout.
        version: in the type word.
        unused: bytes without meaning, in wire order; empty for zeros.

    Attributes:
        pre_vote: it answers a pre-vote.
        features: what the node can, of cowsql; None if it was not told.
        capacity: KiB of log space that it has prepared, of cowsql; None if it was not told.
    """

    TYPE, HEADER_SIZES = RaftType.REQUEST_VOTE_RESULT, (16, 24)

    term: int = field(Word)
    vote_granted: bool = field(Flag)
    flags: int | None = field(LastWord, default=0)
    pre_vote: bool | None = bits("flags", 0, 1, init=False)
    features: int | None = bits("flags", 16, 16, versions=COWSQL, init=False)
    capacity: int | None = bits("flags", 32, 16, versions=COWSQL, init=False)


class TimeoutNow(RaftMessage):
    """The leader asks a node to stand for election at once: a transfer.

    Args:
        term: of the leader.
        last_log_index: the last index of the leader's log.
        last_log_term: the term of that entry.
        version: in the type word.
        unused: bytes without meaning, in wire order; empty for zeros.
    """

    TYPE, HEADER_SIZES, RESULT = RaftType.TIMEOUT_NOW, (24,), RaftType.REQUEST_VOTE

    term: int = field(Word)
    last_log_index: int = field(Word)
    last_log_term: int = field(Word)


# ---- snapshots


def checked_part(value: Any, of: type[P], path: str) -> P:
    if type(value) is not of:
        raise EncodeError(f"got {kind_of(value)}, {of.__name__} is needed", path=path)
    return value


class SizedConfiguration(PartField):
    """A configuration behind its size."""

    kind: str = "configuration"
    smallest: int = 8
    largest: int | None = None
    is_packed: bool = False
    uses: tuple[Any, ...] = (checked_part, Configuration)

    def check(self, path: str) -> list[str]:
        return [f"{self.name} = $checked_part({self.name}, $Configuration, {path!r})"]

    def plain(self, cursor: Cursor, values: dict[str, object]) -> Configuration:
        assert isinstance(cursor, PartCursor)
        start, size = cursor.pos, cursor.unsigned("configuration_size", 8)
        if size > cursor.header_end - cursor.pos:
            problem = f"got {size}, {cursor.header_end - cursor.pos} bytes of the header are left"
            raise cursor.error(self.name, problem, start)
        return cursor.whole(Configuration, size, self.name)

    def put(self, of: Any, out: Output) -> None:
        data = of.configuration.encode()
        out.parts += (len(data).to_bytes(8, "little"), data)


class SnapshotSize(PartField):
    """The size of the snapshot, which follows the header."""

    kind: str = "size"
    smallest: int = 8
    largest: int | None = 8
    is_attribute: bool = False
    is_stored: bool = False
    is_packed: bool = False

    def plain(self, cursor: Cursor, values: dict[str, object]) -> int:
        return cursor.unsigned(self.name, 8)

    def put(self, of: Any, out: Output) -> None:
        data = of.snapshot.encode()
        out.parts.append(len(data).to_bytes(8, "little"))
        out.payload.append(data)


class SnapshotData(PartField):
    """The snapshot: the payload."""

    kind: str = "snapshot"
    largest: int | None = None
    is_packed: bool = False
    uses: tuple[Any, ...] = (checked_part, Snapshot)

    def check(self, path: str) -> list[str]:
        return [f"{self.name} = $checked_part({self.name}, $Snapshot, {path!r})"]

    def plain(self, cursor: Cursor, values: dict[str, object]) -> Snapshot:
        assert isinstance(cursor, PartCursor)
        return cursor.whole(Snapshot, cursor.end - cursor.pos, self.name)

    def put(self, of: Any, out: Output) -> None:
        pass  # `SnapshotSize` encoded it


class InstallSnapshot(RaftMessage):
    """All the databases, for a node that needs entries which are no longer in the leader's log.

    Args:
        term: of the leader.
        last_index: the index of the last entry that is in the snapshot.
        last_term: the term of that entry.
        conf_index: the index of the configuration.
        configuration: the cluster's nodes.
        snapshot: the databases.
        last_word: without meaning; None from 1.18.7 on, which does not send it.
        version: in the type word.
        unused: bytes without meaning, in wire order; empty for zeros.
    """

    TYPE, HEADER_SIZES = RaftType.INSTALL_SNAPSHOT, (48, 56)
    RESULT = RaftType.APPEND_ENTRIES_RESULT

    term: int = field(Word)
    last_index: int = field(Word)
    last_term: int = field(Word)
    conf_index: int = field(Word)
    configuration: Configuration = field(SizedConfiguration)
    snapshot_size: int = field(SnapshotSize, init=False)
    last_word: int | None = field(LastWord, default=None, kw_only=True)
    snapshot: Snapshot = field(SnapshotData)


MESSAGES: dict[int, type[RaftMessage]] = {
    one.TYPE: one
    for one in (
        AppendEntries,
        AppendEntriesResult,
        RequestVote,
        RequestVoteResult,
        InstallSnapshot,
        TimeoutNow,
    )
}
