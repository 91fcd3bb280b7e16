"""docs/reference/commands.md has every command, and shows what it prints."""

from __future__ import annotations

import re

from dqlitewire.cli.app import COMMANDS
from tests.docs.blocks import blocks
from tools.drawn.commands import ABOUT, PAGE
from tools.redraw import drawn, stale


def test_the_page_is_what_commands_print() -> None:
    assert stale("commands") == {}


def test_every_command_has_help_and_an_example() -> None:
    assert list(ABOUT) == list(COMMANDS)
    text = drawn("commands")[PAGE]
    assert re.findall(r"^## `(\w+)`$", text, re.MULTILINE) == list(COMMANDS)
    typed = [command for block in blocks(PAGE, "console") for command, _ in block.steps()]
    for name in COMMANDS:
        assert f"dqlite-wire {name} --help" in typed
        assert sum(command.startswith(f"dqlite-wire {name} ") for command in typed) >= 2 or name == "serve"
    assert len(typed) == len(set(typed))


def test_nothing_differs_from_run_to_run() -> None:
    text = drawn("commands")[PAGE]
    assert set(re.findall(r"[\d.]+ ms\b", text)) <= {"0.20 ms"}
    own = set(re.findall(r"127\.0\.0\.1:(\d+)", text))
    assert own <= {"9001", "9002", "9101", "45293"}, "a port of neither a recording nor a help"
    assert max(map(len, text.splitlines())) <= 200
