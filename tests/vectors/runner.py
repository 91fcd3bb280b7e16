"""The runner of `vectors/`, and what its tests start with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.wire_data import VECTORS_FOLDER

__all__ = ["ADAPTER", "RUN", "lines", "run"]

RUN = VECTORS_FOLDER / "run.py"
ADAPTER = VECTORS_FOLDER / "adapters" / "dqlitewire_adapter.py"


def run(
    *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | str = os.sep
) -> subprocess.CompletedProcess[str]:
    """Run the runner, from another folder."""
    return subprocess.run(
        [sys.executable, str(RUN), *map(str, arguments)],
        cwd=cwd,
        env=dict(env) if env is not None else None,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def lines(*arguments: str) -> list[dict[str, Any]]:
    """The lines that an adapter is given."""
    return [json.loads(line) for line in run(*arguments, "--lines").stdout.splitlines()]
