"""The examples run as their heads say and end well; `make demo` shows one of them."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from dqlitewire.testing import DqliteServer

EXAMPLES = Path(__file__).parent.parent / "examples"
CAPTURES = Path(__file__).parent / "captures"


def run(name: str, *arguments: str) -> list[str]:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("asyncio_client.py", []),
        ("blocking_client.py", ["127.0.0.1:1", "db"]),
        ("failover.py", ["db", "many", "127.0.0.1:1"]),
        ("decode_recorded.py", ["no-such-recording"]),
    ],
)
def test_usage(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    monkeypatch.syspath_prepend(str(EXAMPLES))
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert f"python examples/{name}" in str(stop.value.code)  # which Python prints to standard error


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


def test_a_reader_that_has_seen_enough() -> None:
    """As `head` has: no example ends with a traceback of its own making, whatever is still to be printed."""
    with DqliteServer() as server:
        arguments = {
            "asyncio_client.py": [server.address, "enough", "SELECT 1"],
            "blocking_client.py": [server.address, "enough", "SELECT 1"],
            "decode_recorded.py": [],
            "demo.py": [],
            "failover.py": ["enough", "1", server.address],
        }
        assert set(arguments) == {path.name for path in EXAMPLES.glob("*.py")}
        for name, given in arguments.items():
            reading, writing = os.pipe()
            os.close(reading)
            command = [sys.executable, str(EXAMPLES / name), *given]
            with os.fdopen(writing, "wb") as out:
                done = subprocess.run(command, check=False, stdout=out, stderr=subprocess.PIPE, timeout=60)
            assert (done.returncode, done.stderr) == (0, b""), name
