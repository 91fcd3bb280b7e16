"""Exit codes: every number that a command can end with, and its meaning as help and docs have it."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class _Code(IntEnum):
    words: str

    def __new__(cls, code: int, words: str) -> Self:
        self = int.__new__(cls, code)
        self._value_ = code
        self.words = words
        return self


class Exit(_Code):
    """How commands end."""

    OK = 0, "all well"
    DAMAGED = 1, "the input was read, and something in it is damaged or differs"
    USAGE = 2, "wrong use"
    INPUT = 3, "the input or the peer could not be read, or the output takes nothing"
    REFUSED = 4, "refused"
    FAILED = 5, "the peer answered and failed"
    INTERRUPTED = 130, "interrupted"


class ProbeExit(_Code):
    """How `probe` ends when nodes were asked; of several nodes with 0 or 5 alone."""

    HEALTHY = 0, "healthy"
    NO_LEADER = 4, "no leader"
    UNREACHABLE = 5, "unreachable, silent or failing, or nodes disagree"
    NOT_DQLITE = 6, "not dqlite"


def in_words(codes: tuple[Exit | ProbeExit, ...]) -> str:
    """Return a sentence for a command's help; wrong use and interruption can happen to every command.

    Args:
        codes: what the command itself ends with.
    """
    every = sorted({*codes, Exit.USAGE, Exit.INTERRUPTED})
    return "Exit code: " + "; ".join(f"{code.value} {code.words}" for code in every) + "."
