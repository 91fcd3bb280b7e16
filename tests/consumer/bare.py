"""What a user without extras is told: what needs one names it, in one line, and nothing else breaks.

python bare.py [native|pure]
"""

from __future__ import annotations

import subprocess
import sys

import layers


def told(extra: str, *words: str) -> None:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, timeout=60)
    last = (done.stderr.splitlines() or [""])[-1]
    assert done.returncode != 0, done.stdout
    assert f"extra '{extra}'" in last, done.stderr
    assert "Traceback" not in done.stderr or "-c" in words, done.stderr


def main(rows: str = "") -> None:
    layers.main(rows)
    told("cli", "-m", "dqlitewire", "--version")
    told("cli", "-m", "dqlitewire", "decode", "-")
    told("cli", "-m", "dqlitewire", "query", "127.0.0.1:9001", "db", "SELECT 1")
    told("testing", "-c", "from dqlitewire.testing import DqliteServer; DqliteServer().start()")


if __name__ == "__main__":
    main(*sys.argv[1:])
