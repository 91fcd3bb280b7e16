"""Draw the page of the messages between nodes: their bytes, who sends which layout, a recorded one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dqlitewire.declare.contract import BODY, Field
from dqlitewire.declare.fixed import Bits
from dqlitewire.raft import MESSAGES, Barrier, Configuration, ConfigurationNode, Database, RaftType, Snapshot
from dqlitewire.raft import explain_message as explain
from dqlitewire.raft.commands import COMMANDS
from dqlitewire.raft.entry_data import EntryType
from dqlitewire.raft.kinds import LastWord, RaftRole
from dqlitewire.servers.releases import RELEASES
from dqlitewire.traffic.views.tree import tree
from tests.raft.recorded import CONNECTIONS
from tools.drawn import DOCS
from tools.drawn.messages.byte_diagram import diagram
from tools.drawn.messages.explained import explained
from tools.drawn.messages.raft_layouts import PREAMBLE, elements, message
from tools.drawn.text import doc_of, look_up, table

__all__ = ["PARTS", "SENT", "files"]

FOLDER = DOCS / "drawings" / "raft"
LONGEST = 160  # bytes of an example that is shown byte by byte

# server -> message -> the version in its type word, and whether the last word of its header is sent. What is
# not here has version 0 and no such word. Recordings hold it, and for all four servers the deep run of
# tests/traffic/test_raft_real.py.
_USUAL = {
    RaftType.APPEND_ENTRIES_RESULT: (0, True),
    RaftType.REQUEST_VOTE: (0, True),
    RaftType.REQUEST_VOTE_RESULT: (0, True),
    RaftType.INSTALL_SNAPSHOT: (0, True),
}
SENT: dict[str, dict[RaftType, tuple[int, bool]]] = {
    "1.11.1": _USUAL | {RaftType.APPEND_ENTRIES_RESULT: (0, False)},
    "1.18.1": _USUAL,
    "1.18.7": _USUAL | {RaftType.INSTALL_SNAPSHOT: (0, False)},
    "cowsql": dict.fromkeys(_USUAL, (2, True)) | {RaftType.INSTALL_SNAPSHOT: (0, True)},
}
# kind of a field -> how it lies, for people
KINDS = {
    "u64": "unsigned, 8 bytes",
    "u32": "unsigned, 4 bytes",
    "u16": "unsigned, 2 bytes",
    "last word": "unsigned, 8 bytes, or not sent",
    "entries": "their heads, and behind the header what they carry",
    "configuration": "its size, and a [configuration](#configurations)",
    "snapshot": "a [snapshot](#snapshots), behind the header",
    "size": "unsigned, 8 bytes",
    "text": "text",
    "page numbers": "8 bytes each",
    "pages": "one after the other",
    "nodes": "a count of 8 bytes, and so many nodes",
    "databases": "a count of 8 bytes, and so many databases",
    "raft role": "1 byte",
    "content": "as many bytes as its size says",
}


def _wire(field: Field) -> str:
    if isinstance(field, Bits):
        last = f" to {field.shift + field.size - 1}" if field.size > 1 else ""
        version = "" if field.versions is None else f", in version {', '.join(map(str, field.versions))}"
        return f"bit{'s' if last else ''} {field.shift}{last} of `{field.of}`{version}"
    if field.kind == "flag":
        return f"0 or 1, {field.smallest} byte{'s' if field.smallest > 1 else ''}"
    return look_up(
        KINDS, field.kind, f"a {field.kind} field", "tools/drawn/messages/raft_pages.py how it lies"
    )


def _fields(cls: Any) -> str:
    told = doc_of(cls).each
    lines = [
        (f"`{field.name}`", _wire(field), told.get(field.name, "").rstrip("."))
        for field in cls.FIELDS
        if isinstance(field, Bits) or (field.place == BODY and field.name in told)
    ]
    return table(("field", "on the wire", "what it is"), lines) if lines else ""


def _layouts(cls: Any) -> str:
    """Which server sends which layout."""
    if all(cls.TYPE not in sent for sent in SENT.values()):
        return "All servers send the same layout."
    (word,) = [field.name for field in cls.FIELDS if isinstance(field, LastWord)]
    lines = [
        (name, str(version), "yes" if last else "no")
        for name, (version, last) in ((name, SENT[name][cls.TYPE]) for name in RELEASES)
    ]
    return table(("server", "version", f"sends `{word}`"), lines)


def _example(kind: int) -> str:
    """A recorded message: the longest that is short, else the shortest of all without its bytes."""
    recorded = [(frame, one.server) for one in CONNECTIONS for frame in one.frames if frame[0] == kind]
    short = [one for one in recorded if len(one[0]) <= LONGEST]
    if not short:
        frame, server = min(recorded, key=lambda one: len(one[0]))
        return (
            f"As recorded with {server}, {len(frame):,} bytes:\n\n```text\n"
            + "\n".join(tree(explain(frame)))
            + "\n```"
        )
    frame, server = max(short, key=lambda one: (len(one[0]), one[1]))
    return f"As recorded with {server}:\n\n{explained(frame, 'raft')}"


def _name(cls: type) -> str:
    return cls.__name__.lower()


def _drawing(cls: Any, title: str) -> str:
    return f"![{title}](../drawings/raft/{_name(cls)}.svg)"


def _messages() -> str:
    found: list[str] = []
    for kind, cls in MESSAGES.items():
        name = RaftType(kind).name
        answered = "" if cls.RESULT is None else f"\n\nIt leads to {cls.RESULT.name}, on another connection."
        found += [
            f"### {name} ({kind})",
            doc_of(cls).words + answered,
            _drawing(cls, f"The bytes of {name}"),
            _layouts(cls),
            _fields(cls),
            _example(kind),
        ]
    return "\n\n".join(found)


def _commands() -> str:
    found: list[str] = []
    for kind, cls in COMMANDS.items():
        title = f"{cls.COMMAND_TYPE.name} ({kind})"
        found += [
            f"### {title}",
            doc_of(cls).words,
            _drawing(cls, f"The bytes of the command {title}"),
            _fields(cls),
        ]
    return "\n\n".join(found)


def _entry_types() -> str:
    words = {
        EntryType.COMMAND: "a [command](#commands)",
        EntryType.BARRIER: f"nothing: {len(Barrier().unused)} bytes without meaning",
        EntryType.CHANGE: "a [configuration](#configurations), always the whole one",
    }
    return table(("type", "name", "carries"), [(str(one.value), one.name, words[one]) for one in EntryType])


def _roles() -> str:
    return table(("role", "name"), [(str(one.value), one.name.lower()) for one in RaftRole])


def _of(*classes: Any) -> Callable[[], str]:
    def draw() -> str:
        first, *inner = classes
        parts = [_drawing(first, f"The bytes of a {_name(first)}"), _fields(first), *map(_fields, inner)]
        return "\n\n".join(parts)

    return draw


def _drawings() -> Iterator[tuple[str, str]]:
    yield "preamble", diagram("What every message begins with", PREAMBLE)
    for cls in MESSAGES.values():
        yield _name(cls), diagram(f"The bytes of {cls.TYPE.name}", message(cls))
    for command in COMMANDS.values():
        yield _name(command), diagram(f"The bytes of {command.COMMAND_TYPE.name}", elements(command))
    yield (
        _name(Configuration),
        diagram("The bytes of a configuration", elements(Configuration), aligned=False),
    )
    yield _name(Snapshot), diagram("The bytes of a snapshot", elements(Snapshot))


@functools.cache
def files() -> Mapping[Path, str]:
    """Return the drawings, by their files."""
    return {FOLDER / f"{name}.svg": text for name, text in _drawings()}


PARTS: dict[str, Callable[[], str]] = {
    "raft messages": _messages,
    "raft entries": _entry_types,
    "raft commands": _commands,
    "raft configuration": _of(Configuration, ConfigurationNode),
    "raft roles": _roles,
    "raft snapshot": _of(Snapshot, Database),
}
