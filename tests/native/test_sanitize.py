"""The fuzzer with a native module that watches memory: a short run, and what such a run would find.

`python -m tests.fuzz --sanitize --minutes 30` is the long one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import sanitize
from tests.native.compiler import needed
from tests.profiles import DEEP

SHORT = next(iter(sanitize.SEEDED))


@pytest.fixture(autouse=True)
def _compiler() -> None:
    needed("Python.h", "libasan")


def test_nothing_is_reported(tmp_path: Path) -> None:
    done = sanitize.run(sanitize.build(tmp_path), f"--rounds={3000 if DEEP else 20}", captured=True)
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout.startswith("rows: native, " + str(tmp_path))


@pytest.mark.parametrize("bug", [bug for bug in sanitize.SEEDED if DEEP or bug == SHORT])
def test_a_seeded_bug_is_reported(bug: str, tmp_path: Path) -> None:
    old, new, reported = sanitize.SEEDED[bug]
    done = sanitize.run(sanitize.build(tmp_path, (old, new)), "--rounds=3000", captured=True)
    assert done.returncode == sanitize.REPORTED, done.stdout[-4000:]
    assert reported in done.stdout, done.stdout[:4000]
