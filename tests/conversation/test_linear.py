"""What an observer does is linear in the bytes it hears, whatever they are.

Work is counted, not timed: the bytes that are joined and decoded, and the calls that are made. The caps are
made small, so that streams of some kilobytes stand far above them.
"""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from dqlitewire import Limits, RequestType, ResponseType
from dqlitewire.conversation import Frame, Observer, Side
from dqlitewire.conversation import frames as frames_module
from dqlitewire.conversation.observer import resync
from dqlitewire.conversation.observer.stream_reader import StreamReader
from tests.wire_data import Capture, captures, pieces

FRAME = 512  # the largest that is believed
CREDIT = 4 * FRAME
SIZE = 1500
CALLS = 14  # for a byte; reading a frame of two words that is none takes some hundred
RECEIVING = 30  # for a piece


class Work(NamedTuple):
    joined: int
    decoded: int
    calls: int

    @property
    def bytes(self) -> int:
        return self.joined + self.decoded


class Counter:
    """Counts while it is set as the profiler."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.joined = self.decoded = self.calls = 0
        run, read = StreamReader._run, frames_module.FrameReader.read

        def counted_run(stream: StreamReader) -> None:
            self.joined += stream.held
            run(stream)

        def counted_read(reader: Any, frame: bytes, *rest: Any) -> Any:
            self.decoded += len(frame)
            return read(reader, frame, *rest)

        monkeypatch.setattr(StreamReader, "_run", counted_run)
        monkeypatch.setattr(frames_module.FrameReader, "read", counted_read)
        monkeypatch.setattr(resync, "CREDIT", CREDIT)

    def __call__(self, frame: Any, event: str, _: Any) -> None:
        self.calls += event.endswith("call")

    def of(self, side: Side, data: bytes, split: int, **options: Any) -> Work:
        self.joined = self.decoded = self.calls = 0
        observer = Observer(count_rows=False, limits=Limits(max_message_size=FRAME), **options)
        sys.setprofile(self)
        try:
            for piece in pieces(data, split):
                observer.receive(side, piece)
            observer.finish()
        finally:
            sys.setprofile(None)
        return Work(self.joined, self.decoded, self.calls)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    return Counter(monkeypatch)


def header(words: int, kind: int, schema: int = 0, unused: int = 0) -> bytes:
    return struct.pack("<IBBH", words, kind, schema, unused)


WORDS = (FRAME // 8 - 1, 20, 3)
FILLERS = (b"", bytes([1]) + bytes(7), b"\xff" * 8, b"a" * 8 + bytes(8))


def of_headers() -> Iterator[tuple[str, Side, bytes]]:
    """Streams of one header after the other, of each type, with something between."""
    for side, kinds in ((Side.CLIENT, RequestType), (Side.SERVER, ResponseType)):
        for number, kind in enumerate(kinds):
            for words in WORDS:
                filler = FILLERS[(number + words) % len(FILLERS)]
                yield f"{kind.name} of {words} words", side, header(words, kind, number % 2) + filler


def families() -> dict[str, tuple[Side, bytes]]:
    """What is repeated, by name."""
    found = {name: (side, unit) for name, side, unit in of_headers()}
    rows = header(FRAME // 8 - 1, ResponseType.ROWS) + bytes([1]) + bytes(7)
    whole = header(1, ResponseType.DB) + bytes(8)
    nested = b"".join(header(n, ResponseType.ROWS) + bytes([1]) + bytes(7) for n in range(62, 2, -2))
    for side in Side:
        found |= {
            f"integers, {side.value}": (side, b"".join(n.to_bytes(8, "little") for n in range(60))),
            f"zeros, {side.value}": (side, bytes(8)),
            f"ones, {side.value}": (side, b"\1"),
            f"HTTP head, {side.value}": (side, b"GET / HTTP/1.1\r\n"),
        }
    found |= {
        "issue": (Side.SERVER, rows),
        "with markers": (Side.SERVER, rows + b"\xff" * 8),
        "schema of requests": (Side.SERVER, rows[:5] + b"\2" + rows[6:]),
        "odd headers": (Side.SERVER, whole + header(62, ResponseType.ROWS, 0, 9)),
        "in step and out": (Side.SERVER, whole + bytes(8)),
        "nested": (Side.SERVER, nested),
        "a header each four bytes": (Side.CLIENT, bytes(8) + b"\5\0\0\0\3\0\0\0" * 60),
        "one off": (Side.SERVER, rows + b"\0"),
    }
    chance = random.Random(11)
    for number in range(20):
        kind = chance.choice(list(ResponseType))
        words = [header(chance.choice((1, 2, 9, 63)), kind), bytes(8), b"\xff" * 8, chance.randbytes(3)]
        found[f"random {number}"] = (Side.SERVER, b"".join(chance.choices(words, k=chance.randrange(2, 9))))
    return found


BEGINNINGS = [{}, {"midstream": True}, {"handshake": False}]


@pytest.mark.parametrize("split", [1, 100, SIZE])
def test_work_is_linear(counter: Counter, split: int) -> None:
    """Twice the bytes are twice the work, and no byte costs more than what is said in `resync`."""
    known = families()
    for number, (name, (side, unit)) in enumerate(known.items()):
        if split == 1 and number % 12 and number < len(known) - 24:
            continue  # byte by byte takes long
        begins = BEGINNINGS[number % 3]
        stream = (unit * (2 * SIZE // len(unit) + 1))[: 2 * SIZE]
        once, twice = (counter.of(side, stream[:size], split, **begins) for size in (SIZE, 2 * SIZE))
        for size, work in ((SIZE, once), (2 * SIZE, twice)):
            assert work.bytes <= CREDIT + (resync.EARNED + 4) * size, name
            assert work.calls <= CALLS * size + RECEIVING * (size // split + 1), name
        assert twice.bytes <= 2.2 * once.bytes + 6 * CREDIT, name
        assert twice.calls <= 2.2 * once.calls + 10_000, name


def test_gaps_earn_nothing(counter: Counter) -> None:
    """Bytes that were not heard pay for no guesses."""
    rows = (header(FRAME // 8 - 1, ResponseType.ROWS) + bytes([1]) + bytes(7)) * 50
    observer = Observer(midstream=True, limits=Limits(max_message_size=FRAME))
    for _ in range(100):
        observer.receive(Side.SERVER, rows)
        observer.receive_gap(Side.SERVER, 1 << 40)
    assert counter.joined + counter.decoded <= CREDIT + (resync.EARNED + 4) * 100 * len(rows)


def test_no_frame_is_decoded_twice_to_be_found(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that come one by one are not read again and again."""
    monkeypatch.setattr(resync, "CREDIT", 1 << 20)
    for capture in captures()[:8]:
        data = capture.s2c[3:4000]
        whole, split = (counter.of(Side.SERVER, data, size, midstream=True) for size in (4000, 1))
        # byte by byte the header behind a frame is not there yet when the frame is
        assert split.decoded <= whole.decoded + len(data) // 4
        assert split.joined <= 16 * len(data)


@pytest.mark.parametrize("capture", [c for c in captures() if len(c.s2c) < 100_000], ids=str)
def test_frames_are_found_wherever_a_stream_is_cut(capture: Capture) -> None:
    """What paying for guesses bounds is work, not what is found in real traffic."""
    chance, there, missed = random.Random(3), 0, 0
    for side, data, told in (
        (Side.CLIENT, capture.c2s, capture.entry["request_frames"]),
        (Side.SERVER, capture.s2c, capture.entry["response_frames"]),
    ):
        begins = [offset for offset, *_ in told]
        for cut in chance.sample(range(len(data)), min(20, len(data))):
            observer = Observer(midstream=True, count_rows=False)
            events = [event for piece in pieces(data[cut:], 1448) for event in observer.receive(side, piece)]
            found = {event.offset + cut for event in events + observer.finish() if isinstance(event, Frame)}
            behind = {offset for offset in begins if offset >= cut}
            there, missed = there + len(behind), missed + len(behind - found)
    assert missed <= 0.15 * there
