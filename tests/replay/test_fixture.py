"""The fixture `dqlite_recording` in sessions of pytest of their own."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dqlitewire.testing import DqliteServer
from dqlitewire.testing.recordings import RecordingError, file_name
from tests.real.fixtures import SharedNodes
from tests.testing.pytest_session import run_pytest

ROOT = Path(__file__).parents[2]
HEAD = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.real.raw import RawConnection

"""
TEST = """
def test_it(dqlite_recording):
    with RawConnection(dqlite_recording("a session")) as client:
        client.open("db")
        client.exec_sql("CREATE TABLE t (a)")
        assert client.exec_sql("INSERT INTO t VALUES (1)") == (1, 1)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DQLITE_RECORD", raising=False)
    monkeypatch.delenv("DQLITE_ADDRESS", raising=False)
    (tmp_path / "test_it.py").write_text(HEAD + TEST)
    return tmp_path


def test_recorded_once_and_played_ever_after(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = run_pytest(folder)
    assert "DQLITE_RECORD=new DQLITE_ADDRESS=HOST:PORT pytest ... records it" in said
    assert "1 failed" in said
    with DqliteServer() as server:
        monkeypatch.setenv("DQLITE_RECORD", "new")
        monkeypatch.setenv("DQLITE_ADDRESS", server.address)
        assert "1 passed" in run_pytest(folder)
    (path,) = (folder / "recordings").iterdir()
    assert path.name == file_name("a session")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    monkeypatch.delenv("DQLITE_RECORD")
    for _ in range(2):
        assert "1 passed" in run_pytest(folder)
    for before, after, told in (
        ("(1)", "(2)", "'INSERT INTO t VALUES (1)'"),
        ("        assert", "        # assert", "1 request, the next is EXEC_SQL  INSERT INTO t VALUES (1)"),
    ):
        (folder / "test_it.py").write_text(HEAD + TEST.replace(before, after))
        said = run_pytest(folder)
        assert "1 error" in said
        assert "the test did not follow" in said
        assert told in said


def test_the_modes_that_need_a_node(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DQLITE_RECORD", "off")
    assert "DQLITE_RECORD=off needs DQLITE_ADDRESS" in run_pytest(folder)
    with DqliteServer() as server:
        monkeypatch.setenv("DQLITE_ADDRESS", server.address)
        assert "1 passed" in run_pytest(folder)
    assert not (folder / "recordings").exists()


def test_what_was_not_recorded_replaces_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DQLITE_RECORD", "new")
    monkeypatch.setenv("DQLITE_ADDRESS", "127.0.0.1:1")  # nobody there
    kept = folder / "recordings" / file_name("a session")
    kept.parent.mkdir()
    kept.write_text("kept")
    assert "was not recorded" in run_pytest(folder)
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    assert kept.read_text() == "kept"


def test_a_word_that_is_no_mode(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DQLITE_RECORD", "once")
    assert "DQLITE_RECORD is 'once', one of replay, new, off is needed" in run_pytest(folder)


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


PUBLISHED = """
from tests.downstream import published

def test_published(dqlite_recording):
    address = dqlite_recording("published")
    assert published.run("0.8.0", "dbapi", address, "recorded") == published.expected("dbapi", address)
"""


def test_the_published_client(folder: Path, monkeypatch: pytest.MonkeyPatch, real_nodes: SharedNodes) -> None:
    from tests.downstream import published

    published.clients("0.8.0")
    (folder / "test_it.py").write_text(HEAD + PUBLISHED)
    monkeypatch.setenv("DQLITE_RECORD", "new")
    monkeypatch.setenv("DQLITE_ADDRESS", real_nodes("1.18.7").address)
    assert "1 passed" in run_pytest(folder)
    monkeypatch.setenv("DQLITE_RECORD", "replay")
    assert "1 passed" in run_pytest(folder)
