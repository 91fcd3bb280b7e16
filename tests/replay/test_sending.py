"""Recorded requests sent to a node again, and what is said of its answers; the node is an embedded one."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dqlitewire.conversation import Generation
from dqlitewire.dial import Address, Deadline, dial
from dqlitewire.proxy import BlockingProxy
from dqlitewire.proxy.recording import Recorder
from dqlitewire.replay.checking import hazards, writes
from dqlitewire.replay.recording import Recording, View
from dqlitewire.replay.sending import Sending
from dqlitewire.replay.server import ReplayServer
from dqlitewire.testing import DqliteServer
from dqlitewire.traffic.errors import SourceError
from tests.real.raw import RawConnection, frame, text, word

SERIES = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {})"
ROWS = f"{SERIES} SELECT i, 'row ' || i FROM r"


@pytest.fixture
def server() -> Iterator[DqliteServer]:
    with DqliteServer() as server:
        yield server


Session = Callable[[str], None]


def record(server: DqliteServer, path: Path, session: Session) -> Path:
    recorder = Recorder(path)
    with BlockingProxy([f"127.0.0.1:0={server.address}"], lookers=[recorder]) as proxy:
        session(proxy.addresses[0])
    recorder.close()
    assert not recorder.failed
    return path


def send(path: Path, server: DqliteServer, timed: bool = False) -> tuple[Sending, list[list[str]]]:
    told: list[list[str]] = []
    deadline = Deadline(30)

    def connect() -> socket.socket:
        return dial(Address.parse(server.address), deadline)

    with Recording.load([path], View.NODE) as recording:
        sending = Sending(recording, connect, deadline, Generation.UNKNOWN, told.append)
        (sending.timed if timed else sending.in_order)()
    return sending, told


def read_only(address: str) -> None:
    with RawConnection(address) as client:
        client.leader()
        client.ok(1, word(4711))
        client.open("db")
        client.query_sql("SELECT * FROM t ORDER BY a")
        client.call(4, word(0) + text("SELECT count(*) FROM t"))
        client.call(6, bytes(8))
        client.call(7, bytes(8))
        client.call(9, word(0) + text("SELECT * FROM missing"))
        client.call(16, word(1))


def prepared(server: DqliteServer) -> None:
    server.run_sql("db", "CREATE TABLE t (a INTEGER, b TEXT)")
    server.run_sql("db", "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')")


def test_the_same_node_answers_the_same(server: DqliteServer, tmp_path: Path) -> None:
    prepared(server)
    path = record(server, tmp_path / "s.dqt", read_only)
    for timed in (False, True):
        sending, told = send(path, server, timed)
        assert told == []
        assert (sending.connections, sending.sent, sending.skipped) == (1, 9, 0)


def test_changed_data_are_shown_row_by_row(server: DqliteServer, tmp_path: Path) -> None:
    prepared(server)
    path = record(server, tmp_path / "s.dqt", read_only)
    server.run_sql("db", "UPDATE t SET b = 'zwei' WHERE a = 2")
    server.run_sql("db", "INSERT INTO t VALUES (0, 'zero')")
    server.run_sql("db", "CREATE TABLE missing (x)")
    _, told = send(path, server)
    assert [lines[1:] for lines in told] == [
        ["+ row 1 (0, 'zero')", "- row 2 (2, 'two')", "+ row 3 (2, 'zwei')"],
        ["- row 1 (3)", "+ row 1 (4)"],
        ["- FAILURE  1 SQLITE_ERROR: no such table: missing", "+ ROWS  0 rows, and no more"],
    ]
    assert told[0][0].endswith("request 4: QUERY_SQL  SELECT * FROM t ORDER BY a")
    assert told[1][0].endswith("(SELECT count(*) FROM t)")


def writing(address: str) -> None:
    with RawConnection(address) as client, RawConnection(address) as other:
        client.open("db")
        other.open("db")
        client.exec_sql("CREATE TABLE w (a INTEGER PRIMARY KEY)")
        client.exec_sql("BEGIN IMMEDIATE")
        client.exec_sql("INSERT INTO w VALUES (1)")
        assert other.call(8, word(0) + text("INSERT INTO w VALUES (2)")).kind == 0  # busy
        client.exec_sql("COMMIT")
        other.exec_sql("INSERT INTO w VALUES (2)")
        client.query_sql("SELECT * FROM w")


def test_connections_take_turns_as_they_did(server: DqliteServer, tmp_path: Path) -> None:
    path = record(server, tmp_path / "s.dqt", writing)
    with DqliteServer() as fresh:
        sending, told = send(path, fresh)
    assert told == []
    assert sending.connections == 2


def test_what_writes_is_named(server: DqliteServer, tmp_path: Path) -> None:
    path = record(server, tmp_path / "s.dqt", writing)
    with Recording.load([path], View.NODE) as recording:
        found = [line.partition(": ")[2] for line in writes(recording)]
    assert found == [
        "EXEC_SQL  CREATE TABLE w (a INTEGER PRIMARY KEY)",
        "EXEC_SQL  INSERT INTO w VALUES (1)",
        *["EXEC_SQL  INSERT INTO w VALUES (2)"] * 2,
    ]


def test_many_rows_are_compared_as_they_come(server: DqliteServer, tmp_path: Path) -> None:
    def many(address: str) -> None:
        with RawConnection(address) as client:
            client.open("db")
            client.query_sql(ROWS.format(20_000))

    path = record(server, tmp_path / "s.dqt", many)
    assert send(path, server)[1] == []


def test_another_id_of_a_statement_is_followed(server: DqliteServer, tmp_path: Path) -> None:
    prepared(server)

    def session(address: str) -> None:
        with RawConnection(address) as client:
            client.open("db")
            for sql in ("SELECT a FROM t", "SELECT b FROM t"):
                client.call(4, word(0) + text(sql))
            client.call(6, bytes(4) + bytes([1, 0, 0, 0]))

    path = record(server, tmp_path / "s.dqt", session)
    server.run_sql("db", "ALTER TABLE t RENAME COLUMN a TO c")  # the first PREPARE fails: ids move by one
    _, told = send(path, server)
    assert [lines[1:] for lines in told] == [
        ["- STMT  stmt 0, 0 parameters", "+ FAILURE  1 SQLITE_ERROR: no such column: a"]
    ]


def test_a_statement_that_was_not_prepared_is_not_run(server: DqliteServer, tmp_path: Path) -> None:
    prepared(server)
    path = record(server, tmp_path / "s.dqt", read_only)
    server.run_sql("db", "DROP TABLE t")
    sending, told = send(path, server)
    assert sending.skipped == 2
    assert [lines[-1] for lines in told if "not sent" in lines[-1]] == [
        "+ not sent: this node has not prepared its statement"
    ] * 2


def test_an_interrupt_is_sent_into_its_query(server: DqliteServer, tmp_path: Path) -> None:
    def session(address: str) -> None:
        with RawConnection(address) as client:
            client.open("db")
            client.send(frame(9, word(0) + text(ROWS.format(1_000_000))))
            client.frame()
            client.send(frame(10, word(0)))
            while client.frame().kind != 8:
                pass
            client.query_sql("SELECT 1")

    path = record(server, tmp_path / "s.dqt", session)
    sending, told = send(path, server)
    assert told == []
    assert sending.sent == 4


def test_hazards_are_found_beforehand(tmp_path: Path) -> None:
    from tests.replay.transcripts import CLIENT, SERVER, Said, write

    asked = (
        (frame(18, word(1)), frame(0, word(1) + text("no"))),  # DESCRIBE in a format that kills
        (frame(3, text("file:x?vfs=y") + word(0) + text("")), frame(4, word(0))),
        (frame(8, word(0) + text("ATTACH 'x' AS y")), frame(6, word(0) * 2)),
    )
    for request, answer in asked:
        said: list[Said] = [(1, CLIENT, word(1) + request), (1, SERVER, answer), (1, CLIENT, b"")]
        path = write(tmp_path / f"{request[4]}.dqt", said)
        with Recording.load([path], View.NODE) as recording:
            assert len(list(hazards(recording, Generation.UNKNOWN))) == 1


def test_times_are_kept(server: DqliteServer, tmp_path: Path) -> None:
    def session(address: str) -> None:
        with RawConnection(address) as client:
            client.leader()
            time.sleep(0.3)
            client.leader()

    path = record(server, tmp_path / "s.dqt", session)
    begin = time.monotonic()
    send(path, server, timed=True)
    assert time.monotonic() - begin >= 0.25


def test_a_node_that_goes_away_is_a_difference(server: DqliteServer, tmp_path: Path) -> None:
    prepared(server)
    path = record(server, tmp_path / "s.dqt", read_only)
    server.drop_after(frames=0, on="QUERY_SQL")
    sending, told = send(path, server)
    assert told[0][-1] == "+ the node closed the connection"
    assert sending.skipped == 5


def test_the_parts_of_a_rotated_recording_are_one(server: DqliteServer, tmp_path: Path) -> None:
    prepared(server)
    recorder = Recorder(tmp_path / "s.dqt", max_size=4000)
    with BlockingProxy([f"127.0.0.1:0={server.address}"], lookers=[recorder]) as proxy:
        for _ in range(3):
            read_only(proxy.addresses[0])
    recorder.close()
    parts = sorted(tmp_path.iterdir(), reverse=True)
    assert len(parts) > 2
    with ReplayServer(parts) as replay:
        for _ in range(3):
            read_only(replay.address)
    assert replay.problems == []
    later = next(part for part in parts if part.name == "s.1.dqt")
    assert "its beginning was not recorded" in words_of(later)


def words_of(path: Path) -> str:
    try:
        with Recording.load([path]) as recording:
            return " ".join(recording.notes)
    except SourceError as error:
        return str(error)
