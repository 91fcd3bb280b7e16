"""A session of pytest in a process of its own, for what fixtures and markers do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run_pytest(folder: Path) -> str:
    """Run the tests of a folder, and return what the session prints."""
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=folder,
    )
    return finished.stdout
