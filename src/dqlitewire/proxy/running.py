"""What all connections of a running proxy share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from dqlitewire.text import sanitize_for_log

if TYPE_CHECKING:
    from dqlitewire.proxy.hooks import Hook
    from dqlitewire.proxy.protocols import Faulting, Looker

__all__ = ["Closing", "Running"]

_PATIENCE = 1.0  # seconds for what is still to be delivered when the proxy is closed
_MOST_ERRORS = 100  # that are kept
_LONGEST = 300  # characters of an address that are said
_MOST_STRAYS = 100  # addresses that are said to lead past the proxy
_READ = 1 << 18  # bytes that are read at once: one buffer for all, for a read is done with before the next


class Closing(Protocol):
    """What is open and can be closed."""

    def close(self) -> None:
        """Close it behind what is still to be delivered."""

    def abort(self) -> None:
        """Close it at once."""


class Running:
    """Shared by the connections; touched by the loop's thread alone.

    Args:
        lookers: Who is told of everything that passes.
        on_frame: The user's hook.
        new_faulting: Makes the faults of a connection from its number; None where none can be ordered.
        say: Takes what the user of a command should read, a line.
        astray: Takes a line for each address to which clients are led past the proxy.

    Attributes:
        loop: The one that everything runs in.
        buffer: What sockets are read into.
        lookers: Who is told of everything that passes.
        on_frame: The user's hook.
        open: The connections.
        errors: What went wrong on our side, such as in a hook; the first 100.
    """

    def __init__(
        self,
        lookers: Sequence[Looker],
        on_frame: Hook | None,
        new_faulting: Callable[[int], Faulting] | None,
        say: Callable[[str], None],
        astray: Callable[[str], None],
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.buffer: memoryview = memoryview(bytearray(_READ))
        self.lookers: tuple[Looker, ...] = tuple(lookers)
        self.on_frame = on_frame
        self.say, self._astray = say, astray
        self.open: set[Closing] = set()
        self.errors: list[BaseException] = []
        self._new_faulting = new_faulting
        self._tasks: set[asyncio.Task[None]] = set()
        self._strays: set[str] = set()

    def new_faulting(self, number: int) -> Faulting | None:
        """Return the faults of a new connection.

        Args:
            number: Of the connection.
        """
        return None if self._new_faulting is None else self._new_faulting(number)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside everything else, until the proxy is closed.

        Args:
            work: The coroutine.
        """
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed(error, f"{type(error).__name__}: {error}")

    def failed(self, error: BaseException, text: str) -> None:
        """Note what went wrong on our side.

        Args:
            error: It.
            text: The same for people.
        """
        if len(self.errors) < _MOST_ERRORS:
            self.errors.append(error)
        self.say(text)

    def strays(self, address: str) -> None:
        """Say of an address that leads clients past the proxy that it does, once.

        Args:
            address: As a node names it; of thousands of them the first hundred are said.
        """
        if address not in self._strays and len(self._strays) < _MOST_STRAYS:
            self._strays.add(address)
            shown = sanitize_for_log(address[:_LONGEST])
            self._astray(f"clients are led to {shown}, which no pair of this proxy covers for them")

    async def close(self) -> None:
        """End all connections and tasks, behind what is still to be delivered if that does not take long."""
        for one in tuple(self.open):
            one.close()
        await self._wait_for_the_end(_PATIENCE)
        for one in tuple(self.open):
            one.abort()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=_PATIENCE)
        await self._wait_for_the_end(_PATIENCE)

    async def _wait_for_the_end(self, seconds: float) -> None:
        end = self.loop.time() + seconds
        pause = 0.0
        while self.open and self.loop.time() < end:
            await asyncio.sleep(pause)
            pause = 0.01
