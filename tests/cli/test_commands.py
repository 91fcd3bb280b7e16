"""The table of commands: what each may import, and how each says it can end."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

import dqlitewire
import dqlitewire.cli as cli
from dqlitewire.cli.app import COMMANDS, _group
from dqlitewire.cli.exits import Exit, ProbeExit
from tests.traffic.command import run

PACKAGE = Path(dqlitewire.__file__).parent
ROOT = PACKAGE.parent.parent
FOLDER = Path(cli.__file__).parent


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
    section = (
        (ROOT / "docs" / "guides" / "traffic.md")
        .read_text()
        .partition("## Exit codes")[2]
        .partition("\n## ")[0]
    )
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", section, re.MULTILINE)
    assert [int(code) for code, _ in rows] == sorted({*Exit, *ProbeExit})
    for code, words in rows:
        for table in (Exit, ProbeExit):
            said = [member.words for member in table if member == int(code)]
            assert all(word in words for word in said), code


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "dissector"])
def test_its_example_is_understood(command: str) -> None:
    """Each command that takes an argument shows one use of it, without options that it does not have."""
    shown = " ".join(run(command, "--help").out.partition("\nArguments:")[0].split())
    examples = re.findall(rf"(?:Examples?:|;) {command} (.+?)(?= Example|;|$)", shown)
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert _group().commands[command].make_context(command, words).params


@pytest.mark.parametrize("columns", [80, 132])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_terminal(command: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = run(*([command] if command else []), "--help").out
    assert max(map(len, shown.splitlines())) <= columns
    assert "..." not in re.sub(r"[A-Z\]}]\.\.\.", "", shown)  # [SOURCE]... and its like
    assert not re.search(r"list\[|<(?:str|path|int|float|text)>|\\", shown), "a type, and no name"


def test_every_option_says_what_it_is_for() -> None:
    for name in COMMANDS:
        for parameter in _group().commands[name].params:
            assert parameter.help, f"{name}: {parameter.name}"
            takes_value = not getattr(parameter, "is_flag", False)
            if takes_value and parameter.name != "format":  # whose words typer takes from its type
                assert re.fullmatch(r"(unix:)?[A-Z][A-Z:=0-9]*(\.[a-z]+)?|<.*>", parameter.metavar or ""), (
                    f"{name}: {parameter.name}"
                )
