"""What a real node would not survive is answered clearly and recorded; the embedded server goes on."""

from __future__ import annotations

import struct

import pytest

from dqlitewire.testing import DqliteServer, HazardKind
from tests.real.raw import PART, RawConnection, frame, text, word

GENERATIONS = ["1.11.1", "1.18.1", "1.18.7", "cowsql"]
NEW = ["1.18.1", "1.18.7"]
RETURNING = "INSERT INTO t VALUES (1) RETURNING a"

CLUSTER_REQUESTS = [
    (GENERATIONS, 18, word(1), HazardKind.DESCRIBE_FORMAT, (15, "bad format version")),
    (NEW, 12, word(0) + text("127.0.0.1:1"), HazardKind.ADD_ZERO, None),
    (GENERATIONS, 13, word(1) + word(3), HazardKind.ASSIGN_ROLE, "answered"),
]


def kinds(server: DqliteServer) -> list[HazardKind]:
    return [hazard.kind for hazard in server.hazards]


@pytest.mark.parametrize(
    ("generation", "kind", "body", "hazard", "answer"),
    [(generation, *rest) for generations, *rest in CLUSTER_REQUESTS for generation in generations],
)
def test_requests(generation: str, kind: int, body: bytes, hazard: HazardKind, answer: object) -> None:
    with DqliteServer(generation=generation) as server, RawConnection(server.address) as client:
        given = client.call(kind, body)
        assert kinds(server) == [hazard]
        if answer != "answered":
            assert given.failure == answer if answer else f"dqlite {generation}" in given.failure[1]
        assert client.call(18, word(0)).kind == 10


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("name", ["", ":memory:"])
def test_a_statement_on_a_database_without_a_name(generation: str, name: str) -> None:
    with DqliteServer(generation=generation) as server, RawConnection(server.address) as client:
        client.open(name)
        assert kinds(server) == [HazardKind.MEMORY_DATABASE]
        code, message = client.call(9, word(0) + text("SELECT 1")).failure
        assert (code, message) == (1, f"a statement on this database kills {server.generation.title}")
        assert kinds(server) == [HazardKind.MEMORY_DATABASE]
        assert client.leader() == (1, server.address)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    ("column", "value"),
    [("DATE", "1.5"), ("DATETIME", "x'00'"), ("timestamp", "0.5"), ("BOOLEAN", "'text'"), ("BOOLEAN", "1.5")],
)
def test_a_value_that_does_not_fit_its_declared_type(generation: str, column: str, value: str) -> None:
    with DqliteServer(generation=generation) as server, RawConnection(server.address) as client:
        client.open("main")
        client.exec_sql(f"CREATE TABLE t (a {column}); INSERT INTO t VALUES (1), ({value})")
        code, message = client.query_sql("SELECT a FROM t")[0].failure
        assert code == 1
        assert message.endswith(f"column aborts {server.generation.title}")
        assert kinds(server) == [HazardKind.COLUMN_TYPE]
        assert client.query_sql("SELECT +a FROM t")[0].kind == 7


@pytest.mark.parametrize("generation", GENERATIONS)
def test_returning(generation: str) -> None:
    with DqliteServer(generation=generation) as server, RawConnection(server.address) as client:
        client.open("main")
        client.exec_sql("CREATE TABLE t (a)")
        assert client.call(8, word(0) + text(RETURNING)).failure[0] in (1, 100)
        assert client.call(4, word(0) + text(RETURNING)).kind == 5
        assert client.call(5, word(0)).failure[0] in (1, 100)
        assert kinds(server) == [HazardKind.RETURNING] * 2
        queried = client.query_sql(RETURNING)[0]
        prepared = client.call(6, word(0))
        if generation == "1.18.7":
            assert (queried.kind, prepared.kind) == (7, 7)
            assert len(server.hazards) == 2
        else:
            assert queried.failure == prepared.failure
            assert kinds(server) == [HazardKind.RETURNING] * 4
        # nothing else was written
        assert server.run_sql("main", "SELECT count(*) FROM t") == [(2 if generation == "1.18.7" else 0,)]


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("kind", [5, 6, 7])
def test_a_finalized_statement_below_another(generation: str, kind: int) -> None:
    with DqliteServer(generation=generation) as server, RawConnection(server.address) as client:
        client.open("main")
        for number in range(3):
            client.ok(4, word(0) + text(f"SELECT {number}"))
        client.ok(7, struct.pack("<II", 0, 1))
        client.ok(7, struct.pack("<II", 0, 2))
        # as in the registry of a node: the slots end with 1, which is empty
        assert client.call(kind, struct.pack("<II", 0, 2)).failure == (12, "no statement with the given id")
        assert kinds(server) == []
        assert client.call(kind, struct.pack("<II", 0, 1)).failure == (12, "no statement with the given id")
        assert kinds(server) == [HazardKind.STALE_STATEMENT]


@pytest.mark.parametrize("kind", [2, 20, 255])
def test_types_that_old_servers_never_answer(kind: int) -> None:
    with DqliteServer(generation="1.11.1") as server, RawConnection(server.address) as client:
        client.send(frame(kind, word(0)) + frame(0, word(0)))
        client.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.receive(1)
        assert kinds(server) == [HazardKind.OLD_TYPE]
        with RawConnection(server.address) as other:
            assert other.leader() == (1, server.address)


@pytest.mark.parametrize("pragma", ["journal_mode=DELETE", "page_size=8192"])
def test_pragmas_that_old_servers_do_not_survive(pragma: str) -> None:
    with DqliteServer(generation="1.11.1") as server, RawConnection(server.address) as client:
        client.open("main")
        for kind in (8, 9):
            assert client.call(kind, word(0) + text(f"PRAGMA {pragma}")).failure == (
                1,
                f"PRAGMA {pragma} aborts dqlite 1.11.1",
            )
        assert kinds(server) == [HazardKind.OLD_PRAGMA] * 2


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    ("words", "hazard"),
    [(0, HazardKind.EMPTY_BODY), (0x1FFFFFFF, HazardKind.BODY_SIZE), (0xFFFFFFFF, HazardKind.BODY_SIZE)],
)
def test_headers(generation: str, words: int, hazard: HazardKind) -> None:
    with DqliteServer(generation=generation) as server, RawConnection(server.address) as client:
        client.send(struct.pack("<IBBH", words, 0, 0, 0))
        code, message = client.frame().failure
        assert code == 1
        assert message.endswith(f"kills a {server.generation.title}")
        assert client.closed_by_peer()
        assert kinds(server) == [hazard]


def test_a_name_too_long() -> None:
    with DqliteServer() as server, RawConnection(server.address) as client:
        client.send(frame(3, text("x" * 505) + word(0) + text("")))
        assert client.closed_by_peer()
        assert kinds(server) == [HazardKind.LONG_NAME]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_rows_that_never_come(generation: str) -> None:
    with DqliteServer(generation=generation) as server, RawConnection(server.address) as client:
        client.open("main")
        columns = ", ".join(f"{number} AS c{number}" for number in range(600))
        client.send(frame(9, word(0) + text(f"SELECT {columns}")))
        first = client.frame()
        assert first.body.endswith(PART)
        assert [client.frame() for _ in range(20)] == [first] * 20
        assert kinds(server) == [HazardKind.ENDLESS_ROWS]


def test_a_careful_client_leaves_no_trace() -> None:
    with DqliteServer() as server, RawConnection(server.address) as client:
        client.open("main")
        client.exec_sql("CREATE TABLE t (a DATE)")
        client.query_sql("SELECT * FROM t")
        assert server.hazards == []
        assert [record.sql for record in server.requests] == [
            None,
            "CREATE TABLE t (a DATE)",
            "SELECT * FROM t",
        ]


def test_of_a_hazard_the_beginning_is_kept() -> None:
    with DqliteServer(generation="1.11.1") as server, RawConnection(server.address) as client:
        client.open("main")
        client.call(8, word(0) + text(f"ATTACH '{'x' * 100_000}' AS x"))
        (hazard,) = server.hazards
        assert hazard.detail.startswith("file xxx")
        assert len(hazard.detail) == 1000
