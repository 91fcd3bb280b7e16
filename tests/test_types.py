"""Words, doubles, text, blobs and typed values: interface and bytes of protocol.md 2 and 5.5."""

from __future__ import annotations

import array
import datetime
import decimal
import fractions
import mmap
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import DecodeError, EncodeError, ValueType
from dqlitewire.types import (
    NULL_CELL_WIDTH,
    decode_blob,
    decode_double,
    decode_int64,
    decode_text,
    decode_uint32,
    decode_uint64,
    decode_value,
    encode_blob,
    encode_double,
    encode_int64,
    encode_text,
    encode_uint32,
    encode_uint64,
    encode_value,
    pad_to_word,
)
from tests.naming import shown

I, F, T, B, N, U, D, L = (
    ValueType[name] for name in ["INTEGER", "FLOAT", "TEXT", "BLOB", "NULL", "UNIXTIME", "ISO8601", "BOOLEAN"]
)
CAP = 64 * 1024 * 1024 - 64
FORMS = [bytes, memoryview]
each_form = pytest.mark.parametrize("form", FORMS)


class IntSubclass(int):
    pass


class FloatSubclass(float):
    pass


class StrSubclass(str):
    __slots__ = ()


class ActsAsInt:
    def __index__(self) -> int:
        return 1

    def __int__(self) -> int:
        return 1


class ActsAsFloat:
    def __float__(self) -> float:
        return 1.0


def zero_padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


# ---------------------------------------------------------------- words


@pytest.mark.parametrize("size", [*range(26), 4079, 4080, 2**32 + 1])
def test_pad_to_word_completes_a_word(size: int) -> None:
    assert 0 <= pad_to_word(size) < 8
    assert (size + pad_to_word(size)) % 8 == 0


WORDS: list[tuple[Callable[[int], bytes], Callable[..., int], str, int, int]] = [
    # encode, decode, struct format, lowest, highest
    (encode_uint64, decode_uint64, "<Q", 0, 2**64 - 1),
    (encode_int64, decode_int64, "<q", -(2**63), 2**63 - 1),
    (encode_uint32, decode_uint32, "<I", 0, 2**32 - 1),
]
each_word = pytest.mark.parametrize(("encode", "decode", "layout", "lowest", "highest"), WORDS)


@each_word
def test_integers_are_little_endian(encode: Any, decode: Any, layout: str, lowest: int, highest: int) -> None:
    for value in (lowest, lowest + 1, 0, 1, 0x12345678, highest - 1, highest, IntSubclass(5)):
        data = encode(value)
        assert data == struct.pack(layout, value)
        for form in FORMS:
            assert decode(form(data)) == value
            assert decode(form(data + b"more")) == value


@each_word
def test_integers_out_of_range_are_refused(
    encode: Any, decode: Any, layout: str, lowest: int, highest: int
) -> None:
    for value in (lowest - 1, highest + 1, -(2**70), 2**70):
        with pytest.raises(EncodeError):
            encode(value)


@each_word
@pytest.mark.parametrize("value", [True, False, None, 1.0, "1", b"1", ActsAsInt(), decimal.Decimal(1)])
def test_only_int_is_an_integer(
    encode: Any, decode: Any, layout: str, lowest: int, highest: int, value: object
) -> None:
    with pytest.raises(EncodeError):
        encode(value)


@each_word
def test_short_integers_are_refused(encode: Any, decode: Any, layout: str, lowest: int, highest: int) -> None:
    for size in range(struct.calcsize(layout)):
        with pytest.raises(DecodeError):
            decode(bytes(size))


@pytest.mark.parametrize("decode", [decode_uint64, decode_int64, decode_double])
def test_the_label_is_in_the_error(decode: Any) -> None:
    with pytest.raises(DecodeError, match="leader id"):
        decode(b"short", label="leader id")
    with pytest.raises(DecodeError, match=decode.__name__.removeprefix("decode_")):
        decode(b"short")


# ---------------------------------------------------------------- doubles


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1.5, -1e308, 5e-324, float("inf"), float("-inf"), FloatSubclass(2.5)]
)
def test_doubles_are_ieee_754_little_endian(value: float) -> None:
    data = encode_double(value)
    assert data == struct.pack("<d", value)
    for form in FORMS:
        assert repr(decode_double(form(data + b"more"))) == repr(float(value))


def test_nan_keeps_its_bits() -> None:
    for bits in (b"\0\0\0\0\0\0\xf8\x7f", b"\x01\0\0\0\0\0\xf8\xff"):
        assert encode_double(decode_double(bits)) == bits


@pytest.mark.parametrize(
    "value", [1, True, None, "1.0", decimal.Decimal(1), fractions.Fraction(1), ActsAsFloat()]
)
def test_only_float_is_a_double(value: object) -> None:
    with pytest.raises(EncodeError):
        encode_double(value)  # type: ignore[arg-type]


def test_short_doubles_are_refused() -> None:
    for size in range(8):
        with pytest.raises(DecodeError):
            decode_double(bytes(size))


# ---------------------------------------------------------------- text

TEXTS = [
    ("", "0000000000000000"),
    ("a", "6100000000000000"),
    ("abcdefg", "6162636465666700"),
    ("abcdefgh", "61626364656667680000000000000000"),
    ("ü", "c3bc000000000000"),
    ("𝄞𝄞", "f09d849ef09d849e0000000000000000"),
    (StrSubclass("sub"), "7375620000000000"),
]


@pytest.mark.parametrize(("text", "digits"), TEXTS)
def test_text_ends_in_nul_and_fills_words(text: str, digits: str) -> None:
    data = bytes.fromhex(digits)
    assert encode_text(text) == data
    for form in FORMS:
        assert decode_text(form(data)) == (text, len(data))
        assert decode_text(form(data + b"followed by something")) == (text, len(data))


def test_text_of_each_length_around_a_word() -> None:
    for length in range(40):
        data = encode_text("x" * length)
        assert len(data) == 8 * (length // 8 + 1)
        assert decode_text(data) == ("x" * length, len(data))


@pytest.mark.parametrize("value", ["a\0b", "\0", "lone \ud800", "\udcff", None, b"bytes", 5, ["a"]])
def test_text_that_cannot_be_sent(value: Any) -> None:
    with pytest.raises(EncodeError):
        encode_text(value)


def test_text_size_is_counted_in_bytes() -> None:
    assert encode_text("ü" * 4, max_size=8) == encode_text("ü" * 4)
    with pytest.raises(EncodeError):
        encode_text("ü" * 4, max_size=7)
    with pytest.raises(EncodeError, match="column name"):
        encode_text("too long", max_size=1, label="column name")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "nothing"),
        (b"abcdefgh", "no NUL"),
        (b"abc", "no NUL, no whole word"),
        (b"abc\0", "padding is missing"),
        (b"abc\0\0\0\0", "padding is short by one"),
        (b"\xff\0\0\0\0\0\0\0", "not UTF-8"),
        (b"\xed\xa0\x80\0\0\0\0\0", "an encoded surrogate"),
    ],
)
@each_form
def test_text_that_cannot_be_read(data: bytes, why: str, form: Any) -> None:
    with pytest.raises(DecodeError):
        decode_text(form(data))


def test_text_padding_is_not_looked_at() -> None:
    assert decode_text(b"ab\0\xff\xfe\xfd\xfc\xfb") == ("ab", 8)


def test_text_over_its_cap_is_refused_on_reading() -> None:
    data = encode_text("x" * 20)
    assert decode_text(data, max_size=20) == ("x" * 20, 24)
    with pytest.raises(DecodeError):
        decode_text(data, max_size=19)
    with pytest.raises(DecodeError):
        decode_text(data, max_size=0)


def test_a_text_cap_bounds_the_search() -> None:
    with pytest.raises(DecodeError):
        decode_text(b"x" * 100 + bytes(4), max_size=50)


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        ("replace", "a\ufffdb"),
        ("ignore", "ab"),
        ("backslashreplace", r"a\xffb"),
        ("surrogateescape", "a\udcffb"),
    ],
)
def test_text_with_an_error_handler(handler: str, text: str) -> None:
    assert decode_text(b"a\xffb\0\0\0\0\0", errors=handler) == (text, 8)


# ---------------------------------------------------------------- blobs


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100])
@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_blobs_have_a_length_and_zero_padding(size: int, form: Any) -> None:
    content = bytes(range(1, size + 1))
    data = encode_blob(form(content))
    assert data == struct.pack("<Q", size) + zero_padded(content)
    for read in FORMS:
        found, consumed = decode_blob(read(data + b"more"))
        assert (found, consumed, type(found)) == (content, len(data), bytes)


def test_blob_padding_is_not_looked_at() -> None:
    assert decode_blob(struct.pack("<Q", 2) + b"ab\xff\xff\xff\xff\xff\xff") == (b"ab", 16)


@pytest.mark.parametrize("value", ["text", None, 5, [1, 2], array.array("B", [1])])
def test_only_bytes_are_a_blob(value: Any) -> None:
    with pytest.raises(EncodeError):
        encode_blob(value)


def test_blob_caps_are_inclusive_both_ways() -> None:
    data = encode_blob(bytes(10), max_blob_size=10)
    assert decode_blob(data, max_blob_size=10) == (bytes(10), 24)
    with pytest.raises(EncodeError):
        encode_blob(bytes(11), max_blob_size=10)
    with pytest.raises(DecodeError):
        decode_blob(data, max_blob_size=9)


def test_the_cap_of_a_blob_is_checked_before_its_length() -> None:
    with pytest.raises(DecodeError) as caught:
        decode_blob(struct.pack("<Q", 1 << 62))
    assert caught.value.limit == CAP
    assert str(CAP) in str(caught.value) or str(1 << 62) in str(caught.value)


@pytest.mark.parametrize("data", [b"", bytes(7), struct.pack("<Q", 1), struct.pack("<Q", 9) + bytes(8)])
def test_short_blobs_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_blob(data)


def test_a_blob_over_the_default_cap_is_refused_without_a_copy() -> None:
    with mmap.mmap(-1, CAP + 1) as huge, memoryview(huge) as view:
        with pytest.raises(EncodeError):
            encode_blob(view)
        with pytest.raises(EncodeError):
            encode_value(view)
        with pytest.raises(EncodeError):
            encode_value(huge, B)


# ---------------------------------------------------------------- values

VALUES = [
    # value, inferred type, bytes
    (None, N, bytes(8)),
    (True, L, struct.pack("<Q", 1)),
    (False, L, bytes(8)),
    (0, I, bytes(8)),
    (-1, I, b"\xff" * 8),
    (2**63 - 1, I, struct.pack("<q", 2**63 - 1)),
    (-(2**63), I, struct.pack("<q", -(2**63))),
    (1.5, F, struct.pack("<d", 1.5)),
    ("hi", T, b"hi\0\0\0\0\0\0"),
    ("", T, bytes(8)),
    (b"", B, bytes(8)),
    (b"\x01\x02", B, bytes.fromhex("02000000000000000102000000000000")),
    (bytearray(b"\x01"), B, bytes.fromhex("01000000000000000100000000000000")),
    (memoryview(b"\x01"), B, bytes.fromhex("01000000000000000100000000000000")),
]


@pytest.mark.parametrize(("value", "kind", "data"), VALUES)
def test_types_are_inferred(value: Any, kind: ValueType, data: bytes) -> None:
    assert encode_value(value) == (data, kind)
    assert type(encode_value(value)[1]) is ValueType
    assert encode_value(value, kind) == (data, kind)


EXPLICIT = [
    # value, type, bytes
    (0, L, bytes(8)),
    (1, L, struct.pack("<Q", 1)),
    (IntSubclass(1), L, struct.pack("<Q", 1)),
    (5, U, struct.pack("<q", 5)),
    (-5, U, struct.pack("<q", -5)),
    ("2020-01-01", D, b"2020-01-01\0\0\0\0\0\0"),
    ("2020-01-01 10:11:12.345678+02:00", D, b"2020-01-01 10:11:12.345678+02:00" + bytes(8)),
    ("2020-01-01T10:11", D, b"2020-01-01T10:11" + bytes(8)),
    ("10:11:12", D, b"10:11:12" + bytes(8)),
    (memoryview(b"ab").cast("c"), B, struct.pack("<Q", 2) + b"ab" + bytes(6)),
    (memoryview(b"ab").cast("b"), B, struct.pack("<Q", 2) + b"ab" + bytes(6)),
    (FloatSubclass(1.5), F, struct.pack("<d", 1.5)),
]


@pytest.mark.parametrize(("value", "kind", "data"), EXPLICIT)
def test_explicit_types(value: Any, kind: ValueType, data: bytes) -> None:
    assert encode_value(value, kind) == (data, kind)


REFUSED = [
    # value, type (None: inferred)
    *(
        (value, None)
        for value in (datetime.datetime(2020, 1, 1), datetime.date(2020, 1, 1), decimal.Decimal(1))
    ),
    *(
        (value, None)
        for value in (array.array("B", [1]), fractions.Fraction(1), [], {}, object(), ActsAsInt(), 1j)
    ),
    (2**63, None),
    (-(2**63) - 1, None),
    ("a\0b", None),
    ("\ud800", None),
    (memoryview(array.array("I", [1])), None),
    (memoryview(array.array("I", [1])), B),
    (memoryview(array.array("d", [1.0])), B),
    *((value, N) for value in (0, False, "", b"", 0.0)),
    *((None, kind) for kind in ValueType if kind is not N),
    *((value, L) for value in (5, -1, 2, "x", 1.0, b"\x01", ActsAsInt(), "1")),
    *((value, kind) for kind in (I, U) for value in (True, False, 1.0, "1", b"1", 2**63, ActsAsInt())),
    *((value, F) for value in (1, True, "1.0", decimal.Decimal(1), ActsAsFloat())),
    *((value, T) for value in (1, b"a", True, "a\0", "\udcff")),
    *(
        (value, D)
        for value in (1, b"2020-01-01", "", "junk", "2020-13-01", "25:00:00", "2020-01-01\0", "now")
    ),
    *((value, B) for value in ("text", 1, True, [1], array.array("B", [1]))),
    *((1, kind) for kind in (0, 6, 7, 8, 12, 15, 255, -1)),
    (1, "INTEGER"),
]


@pytest.mark.parametrize(("value", "kind"), REFUSED, ids=shown)
def test_values_that_cannot_be_sent(value: Any, kind: Any) -> None:
    with pytest.raises(EncodeError):
        encode_value(value, kind) if kind is not None else encode_value(value)


def test_a_mapped_file_is_a_blob() -> None:
    with mmap.mmap(-1, 4096) as mapped:
        mapped[:3] = b"abc"
        data, kind = encode_value(mapped)
        assert (decode_blob(data), kind) == ((b"abc" + bytes(4093), 4104), B)
        assert encode_value(mapped, B) == (data, B)


@pytest.mark.parametrize("kind", [None, B])
def test_a_closed_map_or_released_view_is_an_encode_error_with_its_cause(kind: ValueType | None) -> None:
    mapped = mmap.mmap(-1, 4096)
    mapped.close()
    view = memoryview(b"abc")
    view.release()
    for gone in (mapped, view):
        with pytest.raises(EncodeError) as caught:
            encode_value(gone, kind)
        assert isinstance(caught.value.__cause__, ValueError)


READ = [
    # type, bytes, value
    (I, b"\xff" * 8, -1),
    (U, b"\xff" * 8, -1),
    (F, struct.pack("<d", -0.0), -0.0),
    (L, bytes(8), False),
    (L, struct.pack("<Q", 1), True),
    (L, struct.pack("<Q", 7), True),
    (L, b"\xff" * 8, True),
    (L, struct.pack("<Q", 1 << 63), True),
    (N, bytes(8), None),
    (N, b"\xff" * 8, None),
    (T, b"junk\0\0\0\0", "junk"),
    (D, b"junk\0\0\0\0", "junk"),
    (D, bytes(8), ""),
    (B, bytes(8), b""),
]


@pytest.mark.parametrize(("kind", "data", "value"), READ)
@each_form
def test_values_are_read_by_their_type(kind: ValueType, data: bytes, value: Any, form: Any) -> None:
    for found, consumed in (decode_value(form(data), kind), decode_value(form(data + bytes(8)), kind)):
        assert (repr(found), consumed) == (repr(value), len(data))


@pytest.mark.parametrize("kind", list(ValueType))
def test_short_values_are_refused(kind: ValueType) -> None:
    for size in range(8):
        with pytest.raises(DecodeError):
            decode_value(b"\x01" * size, kind)


@pytest.mark.parametrize("kind", [0, 6, 7, 8, 12, 15, 255])
def test_unknown_types_are_refused(kind: Any) -> None:
    with pytest.raises(DecodeError):
        decode_value(bytes(16), kind)


def test_null_is_a_word() -> None:
    assert NULL_CELL_WIDTH == len(encode_value(None)[0]) == decode_value(bytes(8), N)[1]


def test_the_error_handler_reaches_text() -> None:
    for kind in (T, D):
        assert decode_value(b"\xff\0\0\0\0\0\0\0", kind, text_errors="replace") == ("\ufffd", 8)
        with pytest.raises(DecodeError):
            decode_value(b"\xff\0\0\0\0\0\0\0", kind)


INFERABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    st.binary(),
)


@given(INFERABLE, st.binary(max_size=20))
def test_values_come_back(value: Any, behind: bytes) -> None:
    data, kind = encode_value(value)
    assert len(data) % 8 == 0
    found, consumed = decode_value(data + behind, kind)
    assert (repr(found), consumed) == (repr(value), len(data))
