"""The error of an input that cannot be read, in one line that a person can act on.

The core's errors stay short and give no advice. These are different on purpose: they end a command, so each
says what was seen and what to do about it.
"""

from __future__ import annotations


class SourceError(Exception):
    """An input that cannot be read as dqlite traffic.

    Attributes:
        seen: what was found, for example "TLS traffic".
        hint: what to do about it; may be empty.
        quoted: the beginning of the input, where that is shown; may be empty.
    """

    def __init__(self, seen: str, hint: str = "", quoted: str = "") -> None:
        super().__init__(": ".join(filter(None, (seen, quoted, hint))))
        self.seen = seen
        self.hint = hint
        self.quoted = quoted

    def without_quotes(self) -> SourceError:
        """Return the same error without anything of the input."""
        return SourceError(self.seen, self.hint)


class FileExistsAlready(SourceError):
    """A file that would be written is there; the hint names what lets it be continued."""
