"""Faults on order: they strike what they are meant for, as often as ordered, and then all is well."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

from dqlitewire.constants import RequestType
from dqlitewire.messages import DbResponse, ExecSqlRequest
from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.real.raw import PART, RawConnection, frame, text, word

EXEC_SQL, QUERY_SQL, LEADER = RequestType.EXEC_SQL, RequestType.QUERY_SQL, RequestType.LEADER
SERIES = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 3000) SELECT i FROM r"


def count(server: DqliteServer) -> object:
    return server.run_sql("main", "SELECT count(*) FROM t")[0][0]


def insert(client: RawConnection) -> tuple[int, str] | None:
    answer = client.call(EXEC_SQL, word(0) + text("INSERT INTO t VALUES (1)"))
    return answer.failure if answer.kind == 0 else None


def test_fail_next_and_recover(server: DqliteServer, client: RawConnection) -> None:
    fault = server.fail_next(5, times=2, on=EXEC_SQL)
    assert client.leader() == (1, server.address)
    assert [insert(client) for _ in range(3)] == [(5, "database is locked")] * 2 + [None]
    assert (fault.hits, fault.over) == (2, True)
    assert count(server) == 1


@pytest.mark.parametrize(("executed", "rows"), [(False, 0), (True, 1)])
def test_failure_of_unknown_outcome(
    server: DqliteServer, client: RawConnection, executed: bool, rows: int
) -> None:
    server.fail_next(10506, executed=executed)
    assert insert(client) == (10506, "disk I/O error")
    assert count(server) == rows


def test_faults_are_counted_by_connection_and_after(server: DqliteServer, client: RawConnection) -> None:
    server.fail_next(1, "third", on=EXEC_SQL, connection=1, after=2)
    with RawConnection(server.address) as other:
        other.open("main")
        assert [insert(client), insert(other), insert(client)] == [None] * 3
        assert insert(other) is None
        assert insert(client) == (1, "third")
        assert insert(client) is None


def test_forever_until_cancelled(server: DqliteServer, client: RawConnection) -> None:
    with server.fail_next(10250, times=None) as fault:
        assert [insert(client) for _ in range(5)] == [(10250, "not leader")] * 5
    assert insert(client) is None
    assert fault.hits == 5
    server.fail_next(1, times=None)
    server.clear_faults()
    assert insert(client) is None


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 23])
def test_drop_in_the_middle_of_a_frame(server: DqliteServer, client: RawConnection, size: int) -> None:
    server.drop_after(bytes=size, on=EXEC_SQL)
    client.send(frame(EXEC_SQL, word(0) + text("INSERT INTO t VALUES (1)")))
    assert len(client.receive(size)) == size
    assert client.closed_by_peer()
    assert count(server) == 1


def test_drop_before_the_request_is_carried_out(server: DqliteServer, client: RawConnection) -> None:
    server.drop_after(on=EXEC_SQL, executed=False, reset=True)
    client.send(frame(EXEC_SQL, word(0) + text("INSERT INTO t VALUES (1)")))
    with pytest.raises((ConnectionResetError, EOFError)):
        client.receive(1)
    assert count(server) == 0


def test_drop_after_rows_frames(server: DqliteServer, client: RawConnection) -> None:
    server.drop_after(frames=2, bytes=100, on=QUERY_SQL)
    client.send(frame(QUERY_SQL, word(0) + text(SERIES)))
    for _ in range(2):
        assert client.frame().body.endswith(PART)
    client.receive(100)
    assert client.closed_by_peer()


def test_drop_counts_on_over_answers(server: DqliteServer, client: RawConnection) -> None:
    server.drop_after(frames=3)
    assert [insert(client) for _ in range(3)] == [None] * 3
    assert client.closed_by_peer()
    with RawConnection(server.address) as other:
        assert other.leader() == (1, server.address)


def test_delay(server: DqliteServer, client: RawConnection) -> None:
    server.delay(1.0, on=EXEC_SQL)
    begun = time.monotonic()
    client.send(frame(EXEC_SQL, word(0) + text("INSERT INTO t VALUES (1)")))
    with RawConnection(server.address) as other:  # nobody else waits
        assert other.leader() == (1, server.address)
        assert count(server) == 1
    come = select.select([client.socket], [], [], 0)[0]
    assert come == [] or time.monotonic() - begun >= 1.0
    assert client.frame().kind == 6
    assert time.monotonic() - begun >= 1.0


def test_split_writes(server: DqliteServer, client: RawConnection) -> None:
    with server.split_writes(3, pause=0.02, on=LEADER):
        begun = time.monotonic()
        client.send(frame(LEADER, word(0)))
        assert len(client.receive(32)) == 32
        assert time.monotonic() - begun >= 10 * 0.02  # between pieces of 3 bytes
    assert insert(client) is None


def test_split_rows_arrive_whole(server: DqliteServer, client: RawConnection) -> None:
    expected = client.query_sql(SERIES)
    with server.split_writes(509):
        assert client.query_sql(SERIES) == expected
    assert client.query_sql(SERIES) == expected


def test_corrupt(server: DqliteServer, client: RawConnection) -> None:
    server.corrupt(at=4, xor=0x40, on=EXEC_SQL)
    assert client.call(EXEC_SQL, word(0) + text("SELECT 1 WHERE 0")).kind == 6 ^ 0x40
    server.corrupt(lambda data: data[:8] + bytes(len(data) - 8), on=EXEC_SQL)
    assert struct.unpack("<QQ", client.call(EXEC_SQL, word(0) + text("INSERT INTO t VALUES (1)")).body) == (
        0,
        0,
    )
    assert insert(client) is None
    assert count(server) == 2


def test_every_kind_at_once(server: DqliteServer, client: RawConnection) -> None:
    server.delay(0.02)
    server.split_writes(5, times=1)
    server.fail_next(13)
    assert insert(client) == (13, "database or disk is full")
    assert insert(client) is None


@pytest.mark.parametrize("generation", ["1.11.1", "1.18.1", "1.18.7", "cowsql"])
def test_leadership_lost_and_found(generation: str) -> None:
    with DqliteServer(generation=generation) as server, RawConnection(server.address) as client:
        client.open("main")
        client.exec_sql("CREATE TABLE t (a)")
        client.exec_sql("BEGIN; INSERT INTO t VALUES (1)")
        server.lose_leadership()
        assert client.leader() == (0, "")
        assert server.leader is None
        assert insert(client) == (10250, "not leader")
        server.elect()
        assert client.leader() == (1, server.address)
        assert insert(client) == (12, "no database opened")
        client.open("main")
        assert insert(client) is None
        assert count(server) == 1


@pytest.mark.parametrize(
    ("generation", "words"),
    [("1.18.1", "disk I/O error"), ("1.18.7", "leadership lost"), ("cowsql", "disk I/O error")],
)
def test_leadership_lost_in_the_middle_of_rows(generation: str, words: str) -> None:
    with DqliteServer(generation=generation) as server, RawConnection(server.address) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.open("main")
        endless = SERIES.replace(" WHERE i < 3000", "")
        client.send(frame(QUERY_SQL, word(0) + text(endless)))
        assert client.frame().body.endswith(PART)
        server.lose_leadership()
        answer = client.frame()
        while answer.kind == 7:
            assert answer.body.endswith(PART)
            answer = client.frame()
        assert answer.failure == (10506, words)
        assert client.leader() == (0, "")


def test_a_cluster_moves_its_leader() -> None:
    with DqliteCluster(3) as cluster:
        first, second, third = cluster.nodes
        assert [node.is_leader for node in cluster.nodes] == [True, False, False]
        with RawConnection(first.address) as client:
            client.open("main")
            client.exec_sql("CREATE TABLE t (a)")
            assert cluster.elect() is second
            assert client.leader() == (2, second.address)
            assert insert(client) == (10250, "not leader")
        assert cluster.elect(third) is third
        with RawConnection(third.address) as client:
            client.open("main")
            assert insert(client) is None
            third.stop()
            with pytest.raises((EOFError, ConnectionResetError)):
                insert(client)
        assert cluster.leader is first
        with pytest.raises(ConnectionRefusedError):
            RawConnection(third.address)
        third.start()
        with RawConnection(third.address) as client:
            assert client.leader() == (1, first.address)
        for node in (first, second, third):
            node.stop()
        assert cluster.leader is None
        second.start()
        assert cluster.leader is second


def test_an_unknown_node_cannot_be_elected() -> None:
    with DqliteCluster(2) as cluster:
        cluster.nodes[1].stop()
        with pytest.raises(ValueError, match="no running voter"):
            cluster.elect(cluster.nodes[1])


REFUSED: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("fail_next", {"code": 1, "times": 0}, ValueError, "times 0, must be at least 1"),
    ("fail_next", {"code": 1, "times": 1.5}, TypeError, "times 1.5, must be an int"),
    ("fail_next", {"code": 1, "after": -1}, ValueError, "after -1, must be at least 0"),
    ("fail_next", {"code": -1}, ValueError, "code -1, must be at least 0"),
    ("fail_next", {"code": 2**64, "message": ""}, ValueError, "code 18446744073709551616, must be 0 to"),
    ("fail_next", {"code": "5"}, TypeError, "code '5', must be an int"),
    ("fail_next", {"code": [5]}, TypeError, r"code \[5\], must be an int"),
    ("fail_next", {"code": True}, TypeError, "code True, must be an int"),
    ("fail_next", {"code": 1, "message": b"no"}, TypeError, "message b'no', must be a str"),
    ("fail_next", {"code": 1, "message": "a\0b"}, ValueError, "must be without NUL"),
    ("fail_next", {"code": 1, "message": "\ud800"}, ValueError, "must be text that UTF-8 can hold"),
    ("fail_next", {"code": 1, "connection": "1"}, TypeError, "connection '1', must be an int"),
    ("fail_next", {"code": 1, "connection": 0}, ValueError, "connection 0, must be at least 1"),
    (
        "fail_next",
        {"code": 1, "on": "EXECSQL"},
        ValueError,
        "on 'EXECSQL', must be a RequestType or its name",
    ),
    ("fail_next", {"code": 1, "on": 99}, ValueError, "on 99, must be a RequestType or its name"),
    ("fail_next", {"code": 1, "on": ()}, ValueError, "on is empty, must name a request or be None"),
    ("fail_next", {"code": 1, "on": 1.5}, TypeError, "on 1.5, must be a RequestType or a request message"),
    ("fail_next", {"code": 1, "on": DbResponse}, TypeError, "on DbResponse, must be a RequestType or a"),
    ("fail_next", {"code": 1, "on": [EXEC_SQL, None]}, TypeError, "on None, must be a RequestType or a"),
    ("drop_after", {"bytes": -1}, ValueError, "bytes -1, must be at least 0"),
    ("drop_after", {"frames": -1}, ValueError, "frames -1, must be at least 0"),
    ("drop_after", {"frames": 1.0}, TypeError, "frames 1.0, must be an int"),
    ("delay", {"seconds": -0.1}, ValueError, "seconds -0.1, must be 0 to 86400"),
    ("delay", {"seconds": float("nan")}, ValueError, "seconds nan, must be 0 to 86400"),
    ("delay", {"seconds": float("inf")}, ValueError, "seconds inf, must be 0 to 86400"),
    ("delay", {"seconds": "1"}, TypeError, "seconds '1', must be a number of seconds"),
    ("split_writes", {"size": 0}, ValueError, "size 0, must be at least 1"),
    ("split_writes", {"size": 1, "pause": -1}, ValueError, "pause -1, must be 0 to 86400"),
    ("corrupt", {"at": -1}, ValueError, "at -1, must be at least 0"),
    ("corrupt", {"xor": 256}, ValueError, "xor 256, must be 0 to 255"),
    ("corrupt", {"change": b"x"}, TypeError, "change bytes, must be a function of a frame"),
]


@pytest.mark.parametrize(("order", "arguments", "kind", "message"), REFUSED)
def test_faults_refuse_what_makes_no_sense(
    server: DqliteServer,
    client: RawConnection,
    order: str,
    arguments: dict[str, Any],
    kind: type[Exception],
    message: str,
) -> None:
    with pytest.raises(kind, match=message) as caught:
        getattr(server, order)(**arguments)
    assert len(str(caught.value)) <= 80
    assert insert(client) is None  # nothing was ordered


@pytest.mark.parametrize("on", [EXEC_SQL, ExecSqlRequest, "EXEC_SQL", 8, ["LEADER", ExecSqlRequest]])
def test_requests_are_named_in_many_ways(server: DqliteServer, client: RawConnection, on: Any) -> None:
    server.fail_next(5, on=on)
    client.query_sql("SELECT 1")
    assert insert(client) == (5, "database is locked")


def test_a_sleeping_connection_may_go(server: DqliteServer) -> None:
    server.delay(0.05, times=None)
    with RawConnection(server.address) as client:
        client.send(frame(LEADER, word(0)))
    time.sleep(0.1)
    server.clear_faults()
    with RawConnection(server.address) as client:
        assert client.leader() == (1, server.address)


def test_a_fault_shows_what_it_does(server: DqliteServer, client: RawConnection) -> None:
    fault = server.fail_next(5, times=2, on=[EXEC_SQL, QUERY_SQL], connection=1)
    shown = "Fail, 5 'database is locked', on EXEC_SQL/QUERY_SQL, connection 1"
    assert repr(fault) == f"<{shown}, 2 to come, 0 hits>"
    insert(client)
    insert(client)
    assert repr(fault) == f"<{shown}, over, 2 hits>"
    assert repr(server.drop_after(bytes=3)) == "<Drop, after 0 frames and 3 bytes, 1 to come, 0 hits>"
    assert repr(server.delay(0.5, times=None)) == "<Delay, 0.5 s, any number to come, 0 hits>"
    assert repr(server.split_writes(7)) == "<Split, 7 bytes at a time, 1 to come, 0 hits>"
    assert repr(server.corrupt()) == "<Corrupt, at 4 xor 0xff, 1 to come, 0 hits>"


def test_a_server_shows_where_and_whether_it_runs() -> None:
    server, cluster = DqliteServer(), DqliteCluster(2, generation="1.11.1")
    assert repr(server) == "<DqliteServer 1.18.1, not started>"
    with server, cluster:
        assert repr(server) == f"<DqliteServer 1.18.1 at {server.address}, running>"
        assert repr(cluster) == f"<DqliteCluster 1.11.1 at {', '.join(cluster.addresses)}, running>"
    assert repr(server) == f"<DqliteServer 1.18.1 at {server.address}, stopped>"


def test_a_stopped_server_takes_no_orders() -> None:
    with DqliteCluster(2) as server:
        node = server.nodes[1]
        node.stop()
    orders: list[Callable[[], object]] = [
        lambda: server.fail_next(5),
        lambda: server.run_sql("main", "SELECT 1"),
        server.lose_leadership,
        server.elect,
        node.start,
    ]
    for order in orders:
        with pytest.raises(RuntimeError, match="the server has stopped"):
            order()
    assert (server.errors, server.hazards, server.requests) == ([], [], [])
    with server:
        assert server.run_sql("main", "SELECT 1") == [(1,)]


def test_run_sql_takes_parameters(server: DqliteServer) -> None:
    values = [1, None, "x", b"y", 0.5]
    assert server.run_sql("main", "SELECT ?, ?, ?, ?, ?", values) == [tuple(values)]
    server.run_sql("main", "INSERT INTO t VALUES (?); INSERT INTO t VALUES (?)", [1, 2])
    assert server.run_sql("main", "SELECT a FROM t WHERE a > ?", [1]) == [(2,)]
