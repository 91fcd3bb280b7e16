"""The codecs that are compared, imported side by side in one process.

The published packages have our import name. Each is installed into a folder of its
own under the cache (``$XDG_CACHE_HOME/dqlite-bench``), imported first, and filed in
``sys.modules`` under another name; ours comes last and keeps the name.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
DISTRIBUTION, PACKAGE = "dqlite-wire", "dqlitewire"
PUBLISHED = ("0.2.2", "0.8.0")
PUBLISHED_NEEDS = (3, 13)
OURS = "ours"


@dataclass(frozen=True)
class Codec:
    """One implementation: the package and its message classes."""

    name: str
    wire: Any
    messages: Any
    folder: Path


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dqlite-bench" / str(sys.implementation.cache_tag)


def folder(name: str, source: Path = SOURCE) -> Path:
    """The folder to put on ``sys.path`` for a candidate, which is installed if need be."""
    if name == OURS:
        return source
    target = cache() / f"{DISTRIBUTION}-{name}"
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


def _refile(alias: str) -> None:
    for name in [n for n in sys.modules if n == PACKAGE or n.startswith(PACKAGE + ".")]:
        sys.modules[alias + name.removeprefix(PACKAGE)] = sys.modules.pop(name)


def load_all(source: Path = SOURCE) -> list[Codec]:
    """All codecs, the published ones only where they run (CPython 3.13 and newer)."""
    published = PUBLISHED if sys.version_info >= PUBLISHED_NEEDS else ()
    codecs = [load(name) for name in published]
    return [load(OURS, source), *codecs]
