"""What a real node does not survive, or this server does not let through, recorded so that a test can assert
that its driver never does it. `dqlitewire.servers.hazards` has the kinds.
"""

from __future__ import annotations

from dataclasses import dataclass

from dqlitewire.servers.hazards import HazardKind

__all__ = ["Hazard", "HazardKind"]


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
