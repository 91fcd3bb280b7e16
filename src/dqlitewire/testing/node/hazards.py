"""What a real node does not survive, or this server does not let through, recorded so that a test can assert
that its driver never does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Hazard", "HazardKind"]


class HazardKind(Enum):
    """Why a real node would abort, hang or go deaf; or, for OUTSIDE, do to its host what no test wants."""

    EMPTY_BODY = "a frame without a body"
    BODY_SIZE = "a body larger than a node can hold"
    OLD_TYPE = "a request type that 1.11 never answers"
    DESCRIBE_FORMAT = "DESCRIBE with a format other than 0"
    ADD_ZERO = "ADD of the id 0"
    ASSIGN_ROLE = "ASSIGN of an unknown role"
    MEMORY_DATABASE = 'a statement on the database "" or ":memory:"'
    LONG_NAME = "OPEN of a name beyond 504 bytes"
    STALE_STATEMENT = "a statement id that was finalized, with a later one still there"
    COLUMN_TYPE = "a value that does not fit its column's declared type"
    RETURNING = "RETURNING where it is not supported"
    OLD_PRAGMA = "a pragma that 1.11 does not survive"
    OUTSIDE = "a statement that reaches a file, a setting or code outside of its database"
    ENDLESS_ROWS = "column names that fill a page: rows never come"


@dataclass(frozen=True, slots=True)
class Hazard:
    """One request that no driver should send.

    Attributes:
        kind: What it was.
        connection: Number of the connection, counted from 1.
        detail: The SQL text, the id, the name; of a long one the first 1000 characters.
    """

    kind: HazardKind
    connection: int
    detail: str
