"""What can be wrong with an input, told in one line a person can act on.

The core's errors stay short and give no advice. These are different on purpose: they end a command, so each
says what was seen and what to do about it.
"""

from __future__ import annotations


class SourceError(Exception):
    """An input that cannot be read as dqlite traffic.

    Attributes:
        seen: what was found, for example "TLS traffic".
        hint: what to do about it; may be empty.
    """

    def __init__(self, seen: str, hint: str = "") -> None:
        super().__init__(f"{seen}: {hint}" if hint else seen)
        self.seen = seen
        self.hint = hint
