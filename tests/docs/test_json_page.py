"""docs/reference/json.md says in words all that a schema says."""

from __future__ import annotations

import re

from tools.drawn.json_page import kind_of, page, rows
from tools.drawn.schema import SCHEMAS


def test_every_schema_is_there_to_be_had() -> None:
    text = page()
    for name in SCHEMAS:
        assert f"[{name}.schema.json](../schema/{name}.schema.json)" in text
    assert text.count("any value") == 1  # the fields of a message, which its type decides
    assert "^" not in text, "a pattern that has no words"
    anchors = re.findall(r"^\((json-[\w-]+)\)=$", text, re.MULTILINE)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\(#(json-[\w-]+)\)", text)) <= set(anchors)


def test_kinds_in_words() -> None:
    assert kind_of("x", {"type": ["integer", "null"], "minimum": 1}) == "integer, 1 or more or `null`"
    assert kind_of("x", {"enum": ["a", "b"]}) == "`a`, `b`"
    assert kind_of("x", {"const": True}) == "`true`"
    assert kind_of("x", {"$ref": "#/$defs/a_B"}) == "[a B](#json-x-a-b)"
    pair = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
    assert kind_of("x", pair) == "list of integer, 2 of them"
    inner = {"type": "object", "properties": {"b": {"type": "string"}}}
    table = {"properties": {"a": {"type": "array", "items": inner, "description": "why"}}, "required": []}
    assert [*rows("x", table)] == [
        ("`a`", "list of object", "why; may be missing"),
        ("`a[].b`", "string", "may be missing"),
    ]
