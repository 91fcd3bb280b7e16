"""What a connection needs of its faults, and of those that look on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dqlitewire.conversation import Side

if TYPE_CHECKING:
    from dqlitewire.proxy.passage import Passage

__all__ = ["Faulting", "Looker"]


class Looker(Protocol):
    """Who looks on: a recorder, or what shows messages as they pass.

    All is called in the step that forwards, and takes no longer than the traffic may be held up. Times are
    nanoseconds since 1970, connections are counted from 1.
    """

    def opened(self, connection: int, client: str, server: str, time: int) -> None:
        """Note a connection that stands on both sides.

        Args:
            connection: Its number.
            client: The address of the client.
            server: The address that was dialled.
            time: When.
        """

    def passed(self, connection: int, side: Side, data: bytes, time: int) -> None:
        """Note bytes that go on unchanged, cut anyhow.

        Args:
            connection: Its number.
            side: Who sent them.
            data: The bytes.
            time: When.
        """

    def changed(self, connection: int, side: Side, data: bytes, sent: bytes, time: int) -> None:
        """Note a whole frame that goes on otherwise.

        Args:
            connection: Its number.
            side: Who sent it.
            data: The frame as it came; empty if the proxy has made what goes on.
            sent: What goes on.
            time: When.
        """

    def fault(self, connection: int, kind: str, fault: int, on: str, time: int) -> None:
        """Note a fault that has struck, before the frame that it struck.

        Args:
            connection: Its number.
            kind: The kind of fault.
            fault: Its id.
            on: The name of the request.
            time: When.
        """

    def ended(self, connection: int, side: Side | None, time: int) -> None:
        """Note the end of a direction, or of a connection.

        Args:
            connection: Its number.
            side: Who sends no more; None at the end of the whole connection.
            time: When.
        """


class Faulting(Protocol):
    """The faults of one connection."""

    waiting_bytes: int

    @property
    def full(self) -> bool:
        """So much waits for answers that no more should be read from the client."""
        ...

    def holds(self, side: Side, header: bytes) -> bool:
        """Return whether a frame must be held whole.

        Args:
            side: Who sends it.
            header: Its 8 bytes.
        """
        ...

    def passing(self, side: Side, header: bytes) -> None:
        """Note a frame that is not held, so that requests and answers stay paired.

        Args:
            side: Who sends it.
            header: Its 8 bytes.
        """

    def passed(self, side: Side, tail: bytes) -> list[Passage]:
        """Return what goes on behind a frame that was not held, and has gone.

        Args:
            side: Who sent it.
            tail: Its last 8 bytes.
        """
        ...

    def frame(self, side: Side, frame: bytes) -> list[Passage]:
        """Return what goes on of a frame that was held, in either direction.

        Args:
            side: Who sent it.
            frame: The whole frame.
        """
        ...

    def leave(self) -> None:
        """End the connection."""
