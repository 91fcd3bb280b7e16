"""Draw what belongs to the conformance vectors and follows from the code: `python tools/redraw.py vectors`.

vectors/positions.json says where each field of each vector lies, for the runner's report. In vectors/schema
are message.schema.json (messages as JSON, from their declarations), vectors.schema.json (the files of
vectors), lines.schema.json (what goes between runner and adapter) and report.schema.json (`run.py --json`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dqlitewire import PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY, NodeRole, RequestType, ResponseType
from dqlitewire.declare.contract import BODY, Field
from dqlitewire.declare.fixed import Integer, Role
from dqlitewire.declare.variable import Text
from dqlitewire.explain import Span, explain
from dqlitewire.messages import REGISTRY, NodeInfo
from dqlitewire.messages.by_hand import Files, Nodes
from dqlitewire.messages.params import Params
from dqlitewire.values import BLOB, KINDS, TEXT
from tools.drawn import ROOT
from tools.drawn.schema.words import BOOL, COUNT, NUMBER, Schema, array, one_of, page, record, ref, said
from tools.drawn.schema.words import TEXT as STRING

__all__ = ["DRAWN", "files"]

VECTORS = ROOT / "vectors"
SIDES = {"requests": True, "responses": False}

# ---------------------------------------------------------------- where each field lies


def positions() -> str:
    """Return the text of positions.json: by vector and field the first byte and the one behind the last."""
    found: dict[str, dict[str, list[int]]] = {}
    for stem, is_request in SIDES.items():
        for vector in json.loads((VECTORS / f"{stem}.json").read_text("utf-8"))["vectors"]:
            data = bytes.fromhex("".join(word for word, *_ in vector["words"]))
            legacy = vector.get("context", {}).get("handshake") == "legacy"
            version = PROTOCOL_VERSION_LEGACY if legacy else PROTOCOL_VERSION
            tree = explain(data, is_request=is_request, version=version)
            places = {path: [span.start, span.end] for path, span in paths(tree)}
            found[f"{stem}/{vector['name']}"] = places
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(places)}" for name, places in found.items())
    return f"{{\n{lines}\n}}\n"


#: parts of entries, by the message that lists them: the list, and the part that begins an entry
ENTRIES = {"SERVERS": ("nodes", "node_id"), "FILES": ("files", "name")}


def paths(tree: Span) -> Iterator[tuple[str, Span]]:
    """Yield the fields of a frame, by the paths that they have in JSON."""
    listed, first = ENTRIES.get(tree.name, ("", ""))
    number = -1
    for span in tree.children:
        number += span.name == first
        if span.name == "header":
            continue
        if span.name == "marker":
            yield "has_more", span
        elif listed and span.name != listed:
            yield f"{listed}[{number}].{span.name}", span
        else:
            yield span.name, span
        for part in span.children:
            if part.name.startswith("["):
                yield span.name + part.name, part


# ---------------------------------------------------------------- messages

INTEGER: Schema = said(
    {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^-?[0-9]{1,20}$"}]},
    "a number up to 2**53 - 1, beyond that its decimal digits as a string",
)
FLOAT: Schema = said(
    {"anyOf": [NUMBER, one_of(("nan", "inf", "-inf", "-0.0"))]},
    "a number; what JSON cannot write, or not everywhere, by its name",
)
HEX: Schema = said({"type": "string", "pattern": "^([0-9a-f]{2})*$"}, "bytes as lower-case hex digits")
TRUE: Schema = {"const": True}
IN_JSON: dict[type, Schema] = {int: INTEGER, float: FLOAT, bool: BOOL, type(None): TRUE}


def cell(in_params: bool) -> Schema:
    """Return the schema of a parameter or of a cell of a row: an object whose one key is the kind."""
    kinds: dict[str, Schema] = {
        kind.name.lower(): {TEXT: STRING, BLOB: HEX}.get(kind.form) or IN_JSON[kind.python]
        for kind in KINDS
        if kind.in_params or not in_params
    }
    if not in_params:
        kinds["text_bytes"] = said(HEX, "TEXT that is not UTF-8")
    return {"oneOf": [record({name: schema}) for name, schema in kinds.items()]}


#: the schema of a field by the kind of the field
FIELDS: dict[type[Field], Schema] = {
    Integer: INTEGER,
    Text: STRING,
    Role: said({"enum": [int(role) for role in NodeRole]}, "0 voter, 1 stand-by, 2 spare"),
    Params: array(ref("parameter")),
    Nodes: array(ref("node")),
    Files: array(record({"name": STRING, "content": HEX})),
}
ROWS = record(
    {
        "column_names": array(STRING),
        "rows": array(array(ref("cell"))),
        "has_more": said(BOOL, "PART, not DONE"),
    }
)


def field_schema(field: Field) -> Schema:
    """Return the schema of one field.

    Raises:
        ValueError: a kind of field that JSON is not known for.
    """
    for kind in type(field).__mro__:
        if kind in FIELDS:
            return FIELDS[kind]
    raise ValueError(f"{field!r}: say in tools/drawn/vectors.py what JSON a field of this kind becomes")


def fields_schema(message: Any) -> Schema:
    """Return the schema of the fields of a message."""
    if message.__name__ == "RowsResponse":
        return ROWS
    listed = [field for field in message.FIELDS if field.place == BODY and field.is_attribute]
    required = {field.name: field_schema(field) for field in listed if not field.since}
    return record(required, {field.name: field_schema(field) for field in listed if field.since})


def messages() -> Schema:
    """Return the schema of a message."""
    shapes = [record({"type": {"const": "HANDSHAKE"}, "fields": record({"version": INTEGER})})]
    for (is_request, code), message in sorted(
        REGISTRY.items(), key=lambda pair: (not pair[0][0], pair[0][1])
    ):
        name = (RequestType if is_request else ResponseType)(code).name
        shape = record({"type": {"const": name}, "fields": fields_schema(message)})
        shapes.append(said(shape, "request" if is_request else "response"))
    node = {field.name: field_schema(field) for field in NodeInfo.FIELDS}
    role = {"role": said(node.pop("role"), "0 voter, 1 stand-by, 2 spare; not in format 0")}
    definitions = {"parameter": cell(True), "cell": cell(False), "node": record(node, role)}
    return page("a message of the dqlite wire protocol", {"anyOf": shapes}, definitions)


# ---------------------------------------------------------------- files of vectors

SERVERS = said({**array(STRING), "minItems": 1}, "the servers by which it was held, by their releases")
STEP: Schema = {"type": "array", "prefixItems": [one_of(RequestType.__members__)], "minItems": 1}
STEPS = said(
    array(STEP), "requests, each as its name and its fields in their order, on a connection of their own"
)
CLAIM: Schema = {
    "oneOf": [
        record({"how": {"const": "recorded"}, "servers": SERVERS}),
        record({"how": {"const": "accepted"}, "servers": SERVERS}, {"after": STEPS}),
        record({"how": {"const": "answered"}, "servers": SERVERS, "to": STEPS}),
        record({"how": {"const": "constructed"}, "why": STRING}),
    ]
}
ORIGIN = said({**array(CLAIM), "minItems": 1}, "where the bytes come from")
WORD = {
    "type": "array",
    "prefixItems": [{"type": "string", "pattern": "^[0-9a-f]{2}( [0-9a-f]{2}){7}$"}, STRING],
    "minItems": 1,
    "items": False,
}
WORDS = said(array(WORD), "the bytes, eight at a time, each with a note for people")
BYTE: Schema = {"type": "integer", "minimum": 0, "maximum": 255}
CONTEXT = said(
    {
        "oneOf": [
            record({"handshake": {"const": "legacy"}}),
            record({"cluster_format": {"const": 0}}),
            record({"after": STRING}),
        ]
    },
    "what must be known besides the bytes",
)


def vectors() -> Schema:
    """Return the schema of a file of vectors."""
    always = {"name": STRING, "origin": ORIGIN, "words": WORDS}
    handshake = {**always, "message": {"const": "HANDSHAKE"}, "fields": {"type": "object"}}
    frame = {**always, "message": STRING, "type": BYTE, "schema": BYTE, "fields": {"type": "object"}}
    malformed = {**always, "direction": one_of(("request", "response")), "schema": BYTE, "why": STRING}
    read_only = said(STRING, "why its fields encode to other bytes")
    wrong = said(COUNT, "the first byte of what is wrong")
    shapes = [
        record(handshake),
        record(frame, {"decode_only": read_only, "context": CONTEXT}),
        record(malformed, {"offset": wrong}),
    ]
    file = {"$schema": STRING, "about": STRING, "vectors": array({"oneOf": shapes})}
    return page("a file of conformance vectors", record(file), {})


# ---------------------------------------------------------------- runner and adapter

ID = said(STRING, "the file and the name of the vector; an answer has the same")
DIGITS = said({"type": "string", "pattern": "^([0-9a-f]{2})+$"}, "the whole frame, header included")


def lines() -> Schema:
    """Return the schema of a line of either direction."""
    way = {"direction": one_of(("handshake", "request", "response")), "schema": BYTE}
    message = {"$ref": "message.schema.json"}
    known = {"context": CONTEXT}
    shapes = [
        said(record({"id": ID, **way, "hex": DIGITS}, known), "in: decode"),
        said(record({"id": ID, **way, "message": message}, known), "in: encode"),
        said(record({"id": ID, "message": message}), "out: what the frame says"),
        said(record({"id": ID, "error": {"type": "string", "pattern": "[^ ]"}}), "out: why it is refused"),
        said(record({"id": ID, "hex": DIGITS}), "out: the bytes of a message"),
    ]
    return page("a line between runner and adapter", {"oneOf": shapes}, {})


OUTCOMES = ("missing", "refused", "accepted", "another key", "no words", "no hex")
OUTCOME: Schema = {"anyOf": [one_of(OUTCOMES), {"type": "string", "pattern": "^differs in "}]}


def report() -> Schema:
    """Return the schema of what `run.py --json` prints."""
    difference = record({"path": STRING, "expected": STRING, "got": STRING}, {"offset": COUNT, "hex": STRING})
    wrong = record(
        {"id": STRING, "outcome": OUTCOME},
        {"error": STRING, "message": STRING, "hex": STRING, "differences": array(difference)},
    )
    kinds = ("not started", "died", "hung", "flood", "junk", "twice", "unknown id")
    result = {
        "vectors": COUNT,
        "passed": COUNT,
        "known": said(COUNT, "differ as --known says"),
        "failed": array(wrong),
        "gone": said(
            {"type": "object", "additionalProperties": OUTCOME}, "are known to differ, and do not so"
        ),
        "faults": array(record({"kind": one_of(kinds), "words": STRING})),
    }
    return page("the report of vectors/run.py", record(result), {})


DRAWN: dict[str, Callable[[], Schema]] = {
    "message": messages,
    "vectors": vectors,
    "lines": lines,
    "report": report,
}


def files() -> dict[Path, str]:
    """Return the files that are drawn, with their texts."""
    drawn = {VECTORS / "positions.json": positions()}
    for name, draw in DRAWN.items():
        drawn[VECTORS / "schema" / f"{name}.schema.json"] = json.dumps(draw(), indent=1) + "\n"
    return drawn
