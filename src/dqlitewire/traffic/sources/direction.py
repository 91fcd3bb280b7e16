"""Which side sent a byte stream, and whether it begins with a handshake, recognised by the bytes alone.

A raw stream or a pasted frame does not say who sent it, and the bytes do not either: requests and responses
number their types from 0, each on its own. The word `.. 01 00 00 00 | 02 | 00 | 00 00 ..` with one word of
body is a HEARTBEAT if the client sent it and a WELCOME if the server did.

So the beginning of the stream (`SAMPLE` bytes) is read three ways: as a handshake and requests, as requests
alone, as answers alone. Each frame that decodes scores its bytes; a frame that does not decode scores nothing
but does not end the reading, since its header says where the next one begins. The reading that covers most of
the stream wins. Where two readings cover the same:

* what no known peer ever sends counts half: a request for a database other than 0, an explicit empty list of
  parameters, a HEARTBEAT or CONNECT, a failure without words;
* the order of the readings decides: handshake, answers, requests. So a single word of `01 00 ..` is a
  handshake, and a frame that is equally likely as both is an answer.

Before all that, a stream that begins with a message between nodes which decodes, or which another one
follows, is what a node sent behind CONNECT: no header of a frame looks so. Where no reading finds frames,
and two such messages stand somewhere in the sample, it is that too, from the middle of a message on.

A last frame that is cut off scores a little if its header may be one (`CUT_OFF`): a stream of one unfinished
frame is still told from nonsense. Nonsense is taken for frames of the client; what reads it says what it is.
"""

from __future__ import annotations

from typing import NamedTuple

from dqlitewire import DecodeError, RequestType, ResponseType, decode_message
from dqlitewire.conversation import Side
from dqlitewire.conversation.first_bytes import HTTP_ANSWER
from dqlitewire.conversation.frames import STRICT
from dqlitewire.conversation.observer.raft_stream import begins_with_raft, holds_raft, may_begin_raft
from dqlitewire.header import HEADER, frame_size_at
from dqlitewire.traffic.sources.opening import HANDSHAKES, HTTP_METHODS, is_header, is_version

SAMPLE = 64 << 10
CUT_OFF = 4  # what a frame counts whose end is missing

# HEARTBEAT has the layout of WELCOME, and no client sends it; behind CONNECT there are no frames
_UNUSUAL_REQUESTS = frozenset({RequestType.HEARTBEAT, RequestType.CONNECT})


class Beginning(NamedTuple):
    """How a stream begins: who sent it, whether a frame comes first, and whether it is raft from there on."""

    side: Side
    bare: bool
    raft: bool = False


AS_RAFT = Beginning(Side.CLIENT, True, True)


def guess(data: bytes, side: Side | None = None) -> Beginning:
    """Return how a stream that starts so most likely begins.

    Args:
        data: the beginning of the stream.
        side: who sent it, if that is known.
    """
    if data[:4] in HTTP_METHODS and side is not Side.SERVER:
        return Beginning(Side.CLIENT, False)
    if data.startswith(HTTP_ANSWER):
        return Beginning(Side.SERVER, False)
    if side is not Side.SERVER and begins_with_raft(data):
        return AS_RAFT
    if side is not Side.SERVER and _is_node(data):
        return Beginning(Side.CLIENT, False)
    readings = {  # the first of equals wins
        Beginning(Side.CLIENT, False): _greeted(data),
        Beginning(Side.SERVER, True): _score(data, 0, False),
        Beginning(Side.CLIENT, True): _score(data, 0, True),
    }
    possible = [reading for reading in readings if side in (None, reading.side)]
    best = max(possible, key=lambda reading: readings[reading])
    if readings[best] <= CUT_OFF and side is not Side.SERVER and holds_raft(data):
        return AS_RAFT
    if not readings[best] and not is_version(data):
        return Beginning(side or Side.CLIENT, True)  # neither a handshake nor a known frame
    return best


def _is_node(data: bytes) -> bool:
    """Whether a handshake stands there, CONNECT, and what may be the beginning of a message between nodes."""
    end = HEADER.size + frame_size_at(data, HEADER.size) if len(data) > 2 * HEADER.size else 0
    if not end or data[:8] not in HANDSHAKES or data[12] != RequestType.CONNECT or end > len(data):
        return False
    try:
        STRICT.read(data[HEADER.size : end], True)
    except DecodeError:
        return False
    return may_begin_raft(data[end:])


def _greeted(data: bytes) -> float:
    """The score of a handshake and requests; a version that no server knows needs a whole request as well."""
    rest = _score(data, HEADER.size, True)
    if data[:8] in HANDSHAKES:
        return 8 + rest
    return 4 + rest if is_version(data) and rest > CUT_OFF else 0


def _score(data: bytes, at: int, is_request: bool) -> float:
    """Bytes of the frames that decode, those that are unusual counted half."""
    score = 0.0
    while at + HEADER.size <= len(data) and at < SAMPLE:
        size = frame_size_at(data, at)
        frame = data[at : at + size]
        if size == HEADER.size:
            break
        if len(frame) < size:
            return score + (CUT_OFF if is_header(frame, is_request) else 0)
        score += size * _weight(frame, is_request)
        at += size
    return score


def _weight(frame: bytes, is_request: bool) -> float:
    if is_request and HEADER.unpack_from(frame)[1] in _UNUSUAL_REQUESTS:
        return 0.5
    try:
        message = decode_message(frame, is_request=is_request)
    except DecodeError:
        return 0.0
    if is_request:
        strange = getattr(message, "db_id", 0) != 0 or getattr(message, "empty_header", False)
    else:
        strange = message.MSG_TYPE == ResponseType.FAILURE and not getattr(message, "message", "")
    return 0.5 if strange else 1.0
