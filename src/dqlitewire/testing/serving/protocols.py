"""What the serving thread asks of the service behind it: an embedded node's engine, or a script.

`Service` answers `connect` with one `ServiceSession` for each connection: bytes go in by `receive`, bytes
come out by `step`. Neither knows a socket, and only the serving thread calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dqlitewire.testing.node.cluster import Member

__all__ = ["Service", "ServiceSession"]


class ServiceSession(Protocol):
    """One connection without its socket; see `dqlitewire.testing.node.session.Session`."""

    number: int
    closed: bool
    reset: bool
    busy: bool
    abandoned_at: float | None

    @property
    def pause(self) -> float:
        """Seconds to wait before the bytes returned last are sent; before the next step if there are none."""
        ...

    @property
    def write_size(self) -> int | None:
        """Bytes to send at a time, None for as many as fit."""
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


class Service(Protocol):
    """What answers; see `dqlitewire.testing.node.engine.Engine`.

    Attributes:
        stopping: Set by the thread: whatever runs shall end.
        breathe: Set by the thread: to be called now and then in the middle of a step that takes long.
    """

    stopping: bool
    breathe: Callable[[], None]

    def connect(self, member: Member) -> ServiceSession:
        """Begin a connection."""
        ...

    def close(self) -> None:
        """End."""

    def leave(self) -> None:
        """Be the copy of a forked child."""
