"""Draw the tables of docs/explanation/compatibility.md from where the suite has its facts.

servers   tests/real/nodes.SERVERS          shells    tests/downstream/shells.SHELLS
clients   tests/downstream/published        Pythons   the classifiers of pyproject.toml, and which of
                                                      them tools/test-pythons and native-pythons take
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable

from dqlitewire.servers.releases import RELEASES
from tests.downstream.published import GENERATIONS
from tests.downstream.shells import SHELLS
from tests.real.nodes import SERVERS
from tools.drawn import ROOT

__all__ = ["PARTS", "clients", "pythons", "servers", "shells"]

CLIENTS = ("dqlite-client", "dqlite-dbapi", "sqlalchemy-dqlite")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ("---",) * len(head), *rows])


def servers() -> str:
    """Return the servers: real ones, and whether the embedded server plays them."""
    rows = [
        (
            f"{server.package.removeprefix('lib').rstrip('0')} {server.release}",
            f"Debian {server.suite}",
            "yes" if kind in RELEASES else "no",
        )
        for kind, server in SERVERS.items()
    ]
    return _table(("server", "as packaged by", "played by the embedded server"), rows)


def clients() -> str:
    """Return the published Python clients on top of this package."""
    return _table(("client", "releases"), [(client, ", ".join(GENERATIONS)) for client in CLIENTS])


def shells() -> str:
    """Return the Go shells."""
    rows = [(name, f"Debian {shell.suite}") for name, shell in SHELLS.items()]
    return _table(("shell", "as packaged by"), rows)


def supported() -> list[str]:
    """Return the Python versions that the package says it runs on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = (
        found[1] for found in map(re.compile(r".*:: (3\.\d+)$").match, project["classifiers"]) if found
    )
    return list(versions)


def unpacked() -> list[str]:
    """Return the versions that tools/native-pythons unpacks from Debian."""
    return re.findall(r"'python(3\.\d+)\?'", (ROOT / "tools" / "native-pythons").read_text(encoding="utf-8"))


def pythons() -> str:
    """Return the Python versions, and how the suite tries each."""
    script = (ROOT / "tools" / "test-pythons").read_text(encoding="utf-8")
    others = [version.replace("\\", "") for version in re.findall(r"\^(3\\\.\d+)", script)]
    rows = []
    for version in supported():
        if version in unpacked():
            how = "`make test-pythons`: without real servers and published clients, on Debian forky's build"
        elif version in others:
            how = "`make test-pythons`: without real servers and published clients, where the machine has it"
        else:
            how = "`make test`: the whole suite; `.ci/run` takes the oldest and the newest of the machine"
        rows.append((f"CPython {version}", how))
    return _table(("Python", "tried by"), rows)


#: parts of pages, for tools/drawn/reference.py
PARTS: dict[str, Callable[[], str]] = {
    "compatible-servers": servers,
    "compatible-clients": clients,
    "compatible-shells": shells,
    "compatible-pythons": pythons,
}
