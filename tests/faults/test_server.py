"""Faults in the embedded server: requests spoiled on their way, connections held, orders that never hit."""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import pytest

from dqlitewire.constants import RequestType
from dqlitewire.faults import Fault, Strike, UnusedFaultError
from dqlitewire.messages import DbResponse
from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.real.raw import RawConnection, frame, text, word
from tests.testing.pytest_session import run_pytest
from tests.waiting import wait_for

EXEC_SQL, QUERY_SQL = RequestType.EXEC_SQL, RequestType.QUERY_SQL
INSERT = frame(EXEC_SQL, word(0) + text("INSERT INTO t VALUES (1)"))


def count(server: DqliteServer) -> object:
    return server.run_sql("main", "SELECT count(*) FROM t")[0][0]


def silent(client: RawConnection) -> bool:
    return select.select([client.socket], [], [], 0.05)[0] == []


def until(server: DqliteServer, rows: int) -> None:
    wait_for(lambda: count(server) == rows, f"{rows} rows")


def test_hold(server: DqliteServer, client: RawConnection) -> None:
    """The request is carried out, later ones too, and nothing comes back."""
    fault = server.hold(on=EXEC_SQL)
    client.send(INSERT)
    client.send(INSERT)
    until(server, 2)
    assert silent(client)
    assert fault.hits == 1
    with RawConnection(server.address) as other:
        assert other.leader() == (1, server.address)


def test_hold_of_requests(server: DqliteServer, client: RawConnection) -> None:
    server.hold(on="exec_sql", direction="request")
    assert client.query_sql("SELECT 1")
    client.send(INSERT)
    client.send(INSERT)
    assert silent(client)
    assert count(server) == 0
    assert server.connection_count == 1


def test_delay_of_a_request(server: DqliteServer, client: RawConnection) -> None:
    server.delay(0.2, on=EXEC_SQL, direction="request")
    begun = time.monotonic()
    client.send(INSERT)
    quiet, seen = silent(client), count(server)
    early = time.monotonic() - begun < 0.2
    assert (quiet, seen) == (True, 0) or not early  # the node has not seen it yet
    assert client.frame().kind == 6
    assert time.monotonic() - begun >= 0.2
    assert count(server) == 1


def test_split_of_a_request(server: DqliteServer, client: RawConnection) -> None:
    """The node has a request when its last piece has come."""
    server.split_writes(8, pause=0.02, direction="request", on=EXEC_SQL)
    begun = time.monotonic()
    client.send(INSERT)
    assert client.frame().kind == 6
    assert time.monotonic() - begun >= 0.02 * (len(INSERT) // 8 - 1)


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ({"bytes": 3}, 0),
        ({"bytes": 0}, 0),
        ({"bytes": len(INSERT)}, 1),
        ({"frames": 1}, 1),
        ({"frames": 1, "bytes": 9}, 1),
        ({"executed": False, "frames": 3}, 0),
    ],
)
def test_drop_of_a_request(
    server: DqliteServer, client: RawConnection, words: dict[str, Any], rows: int
) -> None:
    fault = server.drop_after(**words, on=EXEC_SQL, direction="request")
    client.send(INSERT + (INSERT if "frames" in words and "bytes" in words else b""))
    while client.socket.recv(4096):
        pass
    assert count(server) == rows
    assert fault.hits == 1


def test_corrupt_type_of_a_request(server: DqliteServer, client: RawConnection) -> None:
    """It is answered as what arrives; the connection goes on."""
    server.corrupt(at=4, xor=EXEC_SQL ^ QUERY_SQL, on=EXEC_SQL, direction="request")
    assert client.call(EXEC_SQL, word(0) + text("SELECT 1")).kind == 7
    assert client.call(EXEC_SQL, word(0) + text("SELECT 1 WHERE 0")).kind == 6


def test_corrupt_text_of_a_request(server: DqliteServer, client: RawConnection) -> None:
    server.corrupt(at=16, xor=0x20, on=EXEC_SQL, direction="request", sql="INSERT")
    client.send(INSERT)
    assert client.frame().kind == 6  # "iNSERT" is SQL as well
    server.corrupt(at=16, xor=0x01, on=EXEC_SQL, direction="request")
    client.send(INSERT)
    assert client.frame().failure[0] == 1
    assert count(server) == 1
    sent = [request.sql for request in server.requests if request.type == EXEC_SQL]
    assert sent == ["INSERT INTO t VALUES (1)"] * 2  # what came of the client


def test_corrupt_size_of_a_request(server: DqliteServer, client: RawConnection) -> None:
    server.corrupt(at=0, xor=1, on=EXEC_SQL, direction="request")
    client.send(INSERT)
    assert client.closed_by_peer()
    assert count(server) == 0


def test_sql_finds_prepared_statements(server: DqliteServer, client: RawConnection) -> None:
    statements = []
    for sql in ("INSERT INTO t VALUES (1)", "DELETE FROM t"):
        body = client.call(RequestType.PREPARE, word(0) + text(sql)).body
        statements.append(int.from_bytes(body[4:8], "little"))
    server.fail_next(5, sql="(?i)delete", on="EXEC")
    call = [bytes(4) + number.to_bytes(4, "little") for number in statements]
    assert client.call(RequestType.EXEC, call[0]).kind == 6
    assert client.call(RequestType.EXEC, call[1]).failure == (5, "database is locked")
    assert [request.prepared_sql for request in server.requests][-2:] == [
        "INSERT INTO t VALUES (1)",
        "DELETE FROM t",
    ]
    assert [request.index for request in server.requests] == [*range(1, len(server.requests) + 1)]


@pytest.mark.parametrize("generation", ["1.18.1", "1.18.7", "cowsql"])
def test_the_text_of_leadership_lost_is_the_generations(generation: str) -> None:
    with DqliteServer(generation=generation) as server, RawConnection(server.address) as client:
        server.fail_next(10506)
        answer = client.call(RequestType.LEADER, word(0))
        assert answer.failure == (10506, server.generation.lost_text)


class Answering(Fault):
    """A message of another request."""

    replaces_answer: ClassVar[bool] = True

    def begin(self, strike: Strike) -> None:
        strike.skip()
        strike.answer(DbResponse(7).encode())


class Ignored(Fault):
    """No answer at all."""

    def begin(self, strike: Strike) -> None:
        strike.skip()


class Broken(Fault):
    def frame(self, strike: Strike, data: bytes) -> bytes:
        raise ZeroDivisionError("on purpose")


def test_classes_of_somebodys_own(server: DqliteServer, client: RawConnection) -> None:
    answering = server.order(Answering(on=EXEC_SQL))
    client.send(INSERT)
    assert client.frame().kind == 4
    ignored = server.order(Ignored(on=EXEC_SQL, times=2))
    client.send(INSERT + INSERT + INSERT)
    assert client.frame().kind == 6
    assert silent(client)
    assert count(server) == 1
    assert (answering.hits, ignored.hits) == (1, 2)


def test_a_hook_that_fails_ends_its_connection_and_is_told() -> None:
    with DqliteServer() as server, RawConnection(server.address) as client:
        server.order(Broken())
        client.send(frame(RequestType.LEADER, word(0)))
        assert client.closed_by_peer()
        assert [str(error) for error in server.errors] == ["on purpose"]
        with RawConnection(server.address) as other:
            assert other.leader() == (1, server.address)


class Wrong(Fault):
    """Does in its hooks what it is told."""

    begins: Callable[[Strike], object] = lambda _: None
    made: Callable[[Strike, bytes], Any] = lambda _, data: data

    def begin(self, strike: Strike) -> None:
        self.begins(strike)

    def frame(self, strike: Strike, data: bytes) -> bytes:
        return cast(bytes, self.made(strike, data))


@pytest.mark.parametrize("direction", ["request", "response"])
@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda _, data: None, "Wrong.frame returned None, must be bytes"),
        (lambda _, data: "text", "Wrong.frame returned 'text', must be bytes"),
        (lambda strike, data: strike.wait(-1), "seconds -1, must be 0 to 86400"),
        (lambda strike, data: strike.wait("1"), "seconds '1', must be a number of seconds"),
        (lambda strike, data: strike.split(0), "size 0, must be at least 1"),
        (lambda strike, data: strike.split(-3), "size -3, must be at least 1"),
        (lambda strike, data: strike.split(3, -1), "pause -1, must be 0 to 86400"),
    ],
)
def test_what_a_hook_cannot_want_is_told(
    made: Callable[[Strike, bytes], Any], words: str, direction: Literal["request", "response"]
) -> None:
    with DqliteServer() as server, RawConnection(server.address) as client:
        server.order(Wrong(made=made, direction=direction))
        client.send(frame(RequestType.LEADER, word(0)))
        assert client.closed_by_peer()
        assert [str(error) for error in server.errors] == [words]


def test_an_answer_of_a_hook_is_bytes() -> None:
    with DqliteServer() as server, RawConnection(server.address) as client:
        server.order(Wrong(begins=lambda strike: strike.answer(cast(bytes, "text"))))
        client.send(frame(RequestType.LEADER, word(0)))
        assert client.closed_by_peer()
        assert [str(error) for error in server.errors] == ["frame 'text', must be bytes"]


def test_a_frame_may_become_bytes_of_any_kind(server: DqliteServer, client: RawConnection) -> None:
    for kind in (bytes, bytearray, memoryview):
        server.order(Wrong(made=lambda _, data, kind=kind: kind(data)))
        assert client.leader() == (1, server.address)


class Forgetful(Fault):
    def __init__(self) -> None:
        pass


def test_a_fault_without_the_constructor_of_all_is_refused(server: DqliteServer) -> None:
    with pytest.raises(TypeError, match=r"fault of Forgetful, must call `Fault.__init__` in its own"):
        server.order(Forgetful())


def test_the_seed_decides() -> None:
    def failures(seed: int) -> list[bool]:
        with DqliteServer(seed=seed) as server, RawConnection(server.address) as client:
            server.fail_next(5, times=None, probability=0.5)
            return [client.call(RequestType.LEADER, word(0)).kind == 0 for _ in range(40)]

    first = failures(1)
    assert 5 < sum(first) < 35
    assert failures(1) == first
    assert failures(2) != first


def test_the_example_of_the_docs(server: DqliteServer, client: RawConnection) -> None:
    page = (Path(__file__).parents[2] / "docs" / "guides" / "testing.md").read_text()
    (example,) = re.findall(r"```python\n([^`]*\(Fault\):[^`]*)```", page)
    names: dict[str, Any] = {"server": server}
    exec(example, names)
    fault = names["fault"]
    for _ in range(2):
        client.send(frame(QUERY_SQL, word(0) + text("SELECT 1 AS a")))
        assert client.frame() == client.frame()
    assert (fault.hits, fault.longest) == (2, 48)
    assert repr(fault) == "<Twice, on QUERY_SQL, over, 2 hits>"


# ---------------------------------------------------------------- strict


@pytest.mark.parametrize("kind", [DqliteServer, DqliteCluster])
def test_strict(kind: type[DqliteCluster]) -> None:
    server = kind(strict=True)
    server.start()
    with RawConnection(server.addresses[0]) as client:
        client.open("main")
        server.fail_next(5, on="QUERY")
        client.query_sql("SELECT 1")
    with pytest.raises(UnusedFaultError) as raised:
        server.stop()
    assert str(raised.value) == (
        "faults that never hit: 1\n"
        "  <Fail, 5 'database is locked', on QUERY, 1 to come, 0 hits>, came: QUERY_SQL 1"
    )
    server.stop()
    assert "stopped" in repr(server)
    with server:  # another start, other orders
        pass


def test_strict_says_nothing_of_what_was_hit() -> None:
    with DqliteServer(strict=True) as server, RawConnection(server.address) as client:
        server.delay(0, times=None)
        client.leader()
        server.clear_faults()


def test_strict_does_not_hide_what_went_wrong() -> None:
    def fails() -> None:
        with DqliteServer(strict=True) as server:
            server.fail_next(5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        fails()
    assert raised.value.__notes__ == [
        "faults that never hit: 1\n  <Fail, 5 'database is locked', 1 to come, 0 hits>, nothing came"
    ]


def test_strict_and_a_fault_that_stops_the_server() -> None:
    with DqliteServer(strict=True) as server, RawConnection(server.address) as client:
        server.corrupt(lambda data: server.stop() or data)
        client.send(frame(RequestType.LEADER, word(0)))
        server.join()
        assert server.errors == []


def test_strict_in_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_strict.py").write_text(
        "import pytest\n"
        "@pytest.mark.dqlite(strict=True)\n"
        "def test_server(dqlite_server): dqlite_server.fail_next(5, on='QUERY')\n"
        "@pytest.mark.dqlite('1.18.7', strict=True, nodes=2)\n"
        "def test_cluster(dqlite_cluster): dqlite_cluster.hold()\n"
        "def test_other(dqlite_server): dqlite_server.fail_next(5)\n"
    )
    printed = run_pytest(tmp_path)
    assert "3 passed, 2 errors" in printed
    assert "<Fail, 5 'database is locked', on QUERY, 1 to come, 0 hits>, nothing came" in printed
