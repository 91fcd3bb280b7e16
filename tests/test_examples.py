"""The examples run as their heads say and end well; `make demo` shows one of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
CAPTURES = Path(__file__).parent / "captures"


def run(name: str, *arguments: str) -> list[str]:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()


# the other recordings hold what a client's decoder is right to refuse: rows that never come, an unknown
# version or type, text that is not UTF-8
@pytest.mark.parametrize("version", ["1.11.1", "1.18.1"])
@pytest.mark.parametrize("session", ["basics", "interrupt", "members", "multiframe"])
def test_decode_recorded(version: str, session: str) -> None:
    lines = run("decode_recorded.py", f"{version}-{session}-0")
    assert len(lines) > 10
    assert max(map(len, lines)) <= 80
    marks = [line[0] for line in lines[:-1] if line[0] in "<>"]
    assert lines[-1] == f"{len(marks)} frames decoded from {version}-{session}-0"
