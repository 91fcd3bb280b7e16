"""Put one address in the place of those that LEADER and SERVERS answers name, with lengths and padding right.

Only what decoded is given to `renamed`, and the bytes around the addresses stay as they are: ids, and roles
that nobody knows.
"""

from __future__ import annotations

from dqlitewire.constants import HEADER_SIZE, WORD_SIZE
from dqlitewire.header import HEADER
from dqlitewire.replay.tracks import Mapped

__all__ = ["renamed"]

# where the first address begins, and the bytes between one address and the next
_PLACES = {
    Mapped.LEADER: (HEADER_SIZE + WORD_SIZE, 0),
    Mapped.LEGACY_LEADER: (HEADER_SIZE, 0),
    Mapped.SERVERS: (HEADER_SIZE + 2 * WORD_SIZE, 2 * WORD_SIZE),
    Mapped.ROLELESS_SERVERS: (HEADER_SIZE + 2 * WORD_SIZE, WORD_SIZE),
}


def renamed(frame: bytes, mapped: Mapped, address: str) -> bytes:
    """Return a frame that names another address wherever it names one.

    Args:
        frame: a whole answer that decodes.
        mapped: what it is.
        address: what it shall name.
    """
    if mapped is Mapped.NONE:
        return frame
    at, between = _PLACES[mapped]
    count = 1 if not between else int.from_bytes(frame[HEADER_SIZE : HEADER_SIZE + WORD_SIZE], "little")
    text = _padded(address.encode())
    parts: list[bytes] = []
    copied = HEADER_SIZE
    for _ in range(count):
        end = frame.index(0, at)
        if end > at:  # a node that knows no leader names none
            parts += [frame[copied:at], text]
            copied = _whole(end + 1)
        at = _whole(end + 1) + between
    body = b"".join([*parts, frame[copied:]])
    _, code, schema, unused = HEADER.unpack_from(frame)
    return HEADER.pack(len(body) // WORD_SIZE, code, schema, unused) + body


def _whole(size: int) -> int:
    return -(-size // WORD_SIZE) * WORD_SIZE


def _padded(text: bytes) -> bytes:
    return text + bytes(_whole(len(text) + 1) - len(text))
