"""What was entered, kept in a file that only its owner reads; a shell without one works as well."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from prompt_toolkit.history import FileHistory

MAX_SIZE = 1 << 20  # bytes; of a larger file the older half is dropped
_ENTRY = b"\n# "  # begins an entry of prompt_toolkit's file


def history_path() -> Path:
    """Return where the history is kept: in the user's folder for state (XDG Base Directory)."""
    named = os.environ.get("XDG_STATE_HOME", "")
    base = Path(named) if os.path.isabs(named) else Path("~/.local/state").expanduser()
    return base / "dqlite-wire" / "query_history"


class History(FileHistory):
    """A history in a file; what begins with a space is not kept.

    Args:
        path: of the file; made with mode 0600, its folder with 0700.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _shorten(path)

    def load_history_strings(self) -> list[str]:
        """Return the entries of the file, the newest first; none if it cannot be read."""
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def append_string(self, string: str) -> None:
        """Keep an entry.

        Args:
            string: what was entered.
        """
        if string.strip() and not string[0].isspace():
            super().append_string(string)

    def store_string(self, string: str) -> None:
        """Write an entry, if the file takes one.

        Args:
            string: what was entered.
        """
        with suppress(OSError):
            os.close(os.open(self.filename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
            super().store_string(string)


def _shorten(path: Path) -> None:
    if not path.is_file() or path.stat().st_size <= MAX_SIZE:
        return
    data = path.read_bytes()[-MAX_SIZE // 2 :]
    part = path.with_name(path.name + ".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data[max(data.find(_ENTRY), 0) :])
    part.replace(path)
