"""Install the files of a release into environments of their own, and do there what users do.

The programs are those of `tests/consumer`: `bare.py` without extras, `extras.py` with them. They are copied
out of the tree, also for mypy and pyright, which run in our environment and look at the installed package.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.release.making import ROOT, Made, run

__all__ = ["CONSUMER", "Python", "check_types", "pythons", "try_out", "try_wheels"]

CONSUMER = ROOT / "tests" / "consumer"
EXTRAS = "cli,testing"


class Python:
    """A CPython of this machine.

    Args:
        version: such as "3.11.7".
        path: of the interpreter.
    """

    def __init__(self, version: str, path: Path) -> None:
        self.version = version
        self.path = path
        asked = (
            "import sysconfig as s; print(s.get_path('include')); print(s.get_config_var('Py_GIL_DISABLED'))"
        )
        include, without_gil = run(path, "-I", "-c", asked).splitlines()
        self.builds = Path(include, "Python.h").exists() and without_gil != "1"

    def rows(self, kind: str) -> str:
        """Return what must read rows after an installation of the sdist, the pure or the native wheel."""
        return {"native": "native", "pure": "pure"}.get(kind) or ("native" if self.builds else "pure")

    @contextmanager
    def environment(self) -> Iterator[Path]:
        """Make an environment with nothing in it, in a folder that is gone afterwards; give its Python."""
        with tempfile.TemporaryDirectory() as folder:
            run(self.path, "-m", "venv", "--without-pip", folder)
            yield Path(folder, "bin", "python")


def pythons() -> list[Python]:
    """Return every CPython there is, oldest first, those of tools/native-pythons too."""
    lines = run("tools/pythons") + run("tools/native-pythons", sys.executable)
    found = {path: version for version, path in re.findall(r"^(\d+\.\d+\.\d+) (/\S+)$", lines, re.MULTILINE)}
    ordered = sorted(found, key=lambda path: [*map(int, found[path].split("."))])
    return [Python(found[path], Path(path)) for path in ordered]


def install(python: Path, what: Path, extras: str = "") -> None:
    """Install a file into an environment, with what its extras need, or else with nothing from anywhere.

    An sdist needs setuptools to be built with, so it is looked for.
    """
    alone = ["--no-deps"] if what.suffix != ".whl" else ["--no-index", "--no-deps"]
    pip: list[str | Path]
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--disable-pip-version-check"]
    run(
        *pip,
        *([] if extras else alone),
        f"{what}[{extras}]" if extras else what,
        cwd=python.parent,
        environment={"DQLITEWIRE_PURE": "", "PYTHONPATH": ""},
    )


def consume(python: Path, program: str, *arguments: str) -> str:
    """Run a program of the consumer project in an environment; return what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        for path in CONSUMER.glob("*.py"):
            shutil.copy(path, folder)
        return run(
            python,
            "-W",
            "error",
            program,
            *arguments,
            cwd=Path(folder),
            environment={"PYTHONPATH": "", "PYTHONNOUSERSITE": "1", "DQLITEWIRE_PURE": ""},
        )


def try_out(python: Python, what: Path, kind: str, extras: str = "") -> None:
    """Install a file into an environment, with or without extras, and see that it works there, in its way."""
    rows = python.rows(kind)
    with python.environment() as inside:
        install(inside, what, extras)
        consume(inside, "extras.py" if extras else "bare.py", rows)
    told = f"with [{extras}]" if extras else "without extras"
    print(f"CPython {python.version}: {what.name} {told} works, rows: {rows}", flush=True)


def try_wheels(found: list[Python], made: Made) -> None:
    """Try both wheels without extras on every CPython; nothing is downloaded for that."""
    for python in found:
        try_out(python, made.native, "native")
        try_out(python, made.pure, "pure")


def try_all(found: list[Python], made: Made) -> None:
    """Try each file, with and without extras, on every CPython."""
    for python in found:
        for what, kind in ((made.native, "native"), (made.pure, "pure"), (made.sdist, "sdist")):
            try_out(python, what, kind)
            try_out(python, what, kind, EXTRAS)


def check_types(python: Python, wheel: Path, extras: str = EXTRAS) -> None:
    """Let mypy and pyright, both strict, look at the consumer project with an installed wheel."""
    with python.environment() as inside, tempfile.TemporaryDirectory() as folder:
        install(inside, wheel, extras)
        project = Path(folder, "consumer")
        shutil.copytree(CONSUMER, project, ignore=shutil.ignore_patterns("__pycache__"))
        minor = ".".join(python.version.split(".")[:2])
        # mypy and pyright of ours know no Python that is newer than they are
        nothing = {"PYTHONPATH": "", "MYPYPATH": ""}
        said = run(
            *(sys.executable, "-m", "mypy", "--python-executable", inside, "--python-version", minor),
            *("--cache-dir", Path(folder, "cache")),
            cwd=project,
            environment=nothing,
        )
        said += run(
            *(sys.executable, "-m", "pyright", "--pythonpath", inside, "--pythonversion", minor),
            cwd=project,
            environment=nothing,
        )
    if "Success" not in said or "0 errors" not in said:
        sys.exit(said)
    print(f"CPython {python.version}: the consumer project type-checks with {wheel.name}", flush=True)
