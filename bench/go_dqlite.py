"""go-dqlite, measured by a program in Go (``bench/go``): its decoder, and database/sql on top.

Debian has Go (golang-go) and go-dqlite's source (golang-github-canonical-go-dqlite-dev). The
decoder is internal to go-dqlite, which only code inside of the same tree may import; so a tree is
made in the cache that shows go-dqlite's packages and has our program among them. It is built
without cgo: neither the decoder nor the driver needs it.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.candidates import ROOT, cache_folder
from bench.measure import Unavailable

DEBIAN = Path("/usr/share/gocode")
MODULE = "github.com/canonical/go-dqlite"
PACKAGE = "golang-github-canonical-go-dqlite-dev"
SHOWN = ("internal", "client", "driver")  # of go-dqlite
KEEPING, ONE_ROW, DATABASE_SQL = "Go keeping rows", "Go into one row", "database/sql"
SAMPLE = 0.06  # CPU seconds: some turns of Go's collector, and caches warm again after another process


@cache
def program() -> Path:
    """Build the program, which takes a second if nothing has changed; its path."""
    if shutil.which("go") is None:
        raise Unavailable("no Go: Debian's golang-go")
    source = DEBIAN / "src" / MODULE
    if not source.exists():
        raise Unavailable(f"no go-dqlite: Debian's {PACKAGE}")
    path = cache_folder().parent / "go"
    tree = path / "src" / MODULE
    shutil.rmtree(path, ignore_errors=True)
    tree.mkdir(parents=True)
    for name in SHOWN:
        (tree / name).symlink_to(source / name)
    shutil.copytree(ROOT / "bench" / "go", tree / "bench")
    command = ["go", "build", "-o", str(path / "bench"), f"{MODULE}/bench"]
    settings = {"GOPATH": f"{path}:{DEBIAN}", "GO111MODULE": "off", "CGO_ENABLED": "0", "GOFLAGS": ""}
    done = subprocess.run(command, cwd=tree, env={**os.environ, **settings}, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"go-dqlite does not build:\n{done.stderr}")
    return path / "bench"


@cache
def versions() -> str:
    """Which Go and which go-dqlite."""
    go = subprocess.run(["go", "version"], capture_output=True, text=True, check=True).stdout.split()[2]
    query = ["dpkg-query", "--show", "--showformat", "${Version}", PACKAGE]
    package = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    return f"Go {go.removeprefix('go')}, go-dqlite {package.partition('-')[0]}"


class Child:
    """A process that does a work on command and says what CPU it took, as ``bench/go/main.go`` describes."""

    def __init__(self, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)

    def ask(self, line: str) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(line, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.wait()}")
        return json.loads(answer)

    def rows(self) -> list[tuple[Any, ...]]:
        """What it reads, for a comparison."""
        return [tuple(value and tuple(value) for value in row) for row in self.ask("check")]

    def sample(self, name: str, least: float = 0.0) -> Callable[[], float]:
        """CPU seconds of one run, averaged over so many that they last ``least`` seconds."""
        self.ask(f"{name} 2")
        times = max(1, round(least * 1e9 / self.ask(f"{name} 2")))
        return lambda: float(self.ask(f"{name} {times}")) / 1e9

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.process:
            assert self.process.stdin is not None
            self.process.stdin.close()


def shown(value: Any) -> tuple[str, str] | None:
    """A value as ``Child.rows`` has it."""
    if value is None:
        return None
    if type(value) is bool:
        return "boolean", str(value).lower()
    if type(value) is int:
        return "integer", str(value)
    if type(value) is float:
        return "float", struct.pack(">d", value).hex()
    assert type(value) is str
    return "text", value


def shown_rows(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(map(shown, row)) for row in rows]
