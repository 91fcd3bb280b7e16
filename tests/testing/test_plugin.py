"""The pytest plug-in: found by its entry point, costs nothing until used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.real.raw import RawConnection
from tests.testing.pytest_session import run_pytest


def test_server_fixture(dqlite_server: DqliteServer) -> None:
    with RawConnection(dqlite_server.address) as client:
        assert client.leader() == (1, dqlite_server.address)


@pytest.mark.dqlite(generation="1.11.1", nodes=2)
def test_cluster_fixture(dqlite_cluster: DqliteCluster) -> None:
    assert dqlite_cluster.generation.name == "1.11.1"
    assert len(dqlite_cluster.nodes) == 2


@pytest.mark.dqlite("cowsql")
def test_generation_by_place(dqlite_server: DqliteServer) -> None:
    assert dqlite_server.generation.name == "cowsql"


@pytest.mark.dqlite("1.18.6")
def test_generation_by_another_name(dqlite_server: DqliteServer) -> None:
    assert dqlite_server.generation.name == "1.18.7"


def test_a_mark_that_says_too_much_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_marks.py").write_text(
        "import pytest\n"
        "@pytest.mark.dqlite('1.11.1', 3)\n"
        "def test_two(dqlite_cluster): pass\n"
        "@pytest.mark.dqlite('1.11.1', generation='1.18.6')\n"
        "def test_twice(dqlite_server): pass\n"
        "@pytest.mark.dqlite('1.12')\n"
        "def test_unknown(dqlite_server): pass\n"
    )
    printed = run_pytest(tmp_path)
    assert "3 errors" in printed
    assert "mark dqlite with 2 arguments by place, at most the generation" in printed
    assert "mark dqlite with two generations, at most one" in printed
    assert "generation '1.12', must be one of 1.11.1, 1.18.1, 1.18.7, cowsql" in printed


def test_nothing_is_imported_until_used(tmp_path: Path) -> None:
    (tmp_path / "test_none.py").write_text(
        "import sys\n"
        "def test_none(request):\n"
        "    assert request.config.pluginmanager.hasplugin('dqlite')\n"
        "    heavy = {'apsw', 'dqlitewire.conversation', 'dqlitewire.testing.server', 'hypothesis'}\n"
        "    heavy &= set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    finished = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            str(tmp_path),
            "-p",
            "no:hypothesispytest",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=tmp_path,
    )
    assert finished.returncode == 0, finished.stdout
