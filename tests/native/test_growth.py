"""Reading and writing natively keeps no memory, over 10^6 frames with DQLITE_WIRE_DEEP=1; a leak is seen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import sanitize
from tests.native.compiler import needed
from tests.profiles import DEEP

# texts of the C file, and what comes in the place of each: a reference that stays, or is given away
LEAKS = {
    "rows": ("    Py_DECREF(row);\n    reader->number++;\n", "    reader->number++;\n"),
    "types": (
        "        PyTuple_SetItem(types, i, new_reference(member));\n",
        "        PyTuple_SetItem(types, i, new_reference(new_reference(member)));\n",
    ),
}
SHORT = next(iter(LEAKS))


@pytest.fixture(autouse=True)
def _compiler() -> None:
    needed("Python.h")


def grown(source: Path, frames: int) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.native.growth", "--frames", str(frames)],
        env={**os.environ, "DQLITEWIRE_PURE": "", "PYTHONPATH": f"{source}{os.pathsep}{sanitize.ROOT}"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.stdout.startswith("rows: native"), done.stdout + done.stderr
    return done


def test_nothing_is_kept(tmp_path: Path) -> None:
    done = grown(sanitize.build(tmp_path, flags=["-O1"]), 1_000_000 if DEEP else 5_000)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("leak", [leak for leak in LEAKS if DEEP or leak == SHORT])
def test_a_leak_is_seen(leak: str, tmp_path: Path) -> None:
    done = grown(sanitize.build(tmp_path, replaced=LEAKS[leak], flags=["-O1"]), 1_000)
    assert done.returncode == 1, done.stdout
