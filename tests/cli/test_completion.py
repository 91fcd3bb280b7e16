"""Completion in a real bash and zsh, on a terminal, as somebody presses Tab; nothing is written for it."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dqlitewire.cli.app import COMMANDS
from tests.cli.terminals import Text
from tests.real.fixtures import require
from tests.traffic.command import COMMAND, run

SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
PREPARE = {"bash": "", "zsh": "autoload -Uz compinit; compinit -u -D; "}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home, and beside it a folder with the command."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "dqlite-wire"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    script.chmod(0o755)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


class Shell:
    """A shell on a terminal: `typed` types and returns what was shown until words have appeared in order."""

    def __init__(self, name: str, home: Path) -> None:
        self.main, other = pty.openpty()
        environment = {
            "PATH": f"{home.parent / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HOME": str(home),
            "TERM": "dumb",
            "PS1": "$ ",
            "COLUMNS": "200",
        }
        self.process = subprocess.Popen(
            SHELLS[name],
            stdin=other,
            stdout=other,
            stderr=other,
            env=environment,
            cwd=home,
            start_new_session=True,
        )
        os.close(other)

    def typed(self, text: str, *until: str) -> str:
        os.write(self.main, text.encode())
        pieces, shown, end = Text(), "", time.monotonic() + 60
        awaited = re.compile(".*".join(map(re.escape, until)), re.DOTALL)
        while not awaited.search(shown) and time.monotonic() < end:
            if select.select([self.main], [], [], 1)[0]:
                shown += pieces.feed(os.read(self.main, 65536))
        assert awaited.search(shown), shown
        return shown

    def close(self) -> None:
        self.process.kill()
        self.process.wait(60)
        os.close(self.main)


@pytest.mark.parametrize("name", SHELLS)
def test_words_are_completed(name: str, home: Path) -> None:
    require("" if shutil.which(name) else f"{name} is not installed")
    shell = Shell(name, home)
    try:
        ready = f'{PREPARE[name]}eval "$(dqlite-wire --show-completion {name})"; echo rea""dy\n'
        shell.typed(ready, "ready", "$ ")  # and its prompt: it reads keys
        shell.typed("dqlite-wire expl\t", "explain")
        if name == "bash":  # which words are offered does not depend on the shell
            shell.typed("\x15dqlite-wire probe --time\t", "--timeout")
            shell.typed("\x15dqlite-wire serve --generation cow\t", "cowsql")
        (home / "trace-of-mine.pcap").touch()
        shell.typed("\x15dqlite-wire decode trace-o\t", "trace-of-mine.pcap")
    finally:
        shell.close()
    assert {path.name for path in home.iterdir()} <= {"trace-of-mine.pcap"}


def completed(*words: str) -> set[str]:
    """What bash is answered when the last of the words is completed."""
    environment = {
        **os.environ,
        "COMP_WORDS": "\n".join(("dqlite-wire", *words)),
        "COMP_CWORD": str(len(words)),
        "_DQLITE_WIRE_COMPLETE": "complete_bash",
    }
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=300, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_what_is_offered() -> None:
    assert completed("") >= set(COMMANDS)
    assert completed("s") == {word for word in COMMANDS if word.startswith("s")}
    assert completed("stats", "--sort", "p") == {"p50", "p95", "p99"}
    assert completed("--show-completion", "") == {"bash", "zsh", "fish"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_text_is_printed_and_no_file_is_written(
    shell: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(home))
    result = run("--show-completion", shell)
    assert (result.code, result.err) == (0, "")
    assert "_DQLITE_WIRE_COMPLETE=complete_" in result.out
    assert list(home.iterdir()) == []


def test_other_shells() -> None:
    result = run("--show-completion", "tcsh")
    assert (result.code, result.out) == (2, "")
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in result.err
