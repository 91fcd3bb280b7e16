"""The recipes of docs/guides/traffic.md for unix sockets, run as they stand there."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dqlitewire.testing import DqliteServer
from tests.real.fixtures import require
from tests.traffic.command import COMMAND

ROOT = Path(__file__).parent.parent.parent.parent
_numbers = itertools.count(1)


def recipe(program: str) -> list[str]:
    section = (
        (ROOT / "docs" / "guides" / "traffic.md")
        .read_text()
        .partition("### Unix sockets\n")[2]
        .partition("\n### ")[0]
    )
    (block,) = (
        block for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL) if program in block
    )
    return [line.removeprefix("$ ") for line in block.splitlines()]


@pytest.fixture
def names() -> Iterator[tuple[str, str]]:
    """The server's name, and the one in front of it; both new."""
    number = f"{os.getpid()}-{next(_numbers)}"
    with DqliteServer(unix=f"@dqlite-test-{number}"):
        yield f"dqlite-test-{number}", f"dqlite-tap-{number}"


def listens(name: str) -> bool:
    return any(line.endswith(f"@{name}") for line in Path("/proc/net/unix").read_text().splitlines())


@pytest.mark.parametrize("program", ["dqlite-wire proxy", "socat"])
def test_the_recipe_as_it_stands(program: str, names: tuple[str, str], tmp_path: Path) -> None:
    if program == "socat":
        require("" if shutil.which(program) else "socat is not installed")
    server, tap = names
    shown: list[str] = []
    running: list[subprocess.Popen[str]] = []
    for line in recipe(program):
        line = line.partition("  #")[0].rstrip()
        command = re.sub(r"\bNAME\b", server, re.sub(r"(?<=[:@])tap\b", tap, line)).rstrip()
        command = re.sub(r"^dqlite-wire\b", " ".join(COMMAND), command)
        started = subprocess.Popen(
            ["bash", "-c", f"exec {command.removesuffix('&')}" if command.endswith("&") else command],
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        running.append(started)
        deadline = time.monotonic() + 60
        while command.endswith("&") and not listens(tap):
            assert time.monotonic() < deadline
            assert started.poll() is None
            time.sleep(0.01)
        if not command.endswith("&"):
            shown.append(started.communicate(timeout=60)[0])
            assert started.returncode == 0, shown[-1]
    for process in running:
        if program != "socat" and process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)  # socat has ended with its connection
        assert process.returncode == 0
    *known, probed, decoded = shown
    assert program == "socat" or f"@{server}" in known[0].splitlines()
    assert "healthy" in probed
    lines = decoded.splitlines()
    types = [
        line.split(" > " if " > " in line else " < ")[1].split()[0] for line in lines if line[:2] != "--"
    ]
    assert types[:3] == ["HANDSHAKE", "LEADER", "LEADER"]
    assert {"CLUSTER", "SERVERS", "DESCRIBE", "METADATA"} <= set(types)
    assert not {"GARBAGE", "INCOMPLETE", "UNANSWERED"} & set(types)
