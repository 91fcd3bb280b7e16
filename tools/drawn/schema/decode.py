"""A line of `decode --json`: every message of clients and of nodes, from their declarations."""

from __future__ import annotations

import inspect
import re
from enum import Enum
from typing import Any

from dqlitewire import NodeRole, ValueType, constants, messages
from dqlitewire.conversation import Ending, Outcome, Retry
from dqlitewire.header import type_name
from dqlitewire.messages import REGISTRY
from dqlitewire.raft import MESSAGES, CommandType, EntryType, RaftRole
from dqlitewire.raft.commands import COMMANDS
from dqlitewire.traffic.item import CHANGES, OTHER_TYPES, TYPES
from dqlitewire.traffic.reading import PREAMBLES
from dqlitewire.traffic.sources.transcript import SIDE_OF
from dqlitewire.traffic.views.json_object import LARGE, PREVIEW, token
from dqlitewire.traffic.views.literals import fields_of
from dqlitewire.traffic.views.raft import names_of
from tools.drawn.schema.words import (
    BOOL,
    COUNT,
    HEX,
    NULL,
    NUMBER,
    TEXT,
    UNKNOWN_TYPE,
    Schema,
    array,
    maybe,
    one_of,
    page,
    record,
    ref,
    said,
    tokens,
)

__all__ = ["BY_HAND", "NODE", "VALUE", "annotated", "decode", "requests"]

VALUE = said(
    {
        "anyOf": [
            {"type": ["null", "boolean", "integer", "number", "string"]},
            record({"blob": HEX}),
            record({"float": one_of(("nan", "inf", "-inf"))}),
        ]
    },
    "a parameter or cell; a blob in hex, a float that JSON cannot write by its name",
)
NODE = record({"node_id": COUNT, "address": TEXT, "role": one_of(role.name for role in NodeRole)})
SIMPLE: dict[str, Schema] = {
    "int": {"type": "integer"},
    "str": TEXT,
    "bool": BOOL,
    "float": NUMBER,
    "None": NULL,
    "bytes": record({"blob": HEX}),
    "NodeInfo": ref("node"),
    "Any": ref("value"),
    "WireValue": ref("value"),
    "WireInput": ref("value"),
}


def annotated(annotation: str) -> Schema:
    """Return the schema of a field, by its annotation.

    Raises:
        ValueError: the annotation is none that JSON is known for.
    """
    parts = annotation.split(" | ")
    if len(parts) > 1:
        found = [annotated(part) for part in parts if part != "None"]
        found = [found[0] if len(found) == 1 else {"anyOf": found}]
        return maybe(found[0]) if "None" in parts else found[0]
    if annotation in SIMPLE:
        return SIMPLE[annotation]
    if listed := re.fullmatch(r"(?:list|Sequence)\[(.*)\]", annotation):
        return array(annotated(listed[1]))
    kind = getattr(constants, annotation, None)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return one_of(member.name for member in kind)
    raise ValueError(f"annotation {annotation!r}: say in tools/drawn/schema/decode.py what JSON it becomes")


#: messages whose fields json_object writes another way
BY_HAND: dict[type, Schema] = {
    messages.RowsResponse: record(
        {
            "column_names": array(TEXT),
            "column_types": array(one_of(kind.name for kind in ValueType)),
            "rows": array(array(ref("value"))),
            "has_more": BOOL,
        },
        {"rows_left_out": COUNT},
    ),
    messages.FilesResponse: record({"files": array(record({"name": TEXT, "size": COUNT}))}),
}


def message_fields(message: Any) -> Schema:
    """Return the schema of the fields of a message."""
    if message in BY_HAND:
        return BY_HAND[message]
    annotations: dict[str, str] = {}
    for kind in reversed(message.__mro__):
        annotations |= inspect.get_annotations(kind)
    return record({name: annotated(annotations[name]) for name, _ in fields_of(message)})


ENTRY = record(
    {
        "index": COUNT,
        "term": COUNT,
        "type": one_of(EntryType.__members__),
        "command": {
            "anyOf": [
                NULL,
                record({"configuration": ref("configuration")}),
                *(ref(f"command_{kind}") for kind in CommandType.__members__),
            ]
        },
    }
)
#: fields between nodes that are no plain values
BETWEEN_NODES: dict[str, Schema] = {
    "entries": array(ref("entry")),
    "configuration": ref("configuration"),
    "databases": array(record({"name": TEXT, "main_size": COUNT, "wal_size": COUNT})),
}


def raft_fields(part: Any) -> Schema:
    """Return the schema of the fields of a message between nodes, or of a command."""
    annotations: dict[str, str] = {}
    for kind in reversed(part.__mro__):
        annotations |= inspect.get_annotations(kind)
    plain = {
        name: BETWEEN_NODES[name] if name in BETWEEN_NODES else raft_value(annotations[name])
        for name in names_of(part)
    }
    return record(plain)


def raft_value(annotation: str) -> Schema:
    """Return the schema of a field between nodes, by its annotation."""
    if listed := re.fullmatch(r"tuple\[(.*), \.\.\.\]", annotation):
        return array(raft_value(listed[1]))
    return COUNT if annotation == "int" else annotated(annotation)


def raft_definitions() -> dict[str, Schema]:
    """Return the definitions of what messages between nodes hold."""
    node = record({"id": COUNT, "address": TEXT, "role": one_of(RaftRole.__members__)})
    commands = {
        f"command_{CommandType(code).name}": {
            **raft_fields(command),
            "properties": {"type": {"const": CommandType(code).name}, **raft_fields(command)["properties"]},
            "required": ["type", *raft_fields(command)["required"]],
        }
        for code, command in COMMANDS.items()
    }
    messages = {f"raft_{message.TYPE.name}": raft_fields(message) for message in MESSAGES.values()}
    return {"configuration": array(node), "entry": ENTRY, **commands, **messages}


def definitions() -> dict[str, Schema]:
    """Return what the schema of `decode --json` refers to: values, nodes, and the fields of each message."""
    found = {
        f"{_direction(is_request)}_{type_name(code, is_request)}": message_fields(message)
        for (is_request, code), message in sorted(REGISTRY.items())
    }
    return {"value": VALUE, "node": NODE, **raft_definitions(), **found}


def rules() -> list[Schema]:
    """Return which fields and which code go with which type."""
    found = [
        _rule({"type": {"const": one.TYPE.name}}, f"raft_{one.TYPE.name}", code)
        for code, one in MESSAGES.items()
    ]
    for is_request, code in sorted(REGISTRY):
        name, way = type_name(code, is_request), _direction(is_request)
        found.append(_rule({"direction": {"const": way}, "type": {"const": name}}, f"{way}_{name}", code))
    others = {"properties": {"type": {"anyOf": [one_of(OTHER_TYPES), UNKNOWN_TYPE]}}}
    return [*found, {"if": others, "then": {"properties": {"fields": NULL}}}]


def _rule(condition: dict[str, Schema], definition: str, code: int) -> Schema:
    then = {"fields": maybe(ref(definition)), "code": {"const": code}}
    return {"if": {"properties": condition}, "then": {"properties": then}}


def _direction(is_request: bool) -> str:
    return "request" if is_request else "response"


def decode() -> Schema:
    """Return the schema of a line of `decode --json`."""
    notes = [LARGE, *dict.fromkeys(map(token, PREAMBLES)), *(token(ending.name) for ending in Ending)]
    notes += requests()
    meaning = {"name": TEXT, "meaning": TEXT, "outcome": tokens(Outcome), "retry": tokens(Retry)}
    required = {
        "time": said(maybe(NUMBER), "seconds since 1970; null where nobody knows"),
        "connection": {"type": "integer", "minimum": 1},
        "direction": one_of(SIDE_OF),
        "type": {"anyOf": [one_of(sorted(TYPES)), UNKNOWN_TYPE]},
        "schema": said(maybe(COUNT), "of the header; null for what is no message"),
        "fields": said({}, "of the message; null for what is no message or does not decode"),
        "code": said(maybe(COUNT), "of the header; null for what is no message"),
        "offset": said(COUNT, "place in the byte stream of its direction"),
        "size": said(COUNT, "bytes"),
        "exchange": said(maybe(COUNT), "number of the request in its connection, also of an answer"),
    }
    sent = {"type": maybe(TEXT), "size": COUNT}
    optional = {
        "fault": said(record({"kind": TEXT, "fault": COUNT, "on": TEXT}), "of a FAULT: kind, id, request"),
        "change": said(one_of(CHANGES), "what a proxy did with it"),
        "sent": said(
            record(sent, {"fields": {"type": "object"}, "bytes": {**HEX, "maxLength": 2 * PREVIEW}}),
            "what went on instead; the type is null if it is no whole frame",
        ),
        "source": said(TEXT, "where the connection was read, if several sources are"),
        "probe": said({"const": True}, "it asks for the server's generation, or answers that"),
        "latency_ms": said(NUMBER, "of an answer: since the last byte of the request"),
        "answers": said(
            record({"connection": {"type": "integer", "minimum": 1}, "offset": COUNT}),
            "of a result between nodes: the RPC, which came on another connection",
        ),
        "meaning": said(record(meaning), "of a FAILURE"),
        "sql": said(TEXT, "of EXEC, QUERY, FINALIZE: the prepared text; of UNANSWERED: that of the request"),
        "error": said(TEXT, "why a frame does not decode"),
        "note": said(
            {"anyOf": [one_of(notes), UNKNOWN_TYPE]},
            "kind of preamble; how a side closed; type of a request without an answer; too large to be kept",
        ),
        "bytes": said({**HEX, "maxLength": 2 * PREVIEW}, "the first ones of what is no message"),
    }
    return page("dqlite-wire decode --json", {**record(required, optional), "allOf": rules()}, definitions())


def requests() -> list[str]:
    """Return the names of all requests."""
    return [type_name(code, is_request) for is_request, code in sorted(REGISTRY) if is_request]
