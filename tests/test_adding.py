"""What docs/architecture.md calls "how to add": done in a copy of the tree, where every tool works with it.

`Copy` holds a copy of `src` and `tests`. A test edits it as an author would, and runs a script in a process
of its own that imports nothing but the copy.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


class Copy:
    """A copy of the tree that may be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("src", "tests"):
            leave_out = shutil.ignore_patterns("__pycache__", "captures", "real")
            shutil.copytree(ROOT / name, folder / name, ignore=leave_out)

    def edit(self, path: str, behind: str, added: str) -> None:
        """Add text behind a text that stands there once."""
        file = self.folder / path
        text = file.read_text()
        assert text.count(behind) == 1, f"{path} has {text.count(behind)} times {behind!r}"
        file.write_text(text.replace(behind, behind + added))

    def write(self, path: str, text: str) -> None:
        """Make a new file."""
        (self.folder / path).write_text(text)

    def run(self, script: str) -> str:
        """Run a script against the copy, and nothing else of ours; return what it prints."""
        path = f"{self.folder / 'src'}:{self.folder}"
        done = subprocess.run(
            [sys.executable, "-X", "utf8", "-c", script],
            cwd=self.folder,
            env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    made = Copy(tmp_path / "tree")
    where = made.run("import dqlitewire; print(dqlitewire.__file__)")
    assert where.startswith(str(made.folder)), where
    return made


# ---------------------------------------------------------------- a value kind

KINDS = {
    "a float of four bytes": (6, 'Kind(ValueType.ADDED, "f4x", float),', "1.5", "1e300"),
    "an unsigned integer": (6, 'Kind(ValueType.ADDED, "Q", int),', "2**64 - 1", "-1"),
    "an integer of two bytes": (
        7,
        'Kind(ValueType.ADDED, "h6x", int, in_params=False),',
        "-(2**15)",
        "2**15",
    ),
    "another text": (12, 'Kind(ValueType.ADDED, TEXT, str, cap="max_text_value_size"),', "'text'", "5"),
    "another blob": (15, 'Kind(ValueType.ADDED, BLOB, bytes, cap="max_blob_size"),', "b'blob'", "'x'"),
}
EVERY_TOOL = """
from pathlib import Path
from dqlitewire import EncodeError, ValueType
from dqlitewire.types import decode_value, encode_value
from dqlitewire.values import allowed_codes
from tests.every_kind import check_decode_command, check_kind
check_kind({code})
check_decode_command([{code}, 3, {code}], Path("."))
data, kind = encode_value({good}, ValueType.ADDED)
assert kind is ValueType.ADDED and decode_value(data, kind)[0] == {good}
try:
    encode_value({bad}, ValueType.ADDED)
except EncodeError as error:
    print(error)
print(allowed_codes())
"""


@pytest.mark.parametrize("name", KINDS)
def test_a_value_kind_is_a_member_and_a_row_of_the_table(copy: Copy, name: str) -> None:
    code, row, good, bad = KINDS[name]
    copy.edit("src/dqlitewire/constants.py", "    BOOLEAN = 11\n", f"    ADDED = {code}\n")
    copy.edit(
        "src/dqlitewire/values.py", '    Kind(ValueType.BOOLEAN, "Q", bool, (bool,)),\n', f"    {row}\n"
    )
    error, allowed = copy.run(EVERY_TOOL.format(code=code, good=good, bad=bad)).splitlines()
    assert error.startswith("ADDED: got ")
    assert str(code) in allowed or f"1 to {code}" in allowed or f"to {code}" in allowed
