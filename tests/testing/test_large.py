"""Nothing waits for ever: frames of any size, in pieces of any size, beside any limit of a stream."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from dqlitewire.messages import LeaderRequest, WelcomeResponse
from dqlitewire.testing import DqliteServer, HazardKind
from dqlitewire.testing.node import session, shared
from dqlitewire.testing.script import ScriptedServer, expect, send, wait
from dqlitewire.testing.serving import connection as serving
from dqlitewire.testing.serving import server_thread
from tests.real.raw import DONE, PART, RawConnection, blob, frame, text, word
from tests.testing.embedded import embedded
from tests.waiting import PATIENCE, wait_for

EXEC_SQL, QUERY_SQL, INTERRUPT, CONNECT = 8, 9, 10, 11
INSERT = word(0) + text("INSERT INTO t(b) VALUES (?)")
QUERY = frame(QUERY_SQL, word(0) + text("SELECT 1"))
LEADER = frame(0, word(0))
ENDLESS_STEP = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r"

READ, WANTED, OUTPUT = serving._READ_SIZE, session._INPUT_WANTED, serving._OUTPUT_WANTED
SIZES = sorted(
    {
        limit + by
        for limit in (READ, OUTPUT, WANTED, WANTED + READ, WANTED + 2 * READ, 2 * WANTED)
        for by in (-8, 0, 8, 16)
    }
)


@pytest.fixture(scope="module")
def server() -> Iterator[DqliteServer]:
    with embedded() as server:
        yield server


def insert(size: int) -> bytes:
    """A request of so many bytes."""
    head = INSERT + b"\1\4\0\0\0\0\0\0"
    return frame(EXEC_SQL, head + blob(bytes(size - 8 - len(head) - 8)))


def test_requests_of_every_size(client: RawConnection) -> None:
    for size in SIZES:
        request = insert(size)
        assert len(request) == size
        client.send(request + QUERY)
        assert client.frame().kind == 6, size
        assert client.frame().kind == 7


def test_many_requests_and_then_a_large_one(client: RawConnection) -> None:
    """What waits in front does not keep the large one from being read."""
    long = frame(QUERY_SQL, word(0) + text(f"/* {'x' * 8000} */ SELECT 1"))
    many = 3 * WANTED // len(long)
    for size in (WANTED - 8, WANTED + 16, 3 * WANTED):
        sending = threading.Thread(target=client.send, args=(long * many + insert(size) + QUERY,))
        sending.start()
        assert [client.frame().kind for _ in range(many + 2)] == [7] * many + [6, 7]
        sending.join()


def test_a_request_byte_by_byte(client: RawConnection) -> None:
    request = insert(200)
    for at in range(len(request)):
        client.send(request[at : at + 1])
    assert client.frame().kind == 6


def test_twenty_megabytes_there_and_back(client: RawConnection) -> None:
    data = bytes(range(256)) * 80_000
    result = client.call(EXEC_SQL, INSERT + b"\1\4\0\0\0\0\0\0" + blob(data)).body
    (number,) = struct.unpack("<Q", result[:8])
    row, end = client.query_sql(f"SELECT b FROM t WHERE a = {number}")
    assert row.body == word(1) + text("b") + word(4) + blob(data) + PART
    assert end.body == word(1) + text("b") + DONE


def test_many_at_once(server: DqliteServer) -> None:
    clients = [RawConnection(server.address) for _ in range(8)]
    request = insert(WANTED + READ)
    try:
        for one in clients:
            one.open("main")
        for at in range(0, len(request), 1 << 17):  # all are incomplete at the same time
            for one in clients:
                one.send(request[at : at + (1 << 17)])
        assert [one.frame().kind for one in clients] == [6] * 8
    finally:
        for one in clients:
            one.close()


def test_the_largest_and_one_more(server: DqliteServer) -> None:
    most = session._LIMITS.max_message_size // 8 - 1
    before = len(server.hazards)
    with RawConnection(server.address) as client:
        client.send(struct.pack("<IBBH", most, 0, 0, 0))  # waited for
        client.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.receive(1)
    with RawConnection(server.address) as client:
        client.send(struct.pack("<IBBH", most + 1, 0, 0, 0))
        assert client.frame().failure[0] == 1
        assert client.closed_by_peer()
    assert [hazard.kind for hazard in server.hazards[before:]] == [HazardKind.BODY_SIZE]


def held(server: DqliteServer) -> int:
    """Bytes of clients' requests that the server keeps."""
    sessions = [one.session for one in list(server._thread._connections)]
    return sum(getattr(one, "_conversation").buffered for one in sessions)  # noqa: B009


def push(client: RawConnection, data: bytes, patience: float = 0.1) -> int:
    """Send until nobody reads for so many seconds; how much was taken."""
    client.socket.settimeout(patience)
    sent = 0
    try:
        while sent < 64 * WANTED:
            sent += client.socket.send(data)
    except TimeoutError:
        pass
    return sent


def wait_until_all_are_gone(server: DqliteServer) -> None:
    wait_for(lambda: not server.connection_count, "end of all connections")


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("sql", [ENDLESS_STEP, ENDLESS_STEP.replace("count(*)", "i")], ids=["step", "rows"])
def test_what_is_sent_ahead_of_an_answer_is_not_taken_in_without_end(
    sql: str, reset: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_INPUT_BUSY", 4 * WANTED)
    if (
        sql != ENDLESS_STEP
    ):  # each step is short; a busy machine must not make one a long one, which reads more
        monkeypatch.setattr(server_thread, "_TURN_EVERY", 3600)
    with DqliteServer() as server, RawConnection(server.address) as client:
        client.open("main")
        client.send(frame(QUERY_SQL, word(0) + text(sql)))
        time.sleep(0.02)
        assert push(client, QUERY * 10_000) < 64 * WANTED
        assert held(server) <= (4 if sql == ENDLESS_STEP else 1) * WANTED + 2 * READ
        if reset:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        if sql != ENDLESS_STEP:  # else its end stands behind what is not read yet
            wait_until_all_are_gone(server)
    assert server.errors == []


def test_what_was_sent_ahead_of_a_long_answer_is_answered_although_no_more_comes(
    server: DqliteServer,
) -> None:
    long = ENDLESS_STEP.replace("FROM r)", "FROM r WHERE i < 300000)")
    padded = frame(QUERY_SQL, word(0) + text(f"/* {'x' * 8000} */ SELECT 1"))
    with RawConnection(server.address) as client:
        client.open("main")
        many = 2 * WANTED // len(padded)
        client.send(frame(QUERY_SQL, word(0) + text(long)) + padded * many)
        client.socket.shutdown(socket.SHUT_WR)
        assert [client.frame().kind for _ in range(many + 1)] == [7] * (many + 1)
        assert client.closed_by_peer()


@pytest.mark.parametrize("kind", [EXEC_SQL, QUERY_SQL])
def test_a_statement_of_somebody_who_has_gone_ends(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_ABANDONED_AFTER", 0.01)
    with DqliteServer() as server:
        with RawConnection(server.address) as client:
            client.open("main")
            client.send(frame(kind, word(0) + text(ENDLESS_STEP)))
            time.sleep(0.01)
        wait_until_all_are_gone(server)


def test_who_is_not_listened_to_can_still_go() -> None:
    with DqliteServer(generation="1.11.1") as server:
        for deaf in (frame(CONNECT, word(2) + text("127.0.0.1:2")), frame(2, word(0))):
            with RawConnection(server.address) as client:
                client.send(deaf)
                assert push(client, bytes(WANTED), PATIENCE) >= 64 * WANTED  # and thrown away
                assert held(server) <= WANTED + 2 * READ
            wait_until_all_are_gone(server)


def test_records_are_bounded(
    server: DqliteServer, client: RawConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "_BYTES_KEPT", 1 << 20)
    for _ in range(30):
        client.send(insert(1 << 17))
        client.frame()
    kept = [len(record.body) for record in server.requests]
    assert len(kept) > 5
    assert sum(kept) <= 1 << 20
    client.send(insert(1 << 21))
    client.frame()
    assert [len(record.body) for record in server.requests] == [(1 << 21) - 8]


def test_an_answer_that_is_swallowed_does_not_stop_the_next(
    client: RawConnection, server: DqliteServer
) -> None:
    with server.corrupt(lambda _: b""):
        client.send(LEADER + QUERY + QUERY)
        assert [client.frame().kind for _ in range(2)] == [7, 7]


def test_a_delay_does_not_hold_what_was_answered_before(client: RawConnection, server: DqliteServer) -> None:
    with server.delay(3600, on="LEADER"):
        client.send(QUERY + LEADER)
        assert client.frame().kind == 7


def test_a_script_takes_in_no_more_than_it_reads() -> None:
    server = ScriptedServer(wait(3600), send(WelcomeResponse(1)))
    server.start()
    with RawConnection(server.address) as client:
        assert push(client, LEADER * 10_000) < 64 * WANTED
    server.stop()


def test_a_script_reads_a_large_request() -> None:
    large = frame(9, word(0) + text("x" * 3 * WANTED))
    with (
        ScriptedServer(
            expect(lambda data: data == large), expect(LeaderRequest), send(WelcomeResponse(1))
        ) as server,
        RawConnection(server.address) as client,
    ):
        client.send(large + LEADER)
        assert client.frame().kind == 2
