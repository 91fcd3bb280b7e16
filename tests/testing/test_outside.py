"""No statement of a client reaches a file that is not its database's, or a setting of the whole process."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqlitewire.testing import DqliteServer, HazardKind
from tests.real.raw import RawConnection, blob, frame, text, word

GENERATIONS = ["1.11.1", "1.18.1", "1.18.7", "cowsql"]
PREPARE, EXEC, QUERY, EXEC_SQL, QUERY_SQL = 4, 5, 6, 8, 9

SERIES = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {}) SELECT {} FROM r"

# {} is a folder with files that must stay as they are
OUTSIDE = (
    "ATTACH '{}/new.db' AS x",
    "ATTACH '{}/there.db' AS x",
    "attach database '{}/there.db' as x",
    "ATTACH '{}/' || 'new.db' AS x",
    "ATTACH (SELECT '{}/new.db') AS x",
    'ATTACH "{}/new.db" AS x',
    "ATTACH [{}/new.db] AS x",
    "ATTACH 'file:{}/new.db' AS x",
    "ATTACH 'file:{}/there.db?mode=rw&vfs=unix-none' AS x",
    "ATTACH 'file::memory:?cache=shared' AS x",
    "ATTACH 'relative.db' AS x",
    "ATTACH relative AS x",
    "ATTACH ?1 AS x",
    "ATTACH NULL AS x",
    "VACUUM INTO '{}/new.db'",
    "VACUUM main INTO '{}/new.db'",
    "VACUUM INTO '{}/' || 'new.db'",
    "VACUUM INTO 'file:{}/new.db'",
    "VACUUM INTO 'relative.db'",
    "PRAGMA temp_store_directory='{}'",
    "PRAGMA temp_store_directory=''",
    "PRAGMA Temp_Store_Directory('{}')",
    "PRAGMA \"temp_store_directory\"='{}'",
    "PRAGMA main.temp_store_directory='{}'",
    "PRAGMA data_store_directory='{}'",
    "PRAGMA soft_heap_limit=100000000",
    "PRAGMA soft_heap_limit(100000000)",
    "PRAGMA hard_heap_limit=900000000",
    "PRAGMA lock_proxy_file='{}/proxy'",
    "EXPLAIN ATTACH '{}/new.db' AS x",
    "SELECT fts3_tokenizer('simple', ?1)",
    "SELECT FTS3_Tokenizer('simple', x'0000000000000000')",
    "SELECT \"fts3_tokenizer\"('simple') /* {} */",
    "CREATE TABLE f (a CHECK (fts3_tokenizer('simple', a)))",
)
HARMLESS = (
    "SELECT load_extension('{}/there.db')",
    "SELECT writefile('{}/new', 'x')",
    "SELECT readfile('{}/there.db')",
    "SELECT edit('x', 'touch {}/new')",
    "PRAGMA writable_schema=1; UPDATE sqlite_schema SET sql = 'x'",
    "PRAGMA temp_store=1; CREATE TEMP TABLE t AS SELECT zeroblob(3000000) AS b",
    f"PRAGMA temp_store=1; CREATE TEMP TABLE u AS {SERIES.format(3000, 'randomblob(500) AS b')} ORDER BY b",
    "PRAGMA mmap_size=1000000",
    "PRAGMA threads=4",
    "CREATE VIRTUAL TABLE v1 USING csv(filename='{}/there.db')",
    "CREATE VIRTUAL TABLE v2 USING zipfile('{}/new.zip')",
    "CREATE VIRTUAL TABLE v3 USING fts5(a, content='{}/there.db')",
    "CREATE VIRTUAL TABLE v4 USING fts4(a, tokenize=simple '{}/there.db')",
    "SELECT * FROM zipfile('{}/there.db')",
    "SELECT * FROM fsdir('{}')",
    "SELECT * FROM sqlite_dbpage",
    "SELECT * FROM pragma_temp_store_directory('{}')",
    "SELECT * FROM pragma_soft_heap_limit(5)",
    "SELECT * FROM pragma_hard_heap_limit",
    "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT load_extension('{}/there.db'); END",
    "ATTACH '' AS x; CREATE TABLE x.t AS SELECT zeroblob(3000000) AS b",
    "ATTACH ':memory:' AS x; CREATE TABLE x.t AS SELECT zeroblob(3000000) AS b",
    "VACUUM",
    "PRAGMA journal_mode=OFF",
    "PRAGMA journal_mode=TRUNCATE",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    ".open {}/new.db",
)


class Place:
    """A process's surroundings: a folder of its own, the current one, the temporary one."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outside = root / "outside"
        self.inside = root / "inside"
        self.root = root
        for name in ("outside", "current", "temporary"):
            (root / name).mkdir()
        made = apsw.Connection(str(self.outside / "there.db"))
        made.execute("CREATE TABLE t (a)")
        made.close()
        monkeypatch.chdir(root / "current")
        monkeypatch.setattr(tempfile, "tempdir", str(root / "temporary"))
        monkeypatch.setenv("TMPDIR", str(root / "temporary"))
        monkeypatch.setenv("SQLITE_TMPDIR", str(root / "temporary"))

    def state(self) -> Any:
        """All that must stay as it is."""
        files = []
        for folder, _, names in os.walk(self.root):
            if Path(folder) == self.inside:
                assert all(name.split(".db")[1] in ("", "-wal", "-shm") for name in names), names
                continue
            for name in names:
                path = Path(folder) / name
                files.append(
                    (str(path), hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
                )
        fresh = apsw.Connection(":memory:")
        (directory,) = fresh.execute("PRAGMA temp_store_directory").fetchall() or [None]
        fresh.close()
        limits = apsw.soft_heap_limit(-1), apsw.hard_heap_limit(-1)
        return sorted(files), directory, limits, os.getcwd(), dict(os.environ), tempfile.tempdir


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    place = Place(tmp_path, monkeypatch)
    before = place.state()
    yield place
    # the process is one for all tests: what a failure has set is set back
    apsw.soft_heap_limit(before[2][0])
    apsw.hard_heap_limit(before[2][1])


def ways(client: RawConnection, sql: str) -> Iterator[Any]:
    """The answers to a statement that is sent in every way."""
    body = word(0) + text(sql)
    yield client.call(EXEC_SQL, body)
    yield client.query_sql(sql)[-1]
    yield client.call(EXEC_SQL, word(0) + text(f"SELECT 1 WHERE 0; {sql}"))
    prepared = client.call(PREPARE, body)
    if prepared.kind == 0:
        yield prepared
        return
    yield client.call(EXEC, prepared.body[:4] + prepared.body[4:8])
    while (answer := client.call(QUERY, prepared.body[:8])).kind == 7 and answer.body.endswith(b"\xee" * 8):
        pass
    yield answer
    client.call(7, prepared.body[:8])


@pytest.mark.parametrize("generation", GENERATIONS)
def test_what_would_leave_the_database_fails_and_is_recorded(place: Place, generation: str) -> None:
    with DqliteServer(generation=generation, folder=place.inside) as server:
        before = place.state()
        with RawConnection(server.address) as client:
            client.open("main")
            client.exec_sql("CREATE TABLE t (a)")
            for pattern in OUTSIDE:
                seen = len(server.hazards)
                sql = pattern.format(place.outside)
                for answer in ways(client, sql):
                    assert answer.kind == 0 or sql.startswith("EXPLAIN"), (sql, answer)
                kinds = {hazard.kind for hazard in server.hazards[seen:]}
                assert kinds == {HazardKind.OUTSIDE}, sql
                assert place.state() == before, sql
        assert server.errors == []


@pytest.mark.parametrize("generation", GENERATIONS)
def test_what_sounds_like_it_does_nothing_outside(place: Place, generation: str) -> None:
    with DqliteServer(generation=generation, folder=place.inside) as server:
        before = place.state()
        for number, pattern in enumerate(HARMLESS):
            with RawConnection(server.address) as client:
                client.open(f"db{number}")
                client.exec_sql("CREATE TABLE t (a)")
                list(ways(client, pattern.format(place.outside)))
            assert place.state() == before, pattern
        assert {hazard.kind for hazard in server.hazards} <= {HazardKind.OLD_PRAGMA, HazardKind.RAW_WRITE}
        assert server.errors == []


def test_no_address_of_code_is_taken_from_a_client(place: Place) -> None:
    """SQLite lets a bound value name the code of a tokenizer: to use this one would end the process."""
    with DqliteServer(folder=place.inside) as server, RawConnection(server.address) as client:
        client.open("main")
        client.exec_sql("CREATE TABLE t (a)")
        client.exec_sql("CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT fts3_tokenizer('evil', new.a); END")
        address = b"\1\4\0\0\0\0\0\0" + blob(b"A" * 8)
        for kind, sql in (
            (QUERY_SQL, "SELECT fts3_tokenizer('evil', ?)"),
            (EXEC_SQL, "SELECT 1 WHERE fts3_tokenizer('evil', ?)"),
            (EXEC_SQL, "INSERT INTO t VALUES (?)"),
        ):
            assert client.call(kind, word(0) + text(sql) + address).failure == (23, "not authorized")
        assert [hazard.kind for hazard in server.hazards] == [HazardKind.OUTSIDE] * 3
        using = "CREATE VIRTUAL TABLE v USING fts4(a, tokenize=evil)"
        assert client.call(EXEC_SQL, word(0) + text(using)).failure == (1, "unknown tokenizer: evil")


def test_every_pragma_function_and_module_of_this_sqlite(place: Place) -> None:
    """What a later SQLite brings is tried too."""
    raw = apsw.Connection(":memory:")
    pragmas = [name for (name,) in raw.execute("PRAGMA pragma_list")]
    functions = sorted({row[0] for row in raw.execute("PRAGMA function_list")})
    modules = [name for (name,) in raw.execute("PRAGMA module_list")]
    raw.close()
    assert min(map(len, (pragmas, functions, modules))) >= 5
    path = f"'{place.outside}/new'"
    # every generation judges them by the same rule; the first refuses least
    with DqliteServer(generation="1.11.1", folder=place.inside) as server:
        before = place.state()
        for name in pragmas:
            with RawConnection(server.address) as client:
                client.open(f"pragma {name}")
                for value in ("7", path, "-1", "''"):
                    client.call(EXEC_SQL, word(0) + text(f"PRAGMA {name}={value}"))
                client.query_sql(f"PRAGMA {name}({path})")
                client.call(EXEC_SQL, word(0) + text(f"SELECT * FROM pragma_{name}({path}) WHERE 0"))
            assert place.state() == before, name
        with RawConnection(server.address) as client:
            client.open("others")
            for name in functions:
                for arguments in ("", path, f"{path}, {path}", f"{path}, 1, {path}"):
                    client.call(
                        EXEC_SQL, word(0) + text(f'CREATE TABLE x AS SELECT "{name}"({arguments}) AS x')
                    )
                    client.call(EXEC_SQL, word(0) + text("DROP TABLE x"))
            assert place.state() == before
            for name in modules:
                client.call(EXEC_SQL, word(0) + text(f'CREATE VIRTUAL TABLE v USING "{name}"({path}, a)'))
                client.call(EXEC_SQL, word(0) + text(f'INSERT INTO v SELECT * FROM "{name}"({path})'))
                client.call(EXEC_SQL, word(0) + text("DROP TABLE v"))
            assert place.state() == before
        assert server.errors == []


NAMES = (
    "../x",
    "../outside/there.db",
    "/etc/passwd",
    "a/b",
    "file:x",
    "file:/x?vfs=unix",
    ":memory:",
    "",
    ".",
    "..",
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(
    st.lists(st.one_of(st.sampled_from(NAMES), st.text(st.characters(exclude_characters="\0"), max_size=60)))
)
def test_every_name_of_a_database_is_a_file_in_the_folder(place: Place, names: list[str]) -> None:
    with DqliteServer(folder=place.inside) as server:
        before = place.state()
        for name in names:
            with RawConnection(server.address) as client:
                opening = text(name.encode("utf-8", "surrogatepass")) + word(0) + text("")
                client.send(frame(3, opening) + frame(EXEC_SQL, word(0) + text("CREATE TABLE t (a)")))
                client.frame()
                client.frame()
        assert place.state() == before
        assert server.errors == []


def test_a_long_name_is_a_file_in_the_folder(place: Place) -> None:
    with DqliteServer(folder=place.inside) as server, RawConnection(server.address) as client:
        before = place.state()
        client.open("../" * 168)
        client.exec_sql("CREATE TABLE t (a)")
        assert place.state() == before


def test_a_file_that_is_no_database(place: Place) -> None:
    garbage = place.outside / "garbage"
    garbage.write_bytes(b"SQLite format 3\0" + bytes(5000))
    with DqliteServer(folder=place.inside, files={"garbage": garbage, "folder": place.outside}) as server:
        before = place.state()
        for name in ("garbage", "folder"):
            for _ in range(2):
                with RawConnection(server.address) as client:
                    client.send(frame(3, text(name) + word(0) + text("")))
                    assert client.closed_by_peer()
        assert server.errors == []
        assert place.state() == before


def test_a_dump_keeps_the_locks_of_the_process(tmp_path: Path) -> None:
    """Closing any descriptor of a file drops all of a process's locks on it."""
    path = tmp_path / "app.db"
    with DqliteServer(files={"app": path}) as server, RawConnection(server.address) as client:
        client.open("app")
        client.exec_sql("CREATE TABLE t (a)")
        inode = os.stat(path).st_ino

        def locks() -> int:
            held = Path("/proc/locks").read_text().splitlines()
            return sum(f":{inode} " in line and f" {os.getpid()} " in line for line in held)

        before = locks()
        assert before > 0
        for _ in range(3):
            assert client.call(15, text("app")).kind == 9
        assert locks() == before
