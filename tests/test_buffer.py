"""Framing without messages: what a buffer holds, refuses, skips and says once it is poisoned."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import DecodeError, EncodeError, PoisonedError, ReadBuffer, StreamError, WriteBuffer
from tests.naming import shown


def frame(words: int, kind: int = 0, fill: int = 0, schema: int = 0) -> bytes:
    return words.to_bytes(4, "little") + bytes([kind, schema, 0, 0]) + bytes([fill]) * (8 * words)


A, B, C = frame(1, 1, 0xAA), frame(2, 2, 0xBB), frame(1, 3, 0xCC)
HUGE = (0xFFFFFFFF).to_bytes(4, "little") + bytes([7, 0, 0, 0])  # announces 32 GiB


def filled(*parts: bytes, max_message_size: int | None = 24) -> ReadBuffer:
    buffer = ReadBuffer(max_message_size)
    for part in parts:
        buffer.feed(part)
    return buffer


# ---------------------------------------------------------------- construction


@pytest.mark.parametrize("size", [0, -1, 0x1_0000_0000, 2**63])
def test_sizes_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(ValueError):
        ReadBuffer(size)


@pytest.mark.parametrize("size", ["64", 1.5, [64]])
def test_sizes_are_integers_or_none(size: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        ReadBuffer(size)


@pytest.mark.parametrize("size", [1, 8, 0xFFFFFFFF, None])
def test_sizes_in_range_are_accepted(size: int | None) -> None:
    assert ReadBuffer(size).available() == 0
    assert ReadBuffer(max_message_size=size).available() == 0


def test_a_new_buffer_is_empty() -> None:
    buffer = ReadBuffer()
    assert (buffer.available(), buffer.has_message(), buffer.is_poisoned, buffer.is_skipping) == (
        0,
        False,
        False,
        False,
    )
    assert buffer.peek_header() is None
    assert buffer.read_message() is None
    assert buffer.read_bytes(0) == buffer.peek_bytes(0) == b""


# ---------------------------------------------------------------- feeding and reading


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_bytes_like_objects_are_fed(form: Any) -> None:
    buffer = filled(form(A))
    assert buffer.read_message() == A


def test_what_was_fed_is_copied() -> None:
    data = bytearray(A)
    buffer = filled(data)
    data[8:] = bytes(8)
    data.clear()
    assert buffer.read_message() == A


@pytest.mark.parametrize("wrong", ["text", 5, None])
def test_only_bytes_are_fed(wrong: Any) -> None:
    buffer = filled(A[:4])
    with pytest.raises(TypeError):
        buffer.feed(wrong)
    buffer.feed(A[4:])
    assert buffer.read_message() == A


@given(st.lists(st.integers(1, 20), max_size=40))
def test_frames_do_not_depend_on_how_they_arrive(sizes: list[int]) -> None:
    stream, buffer, found, position = A + B + C + B, ReadBuffer(), [], 0
    for size in [*sizes, len(A + B + C + B)]:
        buffer.feed(stream[position : position + size])
        position += size
        while (message := buffer.read_message()) is not None:
            found.append(message)
    assert found == [A, B, C, B]
    assert buffer.available() == 0


def test_available_counts_unread_bytes() -> None:
    buffer = filled(A, B[:10])
    assert buffer.available() == 26
    assert buffer.read_message() == A
    assert buffer.available() == 10


def test_messages_are_bytes() -> None:
    buffer = filled(bytearray(A))
    assert type(buffer.read_message()) is bytes


def test_a_frame_without_a_body_is_a_frame() -> None:
    buffer = filled(frame(0, 4), A)
    assert buffer.has_message()
    assert (buffer.read_message(), buffer.read_message()) == (frame(0, 4), A)


def test_has_message_wants_the_whole_frame() -> None:
    buffer = ReadBuffer()
    for byte in A[:-1]:
        buffer.feed(bytes([byte]))
        assert not buffer.has_message()
        assert buffer.read_message() is None
    buffer.feed(A[-1:])
    assert buffer.has_message()


def test_peek_header_leaves_everything_in_place() -> None:
    buffer = filled(frame(2, 7, schema=1)[:7])
    assert buffer.peek_header() is None
    buffer.feed(frame(2, 7, schema=1)[7:8])
    assert buffer.peek_header() == (2, 7, 1) == buffer.peek_header()
    assert buffer.available() == 8


def test_the_reserved_half_word_is_not_looked_at() -> None:
    odd = A[:6] + b"\xff\xff" + A[8:]
    buffer = filled(odd)
    assert buffer.peek_header() == (1, 1, 0)
    assert buffer.read_message() == odd


def test_read_and_peek_bytes_are_exact_or_none() -> None:
    buffer = filled(b"abcdef")
    assert buffer.peek_bytes(7) is None
    assert buffer.read_bytes(7) is None
    assert buffer.peek_bytes(2) == b"ab" == buffer.peek_bytes(2)
    assert buffer.read_bytes(2) == b"ab"
    assert buffer.read_bytes(4) == b"cdef"
    assert buffer.read_bytes(1) is None
    for read in (buffer.read_bytes, buffer.peek_bytes):
        with pytest.raises(ValueError):
            read(-1)


# ---------------------------------------------------------------- the cap


def test_the_cap_bounds_one_frame_header_included() -> None:
    assert filled(B, max_message_size=24).read_message() == B
    with pytest.raises(DecodeError):
        filled(B, max_message_size=23).read_message()


def test_several_legal_frames_may_wait() -> None:
    buffer = filled(*[B] * 100, max_message_size=24)
    assert [buffer.read_message() for _ in range(100)] == [B] * 100


def test_none_lifts_the_cap() -> None:
    buffer = filled(HUGE, max_message_size=None)
    assert not buffer.has_message()
    assert buffer.read_message() is None
    assert buffer.peek_header() == (0xFFFFFFFF, 7, 0)


def test_an_oversized_frame_is_said_at_its_header_and_changes_nothing() -> None:
    buffer = filled(HUGE)
    assert buffer.has_message()
    for call in (buffer.read_message, buffer.peek_header, buffer.read_message):
        with pytest.raises(DecodeError) as caught:
            call()
        assert caught.value.limit == 24
    assert buffer.available() == 8
    assert not buffer.is_poisoned


def test_announcing_32_gib_costs_nothing() -> None:
    tracemalloc.start()
    try:
        for cap in (None, 24):
            buffer = filled(HUGE, max_message_size=cap)
            buffer.has_message()
            buffer.available()
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------- skipping


def test_skip_drops_the_next_frame() -> None:
    buffer = filled(A, B)
    assert buffer.skip_message() is True
    assert not buffer.is_skipping
    assert buffer.read_message() == B
    assert buffer.skip_message() is False


def test_skip_waits_for_a_header() -> None:
    buffer = filled(A[:5])
    assert buffer.skip_message() is False
    assert not buffer.is_skipping
    buffer.feed(A[5:])
    assert buffer.skip_message() is True


def test_skip_of_a_small_incomplete_frame_ends_when_it_is_gone() -> None:
    buffer = filled(A[:12])
    assert buffer.skip_message() is False
    buffer.feed(A[12:] + B)
    assert buffer.skip_message() is True
    assert buffer.read_message() == B


@pytest.mark.parametrize("step", [1, 7, 8, 100, 5000])
def test_skip_of_an_oversized_frame_holds_nothing_and_the_stream_goes_on(step: int) -> None:
    big = frame(1000, 9, 0x99)
    stream = big + A + B
    buffer = ReadBuffer(24)
    buffer.feed(stream[:8])
    with pytest.raises(DecodeError):
        buffer.read_message()
    assert buffer.skip_message() is False
    assert buffer.is_skipping
    done = False
    for start in range(8, len(stream), step):
        buffer.feed(stream[start : start + step])
        assert buffer.available() <= len(A + B)
        done = done or buffer.skip_message()
    assert done
    assert not buffer.is_skipping
    assert (buffer.read_message(), buffer.read_message(), buffer.read_message()) == (A, B, None)


def test_skip_says_true_once_when_a_feed_swallowed_the_last_bytes() -> None:
    big = frame(1000)
    buffer = filled(big[:100])
    assert buffer.skip_message() is False
    buffer.feed(big[100:])
    assert buffer.skip_message() is True
    assert buffer.skip_message() is False
    buffer.feed(A + B)
    assert buffer.skip_message() is True
    assert buffer.read_message() == B


def test_while_skipping_nothing_is_there_to_read() -> None:
    buffer = filled(frame(1000)[:100])
    buffer.skip_message()
    assert buffer.is_skipping
    assert buffer.available() == 0
    assert not buffer.has_message()
    assert buffer.read_message() is None
    assert buffer.peek_header() is None


def test_skip_drops_exactly_the_frame_when_it_is_all_there() -> None:
    buffer = filled(frame(1000) + A)
    with pytest.raises(DecodeError):
        buffer.read_message()
    assert buffer.skip_message() is True
    assert not buffer.is_skipping
    assert buffer.read_message() == A


def test_skip_in_a_row() -> None:
    buffer = filled(frame(1000) + frame(500) + A)
    assert buffer.skip_message() is True
    with pytest.raises(DecodeError):
        buffer.read_message()
    assert buffer.skip_message() is True
    assert buffer.read_message() == A


def test_skipping_32_gib_holds_nothing() -> None:
    buffer = filled(HUGE)
    assert buffer.skip_message() is False
    chunk = bytes(1 << 16)
    tracemalloc.start()
    try:
        for _ in range(256):
            buffer.feed(chunk)
            assert buffer.available() == 0
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()
    assert buffer.is_skipping


# ---------------------------------------------------------------- poison and reset

USES: list[Callable[[ReadBuffer], Any]] = [
    lambda buffer: buffer.feed(b"x"),
    lambda buffer: buffer.feed(b""),
    lambda buffer: buffer.read_message(),
    lambda buffer: buffer.peek_header(),
    lambda buffer: buffer.skip_message(),
    lambda buffer: buffer.read_bytes(1),
    lambda buffer: buffer.peek_bytes(1),
]


@pytest.mark.parametrize("use", USES)
def test_a_poisoned_buffer_refuses_use_and_names_the_cause(use: Callable[[ReadBuffer], Any]) -> None:
    buffer = filled(A)
    cause = DecodeError("the first")
    buffer.poison(cause)
    buffer.poison(DecodeError("the second"))
    for _ in range(2):
        with pytest.raises(PoisonedError) as caught:
            use(buffer)
        assert caught.value.__cause__ is cause
        assert isinstance(caught.value, StreamError)


def test_what_a_poisoned_buffer_still_says() -> None:
    buffer = filled(A)
    buffer.poison(DecodeError("x"))
    assert buffer.is_poisoned
    assert buffer.available() == 16
    assert buffer.has_message() in (True, False)
    assert buffer.is_skipping is False


@pytest.mark.parametrize("method", ["reset", "clear"])
def test_reset_empties_and_heals(method: str) -> None:
    buffer = filled(A, B[:10])
    buffer.poison(DecodeError("x"))
    getattr(buffer, method)()
    assert (buffer.is_poisoned, buffer.available(), buffer.has_message()) == (False, 0, False)
    buffer.feed(C)
    assert buffer.read_message() == C


@pytest.mark.parametrize("method", ["reset", "clear"])
def test_reset_ends_a_skip(method: str) -> None:
    buffer = filled(frame(1000)[:100])
    buffer.skip_message()
    getattr(buffer, method)()
    assert not buffer.is_skipping
    buffer.feed(A)
    assert buffer.read_message() == A


def test_the_memory_of_read_frames_is_given_back() -> None:
    buffer = ReadBuffer()
    tracemalloc.start()
    try:
        for _ in range(2000):
            buffer.feed(frame(1000) + frame(1000)[:4000])
            assert buffer.read_message() is not None
            buffer.feed(frame(1000)[4000:])
            assert buffer.read_message() is not None
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert buffer.available() == 0


# ---------------------------------------------------------------- WriteBuffer


def test_writes_are_joined() -> None:
    buffer = WriteBuffer()
    assert (len(buffer), buffer.getvalue()) == (0, b"")
    buffer.write(b"abc")
    buffer.write(bytearray(b"de"))
    buffer.write(memoryview(b"f"))
    assert (len(buffer), buffer.getvalue()) == (6, b"abcdef")
    assert type(buffer.getvalue()) is bytes
    buffer.clear()
    assert (len(buffer), buffer.getvalue()) == (0, b"")


@pytest.mark.parametrize("size", range(18))
def test_write_padded_pads_its_own_payload(size: int) -> None:
    buffer = WriteBuffer()
    buffer.write(b"x")
    buffer.write_padded(b"y" * size)
    assert buffer.getvalue() == b"x" + b"y" * size + bytes(-size % 8)


@pytest.mark.parametrize("method", ["write", "write_padded"])
@pytest.mark.parametrize("wrong", ["text", 5, None])
def test_only_bytes_are_written(method: str, wrong: Any) -> None:
    buffer = WriteBuffer()
    with pytest.raises((TypeError, EncodeError)):
        getattr(buffer, method)(wrong)
    assert buffer.getvalue() == b""


def test_a_value_is_a_copy() -> None:
    buffer, data = WriteBuffer(), bytearray(b"abc")
    buffer.write(data)
    value = buffer.getvalue()
    data[0] = 0
    buffer.write(b"d")
    assert value == b"abc"
    assert buffer.getvalue() == b"abcd"


@pytest.mark.parametrize("size", [1000, 16])
def test_a_view_with_gaps_is_fed_like_its_bytes(size: int) -> None:
    buffer = ReadBuffer(size)
    if size == 16:
        buffer.feed(frame(9)[:8])
        assert buffer.skip_message() is False
        buffer.feed(memoryview(bytes(144))[::2])
        assert buffer.skip_message() is True
    spread = bytes(byte for pair in zip(A, A, strict=True) for byte in pair)
    buffer.feed(memoryview(spread)[::2])
    assert buffer.read_message() == A


@pytest.mark.parametrize("data", ["", "abc", None, [], [1], 5, object()], ids=shown)
def test_what_is_no_bytes_is_refused_and_nothing_changes(data: object) -> None:
    buffer, written = ReadBuffer(), WriteBuffer()
    buffer.feed(A)
    written.write(b"a")
    for call in (buffer.feed, written.write, written.write_padded, buffer.poison):
        with pytest.raises(TypeError, match="needed"):
            call(data)  # type: ignore[operator]
    assert buffer.read_message() == A
    assert written.getvalue() == b"a"
