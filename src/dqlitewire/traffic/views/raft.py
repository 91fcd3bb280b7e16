"""Messages between nodes in JSON and on a line, from the declarations of their parts.

A part is its fields, by their names and in wire order; what is read by its bits is given as these, and what
has no meaning is left out. A part whose fields are better written another way has a function in `_FIELDS`, a
message that people write another way one in `_LINES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, cast

from dqlitewire import sanitize_for_log
from dqlitewire.declare.fixed import Bits
from dqlitewire.raft import (
    AppendEntries,
    AppendEntriesResult,
    Barrier,
    Command,
    Configuration,
    ConfigurationNode,
    Database,
    Entry,
    EntryType,
    Frames,
    InstallSnapshot,
    RaftMessage,
    RequestVote,
    RequestVoteResult,
    Snapshot,
    TimeoutNow,
)
from dqlitewire.raft.kinds import Part
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.views.literals import ITEMS, value

#: fields that are given by another name, and those of a message that are not given
_WRITTEN = {"snapshot": "databases"}
_NOT_SHOWN: dict[type, tuple[str, ...]] = {InstallSnapshot: ("last_word", "snapshot_size")}
_NO_FIELDS = frozenset({"unused", "pages", "main", "wal"})  # without meaning, or contents


def raft_fields(part: Any) -> Any:
    """Return the fields of a message between nodes, or of a part of it, ready for `json.dumps`.

    Args:
        part: a message, an entry, a command, or what else is declared.
    """
    if isinstance(part, Command):
        return _command(part)
    written = _FIELDS.get(cast("Any", type(part)))
    return written(part) if written is not None else {name: _plain(held) for name, held in fields_of(part)}


def names_of(part: Any) -> list[str]:
    """Return the names of the fields of a class of parts, as `raft_fields` gives them.

    Args:
        part: the class of a message or command.
    """
    names = [name for name in _names(part) if name != "command"]
    return [_WRITTEN.get(name, name) for name in names if name not in _NOT_SHOWN.get(part, ())]


def _names(part: Any) -> list[str]:
    fields = part.FIELDS
    words = {field.of for field in fields if isinstance(field, Bits)}
    known = [field.name for field in fields if isinstance(field, Bits) or hasattr(part, field.name)]
    return [name for name in known if name not in words and name not in _NO_FIELDS]


def fields_of(part: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each field of a part that means something, in wire order.

    Args:
        part: a message, an entry, a command, or what else is declared.
    """
    return ((name, getattr(part, name)) for name in _names(type(part)))


def _plain(held: Any) -> Any:
    match held:
        case Part():
            return raft_fields(held)
        case Enum():
            return held.name
        case str():
            return held.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        case bytes():
            return {"blob": held.hex()}
        case tuple():
            return [_plain(one) for one in held]  # pyright: ignore[reportUnknownVariableType]
        case None | int():
            return held
        case _:
            return repr(held)


def _entry(entry: Entry) -> dict[str, Any]:
    carried = raft_fields(entry.command)
    return {
        "index": entry.index,
        "term": entry.term,
        "type": entry.type.name,
        "command": {"configuration": carried} if entry.type is EntryType.CHANGE else carried,
    }


def _command(command: Any) -> dict[str, Any]:
    return {
        "type": command.COMMAND_TYPE.name,
        **{name: _plain(held) for name, held in fields_of(command) if name != "command"},
    }


def _configuration(configuration: Configuration) -> list[Any]:
    return [raft_fields(node) for node in configuration.nodes]


def _snapshot(message: InstallSnapshot) -> dict[str, Any]:
    left_out = _NOT_SHOWN[InstallSnapshot]
    shown = {name: _plain(held) for name, held in fields_of(message) if name not in left_out}
    return {_WRITTEN.get(name, name): held for name, held in shown.items()}


def _database(database: Database) -> dict[str, Any]:
    return {
        "name": _plain(database.name),
        "main_size": len(database.main),
        "wal_size": len(database.wal),
    }


_FIELDS: dict[type, Callable[[Any], Any]] = {
    Entry: _entry,
    Barrier: lambda _: None,
    Configuration: _configuration,
    InstallSnapshot: _snapshot,
    Database: _database,
    Snapshot: lambda snapshot: [raft_fields(database) for database in snapshot.databases],
}


# ---- on a line


def summarise_raft(message: RaftMessage) -> str:
    """Return a message between nodes in words, without its type.

    Args:
        message: any of them.
    """
    written = _LINES.get(type(message))
    if written is not None:
        return written(message)
    return ", ".join(f"{name} {value(held)}" for name, held in fields_of(message) if name != "version")


def _append(message: AppendEntries) -> str:
    before = f"prev {message.prev_log_index}/{message.prev_log_term}, commit {message.leader_commit}"
    entries = message.entries
    if not entries:
        return f"term {message.term}: heartbeat, {before}"
    shown = [_said(entry) for entry in entries[:ITEMS]]
    if len(entries) > ITEMS:
        shown.append(f"… {len(entries)} in all")
    first, last = entries[0].index, entries[-1].index
    which = f"entry {first}" if first == last else f"entries {first}-{last}"
    return f"term {message.term}: {which}, {before}: {'; '.join(shown)}"


def _said(entry: Entry) -> str:
    carried = entry.command
    match carried:
        case Frames():
            numbers = ", ".join(map(str, carried.page_numbers[:ITEMS]))
            more = ", …" if len(carried.page_numbers) > ITEMS else ""
            pages = counted(len(carried.page_numbers), "page")
            return f"FRAMES {sanitize_for_log(carried.filename)} {pages} ({numbers}{more})"
        case Command():
            named = [sanitize_for_log(str(held)) for _, held in fields_of(carried)]
            return " ".join([carried.COMMAND_TYPE.name, *named])
        case Configuration():
            return f"CHANGE {_nodes(carried)}"
        case _:
            return entry.type.name


def _nodes(configuration: Configuration) -> str:
    shown = [_node(node) for node in configuration.nodes[:ITEMS]]
    if len(configuration.nodes) > ITEMS:
        shown.append(f"… {len(configuration.nodes)} in all")
    return f"({', '.join(shown)})"


def _node(node: ConfigurationNode) -> str:
    return f"{node.id} {sanitize_for_log(node.address)} {node.role.name.lower()}"


def _append_result(message: AppendEntriesResult) -> str:
    if message.rejected:
        return f"term {message.term}: rejected {message.rejected}, last {message.last_log_index}"
    return f"term {message.term}: accepted, last {message.last_log_index}"


def _vote(message: RequestVote) -> str:
    kind = "pre-vote" if message.pre_vote else "vote"
    disrupts = ", part of a transfer" if message.disrupt_leader else ""
    last = f"last {message.last_log_index}/{message.last_log_term}"
    return f"term {message.term}: {kind} for node {message.candidate_id}, {last}{disrupts}"


def _vote_result(message: RequestVoteResult) -> str:
    kind = "pre-vote" if message.pre_vote else "vote"
    return f"term {message.term}: {kind} {'granted' if message.vote_granted else 'refused'}"


def _install(message: InstallSnapshot) -> str:
    databases = [
        f"{sanitize_for_log(one.name)} {len(one.main)} + {len(one.wal)} B"
        for one in message.snapshot.databases[:ITEMS]
    ]
    if len(message.snapshot.databases) > ITEMS:
        databases.append(f"… {len(message.snapshot.databases)} in all")
    last = f"last {message.last_index}/{message.last_term}"
    return (
        f"term {message.term}: {last}, {', '.join(databases) or 'no databases'}, "
        f"configuration of {message.conf_index} {_nodes(message.configuration)}"
    )


def _timeout(message: TimeoutNow) -> str:
    return f"term {message.term}: stand for election, last {message.last_log_index}/{message.last_log_term}"


_LINES: dict[type[RaftMessage], Callable[[Any], str]] = {
    AppendEntries: _append,
    AppendEntriesResult: _append_result,
    RequestVote: _vote,
    RequestVoteResult: _vote_result,
    InstallSnapshot: _install,
    TimeoutNow: _timeout,
}


def alike(message: RaftMessage | None) -> int | None:
    """What tells a heartbeat, or the result of one, from others; None of what is neither.

    Args:
        message: any message between nodes.
    """
    match message:
        case AppendEntries(entries=()):
            place = message.term, message.prev_log_index, message.prev_log_term, message.leader_commit
            return hash(place)
        case AppendEntriesResult(rejected=0):
            return hash((message.term, message.last_log_index))
        case _:
            return None
