"""What a connection begins with, cut at every place: a handshake, HTTP in front of it, or neither."""

from __future__ import annotations

import pytest

from dqlitewire.conversation import Side
from dqlitewire.proxy.opening import Opening

WORD = bytes([1, 0, 0, 0, 0, 0, 0, 0])
ASKS = b"POST /internal/database HTTP/1.1\r\nUpgrade: dqlite\r\n"
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: dqlite\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def fed(opening: Opening, side: Side, data: bytes, size: int) -> int | None:
    """Return where frames begin in the bytes of a side, given in pieces."""
    for at in range(0, len(data), size):
        found = opening.feed(side, data[at : at + size])
        if found is not None:
            return at + found
    return None


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
@pytest.mark.parametrize(
    ("client", "server"),
    [
        (WORD, b""),
        (ASKS + b"\r\n" + WORD, ANSWER),
        (ASKS + b"Content-Length: 11\r\n\r\nhello world" + WORD, ANSWER),
        (ASKS + b"\r\n" + WORD, CONTINUE + b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ANSWER),
        (ASKS + b"\r\n" + WORD, b"HTTP/1.1 101 .\r\nUpgrade: h2c,\r\n cowsql/1\r\n\r\n"),
    ],
)
def test_frames_begin_behind_the_handshake_and_what_stands_before_it(
    client: bytes, server: bytes, size: int
) -> None:
    opening = Opening()
    frame = bytes(8)
    assert fed(opening, Side.CLIENT, client + frame, size) == len(client)
    assert fed(opening, Side.SERVER, server + frame, size) == len(server)
    assert not opening.strange
    assert opening.version == 1


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 101 .\r\nUpgrade: websocket\r\n\r\n",
        CONTINUE + b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x28" + b"\r\n\r\n",
    ],
)
def test_an_answer_that_does_not_switch_is_strange(answer: bytes, size: int) -> None:
    opening = Opening()
    fed(opening, Side.CLIENT, ASKS + b"\r\n" + WORD, size)
    assert fed(opening, Side.SERVER, answer + bytes(8), size) is None
    assert opening.strange
