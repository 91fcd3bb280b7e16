"""A terminal for tests: runs a command on a pty, keeps what it shows, and tells how it leaves it."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Self

COMMAND = [sys.executable, "-m", "dqlitewire.cli"]
# a sequence that a signal has cut off counts for nothing: a terminal begins anew at the escape behind it
_PART = re.compile(
    r"\x1b\[(?P<arguments>[?0-9;]*)(?P<what>[A-Za-z])|(?P<text>[^\x1b]+)|(?P<cut>\x1b(?:\[[?0-9;]*)?(?=\x1b))|\x1b"
)


class Text:
    """Text of a terminal that comes in pieces cut anywhere: in a character, between CR and LF."""

    def __init__(self) -> None:
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, data: bytes) -> str:
        """Take a piece; returns what of the text is whole."""
        text = self._held + self._characters.decode(data)
        whole = text.removesuffix("\r")
        self._held = text[len(whole) :]
        return whole


class Screen:
    """What a terminal shows that knows no more than what our views write; anything else is an error.

    Attributes:
        alternate: whether the other screen is shown.
        cursor: whether the cursor is.
        wraps: whether long lines are wrapped.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.alternate, self.cursor, self.wraps = False, True, True
        self.lines: list[str] = [""] * rows
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        for part in _PART.finditer(text):
            if part["text"] is not None:
                self._write(part["text"])
            elif part["cut"] is None:
                assert part["what"], f"a lone escape: {text[part.start() : part.start() + 20]!r}"
                self._control(part["arguments"], part["what"])

    def _write(self, text: str) -> None:
        for line, more in zip(text.split("\r\n"), [*[True] * text.count("\r\n"), False], strict=True):
            assert not (self.alternate and more), "a line end on the screen"
            shown = self.lines[self._row][: self._column].ljust(self._column) + line
            assert len(shown) <= self.columns or not self.alternate, f"too wide: {shown!r}"
            self.lines[self._row] = shown
            self._column = len(shown)
            if more:
                self._column = 0
                if self._row == self.rows - 1:
                    self.lines = [*self.lines[1:], ""]
                else:
                    self._row += 1

    def _control(self, arguments: str, what: str) -> None:
        match arguments, what:
            case "?1049", "h" | "l":
                self.alternate = what == "h"
            case "?25", "h" | "l":
                self.cursor = what == "h"
            case "?7", "h" | "l":
                self.wraps = what == "h"
            case _, "m":
                pass
            case _, "H":
                row, column = arguments.split(";")
                assert int(row) <= self.rows, "below the last row"
                self._row, self._column = int(row) - 1, int(column) - 1
            case "", "K":
                self.lines[self._row] = self.lines[self._row][: self._column]
            case "", "J":
                for row in range(self._row + 1, self.rows):
                    self.lines[row] = ""
            case "2", "J":
                self.lines = [""] * self.rows
            case _:
                raise AssertionError(f"unknown control sequence {arguments!r} {what!r}")


class Terminal:
    """A command on a terminal of its own, which is its controlling one; a context manager.

    Args:
        command: the words behind `dqlite-wire`, or a whole command where `whole` is true.
        columns: of the terminal.
        rows: of the terminal.
        stdin: a descriptor for its standard input; the terminal by default.
    """

    def __init__(
        self,
        *command: Any,
        columns: int = 80,
        rows: int = 24,
        whole: bool = False,
        stdin: int | None = None,
        **environment: str,
    ) -> None:
        self._command = [*([] if whole else COMMAND), *map(str, command)]
        self._size = columns, rows
        self._stdin = stdin
        self._environment = {**os.environ, "TERM": "xterm", **environment}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            self._environment.pop(name, None) if name not in environment else None
        self.screen = Screen(columns, rows)
        self.output = ""
        self.code: int | None = None
        self._text = Text()
        self._held = ""

    def __enter__(self) -> Self:
        self.fd, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", *reversed(self._size), 0, 0))
        self.before = termios.tcgetattr(self.fd)  # while nobody else has it
        with (
            warnings.catch_warnings()
        ):  # of threads, which a worker has: the child is another program at once
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            os.login_tty(other)
            if self._stdin is not None:
                os.dup2(self._stdin, 0)
            os.execve(self._command[0], self._command, self._environment)
        os.close(other)
        return self

    def __exit__(self, *_: object) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def resize(self, columns: int, rows: int) -> None:
        self.screen.columns, self.screen.rows = columns, rows
        self.screen.lines = (self.screen.lines + [""] * rows)[:rows]
        self.screen._row = min(self.screen._row, rows - 1)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def until(self, seen: Callable[[Screen], bool], seconds: float = 30) -> list[str]:
        """Read until the screen shows something; returns its lines."""
        end = time.monotonic() + seconds
        while not seen(self.screen):
            assert time.monotonic() < end, self.screen.lines
            self.read(0.1)
        return self.screen.lines

    def until_text(self, text: str) -> list[str]:
        return self.until(lambda screen: any(text in line for line in screen.lines))

    def read(self, seconds: float) -> bool:
        """Read what comes; returns whether there may be more."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            return False
        text = self._text.feed(data)
        self.output += text
        # a frame may be cut anywhere: the rest of a control sequence is waited for
        self._held += text
        cut = self._held.rfind("\x1b")
        whole = len(self._held) if cut < 0 or _PART.match(self._held, cut)["what"] else cut  # type: ignore[index]
        self.screen.feed(self._held[:whole])
        self._held = self._held[whole:]
        return bool(data)

    def wait(self, seconds: float = 30) -> int:
        """Read to the end; returns the exit code, of a signal its number below 0."""
        end = time.monotonic() + seconds
        while self.read(0.1):
            assert time.monotonic() < end, "it does not end"
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                while self.read(1) and time.monotonic() < end:  # up to the hang-up, unless others hold it
                    pass
                return self.code
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code

    @property
    def restored(self) -> dict[str, bool]:
        """What of the terminal is as it was before the command."""
        return {
            "mode": termios.tcgetattr(self.fd) == self.before,
            "screen": not self.screen.alternate,
            "cursor": self.screen.cursor,
            "wrapping": self.screen.wraps,
        }


def lines_of(lines: Sequence[str]) -> list[str]:
    """Lines without those that are empty."""
    return [line for line in lines if line.strip()]
