"""A blocking client made of the codec and a socket, nothing else: the subject of the real-node proofs."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from dqlitewire import PROTOCOL_VERSION, Message, MessageDecoder, MessageEncoder
from dqlitewire.messages import (
    DbResponse,
    ExecSqlRequest,
    FailureResponse,
    OpenRequest,
    QuerySqlRequest,
    ResultResponse,
    RowsResponse,
)
from tests.real.raw import TIMEOUT


class Session:
    """One connection. `options` go to the decoder.

    Attributes:
        sent: the classes of all messages sent, for proofs that want every one of them.
        database: opened at once where it is given; its id is always 0.
    """

    def __init__(
        self, address: str, database: str = "", *, version: int = PROTOCOL_VERSION, **options: Any
    ) -> None:
        host, port = address.rsplit(":", 1)
        self.encoder = MessageEncoder(version=version)
        self.decoder = MessageDecoder(version=version, **options)
        self.sent: set[type[Message]] = set()
        self.socket = socket.create_connection((host, int(port)), TIMEOUT)
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.sendall(self.encoder.encode_handshake())
            if database:
                assert self.call(OpenRequest(database)) == DbResponse(0)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, request: Message) -> None:
        self.sent.add(type(request))
        self.socket.sendall(self.encoder.encode(request))

    def send_raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def feed(self) -> None:
        """Wait for more bytes."""
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError("closed by the server")
        self.decoder.feed(data)

    def answer(self) -> Message:
        """The first frame of the next answer."""
        while (message := self.decoder.decode()) is None:
            self.feed()
        return message

    def more(self) -> Message:
        """The next frame of a run of rows."""
        while (message := self.decoder.decode_continuation()) is None:
            self.feed()
        return message

    def take_frame(self) -> bytes:
        """The next frame, undecoded."""
        while (frame := self.decoder.take_frame()) is None:
            self.feed()
        return frame

    def call(self, request: Message) -> Message:
        self.send(request)
        return self.answer()

    def failure(self, request: Message) -> tuple[int, str]:
        """Code and message of the FAILURE that must come."""
        return failed(self.call(request))

    def run(self, request: Message) -> list[RowsResponse]:
        """All frames of an answer of rows."""
        frame = self.call(request)
        frames = []
        while True:
            assert isinstance(frame, RowsResponse), frame
            frames.append(frame)
            if not frame.has_more:
                return frames
            frame = self.more()

    def rows(self, sql: str, *params: Any) -> list[Sequence[Any]]:
        return [row for frame in self.run(QuerySqlRequest(0, sql, list(params))) for row in frame.rows]

    def row(self, sql: str, *params: Any) -> Sequence[Any]:
        (row,) = self.rows(sql, *params)
        return row

    def execute(self, sql: str, *params: Any) -> ResultResponse:
        result = self.call(ExecSqlRequest(0, sql, list(params)))
        assert isinstance(result, ResultResponse), result
        return result


def failed(answer: Message) -> tuple[int, str]:
    assert isinstance(answer, FailureResponse), answer
    return answer.code, answer.message
