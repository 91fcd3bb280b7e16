"""What all commands share: exit codes, errors in one line, widths and colour."""

from __future__ import annotations

import os
import shutil
import sys
from enum import IntEnum
from typing import NoReturn, TextIO

import typer


class Exit(IntEnum):
    """What the exit code of the command says."""

    OK = 0
    DAMAGED = 1  # all was read, but some of it was no dqlite, or could not be decoded
    USAGE = 2
    INPUT = 3  # nothing could be read
    NO_LEADER = 4  # probe
    UNREACHABLE = 5  # probe
    NOT_DQLITE = 6  # probe


class ReaderGone(Exception):
    """Whoever read our output has gone away."""


def emit(text: str, at_once: bool = False) -> None:
    """Write a line to standard output.

    Raises:
        ReaderGone: nobody reads it.
    """
    try:
        sys.stdout.write(text + "\n")
        if at_once:
            sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGone from None


def fail(message: str, code: int = Exit.INPUT) -> NoReturn:
    """Say in one line what is wrong, and exit."""
    print(f"dqlite-wire: {message}", file=sys.stderr)
    raise typer.Exit(int(code))


def width(given: int | None = None, through_pipes: bool = False) -> int:
    """The columns to write in: as given, else the terminal's, else enough for a pipe or file.

    Args:
        through_pipes: take the width of the terminal behind a pager too. Not for lines that somebody may
            search: they would be cut to it.
    """
    if given:
        return given
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return max(40, shutil.get_terminal_size().columns)
    if through_pipes and sys.stderr.isatty():
        return max(40, os.get_terminal_size(sys.stderr.fileno()).columns)
    return 160


def colourful(stream: TextIO) -> bool:
    """Whether to write colours: on a terminal that has some, unless NO_COLOR is set
    (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


_STYLES = {"request": "36", "response": "32", "failure": "31;1", "garbage": "33", "dim": "2", "bold": "1"}


def painted(text: str, style: str, colour: bool) -> str:
    """Text in a style, where colours are wanted."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if colour and style else text
