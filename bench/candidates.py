"""The codecs that are compared, imported side by side in one process.

The published packages have our import name. Each is installed into a folder of its
own under the cache (``$XDG_CACHE_HOME/dqlite-bench``), imported first, and filed in
``sys.modules`` under another name; ours comes last and keeps the name.

Ours is measured twice. "ours" is what every goal against another package is meant for: pure
Python, the native module switched off. "native" is the same source with that module, imported a
second time as a package of another name, so that both have caches and counters of their own. A
child process is told by its environment.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.measure import Unavailable

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
DISTRIBUTION, PACKAGE = "dqlite-wire", "dqlitewire"
PUBLISHED = ("0.2.2", "0.8.0")
PUBLISHED_NEEDS = (3, 13)
OURS, NATIVE = "ours", "native"
SWITCH = "DQLITEWIRE_PURE"  # read when the package is imported


@dataclass(frozen=True)
class Codec:
    """One implementation: the package and its message classes."""

    name: str
    wire: Any
    messages: Any
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a child gets that imports this one."""
        return environment(os.environ, native=self.name == NATIVE)


def environment(base: Mapping[str, str], *, native: bool) -> dict[str, str]:
    """An environment in which ours is imported with the native module, or without."""
    kept = {name: value for name, value in base.items() if name != SWITCH}
    return kept if native else {**kept, SWITCH: "1"}


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dqlite-bench" / str(sys.implementation.cache_tag)


def folder(name: str, source: Path = SOURCE) -> Path:
    """The folder to put on ``sys.path`` for a candidate, which is installed if need be."""
    if name == OURS:
        return source
    target = cache_folder() / f"{DISTRIBUTION}-{name}"
    if not target.exists():
        fresh = target.with_name(f".{target.name}.{os.getpid()}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(fresh)]
        subprocess.run([*command, f"{DISTRIBUTION}=={name}"], check=True, stdout=sys.stderr)
        fresh.rename(target)
    return target


@contextmanager
def first_on_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def load(name: str, source: Path = SOURCE) -> Codec:
    """Import one candidate; a published one is filed under ``dqlitewire_VERSION``."""
    where = folder(name, source)
    if PACKAGE in sys.modules:
        raise RuntimeError(f"{PACKAGE} was imported before the benchmark could choose its folder")
    with first_on_path(where):
        wire = importlib.import_module(PACKAGE)
        messages = importlib.import_module(f"{PACKAGE}.messages")
    if not str(wire.__file__).startswith(str(where.resolve())):
        raise RuntimeError(f"{name} came from {wire.__file__}, not from {where}")
    if name != OURS:
        _refile(f"{PACKAGE}_{name.replace('.', '_')}")
    return Codec(name, wire, messages, where)


@cache
def load_native(source: Path = SOURCE) -> Codec:
    """Import ours a second time, with the native module, as ``dqlitewire_native``."""
    alias = f"{PACKAGE}_{NATIVE}"
    home = source / PACKAGE
    spec = importlib.util.spec_from_file_location(
        alias, home / "__init__.py", submodule_search_locations=[str(home)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = sys.modules[alias] = importlib.util.module_from_spec(spec)
    held = os.environ.pop(SWITCH, None)
    try:
        spec.loader.exec_module(package)
        speedups = importlib.import_module(f"{alias}.speedups")
    except ModuleNotFoundError as error:  # of an older source
        raise Unavailable(f"no native module: {error}") from error
    finally:
        if held is not None:
            os.environ[SWITCH] = held
    if speedups.name != NATIVE:
        raise Unavailable(f"no native module: {speedups.why}")
    return Codec(NATIVE, package, importlib.import_module(f"{alias}.messages"), source)


def _refile(alias: str) -> None:
    for name in [n for n in sys.modules if n == PACKAGE or n.startswith(PACKAGE + ".")]:
        sys.modules[alias + name.removeprefix(PACKAGE)] = sys.modules.pop(name)


def load_all(source: Path = SOURCE) -> list[Codec]:
    """Ours in pure Python, and the published ones where they run (CPython 3.13 and newer)."""
    os.environ[SWITCH] = "1"
    published = PUBLISHED if sys.version_info >= PUBLISHED_NEEDS else ()
    codecs = [load(name) for name in published]
    return [load(OURS, source), *codecs]
