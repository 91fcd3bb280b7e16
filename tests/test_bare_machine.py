"""A machine that lacks what some proofs need: they skip and leave nothing open behind them.

A socket or process that a skipped test has left open is reported, as an error, in whichever test runs when
it is collected; so the runs below must end with skipped tests and nothing else.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NEEDY = [
    "tests/traffic/sources/test_tcpdump.py",
    "tests/real",
    "tests/downstream",
    "tests/testing/test_clients.py",
]


@pytest.mark.parametrize(
    ("lacking", "run"),
    [
        ({"PATH": os.devnull}, NEEDY[:1]),  # no tcpdump, no tshark
        ({"DQLITE_NODES": os.devnull, "DQLITE_CLIENTS": os.devnull}, NEEDY),
    ],
    ids=["no tcpdump", "no servers and no clients"],
)
def test_what_is_missing_is_skipped(lacking: dict[str, str], run: list[str]) -> None:
    environment = {**os.environ, **lacking}
    environment.pop("CI", None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "real or downstream", *run],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    counts = dict(re.findall(r"(?:^|\s)(\d+) (\w+)", done.stdout.splitlines()[-1]))
    assert "skipped" in counts.values(), done.stdout[-500:]
    assert not {"error", "errors", "failed"} & set(counts.values())
