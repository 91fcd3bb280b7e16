"""A client on a real connection: a socket and a conversation, nothing between them."""

from __future__ import annotations

import socket
from typing import Any

from dqlitewire.conversation import ClientConversation, Event, Failed, Generation, Hazard
from dqlitewire.messages import OpenRequest

TIMEOUT = 20.0
COUNT_TO = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT {})"


class Peer:
    def __init__(self, address: str, generation: Generation = Generation.UNKNOWN) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), TIMEOUT)
        self.conversation = ClientConversation(generation=generation)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, request: Any, allow: Hazard = Hazard.NONE) -> None:
        if isinstance(request, bytes):
            self.socket.sendall(self.conversation.send_frame(request, allow=allow))
        else:
            self.socket.sendall(self.conversation.send(request, allow=allow))

    def hear(self) -> list[Event]:
        """The events of one read, which has some; the end of the stream among them."""
        while True:
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                data = b""
            events = self.conversation.receive(data) if data else self.conversation.receive_eof()
            if events:
                return events

    def rest(self) -> list[Event]:
        """All events until no request is open."""
        events: list[Event] = []
        while not self.conversation.idle:
            events += self.hear()
        return events

    def ask(self, request: Any, allow: Hazard = Hazard.NONE) -> list[Event]:
        self.send(request, allow)
        return self.rest()

    def message(self, request: Any) -> Any:
        """The answer to a request that must succeed, or its last frame."""
        *_, last = self.ask(request)
        assert not isinstance(last, Failed), last.explanation
        return last.message  # type: ignore[attr-defined]

    def open(self, database: str) -> Peer:
        self.message(OpenRequest(database))
        return self

    def rows(self, request: Any) -> list[tuple[Any, ...]]:
        return [row for event in self.ask(request) for row in event.message.rows]  # type: ignore[attr-defined]

    def probe(self) -> None:
        self.socket.sendall(self.conversation.send_probe())
        self.rest()
