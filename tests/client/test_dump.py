"""A dump is one file that SQLite opens anywhere, and has all that was committed before it began."""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from dqlitewire import RequestType
from dqlitewire.client import ClientError, ConnectionFailed, Dump, NoDatabaseError, connect
from dqlitewire.client.connection import Broken, Dialler
from dqlitewire.client.fetching import fetch
from dqlitewire.conversation import HazardError
from dqlitewire.dial import Address, Deadline
from dqlitewire.limits import Limits
from dqlitewire.raft.wal import _checksum
from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.profiles import DEEP
from tests.real.nodes import KINDS, Cluster, Node
from tests.real.raw import RawConnection
from tests.real.session import Session
from tests.testing.embedded import embedded

EVERY = [*KINDS]
ODD = ["a b.db", "it's.db", "x/y.db", "größe.db", "-o", "a\nb", "%00", "n" * 504]
REFUSED = ["", ":memory:", "main-wal", "main-journal", "never-wal", "file:main", "n" * 505, "n" * 2000]


def rows_of(data: bytes, sql: str = "SELECT * FROM t ORDER BY a") -> list[tuple[object, ...]]:
    """What is in a file, which is whole."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(data)
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return database.execute(sql).fetchall()


# ---------------------------------------------------------------- one file of two


def sqlite_files(folder: Path, seed: int) -> Iterator[tuple[Dump, list[str]]]:
    """Databases with their WALs, as SQLite writes them, and what each holds."""
    chosen = random.Random(seed)
    path = folder / f"{seed}.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f"PRAGMA page_size={chosen.choice([512, 1024, 4096, 65536])}")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")
        for _ in range(8):
            match chosen.randrange(5):
                case 0 | 1:
                    size = chosen.choice([10, 3000, 200_000])
                    database.execute("INSERT INTO t (b) VALUES (randomblob(?))", [size])
                case 2:
                    database.execute("DELETE FROM t WHERE a % 2 = 0")
                case 3:
                    database.execute("VACUUM")
                case _:
                    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            wal = path.with_name(path.name + "-wal")
            yield (
                Dump("a", {"a": path.read_bytes(), "a-wal": wal.read_bytes()}),
                list(database.iterdump()),
            )


@pytest.mark.parametrize("seed", range(6))
def test_the_file_is_what_sqlite_makes_of_both(tmp_path: Path, seed: int) -> None:
    for dump, held in sqlite_files(tmp_path, seed):
        data = dump.database()
        assert data[18:20] == b"\1\1"
        (tmp_path / "copy.db").write_bytes(data)
        with closing(sqlite3.connect(f"file:{tmp_path}/copy.db?mode=ro", uri=True)) as copy:
            assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert list(copy.iterdump()) == held
        assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db"]


def test_what_was_not_committed_is_not_in_it(tmp_path: Path) -> None:
    *_, (dump, _) = sqlite_files(tmp_path, 1)
    main, wal = dump.files.values()
    page = int.from_bytes(wal[8:12], "big")
    frame = wal[32 : 32 + 24 + page]
    for torn in (wal + frame[:100], wal + frame, wal + bytes(24 + page)):
        assert Dump("a", {"a": main, "a-wal": torn}).database() == dump.database()


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a": b""},
        {"b": b"SQLite format 3\0" + bytes(4080)},
        {"a": bytes(4096)},
        {"a": b"SQLite format 3\0"},
        {"a": b"SQLite format 3\0" + bytes(4080), "a-wal": b"12345678"},
        {"a": b"SQLite format 3\0" + bytes(4080), "a-wal": bytes(4096)},
    ],
)
def test_what_is_no_database_is_an_error(files: dict[str, bytes]) -> None:
    with pytest.raises(ClientError):
        next(Dump("a", files).chunks())


def wal_of(page: bytes, size: int) -> bytes:
    """A WAL of one page, whose commit says that the database has so many."""
    header = struct.pack(">6I", 0x377F0682, 3007000, len(page), 0, 1, 2)
    running = _checksum(header, (0, 0), "little")
    frame = struct.pack(">2I", 1, size)
    sums = _checksum(page, _checksum(frame, running, "little"), "little")
    return header + struct.pack(">2I", *running) + frame + struct.pack(">4I", 1, 2, *sums) + page


def test_pages_that_nobody_sent_are_zeros_in_small_pieces_and_not_without_end() -> None:
    page = b"SQLite format 3\0" + bytes(4080)
    chunks = list(Dump("a", {"a": b"", "a-wal": wal_of(page, 1000)}).chunks())
    assert sum(map(len, chunks)) == 1000 * 4096
    assert max(map(len, chunks)) <= 1 << 16
    with pytest.raises(ClientError, match="more pages than were sent"):
        next(Dump("a", {"a": b"", "a-wal": wal_of(page, 2**32 - 1)}).chunks())


def test_a_wal_that_is_damaged_anywhere_gives_a_database_or_an_error(tmp_path: Path) -> None:
    """What SQLite would read: all commits in front of the damage."""
    *_, (dump, _) = sqlite_files(tmp_path, 1)
    main, wal = dump.files.values()
    chosen = random.Random(2)
    for at in (0, 4, 8, 11, 24, 32, 36, 40, 48, *(chosen.randrange(len(wal)) for _ in range(40))):
        damaged = bytearray(wal)
        damaged[at] ^= 1 << chosen.randrange(8)
        with suppress(ClientError):
            rows_of(Dump("a", {"a": main, "a-wal": bytes(damaged)}).database(), "SELECT count(*) FROM t")


def test_the_contents_are_not_printed() -> None:
    assert len(repr(Dump("a", {"a": bytes(10**6)}))) < 100


# ---------------------------------------------------------------- from a server


@contextmanager
def filled(**options: str) -> Iterator[DqliteServer]:
    with embedded("a INTEGER PRIMARY KEY, b", **options) as server:
        server.run_sql("main", "INSERT INTO t VALUES (1, 'one'), (2, zeroblob(200000))")
        yield server


@pytest.mark.parametrize("generation", EVERY)
def test_a_dump_of_every_generation(generation: str) -> None:
    with filled(generation=generation) as server, connect(server.address) as client:
        seen: list[tuple[int, int | None]] = []
        dump = client.dump("main", progress=lambda *state: seen.append(state))
        assert rows_of(dump.database()) == [(1, "one"), (2, bytes(200_000))]
        received = [got for got, _ in seen]
        assert received == sorted(received)
        assert {total for _, total in seen} - {None} == {received[-1]}  # None: its header has not come
        with pytest.raises(NoDatabaseError, match="the cluster has no database 'never'"):
            client.dump("never")
        with pytest.raises(NoDatabaseError):  # the question has made none
            client.dump("never")
        for name in REFUSED:
            with pytest.raises(HazardError):
                client.dump(name)
        assert server.hazards == []


def test_a_dump_leaves_the_session_alone() -> None:
    with filled() as server, connect(server.address, "main") as client:
        client.execute("BEGIN")
        client.execute("INSERT INTO t VALUES (3, 'three')")
        assert len(rows_of(client.dump().database())) == 2
        client.execute("COMMIT")
        assert len(rows_of(client.dump().database())) == 3


def test_a_dump_from_a_follower_is_the_leaders() -> None:
    with DqliteCluster(3) as cluster:
        cluster.run_sql("main", "CREATE TABLE t (a)")
        for node in cluster.nodes:
            with connect(node.address) as client:
                assert rows_of(client.dump("main").database()) == []
        leader = cluster.leader
        assert leader is not None
        asked = {record.node for record in cluster.requests if record.type == RequestType.DUMP}
        assert asked == {leader.id}


def test_the_leader_is_queried_before_what_it_sends_is_taken() -> None:
    with filled() as server, connect(server.address) as client:
        client.dump("main")
        last = max(record.connection for record in server.requests)
        asked = [record.type for record in server.requests if record.connection == last]
        assert asked == [RequestType.OPEN, RequestType.QUERY_SQL, RequestType.DUMP]


def test_caps_are_lifted() -> None:
    with filled() as server, connect(server.address, limits=Limits(max_message_size=5000)) as client:
        assert len(client.dump("main").database()) > 200_000


def test_a_connection_that_breaks_within_is_made_again_once() -> None:
    with filled() as server, connect(server.address, "main") as client:
        server.drop_after(bytes=100_000, on="DUMP", after=1)  # the first is only begun
        assert len(rows_of(client.dump().database())) == 2
        with (
            server.drop_after(bytes=100_000, on="DUMP", after=1, times=None),
            pytest.raises(ConnectionFailed),
        ):
            client.dump()
        client.execute("BEGIN")
        client.execute("INSERT INTO t VALUES (3, 'three')")
        server.drop_after(bytes=100_000, on="DUMP", after=1)
        with pytest.raises(ConnectionFailed):  # the transaction has another connection
            client.dump()
        client.execute("COMMIT")
        assert len(rows_of(client.dump().database())) == 3


def test_a_node_that_falls_silent_ends_it() -> None:
    with filled() as server, connect(server.address, timeout=60) as client:
        server.hold(on="DUMP", times=None)
        with pytest.raises(ClientError):
            client.dump("main", deadline=Deadline(0.5))


def test_no_database_is_open() -> None:
    with (
        filled() as server,
        connect(server.address) as client,
        pytest.raises(ValueError, match="no database"),
    ):
        client.dump()


# ---------------------------------------------------------------- real nodes


def test_a_real_node(real_node: Node, database: str) -> None:
    names = [database, *(f"{odd}{database}"[-504:] for odd in ODD)]
    with connect(real_node.address) as client:
        for name in names[:2]:  # each is asked for twice, with a pause
            with pytest.raises(NoDatabaseError):
                client.dump(name)
        for number, name in enumerate(names):
            with Session(real_node.address, name) as session:
                assert (
                    rows_of(client.dump(name).database(), "SELECT * FROM sqlite_schema") == []
                )  # only opened
                session.execute("CREATE TABLE t (a)")
                session.execute("INSERT INTO t VALUES (?)", number)
        for number, name in enumerate(names):
            assert rows_of(client.dump(name).database()) == [(number,)]
        for name in REFUSED:
            with pytest.raises(HazardError):
                client.dump(name)
    assert real_node.alive()


class Writer(threading.Thread):
    """Moves an amount between two rows again and again, in transactions that vary in size.

    Attributes:
        confirmed: the number of the last transaction that was answered.
    """

    def __init__(self, address: str, database: str) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.confirmed = 0
        self._session = Session(address, database)
        self._session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
        self._session.execute("CREATE TABLE n (a, b)")
        self._session.execute("INSERT INTO t VALUES (1, 500), (2, 500)")
        self._session.execute("INSERT INTO n VALUES (0, x'')")

    def run(self) -> None:
        with self._session as session:
            while not self.ended.is_set():
                session.execute("BEGIN")
                session.execute("UPDATE t SET b = b - 1 WHERE a = 1")
                number = self.confirmed + 1
                session.execute("UPDATE n SET a = ?, b = zeroblob(?)", number, number % 7 * 20_000)
                session.execute("UPDATE t SET b = b + 1 WHERE a = 2")
                session.execute("COMMIT")
                self.confirmed = number


def test_a_real_node_with_a_writer(real_node: Node, database: str) -> None:
    writer = Writer(real_node.address, database)
    with connect(real_node.address) as client:
        writer.start()
        try:
            for _ in range(20 if DEEP else 5):
                confirmed = writer.confirmed
                data = client.dump(database).database()
                assert rows_of(data, "SELECT sum(b) FROM t") == [(1000,)]
                ((number, moved),) = rows_of(data, "SELECT n.a, 500 - t.b FROM t, n WHERE t.a = 1")
                assert number == moved
                assert confirmed <= number <= writer.confirmed + 1  # type: ignore[operator]
        finally:
            writer.ended.set()
            writer.join(60)
    assert writer.confirmed > 0


def first_dump(nodes: list[Node], database: str) -> Dump:
    """A dump of the first node that says that it leads, asked at once."""
    connections = [(node.address, RawConnection(node.address)) for node in nodes]
    for address, connection in itertools.cycle(connections):
        if connection.leader()[1] == address:
            with contextlib.suppress(ClientError, Broken):  # it has said so, and refuses
                return fetch(Dialler(), Address.parse(address), database, None, Deadline(10))
    raise AssertionError


@pytest.mark.skipif(not DEEP, reason="set DQLITE_WIRE_DEEP=1")
def test_a_real_cluster_whose_leader_dies(
    node_kind: str, real_cluster: Callable[..., Cluster], database: str
) -> None:
    """Whoever leads next gives all that was confirmed, asked as soon as it says that it leads."""
    for round in range(8):
        cluster = real_cluster(node_kind)
        leader = cluster.leader()
        follower = next(node for node in cluster.nodes if node is not leader)
        with connect(follower.address) as client, Session(leader.address, database) as session:
            session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
            for number in range(20):
                session.execute("INSERT INTO t VALUES (?, randomblob(?))", number, 100_000 * (round % 2))
            leader.kill()
            if round % 4:  # a client takes longer to find it
                dump = first_dump([node for node in cluster.nodes if node is not leader], database)
            else:
                dump = client.dump(database, deadline=Deadline(20))
                assert str(client.leader.address) != leader.address
            assert [row[0] for row in rows_of(dump.database())] == list(range(20))
        for node in cluster.nodes:
            node.stop()
