"""The table of commands: what registering one takes, what each may import, and how each says it can end."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dqlitewire
import dqlitewire.cli as cli
from dqlitewire.cli.app import COMMANDS
from dqlitewire.cli.exits import Exit, ProbeExit
from tests.traffic.command import run

PACKAGE = Path(dqlitewire.__file__).parent
ROOT = PACKAGE.parent.parent
FOLDER = Path(cli.__file__).parent

GREET = '''
"""`dqlite-wire greet`: a command of a test."""

from __future__ import annotations

from typing import Annotated

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import emit
from dqlitewire.cli.sources import Inputs

EXITS = (Exit.OK, Exit.FAILED)


def command(inputs: Inputs, loud: Annotated[bool, typer.Option("--loud", help="Shout.")] = False) -> Exit:
    """Greet the sources."""
    for name in inputs.names:
        emit(f"hello {name}{'!' * loud}")
    return Exit.FAILED if loud else Exit.OK
'''


def test_a_command_is_one_file_and_one_entry(tmp_path: Path) -> None:
    copy = tmp_path / "dqlitewire"
    shutil.copytree(PACKAGE, copy)
    (copy / "cli" / "greet.py").write_text(GREET)
    app = copy / "cli" / "app.py"
    text = app.read_text()
    app.write_text(text.replace('"serve")', '"serve", "greet")'))
    assert app.read_text() != text

    def ran(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "dqlitewire.cli", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "80"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    code, shown = ran("--help")
    assert (code, "  greet    Greet the sources.\n" in shown) == (0, True)
    code, shown = ran("greet", "--help")
    assert code == 0
    for told in ("--loud", "Shout.", "--requests FILE", "Exit code: 0 all well; 2 wrong use; 5 the peer"):
        assert told in shown
    assert ran("greet", "a\x1b", "b") == (0, "hello a?\nhello b\n")
    assert ran("greet", "--loud") == (5, "hello -!\n")


def test_no_command_imports_another() -> None:
    for name in COMMANDS:
        for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom):
                found = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                assert not found & {f"dqlitewire.cli.{other}" for other in (*COMMANDS, "app")}, name


def test_every_command_says_how_it_ends() -> None:
    for name in COMMANDS:
        shown = " ".join(run(name, "--help").out.partition("Exit code: ")[2].split())
        codes = [int(code) for code in re.findall(r"(?:^|; )(\d+) ", shown)]
        assert codes == sorted(codes)
        assert {Exit.USAGE, Exit.INPUT, Exit.INTERRUPTED} <= set(codes)


def test_the_docs_say_what_exit_codes_mean() -> None:
    section = (ROOT / "docs" / "traffic.md").read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", section, re.MULTILINE)
    assert [int(code) for code, _ in rows] == sorted({*Exit, *ProbeExit})
    for code, words in rows:
        for table in (Exit, ProbeExit):
            said = [member.words for member in table if member == int(code)]
            assert all(word in words for word in said), code


@pytest.mark.parametrize("columns", [80, 132])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_terminal(command: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = run(*([command] if command else []), "--help").out
    assert max(map(len, shown.splitlines())) <= columns
    assert "..." not in shown.replace("[SOURCE]...", "").replace("{WHAT}...", "").replace("[ARGS]...", "")
