"""What the serving thread asks of what it serves: an engine and its sessions, or a stage and its plays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dqlitewire.testing.node.cluster import Member

__all__ = ["Served", "ServedSession"]


class ServedSession(Protocol):
    """One connection without its socket; see `dqlitewire.testing.node.session.Session`."""

    number: int
    closed: bool
    reset: bool
    busy: bool
    abandoned_at: float | None

    @property
    def pause(self) -> float:
        """Seconds to wait before the last returned bytes are sent."""
        ...

    @property
    def write_size(self) -> int | None:
        """Bytes to send at a time."""
        ...

    @property
    def write_pause(self) -> float:
        """Seconds between two such pieces."""
        ...

    @property
    def member(self) -> Member:
        """The node it is connected to."""
        ...

    @property
    def waiting(self) -> bool:
        """Whether reading more can wait."""
        ...

    def receive(self, data: bytes) -> None:
        """Take bytes."""

    def step(self) -> bytes | None:
        """Do the next piece of work and return what to send, None if that needs more input."""
        ...

    def close(self) -> None:
        """End."""


class Served(Protocol):
    """What answers; see `dqlitewire.testing.node.engine.Engine`."""

    stopping: bool
    breathe: Callable[[], None]

    def connect(self, member: Member) -> ServedSession:
        """Begin a connection."""
        ...

    def close(self) -> None:
        """End."""

    def leave(self) -> None:
        """Be the copy of a forked child."""
