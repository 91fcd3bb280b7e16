"""`dqlite-wire dump`: FILE is there as a whole or not at all, whatever ends the command."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dqlitewire.cli import whole_file
from dqlitewire.cli.exits import Exit
from dqlitewire.testing import DqliteServer
from dqlitewire.traffic.errors import FileExistsAlready
from tests.client.test_dump import filled
from tests.profiles import DEEP
from tests.traffic.command import COMMAND, on_terminal, run
from tests.waiting import wait_for


@pytest.fixture
def server() -> Iterator[DqliteServer]:
    with filled() as server:
        yield server


def count(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (number,) = database.execute("SELECT count(*) FROM t").fetchone()
        return int(number)


def test_a_file(server: DqliteServer, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    result = run("dump", server.address, "main", "-o", file)
    size = file.stat().st_size
    assert result == (0, "", f"{file}: main, {size} bytes, from {server.address}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert count(file) == 2
    assert os.listdir(tmp_path) == ["copy.db"]


def test_a_file_that_is_there(server: DqliteServer, tmp_path: Path) -> None:
    file, link = tmp_path / "copy.db", tmp_path / "link.db"
    file.write_bytes(b"mine")
    file.chmod(0o644)
    link.symlink_to(file)
    for path in (file, link):
        result = run("dump", server.address, "main", "-o", path)
        assert (result.code, result.out) == (Exit.REFUSED, "")
        assert result.err == f"dqlite-wire: {path}: there is such a file: --force overwrites it\n"
    assert file.read_bytes() == b"mine"
    assert run("dump", server.address, "main", "-o", link, "--force").code == 0
    assert link.is_symlink()
    assert count(file) == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["copy.db", "link.db"]


def test_a_file_that_somebody_made_meanwhile_stays(tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    writing = whole_file.whole_file(str(file), force=False)
    writing.__enter__().write(b"ours")
    file.write_bytes(b"mine")
    with pytest.raises(FileExistsAlready):
        writing.__exit__(None, None, None)
    assert file.read_bytes() == b"mine"
    assert os.listdir(tmp_path) == ["copy.db"]


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_what_another_database_has_left_beside_it_would_be_read(
    server: DqliteServer, tmp_path: Path, ending: str, force: list[str]
) -> None:
    file, link, left = tmp_path / "copy.db", tmp_path / "link.db", tmp_path / f"copy.db{ending}"
    link.symlink_to(file)
    with closing(sqlite3.connect(tmp_path / "old.db")) as old:
        old.execute("PRAGMA journal_mode=WAL")
        old.execute("CREATE TABLE old (a)")
        left.write_bytes((tmp_path / "old.db-wal").read_bytes())
    for path in (file, link):
        result = run("dump", server.address, "main", "-o", path, *force)
        assert (result.code, result.out) == (Exit.REFUSED, "")
        assert result.err == f"dqlite-wire: {path}{ending}: is there: SQLite would read it into the copy\n"
    assert not file.exists()
    assert not server.requests  # nobody was asked
    left.write_bytes(b"")
    assert run("dump", server.address, "main", "-o", file, *force).code == 0
    assert count(file) == 2


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    file = tmp_path / "copy.db"
    with whole_file.whole_file(str(file), force=False) as opened:
        opened.write(b"ours")
    with pytest.raises(FileExistsAlready), whole_file.whole_file(str(file), force=False):
        pass
    assert file.read_bytes() == b"ours"
    assert os.listdir(tmp_path) == ["copy.db"]


def test_standard_output(server: DqliteServer, tmp_path: Path) -> None:
    result = run("dump", server.address, "main", "-o", "-", encoding="latin-1")
    (tmp_path / "copy.db").write_bytes(result.out.encode("latin-1"))
    assert count(tmp_path / "copy.db") == 2
    assert result.err == f"main, {len(result.out)} bytes, from {server.address}\n"
    result = run("dump", server.address, "main", "-o", "-", terminal=True)
    said = "standard output is a terminal: name a file, or send it through a pipe"
    assert result == (Exit.REFUSED, "", f"dqlite-wire: {said}\n")


# ---------------------------------------------------------------- endings


def folder(path: Path) -> str:
    path.mkdir()
    return f"{path}: is a directory"


def pipe(path: Path) -> str:
    os.mkfifo(path)
    return f"{path}: is no regular file: -o - writes to standard output"


@pytest.mark.parametrize(("make", "code"), [(folder, Exit.INPUT), (pipe, Exit.REFUSED)])
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_what_is_no_file(
    server: DqliteServer, tmp_path: Path, make: Callable[[Path], str], code: Exit, force: list[str]
) -> None:
    said = make(tmp_path / "there")
    result = run("dump", server.address, "main", "-o", tmp_path / "there", *force)
    assert result == (code, "", f"dqlite-wire: {said}\n")
    assert os.listdir(tmp_path) == ["there"]
    assert not server.requests  # nobody was asked


@pytest.mark.parametrize(
    "place", ["none/copy.db", "none/", "file/copy.db", "file/", "n" * 300, "a\0b", "\ud800"]
)
def test_where_no_file_can_be(server: DqliteServer, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    result = run("dump", server.address, "main", "-o", f"{tmp_path}/{place}")
    assert (result.code, result.out) == (Exit.INPUT, "")
    assert result.err.count("\n") == 1
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("database", "code"),
    [
        ("never", Exit.FAILED),
        *((name, Exit.REFUSED) for name in ("", ":memory:", "main-wal", "file:main", "n" * 600)),
        ("\udcff", Exit.USAGE),
    ],
)
def test_what_is_no_database(server: DqliteServer, tmp_path: Path, database: str, code: Exit) -> None:
    (tmp_path / "copy.db").write_bytes(b"mine")
    result = run("dump", server.address, database, "-o", tmp_path / "copy.db", "--force")
    assert (result.code, result.out) == (code, "")
    assert result.err.count("\n") == 1
    assert (tmp_path / "copy.db").read_bytes() == b"mine"
    assert os.listdir(tmp_path) == ["copy.db"]
    assert server.hazards == []


def test_wrong_use(server: DqliteServer) -> None:
    assert run("dump", server.address, "main").code == Exit.USAGE
    assert run("dump", server.address, "main", "-o", "").code == Exit.USAGE


def test_a_node_that_falls_silent(server: DqliteServer, tmp_path: Path) -> None:
    server.hold(on="DUMP", after=1, times=None)
    result = run("dump", server.address, "main", "-o", tmp_path / "copy.db", "--timeout", "0.4")
    assert (result.code, result.out) == (Exit.INPUT, "")
    assert result.err.count("\n") == 1
    assert "within 0.4 s" in result.err
    assert os.listdir(tmp_path) == []


def test_nobody_listens(tmp_path: Path) -> None:
    result = run("dump", f"unix:{tmp_path}/none", "main", "-o", tmp_path / "copy.db")
    assert result.code == Exit.INPUT
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "force"),
    [(signal.SIGTERM, False), *DEEP * [(signal.SIGINT, True), (signal.SIGKILL, True)]],
)
def test_a_signal_in_the_middle(
    server: DqliteServer, tmp_path: Path, number: signal.Signals, force: bool
) -> None:
    server.hold(on="DUMP", after=1)
    if force:
        (tmp_path / "copy.db").write_bytes(b"mine")
    arguments = ["dump", server.address, "main", "-o", tmp_path / "copy.db", *["--force"] * force]
    with subprocess.Popen([*COMMAND, *map(str, arguments)], stderr=subprocess.PIPE) as process:
        wait_for(lambda: any(tmp_path.glob(".copy.db.*.part")), "a file that is begun")
        wait_for(lambda: len(server.requests) > 5, "a second DUMP")
        time.sleep(0.1)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    left = set(os.listdir(tmp_path)) - ({"copy.db"} if force else set())
    if number == signal.SIGKILL:
        assert [name.endswith(".part") for name in left] == [True]
    else:
        assert (process.returncode, said, left) == (Exit.INTERRUPTED, b"", set())
    if force:
        assert (tmp_path / "copy.db").read_bytes() == b"mine"


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_a_full_disk(server: DqliteServer, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "dump", server.address, "main", "-o", tmp_path / "copy.db"],
        capture_output=True,
        text=True,
        preexec_fn=limit,
    )
    assert (done.returncode, done.stdout) == (Exit.INPUT, "")
    assert done.stderr == f"dqlite-wire: {tmp_path}/copy.db: file too large\n"
    assert os.listdir(tmp_path) == []


def test_a_full_disk_behind_an_output_without_a_buffer(server: DqliteServer, tmp_path: Path) -> None:
    """The system takes a part of a write then, and says so by a number alone."""
    with (tmp_path / "copy.db").open("wb") as file:
        done = subprocess.run(
            [*COMMAND, "dump", server.address, "main", "-o", "-"],
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=limit,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    assert (done.returncode, done.stderr) == (Exit.INPUT, "dqlite-wire: standard output: File too large\n")


# ---------------------------------------------------------------- progress


def test_progress_is_for_terminals(server: DqliteServer, tmp_path: Path) -> None:
    shown = on_terminal("dump", server.address, "main", "-o", tmp_path / "copy.db")
    size = (tmp_path / "copy.db").stat().st_size
    assert "main" in shown.split("\r\n")[0]
    assert "kB" in shown
    assert shown.rstrip().endswith(f"copy.db: main, {size} bytes, from {server.address}")
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l"), "the cursor is hidden"
