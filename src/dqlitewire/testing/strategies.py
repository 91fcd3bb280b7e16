"""Hypothesis strategies for every message of the protocol, drawn from the messages' own declarations.

What is drawn can be encoded, and comes back equal when it is decoded with the default limits.  Needs
`hypothesis`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

from dqlitewire.constants import NodeRole, ValueType
from dqlitewire.messages import REQUESTS as REQUESTS_BY_CODE
from dqlitewire.messages import RESPONSES as RESPONSES_BY_CODE
from dqlitewire.messages.base import Message, Request, Response
from dqlitewire.messages.responses import LeaderResponse, NodeInfo, RowsResponse
from dqlitewire.values import KIND_OF, KINDS, Kind

try:
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    if error.name != "hypothesis":
        raise
    raise ModuleNotFoundError(
        "hypothesis is not installed: install 'hypothesis', no extra brings it", name="hypothesis"
    ) from None

__all__ = [
    "REQUESTS",
    "RESPONSES",
    "cells",
    "field_values",
    "frames",
    "messages",
    "node_infos",
    "params",
    "requests",
    "responses",
    "rows_responses",
    "texts",
]

M = TypeVar("M", bound=Message)

_MAX_LENGTH = 40


REQUESTS: tuple[type[Request], ...] = tuple(REQUESTS_BY_CODE.values())
RESPONSES: tuple[type[Response], ...] = tuple(RESPONSES_BY_CODE.values())


def texts(max_length: int = _MAX_LENGTH, min_length: int = 0) -> st.SearchStrategy[str]:
    """Texts that the wire can carry: any character but NUL and lone surrogates.

    Args:
        max_length: most characters.
        min_length: least characters.
    """
    return st.text(
        st.characters(codec="utf-8", exclude_characters="\0"), min_size=min_length, max_size=max_length
    )


_CELLS: dict[type, Callable[[Kind], st.SearchStrategy[Any]]] = {
    int: lambda kind: st.integers(*kind.bounds),
    float: lambda kind: st.floats(allow_nan=False, width=cast("Any", kind.bits)),  # NaN is no equal to itself
    str: lambda _: texts(),
    bytes: lambda _: st.binary(max_size=_MAX_LENGTH),
    type(None): lambda _: st.none(),
    bool: lambda _: st.booleans(),
}


def cells(kind: ValueType) -> st.SearchStrategy[Any]:
    """Values of a row under one type code.

    Args:
        kind: the type code.
    """
    return _CELLS[KIND_OF[kind].python](KIND_OF[kind])


def params(max_count: int = 12) -> st.SearchStrategy[list[Any]]:
    """Parameter lists of values whose type is inferred.

    Args:
        max_count: most values.
    """
    inferred = [cells(kind.code) for kind in KINDS if kind.sent_for]
    return st.lists(st.one_of(inferred), max_size=max_count)


def node_infos() -> st.SearchStrategy[NodeInfo]:
    """Nodes of a SERVERS answer."""
    return st.builds(
        NodeInfo,
        node_id=st.integers(1, 2**64 - 1),
        address=texts(min_length=1),
        role=st.sampled_from(NodeRole),
    )


def field_values(field: Any) -> st.SearchStrategy[Any]:
    """Values of one declared field, as its kind draws them.

    Args:
        field: an entry of `FIELDS` of a message class.
    """
    strategy: st.SearchStrategy[Any] = field.strategy(sys.modules[__name__])
    return st.none() | strategy if field.default is None and field.since else strategy


@st.composite
def rows_responses(draw: st.DrawFn, max_columns: int = 20, max_rows: int = 8) -> RowsResponse:
    """Rows whose types change now and then, in runs as servers send them.

    Args:
        draw: given by Hypothesis.
        max_columns: most columns.
        max_rows: most rows.
    """
    names = draw(st.lists(texts(), max_size=max_columns))
    header = st.tuples(*[st.sampled_from(ValueType)] * len(names))
    types: list[tuple[ValueType, ...]] = []
    for _ in range(draw(st.integers(0, max_rows if names else 0))):
        again = bool(types) and draw(st.booleans())
        types.append(types[-1] if again else draw(header))
    rows = [tuple(draw(cells(kind)) for kind in row) for row in types]
    return RowsResponse(names, list(types[0]) if types else [], types, rows, draw(st.booleans()))


def messages(cls: type[M]) -> st.SearchStrategy[M]:
    """Messages of one class.

    Args:
        cls: any class of `REQUESTS` or `RESPONSES`.
    """
    if issubclass(cls, RowsResponse):
        return rows_responses()  # type: ignore[return-value]
    declared: tuple[Any, ...] = getattr(cls, "FIELDS")  # noqa: B009
    drawn = {field.name: field_values(field) for field in declared if field.is_attribute}
    strategy: Any = st.builds(cls, **drawn)
    if issubclass(cls, LeaderResponse):
        strategy = strategy.filter(_is_whole)
    found: st.SearchStrategy[M] = strategy
    return found


def _is_whole(message: LeaderResponse) -> bool:
    # an address without an id is a server's slip
    return bool(message.node_id or not message.address)


def requests() -> st.SearchStrategy[Request]:
    """Any request."""
    return st.sampled_from(REQUESTS).flatmap(messages)


def responses() -> st.SearchStrategy[Response]:
    """Any response."""
    return st.sampled_from(RESPONSES).flatmap(messages)


def frames(of: st.SearchStrategy[Message]) -> st.SearchStrategy[bytes]:
    """The encoded frames of drawn messages.

    Args:
        of: draws messages.
    """
    return of.map(lambda message: message.encode())
