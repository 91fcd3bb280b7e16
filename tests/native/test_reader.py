"""The native reader of rows against the plain one: the same values, types and runs, or a doubt.

`checks.check_rows` holds plain reader, tiers and native reader against each other, through the public
functions and at the seam; here are the frames that a reader in C is most likely to get wrong.
"""

from __future__ import annotations

import struct
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import DecodeError, MessageDecoder, ValueType, decode_message, speedups
from dqlitewire.limits import DEFAULT_OPTIONS
from dqlitewire.rows.read import read_names, read_rows_plainly
from dqlitewire.testing.strategies import cells
from tests.fuzz import checks
from tests.fuzz.frames import CODES, DONE, PART, WIDTHS, Codes, Frame, draw, framed, header, packed, value_of
from tests.fuzz.mutations import SIZES, damaged_rows
from tests.profiles import DEEP

I, F, T, B, N, U, D, L = CODES


def read(data: bytes) -> Any:
    """What the native reader makes of a frame, left to itself."""
    names, pos = read_names(data, len(data), DEFAULT_OPTIONS)
    return speedups.native.read_rows(data, pos, len(data), len(names))


def check(data: bytes) -> bool:
    """Hold the native reader against the plain one, at the seam and above it; tell whether it was sure."""
    names, pos = read_names(data, len(data), DEFAULT_OPTIONS)
    found = speedups.native.read_rows(data, pos, len(data), len(names))
    try:
        types, rows, more = read_rows_plainly(data, pos, len(data), len(names), DEFAULT_OPTIONS)
    except DecodeError as error:
        refused = checks.refusal(error)
    else:
        refused = ()
    if refused:
        assert found is None, "the native reader takes what is wrong"
        assert checks.outcome(data) == refused
        return False
    assert found is not None, "the native reader is in doubt"
    assert found[0] == types.changes, "other runs"
    assert checks.contents(list(types), found[1], found[2]) == checks.contents(list(types), rows, more)
    assert all(type(code) is ValueType for _, codes in found[0] for code in codes)
    return True


def filled(types: list[Codes], seed: int = 1, more: bool = False, stray: bool = False) -> Frame:
    rng = Random(seed)
    values = [tuple(value_of(code, rng) for code in codes) for codes in types]
    names = [f"c{i}" for i in range(len(types[0]))]
    return packed(names, types, values, more, rng if stray else None)


# ---------------------------------------------------------------- right frames


@st.composite
def frames(draw: Any) -> Frame:
    width = draw(st.sampled_from([1, 2, 3, 5, 15, 16, 17]))
    kinds = draw(st.lists(st.tuples(*[st.sampled_from(CODES)] * width), min_size=1, max_size=3))
    types = draw(st.lists(st.sampled_from(kinds), max_size=5))
    rows = [tuple(draw(cells(ValueType(code))) for code in codes) for codes in types]
    stray = Random(draw(st.integers(0, 99))) if draw(st.booleans()) else None
    return packed(["c"] * width, types, rows, draw(st.booleans()), stray)


@given(frames())
def test_drawn_rows_are_read_as_they_were_packed(frame: Frame) -> None:
    assert check(frame.data)
    _, rows, more = read(frame.data)
    assert checks.contents(frame.types, rows, more) == checks.expected(frame)[2]


@pytest.mark.parametrize("width", [1, 2, 15, 16, 17, 31, 32, 33, 255, 256, 257, 258, 1999, 2000])
def test_every_width_and_unused_bits(width: int) -> None:
    rng = Random(width)
    for codes in ((I,) * width, (N,) * width, tuple(rng.choice(CODES) for _ in range(width))):
        for stray in (False, True):
            assert check(filled([codes] * 3, width, more=stray, stray=stray).data)


def test_unused_bits_begin_no_run() -> None:
    for width in (1, 3, 15, 17, 31):
        data = filled([(F,) * width] * 50, stray=True).data
        assert len({data[at : at + 16] for at in range(0, len(data), 8)}) > 10
        runs, rows, _ = read(data)
        assert (len(runs), len(rows)) == (1, 50)


def flood(width: int) -> None:
    """Read more headers than are kept."""
    rng = Random(width)
    check(filled([tuple(rng.choice((I, F, N, L)) for _ in range(width)) for _ in range(1000)]).data)


@pytest.mark.parametrize("width", [1, 5, 16, 17, 40, 256])
def test_equal_types_are_one_object(width: int) -> None:
    """Writers go by the identity of types, and a million rows should not have a tuple each."""
    first, second = (I,) * width, (*(I,) * (width - 1), F)
    read(filled([first, second] * 2).data)  # a tuple that was kept before may be given up once
    runs, _, _ = read(filled([first, second] * 10).data)
    again, _, _ = read(filled([second, first] * 10).data)
    assert len(runs) == len(again) == 20
    assert len({id(types) for _, types in runs + again}) == 2


def test_types_that_take_turns_are_kept_behind_a_flood_of_others() -> None:
    """Each set of slots gives up its oldest: four that share one do not drive each other out."""
    for width in (8, 11, 14):
        rng = Random(-width)
        kinds = [tuple(rng.choice((I, F, N, L)) for _ in range(width)) for _ in range(24)]
        flood(width)
        assert len({id(types) for _, types in read(filled(kinds * 6).data)[0]}) == 24


@pytest.mark.parametrize("marker", [DONE, PART])
def test_no_columns_and_no_rows(marker: bytes) -> None:
    assert check(packed(["a"] * 7, [], [], marker == PART).data)
    data = framed(bytes(8) + marker)
    assert speedups.native.read_rows(data, 16, 24, 0) is None
    assert decode_message(data).rows == []


def test_bits_of_floats_and_exact_types() -> None:
    bits = [
        0,
        1 << 63,
        0x7FF0000000000001,
        0x7FF8000000000000,
        0xFFF8DEADBEEF0001,
        0xFFF0 << 48,
        1,
        2**64 - 1,
    ]
    body = struct.pack("<Q", 1) + b"a\0\0\0\0\0\0\0"
    body += b"".join(header((F,)) + struct.pack("<Q", word) for word in bits) + DONE
    assert check(framed(body))
    rows = read(framed(body))[1]
    assert [struct.unpack("<Q", struct.pack("<d", value))[0] for (value,) in rows] == bits
    words = [0, 1, 2, 1 << 63, 2**64 - 1]
    body = struct.pack("<Q", 2) + b"a\0\0\0\0\0\0\0" * 2
    body += b"".join(header((L, I)) + struct.pack("<QQ", word, word) for word in words) + DONE
    assert check(framed(body))
    for (flag, number), word in zip(read(framed(body))[1], words, strict=True):
        assert flag is (word != 0)
        assert type(number) is int
        assert number == word - ((word >> 63) << 64)


# ---------------------------------------------------------------- wrong frames

SHAPES: list[Codes] = [(I,), (T,), (B,), (L, T, B), (N, D, U, F), (B, B), (T, T), tuple(CODES) * 3]


@pytest.mark.parametrize("codes", SHAPES, ids=str)
def test_cut_at_every_byte_and_marker_moved(codes: Codes) -> None:
    data = filled([codes] * 3, 7).data
    start = 16 + 8 * len(codes)
    for cut in range(start, len(data)):
        short = data[:cut]
        assert speedups.native.read_rows(short, start, cut, len(codes)) is None
        for marker in (DONE, PART):
            body = short[8:] + bytes(-len(short) % 8)
            check(framed(body + marker))
            check(framed(data[8:cut] + marker + bytes(-cut % 8)))
    for end in range(start, len(data)):  # the bytes are there, and belong to what follows
        assert speedups.native.read_rows(data, start, end, len(codes)) is None


@pytest.mark.parametrize("size", [*SIZES, 2**63 + 8, 2**64 - 9, 2**64 - 15, 2**64 - 16])
def test_blobs_of_absurd_sizes(size: int) -> None:
    for codes in ((B,), (I, B), (B, I), (B, T)):
        for rows in (1, 3):
            frame = filled([codes] * rows, 3)
            for start in frame.starts:
                at = start + 8 + 8 * codes.index(B)
                check(frame.data[:at] + struct.pack("<Q", size) + frame.data[at + 8 :])


SPOILED = (
    b"\xff",
    b"\xc0\x80",
    b"\xc1\xbf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\x80",
)


@pytest.mark.parametrize("wrong", SPOILED, ids=bytes.hex)
@pytest.mark.parametrize("code", [T, D])
def test_text_is_strictly_utf_8(wrong: bytes, code: int) -> None:
    for text in (wrong, b"abc" + wrong, b"x" * 300 + wrong + b"y" * 20, "é".encode() + wrong):
        body = (
            struct.pack("<Q", 1)
            + b"a\0\0\0\0\0\0\0"
            + header((code,))
            + text
            + bytes(8 - len(text) % 8)
            + DONE
        )
        assert not check(framed(body))
        replaced = decode_message(framed(body), text_errors="replace").rows
        assert replaced == [(text.decode(errors="replace"),)]


@pytest.mark.parametrize("code", range(16))
def test_every_nibble_everywhere(code: int) -> None:
    for width in (1, 2, 16, 17, 33):
        frame = filled([(I,) * width] * 3)
        for start in frame.starts:
            for column in range(width):
                data = bytearray(frame.data)
                shift = column % 2 * 4
                data[start + column // 2] &= ~(15 << shift) & 255
                data[start + column // 2] |= code << shift
                check(bytes(data))


@pytest.mark.parametrize("seed", range(3000 if DEEP else 150))
def test_damaged_frames(seed: int) -> None:
    rng = Random(seed)
    frame = draw(rng, (1, 2, 3, 7, 16, 17) if seed % 10 else WIDTHS)
    for _ in range(20):
        data = damaged_rows(frame, rng)
        try:
            names, _ = read_names(data, len(data), DEFAULT_OPTIONS)
        except DecodeError:
            continue
        if names and data[4:6] == b"\7\0" and len(data) == 8 + 8 * int.from_bytes(data[:4], "little"):
            check(data)


def test_hostile_headers() -> None:
    """A new header in every row, far more than are kept."""
    rng = Random(5)
    for width in (10, 16, 17, 64, 256, 300):
        types = [
            tuple(rng.choice((I, F, N, L)) for _ in range(width)) for _ in range(700 if width < 20 else 40)
        ]
        assert check(filled(types, width).data)
        assert check(filled(types, width).data)


# ---------------------------------------------------------------- what the caller tells


def test_numbers_that_lie_about_the_frame() -> None:
    data = filled([(I, T)] * 3).data
    right = 32, len(data), 2
    assert speedups.native.read_rows(data, *right) is not None
    numbers = [-(2**63), -1, 0, 1, 7, 8, 9, len(data) - 8, len(data), len(data) + 1, 2**60, 2**63 - 1]
    for pos in (*numbers, 32):
        for end in (*numbers, len(data)):
            for count in (*numbers, 2):
                found = speedups.native.read_rows(data, pos, end, count)
                if (pos, end, count) != right:
                    assert found is None or (pos, end, found[1]) == (len(data) - 8, len(data), [])
    for other in (bytearray(data), memoryview(data), "text", None, 5):
        assert speedups.native.read_rows(other, *right) is None
    for wrong in ((data,), (data, 32, len(data)), (data, 32.0, len(data), 2), (data, 2**70, 5, 5)):
        with pytest.raises((TypeError, OverflowError)):
            speedups.native.read_rows(*wrong)


def test_a_stream_cut_anywhere_is_read_natively() -> None:
    rng = Random(3)
    parts = [filled([(I, T, F)] * 5, n, more=n < 3).data for n in range(4)]
    stream = b"".join(parts)
    wanted = [decode_message(part).rows for part in parts]
    for _ in range(20):
        decoder, found = MessageDecoder(), []
        cuts = sorted(rng.sample(range(len(stream)), 6))
        for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            decoder.feed(stream[a:b])
            while (message := decoder.decode_continuation() if found else decoder.decode()) is not None:
                found.append(message.rows)
                if not message.has_more:
                    break
        assert repr(found) == repr(wanted)  # NaN is not equal to itself
