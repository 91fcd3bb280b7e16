"""The examples on real nodes and clusters, run as their heads say."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from dqlitewire.conversation import Exchange, Observer, Outcome, Side
from dqlitewire.messages import ExecSqlRequest
from tests.conversation.peer import COUNT_TO
from tests.real.failover import failover
from tests.real.fixtures import require_server
from tests.real.moved import note
from tests.real.nodes import KINDS, Cluster, Node, free_port

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
TIMEOUT = 120.0
LONG = COUNT_TO.format(20_000) + " SELECT x, 'some text' FROM c"


def example(name: str) -> ModuleType:
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXAMPLES))


def start(name: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )


def run(name: str, *arguments: str) -> str:
    with start(name, *arguments) as process:
        output, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, errors
    return output


LONGEST = {"blocking_client.py": 310, "asyncio_client.py": 330, "failover.py": 120}


@pytest.mark.parametrize("name", LONGEST)
def test_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) < LONGEST[name]


STATEMENTS = [
    "CREATE TABLE t (a, b)",
    "INSERT INTO t VALUES (1, 'x'), (2, NULL)",
    "SELECT a, b FROM t ORDER BY a",
]
OUTPUT = "0 rows changed\n2 rows changed\n1 | x\n2 | None\n"


@pytest.mark.parametrize("name", ["blocking_client.py", "asyncio_client.py"])
def test_clients_on_a_node(name: str, real_address: str, database: str) -> None:
    assert run(name, real_address, database, *STATEMENTS) == OUTPUT


@pytest.mark.parametrize("name", ["blocking_client.py", "asyncio_client.py"])
@pytest.mark.parametrize("kind", KINDS)
def test_clients_on_a_cluster(
    name: str, kind: str, real_cluster: Callable[..., Cluster], database: str
) -> None:
    nodes = real_cluster(kind).nodes
    assert run(name, nodes[2].address, database, *STATEMENTS) == OUTPUT


def test_blocking_client_goes_on_after_a_failure_and_an_interrupt(real_address: str, database: str) -> None:
    module = example("blocking_client")
    with contextlib.closing(module.connect(real_address, database)) as client:
        with pytest.raises(module.RequestFailed, match="no such table") as caught:
            client.execute("INSERT INTO t VALUES (1)")
        assert caught.value.outcome is Outcome.NOT_EXECUTED
        client.patience = TIMEOUT
        rows = client.query(LONG)
        assert next(rows) == (1, "some text")
        rows.close()
        assert client.conversation.idle
        assert sum(1 for _ in client.query(LONG)) == 20_000
        assert list(client.query("SELECT ? AS a", ["x"])) == [("x",)]


def test_asyncio_client_serves_several_tasks(real_address: str, database: str) -> None:
    module = example("asyncio_client")

    async def main() -> None:
        pool = module.Pool(real_address, database)
        await pool.execute("CREATE TABLE t (a)")
        inserts = (pool.execute("INSERT INTO t VALUES (?)", [i]) for i in range(50))
        assert [result.rows_affected for result in await asyncio.gather(*inserts)] == [1] * 50
        with pytest.raises(module.RequestFailed, match="no such table"):
            await pool.execute("INSERT INTO u VALUES (1)")
        async with pool.connection() as client:
            client.patience = TIMEOUT
            rows = client.query(LONG)
            assert await anext(rows) == (1, "some text")
            await rows.aclose()
            assert [row async for row in client.query("SELECT count(*) FROM t")] == [(50,)]
        await pool.close()

    asyncio.run(main())


def test_asyncio_client_loses_its_node(own_node: Callable[..., Node], node_kind: str, database: str) -> None:
    module = example("asyncio_client")
    node = own_node(node_kind)

    async def main() -> None:
        client = await module.connect(node.address, database)
        await client.execute("CREATE TABLE t (a)")
        node.kill()
        with pytest.raises(module.RequestFailed) as caught:
            await client.execute("INSERT INTO t VALUES (1)")
        assert caught.value.outcome is Outcome.UNKNOWN

    asyncio.run(main())


# ---------------------------------------------------------------- failover


@pytest.mark.real
@pytest.mark.parametrize("kind", KINDS)
def test_failover(request: pytest.FixtureRequest, kind: str) -> None:
    note(request, kind)
    require_server(kind)
    report = failover(kind, kills=3)
    assert report.unknown >= 1
    assert ", " in report.outcomes


class Thief:
    """Stands in front of a node and, once, takes the answer to an INSERT away and hangs up."""

    def __init__(self, address: str, node: str) -> None:
        self.node = node
        self.stolen = threading.Event()
        host, _, port = address.rpartition(":")
        self.server = socket.create_server((host, int(port)))
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.server.accept()
                host, _, port = self.node.rpartition(":")
                try:
                    node = socket.create_connection((host, int(port)), 20)
                except OSError:
                    client.close()
                    continue
                self.relay(client, node)

    def relay(self, client: socket.socket, node: socket.socket) -> None:
        observer, lock = Observer(), threading.Lock()

        def carry(side: Side, source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    with lock:
                        events = observer.receive(side, data)
                    if side is Side.SERVER and not self.stolen.is_set() and any(map(is_third_insert, events)):
                        self.stolen.set()
                        break
                    target.sendall(data)
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

        pair = [(Side.CLIENT, client, node), (Side.SERVER, node, client)]
        threads = [threading.Thread(target=carry, args=arguments) for arguments in pair]
        closer = threading.Thread(target=self.close_when_done, args=(threads, client, node))
        for thread in (*threads, closer):
            thread.start()
        self.threads.append(closer)

    @staticmethod
    def close_when_done(threads: list[threading.Thread], *sockets: socket.socket) -> None:
        for thread in threads:
            thread.join()
        for one in sockets:
            one.close()

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for thread in self.threads:
            thread.join(60)


def is_third_insert(event: object) -> bool:
    if not isinstance(event, Exchange) or event.request is None:
        return False
    request = event.request.message
    return isinstance(request, ExecSqlRequest) and list(request.params) == [2, "row 2"]


def test_unknown_outcome_that_was_done_is_found_by_its_key(
    own_node: Callable[..., Node], node_kind: str, database: str
) -> None:
    # the node gives out the thief's address as its own, so whoever follows LEADER goes through the thief
    behind = f"127.0.0.1:{free_port()}"
    node = own_node(node_kind, options=["--bind", behind])
    thief = Thief(node.address, behind)
    try:
        output = run("failover.py", database, "20", node.address)
    finally:
        thief.close()
    assert thief.stolen.is_set()
    assert "19 acknowledged, 1 found, 0 sent again" in output
