"""Output of all commands: lines to the terminal, errors in one line, widths and colour.

Whatever a command prints goes through `emit`, `emit_json` or `warn`. They escape every character that could
do more than be seen (`dqlitewire.text.printable`), whoever chose it: a peer, a file, its name, an argument.
`Shown` marks text that was escaped already and carries our own colours; joined to anything else it is a plain
str again and is escaped once more, so a mistake shows as `?[2m`, never as a colour that a peer wrote.

Colours are styles with names, which rich turns into what a terminal understands. rich is imported when the
first one is drawn, because its absence must be reported through these functions too.

An output that takes no more ends the command: quietly where the reader has gone, else with one line.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import shutil
import sys
import time
from functools import cache
from typing import TYPE_CHECKING, NoReturn, TextIO

from dqlitewire.cli.exits import Exit
from dqlitewire.text import Shown, printable, printable_json

if TYPE_CHECKING:
    from rich.style import Style

MAX_WIDTH = 100_000  # columns that anybody may ask for
MAX_ERROR = 1000  # characters of a line on standard error


class ReaderGone(Exception):
    """Whoever read our output has gone away."""


def fail(message: str, code: Exit = Exit.INPUT) -> NoReturn:
    """End the command with one line on standard error.

    Args:
        message: the line.
        code: the exit code.

    Raises:
        SystemExit: always, with the code.
    """
    warn(message)
    raise SystemExit(int(code))


# ---------------------------------------------------------------- lines


def joined(*parts: str) -> Shown:
    """Join texts; those that are not `Shown` are escaped.

    Args:
        parts: the texts.
    """
    return Shown("".join([part if type(part) is Shown else printable(part) for part in parts]))


STYLES = {
    "request": "cyan",
    "response": "green",
    "failure": "bold red",
    "garbage": "yellow",
    "dim": "dim",
}


@cache
def _style(name: str) -> Style:
    from rich.style import Style

    return Style.parse(STYLES[name])


def painted(text: str, style: str, colour: bool) -> Shown:
    """Return text in a style.

    Args:
        text: the text.
        style: one of `STYLES`.
        colour: whether colours are wanted; see `colourful`.
    """
    shown = joined(text)
    return Shown(_style(style).render(shown)) if colour and shown else shown


def cleared() -> Shown:
    """Return what empties the terminal and puts the next line on its top."""
    from rich.control import Control
    from rich.segment import ControlType

    return Shown(Control(ControlType.HOME, ControlType.CLEAR))


def emit(text: str, at_once: bool = False) -> None:
    """Write a line to standard output.

    Args:
        text: the line; escaped unless it is `Shown`.
        at_once: do not hold it back in a buffer.

    Raises:
        ReaderGone: the reader of the output has gone away.
        SystemExit: it cannot be written.
    """
    _write((text if type(text) is Shown else printable(text)) + "\n", at_once)


def draw(frame: Shown) -> None:
    """Write what changes a terminal, as it stands, at once.

    Args:
        frame: text that was escaped, and control sequences of ours.

    Raises:
        ReaderGone: the terminal has gone away.
        SystemExit: it cannot be written.
    """
    _write(frame, at_once=True)


def emit_json(text: str, at_once: bool = False, end: str = "\n") -> None:
    """Write one JSON value as a line; characters that the output's encoding lacks are escaped.

    Args:
        text: the value, or a part of it that ends in no string.
        at_once: do not hold it back in a buffer.
        end: what is written behind it: "" if more of the value comes.
    """
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    _write(printable_json(text, ascii_only=not encoding.startswith("utf")) + end, at_once)


def emit_data(text: str) -> None:
    """Write text as it is, line ends included: data for a file or a program. A terminal gets it as a line."""
    if sys.stdout.isatty():
        emit(text.removesuffix("\r\n"))
    else:
        _write(text, False)


def emit_bytes(data: bytes | memoryview) -> int:
    """Write bytes to standard output as they are; not to a terminal.

    Args:
        data: the bytes.

    Returns:
        How many they are.

    Raises:
        ReaderGone: the reader of the output has gone away.
        SystemExit: it cannot be written.
    """
    try:
        sys.stdout.buffer.write(data)
    except OSError as error:
        _refused(error)
    return len(data)


def warn(text: str) -> None:
    """Write a line to standard error, if it takes one; of a very long text its ends."""
    shown = printable(text)
    if len(shown) > MAX_ERROR:
        shown = f"{shown[: MAX_ERROR - 200]} … {shown[-200:]}"
    try:
        sys.stderr.write(f"dqlite-wire: {shown}\n")
        sys.stderr.flush()
    except OSError:
        sys.stderr = _nowhere(sys.stderr)


def tell(text: str) -> None:
    """Write a line to standard error that is no complaint, such as where a command listens."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{printable(text)}\n")
        sys.stderr.flush()


def finish() -> None:
    """Write what is still held back.

    Raises:
        ReaderGone: the reader of the output has gone away.
        SystemExit: it cannot be written.
    """
    _write("", at_once=True)


def pause(seconds: float) -> None:
    """Wait before more is written, or until its reader has gone: `| head -1` ends a command that watches.

    Args:
        seconds: for so long.

    Raises:
        ReaderGone: the reader of the output has gone away.
    """
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # of what is always told: the other end is closed
    except (AttributeError, OSError, ValueError):  # no poll on this system, or no file behind the stream
        time.sleep(seconds)
        return
    end = time.monotonic() + seconds
    if gone := poll.poll(seconds * 1000):
        if gone[0][1] & (select.POLLERR | select.POLLHUP):
            abandon()
            raise ReaderGone
        time.sleep(max(0.0, end - time.monotonic()))


def _write(line: str, at_once: bool) -> None:
    try:
        if line:  # an output that is full refuses even no bytes
            sys.stdout.write(line)
        if at_once:
            sys.stdout.flush()
    except OSError as error:
        _refused(error)


def _refused(error: OSError) -> NoReturn:
    """Give up standard output, which takes no more."""
    abandon()
    if isinstance(error, BrokenPipeError):
        raise ReaderGone from None
    fail(f"standard output: {error.strerror or error}")


def abandon() -> None:
    """Write no more to standard output, nor what is still held back."""
    sys.stdout = _nowhere(sys.stdout)


class _Nowhere(io.StringIO):
    """Takes everything and keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


def _nowhere(stream: TextIO) -> TextIO:
    """Return what stands in for a stream that has failed."""
    # what it still holds back would fail again when the interpreter ends, and change the exit code
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    return _Nowhere()


def prepare() -> None:
    """Make the standard streams fit for use.

    A closed one is opened again: input is empty, output fails as a closed one does, errors go nowhere. That
    also keeps their numbers from being given to files that a command opens. Where an encoding cannot take a
    character, its escape is written. An output without a buffer (PYTHONUNBUFFERED) gets one that is emptied
    at each line: of what is taken only in part, as by a disk that gets full, the rest would be lost.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115  (ours until the end)
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        os.open(os.devnull, os.O_WRONLY)
        sys.stderr = _Nowhere()
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        number, encoding = sys.stdout.fileno(), sys.stdout.encoding
        sys.stdout = open(number, "w", buffering=1, encoding=encoding, closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


# ---------------------------------------------------------------- widths and colours


def width(given: int | None = None, through_pipes: bool = False) -> int:
    """The columns to write in: as given, else the terminal's, else enough for a pipe or file.

    Args:
        given: wins over all.
        through_pipes: take the width of the terminal behind a pager too. Not for lines that may be
            searched: they would be cut to it.
    """
    if given:
        return given
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return min(max(40, shutil.get_terminal_size().columns), MAX_WIDTH)
    if through_pipes and sys.stderr.isatty():
        return max(40, os.get_terminal_size(sys.stderr.fileno()).columns)
    return 160


def colourful(stream: TextIO) -> bool:
    """Whether to write colours: on a terminal that has some, unless NO_COLOR is set
    (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
