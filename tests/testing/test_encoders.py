"""Rows that the embedded server encodes are what the codec reads, whichever way they are encoded."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import ValueType, decode_message
from dqlitewire.header import ROW_PART as PART
from dqlitewire.messages import RowsResponse
from dqlitewire.testing.node import encoders
from dqlitewire.testing.node.answers import encode_rows
from dqlitewire.testing.node.encoders import PAGE, RawText, WrongType, column_kind, encoder_for
from dqlitewire.testing.node.row_batches import RowBatches

PLAIN = {int: ValueType.INTEGER, float: ValueType.FLOAT, str: ValueType.TEXT, bytes: ValueType.BLOB}
WIRE = {
    "": PLAIN | {type(None): ValueType.NULL},
    "DATE": {int: ValueType.UNIXTIME, str: ValueType.ISO8601, type(None): ValueType.ISO8601},
    "boolean": {int: ValueType.BOOLEAN, type(None): ValueType.BOOLEAN},
}
VALUES: dict[type, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    str: st.text(st.characters(codec="utf-8"), max_size=20),
    bytes: st.binary(max_size=20),
    type(None): st.none(),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[tuple[Any, ...]]]:
    declared = draw(st.lists(st.sampled_from(list(WIRE)), min_size=1, max_size=20))
    kinds = [
        [draw(st.sampled_from(list(WIRE[one]))) for one in declared] for _ in range(draw(st.integers(1, 3)))
    ]
    rows = []
    for _ in range(draw(st.integers(0, 12))):
        rows.append(tuple(draw(VALUES[kind]) for kind in draw(st.sampled_from(kinds))))
    return declared, rows


def read(cell: Any, declared: str) -> Any:
    """What a client gets for a value of SQLite."""
    if isinstance(cell, str):
        return cell.partition("\0")[0]
    if cell is None and declared:
        return "" if declared == "DATE" else False
    return bool(cell) if declared == "boolean" else cell


def bodies(names: list[str], declared: list[str], rows: list[tuple[Any, ...]]) -> Iterator[bytes]:
    shape = SimpleNamespace(columns=names, kinds=[column_kind(one) for one in declared])
    batches = RowBatches(shape, (row for row in rows))
    while not batches.done:
        yield batches.next_body()


@pytest.mark.parametrize("cold", [0, 10**9], ids=["compiled", "cell by cell"])
@given(table=tables())
def test_rows_are_what_the_codec_reads(cold: int, table: tuple[list[str], list[tuple[Any, ...]]]) -> None:
    declared, rows = table
    names = [f"column {number}" for number in range(len(declared))]
    before, encoders._ROWS_COLD = encoders._ROWS_COLD, cold
    encoders._compiled.clear()
    try:
        messages = [decode_message(encode_rows(body)) for body in bodies(names, declared, rows)]
    finally:
        encoders._ROWS_COLD = before
        encoders._compiled.clear()
    assert all(isinstance(message, RowsResponse) and message.column_names == names for message in messages)
    found = [row for message in messages for row in message.rows]
    assert found == [tuple(map(read, row, declared)) for row in rows]
    types = [kinds for message in messages for kinds in message.row_types]
    assert types == [
        tuple(WIRE[one][type(cell)] for cell, one in zip(row, declared, strict=True)) for row in rows
    ]


def test_frames_end_at_a_page() -> None:
    rows = [(number, "x" * (number % 50)) for number in range(1000)]
    found = list(bodies(["a", "b"], ["", ""], rows))
    assert len(found) > 5
    for body in found[:-1]:
        assert body.endswith(PART)
        assert PAGE <= 8 + len(body) - 8 < PAGE + 80


def test_rows_of_another_width() -> None:
    for rows, expected in ([(1, 2, 3)], [(1, 2)]), ([(3,)], [(3, None)]):
        for _ in range(20):  # cell by cell, then compiled
            (body,) = bodies(["a", "b"], ["", ""], rows)
            message = decode_message(encode_rows(body))
            assert isinstance(message, RowsResponse)
            assert message.rows == expected


def test_text_that_is_not_utf_8() -> None:
    for _ in range(20):
        (body,) = bodies(["a"], [""], [(RawText(b"\xff\0cut"),)])
        assert body[16:32] == b"\3\0\0\0\0\0\0\0\xff\0\0\0\0\0\0\0"


@pytest.mark.parametrize(
    ("declared", "value"), [("DATE", 1.5), ("TIMESTAMP", b""), ("Boolean", "x"), ("BOOLEAN", 0.5)]
)
def test_wrong_types(declared: str, value: object) -> None:
    with pytest.raises(WrongType, match="value in a"):
        encoder_for((type(value),), (column_kind(declared),))


def test_memory_is_bounded() -> None:
    for number in range(3000):
        types = tuple((int, str)[number >> bit & 1] for bit in range(12))
        for _ in range(2):
            encoder_for(types, (0,) * 12)
    assert len(encoders._cold) <= 1024
    assert len(encoders._compiled) <= 1024
