"""A recording played to one client, without sockets: captures of real nodes against themselves."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire.constants import ResponseType
from dqlitewire.conversation.first_bytes import MAX_HTTP_HEAD
from dqlitewire.replay.any_order import AnyOrder
from dqlitewire.replay.in_order import InOrder
from dqlitewire.replay.library import Library
from dqlitewire.replay.players import Player
from dqlitewire.replay.recorded import RecordedConnection
from dqlitewire.replay.recording import Recording
from tests.real.raw import frame, text, word
from tests.replay.transcripts import CLIENT, SERVER, Said, said_of, write
from tests.wire_data import Capture, captures, frames, pieces

LOCAL = "10.11.12.13:14"
CAPTURES = captures()
HANDSHAKE = word(1)
LEADER, CLIENT_ID, OPEN, PREPARE, EXEC, QUERY, FINALIZE = 0, 1, 3, 4, 5, 6, 7
EXEC_SQL, QUERY_SQL, INTERRUPT = 8, 9, 10


def played(connection: RecordedConnection, recording: Recording, local: str = LOCAL) -> InOrder:
    return InOrder("connection 1", local, connection, frozenset(recording.addresses))


def load(tmp_path: Path, said: list[Said]) -> Recording:
    return Recording.load([write(tmp_path / "session.dqt", said)])


def alike(recorded: bytes, got: bytes) -> bool:
    """Whether answers are the recorded ones, byte for byte but for the addresses in LEADER and SERVERS."""
    mapped = (ResponseType.LEADER, ResponseType.SERVERS)
    was, now = frames(recorded), frames(got)
    return len(was) == len(now) and all(
        one == other or (one[4] == other[4] and one[4] in mapped and LOCAL.encode() in other)
        for one, other in zip(was, now, strict=True)
    )


@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_a_capture_replays_against_itself(capture: Capture, tmp_path: Path) -> None:
    with load(tmp_path, list(said_of(capture))) as recording:
        assert not recording.notes
        for size in (len(capture.c2s), 1000, 13, 1):
            if size == 1 and len(capture.c2s) > 20_000:
                continue
            player = played(recording.connections[0], recording)
            got = b"".join(piece for data in pieces(capture.c2s, size) for piece in player.feed(data))
            assert not player.difference
            assert not player.left
            assert alike(capture.s2c, got)


@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_each_answer_comes_once_its_request_has(capture: Capture, tmp_path: Path) -> None:
    # as a client that waits for each answer; the INTERRUPT of this session is sent while rows come
    with load(tmp_path, list(said_of(capture))) as recording:
        player = played(recording.connections[0], recording)
        assert not b"".join(player.feed(capture.c2s[:8]))
        for step in capture.steps:
            assert alike(step.answer, b"".join(player.feed(step.request)))


@pytest.mark.parametrize("capture", [one for one in CAPTURES if one.session == "basics"], ids=str)
def test_a_client_that_sent_all_at_once_may_wait_for_each_answer(capture: Capture, tmp_path: Path) -> None:
    said = [(1, CLIENT, capture.c2s), (1, SERVER, capture.s2c)]
    with load(tmp_path, said) as recording:
        player = played(recording.connections[0], recording)
        list(player.feed(capture.c2s[:8]))
        for step in capture.steps:
            assert alike(step.answer, b"".join(player.feed(step.request)))


@pytest.mark.parametrize("capture", [one for one in CAPTURES if one.session != "interrupt"], ids=str)
def test_in_any_order_means_in_this_one_too(capture: Capture, tmp_path: Path) -> None:
    with load(tmp_path, list(said_of(capture))) as recording:
        library = Library(recording)
        player = AnyOrder("connection 1", LOCAL, library)
        list(player.feed(capture.c2s[:8]))
        for step in capture.steps:
            got = b"".join(player.feed(step.request))
            assert alike(step.answer, got), step.label
        assert library.left == 0
        assert not player.difference


@given(data=st.data())
def test_whatever_comes_is_told_and_not_raised(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    capture = next(one for one in CAPTURES if one.name.startswith("1.18.7-basics"))
    with load(tmp_path_factory.mktemp("mutated"), list(said_of(capture))) as recording:
        stream = bytearray(capture.c2s[:4000])
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(stream) - 1))
            stream[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        players: list[Player] = [
            played(recording.connections[0], recording),
            AnyOrder("connection 1", LOCAL, Library(recording)),
        ]
        for player in players:
            for piece in pieces(bytes(stream), data.draw(st.integers(1, 500))):
                if player.closing or player.difference:
                    break
                list(player.feed(piece))
            assert all(line.isprintable() for line in player.difference)


# ---------------------------------------------------------------- what may differ, and what may not


def session(*exchanges: tuple[bytes, bytes]) -> list[Said]:
    said: list[Said] = [(1, CLIENT, HANDSHAKE)]
    for request, answer in exchanges:
        said += [(1, CLIENT, request), *([(1, SERVER, answer)] if answer else [])]
    return [*said, (1, CLIENT, b"")]


WELCOME = frame(2, word(15000))
DB = frame(4, word(0))


def test_the_ids_of_clients_may_differ(tmp_path: Path) -> None:
    with load(tmp_path, session((frame(CLIENT_ID, word(7)), WELCOME))) as recording:
        player = played(recording.connections[0], recording)
        assert b"".join(player.feed(HANDSHAKE + frame(CLIENT_ID, word(2**63)))) == WELCOME


def test_padding_may_differ(tmp_path: Path) -> None:
    clean, dirty = text("db"), b"db\0\1\2\3\4\5"
    rest = word(0) + text("")
    with load(tmp_path, session((frame(OPEN, clean + rest), DB))) as recording:
        player = played(recording.connections[0], recording)
        assert b"".join(player.feed(HANDSHAKE + frame(OPEN, dirty + rest))) == DB


def test_another_request_is_shown_field_by_field(tmp_path: Path) -> None:
    asked = frame(EXEC_SQL, word(0) + text("INSERT INTO t VALUES (1)"))
    with load(tmp_path, session((asked, frame(6, word(1) * 2)))) as recording:
        player = played(recording.connections[0], recording)
        other = frame(EXEC_SQL, word(0) + text("INSERT INTO t VALUES (2)"))
        assert not b"".join(player.feed(HANDSHAKE + other))
        assert player.difference == [
            "connection 1, request 1 at byte 8: not the recorded request",
            "  expected EXEC_SQL  INSERT INTO t VALUES (1)",
            "  got      EXEC_SQL  INSERT INTO t VALUES (2)",
            "  - sql 'INSERT INTO t VALUES (1)'",
            "  + sql 'INSERT INTO t VALUES (2)'",
        ]


def test_an_equal_number_of_another_type_is_another_request(tmp_path: Path) -> None:
    def asked(kind: int, value: bytes) -> bytes:
        return frame(QUERY_SQL, word(0) + text("SELECT ?") + bytes([1, kind]) + bytes(6) + value)

    with load(tmp_path, session((asked(1, word(1)), DB))) as recording:
        player = played(recording.connections[0], recording)
        list(player.feed(HANDSHAKE + asked(2, struct.pack("<d", 1.0))))
        assert player.difference[-2:] == ["  - params 1 1", "  + params 1 1.0"]


def test_a_request_behind_the_last_one_is_told(tmp_path: Path) -> None:
    with load(tmp_path, session((frame(LEADER, word(0)), frame(1, word(1) + text("a:1"))))) as recording:
        player = played(recording.connections[0], recording)
        list(player.feed(HANDSHAKE + frame(LEADER, word(0)) * 2))
        assert "a request behind the last that was recorded" in player.difference[0]


def test_a_long_request_is_not_waited_for(tmp_path: Path) -> None:
    with load(tmp_path, session((frame(LEADER, word(0)), DB))) as recording:
        player = played(recording.connections[0], recording)
        list(player.feed(HANDSHAKE + struct.pack("<IBBH", 1 << 28, EXEC_SQL, 0, 0)))
        assert player.difference


def test_addresses_become_the_local_one(tmp_path: Path) -> None:
    leader = frame(1, word(3) + text("10.0.0.3:9001"))
    nobody = frame(1, word(0) + text(""))
    nodes = b"".join(word(n) + text(f"node{n}.example.org:9001") + word(0) for n in (1, 2, 3))
    servers = frame(3, word(3) + nodes)
    ask, cluster = frame(LEADER, word(0)), frame(16, word(1))
    said = session((ask, leader), (ask, nobody), (cluster, servers))
    with load(tmp_path, said) as recording:
        player = played(recording.connections[0], recording)
        got = b"".join(player.feed(HANDSHAKE + ask + ask + cluster))
        named = b"".join(word(n) + text(LOCAL) + word(0) for n in (1, 2, 3))
        assert got == frame(1, word(3) + text(LOCAL)) + nobody + frame(3, word(3) + named)


def test_what_was_said_behind_an_interrupt_waits_for_it(tmp_path: Path) -> None:
    query = frame(QUERY_SQL, word(0) + text("SELECT 1"))
    part = frame(7, word(1) + text("a") + bytes([1]) + bytes(7) + word(1) + b"\xee" * 8)
    empty = frame(8, word(0))
    interrupt = frame(INTERRUPT, word(0))
    said: list[Said] = [(1, CLIENT, HANDSHAKE + query), (1, SERVER, part * 2)]
    said += [(1, CLIENT, interrupt), (1, SERVER, part + empty), (1, CLIENT, b"")]
    with load(tmp_path, said) as recording:
        for player in (
            played(recording.connections[0], recording),
            AnyOrder("connection 1", LOCAL, Library(recording)),
        ):
            assert b"".join(player.feed(HANDSHAKE + query)) == part * 2
            assert b"".join(player.feed(interrupt)) == part + empty


def test_statements_of_two_connections_get_ids_of_their_own(tmp_path: Path) -> None:
    def prepared(sql: str) -> tuple[bytes, bytes]:
        return frame(PREPARE, word(0) + text(sql)), frame(5, bytes(8) + word(0))

    one, other = prepared("INSERT INTO a VALUES (1)"), prepared("INSERT INTO b VALUES (1)")
    run = frame(EXEC, bytes(8))
    results = [frame(6, word(n) * 2) for n in (1, 2)]
    said: list[Said] = []
    for number, (ask, answer), result in ((1, one, results[0]), (2, other, results[1])):
        said += [(number, CLIENT, HANDSHAKE + ask), (number, SERVER, answer)]
        said += [(number, CLIENT, run), (number, SERVER, result), (number, CLIENT, b"")]
    with load(tmp_path, said) as recording:
        player = AnyOrder("connection 1", LOCAL, Library(recording))
        list(player.feed(HANDSHAKE))
        assert b"".join(player.feed(other[0])) == other[1]
        assert b"".join(player.feed(one[0])) == frame(5, struct.pack("<II", 0, 1) + word(0))
        assert b"".join(player.feed(run)) == results[1]
        assert b"".join(player.feed(frame(EXEC, struct.pack("<II", 0, 1)))) == results[0]


def test_a_connection_that_broke_breaks_again(tmp_path: Path) -> None:
    query = frame(QUERY_SQL, word(0) + text("SELECT 1"))
    said: list[Said] = [(1, CLIENT, HANDSHAKE + query), (1, SERVER, DB[:5]), (1, SERVER, b"")]
    with load(tmp_path, said) as recording:
        player = played(recording.connections[0], recording)
        assert b"".join(player.feed(HANDSHAKE + query)) == DB[:5]
        assert player.closing


def test_an_answer_that_was_never_recorded_ends_the_connection(tmp_path: Path) -> None:
    said = session((frame(LEADER, word(0)), frame(1, word(1) + text("a:1"))), (frame(LEADER, word(0)), b""))
    with load(tmp_path, said) as recording:
        player = played(recording.connections[0], recording)
        assert len(list(player.feed(HANDSHAKE + frame(LEADER, word(0)) * 2))) == 1
        assert player.closing
        assert not player.left


UPGRADE = b"POST /internal/database HTTP/1.1\r\nHost: %s\r\nUpgrade: dqlite\r\nX-Dqlite-Version: 1\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: dqlite\r\n\r\n"


def test_an_upgrade_is_played_for_any_host(tmp_path: Path) -> None:
    said = [
        (1, CLIENT, UPGRADE % b"10.0.0.1"),
        (1, SERVER, SWITCHED),
        *session((frame(CLIENT_ID, word(7)), WELCOME)),
    ]
    with load(tmp_path, said) as recording:
        for player in (
            played(recording.connections[0], recording),
            AnyOrder("connection 1", LOCAL, Library(recording)),
        ):
            assert b"".join(player.feed(UPGRADE % b"127.0.0.1:1")) == SWITCHED
            assert b"".join(player.feed(HANDSHAKE + frame(CLIENT_ID, word(1)))) == WELCOME
        player = played(recording.connections[0], recording)
        list(player.feed(UPGRADE.replace(b"database", b"cluster") % b"x"))
        assert "not the recorded HTTP request" in player.difference[0]


def test_an_http_request_without_an_end_is_not_kept(tmp_path: Path) -> None:
    said: list[Said] = [(1, CLIENT, HANDSHAKE + frame(LEADER, word(0))), (1, CLIENT, b"")]
    with load(tmp_path, said) as recording:
        player = AnyOrder("connection 1", LOCAL, Library(recording))
        for _ in range(5):
            list(player.feed(b"GET /" + bytes(MAX_HTTP_HEAD // 4)))
        assert "an HTTP request without an end" in player.difference[0]


def test_statements_get_the_smallest_ids_that_are_free(tmp_path: Path) -> None:
    prepare, finalize = frame(PREPARE, word(0) + text("SELECT 1")), frame(FINALIZE, word(0))
    answer = frame(5, word(0) + word(0))
    said: list[Said] = [(1, CLIENT, HANDSHAKE + prepare), (1, SERVER, answer)]
    said += [(1, CLIENT, finalize), (1, SERVER, frame(8, word(0))), (1, CLIENT, b"")]
    with load(tmp_path, said) as recording:
        player = AnyOrder("connection 1", LOCAL, Library(recording))
        list(player.feed(HANDSHAKE))

        def prepared() -> int:
            return int.from_bytes(b"".join(player.feed(prepare))[12:16], "little")

        assert [prepared() for _ in range(3)] == [0, 1, 2]
        for number in (1, 0):
            list(player.feed(frame(FINALIZE, struct.pack("<II", 0, number))))
        assert [prepared() for _ in range(3)] == [0, 1, 3]
