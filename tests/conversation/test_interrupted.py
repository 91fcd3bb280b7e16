"""A client that is interrupted or times out: the next request gets its own answer, or an error."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from dqlitewire.conversation import Outcome
from dqlitewire.messages import LeaderRequest
from dqlitewire.testing import DqliteServer
from tests.conversation.test_examples import example

COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 900) SELECT x, 'old' FROM c"
SIX = "SELECT 6"


@pytest.fixture(scope="module")
def server() -> Iterator[DqliteServer]:
    with DqliteServer() as server:
        yield server


class Lines:
    """Interrupts a call at the n-th line that files of a name run; 0 for never."""

    def __init__(self, file: str, number: int) -> None:
        self.file, self.number, self.count = file, number, 0

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.endswith(self.file):
            return None
        if event == "line":
            self.count += 1
            if self.count == self.number:
                raise KeyboardInterrupt
        return self.trace

    def run(self, call: Callable[[], Any]) -> Any:
        sys.settrace(self.trace)
        try:
            return call()
        finally:
            sys.settrace(None)


def every_line(file: str) -> Iterator[Callable[[Callable[[], Any]], bool]]:
    """Yield functions that run a call, each interrupted at another line, until there are no more lines."""
    more = True

    def run(call: Callable[[], Any]) -> bool:
        nonlocal more
        lines = Lines(file, number)
        try:
            lines.run(call)
        except KeyboardInterrupt:
            return True
        more = False
        return False

    number = 1
    while more:
        yield run
        number += 1 if number < 60 else 37  # the rows in the middle are all alike


def test_blocking_client_interrupted_at_every_line(server: DqliteServer) -> None:
    module = example("blocking_client")
    closed = right = 0
    for run in every_line("blocking_client.py"):
        client = module.connect(server.address, "lines")
        old = client.query(COUNT)
        run(lambda old=old: [*old])
        if client.socket.fileno() >= 0:
            assert [*client.query(SIX)] == [(6,)]
            right += 1
        else:
            with pytest.raises(module.RequestFailed, match="the connection is closed") as caught:
                client.execute(SIX)
            assert caught.value.outcome is Outcome.NOT_EXECUTED
            closed += 1
        old.close()
        client.close()
    assert closed
    assert right


def test_blocking_client_after_a_timeout(server: DqliteServer) -> None:
    module = example("blocking_client")
    server.delay(0.2, on="QUERY_SQL")
    client = module.connect(server.address, "slow")
    client.timeout = 0.02
    with pytest.raises(module.RequestFailed, match="timed out") as caught:
        [*client.query(COUNT)]
    assert caught.value.outcome is Outcome.NOT_EXECUTED  # it only reads
    with pytest.raises(module.RequestFailed, match="the connection is closed"):
        [*client.query(SIX)]


class Closes:
    """A server that reads, says what it is told to, and closes."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        try:
            sock, _ = self.server.accept()
        except OSError:  # nobody came
            return
        with sock, contextlib.suppress(OSError):
            sock.recv(65536)
            sock.sendall(self.answer)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass

    def __enter__(self) -> Closes:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown(socket.SHUT_RDWR)  # which ends an `accept`, as closing does not
        self.thread.join(60)
        self.server.close()
        assert not self.thread.is_alive()


@pytest.mark.parametrize("answer", [b"", bytes([3])])
def test_blocking_client_ends_with_the_stream(answer: bytes) -> None:
    module = example("blocking_client")
    with (
        Closes(answer) as server,
        contextlib.closing(module.Connection(server.address)) as client,
        pytest.raises(module.RequestFailed, match="the connection was lost"),
    ):
        client.call(LeaderRequest())


def test_asyncio_client_whose_task_is_cancelled(server: DqliteServer) -> None:
    """After any number of turns of the loop; the pool, which has room for one, goes on with right rows."""
    module = example("asyncio_client")

    async def main() -> None:
        pool = module.Pool(server.address, "cancelled", size=1)
        await pool.execute("CREATE TABLE IF NOT EXISTS t (a)")

        async def work(client: Any) -> None:
            await client.execute("INSERT INTO t VALUES (1)")
            assert len([row async for row in client.query(COUNT)]) == 900

        steps, cancelled = 0, True
        while cancelled:
            task = asyncio.create_task(pool.transact(work))
            for _ in range(steps):
                await asyncio.sleep(0)
            cancelled = task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert await pool.query(SIX) == [(6,)]
            assert (pool.free._value, len(pool.idle)) == (1, 1)
            steps += 1
        await pool.close()
        assert steps > 5  # a busy machine does more in a turn

    asyncio.run(main())
