"""What is built, and what texts say about installing.

Wheel and sdist hold each file that they should and no other, whatever lies about in the tree, and a wheel's
tag tells whether the native module is inside. The index has another project's package, and shells expand
brackets.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

import dqlitewire
from tests.fuzz import sanitize
from tests.native.compiler import needed
from tests.profiles import DEEP
from tools.release import inside

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


def test_extras_are_quoted() -> None:
    for path in TEXTS:
        for command in INSTALL.finditer(path.read_text()):
            what = command["what"]
            for extra in EXTRA.finditer(what):
                before = what[: extra.start()]
                assert before.count("'") % 2 == 1 or before.count('"') % 2 == 1, f"{path}: {command[0]}"


def test_nothing_sends_the_reader_to_the_other_package() -> None:
    for path in TEXTS:
        for command in INSTALL.finditer(path.read_text()):
            what = command["what"]
            if re.match(r"""['"]?dqlite-wire(?!\S* @ )""", what):
                assert path.name == "installing.md", f"{path}: pip install {what}"


INSTALLING = (ROOT / "docs" / "installing.md").read_text()


def test_the_page_is_looked_at() -> None:
    assert len(INSTALL.findall(INSTALLING)) >= 8
    assert len(EXTRA.findall(INSTALLING)) >= 4


def test_the_wheel_that_the_page_names_is_the_one_that_is_built() -> None:
    named = re.findall(r"dqlite_wire-([^-]+)-py3-none-any\.whl", INSTALLING)
    assert set(named) == {dqlitewire.__version__}


# ---------------------------------------------------------------- what is built

MODULE = "dqlitewire/_speedups.abi3.so"
BUILT = "import setuptools.build_meta as b, sys; print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"


class Tree:
    """A copy of all that builds need, with what other builds and editors leave behind in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for path in tracked():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / path)
        for name in ("_speedups.abi3.so", "left.pyc", "cli/__pycache__/left.pyc"):
            left = folder / "src" / "dqlitewire" / name
            left.parent.mkdir(exist_ok=True)
            left.write_bytes(b"left behind")
        left = folder / "build" / "lib" / "dqlitewire" / "left.py"
        left.parent.mkdir(parents=True)
        left.touch()

    def build(self, kind: str, **environment: str) -> Path:
        """Build "wheel", "editable" or "sdist"; return its path."""
        made = self.folder.parent / "made"
        done = subprocess.run(
            [sys.executable, "-c", BUILT, kind, made],
            cwd=self.folder,
            env={**os.environ, "DQLITEWIRE_PURE": "", **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return made / done.stdout.splitlines()[-1]


def tracked() -> list[str]:
    """Return the files of this tree that git keeps, or would: what lies about besides is in .gitignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-c", "-o", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("no checkout of git")
    return [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("packaging") / "tree")


def of_the_package() -> set[str]:
    """Return what a wheel without the module has of the package."""
    inside = {path.removeprefix("src/") for path in tracked() if path.startswith("src/")}
    return inside - {"dqlitewire/_speedups.c"}


def package_files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def tag(wheel: Path) -> tuple[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/WHEEL"))
        lines = dict(line.split(": ", 1) for line in archive.read(name).decode().splitlines() if line)
    assert wheel.name.endswith(f"-{lines['Tag']}.whl")
    return lines["Tag"], lines["Root-Is-Purelib"]


@pytest.mark.parametrize(
    "environment", [{"DQLITEWIRE_PURE": "1"}, {"CC": os.devnull}], ids=["switched off", "no compiler"]
)
def test_a_wheel_without_the_module_is_for_every_platform(tree: Tree, environment: dict[str, str]) -> None:
    wheel = tree.build("wheel", **environment)
    assert tag(wheel) == ("py3-none-any", "true")
    assert package_files(wheel) == of_the_package()
    assert {"dqlitewire/dissector/runtime.lua", "dqlitewire/py.typed"} <= package_files(wheel)
    with zipfile.ZipFile(wheel) as archive:
        (about,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        assert inside.metadata(archive.read(about)) == []


def test_a_wheel_with_the_module_is_for_the_stable_abi(tree: Tree) -> None:
    """And its module names no folder of this machine, not even where Python asks for its own as an rpath."""
    needed("Python.h")
    wheel = tree.build("wheel", LDSHARED="gcc -shared -Wl,-rpath,/home/somebody/lib")
    tags, is_pure = tag(wheel)
    assert tags.startswith("cp311-abi3-")
    assert is_pure == "false"
    assert package_files(wheel) == of_the_package() | {MODULE}
    with zipfile.ZipFile(wheel) as archive:
        assert inside.linked(archive.read(MODULE)) == []


def test_a_module_that_cannot_be_built_anew_does_not_stay(tree: Tree) -> None:
    left = tree.folder / "src" / MODULE
    left.write_bytes(b"left behind")
    tree.build("editable", CC=os.devnull)
    assert not left.exists()


def test_the_sdist_has_the_whole_tree(tree: Tree) -> None:
    with tarfile.open(tree.build("sdist")) as archive:
        inside = {member.name.partition("/")[2] for member in archive if member.isfile()}
    of_the_build = {name for name in inside if name.startswith("src/dqlite_wire.egg-info/")}
    assert inside - of_the_build == {*tracked(), "PKG-INFO", "setup.cfg"}


# ---------------------------------------------------------------- the native module is the one that fits


@pytest.fixture
def source(tmp_path: Path) -> Path:
    copied = tmp_path / "dqlitewire"
    shutil.copytree(ROOT / "src" / "dqlitewire", copied, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    return copied


def in_use(source: Path, **environment: str) -> str:
    """Return what reads rows in a process that imports a copy of the package, as the command line says it."""
    done = subprocess.run(
        [sys.executable, "-m", "dqlitewire", "--version"],
        env={**os.environ, "DQLITEWIRE_PURE": "", "PYTHONPATH": str(source.parent), **environment},
        cwd=source.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    version, rows = done.stdout.splitlines()
    assert version == f"dqlite-wire {dqlitewire.__version__}"
    return rows


def put_in(source: Path, text: str) -> None:
    """Build the native module from a changed text into a copy of the package."""
    needed("Python.h")
    changed = source.with_name("changed.c")
    changed.write_text(text)
    sanitize.compiled(changed, source / "_speedups.abi3.so", "-Werror")


def versions() -> Iterator[tuple[str, str]]:
    """Return texts of the C file that are of another version, with what the loader says of each."""
    text = (ROOT / "src" / "dqlitewire" / "_speedups.c").read_text()
    version = re.search(r"^#define VERSION (\d+)$", text, re.MULTILINE)
    assert version is not None
    now = int(version[1])
    for other in (now - 1, now + 1):
        changed = text.replace(version[0], f"#define VERSION {other}")
        yield changed, f"rows: pure, built for version {other}, {now} is needed"
    yield text.replace('"VERSION"', '"VERSIONS"'), f"rows: pure, built for version None, {now} is needed"


def test_a_module_of_another_version_is_not_used(source: Path) -> None:
    for text, said in islice(
        versions(), None if DEEP else 1
    ):  # test_loader.py has all of them without a compiler
        put_in(source, text)
        assert in_use(source) == said


def test_the_module_is_switched_off_at_run_time(source: Path) -> None:
    put_in(source, (source / "_speedups.c").read_text())
    assert in_use(source, DQLITEWIRE_PURE="0") == "rows: native"
    assert in_use(source, DQLITEWIRE_PURE="1") == "rows: pure, switched off by DQLITEWIRE_PURE"


def test_the_command_says_why_rows_are_read_in_python(source: Path) -> None:
    assert in_use(source) == "rows: pure, not built"
    (source / "_speedups.abi3.so").write_bytes(b"\x7fELF")
    assert in_use(source).startswith("rows: pure, not loaded: ")
