"""A terminal taken over for a view that is drawn again and again, and given back as it was.

    with Screen() as screen:                # alternate screen, no cursor, no wrapping, keys unread by others
        screen.draw(lines)
        for key in screen.pressed(): ...

The state of the terminal is given back however the view ends: at its end, by an exception, by SIGTERM, SIGHUP
and SIGINT (which raise KeyboardInterrupt), by SIGQUIT and while it is stopped (SIGTSTP), and taken again when
it goes on (SIGCONT), in whatever state a shell has left the terminal meanwhile. SIGKILL cannot be helped.

Standard output is the terminal that is drawn on. Keys come from the controlling terminal, as standard input
may be a pipe (`tcpdump -w - | ..`); where there is none, from standard input if that is a terminal, else from
nowhere. In the background nothing is drawn.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
import termios
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn

from dqlitewire.cli.output import draw
from dqlitewire.text import Shown

_TAKE = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"  # alternate screen, cursor hidden, no wrapping at the edge
_GIVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_SEQUENCE = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]?|O.?|)", re.DOTALL)  # what arrows and their like send
_LFLAG, _CC = 3, 6  # places in what tcgetattr returns
_ALL = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGALRM}


class Screen:
    """The terminal of standard output; a context manager, of the main thread.

    Attributes:
        stale: what is shown is not what should be: it was resized, or somebody else had the terminal.
    """

    def __init__(self) -> None:
        self.stale: bool = True
        self._out = sys.stdout.fileno()
        self._keys: int | None = None
        self._own = False  # the descriptor of the keys is ours
        self._taken = False
        self._before: dict[int, Any] = {}
        self._mode: list[Any] | None = None  # of the terminal, as it is given back

    def __enter__(self) -> Screen:
        self._keys, self._own = _keyboard()
        for number, handler in (
            (signal.SIGHUP, _interrupt),
            (signal.SIGQUIT, self._quit),
            (signal.SIGTSTP, self._stop),
            (signal.SIGCONT, self._go_on),
            (signal.SIGWINCH, self._resized),
        ):
            if (before := signal.getsignal(number)) is not signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, handler)
        try:
            self._take()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._give()
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()
        if self._own and self._keys is not None:
            os.close(self._keys)
        self._keys = None

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(self._out)
            if columns and rows:
                return columns, rows
        return 80, 24

    def draw(self, lines: Sequence[str]) -> None:
        """Show lines from the top on, and nothing else; not while in the background.

        Args:
            lines: as many as there are rows, none wider than the columns.

        Raises:
            ReaderGone: the terminal has gone.
            SystemExit: it cannot be written.
        """
        if not self._in_front():
            self.stale = True
            return
        if not self._taken:
            self._take()
        self.stale = False
        # each row is addressed: a line too many, after the terminal has shrunk, cannot scroll the others
        rows = [f"\x1b[{number};1H{line}\x1b[K" for number, line in enumerate(lines, 1)]
        draw(Shown("".join([*rows, "\x1b[J"])))

    def pressed(self) -> Iterator[str]:
        """Yield the keys that were pressed; arrows and their like are left out."""
        if self._keys is None or not self._taken or not self._in_front():
            return
        try:
            data = os.read(self._keys, 256)
        except OSError:  # the terminal has gone; drawing says so
            return
        yield from _SEQUENCE.sub(b"", data).decode("ascii", "ignore")

    def _in_front(self) -> bool:
        try:
            return os.tcgetpgrp(self._out) == os.getpgrp()
        except OSError:  # it is not our controlling terminal: nobody else has it
            return True

    def _take(self) -> None:
        if not self._in_front():
            return
        with contextlib.suppress(termios.error):  # it has gone; drawing says so
            self._hear_keys()
        self._taken = True
        self._put(_TAKE)
        self.stale = True

    def _put(self, text: str) -> None:
        """Write to the terminal past the stream, which a signal may have left in the middle of a write."""
        with contextlib.suppress(OSError, RuntimeError):
            sys.stdout.flush()
        with contextlib.suppress(OSError):  # the terminal has gone; drawing says so
            os.write(self._out, text.encode())

    def _hear_keys(self) -> None:
        if self._keys is None:
            return
        mode = _patiently(termios.tcgetattr, self._keys)
        if self._mode is None:
            self._mode = mode
        ours: list[Any] = [*mode[:_CC], list(mode[_CC])]
        ours[_LFLAG] &= ~(termios.ICANON | termios.ECHO)
        ours[_CC][termios.VMIN], ours[_CC][termios.VTIME] = 0, 0  # reading does not wait
        _patiently(termios.tcsetattr, self._keys, termios.TCSADRAIN, ours)

    def _give(self) -> None:
        if not self._taken:
            return
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)
        try:
            self._taken = False
            self._put(_GIVE)
            if self._keys is not None and self._mode is not None:
                with contextlib.suppress(OSError, termios.error):
                    _patiently(termios.tcsetattr, self._keys, termios.TCSADRAIN, self._mode)
                self._mode = None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._give()
        _as_by_default(number)  # stopped here
        signal.signal(number, self._stop)

    def _go_on(self, number: int, frame: FrameType | None) -> None:
        self._taken = False  # a shell may have changed everything
        self._take()

    def _quit(self, number: int, frame: FrameType | None) -> None:
        self._give()
        _as_by_default(number)

    def _resized(self, number: int, frame: FrameType | None) -> None:
        self.stale = True


def _as_by_default(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _keyboard() -> tuple[int | None, bool]:
    """The descriptor that keys come from, and whether we have opened it."""
    with contextlib.suppress(OSError):
        return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY), True
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if sys.stdin.isatty():
            return sys.stdin.fileno(), False
    return None, False


def _patiently(call: Any, *arguments: Any) -> Any:
    """Call what a signal may interrupt."""
    while True:
        try:
            return call(*arguments)
        except termios.error as error:
            if error.args[0] != errno.EINTR:
                raise
