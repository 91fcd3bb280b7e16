"""The two drivers of `examples/` behind one face, and a session in which they do all that they can.

A `Session` runs on a pool of one driver. It notes of each step what it gave, or how it failed; `check` then
asks the pool once more, without faults, and holds the notes against the database.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from dqlitewire.conversation import Outcome
from dqlitewire.messages import ExecRequest, QueryRequest
from tests.conversation.peer import COUNT_TO
from tests.conversation.test_examples import example

__all__ = ["INSERT", "ROWS", "TABLE", "Asyncio", "Blocking", "Driver", "Session"]

ROWS = 600  # in several frames
MANY = COUNT_TO.format(ROWS) + " SELECT x, 'some text' FROM c"
LONG = COUNT_TO.format(5000) + " SELECT x, 'some text' FROM c"  # more than one read gets
TABLE = "CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY)"
INSERT = "INSERT INTO t VALUES (?)"
KEYS = "SELECT k FROM t WHERE k > ? ORDER BY k"


class Driver(ABC):
    """What a session does with a driver; each call may raise its RequestFailed."""

    name: str
    module: Any
    pool: Any

    @abstractmethod
    def execute(self, sql: str, *params: Any) -> int: ...

    @abstractmethod
    def query(self, sql: str, *params: Any) -> list[Any]: ...

    @abstractmethod
    def transact(self, keys: list[int]) -> int:
        """Insert keys by a prepared statement, in a transaction."""

    @abstractmethod
    def leave_early(self) -> list[Any]:
        """Leave a long result after its first row; then query on the same connection."""

    @abstractmethod
    def query_prepared(self) -> list[Any]: ...

    @abstractmethod
    def close(self) -> None: ...


class Blocking(Driver):
    name = "blocking"

    def __init__(self, addresses: str, database: str = "drivers", **options: Any) -> None:
        self.module = example("blocking_client")
        self.pool = self.module.Pool(addresses, database, **options)

    def execute(self, sql: str, *params: Any) -> int:
        return int(self.pool.execute(sql, params).rows_affected)

    def query(self, sql: str, *params: Any) -> list[Any]:
        return list(self.pool.query(sql, params))

    def transact(self, keys: list[int]) -> int:
        def work(connection: Any) -> int:
            with connection.prepared(INSERT) as number:
                return sum(connection.call(ExecRequest(0, number, [key])).rows_affected for key in keys)

        return int(self.pool.transact(work))

    def leave_early(self) -> list[Any]:
        def work(connection: Any) -> list[Any]:
            connection.patience = self.pool.timeout
            with contextlib.closing(connection.query(LONG)) as rows:
                first = next(rows)
            return [first, *connection.query("SELECT 6")]

        return list(self.pool.run(work))

    def query_prepared(self) -> list[Any]:
        def work(connection: Any) -> list[Any]:
            with connection.prepared("SELECT ? + 1") as number:
                return [*connection.rows(QueryRequest(0, number, [6]))]

        return list(self.pool.run(work))

    def close(self) -> None:
        self.pool.close()


class Asyncio(Driver):
    name = "asyncio"

    def __init__(self, addresses: str, database: str = "drivers", **options: Any) -> None:
        self.module = example("asyncio_client")
        self.runner = asyncio.Runner()

        async def pool() -> Any:
            return self.module.Pool(addresses, database, **options)

        self.pool = self.runner.run(pool())

    def result(self, call: Any) -> Any:
        """The result of a call, in a loop that has been running meanwhile, as that of a program does."""

        async def later() -> Any:
            for _ in range(5):
                await asyncio.sleep(0)
            return await call

        return self.runner.run(later())

    def execute(self, sql: str, *params: Any) -> int:
        return int(self.result(self.pool.execute(sql, params)).rows_affected)

    def query(self, sql: str, *params: Any) -> list[Any]:
        return list(self.result(self.pool.query(sql, params)))

    def transact(self, keys: list[int]) -> int:
        async def work(connection: Any) -> int:
            async with connection.prepared(INSERT) as number:
                answers = [await connection.call(ExecRequest(0, number, [key])) for key in keys]
                return sum(answer.rows_affected for answer in answers)

        return int(self.result(self.pool.transact(work)))

    def leave_early(self) -> list[Any]:
        async def work(connection: Any) -> list[Any]:
            async with contextlib.aclosing(connection.query(LONG)) as rows:
                first = await anext(rows)
            return [first, *[row async for row in connection.query("SELECT 6")]]

        return list(self.result(self.pool.run(work)))

    def query_prepared(self) -> list[Any]:
        async def work(connection: Any) -> list[Any]:
            async with connection.prepared("SELECT ? + 1") as number:
                return [row async for row in connection.rows(QueryRequest(0, number, [6]))]

        return list(self.result(self.pool.run(work)))

    def close(self) -> None:
        try:
            self.runner.run(self.pool.close())
        finally:
            self.runner.close()


class Session:
    """A session of a driver.

    Args:
        driver: on a database that may have a table, empty.

    Attributes:
        failures: the text and the outcome of each step that failed, by its name.
        requests: how many requests came to the server; counted by who has one.
    """

    requests = 0

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.failures: dict[str, tuple[str, Outcome]] = {}
        self.keys: dict[str, list[int]] = {}  # what each step is to insert

    def run(self) -> None:
        driver = self.driver
        self.step("create", lambda: driver.execute(TABLE), None)
        self.step("insert", lambda: driver.execute(INSERT, 1), 1, keys=[1])
        self.step("query", lambda: driver.query(MANY), [(x, "some text") for x in range(1, ROWS + 1)])
        self.step("transact", lambda: driver.transact([2, 3]), 2, keys=[2, 3])
        self.step("leave early", driver.leave_early, [(1, "some text"), (6,)])
        self.step("insert again", lambda: driver.execute(INSERT, 4), 1, keys=[4])
        self.step("query prepared", driver.query_prepared, [(7,)])
        self.step("select", lambda: driver.query("SELECT 8"), [(8,)])

    def step(self, name: str, call: Callable[[], Any], wanted: Any, keys: list[int] | None = None) -> None:
        self.keys[name] = keys or []
        try:
            got = call()
        except self.driver.module.RequestFailed as failure:
            self.failures[name] = str(failure), failure.outcome
        else:
            assert wanted is None or got == wanted, f"{name}: {got!r}"

    def check(self) -> None:
        """The pool goes on, and the database has what the steps claim."""
        free = self.driver.pool.free._value
        assert free == 4, f"{4 - free} connections were never given back"
        assert self.driver.query("SELECT 9") == [(9,)]
        self.driver.execute(TABLE)
        there = {key for (key,) in self.driver.query(KEYS, 0)}
        assert there <= {key for keys in self.keys.values() for key in keys}
        for name, keys in self.keys.items():
            _, outcome = self.failures.get(name, ("", Outcome.DONE))
            found = [key for key in keys if key in there]
            allowed = {Outcome.DONE: [keys], Outcome.NOT_EXECUTED: [[]], Outcome.UNKNOWN: [[], keys]}[outcome]
            assert found in allowed, f"{name}: {outcome}, {found} of {keys} are there"
        doubled = [name for name, (text, _) in self.failures.items() if "UNIQUE" in text]
        assert not doubled, f"sent twice: {doubled}"
