"""Whoever copies a snippet of README or docs gets one that mypy takes in its strict mode.

`make check` shows the same snippets to pyright.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dqlitewire
from dqlitewire import ResponseType
from dqlitewire.messages import REGISTRY
from tools.snippets import BEYOND, PAGES, write

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path(dqlitewire.__file__).parent.parent

EVENTS = """
from typing import assert_type
from dqlitewire import messages
from dqlitewire.conversation import Answered, Rows
def check(answered: Answered, rows: Rows, {arguments}) -> None:
    anything: messages.Request = leader
    assert_type(answered.answer(anything), messages.Message)
"""


def typed_answers() -> str:
    """A module that says what each request is answered by, as the table of the order has it."""
    requests = [kind for (is_request, _), kind in sorted(REGISTRY.items()) if is_request]
    arguments = ", ".join(f"{kind.MSG_TYPE.name.lower()}: messages.{kind.__name__}" for kind in requests)
    lines = [EVENTS.format(arguments=arguments)]
    for kind in requests:
        answers = [REGISTRY[False, code].__name__ for code in kind.ANSWERS if code != ResponseType.FAILURE]
        (name,) = answers or ["Message"]
        event = "rows" if name == "RowsResponse" else "answered"
        lines.append(f"    assert_type({event}.answer({kind.MSG_TYPE.name.lower()}), messages.{name})\n")
    return "".join(lines)


def test_mypy_takes_all_snippets(tmp_path: Path) -> None:
    written = write(tmp_path)
    assert len(written) >= 13
    answers = tmp_path / "typed_answers.py"
    answers.write_text(typed_answers())
    assert answers.read_text().count("assert_type(") == 1 + sum(1 for asks, _ in REGISTRY if asks)
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "mypy",
                "--strict",
                "--cache-dir",
                str(ROOT / ".mypy_cache" / "snippets"),
            ),
            *("--config-file", os.devnull, "--python-version", "3.11", *map(str, [*written, answers])),
        ],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": f"{SOURCE}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"Success: no issues found in {len(written) + 1} source files\n"


def test_every_page_is_looked_at(tmp_path: Path) -> None:
    named = {path.stem.rpartition("_")[0] for path in write(tmp_path)}
    with_code = {page.stem.lower() for page in PAGES if "```python" in page.read_text()}
    assert named == with_code - set(BEYOND)
