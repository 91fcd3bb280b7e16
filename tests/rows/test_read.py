"""Decoders and encoders that are made for row shapes, against the plain public functions.

Everything here runs twice: with every shape cold, and with every shape compiled at its first row.
"""

from __future__ import annotations

import functools
import itertools
import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import DecodeError, Message, RowMarker, ValueType, decode_message
from dqlitewire.messages import ExecRequest, RowsResponse
from dqlitewire.rows import tiers as rows_module
from dqlitewire.testing.strategies import cells, params
from dqlitewire.tuples import (
    decode_row_header,
    decode_row_values,
    encode_params_tuple,
    encode_row_header,
    encode_row_values,
)
from dqlitewire.types import decode_text, encode_text
from tests.fuzz import checks

REPEAT = 40
SAMPLES: dict[ValueType, list[Any]] = {
    ValueType.INTEGER: [0, -1, 2**63 - 1],
    ValueType.FLOAT: [0.0, 1.5, float("inf")],
    ValueType.TEXT: ["", "seven..", "eight...", "ünï"],
    ValueType.BLOB: [b"", b"\xff" * 7, b"\xee" * 8, bytes(9)],
    ValueType.NULL: [None],
    ValueType.UNIXTIME: [0, 1_700_000_000],
    ValueType.ISO8601: ["2020-01-01", "2020-01-01 10:11:12"],
    ValueType.BOOLEAN: [True, False],
}


@pytest.fixture(autouse=True, scope="module", params=["cold", "compiled"])
def tiers(request: pytest.FixtureRequest) -> Iterator[rows_module.Tiers]:
    made = checks.hot() if request.param == "compiled" else checks.cold()
    with checks.using(made):
        yield made


def frame(body: bytes) -> bytes:
    return struct.pack("<IBBH", len(body) // 8, 7, 0, 0) + body


def plainly_encoded(
    names: list[str], types: list[tuple[ValueType, ...]], rows: list[tuple[Any, ...]]
) -> bytes:
    parts = [struct.pack("<Q", len(names)), *map(encode_text, names)]
    for kinds, row in zip(types, rows, strict=True):
        parts += [encode_row_header(kinds), encode_row_values(row, kinds)]
    return frame(b"".join(parts) + b"\xff" * 8)


def plainly_decoded(
    data: bytes,
) -> tuple[list[str], list[tuple[ValueType, ...]], list[tuple[Any, ...]], bool]:
    """A ROWS frame by the public functions alone; whatever is wrong is a DecodeError."""
    (count,) = struct.unpack_from("<Q", data, 8)
    if count > 2000 or 24 + 8 * count > len(data):
        raise DecodeError("columns")
    names: list[str] = []
    types: list[tuple[ValueType, ...]] = []
    rows: list[tuple[Any, ...]] = []
    pos = 16
    for _ in range(count):
        name, size = decode_text(data[pos:], max_size=4096)
        names.append(name)
        pos += size
    while True:
        kinds, size = decode_row_header(data[pos:], count)
        pos += size
        if isinstance(kinds, RowMarker):
            if pos != len(data):
                raise DecodeError("trailing bytes")
            return names, types, rows, kinds is RowMarker.PART
        if not count:
            raise DecodeError("a row without columns")
        row, size = decode_row_values(data[pos:], kinds)
        pos += size
        types.append(tuple(kinds))
        rows.append(tuple(row))


def outcome(data: bytes) -> str:
    try:
        found = decode_message(data)
    except DecodeError:
        return "refused"
    assert isinstance(found, RowsResponse)
    return repr((found.column_names, [tuple(t) for t in found.row_types], found.rows, found.has_more))


def plain_outcome(data: bytes) -> str:
    try:
        return repr(plainly_decoded(data))
    except DecodeError:
        return "refused"


def rows_of(data: bytes) -> list[tuple[Any, ...]]:
    """The rows of a ROWS frame, as `decode_message` reads them."""
    message = decode_message(data)
    assert isinstance(message, RowsResponse)
    return message.rows


def check(data: bytes) -> None:
    wanted = plain_outcome(data)
    assert outcome(data) == wanted
    assert outcome(data) == wanted  # warm


# ---------------------------------------------------------------- every signature

SIGNATURES = [
    *itertools.product(ValueType, repeat=1),
    *itertools.product(ValueType, repeat=2),
    *random.Random(5).sample(list(itertools.product(ValueType, repeat=3)), 60),
    *([kind] * width for kind in ValueType for width in (7, 8, 15, 16, 17, 33)),
    [ValueType.INTEGER] * 300,
]


def sample_rows(signature: Any, count: int = REPEAT) -> list[tuple[Any, ...]]:
    return [tuple(SAMPLES[kind][n % len(SAMPLES[kind])] for kind in signature) for n in range(count)]


def names_for(signature: Any) -> list[str]:
    return [f"c{n}" for n in range(len(signature))]


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda s: "-".join(kind.name[:3] for kind in s)[:40])
def test_every_signature(signature: Any) -> None:
    signature = tuple(signature)
    rows = sample_rows(signature)
    data = plainly_encoded(names_for(signature), [signature] * len(rows), rows)
    check(data)
    message = RowsResponse(names_for(signature), list(signature), [signature] * len(rows), rows)
    assert message.encode() == data
    assert message.encode() == data
    found = decode_message(data)
    assert isinstance(found, RowsResponse)
    assert repr(found.rows) == repr(rows)
    assert found.encode() == data


@pytest.mark.parametrize("signature", SIGNATURES[8:72:3], ids=str)
def test_every_cut_of_a_warm_signature_is_refused(signature: Any) -> None:
    signature = tuple(signature)
    rows = sample_rows(signature, 20)
    data = plainly_encoded(names_for(signature), [signature] * len(rows), rows)
    check(data)
    for end in range(24, len(data), 8):
        check(frame(data[8:end]))
        check(frame(data[8:end] + data[-8:]))


def test_signatures_that_take_turns() -> None:
    signatures = [tuple(s) for s in SIGNATURES[8:72]]
    types = [signatures[n // run % len(signatures)] for run in (1, 3, 20) for n in range(300)]
    rows = [sample_rows(kinds, n % 4 + 1)[-1] for n, kinds in enumerate(types)]
    data = plainly_encoded(["a", "b"], types, rows)
    check(data)
    assert RowsResponse(["a", "b"], [], types, rows).encode() == data


def test_meaningless_bits_of_a_row_header_change_nothing() -> None:
    clean: list[tuple[ValueType, ...]] = [(ValueType.INTEGER,)] * REPEAT
    data = bytearray(plainly_encoded(["a"], clean, [(n,) for n in range(REPEAT)]))
    for n in range(REPEAT):
        data[24 + 16 * n] |= (n % 16) << 4
        data[25 + 16 * n : 32 + 16 * n] = bytes([n]) * 7
    check(bytes(data))


def test_stale_bytes_behind_blobs_and_text_change_nothing() -> None:
    kinds = (ValueType.BLOB, ValueType.TEXT)
    data = bytearray(plainly_encoded(["a", "b"], [kinds] * REPEAT, [(b"x", "y")] * REPEAT))
    for n in range(REPEAT):
        start = 32 + 32 * n
        data[start + 17 : start + 24] = b"\xff" * 7
        data[start + 26 : start + 32] = b"\xee" * 6
    check(bytes(data))
    assert rows_of(bytes(data)) == [(b"x", "y")] * REPEAT


# ---------------------------------------------------------------- drawn ones


def cells_that_encode_value_takes(kind: ValueType) -> st.SearchStrategy[Any]:
    return st.just("2020-01-01") if kind is ValueType.ISO8601 else cells(kind)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[list[str], list[tuple[ValueType, ...]], list[tuple[Any, ...]]]:
    width = draw(st.integers(1, 6))
    signatures = draw(st.lists(st.tuples(*[st.sampled_from(ValueType)] * width), min_size=1, max_size=3))
    types: list[tuple[ValueType, ...]] = []
    rows: list[tuple[Any, ...]] = []
    for kinds in draw(st.lists(st.sampled_from(signatures), min_size=1, max_size=4)):
        drawn = draw(st.lists(st.tuples(*map(cells_that_encode_value_takes, kinds)), min_size=1, max_size=3))
        repeated = drawn * draw(st.sampled_from([1, 1, 20]))
        types += [kinds] * len(repeated)
        rows += repeated
    return [f"c{n}" for n in range(width)], types, rows


@given(bodies())
def test_drawn_rows(drawn: Any) -> None:
    names, types, rows = drawn
    data = plainly_encoded(names, types, rows)
    check(data)
    message = RowsResponse(names, list(types[0]), types, rows)
    assert message.encode() == data
    assert decode_message(data).encode() == data


WORDS = [b"\xff" * 8, b"\xee" * 8, bytes(8), b"\x11" * 8, struct.pack("<Q", 2**63), b"\xff" * 7 + b"\x01"]


@given(bodies(), st.data())
def test_drawn_rows_with_words_changed(drawn: Any, data: st.DataObject) -> None:
    body = bytearray(plainly_encoded(*drawn)[8:])
    for _ in range(data.draw(st.integers(1, 3))):
        at = 8 * data.draw(st.integers(0, len(body) // 8 - 1))
        how = data.draw(st.sampled_from(["replace", "remove", "insert", "flip"]))
        if how == "replace":
            body[at : at + 8] = data.draw(st.sampled_from(WORDS))
        elif how == "remove" and len(body) > 32:
            del body[at : at + 8]
        elif how == "insert":
            body[at:at] = data.draw(st.sampled_from(WORDS))
        else:
            body[min(at + data.draw(st.integers(0, 7)), len(body) - 1)] ^= 1 << data.draw(st.integers(0, 7))
    check(frame(bytes(body)))


@given(params(300), st.sampled_from([None, 1]))
def test_drawn_parameters(values: list[Any], schema: int | None) -> None:
    used = (1 if len(values) > 255 else 0) if schema is None else schema
    wanted = bytes(8) + encode_params_tuple(values, used, 8)
    message: Message = ExecRequest(0, 0, values, schema=schema)  # type: ignore[arg-type]  # None: by default
    assert message.encode_body() == wanted
    assert message.encode_body() == wanted
    assert repr(ExecRequest.decode_body(wanted, used).params) == repr(values)


@pytest.mark.parametrize("signature", SIGNATURES[:72:2], ids=str)
def test_parameters_of_every_kind_warm(signature: Any) -> None:
    kinds = [kind for kind in signature if kind not in (ValueType.UNIXTIME, ValueType.ISO8601)]
    for row in sample_rows(kinds):
        wanted = bytes(8) + encode_params_tuple(row, 0, 8)
        assert ExecRequest(0, 0, row).encode_body() == wanted
        assert repr(ExecRequest.decode_body(wanted).params) == repr(list(row))


def test_values_of_other_classes_are_told_apart_when_warm() -> None:
    class Text(str):
        __slots__ = ()

    for value in [1] * 50 + [True, Text("x"), 1.5, None, 2, False, b"", bytearray(b"x"), 1]:
        assert ExecRequest(0, 0, [value]).encode_body() == bytes(8) + encode_params_tuple([value], 0, 8)


# ---------------------------------------------------------------- rows of equal lengths

EQUAL: list[tuple[tuple[ValueType, ...], tuple[Any, ...]]] = [
    ((ValueType.TEXT,), ("a word",)),
    ((ValueType.TEXT,), ("",)),
    ((ValueType.TEXT,), ("\u00fcn\u00ef 8",)),
    ((ValueType.BLOB,), (b"12345678",)),
    ((ValueType.BLOB,), (b"",)),
    ((ValueType.INTEGER, ValueType.TEXT), (7, "eight...")),
    ((ValueType.TEXT, ValueType.TEXT, ValueType.NULL), ("one", "three", None)),
    ((ValueType.BLOB, ValueType.TEXT, ValueType.BOOLEAN), (b"\xff" * 9, "x", True)),
    ((ValueType.TEXT, ValueType.BLOB, ValueType.FLOAT, ValueType.ISO8601), ("k", b"\0", 1.5, "2020-01-01")),
    ((ValueType.INTEGER,) * 15 + (ValueType.TEXT, ValueType.TEXT), (1,) * 15 + ("a", "b")),
]


@functools.cache  # of some dozens
def equal_rows(types: tuple[ValueType, ...], row: tuple[Any, ...], height: int) -> bytes:
    return plainly_encoded(names_for(types), [types] * height, [row] * height)


def learned(types: tuple[ValueType, ...], row: tuple[Any, ...], height: int = 40) -> bytes:
    """A frame of equal rows, read until whatever can be guessed from it is guessed."""
    data = equal_rows(types, row, height)
    for _ in range(4):
        assert rows_of(data) == [row] * height
    return data


@pytest.mark.parametrize(("types", "row"), EQUAL)
def test_rows_of_equal_lengths_are_read_by_columns(
    types: tuple[ValueType, ...], row: tuple[Any, ...], tiers: rows_module.Tiers
) -> None:
    data = learned(types, row)
    if tiers.heat == 1:
        assert any(uniform.plan is not None and uniform.types == types for uniform in checks.plans_of(tiers))
    check(data)


@pytest.mark.parametrize(("types", "row"), EQUAL)
def test_a_guess_that_does_not_hold_changes_nothing(
    types: tuple[ValueType, ...], row: tuple[Any, ...]
) -> None:
    body = learned(types, row)[8:]
    rows_at = 8 + 8 * len(types)
    stride = (len(body) - 8 - rows_at) // 40
    some = random.Random(7).sample(range(stride), min(stride, 40))
    for number in (0, 20, 39):
        start = rows_at + number * stride
        for at in (start + n for n in some):
            for byte in (0, 1, 0x41, 0xC3, 0xFF):
                check_once(frame(body[:at] + bytes([byte]) + body[at + 1 :]), types, row)
        for at in range(start, start + min(stride, 64), 8):
            for word in (*WORDS, None):
                changed = body[:at] + (word or b"") + body[at + 8 :]
                check_once(frame(changed), types, row)


def check_once(data: bytes, types: tuple[ValueType, ...], row: tuple[Any, ...]) -> None:
    assert outcome(data) == plain_outcome(data)
    if rows_module.tiers.heat == 1:  # guesses are given up after a few misses
        for uniform in checks.plans_of(rows_module.tiers):
            uniform._misses = 0
            if uniform.plan is None:
                learned(types, row)
                break


@given(st.sampled_from(EQUAL), st.data())
def test_drawn_rows_between_equal_ones(chosen: Any, data: st.DataObject) -> None:
    types, row = chosen
    learned(types, row)
    rows = [row] * 60
    for _ in range(data.draw(st.integers(1, 3))):
        rows[data.draw(st.integers(0, 59))] = data.draw(st.tuples(*map(cells_that_encode_value_takes, types)))
    check(plainly_encoded(names_for(types), [types] * 60, rows))
