"""What a recorder writes: whole frames on whole lines, whatever happens to the file or to the process."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.conversation import Side
from dqlitewire.messages import LeaderRequest, LeaderResponse
from dqlitewire.proxy.recording import Recorder
from dqlitewire.traffic import items, open_source
from tests.traffic.captured import ALL, chunks, clean, told
from tests.wire_data import Capture

NOW = 1_700_000_000_000_000_000
HELLO = bytes([1, *bytes(7)])
ASK, ANSWER = LeaderRequest().encode(), LeaderResponse(1, "a:1").encode()


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def pieces_of(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Bytes cut anywhere."""
    at = 0
    while at < len(data):
        size = rng.choice((1, 3, 8, 100, 5000, 100_000))
        yield data[at : at + size]
        at += size


def play(recorder: Recorder, capture: Capture, number: int = 0, seed: int = 0) -> None:
    """Record a capture, cut otherwise than into frames."""
    rng, now = random.Random(seed), NOW
    recorder.opened(number, "10.0.0.1:40001", "10.0.0.2:9001", now)
    for is_request, data in chunks(capture):
        for piece in pieces_of(data, rng):
            now += 1000
            recorder.passed(number, Side.CLIENT if is_request else Side.SERVER, piece, now)
    recorder.ended(number, None, now)


@pytest.mark.parametrize("capture", ALL, ids=str)
def test_what_passed_is_read_back(capture: Capture, tmp_path: Path) -> None:
    path = tmp_path / "a.dqt"
    recorder = Recorder(path)
    play(recorder, capture)
    recorder.close()
    assert recorder.failed is None
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [line for line in lines_of(path) if "bytes" in line]
    for direction, data in (("request", capture.c2s), ("response", capture.s2c)):
        sent = [base64.b64decode(line["bytes"]) for line in lines if line["direction"] == direction]
        assert b"".join(sent) == data
    seen = told(items(open_source(path)))
    assert seen == told(items(clean(capture)))
    if capture.handshake != 2:  # which makes garbage of the rest
        assert len(lines) == len([item for item in seen if item["type"] not in ("GAP", "UNANSWERED")])
