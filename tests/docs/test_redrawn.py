"""What is drawn from the code is as the code has it: pages, drawings, schemas."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tools import redraw
from tools.drawn import ROOT
from tools.redraw import DRAWN, WHOLE, drawn, left_over, stale


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_is_stale(name: str) -> None:
    """`make redraw` draws it anew; that runs the sessions in messages/re*-*.md, values.md and raft.md."""
    assert [str(path.relative_to(ROOT)) for path in stale(name)] == []
    assert left_over(name) == []


def test_a_file_is_drawn_by_one_line_of_the_table() -> None:
    counts = Counter(path for name in DRAWN for path in drawn(name))
    assert [path for path, count in counts.items() if count > 1] == []
    assert all(path.is_relative_to(ROOT) for path in counts)
    assert set(WHOLE) <= set(DRAWN)


def test_what_is_stale_is_said_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, other = tmp_path / "new" / "page.md", tmp_path / "new" / "other.md"
    monkeypatch.setattr(redraw, "ROOT", tmp_path)
    monkeypatch.setattr(redraw, "DRAWN", {"one": lambda: {page: "drawn ä\n"}})
    monkeypatch.setattr(redraw, "DOCS", tmp_path)
    monkeypatch.setattr(redraw, "WHOLE", {"one": ("new/*",)})
    assert redraw.main(["--check"]) == 1
    assert capsys.readouterr().out == f"stale: {Path('new/page.md')} (one)\n"
    assert not page.exists()
    assert redraw.main(["one"]) == 0
    assert page.read_text(encoding="utf-8") == "drawn ä\n"
    assert redraw.main(["--check"]) == 0
    other.write_text("by hand")
    assert redraw.main([]) == redraw.main(["--check"]) == 1
    assert "left over, nobody draws it" in capsys.readouterr().out
    assert other.exists()
    assert redraw.main(["two"]) == 2
    assert capsys.readouterr().err == "nothing is called two; there is: one\n"


def test_it_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "redraw.py"), "--check", "schema"],
        cwd=os.sep,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
