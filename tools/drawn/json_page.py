"""Draw `docs/reference/json.md`: the schemas of `docs/schema` as tables that people can read.

A schema becomes a table of its keys; an object below one of them has rows of its own, with the path in front.
What several places refer to (`$defs`) has a heading, which they link to.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.drawn import DOCS
from tools.drawn.schema import SCHEMAS

__all__ = ["files", "kind_of", "page", "rows"]

Schema = dict[str, Any]
PAGE = DOCS / "reference" / "json.md"
HEAD = """# JSON

What each command prints with `--json`, key by key. For programs that read it. The schemas (JSON Schema
2020-12) can be downloaded here, and allow no other keys; a later release may add some.

Numbers are written in full: read them as integers of 64 bits, not as floats. Times are seconds since 1970, in
UTC. A key that ends in `_ms` holds milliseconds, one in `_s` seconds; `size` is a number of bytes.

"""
# of each schema: what it describes, in words
ABOUT = {
    "decode": "One object a line: a message, or what else passed. [Guide](../guides/traffic.md#decode).",
    "stats": "One object; with `--every` one a line. [Guide](../guides/traffic.md#stats).",
    "probe": "One object a line: a node, in each round. [Guide](../guides/traffic.md#probe).",
    "top": "One object a line: traffic or nodes, in each round. [Guide](../guides/top.md).",
    "query": "One object a line: what a statement answered. [Guide](../guides/query.md).",
    "transcript": "A line of a file `.dqt`. [The format](transcript.md) says what lines mean.",
}


def files() -> dict[Path, str]:
    """Return the page with its text."""
    return {PAGE: page()}


def page() -> str:
    """Return the text of the page."""
    names = [*ABOUT, *(name for name in SCHEMAS if name not in ABOUT)]
    return HEAD + "\n".join("\n".join(_section(name, SCHEMAS[name]())) for name in names)


def _section(name: str, schema: Schema) -> Iterator[str]:
    title = schema["title"].removeprefix("dqlite-wire ")
    yield f"## `{title}`" if title.startswith(name) else f"## {title[0].upper()}{title[1:]}"
    yield ""
    yield f"{ABOUT[name]} Schema: [{name}.schema.json](../schema/{name}.schema.json)."
    yield ""
    told = schema.get("$defs", {})
    for kind in schema.get("oneOf") or schema.get("anyOf") or [schema]:
        if reference := kind.get("$ref"):
            yield from _definition(name, reference.rpartition("/")[2], told)
        else:
            yield from _table(name, kind)
    shown = {one["$ref"].rpartition("/")[2] for one in schema.get("oneOf", ()) if "$ref" in one}
    for key in told:
        if key not in shown:
            yield from _definition(name, key, told)


def _definition(name: str, key: str, told: dict[str, Schema]) -> Iterator[str]:
    yield f"({_anchor(name, key)})="
    yield f"### {key.replace('request_', 'Request ').replace('response_', 'Response ').replace('_', ' ')}"
    yield ""
    yield from _table(name, told[key])


def _anchor(name: str, key: str) -> str:
    return f"json-{name}-{key}".lower().replace("_", "-")


def _table(name: str, schema: Schema) -> Iterator[str]:
    if words := schema.get("description"):
        yield f"{words[:1].upper()}{words[1:]}."
        yield ""
    found = list(rows(name, schema))
    if not found and schema.get("type") == "array":
        yield "A list, of each:"
        yield ""
        found = list(rows(name, schema["items"]))
    if found:
        yield "| key | value | |"
        yield "|---|---|---|"
        yield from (f"| {' | '.join(row)} |" for row in found)
    else:
        yield f"{kind_of(name, schema)[:1].upper()}{kind_of(name, schema)[1:]}."
    yield ""


def rows(name: str, schema: Schema, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield a row for each key of an object and of the objects in it: its path, its value, what it means.

    Args:
        name: of the schema that it is part of.
        schema: of the object.
        path: of the object itself, with a dot behind it.
    """
    needed = schema.get("required", ())
    for key, value in schema.get("properties", {}).items():
        words = value.get("description", "")
        may = "" if key in needed or "oneOf" in schema else "may be missing"
        yield (
            f"`{path}{key}`",
            kind_of(name, value),
            "; ".join(filter(None, (words, may))).replace("|", "\\|"),
        )
        inner, marks = (value.get("items", {}), "[].") if value.get("type") == "array" else (value, ".")
        yield from rows(name, inner, f"{path}{key}{marks}")


def kind_of(name: str, schema: Schema) -> str:
    """Return in words what a value is.

    Args:
        name: of the schema that it is part of.
        schema: of the value.
    """
    if reference := schema.get("$ref"):
        key = reference.rpartition("/")[2]
        return f"[{key.replace('_', ' ')}](#{_anchor(name, key)})"
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_variant(name, one) for one in several))
    if "const" in schema:
        return f"`{_json(schema['const'])}`"
    if words := schema.get("enum"):
        return ", ".join(f"`{_json(word)}`" for word in words)
    if isinstance(kinds := schema.get("type"), list):
        return " or ".join(_one(name, kind, schema) for kind in kinds)
    return _one(name, kinds, schema) if kinds else "any value"


def _variant(name: str, schema: Schema) -> str:
    """One of several kinds: an object tells its keys, which have no rows of their own."""
    inside = schema.get("properties") if schema.get("type") == "object" else None
    if not inside:
        return kind_of(name, schema)
    return "object of " + ", ".join(f"`{key}` ({kind_of(name, one)})" for key, one in inside.items())


def _json(value: object) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _one(name: str, kind: str, schema: Schema) -> str:
    if kind == "array":
        size = schema.get("minItems") if schema.get("minItems") == schema.get("maxItems") else None
        of = f" of {kind_of(name, schema['items'])}" if schema.get("items") else ""
        return f"list{of}" if size is None else f"list{of}, {size} of them"
    if kind == "object" and isinstance(values := schema.get("additionalProperties"), dict):
        keys = schema.get("propertyNames", {}).get("enum")
        by = f" by {', '.join(f'`{key}`' for key in keys)}" if keys else " by name"
        return f"object: {kind_of(name, values)}{by}"
    if kind == "integer" and "minimum" in schema:
        return f"integer, {schema['minimum']} or more"
    if kind == "string" and (pattern := schema.get("pattern")):
        return PATTERNS.get(pattern, f"string like `{pattern}`".replace("|", "\\|"))
    return {"null": "`null`", "boolean": "`true` or `false`", "number": "number"}.get(kind, kind)


# what patterns mean, in words
PATTERNS = {
    "^([0-9a-f]{2})*$": "string in hex",
    "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}(==|[A-Za-z0-9+/]=))?$": "string in base64",
    "^type [0-9]+$": "`type N`",
}
