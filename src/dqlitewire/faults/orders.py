"""The calls with which a test orders faults."""

from __future__ import annotations

from collections.abc import Callable

from dqlitewire.faults.faults import Corrupt, Delay, Drop, Fail, Fault, Faults, SplitWrites, Where
from dqlitewire.servers.releases import Release
from dqlitewire.testing.arguments import Selection, check_number, shown

__all__ = ["FaultOrders"]

_MESSAGES = {
    1: "SQL logic error",
    5: "database is locked",
    7: "out of memory",
    10: "disk I/O error",
    12: "no database opened",
    13: "database or disk is full",
    261: "database is locked",
    517: "database is locked",
    1005: "bind parameters",
    10250: "not leader",
}
_LEADERSHIP_LOST = 10506


class FaultOrders:
    """Faults for all nodes of a server or cluster; they strike in the order in which they were ordered."""

    generation: Release

    @property
    def _faults(self) -> Faults:
        # where orders go: each class that takes them has its own
        raise NotImplementedError

    def order(self, fault: Fault) -> Fault:
        """Order a fault made by hand.

        Raises:
            TypeError: it is no fault.
        """
        if not isinstance(fault, Fault):  # pyright: ignore
            raise TypeError(f"fault {shown(fault)}, must be a Fault")
        self._faults.order(fault)
        return fault

    def clear_faults(self) -> None:
        """Cancel all ordered faults."""
        self._faults.clear()

    def fail_next(
        self,
        code: int,
        message: str | None = None,
        *,
        times: int | None = 1,
        after: int = 0,
        on: Selection = None,
        connection: int | None = None,
        executed: bool = False,
    ) -> Fault:
        """Answer the next requests with a FAILURE.

        Args:
            code: Its code.
            message: Its text; by default the one a node gives with this code.
            times: How many requests; None for all from now on.
            after: How many requests to let pass first.
            on: Requests to apply to: types, message classes or names such as "EXEC_SQL"; None for all.
            connection: Number of the one connection to apply to.
            executed: Carry the request out all the same, as with leadership lost at the wrong moment.
        """
        if message is None:
            check_number("code", code, 0)
            message = (
                self.generation.lost_text
                if code == _LEADERSHIP_LOST
                else _MESSAGES.get(code, "failed on order")
            )
        return self.order(Fail(code, message, executed, Where(on, connection, times, after)))

    def drop_after(
        self,
        *,
        bytes: int = 0,
        frames: int = 0,
        times: int | None = 1,
        after: int = 0,
        on: Selection = None,
        connection: int | None = None,
        reset: bool = False,
        executed: bool = True,
    ) -> Fault:
        """Close a connection after so many frames, and bytes of the next one, counted from the next answer.

        Args:
            bytes: Bytes that still go out after the whole frames.
            frames: Whole frames that still go out.
            times: How many connections; None for all from now on.
            after: How many answers to let pass first.
            on: Request types whose answer starts the count; None for all.
            connection: Number of the one connection to apply to.
            reset: Close with RST, not FIN.
            executed: Carry the request out; False closes before that, whatever `bytes` and `frames`.
        """
        return self.order(Drop(bytes, frames, reset, executed, Where(on, connection, times, after)))

    def delay(
        self,
        seconds: float,
        *,
        times: int | None = 1,
        after: int = 0,
        on: Selection = None,
        connection: int | None = None,
    ) -> Fault:
        """Wait before the first byte of the next answers."""
        return self.order(Delay(seconds, Where(on, connection, times, after)))

    def split_writes(
        self,
        size: int,
        *,
        pause: float = 0.0,
        times: int | None = None,
        after: int = 0,
        on: Selection = None,
        connection: int | None = None,
    ) -> Fault:
        """Send the next answers in pieces of `size` bytes, `pause` seconds apart."""
        return self.order(SplitWrites(size, pause, Where(on, connection, times, after)))

    def corrupt(
        self,
        change: Callable[[bytes], bytes] | None = None,
        *,
        at: int = 4,
        xor: int = 0xFF,
        times: int | None = 1,
        after: int = 0,
        on: Selection = None,
        connection: int | None = None,
    ) -> Fault:
        """Change the frames of the next answers.

        Args:
            change: Called with each whole frame, returns what is sent instead.
            at: Without `change`: the byte to spoil, counted from the frame's start (4 is the type).
            xor: Without `change`: what the byte is xor-ed with.
            times: How many answers.
            after: How many answers to let pass first.
            on: Request types to apply to; None for all.
            connection: Number of the one connection to apply to.
        """

        check_number("at", at, 0)
        check_number("xor", xor, 0, 255)

        def flip(frame: bytes) -> bytes:
            if at >= len(frame):
                return frame
            return frame[:at] + frame[at : at + 1].translate(_xor_table(xor)) + frame[at + 1 :]

        return self.order(Corrupt(flip if change is None else change, Where(on, connection, times, after)))


def _xor_table(value: int) -> bytes:
    return bytes(byte ^ value for byte in range(256))
