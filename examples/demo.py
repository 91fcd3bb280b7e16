"""An embedded dqlite server, a session over a real socket, and what passed on the wire, in 80 columns.

    python examples/demo.py

The client is the codec and a socket, nothing else. `>` lines are its requests, `<` lines the server's
answers.
"""

from __future__ import annotations

import os
import socket
import sys

from dqlitewire import Message, MessageDecoder, MessageEncoder, ServerFailure
from dqlitewire.messages import (
    ClusterRequest,
    ExecRequest,
    ExecSqlRequest,
    FinalizeRequest,
    InterruptRequest,
    LeaderRequest,
    OpenRequest,
    PrepareRequest,
    QuerySqlRequest,
    RowsResponse,
)
from dqlitewire.testing import DqliteServer
from dqlitewire.traffic import Recording, Side, lines

ENDLESS = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT i FROM r"


class Client:
    """One connection; everything that passes is recorded."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.encoder = MessageEncoder()
        self.decoder = MessageDecoder()
        self.recording = Recording("client", address)
        self.send_bytes(self.encoder.encode_handshake())

    def send_bytes(self, data: bytes) -> None:
        self.recording.add(Side.CLIENT, data)
        self.socket.sendall(data)

    def receive(self) -> Message:
        while (message := self._decode()) is None:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError("closed by the server")
            self.recording.add(Side.SERVER, data)
            self.decoder.feed(data)
        self.streaming = isinstance(message, RowsResponse) and message.has_more
        return message

    streaming = False

    def _decode(self) -> Message | None:
        return self.decoder.decode_continuation() if self.streaming else self.decoder.decode()

    def call(self, request: Message) -> Message:
        self.send_bytes(self.encoder.encode(request))
        return self.receive()


def session(client: Client, server: DqliteServer) -> None:
    client.call(LeaderRequest())
    client.call(ClusterRequest())
    client.call(OpenRequest("demo.db"))
    client.call(ExecSqlRequest(0, "CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT, read BOOLEAN)"))
    client.call(PrepareRequest(0, "INSERT INTO book(title, read) VALUES (?, ?)"))
    for title, read in (("Middlemarch", True), ("Ulysses", False), ("Der Prozeß", None)):
        client.call(ExecRequest(0, 0, [title, read]))
    client.call(FinalizeRequest(0, 0))
    client.call(QuerySqlRequest(0, "SELECT * FROM book WHERE id >= ?", [1]))
    client.call(ExecSqlRequest(0, "INSERT INTO book(id) VALUES (1)"))

    server.fail_next(5)  # on order, once
    client.call(ExecSqlRequest(0, "DELETE FROM book"))

    client.call(QuerySqlRequest(0, ENDLESS))  # rows without end, until the INTERRUPT
    client.send_bytes(client.encoder.encode(InterruptRequest()))
    while client.streaming:
        client.receive()

    server.lose_leadership()
    client.call(QuerySqlRequest(0, "SELECT count(*) FROM book"))
    client.call(LeaderRequest())


def main() -> None:
    with DqliteServer() as server:
        print(f"embedded dqlite {server.generation.name} on {server.address}")
        print("> asks, < answers; docs/tutorial.md takes it from here")
        client = Client(server.address)
        try:
            session(client, server)
        except ServerFailure as failure:
            print(failure)
        client.socket.close()
        for line in lines(client.recording, width=80, time="none", fold=True):
            print(line)
        requests = len(server.requests)
        print(f"{requests} requests, {len(server.hazards)} that a real node would not have survived")


if __name__ == "__main__":
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
