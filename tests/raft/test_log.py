"""The committed log: held against a simulated cluster whose messages are lost, repeated and reordered."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqlitewire import DecodeError
from dqlitewire.raft import (
    AppendEntries,
    Configuration,
    Entry,
    Frames,
    InstallSnapshot,
    RaftMessage,
    Snapshot,
    Undo,
    decode_message,
)
from dqlitewire.raft.log import Hole, InstalledSnapshot, Log
from dqlitewire.raft.wal import fold_wal
from tests.raft.recorded import CONNECTIONS, INDEX


class Cluster:
    """Leaders that append, send, commit, and are replaced by others that overwrite what was not committed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.log: list[Entry] = []
        self.commit = 0
        self.term = 1
        self.sent: list[AppendEntries] = []

    def step(self) -> None:
        rng = self.rng
        match rng.randrange(6):
            case 0 | 1:
                self.log.append(Entry(self.term, Undo(rng.randrange(1000)), len(self.log) + 1))
            case 2 | 3:
                self.send(rng.randrange(max(0, self.commit - 2), len(self.log) + 1), rng.randrange(4))
            case 4:
                self.commit = rng.randrange(self.commit, len(self.log) + 1)
            case _:
                if rng.random() < 0.3:
                    del self.log[rng.randrange(self.commit, len(self.log) + 1) :]
                    self.term += 1

    def send(self, at: int, count: int) -> None:
        before = self.log[at - 1].term if at else 0
        entries = self.log[at : at + count]
        self.sent.append(AppendEntries(self.term, at, before, self.commit, entries))


def given_by(log: Log, messages: list[AppendEntries]) -> list[object]:
    given = [one for message in messages for one in log.take(message)]
    return given + list(log.finish())


@settings(max_examples=300)
@given(st.integers(), st.sampled_from(["all", "lost", "twice", "late"]))
def test_what_is_given_is_what_was_committed(seed: int, disturbed: str) -> None:
    cluster = Cluster(seed)
    for _ in range(60):
        cluster.step()
    cluster.send(0, len(cluster.log))
    cluster.send(len(cluster.log), 0)
    committed = cluster.log[: cluster.commit]
    rng, messages = random.Random(seed), list(cluster.sent)
    if disturbed == "lost":
        messages = [message for message in messages if rng.random() < 0.6]
    elif disturbed == "twice":
        messages = [message for message in messages for _ in range(rng.randrange(1, 3))]
    elif disturbed == "late":
        for at in range(len(messages) - 1):
            if rng.random() < 0.3:
                messages[at], messages[at + 1] = messages[at + 1], messages[at]
    index = 0
    for one in given_by(Log(), messages):
        if isinstance(one, Hole):
            assert one.first == index + 1
            index = one.last
            continue
        assert isinstance(one, Entry)
        index += 1
        assert one == committed[index - 1]
    if disturbed != "lost":
        assert index == cluster.commit


def test_an_entry_of_an_earlier_leader_is_not_committed_by_a_later_ones_word() -> None:
    log = Log()
    assert not list(log.take(AppendEntries(1, 0, 0, 0, [Entry(1, Undo(1)), Entry(1, Undo(2))])))
    assert [e.index for e in log.take(AppendEntries(1, 2, 1, 1))] == [1]  # type: ignore[union-attr]
    assert not list(log.take(AppendEntries(2, 3, 2, 3)))  # its entries 2 and 3 are not those that were sent
    assert list(log.finish()) == []
    assert list(log.take(AppendEntries(2, 1, 1, 3, [Entry(2, Undo(7)), Entry(2, Undo(8))]))) == [
        Entry(2, Undo(7), 2),
        Entry(2, Undo(8), 3),
    ]


def test_a_reader_that_joins_late_says_so_and_a_snapshot_closes_the_hole() -> None:
    log = Log()
    entries = [Entry(3, Undo(n)) for n in range(2)]
    assert list(log.take(AppendEntries(3, 10, 3, 12, entries))) == [
        Hole(1, 10),
        Entry(3, Undo(0), 11),
        Entry(3, Undo(1), 12),
    ]
    assert not list(log.take(AppendEntries(3, 14, 3, 15, [Entry(3, Undo(5))])))
    snapshot = InstallSnapshot(3, 14, 3, 1, Configuration([]), Snapshot([]))
    assert list(log.take(snapshot)) == [InstalledSnapshot(14, Snapshot([])), Entry(3, Undo(5), 15)]
    assert list(log.take(snapshot)) == []


def test_a_hole_is_waited_for_as_long_as_memory_allows() -> None:
    log = Log(max_pending=10_000)
    assert len(list(log.take(AppendEntries(1, 0, 0, 1, [Entry(1, Undo(0))])))) == 1
    assert not list(log.take(AppendEntries(1, 2, 1, 3, [Entry(1, Undo(2))])))
    assert not list(log.take(AppendEntries(1, 3, 1, 4, [Entry(1, Undo(3))])))
    assert Hole(2, 2) in log.take(AppendEntries(1, 4, 1, 5, [Entry(1, Undo(4))]))


def in_time(server: str) -> list[RaftMessage]:
    """Return the messages of a recorded session, in the order in which they were whole."""
    found: list[tuple[int, bytes]] = []
    for told, one in zip(INDEX["connections"], CONNECTIONS, strict=True):
        if one.server == server:
            passed, ends = -told["connect"][0] - 8 - told["connect"][3], []
            for size, ms in told["chunks"]:
                passed += size
                ends.append((passed, ms))
            for (at, _, header, payload), frame in zip(one.messages, one.frames, strict=True):
                whole = at + 16 + header + payload
                found.append((next(ms for end, ms in ends if end >= whole), frame))
    found.sort(key=lambda one: one[0])
    return [decode_message(frame) for _, frame in found]


def rows_of(content: bytes, file: Path) -> list[tuple[object, ...]]:
    file.write_bytes(content)
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT * FROM word").fetchall()


@pytest.mark.parametrize("server", ["1.11.1", "1.18.7"])
def test_the_recorded_sessions_give_the_database(server: str, tmp_path: Path) -> None:
    messages = in_time(server)
    image, last = bytearray(), 0
    log = Log()
    for one in (shown for message in messages for shown in log.take(message)):
        assert isinstance(one, Entry)  # the snapshot comes late: its entries were seen before
        assert one.index == last + 1
        last = one.index
        if isinstance(one.command, Frames):
            for number, page in zip(one.command.page_numbers, one.command.pages, strict=True):
                at = (number - 1) * 4096
                image[at : at + 4096] = page
    rows = [("apple", 2), ("pear", 3), *((f"w{n}", n) for n in range(4))]
    assert rows_of(bytes(image), tmp_path / "followed") == rows
    (snapshot,) = (message.snapshot for message in messages if isinstance(message, InstallSnapshot))
    (database,) = snapshot.databases
    assert rows_of(fold_wal(database.main, database.wal), tmp_path / "snapshot")[-1][0] in ("w4", "w5")


# ---- the WAL


def test_a_folded_wal_is_what_sqlite_makes_of_it(tmp_path: Path) -> None:
    rng = random.Random(5)
    for round_ in range(8):
        file = tmp_path / f"{round_}.db"
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA page_size = {rng.choice([512, 4096, 65536])}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE t (x)")
            for step in range(rng.randrange(5, 40)):
                if rng.random() < 0.1:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # the next writer begins a round
                connection.execute("INSERT INTO t VALUES (randomblob(?))", (rng.randrange(9000),))
                if step == 10:
                    connection.execute("DELETE FROM t WHERE rowid % 2")
                    connection.execute("VACUUM")
            main, wal = file.read_bytes(), Path(f"{file}-wal").read_bytes()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            assert fold_wal(main, wal) == file.read_bytes()
            cut = wal[: rng.randrange(32, len(wal))]
            assert len(fold_wal(main, cut)) % 512 == 0


def test_what_is_no_wal_is_refused_and_an_empty_one_changes_nothing() -> None:
    assert fold_wal(b"main", b"") == b"main"
    with pytest.raises(DecodeError, match="no WAL begins so"):
        fold_wal(b"", bytes(40))
    with pytest.raises(DecodeError, match="its header has 32"):
        fold_wal(b"", bytes(4))
