"""Hypothesis strategies for every declared message, drawn from its declaration alone."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dqlitewire import Message, NodeInfo, NodeRole, ValueType, limits, sanitize_server_text
from dqlitewire.messages import FailureResponse, LeaderResponse, RowsResponse

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
TEXT = st.text(CHARACTERS, max_size=40)
INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False)  # NaN is no equal to itself
PARAMS = st.one_of(st.none(), st.booleans(), INT64, FLOATS, TEXT, st.binary(max_size=40))

CELLS = {
    ValueType.INTEGER: INT64,
    ValueType.FLOAT: FLOATS,
    ValueType.TEXT: TEXT,
    ValueType.BLOB: st.binary(max_size=40),
    ValueType.NULL: st.none(),
    ValueType.UNIXTIME: INT64,
    ValueType.ISO8601: TEXT,
    ValueType.BOOLEAN: st.booleans(),
}
assert set(CELLS) == set(ValueType)


def integers(field: Any) -> st.SearchStrategy[int]:
    cap = getattr(limits.Limits(), field.cap) if field.cap else field.high
    return st.integers(field.low, min(field.high, cap))


def texts(field: Any) -> st.SearchStrategy[str]:
    cap = getattr(limits.Limits(), field.cap)
    return TEXT.filter(lambda text: len(text.encode()) <= cap)


node_infos = st.builds(
    NodeInfo,
    node_id=st.integers(1, 2**64 - 1),
    address=st.text(CHARACTERS, min_size=1, max_size=40),
    role=st.sampled_from(NodeRole),
)

BY_KIND: dict[str, Any] = {
    "u32": integers,
    "u64": integers,
    "text": texts,
    "role": lambda field: st.sampled_from(NodeRole),
    "params": lambda field: st.lists(PARAMS, max_size=12),
    "schema": lambda field: st.sampled_from([0, 1]),
    "params_schema": lambda field: st.sampled_from([None, 0, 1]),
    "empty_header": lambda field: st.booleans(),
    "nodes": lambda field: st.lists(node_infos, max_size=5, unique_by=lambda node: node.node_id),
    "files": lambda field: st.dictionaries(TEXT, st.binary(max_size=5).map(lambda b: b * 8), max_size=4),
    "format": lambda field: st.just(1),
}


def of_field(field: Any) -> st.SearchStrategy[Any]:
    strategy = BY_KIND[field.kind](field)
    return st.none() | strategy if field.default is None and field.since else strategy


@st.composite
def rows_responses(draw: st.DrawFn, max_columns: int = 20, max_rows: int = 8) -> RowsResponse:
    """Rows whose types change now and then, in runs as servers send them."""
    names = draw(st.lists(TEXT, max_size=max_columns))
    header = st.tuples(*[st.sampled_from(ValueType)] * len(names))
    types: list[tuple[ValueType, ...]] = []
    for _ in range(draw(st.integers(0, max_rows if names else 0))):
        types.append(types[-1] if types and draw(st.booleans()) else draw(header))
    rows = [tuple(draw(CELLS[kind]) for kind in row) for row in types]
    return RowsResponse(names, list(types[0]) if types else [], types, rows, draw(st.booleans()))


def instances(cls: type[Message]) -> st.SearchStrategy[Any]:
    """Messages of one class that come back equal when they are encoded and decoded."""
    if cls is RowsResponse:
        return rows_responses()
    fields = {field.name: of_field(field) for field in cls.FIELDS if field.is_attribute}
    if cls is FailureResponse:
        fields["message"] = fields["message"].map(sanitize_server_text)
    strategy = st.builds(cls, **fields)
    if cls is LeaderResponse:
        strategy = strategy.filter(lambda message: message.node_id or not message.address)
    return strategy
