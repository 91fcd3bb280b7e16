"""A client has one owner at a time: threads that share one are told, and nobody gets another one's answer."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import SimpleQueue

import pytest

from dqlitewire import ConcurrentUseError, Message
from dqlitewire.client import Client, ClientError, ConnectionFailed, StatementFailed, connect, owner
from dqlitewire.messages import LeaderRequest, QuerySqlRequest
from dqlitewire.testing import DqliteServer
from tests.client.fakes import Fake

NAME = "test.db"
HELD = "SELECT 'held'"
MANY = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 3000) SELECT i FROM r"
CALLS: dict[str, Callable[[Client], object]] = {
    "execute": lambda client: client.execute("CREATE TABLE never (a)"),
    "query": lambda client: client.query("SELECT 2"),
    "call": lambda client: client.call(LeaderRequest()),
    "nodes": Client.nodes,
    "open": lambda client: client.open(NAME),
    "dump": Client.dump,
    "interrupt": Client.interrupt,
}


class Held(Fake):
    """A node whose answer to one query waits until it may go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go = threading.Event(), threading.Event()

    def _answer(self, request: Message, opened: bool) -> Sequence[Message] | None:
        if isinstance(request, QuerySqlRequest) and request.sql == HELD:
            self.reached.set()
            self.go.wait(60)
        return super()._answer(request, opened)


@contextmanager
def inside(node: Held, client: Client) -> Iterator[SimpleQueue[object]]:
    """Let a thread wait within a call of a client; yields what gets its end."""
    came: SimpleQueue[object] = SimpleQueue()

    def ask() -> None:
        try:
            came.put(list(client.query(HELD)))
        except Exception as error:
            came.put(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        assert node.reached.wait(60)
        yield came
    finally:
        node.go.set()
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("name", CALLS)
def test_a_second_thread_is_refused_and_the_first_gets_its_answer(name: str) -> None:
    with Held() as node, connect(node.address, NAME, timeout=60) as client:
        with inside(node, client) as came:
            asked = list(node.asked)
            with pytest.raises(ConcurrentUseError, match="the client is in use by another thread"):
                CALLS[name](client)
            assert node.asked == asked
        assert came.get(timeout=60) == [(1,)]
        with suppress(StatementFailed):  # of a node that knows few requests
            CALLS[name](client)  # nothing is bound to a thread


def test_a_result_that_is_over_is_left_in_peace() -> None:
    with Held() as node, connect(node.address, NAME, timeout=60) as client:
        result = client.query("SELECT 1")
        whole = client.query("SELECT 1")
        with pytest.raises(ClientError, match="the result ended before its last row"):
            list(result)
        assert list(whole) == [(1,)]
        with inside(node, client):
            whole.close()
            result.close()


def test_close_ends_the_call_of_another_thread() -> None:
    with Held() as node, connect(node.address, NAME, timeout=60) as client:
        with inside(node, client) as came:
            client.close()
            assert isinstance(came.get(timeout=60), ConnectionFailed)
        with pytest.raises(ConnectionFailed, match="the client is closed"):
            client.nodes()


def test_threads_that_share_a_client_get_their_own_answers_or_an_error() -> None:
    wrong: list[object] = []
    right: list[int] = []
    with DqliteServer() as server, connect(server.address, NAME, timeout=60) as client:

        def ask(number: int) -> None:
            for _ in range(30):
                with suppress(ConcurrentUseError, ClientError):  # ClientError: another thread has asked next
                    rows = list(client.query(f"SELECT {number}, i FROM ({MANY})"))
                    if rows == [(number, i) for i in range(1, 3001)]:
                        right.append(number)
                    else:
                        wrong.append(rows[:3])

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert wrong == []
        assert right
        assert list(client.query("SELECT 'its own'")) == [("its own",)]


def test_a_forked_process_is_refused_and_may_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is played by the same process: what has the number of another one has copies of all descriptors."""
    with Held() as node, connect(node.address, NAME, timeout=60) as client:
        result = client.query("SELECT 1")
        connection = client._following.connection
        assert connection is not None
        with socket.socket(fileno=os.dup(connection._socket.fileno())) as of_parent:
            asked = list(node.asked)
            monkeypatch.setattr(owner.os, "getpid", lambda: 0)
            for call in (*CALLS.values(), lambda client: result.close()):
                with pytest.raises(ConcurrentUseError, match="the process from which this one was forked"):
                    call(client)
            client.close()
            of_parent.setblocking(False)
            with pytest.raises(BlockingIOError):  # neither ended nor answered
                of_parent.recv(1)
            assert node.asked == asked
