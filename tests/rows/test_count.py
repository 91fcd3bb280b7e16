"""Counting rows agrees with decoding them."""

from __future__ import annotations

import random

import pytest

from dqlitewire import DecodeError, ValueType, decode_message
from dqlitewire.messages import RowsResponse
from dqlitewire.rows.count import count_rows
from tests.wire_data import captures, frames

VALUES = {
    ValueType.INTEGER: (0, -1, 2**62),
    ValueType.FLOAT: (0.0, 1.5),
    ValueType.TEXT: ("", "seven77", "eight888", "x" * 40),
    ValueType.BLOB: (b"", b"\0" * 8, b"\xff" * 13, b"\xee" * 16),
    ValueType.NULL: (None,),
    ValueType.UNIXTIME: (0,),
    ValueType.ISO8601: ("", "2024-01-02"),
    ValueType.BOOLEAN: (True, False),
}


def rows_message(seed: int) -> RowsResponse:
    chance = random.Random(seed)
    width = chance.choice((0, 1, 2, 3, 15, 16, 17, 33))
    signatures = [
        tuple(chance.choice(list(VALUES)) for _ in range(width)) for _ in range(chance.randrange(1, 4))
    ]
    types = [chance.choice(signatures) for _ in range(chance.randrange(40) if width else 0)]
    rows = [tuple(chance.choice(VALUES[kind]) for kind in row) for row in types]
    names = [chance.choice(("", "a", "name_of_8", "x" * 8)) for _ in range(width)]
    return RowsResponse(names, list(types[0]) if types else [], types, rows, has_more=chance.random() < 0.5)


@pytest.mark.parametrize("seed", range(300))
def test_all_types_and_widths(seed: int) -> None:
    message = rows_message(seed)
    assert count_rows(message.encode()) == len(message.rows)


def test_captures() -> None:
    seen = 0
    for capture in captures():
        for frame in frames(capture.s2c):
            if frame[4] == 7:
                assert count_rows(frame) == len(decode_message(frame, text_errors="replace").rows)
                seen += 1
    assert seen > 500


@pytest.mark.parametrize("seed", range(300))
def test_what_cannot_be_walked_is_no_count(seed: int) -> None:
    chance = random.Random(seed)
    frame = bytearray(rows_message(seed).encode())
    for _ in range(chance.randrange(1, 4)):
        frame[chance.randrange(8, len(frame))] = chance.randrange(256)
    data = bytes(frame)
    counted = count_rows(data)
    try:
        rows = len(decode_message(data).rows)
    except DecodeError:
        return  # a count may stand where a text does not decode
    assert counted == rows


@pytest.mark.parametrize("size", range(8, 64, 8))
def test_cut_frames(size: int) -> None:
    frame = RowsResponse(["a"], [ValueType.TEXT], [(ValueType.TEXT,)] * 3, [("xx",)] * 3).encode()
    assert count_rows(frame[:size]) == -1
