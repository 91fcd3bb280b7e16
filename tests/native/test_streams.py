"""A decoder that reads the frames of a row stream where they lie: caps, poison and bytes as in Python."""

from __future__ import annotations

import gc
import signal
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from dqlitewire import ConcurrentUseError, Limits, MessageDecoder, PoisonedError, speedups
from tests.fuzz import checks, rounds
from tests.fuzz.frames import DONE, Frame, draw, framed, packed
from tests.interrupts import interrupt, places_of
from tests.profiles import DEEP

INTEGERS = (1,)


def part(rows: int, more: bool = True, names: tuple[str, ...] = ("a",)) -> bytes:
    types = [INTEGERS * len(names)] * rows
    return packed(list(names), types, [(7,) * len(names)] * rows, more).data


def counted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each call of the native reader of parts, whether it was sure."""
    native, calls = speedups.native, []

    def read_part(*given: Any) -> Any:
        found = native.read_part(*given)
        calls.append(found is not None)
        return found

    monkeypatch.setattr(speedups, "native", SimpleNamespace(**{**vars(native), "read_part": read_part}))
    monkeypatch.setattr(speedups, "read_part", read_part)
    return calls


def test_every_frame_but_the_first_is_read_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch)
    decoder = MessageDecoder()
    decoder.feed(part(5) * 9 + part(5, more=False) + part(1))
    assert decoder.decode() is not None
    for _ in range(9):
        assert decoder.decode_continuation().rows == [(7,)] * 5
    assert calls == [True] * 9
    assert decoder.available() == len(part(1))


@pytest.mark.parametrize("cap", ["max_rows", "max_total_rows", "max_continuation_frames", "max_message_size"])
def test_caps_on_either_side_of_the_limit(cap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [part(2), part(6), part(3), part(1, more=False)]
    size = len(part(6))
    near = range(size - 17, size + 17) if cap == "max_message_size" else range(1, 16)
    endings = {checks.check_stream(pieces, **{cap: limit})[-2][0] for limit in near}
    assert endings == {"refused", "rows"}
    calls = counted(monkeypatch)
    checks.stream_outcome(pieces)
    assert calls == [True] * 3


@pytest.mark.parametrize("cap", ["max_blob_size", "max_text_value_size"])
def test_caps_of_values_on_either_side_of_the_limit(cap: str) -> None:
    value, code = ("x" * 100, 3) if cap == "max_text_value_size" else (b"x" * 100, 4)
    for rows in (1, 2, 5):
        data = packed(["a"], [(code,)] * rows, [(value,)] * rows, True).data
        for limit in (*range(95, 105), *range(len(data) - 9, len(data) + 9)):
            found = checks.check_stream([data, data], limits=Limits(**{cap: limit}))
            assert (found[0][0] == "refused") is (limit < 100)


def test_what_does_not_continue_the_stream_is_left_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch)
    right, empty = part(2), framed(b"", 8)
    for other in (
        *(
            part(2, names=("b",)),
            part(2, names=("a", "a")),
            part(2, names=("a" * 8,)),
            packed([], [], []).data,
        ),
        *(
            framed(bytes(8), 8),
            framed(b"\1" + bytes(7) + b"failed\0\0", 0),
            empty,
            right[:5] + b"\1" + right[6:],
        ),
        *(framed(right[8:-8] + b"\0" * 8), framed(right[8:16] + DONE), framed(right[8:24]), framed(b"")),
    ):
        found = checks.check_stream([right, other, right])
        assert found[0][0] == "rows"
        assert not any(calls)


def test_names_that_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long ones, and those that another result, or another thread with the same options, has replaced."""
    calls = counted(monkeypatch)
    long = part(2, names=("n" * 1000,) * 5)
    assert [found[0] for found in checks.check_stream([long, long])[:2]] == ["rows", "rows"]
    assert calls == []
    decoder = MessageDecoder()
    decoder.feed(part(1) * 3)
    decoder.decode()
    decoder.decode_bytes(part(1, names=("other", "names")))
    assert decoder.decode_continuation().column_names == ["a"]
    assert decoder.decode_bytes(part(1, names=("other", "names"))).column_names == ["other", "names"]
    assert decoder.decode_continuation().column_names == ["a"]
    assert calls == [True, True]


def test_what_is_handed_out_belongs_to_the_caller() -> None:
    decoder = MessageDecoder()
    decoder.feed(part(1) * 3)
    decoder.decode().column_names.append("x")
    decoder.decode_continuation().column_names.append("y")
    assert decoder.decode_continuation().column_names == ["a"]


def test_arguments_that_lie() -> None:
    data = bytearray(part(3))
    head = bytes(data[8:24])
    read = speedups.native.read_part
    assert read(data, head, len(data), 1)[1] == [(7,)] * 3
    for names in (head, b"", head[:8], head + b"x", bytes(1000)):
        for size in (-(2**63), -1, 0, 7, 8, 9, 16, 24, len(data) - 8, len(data) + 1, 2**63 - 1):
            for count in (-1, 0, 1, 2, 2**62):
                assert read(data, names, size, count) is None
    for wrong in (bytes(data), memoryview(data), None, "x"):
        assert read(wrong, head, len(data), 1) is None
        assert wrong == bytes(data) or read(data, wrong, len(data), 1) is None
    assert read(bytearray(), b"", 8, 1) is None
    data += b"x"  # nobody holds the buffer
    with pytest.raises(TypeError):
        read(data, head)


@pytest.mark.parametrize("seed", range(600 if DEEP else 20))
def test_damaged_streams(seed: int) -> None:
    rng = Random(seed)
    frame: Frame = draw(rng, (1, 2, 3, 10, 17))
    rounds.stream_batch(frame, rng)


# ---------------------------------------------------------------- what strikes in the midst of a frame


def begun(*pieces: bytes) -> MessageDecoder:
    decoder = MessageDecoder()
    decoder.feed(b"".join((part(1), *pieces)))
    decoder.decode()
    return decoder


def test_an_interrupt_anywhere_loses_nothing_or_breaks_the_decoder() -> None:
    """Between reading the rows and deleting their bytes as well."""
    pieces = part(3), part(2, more=False)
    read = MessageDecoder.decode_continuation
    places = places_of(lambda: begun(*pieces), read)
    numbers = [n for n, (code, _) in enumerate(places, 1) if code is MessageDecoder._part.__code__]
    assert len(numbers) > 20
    broken = 0
    for number in range(1, len(places) + 1):
        decoder = begun(*pieces)
        assert interrupt(decoder, read, number)
        broken += decoder.is_poisoned
        if decoder.is_poisoned:
            with pytest.raises(PoisonedError):
                decoder.decode_continuation()
        else:
            assert number not in numbers
            assert [len(read(decoder).rows) for _ in pieces] == [3, 2]
    assert broken >= len(numbers)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer")
@pytest.mark.parametrize("ends", [True, False])
def test_a_signal_handler_in_the_midst_of_a_large_frame(ends: bool) -> None:
    """It reaches neither the bytes that are being read nor the decoder; what it raises breaks the decoder."""
    one = part(1)
    large = framed(one[8:24] + one[24:-8] * 200_000 + one[-8:])
    tried: list[str] = []

    def handler(_: int, frame: Any) -> None:
        if frame.f_code is not MessageDecoder._part.__code__:
            return
        for call in (lambda: decoder.feed(b"x"), decoder.reset, decoder.decode, decoder.decode_continuation):
            with pytest.raises(ConcurrentUseError):
                call()
        with pytest.raises(BufferError):
            decoder._data.clear()
        tried.append("struck")
        if ends:
            raise KeyboardInterrupt

    known = signal.signal(signal.SIGALRM, handler)
    gc.disable()  # which may call Python code, where the interrupt would be lost
    try:
        for _ in range(100):
            decoder = begun(large, part(1, more=False))
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            try:
                assert len(decoder.decode_continuation().rows) == 200_000
                assert len(decoder.decode_continuation().rows) == 1
            except KeyboardInterrupt:
                assert decoder.is_poisoned
            signal.setitimer(signal.ITIMER_REAL, 0)
            if tried:
                break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.enable()
        signal.signal(signal.SIGALRM, known)
    assert tried
