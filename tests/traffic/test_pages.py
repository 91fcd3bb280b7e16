"""Databases that are followed in the messages between nodes: complete, torn, with names that mean harm."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import sqlite3
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.raft import (
    AppendEntries,
    Configuration,
    Database,
    Entry,
    Frames,
    InstallSnapshot,
    RaftMessage,
    Snapshot,
)
from dqlitewire.traffic.errors import FileExistsAlready
from dqlitewire.traffic.pages import INDEX, PARTIAL, PageFiles, safe_name
from tests.raft.recorded import FOLDER
from tests.raft.recorded import INDEX as RECORDED
from tests.raft.test_log import in_time, rows_of
from tests.traffic import wire
from tests.traffic.command import run


def followed(messages: Iterable[RaftMessage], folder: Path) -> dict[str, Any]:
    """The index; by the database's name."""
    with PageFiles(folder) as files:
        for message in messages:
            files.take(message)
    index = json.loads((folder / INDEX).read_text())
    return {one["name"]: one for one in index["databases"]} | {"": index}


# ---- databases of our own, as a leader sends them


def transactions(folder: Path, page_size: int = 4096) -> Sequence[dict[int, bytes]]:
    """Of a database that grows, shrinks and grows again, the pages that each transaction wrote."""
    path, before, out = folder / "source.db", b"", []
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {page_size}")
        for step in (
            "CREATE TABLE word (n INTEGER, b BLOB)",
            *(f"INSERT INTO word VALUES ({n}, randomblob(3000))" for n in range(12)),
            "DELETE FROM word WHERE n < 9",
            "VACUUM",
            "INSERT INTO word VALUES (99, randomblob(20000))",
        ):
            connection.execute(step)
            after = path.read_bytes()
            out.append(changed(before, after, page_size))
            before = after
    return out


def changed(before: bytes, after: bytes, size: int) -> dict[int, bytes]:
    pages = {at // size + 1: after[at : at + size] for at in range(0, len(after), size)}
    return {
        number: page for number, page in pages.items() if before[(number - 1) * size : number * size] != page
    }


def as_entries(pages: Iterable[dict[int, bytes]], name: str = "app.db", page_size: int = 4096) -> list[Entry]:
    return [
        Entry(1, Frames(name, page_size=page_size, page_numbers=tuple(one), pages=tuple(one.values())))
        for one in pages
    ]


def sent(entries: Sequence[Entry], start: int = 0) -> list[RaftMessage]:
    """One entry a message; each tells that those before it are committed, and a heartbeat the last."""
    messages: list[RaftMessage] = [
        AppendEntries(1, start + i, 1 if start + i else 0, start + i, [entry])
        for i, entry in enumerate(entries)
    ]
    end = start + len(entries)
    return [*messages, AppendEntries(1, end, 1, end)]


@pytest.mark.parametrize("page_size", [512, 4096, 32768])
def test_a_whole_log_gives_the_file_that_was_written(page_size: int, tmp_path: Path) -> None:
    entries = as_entries(transactions(tmp_path, page_size), page_size=page_size)
    told = followed(sent(entries), tmp_path / "out")
    expected = (tmp_path / "source.db").read_bytes()
    assert (tmp_path / "out" / "app.db").read_bytes() == expected
    pages = len(expected) // page_size
    assert told["app.db"] == {
        "name": "app.db",
        "file": "app.db",
        "complete": True,
        "page_size": page_size,
        "pages": pages,
        "known": [[1, pages]],
        "last_index": len(entries),
    }
    assert (told[""]["last_index"], told[""]["term"], told[""]["uncommitted"]) == (len(entries), 1, 0)


def test_what_is_not_committed_is_not_applied(tmp_path: Path) -> None:
    entries = as_entries(transactions(tmp_path))
    told = followed(sent(entries)[:-1], tmp_path / "out")  # without the message that commits the last
    assert told["app.db"]["last_index"] == len(entries) - 1
    assert told[""]["uncommitted"] == 1


def test_a_torn_log_says_so_and_a_snapshot_mends_it(tmp_path: Path) -> None:
    written = transactions(tmp_path)
    entries, rng = as_entries(written), random.Random(3)
    for round_ in range(12):
        start = rng.randrange(1, len(entries) - 2)
        messages = sent(entries[start:], start)
        if round_ % 2:
            messages = [*sent(entries)[:start], *messages[1:]]  # one entry is lost
        told = followed(messages, tmp_path / f"torn{round_}")["app.db"]
        assert not told["complete"]
        assert told["file"] == "app.db" + PARTIAL
        assert [one.name for one in (tmp_path / f"torn{round_}").iterdir() if one.name != INDEX] == [
            told["file"]
        ]
        content = (tmp_path / f"torn{round_}" / told["file"]).read_bytes()
        known = {n for first, last in told["known"] for n in range(first, last + 1)}
        assert not any(
            content[(n - 1) * 4096 : n * 4096].strip(b"\0") for n in range(1, 20) if n not in known
        )
    image: dict[int, bytes] = {}
    for pages in written[:5]:
        image |= pages
    main = b"".join(image[number] for number in sorted(image))
    snapshot = InstallSnapshot(1, 5, 1, 1, Configuration([]), Snapshot([Database("app.db", main, b"")]))
    messages = [*sent(entries[2:], 2), snapshot, *sent(entries[5:], 5)]
    with PageFiles(tmp_path / "mended") as files:
        for message in [snapshot, *sent(entries[5:], 5)]:
            files.take(message)
    assert (tmp_path / "mended" / "app.db").read_bytes() == (tmp_path / "source.db").read_bytes()
    assert messages


# ---- names


NAMES = [
    "../x",
    "/etc/passwd",
    "a/b",
    "a_b",
    "A_B",
    "..",
    ".",
    "",
    ".hidden",
    "index.json",
    "x" * 1000,
    "x" * 999,
    "a\x1b[31m\n",
    "con:aux",
    "файл",
    "a_b.partial",
    "a\\b",
]


def test_names_stay_in_the_folder_and_apart(tmp_path: Path) -> None:
    page = b"SQLite format 3\0" + bytes(12) + (1).to_bytes(4, "big") + bytes(480)
    entries = [Entry(1, Frames(name, page_size=512, page_numbers=(1,), pages=(page,))) for name in NAMES]
    (tmp_path / "in").mkdir()
    told = followed(sent(entries), tmp_path / "in" / "out")
    files = [one["file"] for one in told[""]["databases"]]
    assert len({file.lower() for file in files}) == len(NAMES)
    assert sorted(path.name for path in (tmp_path / "in" / "out").iterdir()) == sorted([*files, INDEX])
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["out"]
    assert [one["name"] for one in told[""]["databases"]] == NAMES
    assert all(re.fullmatch(r"[\w.@+=-]{1,120}", file, re.ASCII) and file[0] != "." for file in files)
    assert safe_name("App-1.db") == "App-1.db"


def test_numbers_and_sizes_that_mean_harm_are_refused(tmp_path: Path) -> None:
    frames = [
        Frames("a", page_size=512, page_numbers=(0, 2**40, 2**64 - 1), pages=(bytes(512),) * 3),
        Frames("b", page_size=7, page_numbers=(1,), pages=(bytes(7),)),
        Frames("c", page_size=512, page_numbers=(1 << 25,), pages=(b"x" * 512,)),
    ]
    told = followed(sent([Entry(1, one) for one in frames]), tmp_path / "out")
    assert [told[name].get("refused_pages", 0) for name in "abc"] == [3, 1, 0]
    assert told["c"]["known"] == [[1 << 25, 1 << 25]]
    assert not any(told[name]["complete"] for name in "abc")
    assert (tmp_path / "out" / "c.partial").stat().st_blocks < 100  # holes take no space


def test_what_people_stored_is_for_the_owner_alone(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        followed(
            sent([Entry(1, Frames("a", page_size=512, page_numbers=(2,), pages=(bytes(512),)))]),
            tmp_path / "out",
        )
    finally:
        os.umask(umask)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in [tmp_path / "out", *(tmp_path / "out").iterdir()]
    }
    assert modes == {"out": 0o700, "a.partial": 0o600, INDEX: 0o600}


def test_a_folder_that_has_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(FileExistsAlready, match="is not empty"):
        PageFiles(tmp_path)


def test_a_snapshot_that_holds_no_database_is_kept_and_said_to_be_none(tmp_path: Path) -> None:
    databases = [
        Database("a", b"no database", b""),
        Database("b", bytes(512), b"no wal" * 10),
        Database("c", b""),
    ]
    told = followed([InstallSnapshot(1, 5, 1, 1, Configuration([]), Snapshot(databases))], tmp_path / "out")
    assert told["a"]["problem"] == "the snapshot holds no SQLite file"
    assert "WAL" in told["b"]["problem"]
    assert not any(told[name]["complete"] for name in "abc")


# ---- recorded sessions


ROWS = [("apple", 2), ("pear", 3), *((f"w{n}", n) for n in range(4))]


@pytest.mark.parametrize("server", ["1.11.1", "1.18.7"])
def test_recorded_sessions_give_the_database(server: str, tmp_path: Path) -> None:
    messages = in_time(server)
    told = followed(messages, tmp_path / "out")
    (database,) = told[""]["databases"]
    assert database["complete"]
    assert rows_of((tmp_path / "out" / database["file"]).read_bytes(), tmp_path / "look") == ROWS
    (snapshot,) = (message for message in messages if isinstance(message, InstallSnapshot))
    (database,) = followed([snapshot], tmp_path / "snapshot")[""]["databases"]
    assert database["complete"]
    assert rows_of((tmp_path / "snapshot" / database["file"]).read_bytes(), tmp_path / "look")[-1][0] in (
        "w4",
        "w5",
    )


def test_decode_writes_them_from_a_capture(tmp_path: Path) -> None:
    records = []
    for number, told in enumerate(one for one in RECORDED["connections"] if one["server"] == "1.18.7"):
        data, at, packets = (FOLDER / told["file"]).read_bytes(), 0, []
        for size, _ in told["chunks"]:
            packets.append((True, data[at : at + size]))
            at += size
        conversation = wire.conversation([chunk for chunk in packets if chunk[1]])
        records.append(wire.frames(conversation, wire.Path(client_port=40_001 + number)))
    path, folder = tmp_path / "raft.pcap", tmp_path / "out"
    path.write_bytes(wire.pcap(wire.merge(*records)))
    result = run("decode", path, "--pages", folder)
    (database,) = json.loads((folder / INDEX).read_text())["databases"]
    assert f"{database['file']}: complete" in result.err
    words = rows_of((folder / database["file"]).read_bytes(), tmp_path / "look")
    assert words[: len(ROWS) - 1] == ROWS[:-1]
    again = run("decode", path, "--pages", folder)
    assert again.code == 4
    assert "is not empty" in again.err
    assert run("decode", path, "--pages", tmp_path / "new", "--redact").code == 2
    assert run("decode", path, "--pages", path / "below").code == 3
