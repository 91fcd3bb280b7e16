"""Which of the two is in use, and why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dqlitewire import speedups
from tests.fuzz import checks

SOURCE = Path(speedups.__file__).with_name("_speedups.c")


def loaded(before: str = "", **environment: str) -> list[str]:
    """Name and reason in a new process, behind some lines of code."""
    code = f"{before}\nfrom dqlitewire import speedups\nprint(speedups.name, speedups.why, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "DQLITEWIRE_PURE": "", **environment},
    )
    return done.stdout.split("\n")[:2]


FAKE = "import sys, types; fake = sys.modules['dqlitewire._speedups'] = types.ModuleType('fake')\n"


def test_a_module_of_another_version_is_not_used() -> None:
    for version in ("0", str(speedups.VERSION + 1), f"'{speedups.VERSION}'"):
        why = f"built for version {version.strip(chr(39))}, {speedups.VERSION} is needed"
        assert loaded(f"{FAKE}fake.VERSION = {version}") == ["pure", why]
    assert loaded(FAKE) == ["pure", f"built for version None, {speedups.VERSION} is needed"]


def test_the_version_is_the_same_in_both_languages() -> None:
    assert f"#define VERSION {speedups.VERSION}\n" in SOURCE.read_text()
    if speedups.native is not None:
        assert speedups.native.VERSION == speedups.VERSION


@pytest.mark.parametrize("value", ["1", "yes", "false", "00"])
def test_it_is_switched_off_by_the_environment(value: str) -> None:
    assert loaded(DQLITEWIRE_PURE=value) == ["pure", "switched off by DQLITEWIRE_PURE"]


@pytest.mark.parametrize("value", ["", "0"])
def test_it_is_not_switched_off_by_nothing(value: str) -> None:
    there = loaded(DQLITEWIRE_PURE=value)
    assert there == ["native", ""] or there[1] == "not built"


def test_what_is_missing_or_does_not_load_is_named() -> None:
    hide = (
        "import sys\n"
        "class Finder:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'dqlitewire._speedups': raise {error}\n"
        "sys.meta_path.insert(0, Finder)\n"
    )
    missing = "ModuleNotFoundError('no', name=name)"
    assert loaded(hide.format(error=missing)) == ["pure", "not built"]
    for error, why in (
        ("ImportError('undefined symbol: x')", "undefined symbol: x"),
        ("ModuleNotFoundError('No module named x', name='x')", "No module named x"),  # which it needs
        ("RuntimeError('no such luck')", "no such luck"),
        ("SystemError", "SystemError"),
    ):
        assert loaded(hide.format(error=error)) == ["pure", f"not loaded: {why}"]


def test_a_module_that_lacks_what_it_should_have_is_not_used() -> None:
    right = f"{FAKE}fake.VERSION = {speedups.VERSION}\n"
    assert loaded(right) == ["pure", "without read_rows, read_part, write_rows, write_params, alike"]
    right += "fake.read_rows = fake.read_part = fake.write_rows = fake.write_params = fake.alike = len\n"
    assert "set_kinds" in loaded(right)[1]
    assert loaded(f"{right}fake.set_kinds = isinstance")[1].startswith("not loaded: isinstance()")


def test_switching() -> None:
    with checks.native(False):
        assert (speedups.name, speedups.read_rows, speedups.write_rows, speedups.write_params) == (
            "pure",
            None,
            None,
            None,
        )
        assert speedups.why in ("switched off", "not built", "switched off by DQLITEWIRE_PURE")
        with checks.native(True):
            assert (speedups.name == "native") is (speedups.native is not None)
            assert (speedups.why == "") is (speedups.native is not None)
        assert speedups.name == "pure"
