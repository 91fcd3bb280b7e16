"""Tables and sessions as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from tests.traffic.command import run

__all__ = ["explained", "table"]

WIDEST = 80  # columns of a command; a longer one is folded
WORDS = 4  # of 8 bytes on a line of it


def table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    """Return a table.

    Args:
        head: the heads of the columns.
        lines: of the table; a bar in a cell is escaped.
    """
    rows = [head, ("---",) * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def explained(data: bytes, direction: str) -> str:
    """Return a session of `explain`; a long frame stands on several lines, in words of 8 bytes.

    Args:
        data: a whole frame.
        direction: as the command's option has it.
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
