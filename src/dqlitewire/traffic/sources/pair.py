"""The two byte streams of one connection, recorded apart from each other, as one source.

Two files tell nothing of the order between them. What the protocol says of it is enough: the client speaks
first, and each request is answered before anything is read off the next one. So a request is taken from one
stream and its answer from the other, in turn; an answer of several ROWS frames ends with the first frame that
does not say that more follow. Where the streams stop making sense (a damaged header, another number of
requests than answers), the rest of each follows as it is: pairing is the observer's business, and an order
that may be wrong is only a worse reading.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from dqlitewire import ResponseType
from dqlitewire.conversation import Side
from dqlitewire.conversation.first_bytes import HTTP_ANSWER, HTTP_END, MAX_HTTP_HEAD, body_size
from dqlitewire.header import HEADER, ROW_PART, frame_size_at
from dqlitewire.traffic.sources.direction import guess
from dqlitewire.traffic.sources.inputs import ByteReader, Input, open_input
from dqlitewire.traffic.sources.opening import HTTP_METHODS
from dqlitewire.traffic.sources.pieces import Connection, Piece, What
from dqlitewire.traffic.sources.source import Source

MAX_FRAME = 1 << 26


def open_pair(
    requests: str | os.PathLike[str] | bytes | BinaryIO | Input,
    responses: str | os.PathLike[str] | bytes | BinaryIO | Input,
) -> Source:
    """Open the two byte streams of one connection, recorded apart from each other.

    They carry no times and no order between them; an answer is put behind its request.

    Args:
        requests: what the client sent: a path, bytes, or a binary file.
        responses: what the server sent.

    Raises:
        SourceError: one of them cannot be read.
    """
    inputs = [open_input(requests)]
    try:
        inputs.append(open_input(responses))
    except BaseException:
        inputs[0].close()
        raise
    source = Source(" + ".join(input.name for input in inputs), "pair", lambda _: _pair(*inputs))
    source.inputs = inputs
    return source


def _pair(requests: Input, responses: Input) -> Iterator[Piece]:
    begins = guess(requests.head(), Side.CLIENT)
    connection = Connection(timed=False, bare=begins.bare, raft=begins.raft)
    asked, answered = ByteReader(requests.read), ByteReader(responses.read)
    if not begins.bare and (preamble := _preamble(asked)):
        yield Piece(connection, Side.CLIENT, What.DATA, preamble)
        if preamble[:4] in HTTP_METHODS:  # then its answers and the handshake
            while head := _preamble(answered, (HTTP_ANSWER,)):
                yield Piece(connection, Side.SERVER, What.DATA, head)
            yield Piece(connection, Side.CLIENT, What.DATA, _preamble(asked))
    while (request := _Passing(asked)).is_frame:
        for data in request.blocks():
            yield Piece(connection, Side.CLIENT, What.DATA, data)
        more = True
        while more and (answer := _Passing(answered)).is_frame:
            for data in answer.blocks():
                yield Piece(connection, Side.SERVER, What.DATA, data)
            more = answer.more
    for side, reader in ((Side.CLIENT, asked), (Side.SERVER, answered)):
        while reader.need(1):
            yield Piece(connection, side, What.DATA, reader.buffer[reader.position :])
            reader.position = len(reader.buffer)
        yield Piece(connection, side, What.END)


def _preamble(reader: ByteReader, begins: tuple[bytes, ...] = (b"",)) -> bytes:
    """The handshake, or the head of an HTTP message, if the stream stands at one that begins so."""
    if not reader.need(8) or not reader.buffer.startswith(begins, reader.position):
        return b""
    size = 8
    if reader.buffer.startswith((*HTTP_METHODS, HTTP_ANSWER), reader.position):
        reader.need(MAX_HTTP_HEAD)
        end = reader.buffer.find(HTTP_END, reader.position, reader.position + MAX_HTTP_HEAD)
        size = end + len(HTTP_END) - reader.position if end >= 0 else 0
        size += min(MAX_HTTP_HEAD, body_size(reader.buffer[reader.position : reader.position + size]))
        reader.need(size)
    data = reader.buffer[reader.position : reader.position + size]
    reader.position += len(data)
    return data


class _Passing:
    """The next frame of a stream, in blocks, so that its size does not matter.

    Attributes:
        is_frame: whether there is one: a header that an ordinary frame has, and all of it, or one of a type
            and size that only a large frame has.
        more: once it has passed, whether it is a ROWS frame with more to come.
    """

    def __init__(self, reader: ByteReader) -> None:
        self._reader = reader
        self._left = 0
        self._code = -1
        self.more = False
        if reader.need(HEADER.size):
            self._left = frame_size_at(reader.buffer, reader.position)
            self._code = reader.buffer[reader.position + 4]
        large = self._left > MAX_FRAME and not any(reader.buffer[reader.position + 6 : reader.position + 8])
        self.is_frame = large or (0 < self._left <= MAX_FRAME and reader.need(self._left))

    def blocks(self) -> Iterator[bytes]:
        """Yield its bytes."""
        reader, tail = self._reader, b""
        while self._left and reader.need(1):
            end = reader.position + self._left
            data = reader.buffer[reader.position : end]
            reader.position += len(data)
            self._left -= len(data)
            tail = (tail + data)[-8:] if len(data) < 8 else data[-8:]
            yield data
        self.more = self._code == ResponseType.ROWS and tail == ROW_PART
