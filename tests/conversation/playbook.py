"""A play in which a client, a server and an observer hear the same conversation and must agree on every line.

    (Playbook() >> OpenRequest("main") << DbResponse(0) >> ...).over()

`>> request` is sent by the client and must come out of the server; `<< answer` is given by the server and
must come out of the client as that answer, to the request whose turn it is. The observer sees all bytes.
`says` looks at the events of the last answer; `over` asks all three whether anything is left.
"""

from __future__ import annotations

from typing import Any

from dqlitewire import Message
from dqlitewire.conversation import (
    ClientConversation,
    Event,
    Exchange,
    Frame,
    Generation,
    Hazard,
    Observer,
    ServerConversation,
    Side,
)


class Playbook:
    def __init__(self, generation: Generation = Generation.V1_18_3, version: int = 1, split: int = 0) -> None:
        self.client = ClientConversation(version, generation=generation)
        self.server = ServerConversation(generation=generation)
        self.observer = Observer()
        self.split = split  # bytes a piece, 0 for everything at once
        self.sent: list[Message] = []
        self.taken = 0
        self.events: list[Event] = []  # of the last answer
        self.seen: list[Event] = []  # by the observer
        self.clock = 0.0

    def tick(self) -> float:
        self.clock += 1.0
        return self.clock

    def __rshift__(self, request: Message) -> Playbook:
        return self.asks(request)

    def asks(self, request: Message, allow: Hazard = Hazard.NONE) -> Playbook:
        data = self.client.send(request, allow=allow)
        self.sent.append(request)
        for piece in self.pieces(data):
            self.server.receive(piece)
            self.seen += self.observer.receive(Side.CLIENT, piece, self.tick())
        self.take()
        return self

    def take(self) -> None:
        """Let the server take the next request, unless one is still open."""
        if not self.server.answer_open:
            request = self.server.next_request()
            if request is not None:
                assert request == self.sent[self.taken]
                self.taken += 1

    def __lshift__(self, answer: Message) -> Playbook:
        return self.hears(self.server.answer(answer))

    def hears(self, data: bytes) -> Playbook:
        """Let the client and the observer hear bytes of the server, whatever they are."""
        self.events = []
        for piece in self.pieces(data):
            self.events += self.client.receive(piece)
            self.seen += self.observer.receive(Side.SERVER, piece, self.tick())
        waiting = len(self.client.unanswered) + len(self.finished())
        assert waiting == len(self.sent), "a request ends once"
        self.taken = max(self.taken, len(self.finished()))  # an INTERRUPT may be taken with its query
        self.take()
        return self

    def hears_as_observer(self, data: bytes) -> None:
        """Let the observer alone hear bytes of the server."""
        self.seen += self.observer.receive(Side.SERVER, data, self.tick())

    def pieces(self, data: bytes) -> list[bytes]:
        step = self.split or len(data) or 1
        return [data[start : start + step] for start in range(0, len(data), step)]

    def finished(self) -> list[Exchange]:
        return [event for event in self.seen if isinstance(event, Exchange)]

    def says(self, *events: Any) -> Playbook:
        assert self.events == list(events)
        return self

    def over(self) -> Playbook:
        assert self.client.idle
        assert not self.server.answer_open
        assert self.server.next_request() is None
        assert self.observer.unanswered == ()
        requests = [exchange.request for exchange in self.finished()]
        assert [frame.message for frame in requests if frame is not None] == self.sent
        assert not [event for event in self.seen if isinstance(event, Frame) and event.error]
        return self
