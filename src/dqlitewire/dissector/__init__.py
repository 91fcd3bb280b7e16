"""A Wireshark dissector, generated from the declarations of the messages.

    from dqlitewire.dissector import dissector

    Path("dqlite.lua").write_text(dissector())

The file has two halves. Tables, written here from the declarations: messages and their fields, value types,
codes of failures, what ends an answer. And `runtime.lua`, which dissects by these tables and knows how each
*kind* of field lies in a frame, but no message. So a message that is declared with kinds that exist appears
in Wireshark without a line of Lua; a kind that `runtime.lua` does not know is refused here (`KindError`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

from dqlitewire import __version__
from dqlitewire.constants import PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY, NodeRole, RequestType, ResponseType
from dqlitewire.conversation.table import DONE, FIRST
from dqlitewire.declare.fields import BODY, DERIVED, Field, Integer
from dqlitewire.limits import DEFAULT_LIMITS
from dqlitewire.messages import REQUESTS, RESPONSES
from dqlitewire.raft.commands import COMMANDS, Barrier, Configuration, ConfigurationNode, Database, EntryType, Snapshot
from dqlitewire.raft.kinds import RaftRole
from dqlitewire.raft.messages import MESSAGES
from dqlitewire.servers.codes import NAMES
from dqlitewire.values import KINDS

__all__ = ["KindError", "dissector"]


class KindError(TypeError):
    """A declaration with a kind of field that the dissector cannot read."""


# What `runtime.lua` reads; the name of its function is the kind's, with "_" for blanks.
_KINDS = frozenset(
    """u64 u32 u16 u8 text role reserved ignored padding params names types rows marker nodes files
    flag raft_role last_word bits unused raft_text unaligned_text entry_heads entries command_header
    page_count page_numbers pages format size content configuration snapshot raft_nodes databases
    all_unused""".split()
)
# Kinds of Python whose names say less than the reader needs to know.
_READERS: dict[str, str] = {
    "Name": "raft_text",
    "UnalignedText": "unaligned_text",
    "PageCount": "page_count",
    "Nodes": "nodes",
    "BarrierData": "all_unused",
    "GapToWord": "all_unused",
    "SnapshotData": "snapshot",
    "SizedConfiguration": "configuration",
}


def dissector() -> str:
    """Return the Lua source of the dissector."""
    runtime = resources.files(__package__).joinpath("runtime.lua").read_text(encoding="utf-8")
    head, _, rest = runtime.partition("-- TABLES\n")
    return head.replace("$VERSION", __version__) + "\n".join(_tables()) + "\n" + rest


def _tables() -> Iterable[str]:
    yield f"local VERSIONS = {_lua({'current': _word(PROTOCOL_VERSION), 'legacy': _word(PROTOCOL_VERSION_LEGACY)})}"
    yield f"local REQUESTS = {_lua({code: _message(cls) for code, cls in REQUESTS.items()})}"
    yield f"local RESPONSES = {_lua({code: _message(cls) for code, cls in RESPONSES.items()})}"
    ends = {code: {"rows": DONE in place.after, "interrupts": place.draining is not None} for code, place in FIRST.items()}
    yield f"local ORDER = {_lua(ends)}"
    yield f"local SPECIAL = {_lua(_special())}"
    yield f"local VALUES = {_lua({int(kind.code): _value(kind) for kind in KINDS})}"
    yield f"local ROLES = {_lua({int(role): role.name.lower() for role in NodeRole})}"
    yield f"local CODES = {_lua(dict(NAMES))}"
    yield f"local RAFT = {_lua({code: _raft(cls) for code, cls in MESSAGES.items()})}"
    yield f"local COMMANDS = {_lua({code: _part(cls) for code, cls in COMMANDS.items()})}"
    yield f"local ENTRIES = {_lua({int(one): one.name for one in EntryType})}"
    yield f"local RAFT_ROLES = {_lua({int(role): role.name.lower() for role in RaftRole})}"
    parts = {cls.__name__: _part(cls) for cls in (Configuration, ConfigurationNode, Snapshot, Database, Barrier)}
    yield f"local PARTS = {_lua(parts)}"


def _special() -> dict[str, int]:
    """The codes of the messages that the order of the protocol, or a layout, asks for by name."""
    requests = {f"{one.name.lower()}_request": int(one) for one in (RequestType.LEADER, RequestType.CONNECT, RequestType.INTERRUPT, RequestType.CLUSTER, RequestType.ASSIGN)}
    responses = (ResponseType.FAILURE, ResponseType.LEADER, ResponseType.ROWS, ResponseType.EMPTY, ResponseType.SERVERS)
    return requests | {one.name.lower(): int(one) for one in responses}


def _word(version: int) -> str:
    return version.to_bytes(8, "little").hex()


def _value(kind: Any) -> dict[str, Any]:
    return {"name": kind.name, "form": kind.form, "bool": kind.python is bool}


def _message(cls: Any) -> dict[str, Any]:
    return {"name": cls.MSG_TYPE.name, "schemas": list(cls.SCHEMAS), "fields": _fields(cls, cls.MSG_TYPE.name)}


def _raft(cls: Any) -> dict[str, Any]:
    return {"name": cls.TYPE.name, "fields": _fields(cls, cls.TYPE.name)}


def _part(cls: Any) -> dict[str, Any]:
    return {"name": cls.__name__, "fields": _fields(cls, cls.__name__)}


def _fields(cls: Any, name: str) -> list[dict[str, Any]]:
    return [_field(one, name) for one in cls.FIELDS if one.place == BODY or one.kind == "bits"]


def _field(field: Field, message: str) -> dict[str, Any]:
    names = [one.__name__ for one in type(field).__mro__]
    reader = next((_READERS[name] for name in names if name in _READERS), field.kind.replace(" ", "_"))
    if reader == "nodes" and type(field).__module__.startswith("dqlitewire.raft"):
        reader = "raft_nodes"
    if reader not in _KINDS:
        raise KindError(f"{message}.{field.name} is of the kind {field.kind}, which runtime.lua does not read")
    told: dict[str, Any] = {"name": field.name, "kind": reader, "since": field.since, "size": field.smallest}
    cap = getattr(DEFAULT_LIMITS, field.cap) if field.cap else None
    if isinstance(field, Integer):
        least, most = field.decodes or (field.low, field.high)
        told |= {"least": least} if least else {}
        most = most if cap is None else min(most, cap)
        told |= {"most": most} if most < 1 << 53 else {}
    elif cap is not None:
        told["most"] = cap
    if field.place == DERIVED:
        told |= {"of": field.of, "shift": field.shift, "bits": field.size, "versions": list(field.versions or ())}
    elif reader == "size":
        told["of"] = getattr(field, "of", "snapshot")
    return told


def _lua(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        case Mapping():
            items = (f"{key if isinstance(key, str) else f'[{int(key)}]'} = {_lua(held)}" for key, held in value.items())
            return "{" + ", ".join(items) + "}"
        case list():
            return "{" + ", ".join(map(_lua, value)) + "}"
        case _:
            raise TypeError(f"Lua has no {type(value).__name__}")
