"""The adapter of Python's `dqlitewire`, for `vectors/run.py`: this package, or a published one.

    python vectors/run.py --encode python vectors/adapters/dqlitewire_adapter.py

Whichever `dqlitewire` can be imported is checked. Published releases (0.2.2 and 0.8.0 were tried) have no
`explain`, which tells ISO8601 from TEXT among parameters, and do not choose a schema when they encode.
"""

from __future__ import annotations

import inspect
import json
import math
import sys
from typing import Any

import dqlitewire
from dqlitewire import (
    MessageDecoder,
    MessageEncoder,
    NodeInfo,
    NodeRole,
    RequestType,
    ResponseType,
    ValueType,
)
from dqlitewire import messages as classes
from dqlitewire.messages import requests

try:
    from dqlitewire.explain import explain
except ImportError:  # a published release
    explain = None  # type: ignore[assignment]

# arguments of constructors that are no fields, or are written in a way of their own
BY_HAND = {"schema", "empty_header", "params", "nodes", "files", "rows", "row_types", "column_types"}
LEGACY = dqlitewire.PROTOCOL_VERSION_LEGACY
OUTSIDE_GATEWAY = (2, 11)
SAFE = 2**53 - 1


# ---------------------------------------------------------------- a message as JSON


def number(value: int) -> int | str:
    return int(value) if abs(value) <= SAFE else str(int(value))


def real(value: float) -> float | str:
    if math.isfinite(value) and (value or math.copysign(1, value) > 0):
        return value
    return "-0.0" if value == 0 else repr(value)


def text_cell(value: str) -> dict[str, str]:
    data = value.encode("utf-8", "surrogateescape")
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"text_bytes": data.hex()}


def cell(value: Any, kind: int) -> dict[str, Any]:
    match ValueType(kind):
        case ValueType.TEXT:
            return text_cell(value)
        case ValueType.FLOAT:
            return {"float": real(value)}
        case ValueType.BLOB:
            return {"blob": bytes(value).hex()}
        case ValueType.NULL:
            return {"null": True}
        case ValueType.INTEGER | ValueType.UNIXTIME as known:
            return {known.name.lower(): number(value)}
        case known:
            return {known.name.lower(): value}


def kinds_of(frame: bytes, values: list[Any]) -> list[int]:
    """The kinds of the parameters of a request."""
    if explain is not None:
        spans = {span.name: span for span in explain(frame, is_request=True).children}
        parts = {part.name: part.value for part in spans["params"].children} if "params" in spans else {}
        return [int(kind) for kind in parts.get("types", ())]
    sent = {bool: 11, int: 1, float: 2, str: 3, type(None): 5}
    return [sent.get(type(value), 4) for value in values]


def as_json(message: Any, frame: bytes, name: str, without_roles: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for attribute in inspect.signature(type(message)).parameters:
        if attribute in BY_HAND or attribute[0] == "_" or (name, attribute) == ("SERVERS", "format"):
            continue
        value = getattr(message, attribute)
        if value is not None:
            fields[attribute] = number(value) if type(value) is not bool and isinstance(value, int) else value
    if hasattr(message, "params"):
        params = list(message.params)
        fields["params"] = [cell(*pair) for pair in zip(params, kinds_of(frame, params), strict=True)]
    if hasattr(message, "nodes"):
        nodes = [
            {"node_id": number(node.node_id), "address": node.address, "role": int(node.role)}
            for node in message.nodes
        ]
        fields["nodes"] = [{k: node[k] for k in node if k != "role" or not without_roles} for node in nodes]
    if hasattr(message, "files"):
        fields["files"] = [{"name": file, "content": data.hex()} for file, data in message.files.items()]
    if hasattr(message, "rows"):
        pairs = zip(message.rows, message.row_types, strict=True)
        fields["rows"] = [[cell(*pair) for pair in zip(row, kinds, strict=True)] for row, kinds in pairs]
        json.dumps(message.column_names, ensure_ascii=False).encode()  # only cells may be no UTF-8
    return {"type": name, "fields": fields}


# ---------------------------------------------------------------- decoding


def class_of(name: str, is_request: bool) -> Any:
    known = name.title().replace("_", "") + ("Request" if is_request else "Response")
    return getattr(requests if is_request else classes, known)


def decoded(line: dict[str, Any], frame: bytes) -> dict[str, Any]:
    is_request, context = line["direction"] != "response", line.get("context", {})
    version = LEGACY if context.get("handshake") == "legacy" else dqlitewire.PROTOCOL_VERSION
    if line["direction"] == "handshake":
        decoder = MessageDecoder(is_request=True)
        decoder.feed(frame)
        return {"type": "HANDSHAKE", "fields": {"version": number(decoder.decode_handshake() or 0)}}
    kind = frame[4]
    if is_request and kind in OUTSIDE_GATEWAY:
        name = RequestType(kind).name
        message = class_of(name, True).decode_body(frame[8:], frame[5])
        return as_json(message, frame, name, False)
    if "cluster_format" in context:
        message = classes.ServersResponse.decode_body(frame[8:], format=context["cluster_format"])
        return as_json(message, frame, "SERVERS", True)
    decoder = MessageDecoder(
        is_request=is_request, version=version, text_errors="surrogateescape" if kind == 7 else "strict"
    )
    if is_request:
        decoder.feed(version.to_bytes(8, "little"))
        decoder.decode_handshake()
    decoder.feed(bytes.fromhex(context.get("after", "")))
    if "after" in context:
        decoder.decode()
    decoder.feed(frame)
    found = decoder.decode_continuation() if "after" in context else decoder.decode()
    if found is None or decoder.has_message():
        raise ValueError("the frame is not whole")
    return as_json(found, frame, (RequestType if is_request else ResponseType)(kind).name, False)


# ---------------------------------------------------------------- encoding

FROM_JSON: dict[str, Any] = {
    "integer": int,
    "unixtime": int,
    "float": float,
    "blob": bytes.fromhex,
    "null": lambda _: None,
}


def value_of(table: dict[str, Any]) -> tuple[Any, ValueType]:
    ((kind, held),) = table.items()
    return FROM_JSON.get(kind, lambda value: value)(held), ValueType[kind.upper()]


def arguments(fields: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
    """What the constructor of a message takes."""
    texts = ("name", "vfs", "sql", "address", "message")
    given: dict[str, Any] = {
        name: int(held) if type(held) is str and name not in texts else held for name, held in fields.items()
    }
    name = line["message"]["type"]
    if "params" in given:
        given["params"] = [value_of(table)[0] for table in given["params"]]
    if "params" in given or name == "PREPARE":
        given["schema"] = line["schema"]
    if "nodes" in given:
        given["format"] = line.get("context", {}).get("cluster_format", 1)
        given["nodes"] = [
            NodeInfo(int(node["node_id"]), node["address"], NodeRole(node.get("role", 0)))
            for node in given["nodes"]
        ]
    if "files" in given:
        given["files"] = {file["name"]: bytes.fromhex(file["content"]) for file in given["files"]}
    if "rows" in given:
        rows = [[value_of(table) for table in row] for row in given["rows"]]
        given["rows"] = [[value for value, _ in row] for row in rows]
        given["row_types"] = [[kind for _, kind in row] for row in rows]
        given["column_types"] = given["row_types"][0] if rows else []
    return given


def encoded(line: dict[str, Any]) -> bytes:
    name, fields = line["message"]["type"], line["message"]["fields"]
    if line["direction"] == "handshake":
        return MessageEncoder(int(fields["version"])).encode_handshake()
    message = class_of(name, line["direction"] == "request")(**arguments(fields, line))
    if line.get("context", {}).get("handshake") == "legacy":
        body: bytes = message.encode_body_legacy()
        return (len(body) // 8).to_bytes(4, "little") + bytes([1, 0, 0, 0]) + body
    data: bytes = message.encode()
    return data


def answer(line: dict[str, Any]) -> dict[str, Any]:
    try:
        if "message" in line:
            return {"id": line["id"], "hex": encoded(line).hex()}
        return {"id": line["id"], "message": decoded(line, bytes.fromhex(line["hex"]))}
    except Exception as error:
        return {"id": line["id"], "error": f"{type(error).__name__}: {error}"}


def main() -> None:
    for text in sys.stdin:
        print(json.dumps(answer(json.loads(text))), flush=True)


if __name__ == "__main__":
    main()
