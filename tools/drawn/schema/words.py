"""Words that the schemas are put together from: plain types, and functions that return a schema."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

from dqlitewire.traffic.views.json_object import token

__all__ = [
    "BOOL",
    "COUNT",
    "HEX",
    "NULL",
    "NUMBER",
    "TEXT",
    "UNKNOWN_TYPE",
    "Schema",
    "array",
    "counts",
    "maybe",
    "one_of",
    "page",
    "record",
    "ref",
    "said",
    "tokens",
]

Schema = dict[str, Any]

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
