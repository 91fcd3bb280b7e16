"""The fixture `dqlite_recording` in sessions of pytest of their own."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from dqlitewire.testing import DqliteServer
from dqlitewire.testing.recordings import RecordingError, Recordings, file_name
from tests.downstream import published
from tests.real.nodes import Node
from tests.real.raw import RawConnection
from tests.testing.pytest_session import run_pytest

ROOT = Path(__file__).parents[2]
HEAD = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import pytest
from tests.real.raw import RawConnection

"""
TESTS = """
def session(address, number=1):
    with RawConnection(address) as client:
        client.open("db")
        client.exec_sql("CREATE TABLE t (a)")
        assert client.exec_sql(f"INSERT INTO t VALUES ({number})") == (1, 1)

def test_followed(dqlite_recording):
    session(dqlite_recording("a session"))

def test_other_number(dqlite_recording):
    with pytest.raises(EOFError):
        session(dqlite_recording("a session"), 2)

def test_left_over(dqlite_recording):
    dqlite_recording("a session")

def test_unknown(dqlite_recording):
    dqlite_recording("unknown")

def test_twice(dqlite_recording):
    dqlite_recording("a session")
    dqlite_recording("a session")
"""
HOW = "DQLITE_RECORD=new DQLITE_ADDRESS=HOST:PORT pytest ... records it"


def session(address: str) -> None:
    with RawConnection(address) as client:
        client.open("db")
        client.exec_sql("CREATE TABLE t (a)")
        assert client.exec_sql("INSERT INTO t VALUES (1)") == (1, 1)


def new(folder: Path, address: str) -> Recordings:
    return Recordings(folder, {"DQLITE_RECORD": "new", "DQLITE_ADDRESS": address})


def test_recorded_once_and_played_ever_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with DqliteServer() as server, new(tmp_path, server.address) as recordings:
        session(recordings("a session"))
    (path,) = (tmp_path / "recordings").iterdir()
    assert path.name == file_name("a session")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for _ in range(2):
        with Recordings(tmp_path, {}) as recordings:
            session(recordings("a session"))
    # and in a session of pytest
    for name in ("DQLITE_RECORD", "DQLITE_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "test_it.py").write_text(HEAD + TESTS)
    said = run_pytest(tmp_path)
    assert "2 failed, 3 passed, 3 errors" in said
    for told in (
        "the test did not follow",
        "+ sql 'INSERT INTO t VALUES (2)'",
        "3 requests, nobody connected",
        HOW,
        "is used twice in one test",
    ):
        assert told in said


def test_a_recording_is_made_anew(tmp_path: Path) -> None:
    with DqliteServer() as server:
        for _ in range(2):
            server.run_sql("db", "DROP TABLE IF EXISTS t")
            with new(tmp_path, server.address) as recordings:
                session(recordings("a"))
    assert [path.name for path in (tmp_path / "recordings").iterdir()] == ["a.dqt"]


def test_off_talks_to_the_node(tmp_path: Path) -> None:
    with Recordings(
        tmp_path, {"DQLITE_RECORD": "off", "DQLITE_ADDRESS": "10.0.0.1:9001, 10.0.0.2:9001"}
    ) as one:
        assert one("a") == "10.0.0.1:9001"
    assert not (tmp_path / "recordings").exists()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, HOW),
        ({"DQLITE_RECORD": ""}, HOW),
        ({"DQLITE_RECORD": "off"}, "DQLITE_RECORD=off needs DQLITE_ADDRESS"),
        ({"DQLITE_RECORD": "new", "DQLITE_ADDRESS": " , "}, "DQLITE_RECORD=new needs DQLITE_ADDRESS"),
        ({"DQLITE_RECORD": "new", "DQLITE_ADDRESS": "nowhere"}, "DQLITE_ADDRESS is 'nowhere', HOST:PORT"),
        ({"DQLITE_RECORD": "once"}, "DQLITE_RECORD is 'once', one of replay, new, off is needed"),
    ],
)
def test_what_cannot_be_had_is_told(environment: dict[str, str], said: str, tmp_path: Path) -> None:
    recordings = Recordings(tmp_path, environment)
    with pytest.raises(RecordingError, match=said):
        recordings("a")
    with contextlib.suppress(RecordingError):  # that nothing was recorded
        recordings.__exit__()
    assert not list(tmp_path.glob("recordings/*"))


def test_what_was_not_recorded_replaces_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "recordings" / "a.dqt"
    kept.parent.mkdir()
    kept.write_text("kept")
    recordings = new(tmp_path, "127.0.0.1:1")  # nobody there
    address = recordings("a")
    with pytest.raises((EOFError, ConnectionError)):
        session(address)
    with pytest.raises(RecordingError, match="was not recorded"):
        recordings.__exit__()
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    assert kept.read_text() == "kept"
    with Recordings(tmp_path, {}) as played, pytest.raises(RecordingError, match="no transcript"):
        played("a")


@pytest.mark.parametrize(
    "name",
    ["a", "../../etc/passwd", "a/b", "a_b", ".hidden", "x" * 500, "test[1-\N{SNOWMAN}]", "\0", "\ud800"],
)
def test_names_are_made_safe(name: str) -> None:
    found = file_name(name)
    assert found == Path(found).name
    assert found.isascii()
    assert found.isprintable()
    assert len(found) < 130
    assert not found.startswith(".")


def test_different_names_have_different_files() -> None:
    assert len({file_name(name) for name in ("a/b", "a_b", "a:b", "..a_b")}) == 4
    assert file_name("a_b") == "a_b.dqt"


@pytest.mark.parametrize("name", ["", None, 3])
def test_no_name(name: object) -> None:
    with pytest.raises(RecordingError, match="a recording needs a name"):
        file_name(name)  # type: ignore[arg-type]


def test_the_published_client(tmp_path: Path, own_node: Callable[..., Node]) -> None:
    published.clients("0.8.0")
    with new(tmp_path, own_node("1.18.7").address) as recordings:
        address = recordings("published")
        seen = published.run("0.8.0", "dbapi", address, "db")
    with Recordings(tmp_path, {}) as recordings:
        assert published.run("0.8.0", "dbapi", recordings("published"), "db") == seen
