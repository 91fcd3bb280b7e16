"""Ends in front of real servers: clients that vanish, nodes that die, a proxy that is killed, a full disk.

One server in the suite, each with DQLITE_WIRE_DEEP=1.
"""

from __future__ import annotations

import asyncio
import resource
import struct
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from socket import SHUT_WR, socket
from typing import Any

import pytest

from dqlitewire.faults.words import parse_fault
from dqlitewire.proxy import BlockingProxy
from dqlitewire.proxy.recording import Recorder
from dqlitewire.traffic.sources.transcript_parts import View
from tests.downstream.tap import Tap, streams_of
from tests.profiles import DEEP
from tests.proxy.both_sides import recorded_streams
from tests.proxy.peers import connect, nothing_left, read_all, reset
from tests.proxy.test_command_faults import proxied
from tests.real.fixtures import require_server
from tests.real.nodes import KINDS, Node
from tests.real.raw import RawConnection, frame, text, word
from tests.traffic.command import run
from tests.waiting import wait_for

pytestmark = pytest.mark.real

SOME = KINDS if DEEP else ("1.18.7",)
SERIES = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 200000) SELECT i FROM r"
# a session that names addresses, prepares, writes, reads, ends a statement and interrupts nothing
SESSION = (
    word(1)
    + frame(0, word(0))
    + frame(16, word(1))
    + frame(3, text("vanish.db") + word(0) + text(""))
    + frame(8, word(0) + text("CREATE TABLE IF NOT EXISTS t (a)"))
    + frame(4, word(0) + text("INSERT INTO t VALUES (1)"))
    + frame(5, struct.pack("<II", 0, 0))
    + frame(9, word(0) + text("SELECT a FROM t LIMIT 3"))
    + frame(7, struct.pack("<II", 0, 0))
    + frame(10, word(0))
)


async def looks(frame: object) -> None:
    """A hook that changes nothing, for which each frame is held and waited for."""


VANISHING: dict[str, tuple[Callable[[socket], None], dict[str, Any]]] = {
    "closed": (socket.close, {}),
    "reset while all is held": (reset, {"on_frame": looks}),
    "reset": (reset, {}),
    "closed while all is held": (socket.close, {"on_frame": looks}),
}


def tasks_of(proxy: BlockingProxy) -> int:
    assert proxy._loop is not None
    return len(asyncio.all_tasks(proxy._loop))


@pytest.mark.parametrize("how", VANISHING if DEEP else [*VANISHING][:2])
@pytest.mark.parametrize("kind", SOME)
def test_clients_vanish_at_every_byte_of_a_session(
    kind: str,
    how: str,
    real_nodes: Callable[[str], Node],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    node, path = real_nodes(kind), tmp_path / "s.dqt"
    end, options = VANISHING[how]
    with (
        nothing_left(),
        closing(Recorder(path)) as recorder,
        Tap("127.0.0.1:0", node.address) as behind,
        BlockingProxy(
            [f"127.0.0.1:0={behind.address}={node.address}"], lookers=[recorder], **options
        ) as proxy,
    ):
        tasks = tasks_of(proxy)
        for size in range(1, len(SESSION)):  # the whole one comes last, and waits
            sock = connect(proxy.addresses[0])
            sock.sendall(SESSION[:size])
            end(sock)
            wait_for(lambda: proxy.open_connections < 20)
        wait_for(lambda: not proxy.open_connections)
        assert not proxy.errors
        with connect(proxy.addresses[0]) as sock:  # the proxy and the node go on
            sock.sendall(SESSION)
            sock.shutdown(SHUT_WR)
            assert proxy.addresses[0].encode() in read_all(sock)
        wait_for(lambda: not proxy.open_connections)
        wait_for(lambda: tasks_of(proxy) == tasks)
    assert node.alive()
    assert recorder.failed is None
    assert not caplog.messages  # asyncio complains of writes behind an error
    asked, recorded = (
        {requests: answers for requests, answers in streams if requests}
        for streams in (streams_of(behind.wires), recorded_streams(path, View.NODE))
    )
    if how == "closed":  # a reset overtakes what was sent before, and an answer to who has gone gives one
        assert asked.keys() == recorded.keys() == {SESSION[:size] for size in range(1, len(SESSION) + 1)}
        assert all(asked[one].startswith(answers) for one, answers in recorded.items())
    else:
        assert all(SESSION.startswith(one) for one in [*asked, *recorded])


SPOILED = [
    ["delay seconds=0.02 times=forever"],
    ["split size=3 pause=0.002 times=forever"],
    ["hold times=forever on=QUERY_SQL"],
    ["drop frames=1 bytes=9 times=forever"],
    [
        "delay seconds=0.02 times=forever direction=request",
        "fail code=5 times=forever on=EXEC_SQL",
        "split size=2 pause=0.001 times=forever direction=request",
    ],
]


@pytest.mark.skipif(not DEEP, reason="each kind of fault: DQLITE_WIRE_DEEP=1")
@pytest.mark.parametrize("how", VANISHING)
@pytest.mark.parametrize("words", SPOILED, ids=lambda words: words[0])
def test_clients_vanish_under_faults(words: list[str], how: str, real_nodes: Callable[[str], Node]) -> None:
    node = real_nodes("1.18.7")
    end, options = VANISHING[how]
    with nothing_left(), BlockingProxy([f"127.0.0.1:0={node.address}"], **options) as proxy:
        for one in words:
            proxy.order(parse_fault(one))
        tasks = tasks_of(proxy)
        for size in range(1, len(SESSION) + 1):
            sock = connect(proxy.addresses[0])
            sock.sendall(SESSION[:size])
            end(sock)
            wait_for(lambda: proxy.open_connections < 60)
        wait_for(lambda: proxy.connections == len(SESSION))
        wait_for(lambda: not proxy.open_connections and tasks_of(proxy) == tasks)
        assert not proxy.errors
    assert node.alive()


def test_a_node_dies_in_the_middle_and_comes_back(tmp_path: Path) -> None:
    """Whoever waits is told, and clients come back through the same proxy."""
    require_server("1.18.7")
    path, said = tmp_path / "s.dqt", list[str]()
    with Node("1.18.7") as node, nothing_left(), closing(Recorder(path)) as recorder:
        with BlockingProxy({"127.0.0.1:0": node.address}, lookers=[recorder], say=said.append) as proxy:
            with RawConnection(proxy.addresses[0]) as client, RawConnection(proxy.addresses[0]) as idle:
                client.open("db")
                client.exec_sql("CREATE TABLE t (a)")
                client.send(frame(9, word(0) + text(SERIES)))
                assert client.frame().kind == 7
                node.kill()
                with suppress(ConnectionResetError, EOFError):
                    while True:
                        client.frame()
                assert idle.closed_by_peer()
            with connect(proxy.addresses[0]) as refused:
                assert refused.recv(1) == b""
            assert len(said) == 1
            assert said[0].endswith(f"cannot reach {node.address}: Connection refused")
            node.start()
            with RawConnection(proxy.addresses[0]) as client:
                client.open("db")
                assert client.query_sql("SELECT count(*) FROM t")[0].kind == 7
            wait_for(lambda: not proxy.open_connections)
            assert not proxy.errors
        assert recorder.failed is None
    assert run("decode", path, "--type", "ROWS").code == 0


def insert_until_killed(
    address: str, database: str, acknowledged: list[int], enough: threading.Event
) -> None:
    with suppress(OSError, EOFError), RawConnection(address) as client:
        client.open(database)
        client.exec_sql("CREATE TABLE t (a)")
        for number in range(100_000):
            client.exec_sql(f"INSERT INTO t VALUES ({number})")
            acknowledged.append(number)
            if number == 50:
                enough.set()


def numbers(address: str, database: str) -> list[int]:
    with RawConnection(address) as client:
        client.open(database)
        bodies = [one.body for one in client.query_sql("SELECT a FROM t ORDER BY a")]
    # each row is a header, one word, and its number; what is in front is one column's name
    return [number for body in bodies for (_, number) in struct.iter_unpack("<QQ", body[16:-8])]


@pytest.mark.parametrize("kind", SOME)
def test_what_was_acknowledged_before_the_proxy_was_killed_replays(
    kind: str, own_node: Callable[..., Node], tmp_path: Path
) -> None:
    path, node, fresh = tmp_path / "s.dqt", own_node(kind), own_node(kind)
    acknowledged: dict[str, list[int]] = {f"killed{number}.db": [] for number in range(3)}
    enough = [threading.Event() for _ in acknowledged]
    with proxied(node.address, "--record", str(path), "--max-size", "20k") as (process, address):
        writers = [
            threading.Thread(target=insert_until_killed, args=(address, *one, done))
            for one, done in zip(acknowledged.items(), enough, strict=True)
        ]
        for writer in writers:
            writer.start()
        assert all(one.wait(20) for one in enough)
        process.kill()
        for writer in writers:
            writer.join(60)
    parts = sorted(tmp_path.glob("s*.dqt"))
    assert len(parts) > 1
    result = run("replay", *parts, "--to", fresh.address, "--write")
    assert (result.code, result.out) == (0, ""), result  # what was not answered is compared with nothing
    for database, known in acknowledged.items():
        replayed = numbers(fresh.address, database)
        assert replayed[: len(known)] == known
        assert len(replayed) - len(known) <= 1  # one that was recorded and perhaps not forwarded any more
        assert len(numbers(node.address, database)) - len(known) <= 1


def test_a_disk_that_becomes_full_ends_the_recording_alone(
    real_nodes: Callable[[str], Node], tmp_path: Path
) -> None:
    node, path = real_nodes("1.18.7"), tmp_path / "s.dqt"
    with (
        proxied(node.address, "--record", str(path)) as (process, address),
        RawConnection(address) as client,
    ):
        client.open("full")
        few = client.query_sql(SERIES)
        size = path.stat().st_size
        assert size > sum(len(one.body) for one in few)
        limit = size + 100_000
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        for _ in range(2):
            assert client.query_sql(SERIES) == few
        assert path.stat().st_size <= limit
        assert process.stderr is not None
        assert process.stderr.readline() == (
            f"dqlite-wire: {path}: File too large; the recording ends here, the traffic goes on\n"
        )
    assert process.returncode == 0
    ((_, answers),) = recorded_streams(path, View.NODE)
    whole = b"".join(one.whole for one in few)
    assert answers[16:].startswith(whole)  # behind the DB
    assert whole.startswith(answers[16 + len(whole) :])
