"""The native writers of rows and parameters against the plain ones: the same bytes, or a doubt.

`tests/rows/test_write.py` runs natively as well, through the public functions; here each writer is left to
itself, so that Python cannot make good what it gets wrong.
"""

from __future__ import annotations

import enum
import math
import struct
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import EncodeError, Limits, ValueType, encode_message, speedups
from dqlitewire.limits import DEFAULT_OPTIONS
from dqlitewire.messages import ExecRequest, RowsResponse
from dqlitewire.rows.params import pack_params
from dqlitewire.rows.write import write_row_plainly
from dqlitewire.testing.strategies import cells
from tests.fuzz import checks
from tests.fuzz.frames import CODES, types_of, value_of
from tests.profiles import DEEP

I, F, T, B, N, U, D, L = map(ValueType, CODES)


class Text(str):
    __slots__ = ()


class Number(enum.IntEnum):
    SEVEN = 7


class Real(float):
    __slots__ = ()


class Bytes(bytes):
    __slots__ = ()


class Row(tuple[Any, ...]):
    __slots__ = ()


TEXTS = [
    "",
    "a",
    "sevench",
    "eightchr",
    "naïve",
    "日本語" * 90,
    "x" * 256,
    "é" * 257,
    "😀" * 5000,
    "\x01\x7f\x80\uffff",
]
EXACT: list[Any] = [
    *(0, 1, -1, 255, 256, 2**31, -(2**31) - 1, 2**53, 2**63 - 1, -(2**63)),
    *(0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 5e-324, -math.nan),
    *TEXTS,
    *(b"", b"a", bytes(7), bytes(8), bytes(9), b"\xff" * 70_000),
    *(None, True, False),
]
DOUBTFUL: list[Any] = [
    *(2**63, -(2**63) - 1, 2**64, 10**400),
    *("a\0", "\0", "x" * 300 + "\0" + "y" * 300, "\ud800", "x\udfff" * 200, "é\0" * 200),
    *(Text("a"), Number.SEVEN, Real(1.5), Bytes(b"a"), bytearray(b"a"), memoryview(b"a")),
    *(object(), 1j, [], (), {}, int, ValueType.TEXT, NotImplemented, ...),
]


def plain_params(values: list[Any], schema: int) -> bytes | None:
    try:
        return pack_params(values, schema, DEFAULT_OPTIONS, "")
    except EncodeError:
        return None


def plain_rows(rows: list[Any], types: list[Any] | None, count: int) -> bytes | None:
    """What the plain writer makes of rows; types are one tuple for each, or None."""
    try:
        return b"".join(
            write_row_plainly(row, None if types is None else types[n], count, n, DEFAULT_OPTIONS)
            for n, row in enumerate(rows)
        )
    except EncodeError:
        return None


def runs_of(types: list[Any]) -> list[tuple[int, Any]]:
    return [(n, kinds) for n, kinds in enumerate(types) if not n or kinds is not types[n - 1]]


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize("schema", [0, 1])
def test_parameters_of_exact_types(schema: int) -> None:
    for values in ([value] for value in EXACT):
        assert speedups.native.write_params(values, schema) == plain_params(values, schema) is not None
    rng = Random(schema)
    for count in (*range(1, 20), 255, 256, 300, 3000):
        values = rng.choices([*EXACT[:-4], None, True], k=count)
        found = speedups.native.write_params(values, schema)
        assert found == (None if schema == 0 and count > 255 else plain_params(values, schema))


@given(
    st.lists(st.one_of(*(cells(kind) for kind in (I, F, T, B, N, L))), min_size=1, max_size=70),
    st.sampled_from([0, 1]),
)
def test_drawn_parameters(values: list[Any], schema: int) -> None:
    assert speedups.native.write_params(values, schema) == plain_params(values, schema) is not None


@pytest.mark.parametrize("value", DOUBTFUL, ids=lambda value: type(value).__name__)
def test_what_is_doubted_in_parameters(value: Any) -> None:
    for values in ([value], [1, value], [value, "text"], ["x" * 1000, value, b"y"]):
        for schema in (0, 1):
            assert speedups.native.write_params(values, schema) is None


def test_no_other_arguments() -> None:
    for values in ((1, 2), None, "text", Row((1, 2)), iter([1])):
        assert speedups.native.write_params(values, 1) is None
    for schema in (-1, 2, 2**62):
        assert speedups.native.write_params([1], schema) is None
    for wrong in (([1],), ([1], 1, 2), ([1], "1"), ([1], 2**90)):
        with pytest.raises((TypeError, OverflowError)):
            speedups.native.write_params(*wrong)


# ---------------------------------------------------------------- rows


@pytest.mark.parametrize("seed", range(1000 if DEEP else 60))
def test_rows_of_every_pattern(seed: int) -> None:
    rng = Random(seed)
    width = rng.choice((1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 300))
    known: dict[Any, Any] = {}
    types = [
        known.setdefault(kinds, tuple(map(ValueType, kinds)))
        for kinds in types_of(width, rng.randrange(1, 60), rng)
    ]
    rows = [tuple(None if rng.random() < 0.1 else value_of(code, rng) for code in kinds) for kinds in types]
    written = speedups.native.write_rows(rows, runs_of(types), width)
    assert written == plain_rows(rows, types, width) is not None
    inferred = speedups.native.write_rows(rows, [(0, None)], width)
    assert inferred == plain_rows(rows, None, width) is not None
    declared = speedups.native.write_rows(rows, [(0, types[0])], width)
    wanted = plain_rows(rows, [types[0]] * len(rows), width)
    assert declared in (None, wanted)  # True for INTEGER is taken by the plain writer alone


@pytest.mark.parametrize("kind", list(ValueType))
def test_every_type_with_every_value(kind: ValueType) -> None:
    for value in EXACT + DOUBTFUL:
        row = [(1, value, "x")]
        found = speedups.native.write_rows(row, [(0, (I, kind, T))], 3)
        plain = plain_rows(row, [(I, kind, T)], 3)
        assert found in (None, plain)
        right = any(value is exact for exact in EXACT) and type(value) in (
            {I: int, U: int, F: float, T: str, D: str, B: bytes, L: bool}.get(kind),
            type(None),
        )
        assert (found is not None) == right


@given(st.data())
def test_drawn_rows_are_written_and_read_back(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 18))
    kinds = data.draw(
        st.lists(st.tuples(*[st.sampled_from(list(ValueType))] * width), min_size=1, max_size=3)
    )
    types = data.draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=6))
    rows = [tuple(data.draw(cells(code)) for code in codes) for codes in types]
    written = speedups.native.write_rows(rows, runs_of(types), width)
    assert written == plain_rows(rows, types, width) is not None
    runs, found, _ = speedups.native.read_rows(written + b"\xff" * 8, 0, len(written) + 8, width)
    seen = [codes for codes, row in zip(types, rows, strict=True)]
    assert repr(found) == repr(rows)
    expanded = [
        runs[[n for n, (first, _) in enumerate(runs) if first <= at][-1]][1] for at in range(len(rows))
    ]
    for codes, row, got in zip(seen, rows, expanded, strict=True):
        assert got == tuple(N if value is None else code for code, value in zip(codes, row, strict=True))


def test_rows_that_are_not_as_they_should_be() -> None:
    write, types = speedups.native.write_rows, (I, T)
    right = [(1, "a"), (2, "b")]
    assert write(right, [(0, types)], 2) == write(right, [(0, list(types))], 2) is not None
    for rows in (
        *([(1, "a"), (2,)], [(1, "a"), (2, "b", 3)], [(1, "a"), ()], [(1, "a"), [2, "b"]], [Row((1, "a"))]),
        *([None], [1], (), ((1, "a"),), None, "text", [(1, "a"), None]),
    ):
        assert write(rows, [(0, types)], 2) is None
    for runs in (
        *([], [None], [(0,)], [(0, types, 1)], [[0, types]], [(1, types)], [(-1, types)], [("0", types)]),
        *(
            [(0, types), (0, types)],
            [(0, types), (-5, types)],
            [(0, types), None],
            [(0, types), (2**70, types)],
        ),
        *(
            [(0, (I,))],
            [(0, (I, T, T))],
            [(0, (1, 3))],
            [(0, (I, None))],
            [(0, 5)],
            [(0, "IT")],
            [(True, types)],
        ),
        *(None, (), ((0, types),)),
    ):
        assert write(right, runs, 2) is None, runs
    assert write(right, [(0, types), (9, None)], 2) is not None  # a run that no row reaches
    for count in (-1, 0, 1, 3, 2**31, 2**62):
        assert write(right, [(0, types)], count) is None
    for wrong in ((right,), (right, [], 2, 3), (right, [(0, types)], "2"), (right, [(0, types)], 2**80)):
        with pytest.raises((TypeError, OverflowError)):
            write(*wrong)


def test_errors_and_caps_are_those_of_python() -> None:
    """Of a doubt in row 70 of 100 as well: rows are written again, and the words are the plain writer's."""

    def outcome(native: bool, value: Any, **caps: Any) -> Any:
        rows = [(1, "text")] * 100
        rows[70] = (1, value)
        with checks.native(native):
            try:
                return encode_message(RowsResponse(["a", "b"], [I, T], [], rows), **caps)
            except EncodeError as error:
                return str(error), error.path, error.limit

    for value in ("a\0b", "\ud800", 5, 2**70, Text("sub"), bytearray(b"x"), None, "long" * 9):
        for caps in ({}, {"limits": Limits(max_text_value_size=20)}):
            assert outcome(True, value, **caps) == outcome(False, value, **caps)


class Same:
    """Equal to everything, and of every class; neither may be asked."""

    __class__ = tuple  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise AssertionError

    def __hash__(self) -> int:
        raise AssertionError


def test_what_is_alike() -> None:
    alike, types, same = speedups.native.alike, (I, T), Same()
    for items, one, of_one_type in (
        ([], True, True),
        ([types], True, True),
        ([types] * 300, True, True),
        ([types, (I, T)], False, True),
        ([types] * 299 + [list(types)], False, False),
        ([()] * 299 + [Row()], False, False),
        ([same, same], True, True),
        ([same, Same()], False, True),
        ([(), same], False, False),
        ([1, True], False, False),
    ):
        assert alike(items, False) is one, items
        assert alike(items, True) is of_one_type, items
    for wrong in (([],), ([], True, 1), ((), True), (None, True), (iter([1]), False)):
        with pytest.raises(TypeError):
            alike(*wrong)


def test_messages_of_rows_are_made_alike() -> None:
    """Whatever is given as rows and their types: the same message, or the same words."""

    def outcome(native: bool, rows: Any, types: Any) -> Any:
        with checks.native(native):
            try:
                message = RowsResponse(["a", "b"], [I, T], types(), rows())
                return message.rows, list(map(type, message.rows)), list(message.row_types), message.encode()
            except EncodeError as error:
                return str(error), error.path, error.limit

    pair: Any = (1, "a")
    for rows in (
        *(list, lambda: [pair], lambda: [pair] * 3, lambda: (pair, (2, "b")), lambda: iter([pair] * 2)),
        *(lambda: [pair, list(pair)], lambda: [list(pair)], lambda: [pair, Row(pair)], lambda: [Row(pair)]),
        *(
            lambda: [pair, iter(pair)],
            lambda: ((1, "a") for _ in range(3)),
            lambda: [pair, "ab"],
            lambda: ["ab"],
        ),
        *(lambda: [pair, {1: 2}], lambda: [pair, {1, "a"}], lambda: [pair, None], lambda: [pair, Same()]),
        *(lambda: [pair, (1,)], lambda: [pair, ()], lambda: [pair, (1, "a", 2)], lambda: [tuple, pair]),
    ):
        for types in (
            *(list, lambda: [(I, T)], lambda: [(I, T)] * 2, lambda: [[I, T]] * 3, lambda: [(I, T), (I, T)]),
            *(lambda: [[I, T], (I, T), [I, T]], lambda: [(I, T), (I,)], lambda: [(I, T), None]),
            *(
                lambda: iter([(I, T)] * 2),
                lambda: [iter((I, T))],
                lambda: [(I, T), Same()],
                lambda: [(1, 3)] * 2,
            ),
        ):
            assert outcome(True, rows, types) == outcome(False, rows, types)


def test_what_python_keeps_of_a_text() -> None:
    """Of a long text that is not ASCII no second copy stays behind."""
    import sys

    long, short = "é" * 300, "é" * 200
    before = sys.getsizeof(long)
    assert speedups.native.write_params([long, short], 0) == plain_params([long, short], 0)
    assert speedups.native.write_rows([(long, short)], [(0, None)], 2) is not None
    assert sys.getsizeof(long) == before


def test_parameters_changed_behind_the_messages_back() -> None:
    message = ExecRequest(0, 0, [1, "a"])
    message.params[:] = [2.5] * 3
    assert message.encode() == ExecRequest(0, 0, [2.5] * 3).encode()
    assert struct.pack("<d", 2.5) in message.encode()
