"""Peers that are no nodes, or not what they say."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from dqlitewire import Message, ProtocolError
from dqlitewire.conversation import Refused, ServerConversation
from dqlitewire.messages import (
    ClusterRequest,
    DbResponse,
    FailureResponse,
    LeaderRequest,
    LeaderResponse,
    OpenRequest,
    QuerySqlRequest,
    RowsResponse,
    ServersResponse,
)
from tests.real.nodes import free_port

NOT_LEADER = FailureResponse(10250, "not leader")
NO_DATABASE = FailureResponse(12, "no database opened")
Answer = Callable[["Fake", Message], Sequence[Message] | None]


class Fake:
    """A node of which each answer can be another one; by default it leads.

    Args:
        answers: by type of the request: called with the fake and the request; returns messages, or None to
            say nothing from there on.
        leads: whether it says so by the requests that nothing is said about.

    Attributes:
        address: where it listens.
        leader: the address that it names.
        asked: the types of all requests, in order.
        over: set when the block of the fake ends; an answer that waits, waits for that.
    """

    def __init__(self, answers: Mapping[type[Message], Answer] | None = None, *, leads: bool = True) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.leader = self.address
        self.asked: list[str] = []
        self._answers = dict(answers or {})
        self._leads = leads
        self.over = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Fake:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)
        for sock in self._open:
            sock.close()
        assert not any(thread.is_alive() for thread in (self._thread, *self._threads))

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        conversation = ServerConversation()
        opened = False
        with contextlib.suppress(OSError, ProtocolError):
            while data := client.recv(65536):
                conversation.receive(data)
                while (request := conversation.next_request()) is not None:
                    if isinstance(request, Refused):
                        return
                    self.asked.append(type(request).__name__.removesuffix("Request"))
                    answers = self._answer(request, opened)
                    opened = opened or isinstance(request, OpenRequest)
                    if answers is None:
                        return
                    for answer in answers:
                        client.sendall(conversation.answer(answer))
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _answer(self, request: Message, opened: bool) -> Sequence[Message] | None:
        for kind, answer in self._answers.items():
            if isinstance(request, kind):
                return answer(self, request)
        match request:
            case LeaderRequest():
                return [LeaderResponse(1, self.leader)]
            case ClusterRequest():
                return [ServersResponse([])]
            case _ if not self._leads:
                return [NOT_LEADER]
            case OpenRequest():
                return [DbResponse(0)]
            case QuerySqlRequest():
                return [RowsResponse(["1"], [], [], [(1,)], False)] if opened else [NO_DATABASE]
            case _:
                return [FailureResponse(1, "not this one")]


def silent(fake: Fake, request: Message) -> None:
    """Answer nothing, and keep the connection open."""
    fake.over.wait(600)


@contextlib.contextmanager
def listener(say: bytes = b"") -> Iterator[str]:
    """Listen, take connections, and say the same to each; one that is told nothing stays open."""
    with socket.create_server(("127.0.0.1", 0)) as sock, contextlib.ExitStack() as stack:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client = stack.enter_context(sock.accept()[0])
                    if say:
                        with contextlib.suppress(OSError):  # it has gone already: the next one is served
                            client.sendall(say)
                            client.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"127.0.0.1:{sock.getsockname()[1]}"
        finally:
            sock.shutdown(socket.SHUT_RDWR)
            thread.join(60)


@contextlib.contextmanager
def full() -> Iterator[str]:
    """Listen with a queue that is full: connecting to it takes for ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as sock, contextlib.ExitStack() as stack:
        for _ in range(4):
            other = stack.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(sock.getsockname())
        yield f"127.0.0.1:{sock.getsockname()[1]}"


def closed_port() -> str:
    """An address at which nothing listens."""
    return f"127.0.0.1:{free_port()}"
