"""A frame as `dqlite-wire explain` shows it."""

from __future__ import annotations

from tests.traffic.command import run

__all__ = ["explained"]


def explained(data: bytes, direction: str) -> str:
    """Return the command and what it prints, as Markdown.

    Args:
        data: of the frame.
        direction: "request", "response" or "raft".

    Raises:
        ValueError: the frame does not decode.
    """
    words = ["explain", "--direction", direction, data.hex()]
    shown = run(*words)
    if shown.code:
        raise ValueError(f"{data.hex()}: exit code {shown.code}")
    return f"```console\n$ dqlite-wire {' '.join(words)}\n{shown.out.rstrip()}\n```"
