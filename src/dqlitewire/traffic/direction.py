"""Which side sent a byte stream, told from the bytes alone.

Request and response codes overlap, so frames are decoded both ways. Where both succeed, what no known peer ever sends counts
against a reading: a request for a database other than 0, an explicit empty parameter list, a HEARTBEAT.
"""

from __future__ import annotations

from dqlitewire import DecodeError, decode_message
from dqlitewire.conversation import Side
from dqlitewire.traffic.flows import HTTP_METHODS, opening

SAMPLE = 64 << 10


def guess_side(data: bytes) -> Side:
    """Return who most likely sent a stream that begins so."""
    if opening(data) in ("dqlite", "HTTP") or data[:4] in HTTP_METHODS:
        return Side.CLIENT
    if data.startswith(b"HTTP/1."):
        return Side.SERVER
    return Side.CLIENT if _score(data, True) > _score(data, False) else Side.SERVER


def _score(data: bytes, is_request: bool) -> float:
    score, at = 0.0, 0
    while at + 8 <= len(data) and at < SAMPLE:
        size = 8 + 8 * int.from_bytes(data[at : at + 4], "little")
        frame = data[at : at + size]
        if size == 8 or len(frame) < size:
            break
        score += _judge(frame, is_request)
        at += size
    return score


def _judge(frame: bytes, is_request: bool) -> float:
    if is_request and frame[4] == 2:
        return 0.5  # a HEARTBEAT has the layout of a WELCOME
    if is_request and frame[4] == 11:
        return 1.0
    try:
        message = decode_message(frame, is_request=is_request)
    except DecodeError:
        return -1.0
    strange = getattr(message, "db_id", 0) != 0 or getattr(message, "empty_header", False)
    return 0.5 if strange and is_request else 1.0
