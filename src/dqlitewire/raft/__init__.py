"""Messages between nodes: what a connection carries behind CONNECT.

    from dqlitewire.raft import RaftReader, decode_message

    reader = RaftReader()
    reader.feed(bytes_behind_connect)
    for frame in reader.frames():
        print(decode_message(frame))

Six messages (`AppendEntries` and its result, `RequestVote` and its result, `InstallSnapshot`, `TimeoutNow`)
in the layouts of dqlite 1.11.1 to 1.18.7 and of cowsql, declared as the clients' messages are. No I/O. Bytes
without meaning are kept, so that what was decoded encodes to the same bytes.
"""

from __future__ import annotations

from dqlitewire.raft.commands import Checkpoint, Command, CommandType, Frames, Open, Undo
from dqlitewire.raft.configurations import Configuration, ConfigurationNode
from dqlitewire.raft.entries import Entry
from dqlitewire.raft.entry_data import Barrier, EntryData, EntryType
from dqlitewire.raft.kinds import RaftRole
from dqlitewire.raft.messages import (
    MESSAGES,
    AppendEntries,
    AppendEntriesResult,
    InstallSnapshot,
    RaftMessage,
    RaftType,
    RequestVote,
    RequestVoteResult,
    TimeoutNow,
)
from dqlitewire.raft.snapshots import Database, Snapshot
from dqlitewire.raft.stream import (
    MAX_HEADER_SIZE,
    MAX_PAYLOAD_SIZE,
    RaftReader,
    decode_message,
    explain_message,
    frame_size,
    raft_type_name,
)

__all__ = [
    "MAX_HEADER_SIZE",
    "MAX_PAYLOAD_SIZE",
    "MESSAGES",
    "AppendEntries",
    "AppendEntriesResult",
    "Barrier",
    "Checkpoint",
    "Command",
    "CommandType",
    "Configuration",
    "ConfigurationNode",
    "Database",
    "Entry",
    "EntryData",
    "EntryType",
    "Frames",
    "InstallSnapshot",
    "Open",
    "RaftMessage",
    "RaftReader",
    "RaftRole",
    "RaftType",
    "RequestVote",
    "RequestVoteResult",
    "Snapshot",
    "TimeoutNow",
    "Undo",
    "decode_message",
    "explain_message",
    "frame_size",
    "raft_type_name",
]
