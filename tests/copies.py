"""A copy of the tree that a test changes as an author would, and processes that see nothing but the copy."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WITHOUT = shutil.ignore_patterns("*.pyc.*")  # which another process is about to rename


class Copy:
    """A copy of the folders that tests and tools read, with what is compiled of them.

    Args:
        folder: where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("bench", "docs", "examples", "src", "tests", "tools", "vectors"):
            shutil.copytree(ROOT / name, folder / name, ignore=WITHOUT)
        for file in (*ROOT.glob("*.md"), ROOT / "pyproject.toml", ROOT / "Makefile"):
            shutil.copy(file, folder)
        self.environment = {
            **os.environ,
            "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder}",
            "COLUMNS": "80",
            "NO_COLOR": "1",
        }
        where = self.python("-c", "import dqlitewire; print(dqlitewire.__file__)")
        assert where.startswith(str(folder)), where

    def edit(self, path: str, behind: str, added: str) -> None:
        """Add text behind a text that a file has once."""
        file = self.folder / path
        text = file.read_text()
        assert text.count(behind) == 1, f"{path} has {text.count(behind)} times {behind!r}"
        file.write_text(text.replace(behind, behind + added))

    def append(self, path: str, added: str) -> None:
        """Add text at the end of a file, which may be new."""
        with (self.folder / path).open("a") as file:
            file.write(added)

    def python(self, *arguments: str, code: int = 0) -> str:
        """Run Python in the copy; return what it prints, after a look at its exit code."""
        return self._run([sys.executable, "-X", "utf8", *arguments], code)

    def shell(self, command: str, code: int = 0) -> str:
        """Run a command of a page, whose `python` is this one, in the copy; return what it prints."""
        python = f"{shlex.quote(sys.executable)} -X utf8"
        return self._run(["sh", "-c", re.sub(r"\bpython(?= )", lambda _: python, command)], code)

    def _run(self, command: list[str], code: int) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout
