"""Faults through the running proxy, sockets and all: the client sees what a server with the same faults says.

Two embedded servers get the same bytes, all requests sent ahead and the end of the stream behind them. One
spoils its answers itself; before the other, which knows of no fault, stands the proxy.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from dqlitewire.faults.words import parse_fault
from dqlitewire.messages import (
    ExecRequest,
    ExecSqlRequest,
    FinalizeRequest,
    LeaderRequest,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
)
from dqlitewire.proxy import BlockingProxy
from dqlitewire.testing import DqliteServer
from tests.real.raw import DONE, PART, RawConnection, frame, text, word
from tests.testing.embedded import embedded

SERIES = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 3000) SELECT i FROM r"
SESSION = word(1) + b"".join(
    message.encode()
    for message in (
        OpenRequest("main", 0, ""),
        ExecSqlRequest(0, "INSERT INTO t (b) VALUES (1)"),
        QuerySqlRequest(0, SERIES),
        PrepareRequest(0, "INSERT INTO t (b) VALUES (2)"),
        PrepareRequest(0, "SELECT count(*), max(a) FROM t"),
        ExecRequest(0, 0),
        QueryRequest(0, 1),
        ExecSqlRequest(0, "INSERT INTO nonsense VALUES (1)"),
        ExecRequest(0, 0),
        FinalizeRequest(0, 0),
        QuerySqlRequest(0, "SELECT * FROM t ORDER BY a"),
        LeaderRequest(),
    )
)
FAULTS = [
    [],
    ["fail code=5 times=2"],
    ["fail code=5 on=EXEC times=forever", "fail code=10506 executed=yes on=EXEC_SQL"],
    ["fail code=1 executed=yes on=QUERY_SQL after=1", "fail code=2 on=QUERY_SQL"],
    ["fail code=1 'sql=max\\('"],
    ["delay seconds=0.01 times=3", "delay seconds=0.01 direction=request on=QUERY times=forever"],
    ["split size=4096 pause=0.001 on=QUERY_SQL times=forever", "split size=3 direction=request times=4"],
    ["corrupt at=17 xor=1 on=EXEC_SQL direction=request times=forever"],
    ["corrupt at=4 times=forever"],
    ["corrupt at=3 times=forever on=QUERY_SQL"],
    ["drop frames=4 bytes=30"],
    ["drop frames=2 on=EXEC"],
    ["drop executed=no on=EXEC"],
    ["drop frames=3 bytes=12 direction=request"],
    ["delay seconds=0.05 times=forever", "drop bytes=9 direction=request on=PREPARE"],
    ["delay seconds=0.05 times=forever", "drop frames=1 direction=request on=PREPARE"],
    ["delay seconds=0.05 times=forever", "drop executed=no on=PREPARE"],
    ["delay seconds=0.05 direction=request times=forever", "drop executed=no on=EXEC"],
    ["split size=9 pause=0.005 on=EXEC_SQL", "drop direction=request on=PREPARE"],
    ["drop on=LEADER", "delay seconds=0.001 times=forever", "split size=5000 times=forever"],
]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[DqliteServer, DqliteServer, BlockingProxy]]:
    with embedded() as spoils, embedded() as plain:
        with BlockingProxy({"127.0.0.1:0": plain.address}, map_addresses=False) as proxy:
            yield spoils, plain, proxy
        assert proxy.errors == []


def said(address: str) -> bytes:
    """All that comes back to the session, up to the end of the stream."""
    host, _, port = address.rpartition(":")
    out = b""
    with socket.create_connection((host, int(port)), 20) as sock:
        sock.settimeout(60)
        sock.sendall(SESSION)
        sock.shutdown(socket.SHUT_WR)
        while data := sock.recv(1 << 16):
            out += data
    return out


@pytest.mark.parametrize("texts", FAULTS, ids=" and ".join)
def test_the_same_as_from_a_server_with_these_faults(
    servers: tuple[DqliteServer, DqliteServer, BlockingProxy], texts: list[str]
) -> None:
    spoils, plain, proxy = servers
    faults = [(spoils.order(parse_fault(one)), proxy.order(parse_fault(one))) for one in texts]
    expected = said(spoils.address).replace(spoils.address.encode(), plain.address.encode())
    assert said(proxy.addresses[0]) == expected
    for mine, through in faults:
        assert mine.hits == through.hits
        mine.cancel()
        through.cancel()
    spoils.clear_faults()
    proxy.clear_faults()
    rows = "SELECT a, b FROM t ORDER BY a"
    assert plain.run_sql("main", rows) == spoils.run_sql("main", rows)


def test_a_fault_ordered_in_the_middle_of_an_answer(
    servers: tuple[DqliteServer, DqliteServer, BlockingProxy],
) -> None:
    """Which began to pass while nothing was ordered, so that its end must be found by the way."""
    proxy = servers[2]
    with RawConnection(proxy.addresses[0]) as client:
        client.open("main")
        client.send(frame(9, word(0) + text(SERIES.replace("3000", "30000"))))
        first = client.frame()
        fault = proxy.fail_next(5, on="EXEC_SQL")
        client.send(frame(8, word(0) + text("INSERT INTO t (b) VALUES (1)")) + frame(0, word(0)))
        assert first.body.endswith(PART)
        while (answer := client.frame()).kind == 7:
            last = answer
        assert last.body.endswith(DONE)
        assert answer.failure == (5, "database is locked")
        assert client.frame().kind == 1
        assert fault.hits == 1


def test_an_interrupt_between_faults(servers: tuple[DqliteServer, DqliteServer, BlockingProxy]) -> None:
    proxy = servers[2]
    with RawConnection(proxy.addresses[0]) as client:
        client.open("main")
        proxy.split_writes(1000, on="QUERY_SQL")
        proxy.delay(0.01, on="INTERRUPT")
        endless = SERIES.replace(" WHERE i < 3000", "")
        client.send(frame(9, word(0) + text(endless)))
        client.frame()
        client.send(frame(10, word(0)) + frame(0, word(0)))
        while (answer := client.frame()).kind == 7:
            pass
        assert answer.kind == 8
        assert client.frame().kind == 1
