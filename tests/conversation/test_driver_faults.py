"""Any single fault, at any answer of a session: a driver gives the right answer or the right error.

It never hangs (each call ends by its deadline), never gives rows of another query, keeps what it says about
what was executed, and its pool has all of its connections at the end, each of which is sound.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dqlitewire.conversation import Outcome
from dqlitewire.faults.words import parse_fault
from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.conversation.drivers import INSERT, TABLE, Asyncio, Blocking, Driver, Session
from tests.profiles import DEEP
from tests.real.nodes import KINDS, Cluster

SHORT = 0.25  # seconds, where nothing comes at all
LONG = 60.0
# of a FAILURE that says "not executed", `executed` would be a lie that nobody can find out
FAULTS = [
    "fail code=5",
    "fail code=10250",
    "fail code=10506",
    "fail code=10506 executed=True",
    "fail code=12 message='no database opened'",
    "fail code=1 message='no such table: t'",
    "fail code=10 message='leader exec failed' executed=True",
    "fail code=4 executed=True",
    "drop",
    "drop executed=False",
    "drop reset=True",
    "drop bytes=1",
    "drop bytes=11",
    "drop frames=1",
    "drop direction=request",
    "drop bytes=9 direction=request",
    "delay seconds=0.002",
    "delay seconds=0.002 direction=request",
    "split size=1",
    "split size=7 pause=0.0001",
    "split size=3 direction=request",
    "corrupt at=4",
    "corrupt at=4 xor=1",
    "corrupt at=5 xor=2",
    "corrupt at=0 xor=1",
    "corrupt at=3",
    "hold",
    "hold direction=request",
]
SILENT = ("hold", "corrupt at=0", "corrupt at=3")  # only a deadline ends these
HARMLESS = [fault for fault in FAULTS if fault.startswith(("delay", "split"))]
REPEATED = [
    "fail code=5",
    "fail code=10250",
    "fail code=12 message='no database opened'",
]  # sent again, rightly
DRIVERS = [Blocking, Asyncio]
REQUESTS = 18  # of a session without a fault; an INTERRUPT may be the 19th, or end a query amid its rows


class NeverStruckError(Exception):
    """A session ended before a fault was met."""


def session_in_time(kind: Callable[..., Driver], server: DqliteServer, fault: str, after: int) -> Session:
    """A session in which nothing comes at some place; a busy machine may not come so far in a short time."""
    for timeout in (SHORT, 10 * SHORT):
        with contextlib.suppress(NeverStruckError):
            return session(kind, server, timeout, fault, after)
    return session(kind, server, LONG, fault, after)


def session(
    kind: Callable[..., Driver], server: DqliteServer, timeout: float, fault: str = "", after: int = 0
) -> Session:
    server.clear_faults()
    server.run_sql("drivers", "CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY)")
    server.run_sql("drivers", "DELETE FROM t")
    driver = kind(server.address, timeout=timeout)
    before = len(server.requests)
    try:
        run = Session(driver)
        ordered = server.order(parse_fault(f"{fault} after={after}")) if fault else None
        run.run()
        run.requests = len(server.requests) - before
        if not (ordered is None or ordered.hits or ordered.direction == "request"):
            raise NeverStruckError(fault)
        server.clear_faults()
        run.check()
        wait_for_connections(server, len(driver.pool.idle))
    finally:
        driver.close()
    wait_for_connections(server, 0)
    return run


def wait_for_connections(server: DqliteServer, count: int) -> None:
    end = time.monotonic() + LONG
    while server.connection_count != count:
        assert time.monotonic() < end, f"{server.connection_count} connections are open, not {count}"
        time.sleep(0.001)


def places(kind: Any) -> list[tuple[str, int]]:
    """The faults, each with how many answers to let pass first.

    By default one place for each fault, another one for the next, and every other fault for each driver.
    """
    if DEEP:
        return [(fault, after) for fault in FAULTS for after in range(REQUESTS)]
    places = [(fault, 7 * number % REQUESTS) for number, fault in enumerate(FAULTS)]
    return places[DRIVERS.index(kind) :: len(DRIVERS)]


@pytest.mark.parametrize("kind", DRIVERS, ids=lambda kind: kind.name)
def test_any_fault_anywhere(kind: Any) -> None:
    failed = dict.fromkeys(FAULTS, 0)
    with DqliteServer() as server:
        whole = session(kind, server, LONG)
        assert whole.failures == {}
        assert whole.requests - REQUESTS in (0, 1)
        for fault, after in places(kind):
            if fault.startswith(SILENT):
                run = session_in_time(kind, server, fault, after)
            else:
                run = session(kind, server, LONG, fault, after)
            failed[fault] += len(run.failures)
        assert server.errors == []
        assert server.hazards == []
    assert [fault for fault in HARMLESS if failed[fault]] == []
    if DEEP:
        assert {fault for fault in FAULTS if not failed[fault]} == {*HARMLESS, *REPEATED}


class Led(Session):
    """A session of which a step begins with a new leader."""

    def __init__(self, driver: Driver, cluster: DqliteCluster, at: int, how: str) -> None:
        super().__init__(driver)
        self.cluster, self.at, self.how, self.count = cluster, at, how, 0

    def step(self, *arguments: Any, **named: Any) -> None:
        self.count += 1
        if self.count == self.at:
            old = self.cluster.leader
            assert old is not None
            if self.how == "stop":
                old.stop()
            self.cluster.elect(next(node for node in self.cluster.nodes if node is not old))
        super().step(*arguments, **named)


@pytest.mark.parametrize("kind", DRIVERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("how", ["elect", "stop"])
def test_leader_goes_before_any_step(kind: Any, how: str) -> None:
    """Leadership moves, or the leader ends: the driver finds the next one, and nothing is in doubt."""
    for at in range(1, 9, 1 if DEEP else 3):
        with DqliteCluster(3) as cluster:
            driver = kind(",".join(node.address for node in cluster.nodes), timeout=LONG)
            try:
                run = Led(driver, cluster, at, how)
                run.run()
                assert run.failures == {}
                run.check()
            finally:
                driver.close()


def test_threads_share_a_pool() -> None:
    with DqliteServer() as server:
        driver = Blocking(server.address, size=3, timeout=LONG)
        driver.execute(TABLE)

        def insert(thread: int) -> None:
            for key in range(thread * 100 + 1, thread * 100 + 11):
                assert driver.execute(INSERT, key) == 1
                assert driver.query("SELECT ?", key) == [(key,)]

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(insert, range(6)))
        assert driver.query("SELECT count(*) FROM t") == [(60,)]
        assert driver.pool.free._value == 3
        assert len(driver.pool.idle) <= 3
        wait_for_connections(server, len(driver.pool.idle))
        driver.close()


@pytest.mark.parametrize("kind", DRIVERS, ids=lambda kind: kind.name)
def test_a_session_on_a_real_node(kind: Any, real_address: str, database: str) -> None:
    driver = kind(real_address, database=database)
    try:
        run = Session(driver)
        run.run()
        assert run.failures == {}
        run.check()
    finally:
        driver.close()


class Killed(Session):
    """A session of which a step begins when the leader of a real cluster has just been killed."""

    def __init__(self, driver: Driver, cluster: Cluster, at: int) -> None:
        super().__init__(driver)
        self.cluster, self.at, self.count = cluster, at, 0

    def step(self, *arguments: Any, **named: Any) -> None:
        self.count += 1
        if self.count == self.at:
            self.cluster.leader().kill()
        super().step(*arguments, **named)


@pytest.mark.skipif(not DEEP, reason="8 clusters for each server and driver: DQLITE_WIRE_DEEP=1")
@pytest.mark.parametrize("kind", DRIVERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("server", KINDS)
def test_the_leader_is_killed(kind: Any, server: str, real_cluster: Callable[..., Cluster]) -> None:
    """Nothing was under way, so nothing is in doubt: the step is done on the next leader."""
    for at in range(1, 9):
        with contextlib.ExitStack() as ending:
            cluster = real_cluster(server)
            driver = kind(",".join(cluster.addresses), timeout=60.0)
            ending.callback(driver.close)
            run = Killed(driver, cluster, at)
            run.run()
            assert run.failures == {}
            run.check()


@pytest.mark.skipif(not DEEP, reason="a cluster for each server and driver: DQLITE_WIRE_DEEP=1")
@pytest.mark.parametrize("kind", DRIVERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("server", KINDS)
def test_the_leader_is_killed_amid_inserts(
    kind: Any, server: str, real_cluster: Callable[..., Cluster]
) -> None:
    """An acknowledged row is there once, one that was not executed is not, any other at most once."""
    cluster = real_cluster(server)
    driver = kind(",".join(cluster.addresses), timeout=60.0)
    killer = threading.Timer(0.3, lambda: cluster.leader().kill())
    try:
        run = Session(driver)
        run.step("create", lambda: driver.execute(TABLE), None)
        killer.start()
        for key in range(1, 1000):
            run.step(f"insert {key}", lambda key=key: driver.execute(INSERT, key), 1, keys=[key])
        assert {outcome for _, outcome in run.failures.values()} <= {Outcome.UNKNOWN}
        run.check()
    finally:
        killer.join()
        driver.close()
