"""Draw the JSON Schemas of what the commands print with --json, from declarations, enums and tables.

`tools/redraw.py` writes them into docs/schema: decode.schema.json (a line of `decode --json`),
stats.schema.json (a line of `stats --json`), probe.schema.json (a line of `probe --json`), top.schema.json (a
line of `top --json`), query.schema.json (a line of `query --json`) and transcript.schema.json (a line of a
.dqt file). The fields of messages come from their declarations, and tokens from their enums. The keys
of a view are told here, and `additionalProperties: false` makes a key that is not a fault:
tests/json_output.py holds whatever the suite makes against this.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from dqlitewire import NodeRole, ValueType, constants, messages
from dqlitewire.conversation import Ending, Outcome, Retry
from dqlitewire.conversation.observer.stream_events import CUT_KINDS
from dqlitewire.dial import FindingKind, Status
from dqlitewire.header import type_name
from dqlitewire.messages import REGISTRY
from dqlitewire.raft import MESSAGES, CommandType, EntryType, RaftRole, RaftType
from dqlitewire.raft.commands import COMMANDS
from dqlitewire.servers.releases import Generation
from dqlitewire.traffic.item import CHANGES, CLIENT_TYPES, OTHER_TYPES, TYPES
from dqlitewire.traffic.reading import PREAMBLES
from dqlitewire.traffic.sources.transcript import SIDE_OF, VERSION
from dqlitewire.traffic.views.json_object import LARGE, PREVIEW, token
from dqlitewire.traffic.views.literals import fields_of
from dqlitewire.traffic.views.raft import names_of
from tools.drawn import DOCS

__all__ = ["SCHEMAS", "decode", "files", "probe", "query", "requests", "stats", "top", "transcript"]

Schema = dict[str, Any]
FOLDER = DOCS / "schema"

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
BOOL: Schema = {"type": "boolean"}
NULL: Schema = {"type": "null"}
HEX: Schema = {"type": "string", "pattern": "^([0-9a-f]{2})*$"}
UNKNOWN_TYPE: Schema = {"type": "string", "pattern": "^type [0-9]+$"}


def said(schema: Schema, words: str) -> Schema:
    """Return a schema with a description."""
    return {**schema, "description": words}


def ref(name: str) -> Schema:
    """Return a reference to a definition of the page."""
    return {"$ref": f"#/$defs/{name}"}


def one_of(words: Iterable[str]) -> Schema:
    """Return the schema of a token, or another word out of a fixed set."""
    return {"enum": list(words)}


def tokens(kind: type[Enum]) -> Schema:
    """Return the schema of the tokens of an enum."""
    return one_of(token(member.name) for member in kind)


def maybe(schema: Schema) -> Schema:
    """Return the schema of something that may be null."""
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, NULL]}


def array(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def counts(of: Schema = TEXT) -> Schema:
    """Return the schema of numbers by name."""
    return {"type": "object", "propertyNames": of, "additionalProperties": COUNT}


def record(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """Return the schema of an object that has these keys and no other."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def page(title: str, schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return a whole schema."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return {**head, **schema, "$defs": definitions}


# ---------------------------------------------------------------- decode

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
    raise ValueError(f"annotation {annotation!r}: say in tools/drawn/schema.py what JSON it becomes")


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


def decode() -> Schema:
    """Return the schema of a line of `decode --json`."""
    definitions: dict[str, Schema] = {"value": VALUE, "node": NODE, **raft_definitions()}
    rules: list[Schema] = []
    for code, between in MESSAGES.items():
        name = between.TYPE.name
        rules.append(
            {
                "if": {"properties": {"type": {"const": name}}},
                "then": {"properties": {"fields": maybe(ref(f"raft_{name}")), "code": {"const": code}}},
            }
        )
    for (is_request, code), message in sorted(REGISTRY.items()):
        name, way = type_name(code, is_request), "request" if is_request else "response"
        definitions[f"{way}_{name}"] = message_fields(message)
        rules.append(
            {
                "if": {"properties": {"direction": {"const": way}, "type": {"const": name}}},
                "then": {"properties": {"fields": maybe(ref(f"{way}_{name}")), "code": {"const": code}}},
            }
        )
    rules.append(
        {
            "if": {"properties": {"type": {"anyOf": [one_of(OTHER_TYPES), UNKNOWN_TYPE]}}},
            "then": {"properties": {"fields": NULL}},
        }
    )
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
    return page("dqlite-wire decode --json", {**record(required, optional), "allOf": rules}, definitions)


def requests() -> list[str]:
    """Return the names of all requests."""
    return [type_name(code, is_request) for is_request, code in sorted(REGISTRY) if is_request]


# ---------------------------------------------------------------- stats


def raft_stats() -> Schema:
    """Return the schema of what `stats --json` says of nodes."""
    time, name = maybe(NUMBER), maybe(TEXT)
    votes = ("votes_asked", "votes_granted", "pre_votes_asked", "pre_votes_granted")
    follower = {
        "leader": name,
        "follower": name,
        "last_index_sent": COUNT,
        "last_index_acknowledged": maybe(COUNT),
        "lag": said(maybe(COUNT), "entries; null where its results were not captured"),
        "lag_ms": said(maybe(NUMBER), "since the first of them was sent"),
        "max_lag": COUNT,
        "max_lag_ms": said(maybe(NUMBER), "the longest from sending an entry to its acknowledgement"),
        **dict.fromkeys(("entries", "bytes", "snapshots", "snapshot_bytes"), COUNT),
    }
    return record(
        {
            "messages": counts(one_of(RaftType.__members__)),
            "bytes": COUNT,
            "terms": array(
                record({"term": COUNT, "leader": name, "first_time": time, **dict.fromkeys(votes, COUNT)})
            ),
            "leaders": array(record({"time": time, "term": COUNT, "leader": TEXT})),
            "followers": array(record(follower)),
            "bytes_replicated": COUNT,
            "snapshots": COUNT,
        }
    )


LATENCY = record({"count": COUNT, **dict.fromkeys(("total", "p50", "p95", "p99", "max"), NUMBER)})


def statement() -> dict[str, Schema]:
    """Return the keys of what a statement cost."""
    return {
        "statement": said(TEXT, "normalised text; the type of a request without SQL"),
        "type": {"anyOf": [one_of(requests()), UNKNOWN_TYPE]},
        "count": COUNT,
        "latency_ms": maybe(ref("latency")),
        **dict.fromkeys(("rows", "frames", "request_bytes", "response_bytes", "failures"), COUNT),
    }


def failure() -> Schema:
    """Return the schema of a kind of failure."""
    keys = {
        "code": COUNT,
        "name": TEXT,
        "message": TEXT,
        "meaning": TEXT,
        "outcome": tokens(Outcome),
        "retry": tokens(Retry),
        "count": COUNT,
        "statements": counts(),
    }
    return record(keys)


def shared() -> dict[str, Schema]:
    """Return the keys that `stats` and `top` both have."""
    places = record({"bytes": COUNT, "places": COUNT})
    return {
        "connections": COUNT,
        "latency_ms": maybe(ref("latency")),
        "failures": array(failure()),
        "retries": said(
            counts(one_of(("busy", "not_leader"))), "by what the statement had failed with before"
        ),
        "leaders": array(record({"time": maybe(NUMBER), "address": TEXT})),
        "leader_changes": COUNT,
        "unanswered": counts(),
        "garbage": said(places, "bytes that are no frame"),
        "undecoded": said(COUNT, "frames that do not decode"),
        "lost": said(places, "bytes that were not captured"),
        "skipped": said(COUNT, "lines and records that a source could not read"),
        "notes": said(array(TEXT), "what is said of the sources, for people"),
    }


def stats() -> Schema:
    """Return the schema of a line of `stats --json`."""
    loop = {"key": TEXT, "after": TEXT, "runs": COUNT, "queries": COUNT, "longest": COUNT}
    types = counts({"anyOf": [one_of(sorted(CLIENT_TYPES - set(OTHER_TYPES))), UNKNOWN_TYPE]})
    required = {
        **shared(),
        "messages": record({"request": types, "response": types}),
        "request_bytes": COUNT,
        "response_bytes": COUNT,
        "first_time": said(maybe(NUMBER), "seconds since 1970; null where nobody knows"),
        "last_time": said(maybe(NUMBER), "seconds since 1970; null where nobody knows"),
        "statements": array(record(statement())),
        "repeated": array(record(loop)),
        "raft": said(maybe(raft_stats()), "what nodes said to each other; null if that is nothing"),
    }
    optional = {"time": said(NUMBER, "with --every: when it was made, in seconds since 1970")}
    return page("dqlite-wire stats --json", record(required, optional), {"latency": LATENCY})


# ---------------------------------------------------------------- probe


def probe() -> Schema:
    """Return the schema of a line of `probe --json`."""
    milliseconds = maybe({"type": "number", "minimum": 0})
    problem = said(BOOL, "whether something is not well: then the exit code is 5")
    finding = record({"kind": tokens(FindingKind), "problem": problem, "text": TEXT})
    required = {
        "time": said(NUMBER, "seconds since 1970"),
        "address": TEXT,
        "node_id": said(maybe({**COUNT, "minimum": 1}), "where it is known: a node does not tell"),
        "status": tokens(Status),
        "detail": said(maybe(TEXT), "why, for people"),
        "speaks": said(maybe(one_of(("tls", "http", "dqlite"))), "what it speaks instead, if that is known"),
        "leader": maybe(record({"node_id": COUNT, "address": TEXT})),
        "role": maybe(one_of(role.name for role in NodeRole)),
        "nodes": array(ref("node")),
        "failure_domain": maybe(COUNT),
        "weight": maybe(COUNT),
        "generation": said(
            maybe(one_of(g.release for g in Generation if g)), "the first release that it can be"
        ),
        "server": said(TEXT, "its generation in words"),
        "connect_ms": milliseconds,
        "round_trip_ms": milliseconds,
        "findings": said(array(finding), "of the cluster and this node, where several were asked"),
    }
    return page("dqlite-wire probe --json", record(required), {"node": NODE})


# ---------------------------------------------------------------- query


def query() -> Schema:
    """Return the schema of a line of `query --json`, one for each statement."""
    rows = record(
        {"columns": array(TEXT), "rows": array(array(ref("value")))},
        {"error": said(TEXT, "why rows are missing, for people; only where some are")},
    )
    done = record(
        {
            "rows_affected": said(maybe(COUNT), "null for statements that change no rows"),
            "last_insert_id": said(maybe({"type": "integer"}), "null unless rows were inserted"),
        }
    )
    shapes = {"anyOf": [said(rows, "of a statement that answers with rows"), said(done, "of any other")]}
    return page("dqlite-wire query --json", shapes, {"value": VALUE})


# ---------------------------------------------------------------- top


def top() -> Schema:
    """Return the schema of a line of `top --json`: of traffic, or of nodes."""
    return page("dqlite-wire top --json", {"oneOf": [ref("traffic"), ref("nodes")]}, top_definitions())


def top_definitions() -> dict[str, Schema]:
    """Return the definitions of what `top --json` prints."""
    rate = said(maybe({**NUMBER, "minimum": 0}), "a second; null where times are not known")
    slow = {"latency_ms": NUMBER, "time": maybe(NUMBER), "connection": COUNT, "statement": TEXT}
    totals = dict.fromkeys(("requests", "rows", "failures", "unanswered", "retries"), COUNT)
    time = said(NUMBER, "when the object was made, in seconds since 1970")
    traffic = {
        "watched": {"const": "traffic"},
        "time": time,
        "at": said(maybe(NUMBER), "the end of the window, in seconds since 1970; null where nobody knows"),
        "window_s": said(maybe(NUMBER), "seconds that the window covers; null where times are not known"),
        "requests": said(COUNT, "in the window, as all that follows"),
        "requests_per_s": rate,
        "rows": COUNT,
        "rows_per_s": rate,
        "statements": array(record({**statement(), "per_s": rate})),
        "statements_in_all": COUNT,
        "slowest": array(record(slow)),
        "waiting": said(
            array(record({"age_ms": NUMBER, "connection": COUNT, "statement": TEXT})),
            "requests without a whole answer, the oldest ones",
        ),
        "open": said(COUNT, "how many of these there are"),
        "totals": said(record(totals), "since the beginning"),
        **shared(),
    }
    milliseconds = maybe({"type": "number", "minimum": 0})
    node = {
        "address": TEXT,
        "node_id": maybe(COUNT),
        "status": tokens(Status),
        "role": maybe(one_of(role.name for role in NodeRole)),
        "leader": said(maybe(TEXT), "address of the leader that it names"),
        "round_trip_ms": milliseconds,
        "round_trips_ms": said(maybe(record({"p50": NUMBER, "max": NUMBER})), "of the last rounds"),
        "missed": said(COUNT, "rounds in which it did not answer"),
        "detail": said(maybe(TEXT), "why, for people"),
    }
    nodes = {
        "watched": {"const": "nodes"},
        "time": time,
        "rounds": COUNT,
        "leader": maybe(record({"node_id": maybe(COUNT), "address": TEXT})),
        "elections": said(COUNT, "that were seen"),
        "changes": array(record({"time": NUMBER, "before": TEXT, "after": TEXT})),
        "nodes": array(record(node)),
        "problems": said(array(TEXT), "for people"),
    }
    return {"traffic": record(traffic), "nodes": record(nodes), "latency": LATENCY}


# ---------------------------------------------------------------- transcript

BASE64: Schema = {"type": "string", "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}(==|[A-Za-z0-9+/]=))?$"}


def transcript() -> Schema:
    """Return the schema of a line of a transcript; keys that it does not name may be added."""
    time, number = maybe({**NUMBER, "minimum": 0}), COUNT
    where = {"time": time, "connection": number}
    way = {"direction": one_of(SIDE_OF)}
    begins = {"client": TEXT, "server": TEXT, "midstream": BOOL, "bare": BOOL}
    picked = {"offset": COUNT, "exchange": COUNT, "latency": {"type": "integer"}, "text": TEXT}
    picked["answers"] = said(
        {**array(COUNT), "minItems": 2, "maxItems": 2}, "connection and offset of an RPC"
    )
    again = {"repeated": said({"const": True}, "it stands in the part before too")}
    true = {"const": True}
    part = {"settled": true, "picked": true, "continued": true, "recording": TEXT, "part": COUNT}
    passed = {
        "last": said(time, "when the last byte passed"),
        "sent": said(BASE64, "what went on instead"),
        "type": TEXT,
        "fields": maybe({"type": "object"}),
        "error": TEXT,
        "kind": said(one_of(CUT_KINDS), "of what is no frame"),
        "damaged": said({"const": True}, "bytes of the frame were lost"),
        **picked,
    }
    gaps = {"whole": {"const": True}, "more": said(BOOL, "a large frame's end, which passed")}
    lines = [
        record({"dqt": {"const": VERSION}, "by": TEXT, "redacted": BOOL}, part),
        record({**where, **way, "bytes": BASE64}, {**passed, **again}),
        _event("open", {**where, **begins}, {"raft": BOOL, "alone": {"const": True}, "source": TEXT}),
        _event("gap", {**where, **way, "lost": maybe(COUNT)}, gaps),
        _event("end", {**where, **way}),
        _event("fault", {**where, "kind": TEXT, "fault": COUNT, "on": TEXT}),
        _event("unanswered", {**where, **way, "type": TEXT}, picked),
    ]
    return page("a line of a transcript (.dqt)", {"oneOf": [_open(line) for line in lines]}, {})


def _event(name: str, required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    again = {"repeated": said({"const": True}, "it stands in the part before too")}
    return record({**required, "event": {"const": name}}, {**(optional or {}), **again})


def _open(line: Schema) -> Schema:
    """The schema of a line to which keys may be added, but not those that make it another line."""
    del line["additionalProperties"]
    others = {"dqt", "bytes", "event"} - set(line["properties"])
    return {**line, "not": {"anyOf": [{"required": [key]} for key in sorted(others)]}}


SCHEMAS: dict[str, Callable[[], Schema]] = {
    "decode": decode,
    "stats": stats,
    "probe": probe,
    "top": top,
    "query": query,
    "transcript": transcript,
}


def files() -> dict[Path, str]:
    """Return the file of each schema with its text."""
    return {
        FOLDER / f"{name}.schema.json": json.dumps(made(), indent=1) + "\n" for name, made in SCHEMAS.items()
    }
