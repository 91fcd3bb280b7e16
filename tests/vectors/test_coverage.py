"""What the vectors cover: who misreads a field, a kind of value or a form of rows, or lacks a check, fails.

A mutant is what a wrong reader would make of a right value: the low half of a number, its bytes the other way
round, a text cut after a word. It is caught if some vector's value is not what the mutant makes of it.
"""

from __future__ import annotations

import ast
import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from dqlitewire import DecodeError, NodeRole, ValueType
from dqlitewire.declare.contract import BODY, Field
from dqlitewire.declare.fixed import Integer, Role
from dqlitewire.declare.variable import Text
from dqlitewire.messages import REGISTRY
from dqlitewire.messages.by_hand import Files, Nodes
from dqlitewire.messages.params import Params
from dqlitewire.values import BLOB, KINDS, TEXT, Kind
from tests.wire_data import MALFORMED, VECTORS, Malformed, Vector, cell, decode_malformed, given

SRC = Path(__file__).resolve().parents[2] / "src" / "dqlitewire"
#: mutants that nothing can catch
SAFE = {
    "address": {"latin-1"},  # ASCII wherever it is sent
    "vfs": {"latin-1"},
    "code": {"signed"},  # its last byte is 0, by which it is found
}
Mutant = Callable[[Any], Any]


# ---------------------------------------------------------------- fields


def integer_mutants(field: Integer) -> dict[str, Mutant]:
    bits = 8 * field.smallest
    high = field.high if field._default_cap is None else min(field.high, field._default_cap)
    if field.low == high:
        return {}  # one value alone may be sent; that another is refused, is for the malformed
    mutants: dict[str, Mutant] = {
        "always 0": lambda value: 0,
        "always 1": lambda value: 1,
        "one byte": lambda value: value & 0xFF,
        "bytes turned": lambda value: int.from_bytes(value.to_bytes(bits // 8, "big"), "little"),
    }
    if high >= 1 << bits - 1:
        mutants["signed"] = lambda value: value - (1 << bits) if value >> (bits - 1) else value
    if high >= 1 << bits // 2:
        mutants["half of the bytes"] = lambda value: value & (1 << bits // 2) - 1
    if high > 1 << 53:
        mutants["a double"] = lambda value: int(float(value))
    return mutants


def role_mutants() -> dict[str, Mutant]:
    def never(role: int) -> Mutant:
        return lambda value: None if value == role else value

    return {f"never {role.name}": never(role) for role in NodeRole}


def text_mutants(field: Text) -> dict[str, Mutant]:
    return {
        "always empty": lambda value: "",
        "its first word": lambda value: value.encode()[:8].decode(errors="replace"),
        "latin-1": lambda value: value.encode().decode("latin-1"),
    }


def mutants_of(field: Field) -> dict[str, Mutant]:
    """What wrong readers would make of a field; a kind that nobody has thought of fails here."""
    match field:
        case Role():
            return role_mutants()
        case Integer():
            return integer_mutants(field)
        case Text():
            return text_mutants(field)
        case Params() | Nodes() | Files():
            return {"always empty": lambda value: [], "the first alone": lambda value: value[:1]}
        case _:
            raise AssertionError(f"{field!r}: which wrong readers must the vectors catch?")


def declared() -> Iterator[tuple[bool, str, int, Field]]:
    """Each field, by direction, message and schema."""
    for (is_request, _), message in REGISTRY.items():
        for schema in message.SCHEMAS:
            for field in message.FIELDS:
                if field.place == BODY and field.is_attribute and field.since <= schema:
                    yield is_request, message.__name__, schema, field


FIELDS = [entry for entry in declared() if entry[1] != "RowsResponse"]


@pytest.mark.parametrize(
    ("is_request", "message", "schema", "field"), FIELDS, ids=[f"{m}-{s}-{f.name}" for _, m, s, f in FIELDS]
)
def test_a_field_that_is_misread_is_noticed(
    is_request: bool, message: str, schema: int, field: Field
) -> None:
    values = [
        given(vector.fields)[field.name]
        for vector in VECTORS
        if (vector.is_request, vector.message_class.__name__, vector.schema) == (is_request, message, schema)
    ]
    for name, mutant in mutants_of(field).items():
        if name in SAFE.get(field.name, ()):
            continue
        assert any(mutant(value) != value for value in values), f"no vector notices: {name}"


def test_neighbours_that_are_swapped_are_noticed() -> None:
    by_message: dict[tuple[bool, str, int], list[str]] = {}
    for is_request, message, schema, field in FIELDS:
        by_message.setdefault((is_request, message, schema), []).append(field.name)
    for key, names in by_message.items():
        for one, other in pairwise(names):
            assert any(
                vector.fields[one] != vector.fields[other]
                for vector in VECTORS
                if (vector.is_request, vector.message_class.__name__, vector.schema) == key
            ), f"{key}: {one} and {other}"


def test_entries_of_nodes_and_files_are_told_apart() -> None:
    nodes = [node for vector in VECTORS for node in vector.fields.get("nodes", ())]
    assert {node.get("role") for node in nodes} == {0, 1, 2, None}
    assert any(int(node["node_id"]) >> 63 for node in nodes)
    assert any(len(node["address"]) % 8 == 7 for node in nodes)
    files = [file for vector in VECTORS for file in vector.fields.get("files", ())]
    assert any(not file["content"] for file in files)
    assert any(len(file["content"]) > 16 for file in files)
    assert any(not file["name"].isascii() for file in files)


# ---------------------------------------------------------------- kinds of value


def cells(place: str) -> dict[str, list[Any]]:
    """The values of each kind among the parameters of a schema ("0", "1"), or in rows."""
    found: dict[str, list[Any]] = {}
    for vector in VECTORS:
        tables = [table for row in vector.fields.get("rows", ()) for table in row]
        if str(vector.schema) == place:
            tables = vector.fields.get("params", [])
        elif place != "rows":
            tables = []
        for table in tables:
            value, kind = cell(table)
            found.setdefault(kind.name, []).append(value)
    return found


def of_sizes(sizes: list[int]) -> dict[str, Callable[[Any], bool]]:
    def has(size: int, value: Any) -> bool:
        return len(value) == size

    return {f"{size} bytes": partial(has, size) for size in sizes}


def needed(kind: Kind, in_rows: bool) -> dict[str, Callable[[Any], bool]]:
    """What must be among the values of a kind."""
    if kind.form == TEXT:
        sizes = [0, 7, 8, 9] if in_rows and kind.code == ValueType.TEXT else [0] if in_rows else []
        return of_sizes(sizes) | {"a text": bool}
    if kind.form == BLOB:
        return of_sizes([0, 1, 7, 8, 9] if in_rows else [3])
    low, high = kind.bounds if kind.python is int else (0, 0)
    by_type: dict[type, dict[str, Callable[[Any], bool]]] = {
        int: {"the least": lambda value: value == low, "the most": lambda value: value == high},
        bool: {"true": lambda value: value is True, "false": lambda value: value is False},
        float: {
            "infinite": math.isinf,
            "a fraction": lambda value: value % 1 > 0,
        }
        | (
            {
                "NaN": math.isnan,
                "-0.0": lambda value: value == 0 and math.copysign(1, value) < 0,
                "the least": lambda value: value == 5e-324,
            }
            if in_rows
            else {}
        ),
        type(None): {"a NULL": lambda value: value is None},
    }
    return by_type[kind.python]


@pytest.mark.parametrize("place", ["0", "1", "rows"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_of_value_has_its_bounds(kind: Kind, place: str) -> None:
    if place != "rows" and not kind.in_params:
        return
    values = cells(place).get(kind.name, [])
    missing = [name for name, is_it in needed(kind, place == "rows").items() if not any(map(is_it, values))]
    assert missing == []


# ---------------------------------------------------------------- forms of rows and parameters

ROWS = [vector for vector in VECTORS if vector.message == "ROWS"]


def kinds(vector: Vector) -> list[tuple[ValueType, ...]]:
    return [tuple(cell(table)[1] for table in row) for row in vector.fields["rows"]]


def width(vector: Vector) -> int:
    return len(vector.fields["column_names"])


FORMS: dict[str, Callable[[Vector], bool]] = {
    "no column": lambda vector: width(vector) == 0,
    "one column": lambda vector: width(vector) == 1,
    "types that fill half a word but one": lambda vector: width(vector) == 15 and bool(kinds(vector)),
    "types that fill a word": lambda vector: width(vector) == 16 and bool(kinds(vector)),
    "types in two words": lambda vector: width(vector) == 17 and bool(kinds(vector)),
    "types in three words": lambda vector: width(vector) > 32 and bool(kinds(vector)),
    "no row": lambda vector: width(vector) > 0 and not vector.fields["rows"],
    "one row": lambda vector: len(kinds(vector)) == 1,
    "rows of one kind": lambda vector: len(kinds(vector)) > 2 and len(set(kinds(vector))) == 1,
    "rows of another kind each": lambda vector: len(set(kinds(vector))) > 4,
    "PART": lambda vector: vector.fields["has_more"],
    "DONE without a row behind PART": lambda vector: "after" in vector.context and not kinds(vector),
    "DONE with a row behind PART": lambda vector: "after" in vector.context and bool(kinds(vector)),
    "stale bytes as padding": lambda vector: "left-overs" in vector.decode_only,
    "a column name that is not ASCII": lambda vector: any(
        not name.isascii() for name in vector.fields["column_names"]
    ),
    "a column name of whole words": lambda vector: "12345678" in vector.fields["column_names"],
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_rows_has_a_vector(form: str) -> None:
    assert any(FORMS[form](vector) for vector in ROWS)


@pytest.mark.parametrize("message", ["EXEC", "QUERY", "EXEC_SQL", "QUERY_SQL"])
@pytest.mark.parametrize("schema", [0, 1])
def test_each_form_of_parameters_has_a_vector(message: str, schema: int) -> None:
    of_message = [v for v in VECTORS if (v.message, v.schema) == (message, schema)]
    assert any(not vector.fields["params"] for vector in of_message)
    assert any(len(vector.fields["params"]) == 1 for vector in of_message)
    every = [v for v in VECTORS if v.schema == schema and v.fields.get("params") is not None]
    counts = {len(vector.fields["params"]) for vector in every}
    fills = 7 if schema == 0 else 4  # types that fill the word of the count
    assert {fills, fills + 1} <= counts
    assert schema == 0 or max(counts) > 255
    assert any("empty parameter tuple" in vector.decode_only for vector in every)


# ---------------------------------------------------------------- malformed

#: modules that read
READERS = (
    *("declare/cursor.py", "declare/contract.py", "declare/fixed.py", "declare/variable.py"),
    *("messages/by_hand.py", "messages/requests.py", "messages/responses.py"),
    *("rows/params.py", "rows/read.py"),
)
#: refusals that no vector reaches, by their words, with the reason
UNREACHED = {
    "got more than {limit} rows": "a cap of Limits; a frame that small has fewer",
    "a count of {size} is needed": "a body is whole words, and the count takes one at most",
}


def refuse(bad: Malformed) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode_malformed(bad)
    return caught.value


def refusals(module: str) -> dict[int, str]:
    """The lines of a module that make a DecodeError, with their functions."""
    tree = ast.parse((SRC / module).read_text())
    found = {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Raise) and node.exc is not None:
                    words = ast.unparse(node.exc)
                    if words.startswith(("DecodeError(", "cursor.error(", "self.error(", "error(")):
                        found[node.lineno] = f"{function.name}: {words}"
    return found


def test_each_refusal_of_the_readers_has_a_vector() -> None:
    reached: set[tuple[str, int]] = set()
    files = {str(SRC / module): module for module in READERS}

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        module = files.get(frame.f_code.co_filename)
        if module is None:
            return None
        if event == "line":
            reached.add((module, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for bad in MALFORMED:
            refuse(bad)
    finally:
        sys.settrace(before)
    missed = [
        f"{module}:{line} {words}"
        for module in READERS
        for line, words in refusals(module).items()
        if (module, line) not in reached and not any(known in words for known in UNREACHED)
    ]
    assert missed == []


MALFORMATIONS = [
    (is_request, message, schema)
    for (is_request, _), message in REGISTRY.items()
    for schema in message.SCHEMAS
]


@pytest.mark.parametrize(
    ("is_request", "message", "schema"), MALFORMATIONS, ids=[f"{m.__name__}-{s}" for _, m, s in MALFORMATIONS]
)
def test_each_message_is_cut_short_too_long_and_of_another_schema(
    is_request: bool, message: Any, schema: int
) -> None:
    direction = "request" if is_request else "response"
    bad = [one for one in MALFORMED if one.direction == direction and one.data[4] == message.MSG_TYPE]
    sizes = {len(one.data) for one in bad if one.schema == schema}
    assert 8 in sizes, "a body of no words"
    assert any(one.schema not in message.SCHEMAS for one in bad), "a schema that it does not have"
    refused = [(one.schema, str(refuse(one).path)) for one in bad]
    paths = {(its_schema, path.rpartition("[")[0] or path) for its_schema, path in refused}
    for field in message.FIELDS:
        if isinstance(field, Text):
            assert (schema, f"{message.__name__}.{field.name}") in paths
