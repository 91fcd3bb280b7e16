"""docs/howto/faults.md: its blocks are one file of tests, which passes; what is shown as failing fails so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks
from tests.docs.running import as_compared
from tests.traffic.command import run

PAGE = "docs/howto/faults.md"
CODE = blocks(PAGE, "python")
UNUSED, HASTY = blocks(PAGE, "text")

# what the page tells in words: the same test with another request, and the one of the hasty pool
FAILING = """
def test_hasty(dqlite_server: DqliteServer) -> None:
    assert hasty_write(dqlite_server) == [(1,)]
"""


QUIET = ("-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error")


def run_pytest(folder: Path, *options: str) -> str:
    """Run the tests of a folder with the examples on the path; what the session prints."""
    paths = [str(ROOT / "src"), str(ROOT / "examples")]
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *QUIET, *options, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    return finished.stdout


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "test_page.py").write_text("\n".join(block.text for block in CODE))
    return folder, run_pytest(folder, "--basetemp", str(folder / "files"))


def test_all_blocks_together_pass(session: tuple[Path, str]) -> None:
    last = session[1].splitlines()[-1]
    assert re.fullmatch(r"(\d+) passed in .*", last), session[1]
    assert int(last.split()[0]) > 40


def test_what_fails_fails_as_shown(tmp_path: Path) -> None:
    needed = [block.text for block in CODE if "def test_" not in block.text or "strict=True" in block.text]
    (tmp_path / "test_failing.py").write_text(
        "\n".join(needed).replace('fail_next(5, on="exec_sql")', 'fail_next(5, on="query")') + FAILING
    )
    printed = run_pytest(tmp_path)
    assert "1 failed, 1 passed, 1 error" in printed.splitlines()[-1], printed
    for block in (UNUSED, HASTY):
        for line in block.text.splitlines():
            assert line.removeprefix("E").strip() in printed, (block.place, printed)


def test_the_recording_decoded(session: tuple[Path, str]) -> None:
    (recording,) = session[0].rglob("lost.dqt")
    ((command, shown),) = blocks(PAGE, "console")[0].steps()
    words = command.replace("lost.dqt", str(recording)).split()
    found = as_compared(run(*words[1:]).out)
    # which end of a connection is noticed first is left to the system
    assert sorted(found.splitlines()) == sorted(as_compared(shown).splitlines())


def test_the_table_names_a_test_for_each_thing() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[[^]]+\]\(#([\w-]+)\)", text, re.MULTILINE)
    sections = {
        heading.lower().replace(" ", "-"): body
        for heading, body in re.findall(r"^### (.+)\n((?:(?!##).*\n)*)", text, re.MULTILINE)
    }
    assert len(rows) == 10
    assert set(rows) == set(sections)
    assert sum(body.count("\ndef test_") for body in sections.values()) == len(rows)
