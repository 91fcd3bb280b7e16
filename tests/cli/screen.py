"""A command on a pseudo-terminal, driven by what it shows."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from typing import Any, Self

from tests.cli.terminals import Text
from tests.traffic.command import COMMAND


class Screen:
    """A terminal with a command on it.

    Attributes:
        process: the command.
        text: all that it has written.
    """

    def __init__(self, arguments: list[str], columns: int = 80, lines: int = 30) -> None:
        self._main, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._other = other
        self._before = termios.tcgetattr(other)
        self._seen = 0
        self._pieces = Text()
        self.text = ""
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._main)
        os.close(self._other)

    def expect(self, text: str, timeout: float = 60) -> None:
        """Wait until it shows a text, behind what was waited for before."""
        end = time.monotonic() + timeout
        while (at := self.text.find(text, self._seen)) < 0:
            if time.monotonic() > end or not self._read():
                raise AssertionError(f"{text!r} is not in {self.text[self._seen :][-2000:]!r}")
        self._seen = at + len(text)

    def send(self, text: str) -> None:
        """Type."""
        os.write(self._main, text.encode())

    def wait(self, timeout: float = 60) -> int:
        """Wait for its end; returns the exit code."""
        end = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < end:
            self._read()
        return self.process.wait(1)

    def is_as_before(self) -> bool:
        """Whether the terminal is set as it was in the beginning, with a cursor."""
        while select.select([self._main], [], [], 0)[0]:
            self._read()
        attributes: list[Any] = termios.tcgetattr(self._other)
        visible = self.text.rfind("\x1b[?25l") <= self.text.rfind("\x1b[?25h")
        return attributes == self._before and visible

    def _read(self) -> bool:
        if select.select([self._main], [], [], 0.1)[0]:
            self.text += self._pieces.feed(os.read(self._main, 65536)).replace("\r\n", "\n")
        return self.process.poll() is None or bool(select.select([self._main], [], [], 0)[0])
