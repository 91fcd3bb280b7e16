"""The recipe of docs/traffic.md for abstract unix sockets, run as it stands there."""

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


@pytest.fixture(autouse=True)
def _socat_is_there() -> None:
    require("" if shutil.which("socat") else "socat is not installed")


def recipe() -> list[str]:
    section = (ROOT / "docs" / "traffic.md").read_text().partition("### Abstract unix sockets")[2]
    (block, *_) = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    return [line.removeprefix("$ ") for line in block.splitlines()]


@pytest.fixture
def names() -> Iterator[tuple[str, str]]:
    """The server's name, and the one in front of it; both new."""
    number = f"{os.getpid()}-{next(_numbers)}"
    with DqliteServer(unix=f"@dqlite-test-{number}"):
        yield f"dqlite-test-{number}", f"dqlite-tap-{number}"


def listens(name: str) -> bool:
    return any(line.endswith(f"@{name}") for line in Path("/proc/net/unix").read_text().splitlines())


def test_the_recipe_as_it_stands(names: tuple[str, str], tmp_path: Path) -> None:
    server, tap = names
    shown: list[str] = []
    running: list[subprocess.Popen[str]] = []
    for line in recipe():
        command = re.sub(r"\bNAME\b", server, re.sub(r"(?<=[:@])tap\b", tap, line)).rstrip()
        command = re.sub(r"^dqlite-wire\b", " ".join(COMMAND), command)
        started = subprocess.Popen(
            ["bash", "-c", command.removesuffix("&")],
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        running.append(started)
        deadline = time.monotonic() + 20
        while command.endswith("&") and not listens(tap):
            assert time.monotonic() < deadline
            assert started.poll() is None
            time.sleep(0.01)
        if not command.endswith("&"):
            shown.append(started.communicate(timeout=30)[0])
            assert started.returncode == 0, shown[-1]
    for process in running:
        process.communicate(timeout=30)  # socat too has ended with its connection
        assert process.returncode == 0
    known, _, probed, decoded = shown
    assert f"@{server}" in known.splitlines()
    assert "healthy" in probed
    lines = decoded.splitlines()
    types = [line.split()[2] for line in lines]
    assert types[:3] == ["HANDSHAKE", "LEADER", "LEADER"]
    assert {"CLUSTER", "SERVERS", "DESCRIBE", "METADATA"} <= set(types)
    assert not {"GARBAGE", "INCOMPLETE", "UNANSWERED"} & set(types)
