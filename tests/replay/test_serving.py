"""A recording served to sockets."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest

from dqlitewire.dial.listening import listen, parse_local
from dqlitewire.replay.recording import Recording
from dqlitewire.replay.server import ReplayServer
from dqlitewire.replay.serving import ReplayService
from dqlitewire.traffic.errors import SourceError
from tests.real.raw import RawConnection, frame, text, word
from tests.replay.transcripts import CLIENT, SERVER, Said, write
from tests.waiting import receive

LEADER = frame(0, word(0))
HANDSHAKE = word(1)
RESULT = frame(6, word(1) * 2)
FIRST = "connection 1"


def leader_answer(address: str) -> bytes:
    return frame(1, word(1) + text(address))


def exec_sql(sql: str) -> bytes:
    return frame(8, word(0) + text(sql))


def one(number: int, sql: str, *, ends: bool = True) -> list[Said]:
    said: list[Said] = [(number, CLIENT, HANDSHAKE + LEADER), (number, SERVER, leader_answer("n:1"))]
    said += [(number, CLIENT, exec_sql(sql)), (number, SERVER, RESULT)]
    return [*said, (number, CLIENT, b"")] if ends else said


def transcript(tmp_path: Path, count: int = 2) -> Path:
    said = [
        line for number in range(1, count + 1) for line in one(number, f"INSERT INTO t VALUES ({number})")
    ]
    return write(tmp_path / "s.dqt", said)


def played(address: str, number: int) -> None:
    with RawConnection(address) as client:
        assert client.leader() == (1, address)
        assert client.exec_sql(f"INSERT INTO t VALUES ({number})") == (1, 1)


def test_the_kth_connection_gets_the_kth_recorded_one(tmp_path: Path) -> None:
    with ReplayServer(transcript(tmp_path)) as server:
        for number in (1, 2):
            played(server.address, number)
    assert server.problems == []


def test_connections_may_be_open_at_the_same_time(tmp_path: Path) -> None:
    with (
        ReplayServer(transcript(tmp_path)) as server,
        RawConnection(server.address) as first,
        RawConnection(server.address) as second,
    ):
        second.leader()
        first.leader()
        second.exec_sql("INSERT INTO t VALUES (2)")
        first.exec_sql("INSERT INTO t VALUES (1)")
    assert server.problems == []


def test_a_difference_ends_the_connection_and_is_told(tmp_path: Path) -> None:
    with ReplayServer(transcript(tmp_path, 1)) as server, RawConnection(server.address) as client:
        client.send(LEADER + exec_sql("INSERT INTO t VALUES (7)"))
        client.frame()
        assert client.closed_by_peer()
    assert server.problems == [
        "connection 1, request 2 at byte 24: not the recorded request",
        "  expected EXEC_SQL  INSERT INTO t VALUES (1)",
        "  got      EXEC_SQL  INSERT INTO t VALUES (7)",
        "  - sql 'INSERT INTO t VALUES (1)'",
        "  + sql 'INSERT INTO t VALUES (7)'",
    ]


def test_what_is_left_over_is_told(tmp_path: Path) -> None:
    with ReplayServer(transcript(tmp_path)) as server, RawConnection(server.address) as client:
        client.leader()
    assert server.problems == [
        "left over in 2 connections",
        f"  {FIRST}: 1 request, the next is EXEC_SQL  INSERT INTO t VALUES (1)",
        "  connection 2: 2 requests, nobody connected",
    ]


def test_one_connection_too_many_is_told(tmp_path: Path) -> None:
    with ReplayServer(transcript(tmp_path, 1)) as server, RawConnection(server.address) as client:
        client.leader()
        with RawConnection(server.address) as other:
            assert other.closed_by_peer()
        client.exec_sql("INSERT INTO t VALUES (1)")
    assert server.problems == ["connection 2: one more than was recorded"]


def test_a_look_whether_the_port_is_open_costs_nothing(tmp_path: Path) -> None:
    with ReplayServer(transcript(tmp_path, 1)) as server:
        for _ in range(3):
            host, port = server.address.split(":")
            with socket.create_connection((host, int(port))) as probe:
                probe.shutdown(socket.SHUT_WR)
                assert probe.recv(1) == b""
        played(server.address, 1)
    assert server.problems == []


def test_it_ends_when_all_is_played(tmp_path: Path) -> None:
    with ReplayServer(transcript(tmp_path)) as server:
        for number in (1, 2):
            played(server.address, number)
        server.join(60)
        with pytest.raises(ConnectionRefusedError):
            RawConnection(server.address)


def test_it_may_be_stopped_before_it_runs(tmp_path: Path) -> None:
    with Recording.load([transcript(tmp_path)]) as recording:
        listener, address = listen(parse_local("127.0.0.1:0"))
        service = ReplayService(recording, listener, address, False, lambda lines: None)
        service.stop()
        asyncio.run(asyncio.wait_for(service.run(), 10))
        assert listener.fileno() < 0


def test_in_any_order(tmp_path: Path) -> None:
    with ReplayServer(transcript(tmp_path), match=True) as server:
        for number in (2, 1):
            played(server.address, number)
    assert server.problems == []
    path = tmp_path / "s.dqt"
    with ReplayServer(path, match=True) as server, RawConnection(server.address) as client:
        client.send(exec_sql("INSERT INTO t VALUES (3)"))
        assert client.closed_by_peer()
    assert server.problems[:3] == [
        "connection 1, request 1 at byte 8: a request that was not recorded",
        "  got      EXEC_SQL  INSERT INTO t VALUES (3)",
        "  nearest  EXEC_SQL  INSERT INTO t VALUES (1)",
    ]


@pytest.mark.parametrize("kind", ["unix", "abstract"])
def test_unix_sockets(kind: str, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/socket" if kind == "unix" else f"@{tmp_path.name}"
    where = address.removeprefix("unix:") if kind == "unix" else "\0" + address[1:]
    with ReplayServer(transcript(tmp_path, 1), address) as server, socket.socket(socket.AF_UNIX) as client:
        client.connect(where)
        client.sendall(HANDSHAKE + LEADER)
        answer = leader_answer(address)
        assert receive(client, len(answer)) == answer
        client.sendall(exec_sql("INSERT INTO t VALUES (1)"))
        assert receive(client, len(RESULT)) == RESULT
        assert server.address == address
    assert server.problems == []


def test_several_recordings_follow_each_other(tmp_path: Path) -> None:
    first = write(tmp_path / "1.dqt", one(1, "INSERT INTO t VALUES (1)"))
    second = write(tmp_path / "2.dqt", one(1, "INSERT INTO t VALUES (2)"))
    with ReplayServer([first, second]) as server:
        for number in (1, 2):
            played(server.address, number)
    assert server.problems == []


def test_many_rows_to_a_slow_reader(tmp_path: Path) -> None:
    part = frame(7, word(1) + text("a") + (bytes([1]) + bytes(7) + word(1)) * 500 + b"\xee" * 8)
    done = frame(7, word(1) + text("a") + b"\xff" * 8)
    query = frame(9, word(0) + text("SELECT 1"))
    said: list[Said] = [(1, CLIENT, HANDSHAKE + query), (1, SERVER, part * 300 + done), (1, CLIENT, b"")]
    with ReplayServer(write(tmp_path / "s.dqt", said)) as server, RawConnection(server.address) as client:
        client.send(query)
        time.sleep(0.2)  # what fits into no buffer waits meanwhile
        assert client.receive(len(part) * 300 + len(done)).endswith(done)
    assert server.problems == []


# ---------------------------------------------------------------- what cannot be played


def problem_of(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        ReplayServer(path)
    return str(caught.value)


def test_what_is_redacted_is_refused(tmp_path: Path) -> None:
    path = transcript(tmp_path)
    path.write_text(path.read_text().replace('"redacted":false', '"redacted":true'))
    assert "redacted" in problem_of(path)


def test_what_begins_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = transcript(tmp_path, 1)
    path.write_text(path.read_text().replace('"midstream":false', '"midstream":true'))
    assert "its beginning was not recorded" in problem_of(path)


def test_what_is_no_transcript_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no transcript at all")
    assert "no transcript" in problem_of(tmp_path / "x")
    assert problem_of(tmp_path / "y")


def test_a_lost_line_ends_the_connection_where_it_stood(tmp_path: Path) -> None:
    path = write(tmp_path / "s.dqt", one(1, "INSERT INTO t VALUES (1)"))
    lines = path.read_text().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if '"EXEC_SQL"' in line)
    lines[at] = lines[at][:60] + "\n"
    path.write_text("".join(lines))
    with ReplayServer(path) as server, RawConnection(server.address) as client:
        assert any("bytes of the client are missing" in note for note in server.notes)
        client.leader()
        assert client.closed_by_peer()
    assert server.problems == []
