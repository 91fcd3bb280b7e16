"""Which side sent a byte stream, and whether it begins with a handshake, told from the bytes alone.

Request and response codes overlap, so the stream is read each way and the reading that covers more of it
wins. What no known peer ever
sends counts half: a request for a database other than 0, an explicit empty parameter list, a HEARTBEAT, a
failure without words.
"""

from __future__ import annotations

from typing import NamedTuple

from dqlitewire import DecodeError, RequestType, ResponseType, decode_message
from dqlitewire.conversation import Side
from dqlitewire.traffic.flows import HANDSHAKES, HTTP_METHODS

SAMPLE = 64 << 10
CUT_OFF = 4  # what a frame counts whose end is missing


class Beginning(NamedTuple):
    """How a stream begins: who sent it, and whether a frame comes first."""

    side: Side
    bare: bool


def guess(data: bytes, side: Side | None = None) -> Beginning:
    """Return how a stream that starts so most likely begins.

    Args:
        side: who sent it, if that is known.
    """
    if data[:4] in HTTP_METHODS and side is not Side.SERVER:
        return Beginning(Side.CLIENT, False)
    if data.startswith(b"HTTP/1."):
        return Beginning(Side.SERVER, False)
    greeted = _greeted(data)
    readings = {  # the first of equals wins
        Beginning(Side.CLIENT, False): greeted,
        Beginning(Side.SERVER, True): _score(data, 0, False),
        Beginning(Side.CLIENT, True): _score(data, 0, True),
    }
    possible = [reading for reading in readings if side in (None, reading.side)]
    best = max(possible, key=lambda reading: readings[reading])
    if not readings[best] and int.from_bytes(data[:8], "little") >= 256:
        return Beginning(side or Side.CLIENT, True)  # neither a handshake nor a frame that anybody knows
    return best


def _greeted(data: bytes) -> float:
    """The score of a handshake and requests; a version that no server knows needs a whole request as well."""
    rest = _score(data, 8, True)
    if data[:8] in HANDSHAKES:
        return 8 + rest
    return 4 + rest if int.from_bytes(data[:8], "little") < 256 and rest > CUT_OFF else 0


def _score(data: bytes, at: int, is_request: bool) -> float:
    """Bytes of the frames that decode, those that are unusual counted half."""
    score = 0.0
    while at + 8 <= len(data) and at < SAMPLE:
        size = 8 + 8 * int.from_bytes(data[at : at + 4], "little")
        frame = data[at : at + size]
        if size == 8:
            break
        if len(frame) < size:
            return score + (CUT_OFF if _may_begin(frame, is_request) else 0)
        score += size * _judge(frame, is_request)
        at += size
    return score


def _may_begin(frame: bytes, is_request: bool) -> bool:
    known = RequestType if is_request else ResponseType
    return frame[4] in known._value2member_map_ and frame[5] < 2 and frame[6:8] == b"\0\0"


def _judge(frame: bytes, is_request: bool) -> float:
    if is_request and frame[4] in (2, 11):
        return 0.5  # HEARTBEAT has the layout of WELCOME; CONNECT begins no stream of frames
    try:
        message = decode_message(frame, is_request=is_request)
    except DecodeError:
        return 0.0
    if is_request:
        strange = getattr(message, "db_id", 0) != 0 or getattr(message, "empty_header", False)
    else:
        strange = frame[4] == 0 and not getattr(message, "message", "")
    return 0.5 if strange else 1.0
