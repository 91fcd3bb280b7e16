"""A connection as its parts see it: what an end and a stream need of the relay that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from dqlitewire.conversation import Side

if TYPE_CHECKING:
    from dqlitewire.proxy.opening import Opening
    from dqlitewire.proxy.passage import Passage
    from dqlitewire.proxy.running import Running

__all__ = ["Connection", "Socket"]


class Socket(Protocol):
    """The end of a connection, as a stream sees it."""

    transport: Any
    forward: Any

    def pause(self, reason: int = ...) -> None:
        """Do not read."""

    def resume(self, reason: int = ...) -> None:
        """Read again."""


class Connection(Protocol):
    """A connection, as its ends and its streams see it."""

    @property
    def running(self) -> Running:
        """What all connections share."""
        ...

    @property
    def number(self) -> int:
        """The number of the connection, counted from 1."""
        ...

    @property
    def opening(self) -> Opening:
        """What it began with."""
        ...

    @property
    def closed(self) -> bool:
        """Nothing goes on any more."""
        ...

    raft: bool

    def end_of(self, side: Side) -> Socket:
        """Return the socket to a side."""
        ...

    def answered(self) -> None:
        """Look again at requests that were waiting for answers."""

    def put(self, passage: Passage) -> None:
        """Let something go on in its direction."""

    def made(self, side: Side) -> None:
        """Take a socket that is there."""

    def ended(self, side: Side) -> None:
        """Take the end of a direction, which comes behind all its bytes."""

    def lost(self, side: Side, error: Exception | None) -> None:
        """Take the end of a socket."""

    def finish(self, side: Side) -> None:
        """Pass on the end of a direction."""

    def close(self, *, reset: bool = False) -> None:
        """End both sides, behind what is still to be delivered."""

    def strange(self) -> None:
        """Let every byte pass that comes."""
