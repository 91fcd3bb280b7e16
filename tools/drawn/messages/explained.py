"""A frame as `dqlite-wire explain` shows it."""

from __future__ import annotations

from tests.traffic.command import run

__all__ = ["explained"]

WIDEST = 80  # columns of a command; a longer one is folded
WORDS = 4  # of 8 bytes on a line of it


def explained(data: bytes, direction: str) -> str:
    """Return the session as Markdown; a long frame stands on several lines, in words of 8 bytes.

    Args:
        data: a whole frame.
        direction: "request", "response" or "raft".

    Raises:
        ValueError: the frame does not decode.
    """
    words = ["explain", "--direction", direction]
    digits = data.hex(" ", -8).split()
    shown = run(*words, *digits)
    if shown.code:
        raise ValueError(f"{data.hex()}: exit code {shown.code}")
    command = f"$ dqlite-wire {' '.join(words)}"
    if len(command) + 1 + 2 * len(data) <= WIDEST:
        command += f" {data.hex()}"
    else:
        for start in range(0, len(digits), WORDS):
            command += f" \\\n    {' '.join(digits[start : start + WORDS])}"
    return f"```console\n{command}\n{shown.out.rstrip()}\n```"
