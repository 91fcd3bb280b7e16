"""The program of a user (`tests/consumer`) runs on this tree; `make dist` runs it on what is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.profiles import DEEP
from tools.public import PUBLIC

ROOT = Path(__file__).resolve().parent.parent.parent
CONSUMER = ROOT / "tests" / "consumer"
NOT_IMPORTED = {"dqlitewire.testing.strategies"}  # needs Hypothesis, which no extra of a user brings


def test_the_program_uses_every_public_module() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in CONSUMER.glob("*.py"))
    imported = set(re.findall(r"^from (dqlitewire[\w.]*) import", text, re.MULTILINE))
    imported |= {f"dqlitewire.{name}" for name in ("speedups",) if re.search(rf"\b{name}\.name\b", text)}
    assert imported == PUBLIC.keys() - NOT_IMPORTED


# with the extras it starts the command several times, which takes seconds
@pytest.mark.parametrize("program", ["layers.py", *(["extras.py"] if DEEP else [])])
def test_the_program_runs(tmp_path: Path, program: str) -> None:
    for path in CONSUMER.glob("*.py"):
        shutil.copy(path, tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "error", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] in ("native", "pure")


@pytest.mark.parametrize("program", ["layers.py", "extras.py", "bare.py"])
def test_the_program_knows_nothing_of_this_tree(program: str) -> None:
    text = (CONSUMER / program).read_text(encoding="utf-8")
    assert not re.search(r"^\s*(from|import) (tests|tools|bench)\b", text, re.MULTILINE)
    assert "type: ignore" not in text
