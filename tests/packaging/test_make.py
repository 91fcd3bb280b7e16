"""Every target of the Makefile has all that it is made of, whichever Python is chosen; nothing is run."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.copies import ROOT

TARGETS = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
#: what `make test` hands down to those it starts
HANDED_DOWN = {"MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL", "PYTHON", "VENV", "DQLITEWIRE_PURE"}
CHOICES = {"none": [], "PYTHON": [f"PYTHON={sys.executable}"]}


@pytest.mark.parametrize("choice", CHOICES)
def test_every_target_can_be_planned(choice: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in HANDED_DOWN}
    assert len(TARGETS) > 10
    for target in TARGETS:
        command = ["make", "--dry-run", target, *CHOICES[choice]]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stderr) == (0, ""), target
