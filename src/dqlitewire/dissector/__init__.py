"""A Wireshark dissector, generated from the declarations of the messages.

    from dqlitewire.dissector import dissector

    Path("dqlite.lua").write_text(dissector())

The file has two halves. Tables, written here from the declarations: messages and their fields, value types,
codes of failures, what ends an answer. And `runtime.lua`, which dissects by these tables and knows how each
*kind* of field lies in a frame, but no message. So a message that is declared with kinds that exist appears
in Wireshark without a line of Lua; a kind that `runtime.lua` does not know is refused here (`KindError`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any, cast

from dqlitewire import __version__
from dqlitewire.constants import (
    PROTOCOL_VERSION,
    PROTOCOL_VERSION_LEGACY,
    NodeRole,
    RequestType,
    ResponseType,
)
from dqlitewire.conversation.table import DONE, FIRST, Place
from dqlitewire.declare.contract import BODY, Field
from dqlitewire.declare.fixed import Bits, Integer
from dqlitewire.limits import DEFAULT_LIMITS
from dqlitewire.messages import REQUESTS, RESPONSES
from dqlitewire.raft.commands import COMMANDS, PageCount
from dqlitewire.raft.configurations import Configuration, ConfigurationNode, Nodes, UnalignedText
from dqlitewire.raft.entry_data import Barrier, BarrierData, EntryType
from dqlitewire.raft.kinds import GapToWord, Name, RaftRole
from dqlitewire.raft.messages import MESSAGES, SizedConfiguration, SnapshotData, SnapshotSize
from dqlitewire.raft.snapshots import Database, Size, Snapshot
from dqlitewire.servers.codes import NAMES
from dqlitewire.values import KINDS

__all__ = ["KindError", "dissector"]


class KindError(TypeError):
    """A declaration with a kind of field that the dissector cannot read."""


# Classes whose kind, a word for people, says less than the reader in `runtime.lua` needs to know.
_READERS: dict[type[Field], str] = {
    Name: "raft_text",
    UnalignedText: "unaligned_text",
    PageCount: "page_count",
    Nodes: "raft_nodes",
    BarrierData: "all_unused",
    GapToWord: "all_unused",
    SnapshotData: "snapshot",
    SizedConfiguration: "configuration",
}
_EXACT = 1 << 53  # Lua's numbers are doubles: a greater bound need not be tested


def dissector() -> str:
    """Return the Lua source of the dissector.

    Raises:
        KindError: a message is declared with a kind of field that the dissector cannot read.
    """
    runtime = resources.files("dqlitewire.dissector").joinpath("runtime.lua").read_text(encoding="utf-8")
    known = frozenset(re.findall(r"READ\.(\w+)", runtime)) | {"bits"}
    head, _, rest = runtime.partition("-- TABLES\n")
    tables = "\n".join(f"local {name} = {_lua(table)}" for name, table in _tables(known))
    return f"{head.replace('$VERSION', __version__)}{tables}\n{rest}"


def _tables(known: frozenset[str]) -> Iterator[tuple[str, object]]:
    def messages(classes: Mapping[int, Any], name: str) -> dict[int, object]:
        return {code: _message(cls, getattr(cls, name).name, known) for code, cls in classes.items()}

    yield "VERSIONS", {"current": _word(PROTOCOL_VERSION), "legacy": _word(PROTOCOL_VERSION_LEGACY)}
    yield "REQUESTS", messages(REQUESTS, "MSG_TYPE")
    yield "RESPONSES", messages(RESPONSES, "MSG_TYPE")
    yield "ORDER", {code: _order(at) for code, at in FIRST.items()}
    yield "SPECIAL", _special()
    yield "VALUES", {int(kind.code): _value(kind) for kind in KINDS}
    yield "ROLES", {int(role): role.name.lower() for role in NodeRole}
    yield "CODES", NAMES
    yield "RAFT", messages(MESSAGES, "TYPE")
    yield "COMMANDS", {code: _message(cls, cls.__name__, known) for code, cls in COMMANDS.items()}
    yield "ENTRIES", {int(one): one.name for one in EntryType}
    yield "RAFT_ROLES", {int(role): role.name.lower() for role in RaftRole}
    parts = (Configuration, ConfigurationNode, Snapshot, Database, Barrier)
    yield "PARTS", {cls.__name__: _message(cls, cls.__name__, known) for cls in parts}


def _order(at: Place) -> dict[str, object]:
    answers = {answer & 0xFF: True for answer in at.after}
    return {"rows": DONE in at.after, "interrupts": at.draining is not None, "answers": answers}


def _special() -> dict[str, int]:
    """The codes of the messages that the order of the protocol, or a layout, asks for by name."""
    of_requests = ("LEADER", "CONNECT", "INTERRUPT", "CLUSTER", "ASSIGN")
    of_responses = ("FAILURE", "LEADER", "ROWS", "EMPTY", "SERVERS")
    requests = {f"{name.lower()}_request": int(RequestType[name]) for name in of_requests}
    return requests | {name.lower(): int(ResponseType[name]) for name in of_responses}


def _word(version: int) -> str:
    return version.to_bytes(8, "little").hex()


def _value(kind: Any) -> dict[str, object]:
    told: dict[str, object] = {"name": kind.name, "form": kind.form}
    return told | {"bool": kind.python is bool, "in_params": kind.in_params}


def _message(cls: Any, name: str, known: frozenset[str]) -> dict[str, object]:
    fields = [_field(one, name, known) for one in cls.FIELDS if one.place == BODY or isinstance(one, Bits)]
    return {"name": name, "schemas": list(getattr(cls, "SCHEMAS", ())), "fields": fields}


def _field(field: Field, message: str, known: frozenset[str]) -> dict[str, object]:
    reader = next(
        (_READERS[one] for one in type(field).__mro__ if one in _READERS), field.kind.replace(" ", "_")
    )
    if reader not in known:
        raise KindError(
            f"{message}.{field.name} is of the kind {field.kind}, which runtime.lua does not read"
        )
    told: dict[str, object] = {
        "name": field.name,
        "kind": reader,
        "since": field.since,
        "size": field.smallest,
    }
    cap: int | None = getattr(DEFAULT_LIMITS, field.cap) if field.cap else None
    if isinstance(field, Integer):
        least, most = field.decodes or (field.low, field.high)
        most = most if cap is None else min(most, cap)
        told |= {"least": least} if 0 < least < _EXACT else {}
        told |= {"most": most} if 0 <= most < _EXACT else {}
    elif cap is not None:
        told["most"] = cap
    match field:
        case Bits():
            told |= {"of": field.of, "shift": field.shift, "bits": field.size}
            told["versions"] = list(field.versions or ())
        case Size():
            told["of"] = field.of
        case SnapshotSize():
            told["of"] = "snapshot"
        case _:
            pass
    return told


def _lua(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case Mapping():
            held = cast("Mapping[int | str, object]", value)
            return "{" + ", ".join(f"{_key(key)} = {_lua(one)}" for key, one in held.items()) + "}"
        case list():
            return "{" + ", ".join(map(_lua, cast("list[object]", value))) + "}"
        case _:
            raise TypeError(f"Lua has no {type(value).__name__}")


def _key(key: int | str) -> str:
    return key if isinstance(key, str) else f"[{int(key)}]"
