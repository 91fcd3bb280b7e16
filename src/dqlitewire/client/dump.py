"""A dumped database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dump:
    """The files of a database as the server sent them.

    Attributes:
        files: by name: the database, and its WAL, which may be empty.
    """

    files: dict[str, bytes]
