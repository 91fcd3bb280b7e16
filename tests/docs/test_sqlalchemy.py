"""docs/howto/sqlalchemy.md: its application and its tests run on the published packages and this one."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import dqlitewire
from dqlitewire.testing import DqliteServer
from tests.docs.blocks import blocks
from tests.docs.running import as_compared
from tests.downstream.published import SOURCE, clients
from tests.profiles import DEEP
from tests.proxy.test_command import running
from tests.real.fixtures import require
from tests.real.nodes import KINDS, Node, clean_environment, missing, python
from tests.traffic.command import run

PAGE = "docs/howto/sqlalchemy.md"
GENERATION, PYTHON_KIND = "0.8.0", "1.18.1"
CODE = {block.info: block.text for block in blocks(PAGE, "python")}
CONSOLE = blocks(PAGE, "console")
VERSION, APPLICATION, PROXY, TRAFFIC, TESTS = (block.steps() for block in CONSOLE)


def python_of_clients(folder: Path, *words: str) -> str:
    """Run the Python of the published clients in a folder with the files of the page; what it prints."""
    require(missing(PYTHON_KIND))
    published = clients(GENERATION)
    for name, text in CODE.items():
        (folder / name).write_text(text)
    environment = {
        **clean_environment(),
        "PYTHONPATH": os.pathsep.join(map(str, [SOURCE, published, published.parent / "testing"])),
        "PYTHONPYCACHEPREFIX": str(published / "pyc"),
        # an editable installation leaves entry points beside the sources, another does not
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [*python(PYTHON_KIND), "-s", *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_installed() -> None:
    """`tests/downstream/test_requirements.py` holds that these versions go together."""
    (block,) = blocks(PAGE, "bash")
    lines = [shlex.split(line) for line in block.text.splitlines() if not line.startswith("#")]
    assert [line[:2] for line in lines] == [["pip", "install"]] * 3
    assert lines[1][2:] == [f"sqlalchemy-dqlite=={GENERATION}", "sqlalchemy<2.1"]


@pytest.mark.downstream
def test_the_version(tmp_path: Path) -> None:
    ((command, shown),) = VERSION
    assert python_of_clients(tmp_path, *shlex.split(command)[1:]) == shown == f"{dqlitewire.__version__}\n"


@pytest.mark.downstream
@pytest.mark.parametrize("kind", KINDS if DEEP else KINDS[-2:-1])
def test_the_application_on_a_node(
    tmp_path: Path, real_nodes: Callable[[str], Node], kind: str, database: str
) -> None:
    ((command, shown),) = APPLICATION
    assert command == "python library.py 127.0.0.1:9001"
    assert "/library" in CODE["library.py"]
    (tmp_path / "run.py").write_text(CODE["library.py"].replace("/library", f"/{database}"))
    assert python_of_clients(tmp_path, "run.py", real_nodes(kind).address) == shown


@pytest.mark.downstream
def test_its_traffic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ((proxy, nothing),) = PROXY
    (application, printed), (decode, frames) = TRAFFIC
    assert nothing == ""
    with DqliteServer() as server:
        words = proxy.replace("127.0.0.1:9101", "127.0.0.1:0").replace("127.0.0.1:9001", server.address)
        with running(*shlex.split(words)[2:]) as (_, locals_, _):
            assert application == "python library.py 127.0.0.1:9101"
            assert python_of_clients(tmp_path, "library.py", locals_[0]) == printed
    assert as_compared(run(*shlex.split(decode)[1:]).out) == as_compared(frames)


@pytest.mark.downstream
def test_its_tests(tmp_path: Path) -> None:
    ((command, shown),) = TESTS
    if not (clients(GENERATION).parent / "testing" / "complete").exists():
        require("pytest and apsw for the clients' Python are not there: run tests/downstream/setup-clients")
    # where the package is installed pytest finds the plug-in by itself
    plugin = ("-p", "dqlitewire.testing.pytest_plugin", "-p", "no:cacheprovider")
    printed = python_of_clients(tmp_path, "-m", *shlex.split(command), *plugin)
    assert re.search(rf"^{re.escape(shown.strip())} in ", printed, re.MULTILINE), printed
