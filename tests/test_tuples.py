"""Parameters and rows as tuples: protocol.md 5.1 to 5.5."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import DecodeError, EncodeError, RowMarker, ValueType
from dqlitewire.tuples import (
    decode_params_tuple,
    decode_row_header,
    decode_row_values,
    encode_params_tuple,
    encode_row_header,
    encode_row_values,
)
from tests.test_types import INFERABLE

I, F, T, B, N, U, D, L = (
    ValueType[name] for name in ["INTEGER", "FLOAT", "TEXT", "BLOB", "NULL", "UNIXTIME", "ISO8601", "BOOLEAN"]
)
MAX_PARAMS = 32_766


def words(digits: str) -> bytes:
    return bytes.fromhex(digits)


# ---------------------------------------------------------------- parameters

PARAMS: list[tuple[list[Any], int, str]] = [
    # values, schema, bytes
    ([5, "hi"], 0, "0201030000000000 0500000000000000 6869000000000000"),
    ([5, "hi"], 1, "0200000001030000 0500000000000000 6869000000000000"),
    ([None], 0, "0105000000000000 0000000000000000"),
    ([True, False], 0, "020b0b0000000000 0100000000000000 0000000000000000"),
    ([1.5], 0, "0102000000000000 000000000000f83f"),
    ([b"\x01"], 0, "0104000000000000 0100000000000000 0100000000000000"),
    ([0] * 7, 0, "0701010101010101" + "00" * 56),
    ([0] * 8, 0, "0801010101010101 0100000000000000" + "00" * 64),
    ([0] * 4, 1, "0400000001010101" + "00" * 32),
    ([0] * 5, 1, "0500000001010101 0100000000000000" + "00" * 40),
]


@pytest.mark.parametrize(("values", "schema", "digits"), PARAMS)
def test_parameters(values: list[Any], schema: int, digits: str) -> None:
    data = words(digits)
    assert encode_params_tuple(values, schema) == data
    assert encode_params_tuple(tuple(values), schema) == data
    for form in (bytes, memoryview):
        assert decode_params_tuple(form(data), None, schema) == (values, len(data))
        assert decode_params_tuple(form(data + b"more"), None, schema) == (values, len(data))


def test_no_parameters_are_no_bytes_unless_asked_for() -> None:
    for schema in (0, 1):
        assert encode_params_tuple([], schema) == b""
        assert encode_params_tuple([], schema, emit_empty_header=True) == bytes(8)
        assert decode_params_tuple(b"", schema=schema) == ([], 0)
        assert decode_params_tuple(bytes(8), schema=schema) == ([], 8)


@pytest.mark.parametrize("offset", [*range(17), 1001])
@pytest.mark.parametrize("schema", [0, 1])
@pytest.mark.parametrize("count", [1, 3, 4, 5, 7, 8, 9])
def test_the_header_is_padded_to_a_word_of_the_body(offset: int, schema: int, count: int) -> None:
    values = list(range(count))
    data = encode_params_tuple(values, schema, offset)
    header = len(data) - 8 * count
    assert (offset + header) % 8 == 0
    assert 0 <= header - ((1, 4)[schema] + count) < 8
    assert decode_params_tuple(data, None, schema, offset) == (values, len(data))


def test_header_padding_is_zero_on_writing_and_not_looked_at_on_reading() -> None:
    data = words("0101ffffffffffff 0500000000000000")
    assert decode_params_tuple(data) == ([5], 16)
    assert encode_params_tuple([5])[2:8] == bytes(6)


def test_an_explicit_count_means_that_types_come_first() -> None:
    body = words("0103000000000000 0500000000000000 6869000000000000")
    assert decode_params_tuple(body, 2) == ([5, "hi"], 24)
    assert decode_params_tuple(body, 0) == ([], 0)
    assert decode_params_tuple(b"", 0) == ([], 0)
    assert decode_params_tuple(b"abc", 0) == ([], 0)


@pytest.mark.parametrize("schema", [-1, 2, 3, 255, None])
def test_only_schemas_0_and_1_exist(schema: Any) -> None:
    with pytest.raises(EncodeError):
        encode_params_tuple([1], schema)
    with pytest.raises(DecodeError):
        decode_params_tuple(bytes(16), None, schema)


def test_schema_0_holds_255_parameters() -> None:
    values = list(range(255))
    assert decode_params_tuple(encode_params_tuple(values)) == (values, 256 + 8 * 255)
    with pytest.raises(EncodeError):
        encode_params_tuple([0] * 256)


def test_schema_1_holds_as_many_parameters_as_sqlite_takes() -> None:
    values = [0] * MAX_PARAMS
    data = encode_params_tuple(values, 1)
    assert data[:4] == struct.pack("<I", MAX_PARAMS)
    assert decode_params_tuple(data, schema=1) == (values, len(data))
    with pytest.raises(EncodeError):
        encode_params_tuple([0] * (MAX_PARAMS + 1), 1)
    with pytest.raises(DecodeError):
        decode_params_tuple(struct.pack("<I", MAX_PARAMS + 1) + bytes(9 * MAX_PARAMS + 64), schema=1)


@pytest.mark.parametrize("value", [2**63, "a\0b", object(), 1j, "\ud800"])
def test_parameters_that_cannot_be_sent(value: Any) -> None:
    with pytest.raises(EncodeError):
        encode_params_tuple([1, value])


@pytest.mark.parametrize(
    ("digits", "count", "schema", "why"),
    [
        ("01", None, 0, "less than a word"),
        ("01010000000000", None, 0, "less than a word"),
        ("", 1, 0, "a count and no data"),
        ("0101000000000000", None, 0, "the value is missing"),
        ("0301010100000000 0000000000000000", None, 0, "two values are missing"),
        ("ff01010101010101", None, 0, "the types are cut"),
        ("ffffffff01010101", None, 1, "count beyond every cap"),
        ("ff7f000001010101", None, 1, "count beyond the cap"),
        ("0006000000000000 0000000000000000", 2, 0, "type 0"),
        ("0100000000000000 0000000000000000", None, 0, "type 0"),
        ("0106000000000000 0000000000000000", None, 0, "type 6"),
        ("010c000000000000 0000000000000000", None, 0, "type 12"),
        ("01ff000000000000 0000000000000000", None, 0, "type 255"),
        ("0109000000000000 0000000000000000", None, 0, "UNIXTIME"),
        ("0103000000000000 6162636465666768", None, 0, "text without NUL"),
        ("0103000000000000 ff00000000000000", None, 0, "text that is not UTF-8"),
        ("0104000000000000 0900000000000000 0000000000000000", None, 0, "blob beyond the data"),
        ("0104000000000000 ffffffffffffffff 0000000000000000", None, 0, "blob beyond everything"),
    ],
)
def test_parameters_that_cannot_be_read(digits: str, count: int | None, schema: int, why: str) -> None:
    with pytest.raises(DecodeError):
        decode_params_tuple(words(digits), count, schema)


@pytest.mark.parametrize("count", [MAX_PARAMS + 1, 2**32, 2**64])
def test_an_explicit_count_is_capped(count: int) -> None:
    with pytest.raises(DecodeError):
        decode_params_tuple(bytes(64), count)


def test_iso8601_parameters_are_read_as_text() -> None:
    assert decode_params_tuple(words("010a000000000000 6a756e6b00000000")) == (["junk"], 16)


@given(st.lists(INFERABLE, min_size=1, max_size=20), st.sampled_from([0, 1]), st.integers(0, 64))
def test_parameters_come_back(values: list[Any], schema: int, offset: int) -> None:
    data = encode_params_tuple(values, schema, offset)
    found, consumed = decode_params_tuple(data + b"behind", None, schema, offset)
    assert (repr(found), consumed) == (repr(values), len(data))


# ---------------------------------------------------------------- rows

HEADERS = [
    ([], ""),
    ([I], "0100000000000000"),
    ([I, N], "5100000000000000"),
    ([U, D, L], "a90b000000000000"),
    ([T] * 16, "3333333333333333"),
    ([T] * 17, "3333333333333333 0300000000000000"),
    ([B] * 15, "4444444444444404"),
    ([L] * 33, "bb" * 16 + "0b00000000000000"),
]


@pytest.mark.parametrize(("types", "digits"), HEADERS)
def test_row_headers_have_a_nibble_for_each_column(types: list[ValueType], digits: str) -> None:
    data = words(digits)
    assert encode_row_header(types) == data
    assert encode_row_header([int(kind) for kind in types]) == data  # type: ignore[misc]
    if types:
        for form in (bytes, memoryview):
            found, consumed = decode_row_header(form(data + bytes(8)), len(types))
            assert (list(found), consumed) == (types, len(data))
            assert all(type(kind) is ValueType for kind in found)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 200])
@pytest.mark.parametrize(("byte", "marker"), [(0xFF, RowMarker.DONE), (0xEE, RowMarker.PART)])
def test_markers_are_whole_words_and_come_first(count: int, byte: int, marker: RowMarker) -> None:
    assert decode_row_header(bytes([byte]) * 8, count) == (marker, 8)
    assert decode_row_header(memoryview(bytes([byte]) * 8 + bytes(200)), count) == (marker, 8)


@pytest.mark.parametrize("byte", [0xFF, 0xEE])
@pytest.mark.parametrize("torn", range(8))
def test_torn_markers_are_refused(byte: int, torn: int) -> None:
    data = bytearray([byte] * 8)
    data[torn] = 0x11
    with pytest.raises(DecodeError):
        decode_row_header(bytes(data), 16)


@pytest.mark.parametrize("nibble", [0, 6, 7, 8, 12, 13, 14, 15])
def test_unknown_nibbles_are_refused(nibble: int) -> None:
    for data in (bytes([0x10 | nibble]) + bytes(7), bytes([nibble << 4 | 1]) + bytes(7)):
        with pytest.raises(DecodeError):
            decode_row_header(data, 2)


def test_nibbles_behind_the_last_column_are_not_looked_at() -> None:
    found, consumed = decode_row_header(words("f1ffffffffffffff"), 1)
    assert (list(found), consumed) == ([I], 8)


@pytest.mark.parametrize(("size", "count"), [(0, 1), (7, 1), (8, 17), (15, 17), (16, 33), (8, 2000)])
def test_short_row_headers_are_refused(size: int, count: int) -> None:
    with pytest.raises(DecodeError):
        decode_row_header(b"\x11" * size, count)


@pytest.mark.parametrize("kind", [0, 6, 7, 8, 12, 15, 16, 255, -1, "INTEGER", None])
def test_unknown_types_are_not_written(kind: Any) -> None:
    with pytest.raises(EncodeError):
        encode_row_header([I, kind])


ROW = [5, 1.5, "hi", b"\x01", None, 1700000000, "2020-01-01", True]
ROW_TYPES = [I, F, T, B, N, U, D, L]


def test_row_values() -> None:
    data = encode_row_values(ROW, ROW_TYPES)
    assert data == words(
        "0500000000000000 000000000000f83f 6869000000000000 0100000000000000 0100000000000000"
        "0000000000000000 00f1536500000000 323032302d30312d 3031000000000000 0100000000000000"
    )
    for form in (bytes, memoryview):
        found, consumed = decode_row_values(form(data + b"more"), ROW_TYPES)
        assert (list(found), consumed) == (ROW, len(data))


@pytest.mark.parametrize(
    ("values", "types"),
    [([1], []), ([], [I]), ([1, 2], [I]), ([None], [I]), (["junk"], [D]), ([7], [L]), ([1], [T]), ([1], [6])],
)
def test_row_values_that_cannot_be_sent(values: list[Any], types: list[Any]) -> None:
    with pytest.raises(EncodeError):
        encode_row_values(values, types)


@pytest.mark.parametrize("kind", list(ValueType))
def test_short_row_values_are_refused(kind: ValueType) -> None:
    with pytest.raises(DecodeError):
        decode_row_values(bytes(8) + b"\x01" * 7, [I, kind])


def test_the_error_handler_reaches_the_cells() -> None:
    data = b"\xff" + bytes(7)
    assert list(decode_row_values(data, [T], text_errors="replace")[0]) == ["\ufffd"]
    with pytest.raises(DecodeError):
        decode_row_values(data, [T])


def test_no_columns_are_no_bytes() -> None:
    assert encode_row_values([], []) == b""
    found, consumed = decode_row_values(b"", [])
    assert (list(found), consumed) == ([], 0)
