"""Fast writers of parameters and rows, generated and native, against the plain ones: the same bytes, or the
same refusal.
"""

from __future__ import annotations

import enum
import mmap
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import EncodeError, Limits, Message, ValueType, decode_message, encode_message, speedups
from dqlitewire.header import ROW_DONE, ROW_PART
from dqlitewire.limits import DEFAULT_OPTIONS, Options
from dqlitewire.messages import ExecRequest, ExecSqlRequest, QueryRequest, QuerySqlRequest, RowsResponse
from dqlitewire.rows import params as rows_params
from dqlitewire.rows import shapes as writers
from dqlitewire.rows import write
from dqlitewire.rows.params import pack_params
from dqlitewire.scalars import U64, pack_text
from tests.fuzz import checks
from tests.fuzz.checks import Unlimited
from tests.fuzz.frames import BLOBS, CODES, FLOATS, INTEGERS, TEXTS, codes_of, near, types_of, value_of

TEMPERATURES = {"as it is": writers.HEAT, "hot": 1, "cold": 1 << 60}
if speedups.name == "native":
    TEMPERATURES["native"] = writers.HEAT
I, F, T, B, N, U, D, L = map(ValueType, CODES)


@pytest.fixture(params=TEMPERATURES, autouse=True)
def shapes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test runs with shapes compiled when they are hot, at once, and never; and natively."""

    def made() -> writers.Shapes:
        shapes = writers.Shapes(TEMPERATURES[request.param])
        if request.param in ("hot", "cold"):
            shapes.credit = Unlimited(1, 1 << 60)
        return shapes

    monkeypatch.setattr(write, "row_shapes", made())
    monkeypatch.setattr(rows_params, "chunk_shapes", made())
    monkeypatch.setattr(rows_params, "params_shapes", (made(), made()))
    with checks.native(request.param == "native"):
        yield


def result(encode: Callable[[], bytes]) -> Any:
    try:
        return encode()
    except EncodeError as error:
        return str(error), error.path, error.limit


# ---------------------------------------------------------------- values of every sort


class Number(enum.IntEnum):
    SEVEN = 7
    LARGE = 2**63


class Text(str):
    __slots__ = ()


class Real(float):
    __slots__ = ()


class Bytes(bytes):
    __slots__ = ()


EXACT: list[Any] = [None, True, False, *INTEGERS, *FLOATS, *TEXTS, *BLOBS]
UNUSUAL: list[Any] = [
    Number.SEVEN,
    Text("text"),
    Real(0.5),
    Bytes(b"bytes"),
    bytearray(b"array"),
    memoryview(b"view of bytes")[3:7],
    memoryview(b"every second")[::2],
]
REFUSED: list[Any] = [
    2**63,
    -(2**63) - 1,
    Number.LARGE,
    10**30,
    "a\0b",
    "\0",
    "lone \ud800",
    Text("a\0b"),
    object(),
    1j,
    [1],
    (),
    memoryview(b"12345678").cast("Q"),
]


def drawn_values(rng: Random, count: int) -> list[Any]:
    return [value_of(rng.choice((1, 2, 3, 4, 5, 11)), rng) for _ in range(count)]


def lists_of_values() -> list[list[Any]]:
    rng = Random(3)
    found: list[list[Any]] = [[]]
    for value in (*EXACT, *UNUSUAL, *REFUSED):
        found += [[value], [1, "x", value], [value, value, b"x"], [1] * 70 + [value], [value] * 64 + [None]]
    for count in (1, 2, 3, 5, 8, 20, 63, 64, 65, 128, 129, 200, 254, 255, 256, 300, 1000):
        values = drawn_values(rng, count)
        found += [values, [*values[:-1], rng.choice(UNUSUAL)], [values[0]] * count, [0, "row"] * (count // 2)]
        found += [[*values[: count // 2], rng.choice(REFUSED), *values[count // 2 :]]]
    return found


# ---------------------------------------------------------------- parameters


def params_by_both(message: Any, options: Options) -> tuple[Any, Any]:
    path = f"{type(message).__name__}.params"
    plain = result(lambda: pack_params(message.params, message.schema, options, path))
    return result(lambda: rows_params.write_params(message, message._form, options)), plain


@pytest.mark.parametrize("schema", [None, 1])
def test_parameters_are_written_as_the_plain_writer_writes_them(schema: int | None) -> None:
    for values in lists_of_values():
        if not values:
            continue
        for _ in range(3):  # cold, warm, hot
            message = ExecRequest(1, 2, values, schema=schema)
            fast, plain = params_by_both(message, DEFAULT_OPTIONS)
            assert fast == plain
        assert (type(plain) is tuple) is any(value in REFUSED for value in values if type(value) is not float)
        if type(plain) is bytes:
            assert message.encode_body()[8:] == plain
            assert len(plain) % 8 == 0


@pytest.mark.parametrize("cls", [ExecRequest, QueryRequest, ExecSqlRequest, QuerySqlRequest])
def test_every_request_with_parameters_carries_them(cls: Any) -> None:
    for values in ([1], ["a", None, 2.5, b"x", True], list(range(300))):
        for _ in range(20):
            message = cls(1, 2 if cls in (ExecRequest, QueryRequest) else "SELECT", values)
            fast, plain = params_by_both(message, DEFAULT_OPTIONS)
            assert fast == plain
            assert message.encode().endswith(plain)
            found = decode_message(message.encode(), is_request=True)
            assert (found, found.params) == (message, values)


@pytest.mark.parametrize("cap", ["max_text_value_size", "max_blob_size", "max_param_count"])
def test_caps_of_parameters_on_either_side_of_the_limit(cap: str) -> None:
    for value, size in (("x" * 100, 100), ("é" * 50, 100), (b"x" * 100, 100), (bytearray(100), 100)):
        for values in ([value], [1, value], [1] * 99 + [value]):
            for _ in range(3):
                message = ExecRequest(1, 2, values)
                for limit in (99, 100, 101):
                    options = Options(Limits(**{cap: limit}))
                    got = result(lambda m=message, o=options: encode_message(m, limits=o.limits))
                    measured = {"max_param_count": len(values)}.get(
                        cap, size if isinstance(value, str) is (cap == "max_text_value_size") else 0
                    )
                    assert (type(got) is tuple) is (measured > limit)
                    if measured > limit:
                        assert got[2] == limit
                        assert got[1].startswith("ExecRequest.params")
                    else:
                        assert got.endswith(pack_params(values, 0, options, ""))


def test_parameters_changed_behind_the_messages_back_are_checked_again() -> None:
    for _ in range(20):
        message = ExecRequest(1, 2, [1, 2])
        message.params.append(object())  # type: ignore[attr-defined]
        with pytest.raises(EncodeError, match=r"ExecRequest.params\[2\]"):
            message.encode()
        message.params[:] = [0] * 256  # type: ignore[index]
        with pytest.raises(EncodeError, match="256 parameters, at most 255 in schema 0"):
            message.encode()


ALL = [*EXACT, *UNUSUAL, *REFUSED]
any_value = st.integers(0, len(ALL) - 1).map(ALL.__getitem__)


@given(st.lists(any_value, min_size=1, max_size=80), st.sampled_from([None, 1]))
def test_drawn_parameters(values: list[Any], schema: int | None) -> None:
    message = ExecRequest(1, 2, values, schema=schema)
    for _ in range(2):
        fast, plain = params_by_both(message, DEFAULT_OPTIONS)
        assert fast == plain


def test_a_mapped_file_is_a_blob() -> None:
    with mmap.mmap(-1, 16) as mapped:
        mapped[:] = b"0123456789abcdef"
        for values in ([mapped], [1, mapped]):
            fast, plain = params_by_both(ExecRequest(1, 2, values), DEFAULT_OPTIONS)
            assert fast == plain
            assert fast.endswith(b"0123456789abcdef")


# ---------------------------------------------------------------- rows


def rows_by_both(message: RowsResponse, options: Options = DEFAULT_OPTIONS) -> tuple[Any, Any]:
    """What is written of a ROWS body, and what the plain writer makes of each row."""
    count = len(message.column_names)
    if len(message.row_types):
        declared: list[Any] = list(message.row_types)
    else:
        declared = [tuple(message.column_types) or None] * len(message.rows)

    def plainly() -> bytes:
        parts = [U64.pack(count)]
        parts += [pack_text(name, options.max_column_name_size, "") for name in message.column_names]
        for number, (row, types) in enumerate(zip(message.rows, declared, strict=True)):
            parts.append(write.write_row_plainly(row, types, count, number, options))
        return b"".join([*parts, ROW_PART if message.has_more else ROW_DONE])

    return result(lambda: b"".join(write.write_rows(message, options))), result(plainly)


def check_rows(message: RowsResponse) -> Any:
    for _ in range(3):
        fast, plain = rows_by_both(message)
        assert fast == plain
    return plain


def names(width: int) -> list[str]:
    return [f"c{i}" for i in range(width)]


WIDTHS = (1, 2, 3, 5, 7, 8, 15, 16, 17, 33, 63, 64, 65, 300, 2000)


@pytest.mark.parametrize("width", WIDTHS)
def test_rows_of_every_pattern(width: int) -> None:
    rng = Random(width)
    for _ in range(8 if width < 100 else 1):
        types = [tuple(map(ValueType, row)) for row in types_of(width, 60 if width < 100 else 4, rng)]
        values = [tuple(value_of(code, rng) for code in row) for row in types]
        for declared in (types, []):
            message = RowsResponse(names(width), [], declared, values, rng.random() < 0.5)
            assert type(check_rows(message)) is bytes
            if declared:
                found = decode_message(message.encode())
                assert list(found.row_types) == types
                assert repr(found.rows) == repr(values)


@pytest.mark.parametrize("kind", ValueType)
def test_every_type_with_every_value(kind: ValueType) -> None:
    """What a type does not hold is refused, at the right place, also behind rows that were written."""
    good = {code: value_of(code, Random(1)) for code in ValueType}
    for value in (*EXACT, *UNUSUAL, *REFUSED):
        for before in (0, 1, 20):
            values = [(good[kind], 1)] * before + [(value, 1)] + [(good[kind], 2)] * 3
            check_rows(RowsResponse(["a", "b"], [kind, I], [], values))
            check_rows(RowsResponse(["a", "b"], [], [(kind, I)] * len(values), values))
            check_rows(RowsResponse(["a", "b"], [], [], values))


def test_none_is_null_whatever_is_declared() -> None:
    for kind in ValueType:
        for values in ([(None,)] * 40, [(value_of(kind, Random(1)),), (None,)] * 20):
            message = RowsResponse(["a"], [kind], [], values)
            assert type(check_rows(message)) is bytes
            found = decode_message(message.encode())
            wanted = [(N,) if value is None else (kind,) for (value,) in values]
            assert list(found.row_types) == wanted
            assert found.rows == values


def test_rows_of_another_width() -> None:
    for odd in ((), (1,), (1, 2, 3)):
        for before in (0, 1, 40):
            message = RowsResponse(["a", "b"], [], [], [(1, 2)] * before + [odd] + [(3, 4)])
            plain = check_rows(message)
            assert plain[1] == f"RowsResponse.rows[{before}]"
    for width in (1, 2, 3):  # and where those widths have writers of their own
        check_rows(RowsResponse(names(width), [], [], [(1,) * width] * 40))
    for width, odd in ((1, (1, 2)), (2, (1,)), (3, (1, 2)), (2, (1, 2, 3))):
        assert check_rows(RowsResponse(names(width), [], [], [odd]))[1] == "RowsResponse.rows[0]"


def test_kinds_that_take_turns() -> None:
    rng = Random(9)
    base = codes_of(4, rng)
    kinds = [base, near(base, rng), (5, 5, 5, 5), (3, 3, 3, 3), (1, 2, 3, 4)]
    rows = [tuple(value_of(code, rng) for code in kinds[n % len(kinds)]) for n in range(200)]
    assert type(check_rows(RowsResponse(names(4), [], [], rows))) is bytes


@pytest.mark.parametrize("cap", ["max_text_value_size", "max_blob_size", "max_rows"])
def test_caps_of_rows_on_either_side_of_the_limit(cap: str) -> None:
    for value, code in (("x" * 100, T), ("é" * 50, D), (b"x" * 100, B)):
        for values in (
            [(value, 1)],
            [(value[:1], 1)] * 30 + [(value, 1)],
            [(value[:1], 1)] * 98 + [(value, 1)] * 2,
        ):
            for declared in ([], [(code, I)] * len(values)):
                message = RowsResponse(["a", "b"], [], declared, values)
                measured = (
                    len(values)
                    if cap == "max_rows"
                    else 100
                    if (code is B) is (cap == "max_blob_size")
                    else 0
                )
                for limit in (99, 100, 101):
                    limits = Limits(**{cap: limit})
                    for _ in range(2):
                        got = result(lambda m=message, o=limits: encode_message(m, limits=o))
                        assert (type(got) is tuple) is (measured > limit)
                        assert got == message.encode() if measured <= limit else got[2] == limit


@pytest.mark.parametrize(
    ("wrong", "types"), [("long" * 9, (I, T)), ("a\0", (I, T)), (5, (I, T)), ("a", (I, None)), ("a", (I,))]
)
def test_the_first_row_that_is_wrong_is_named(wrong: Any, types: Any) -> None:
    """Whoever writes the rows before it, and whatever is wrong with a later one."""
    encode_message(RowsResponse(["a", "b"], [I, T], [], [(1, "a")] * 100))  # as it is, shapes are hot now
    for value, position, cap in (("x" * 30, 1, "max_text_value_size"), (b"x" * 30, 0, "max_blob_size")):
        declared = [I, T] if position else [B, T]
        right = (1, "a") if position else (b"", "a")
        rows = [right] * 100
        rows[70] = (1, value) if position else (value, "a")
        rows[80] = (right[0], wrong)
        row_types = [declared] * 80 + [types if position or types != (I, T) else declared] * 20
        message = RowsResponse(["a", "b"], declared, row_types, rows)
        with pytest.raises(EncodeError, match="got 30 bytes, at most 20") as caught:
            encode_message(message, limits=Limits(**{cap: 20}))
        assert caught.value.path == f"RowsResponse.rows[70][{position}]"


def test_what_was_decoded_is_written_back() -> None:
    rng = Random(11)
    for width in (1, 3, 8, 20):
        types = [tuple(map(ValueType, row)) for row in types_of(width, 100, rng)]
        values = [tuple(value_of(code, rng) for code in row) for row in types]
        data = RowsResponse(names(width), [], types, values).encode()
        for _ in range(3):
            message = decode_message(data)
            assert isinstance(message, RowsResponse)
            assert message.encode() == data


# ---------------------------------------------------------------- what it may cost


def every_shapes() -> list[writers.Shapes]:
    return [*rows_params.params_shapes, rows_params.chunk_shapes, write.row_shapes]


def test_the_shapes_that_are_kept_are_bounded() -> None:
    for shapes in every_shapes():
        shapes.compiled.entries, shapes.cold.entries = 8, 20
    rng = Random(1)
    for _ in range(60):
        for message in messages_of_new_shapes(rng):
            for _ in range(2):
                message.encode()
            for shapes in every_shapes():
                assert len(shapes.compiled) <= 8
                assert len(shapes.cold) <= 20


def messages_of_new_shapes(rng: Random) -> list[Message]:
    few, many = drawn_values(rng, 6), drawn_values(rng, 70)
    types = [tuple(rng.choice((I, F, T, B, N, L)) for _ in few) for _ in range(3)]
    rows = [tuple(value_of(code, rng) for code in row) for row in types]
    return [
        ExecRequest(1, 2, few),
        ExecRequest(1, 2, few, schema=1),
        ExecRequest(1, 2, many),
        RowsResponse(names(6), [], types, rows),
        RowsResponse(names(6), [], [], rows),
    ]
