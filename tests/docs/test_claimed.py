"""Blocks that are no session: what is typed to install, a declaration, a line of parts, lines of a format.

Of docs/installing.md, docs/explanation/architecture.md, docs/explanation/performance.md,
docs/reference/transcript.md, docs/tutorial.md and README.md.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import dqlitewire
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.formats import open_source
from tests import json_output
from tests.docs.blocks import ROOT, blocks
from tests.traffic.command import run

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
RUN = re.compile(r"\bpython -m ([\w.]+)")


def typed(page: str, language: str) -> list[list[str]]:
    """The words of each line that is typed."""
    lines = "".join(block.text for block in blocks(page, language)).splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def test_what_is_typed_to_install_is_there() -> None:
    """Each target, module and extra exists; installing itself is what `make dist` tries."""
    lines = [
        *typed("README.md", "bash"),
        *typed("docs/installing.md", "bash"),
    ]
    lines += typed("docs/tutorial.md", "bash")
    environment = ""
    lines += typed("docs/explanation/performance.md", "indented")
    for words in lines:
        command = [word for word in words if not re.fullmatch(r"[A-Z_]+=\S*", word)]
        match command:
            case ["make", *targets]:
                assert set(targets) <= TARGETS, words
            case ["python", "-m", module, *_]:
                assert (ROOT / module / "__main__.py").is_file(), words
            case ["python3", "-m", "venv", folder]:
                environment = folder
            case [".", activate]:
                assert activate == f"{environment}/bin/activate"
            case ["cd", folder]:
                assert folder == environment
            case ["dqlite-wire", "--version"]:
                pass
            case ["pip", "wheel", "--no-deps", "-w", "dist", "."]:
                pass
            case ["pip", "install", *rest]:
                for extras in re.findall(r"\[([\w,]+)\]", " ".join(rest)):
                    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"]), words
                for name in re.findall(r"dqlite_wire-([\d.]+)-py3", " ".join(rest)):
                    assert name == dqlitewire.__version__
            case _:
                raise AssertionError(f"what is {words}?")
    assert len(lines) >= 10


def test_the_extra_for_the_site_brings_what_public_modules_import() -> None:
    """`make docs` imports all of them in an environment that has this extra and no other."""
    needed = set()
    for path in (ROOT / "src" / "dqlitewire").rglob("*.py"):
        needed |= set(re.findall(r"install '(\w+)', no extra brings it", path.read_text("utf-8")))
    brought = {re.split(r"[\[>=]", line)[0] for line in PROJECT["optional-dependencies"]["docs"]}
    assert needed
    assert needed <= brought


def test_the_version_as_shown() -> None:
    (block,) = blocks("docs/installing.md", "console")
    (native, shown), (pure, without) = block.steps()
    assert pure == f"DQLITEWIRE_PURE=1 {native}"
    printed = run(*shlex.split(native)[1:]).out
    first, rows = printed.splitlines()
    assert first == shown.splitlines()[0] == without.splitlines()[0]
    reason = rows.removeprefix("rows: pure, ")
    assert rows == shown.splitlines()[1] or f"| `{reason.partition(':')[0]}" in block.page.read_text()
    assert without.splitlines()[1] == "rows: pure, switched off by DQLITEWIRE_PURE"


def test_the_declaration_is_that_of_the_package() -> None:
    (block,) = blocks("docs/explanation/architecture.md", "python")
    source = (Path(dqlitewire.__file__).parent / "messages" / "responses.py").read_text()
    lines = [line.strip().removesuffix('"""') for line in block.text.splitlines() if line]
    declared = source[source.index(lines[0]) :].partition("@property")[0]
    assert [line for line in lines if line not in declared] == []
    assert declared.count(": int =") == sum(": int =" in line for line in lines)


def test_the_line_of_the_parts_names_modules() -> None:
    (block,) = blocks("docs/explanation/architecture.md", "")
    package = Path(dqlitewire.__file__).parent
    named = [name for name in re.findall(r"\w+", block.text) if name not in WORDS]
    assert len(named) >= 5
    for name in named:
        assert (package / f"{name}.py").is_file() or (package / name).is_dir(), name


WORDS = {"bytes", "message", "event", "exchange", "view"}  # what passes between the parts


def test_the_lines_of_a_transcript(tmp_path: Path) -> None:
    header, lines, part = blocks("docs/reference/transcript.md", "json")
    check = json_output.validator("transcript")
    for block in (header, lines, part):
        for line in block.text.splitlines():
            check.validate(json.loads(line))
    whole = tmp_path / "whole.dqt"
    whole.write_text(header.text + lines.text)
    shown = [item.type for item in items(open_source(whole.read_bytes()))]
    assert [name for name in shown if name in ("HANDSHAKE", "LEADER", "FAULT")] == [
        *("HANDSHAKE", "LEADER", "FAULT", "LEADER"),
    ]
    later = tmp_path / "later.dqt"
    later.write_text(part.text)
    assert [item.type for item in items(open_source(later.read_bytes()))] == ["GAP"]
