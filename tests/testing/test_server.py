"""The embedded server's life: quick to start, clean to stop, many clients, none of which can harm another."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.real.raw import PART, RawConnection, frame, text, word
from tests.testing.embedded import embedded
from tests.waiting import receive, wait_for

EXEC_SQL, QUERY_SQL, INTERRUPT = 8, 9, 10
INTERRUPT_FRAME = frame(INTERRUPT, word(0))
ENDLESS_ROWS = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT i FROM r"
ENDLESS_STEP = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r"


def query(sql: str) -> bytes:
    return frame(QUERY_SQL, word(0) + text(sql))


def execute(sql: str) -> bytes:
    return frame(EXEC_SQL, word(0) + text(sql))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def server() -> Iterator[DqliteServer]:
    with embedded() as server:
        yield server


def wait_for_connections(server: DqliteServer, count: int) -> None:
    wait_for(lambda: server.connection_count == count, f"{count} connections")


def is_busy(server: DqliteServer) -> bool:
    """Whether a statement runs."""
    thread = server._thread
    return thread is not None and any(one.session.busy for one in list(thread._connections))


# ---------------------------------------------------------------- life


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with DqliteServer() as server:  # what is loaded once
        RawConnection(server.address).close()
    threads, files = threading.active_count(), descriptors()
    for _ in range(20):
        with DqliteServer() as server:
            folder = server._engine.store.folder
            clients = [RawConnection(server.address) for _ in range(5)]
            for client in clients:
                client.open("main")
            clients[0].exec_sql("CREATE TABLE t (a); BEGIN; INSERT INTO t VALUES (1)")
            clients[1].send(query(ENDLESS_ROWS))
            assert os.path.exists(folder)
        assert not os.path.exists(folder)
        for client in clients:
            client.close()
    wait_for(lambda: threading.active_count() <= threads and descriptors() <= files)


def test_loopback_only(server: DqliteServer) -> None:
    (listener,) = server._thread._acceptor.listeners
    assert listener.getsockname()[0] == "127.0.0.1"
    assert server.address == f"127.0.0.1:{server.port}"


def test_a_port_and_an_interface_of_choice() -> None:
    with DqliteServer() as free:
        port = free.port
    with DqliteServer(host="0.0.0.0", port=port) as server:
        assert server.address == f"0.0.0.0:{port}"
        with RawConnection(f"127.0.0.1:{port}") as client:
            assert client.leader() == (1, server.address)
        with pytest.raises(OSError, match="in use"), DqliteServer(port=port):
            pass


def test_ipv6() -> None:
    with DqliteServer(host="::1") as server:
        assert server.address == f"[::1]:{server.port}"
        sock = socket.create_connection(("::1", server.port), 20)
        sock.sendall(word(1) + frame(1, word(0)))
        assert receive(sock, 8)[4] == 2
        sock.close()


@pytest.mark.parametrize("name", ["{}/dqlite.sock", "@dqlite-{}"])
def test_unix_sockets(tmp_path: Path, name: str) -> None:
    path = name.format(tmp_path if "/" in name else os.getpid())
    with DqliteServer(unix=path) as server:
        assert server.address == path
        sock = socket.socket(socket.AF_UNIX)
        sock.connect("\0" + path[1:] if path.startswith("@") else path)
        sock.sendall(word(1) + frame(0, word(0)))
        size = 8 * int.from_bytes(receive(sock, 8)[:4], "little")
        assert path.encode() in receive(sock, size)
        sock.close()
    assert not os.path.exists(path)


def test_used_wrongly() -> None:
    server = DqliteServer()
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.address
    with pytest.raises(RuntimeError, match="not started"):
        server.fail_next(1)
    server.stop()
    with server, pytest.raises(RuntimeError, match="runs already"):
        server.start()
    server.stop()
    with pytest.raises(ValueError, match=r"generation '1\.0'"):
        DqliteServer(generation="1.0")
    with pytest.raises(ValueError, match="nodes 0"):
        DqliteCluster(0)


def test_data_that_outlives_the_server(tmp_path: Path) -> None:
    for number in range(3):
        with DqliteServer(folder=tmp_path / "data") as server, RawConnection(server.address) as client:
            client.open("kept")
            client.exec_sql("CREATE TABLE IF NOT EXISTS t (a)")
            assert client.exec_sql(f"INSERT INTO t VALUES ({number})")[0] == number + 1


def test_a_server_starts_again(tmp_path: Path) -> None:
    server = DqliteServer(folder=tmp_path)
    for number in range(2):
        with server, RawConnection(server.address) as client:
            client.open("kept")
            client.exec_sql("CREATE TABLE IF NOT EXISTS t (a)")
            assert client.exec_sql("INSERT INTO t VALUES (1)")[0] == number + 1


def test_a_node_comes_back_with_its_data(server: DqliteServer, client: RawConnection) -> None:
    client.exec_sql("INSERT INTO t VALUES (1, 'kept'); BEGIN; INSERT INTO t VALUES (2, 'lost')")
    server.nodes[0].stop()
    with pytest.raises((EOFError, ConnectionError)):
        client.leader()
    with pytest.raises(ConnectionRefusedError):
        RawConnection(server.address)
    server.nodes[0].start()
    with RawConnection(server.address) as again:
        again.open("main")
        assert again.query_sql("SELECT a FROM t")[0].body[-16:-8] == word(1)


def test_a_file_served_where_it_is(tmp_path: Path) -> None:
    import apsw

    path = tmp_path / "app.db"
    made = apsw.Connection(str(path))
    made.execute("CREATE TABLE t (a); INSERT INTO t VALUES (7)")
    made.close()
    before = path.read_bytes()
    with (
        DqliteServer(files={"app": str(path)}, readonly=True) as server,
        RawConnection(server.address) as client,
    ):
        client.open("app")
        assert client.query_sql("SELECT a FROM t")[0].body[-16:-8] == word(7)
        assert client.call(EXEC_SQL, word(0) + text("DELETE FROM t")).failure == (
            8,
            "attempt to write a readonly database",
        )
    assert path.read_bytes() == before
    with DqliteServer(files={"app": str(path)}) as server, RawConnection(server.address) as client:
        client.open("app")
        client.exec_sql("INSERT INTO t VALUES (8)")
    kept = apsw.Connection(str(path))
    assert kept.execute("SELECT a FROM t").fetchall() == [(7,), (8,)]
    kept.close()


async def test_from_asyncio() -> None:
    with DqliteServer() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(word(1) + frame(1, word(0)))
        assert (await reader.readexactly(16))[4] == 2
        writer.close()
        await writer.wait_closed()


# ---------------------------------------------------------------- many clients


def test_two_hundred_at_once(server: DqliteServer) -> None:
    clients = [RawConnection(server.address) for _ in range(200)]
    for client in clients:
        client.send(frame(3, text("main") + word(0) + text("")))
    for number, client in enumerate(clients):
        assert client.frame().kind == 4
        client.send(execute(f"INSERT INTO t VALUES ({number}, 'x')"))
    for client in clients:
        assert client.frame().kind == 6
    for client in clients:
        client.send(query("SELECT count(*), count(DISTINCT a) FROM t"))
    for client in clients:
        assert client.frame().body[-24:-8] == word(200) * 2
    for client in clients:
        client.close()
    wait_for_connections(server, 0)


def test_two_thousand_one_after_the_other(server: DqliteServer) -> None:
    files = descriptors()
    opening = word(1) + frame(3, text("main") + word(0) + text(""))
    for number in range(2000):
        with RawConnection(server.address, handshake=None) as client:
            client.send(opening + execute(f"INSERT INTO t(b) VALUES ({number})"))
            assert client.frame().kind == 4
            assert client.frame().body == word(number + 1) + word(1)
    wait_for_connections(server, 0)
    wait_for(lambda: descriptors() <= files)
    assert server.run_sql("main", "SELECT count(*), sum(b) FROM t") == [(2000, sum(range(2000)))]


def held(server: DqliteServer) -> tuple[int, list[str]]:
    """The threads, and what is open: of databases only their logs, for SQLite keeps the file itself open
    for its next connection while another has it open."""
    server.run_sql("main", "SELECT 1")  # what closing began is done
    return threading.active_count(), sorted(name for name in targets() if not name.endswith(".db"))


def targets() -> list[str]:
    found = []
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found.append(os.readlink(f"/proc/self/fd/{entry}"))
    return found


def abort(client: RawConnection) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_clients_that_go_at_every_byte_they_send(
    server: DqliteServer, client: RawConnection, reset: bool
) -> None:
    exchange = (
        word(1)
        + frame(3, text("main") + word(0) + text(""))
        + execute("BEGIN")
        + execute("INSERT INTO t(b) VALUES ('not committed')")
        + frame(4, word(0) + text("SELECT * FROM t"))
        + query(ENDLESS_ROWS)
    )
    client.exec_sql("DELETE FROM t")  # what is opened at the first write
    before = held(server)
    for size in range(len(exchange) + 1):
        going = RawConnection(server.address, handshake=None)
        going.send(exchange[:size])
        if reset:
            abort(going)
        else:
            going.close()
        if size % 16 == 0:
            client.query_sql("SELECT 1")
    wait_for_connections(server, 1)
    client.exec_sql("INSERT INTO t(b) VALUES ('kept')")  # no lock is left
    assert server.run_sql("main", "SELECT b FROM t") == [("kept",)]
    assert held(server) == before


def test_clients_that_go_at_every_byte_they_read(server: DqliteServer, client: RawConnection) -> None:
    client.exec_sql("DELETE FROM t")  # what is opened at the first write
    before = held(server)
    acknowledged = 0
    answers = 16 + 24 + 24  # DB, RESULT, RESULT
    for size in range(answers + 1):
        going = RawConnection(server.address)
        going.send(frame(3, text("main") + word(0) + text("")))
        going.send(
            execute(f"INSERT INTO t(b) VALUES ({size})") + execute(f"INSERT INTO t(b) VALUES ({-size})")
        )
        going.receive(size)
        acknowledged += (size >= 40) + (size >= 64)
        abort(going)
    wait_for_connections(server, 1)
    ((count,),) = server.run_sql("main", "SELECT count(*) FROM t")
    assert acknowledged <= count <= 2 * (answers + 1)
    for size in range(40, answers + 1):
        assert server.run_sql("main", f"SELECT count(*) FROM t WHERE b = {size}") == [(1,)]
    assert held(server) == before


def test_readers_that_stop_reading(server: DqliteServer, client: RawConnection) -> None:
    lazy = [RawConnection(server.address) for _ in range(10)]
    for one in lazy:
        one.open("main")
        one.send(query(ENDLESS_ROWS))
    time.sleep(0.2)
    client.exec_sql("INSERT INTO t(b) VALUES (1)")
    waiting = [len(connection.output) for connection in server._thread._connections]
    assert max(waiting) < 1 << 19
    for one in lazy:
        one.close()
    wait_for_connections(server, 1)


def test_writers_that_stop_reading(server: DqliteServer, client: RawConnection) -> None:
    eager = RawConnection(server.address)
    eager.open("main")
    eager.send(query(ENDLESS_ROWS))
    eager.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        eager.send(query("SELECT 1") * 4_000_000)
    assert client.exec_sql("INSERT INTO t(b) VALUES (1)") == (1, 1)
    eager.close()


# ---------------------------------------------------------------- interrupts and long statements


def read_until_empty(client: RawConnection) -> int:
    frames = 0
    while (answer := client.frame()).kind != 8:
        assert answer.kind == 7
        assert answer.body.endswith(PART)
        frames += 1
    return frames


def test_interrupt_stops_endless_rows(client: RawConnection) -> None:
    client.send(query(ENDLESS_ROWS))
    assert client.frame().body.endswith(PART)
    client.send(INTERRUPT_FRAME)
    read_until_empty(client)
    assert client.query_sql("SELECT 1")[0].kind == 7
    client.exec_sql("INSERT INTO t(b) VALUES (1)")


def test_interrupt_stops_a_step_that_never_ends(server: DqliteServer, client: RawConnection) -> None:
    client.send(query(ENDLESS_STEP))
    wait_for(lambda: is_busy(server), "statement that runs")
    client.send(INTERRUPT_FRAME)
    assert read_until_empty(client) == 0
    assert client.query_sql("SELECT 1")[0].kind == 7


def test_interrupt_behind_what_cannot_be_stopped(client: RawConnection) -> None:
    client.send(
        execute("INSERT INTO t(b) VALUES (1)") + INTERRUPT_FRAME + query("SELECT 1") + INTERRUPT_FRAME
    )
    assert [client.frame().kind for _ in range(3)] == [6, 8, 8]  # the short query was stopped before its row
    client.send(INTERRUPT_FRAME)
    assert client.frame().kind == 8


def test_long_statements_do_not_hold_up_others(server: DqliteServer, client: RawConnection) -> None:
    long = [RawConnection(server.address) for _ in range(3)]
    for one in long:
        one.open("main")
        one.send(query(ENDLESS_STEP))
    for number in range(50):
        assert client.exec_sql("INSERT INTO t(b) VALUES (1)")[0] == number + 1
    with RawConnection(server.address) as new:
        assert new.leader() == (1, server.address)
    for one in reversed(long):
        one.send(INTERRUPT_FRAME)
        assert one.frame().kind == 8
        one.close()


def test_stop_ends_what_runs() -> None:
    with DqliteServer() as server:
        clients = [RawConnection(server.address) for _ in range(4)]
        for one in clients:
            one.open("main")
            one.send(query(ENDLESS_STEP))
        wait_for(lambda: is_busy(server), "statement that runs")
    for one in clients:
        one.close()


def test_leadership_lost_in_the_middle_of_a_step(server: DqliteServer, client: RawConnection) -> None:
    client.send(query(ENDLESS_STEP))
    wait_for(lambda: is_busy(server), "statement that runs")
    server.lose_leadership()
    assert client.frame().failure == (10506, "disk I/O error")
    assert client.call(EXEC_SQL, word(0) + text("SELECT 1")).failure == (10250, "not leader")


def test_a_client_that_goes_in_the_middle_of_a_step(server: DqliteServer, client: RawConnection) -> None:
    going = RawConnection(server.address)
    going.open("main")
    going.send(query(ENDLESS_STEP))
    wait_for(lambda: is_busy(server), "statement that runs")
    abort(going)
    wait_for_connections(server, 1)
    client.exec_sql("INSERT INTO t(b) VALUES (1)")


# ---------------------------------------------------------------- garbage


def test_garbage_ends_its_own_connection_only(server: DqliteServer, client: RawConnection) -> None:
    rng = random.Random(5)
    good = frame(3, text("main") + word(0) + text("")) + execute("SELECT 1 WHERE ?1") + query("SELECT ?1, ?2")
    for number in range(600):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 255, rng.randrange(256)))
        if number % 3 == 0:
            data = bytearray(rng.randbytes(rng.randrange(200)))
        handshake = rng.choice((1, 1, 1, 0x86104DD760433FE5, 2))
        with RawConnection(server.address, handshake) as bad:
            send_anyway(bad, bytes(data))
            if handshake != 2:  # this one is closed at once, another perhaps waits for more
                end_of_requests(bad)
            read_to_the_end(bad)
        if number % 16 == 0:
            client.query_sql("SELECT 1")
    wait_for_connections(server, 1)
    client.exec_sql("INSERT INTO t(b) VALUES (1)")


OPEN = frame(3, text("main") + word(0) + text(""))
CLOSING = {
    "a handshake of version 2": word(2),
    "a handshake of zeros": word(0),
    "a handshake in HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "a frame without a body": word(1) + OPEN + bytes(8),
    "a frame above what a node holds": word(1) + OPEN + struct.pack("<IBBH", 0xFFFFFFFF, 0, 0, 0),
    "a text without its end": word(1) + OPEN + frame(QUERY_SQL, word(0) + b"\xff" * 24),
    "a field missing": word(1) + OPEN + frame(3, text("main")),
    "a text missing": word(1) + OPEN + frame(QUERY_SQL, word(0)),
}


@pytest.mark.parametrize("sent", CLOSING.values(), ids=list(CLOSING))
def test_what_cannot_be_understood_closes_the_connection(
    server: DqliteServer, client: RawConnection, sent: bytes
) -> None:
    with RawConnection(server.address, handshake=None) as bad:
        send_anyway(bad, sent + execute("INSERT INTO t(b) VALUES ('behind it')"))
        read_to_the_end(bad)  # though this side did not end its own
        client.exec_sql("INSERT INTO t(b) VALUES ('kept')")
        wait_for_connections(server, 1)
    assert server.run_sql("main", "SELECT b FROM t") == [("kept",)]


def send_anyway(client: RawConnection, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # the handshake was enough for the server
        client.send(data)


def end_of_requests(client: RawConnection) -> None:
    with contextlib.suppress(OSError):  # closed already
        client.socket.shutdown(socket.SHUT_WR)


def read_to_the_end(client: RawConnection) -> None:
    """Read until the server closes; a TimeoutError if it does not."""
    with contextlib.suppress(ConnectionResetError):
        while client.socket.recv(1 << 16):
            pass


def test_run_sql_of_what_is_no_database() -> None:
    with DqliteServer(files={"text": __file__, "folder": os.path.dirname(__file__)}) as server:
        for name in ("text", "folder"):
            with pytest.raises(apsw.Error):
                server.run_sql(name, "SELECT 1")
