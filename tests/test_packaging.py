"""What texts say about installing: the index has another project's package, and shells expand brackets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dqlitewire

ROOT = Path(__file__).resolve().parent.parent
TEXTS = sorted(
    path
    for folder, pattern in (
        (".", "*.md"),
        (".", "Makefile"),
        ("docs", "**/*.md"),
        ("examples", "*.py"),
        ("src", "**/*.py"),
        ("tools", "*"),
        ("bench", "*.py"),
    )
    for path in (ROOT / folder).glob(pattern)
    if path.is_file() and "__pycache__" not in path.parts
)
EXTRA = re.compile(r"\[(?:cli|testing)(?:,\w+)*\]")
INSTALL = re.compile(r"pip install +(?P<what>[^\n`]*)")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_extras_are_quoted(path: Path) -> None:
    for line in path.read_text().splitlines():
        for command in INSTALL.finditer(line):
            for extra in EXTRA.finditer(line, command.start("what")):
                before = line[command.start("what") : extra.start()]
                assert before.count("'") % 2 == 1 or before.count('"') % 2 == 1, line


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_sends_the_reader_to_the_other_package(path: Path) -> None:
    for command in INSTALL.finditer(path.read_text()):
        what = command["what"]
        if re.match(r"""['"]?dqlite-wire(?!\S* @ )""", what):
            assert path.name == "README.md", f"{path}: pip install {what}"


def test_the_readme_is_looked_at() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(INSTALL.findall(readme)) >= 4
    assert len(EXTRA.findall(readme)) >= 3


def test_the_wheel_that_the_readme_names_is_the_one_that_is_built() -> None:
    readme = (ROOT / "README.md").read_text()
    assert set(re.findall(r"dqlite_wire-([^-]+)-py3-none-any\.whl", readme)) == {dqlitewire.__version__}
