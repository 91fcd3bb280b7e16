"""Run `dqlite-wire` as a shell would: in this process, or on a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from dqlitewire.cli import main
from tests import json_output  # noqa: F401  (checks all JSON)

COMMAND = [sys.executable, "-m", "dqlitewire.cli"]


class Result(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


class _Stdin(io.TextIOWrapper):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))


class _Output(io.TextIOWrapper):
    def __init__(self, encoding: str, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding, write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def text(self) -> str:
        self.flush()
        held = self.buffer
        assert isinstance(held, io.BytesIO)
        return held.getvalue().decode(self.encoding)


def run(
    *arguments: str | Path,
    stdin: bytes = b"",
    terminal: bool = False,
    encoding: str = "utf-8",
    together: bool = False,
) -> Result:
    """Run a command.

    Args:
        arguments: the words behind its name.
        stdin: what it reads from standard input.
        terminal: whether its outputs are one; standard input is none.
        encoding: of its outputs.
        together: whether standard error goes where standard output goes, as on a screen.
    """
    out, err = _Output(encoding, terminal), _Output(encoding, terminal)
    if together:
        err = out
    with (
        mock.patch.object(sys, "argv", ["dqlite-wire", *map(str, arguments)]),
        mock.patch.object(sys, "stdin", _Stdin(stdin)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return Result(code, out.text, "" if together else err.text)


def on_terminal(*arguments: str | Path, **environment: str) -> str:
    """Run a command on a pseudo-terminal; returns what was shown."""
    main, other = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", "COLUMNS": "80", **environment}
    variables.pop("NO_COLOR", None) if "NO_COLOR" not in environment else None
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdin=other, stdout=other, stderr=other, env=variables
    )
    os.close(other)
    out = b""
    while select.select([main], [], [], 20)[0]:
        try:
            data = os.read(main, 65536)
        except OSError:
            break
        if not data:
            break
        out += data
    process.wait(60)
    os.close(main)
    return out.decode()
