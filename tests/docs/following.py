"""Somebody who follows a page: types its commands, saves its files, and sees what stands under each command.

Commands of `dqlite-wire` that run until they are stopped (`serve`, `proxy`) run beside the others: where the
page starts another one at the same place, the one before is stopped first. Places of the page, such as
`127.0.0.1:9001`, are mapped to free ones. All else is typed into a shell, and must show what the page shows,
but for times, ports and how wide the columns are that hold them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

from tests.docs.blocks import ROOT, Block, blocks
from tests.docs.running import as_compared, replaced
from tests.real.nodes import free_port
from tests.traffic.command import run

COLUMNS = "80"
SAVED = re.compile(r"`([\w-]+\.(?:py|sql|toml))`[^`\n]*:\s*$")
RUNS_ON = ("serve", "proxy")
# what is said on standard error -> the exit code
ENDS = {re.compile(r"^(?:statement \d+: )?SQLITE_"): 5, re.compile(r": redacted: "): 3}
# pytest inside of the suite: with the plugin that comes with the package, and no other of this environment
QUIETLY = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_ADDOPTS": "-p dqlitewire.testing.pytest_plugin -p no:cacheprovider",
}


def compared(text: str) -> str:
    """Return a text without what differs from run to run, and without the width of what stood there."""
    text = re.sub(r"\b\d+\.\d{6}\b", "TIME", text)
    text = re.sub(r"\b[0-9a-f]{16}\b", "ID", as_compared(text))
    text = re.sub(r"\b\d+\.\d+s\b", "TIME", text)
    return re.sub(r" {2,}", "  ", text.replace("connection 1: 127.0.0.1:PORT", "connection 1: HERE"))


def ends(shown: str) -> int:
    """Return the exit code of a command that shows this."""
    said = [
        line.removeprefix("dqlite-wire: ") for line in shown.splitlines() if line.startswith("dqlite-wire: ")
    ]
    return next((code for sign, code in ENDS.items() for line in said if sign.search(line)), 0)


class Reader:
    """Somebody who follows a page.

    Args:
        folder: where the commands are typed.
        places: text of the page -> text here; addresses of `serve` and `proxy` are added as they start.
    """

    def __init__(self, folder: Path, places: dict[str, str] | None = None) -> None:
        self.folder, self.places = folder, dict(places or {})
        self.running: dict[str, subprocess.Popen[str]] = {}  # by where it listens on the page
        self.typed: list[str] = []

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        for place in list(self.running):
            code = self.stop(place)
            assert failed or code == 0, place

    def follow(self, page: str, leaves_out: str = "$ nothing") -> None:
        """Follow all of a page.

        Args:
            page: its name from the root of the project on.
            leaves_out: how a session begins that is left out.
        """
        lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
        for block in blocks(page):
            if block.text.startswith(leaves_out):
                continue
            if block.language == "console":
                self.session(block)
            elif saved := SAVED.search("\n".join(lines[: block.line - 1]).rstrip()):
                (self.folder / saved[1]).write_text(self.here(block.text), encoding="utf-8")

    def session(self, block: Block) -> None:
        """Type the commands of a block."""
        for command, shown in block.steps():
            self.type(command, shown, block)

    def here(self, text: str) -> str:
        """What stands on the page, with the places of this machine."""
        return replaced(text, self.places)

    def type(self, command: str, shown: str, block: Block) -> None:
        """Type a command of a block, and compare what it shows."""
        self.typed.append(command)
        words = shlex.split(command, comments=True)
        if words[0] == "dqlite-wire" and words[1] in RUNS_ON:
            found = self.start(words)
            code = 0
        elif words[0] == "dqlite-wire" and not re.search(r" [|<>] ", command):
            code, found = in_this_process(shlex.split(self.here(command), comments=True)[1:], self.folder)
        else:
            code, found = self.in_a_shell(command)
        assert code == ends(shown), (block.place, command, found)
        found = replaced(found, {here: there for there, here in self.places.items()})
        assert compared(found) == compared(shown), (block.place, command, found)

    def start(self, words: list[str]) -> str:
        """Start what runs until it is stopped; return its first line."""
        place = next((word.partition("=")[0] for word in words[2:] if "=" in word), "127.0.0.1:9001")
        assert self.stop(place) == 0, place
        self.places[place] = f"127.0.0.1:{free_port()}"
        here = [self.here(word) for word in words[1:]]
        if words[1] == "serve":
            here += ["--port", self.places[place].rpartition(":")[2]]
        self.running[place] = process = subprocess.Popen(
            [sys.executable, "-m", "dqlitewire.cli", *here],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        return process.stdout.readline()

    def stop(self, place: str) -> int:
        """Press Ctrl-C; return the exit code."""
        process = self.running.pop(place, None)
        if process is None:
            return 0
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        return process.returncode

    def in_a_shell(self, command: str) -> tuple[int, str]:
        """Run what is no command of ours alone; return its exit code and what it shows."""
        programs = {
            "dqlite-wire": f"{shlex.quote(sys.executable)} -m dqlitewire.cli",
            "python": sys.executable,
        }
        line = re.sub(
            r"(?<!\S)(dqlite-wire|python)(?= )", lambda found: programs[found[1]], self.here(command)
        )
        done = subprocess.run(
            line,
            shell=True,
            cwd=self.folder,
            env={**os.environ, "COLUMNS": COLUMNS, "PYTHONUNBUFFERED": "1", **QUIETLY},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout


def in_this_process(words: list[str], folder: Path) -> tuple[int, str]:
    """Run a command of ours; return its exit code and all that it shows, in the order in which it does."""
    with contextlib.chdir(folder), mock.patch.dict(os.environ, {"COLUMNS": COLUMNS}):
        done = run(*words, together=True)
    return done.code, done.out
