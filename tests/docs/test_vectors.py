"""docs/howto/vectors.md and vectors/README.md: what stands there is what happens."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dqlitewire.constants import RequestType, ResponseType
from tests.docs.blocks import ROOT, blocks
from tests.vectors.runner import ADAPTER, RUN, lines, run
from tests.vectors.test_adapters import by_type
from tests.wire_data import VECTORS, VECTORS_FOLDER

README = VECTORS_FOLDER / "README.md"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no JavaScript: node is not there")


@needs_node
def test_the_sessions_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "vectors").symlink_to(VECTORS_FOLDER)
    steps = [step for block in blocks("docs/howto/vectors.md", "console") for step in block.steps()]
    assert len(steps) == 4
    for command, shown in steps:
        done = subprocess.run(
            ["sh", "-c", re.sub(r"\bpython(?= )", f"'{sys.executable}'", command)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.stdout, done.stderr) == (shown, ""), command


def test_the_lines_of_the_readme() -> None:
    (asked,), answers = (
        [json.loads(line) for line in block.text.splitlines()] for block in blocks(README, "json")
    )
    assert asked in lines("--only", "requests/client")
    by_type()["CLIENT"].validate(answers[0]["message"])
    assert {answer["id"] for answer in answers} <= {line["id"] for line in lines("--only", "client")}


def test_the_table_of_options_and_exit_codes() -> None:
    text = README.read_text("utf-8")
    usage = run("--help").stdout
    told = set(re.findall(r"^\| `(--\w+)", text, re.MULTILINE))
    assert told == set(re.findall(r"^ +(--\w+)", usage, re.MULTILINE)) - {"--help"}
    source = RUN.read_text("utf-8")
    assert re.findall(r"^\| (\d+) \|", text, re.MULTILINE) == ["0", "1", "2", "3", "130"]
    assert "WRONG, USAGE, BROKEN, INTERRUPTED = 1, 2, 3, 130" in source


def test_the_table_of_fields_is_that_of_the_messages() -> None:
    """Every message of the table has the fields that its schema has."""
    rows = re.findall(
        r"^\| ([A-Z_]+(?:, [A-Z_]+)*)(?: \([^)]*\))? \| (.*) \|$", README.read_text("utf-8"), re.MULTILINE
    )
    told: dict[str, list[set[str]]] = {}
    for names, words in rows:
        for name in names.split(", "):
            told.setdefault(name, []).append(set(re.findall(r"`(\w+)`", words)))
    known = {*RequestType.__members__, *ResponseType.__members__, "HANDSHAKE"}
    assert set(told) == known
    for vector in VECTORS:
        assert any(set(vector.fields) <= fields for fields in told[vector.message]), vector


def test_the_numbers_of_the_readme() -> None:
    sizes = [len(vector.data) for vector in VECTORS]
    params = [len(vector.fields.get("params", ())) for vector in VECTORS]
    columns = [len(vector.fields.get("column_names", ())) for vector in VECTORS]
    assert max(params) == 256
    assert max(columns) == 33
    assert 3000 < max(sizes) <= 4000
    example = (VECTORS_FOLDER / "adapters" / "example.js").read_text("utf-8")
    assert len(example.splitlines()) == 23


def test_the_folder_works_outside_of_the_tree(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(VECTORS_FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        sys.executable,
        str(copy / "run.py"),
        "--only",
        "requests/client",
        sys.executable,
        str(ADAPTER),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert (done.stdout, done.returncode) == ("3 vectors: 3 passed\n", 0)


def test_each_file_of_the_folder_is_told() -> None:
    text = README.read_text("utf-8").replace("/`", "`")
    missing = [path.name for path in VECTORS_FOLDER.iterdir() if f"`{path.name}`" not in text]
    assert [name for name in missing if name not in ("README.md", "__pycache__")] == []
    assert ROOT / "vectors" == VECTORS_FOLDER
