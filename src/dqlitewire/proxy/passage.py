"""What becomes of one frame on its way through a proxy."""

from __future__ import annotations

from dataclasses import dataclass

from dqlitewire.conversation import Side

__all__ = ["Passage", "TakenFault"]


@dataclass(frozen=True, slots=True)
class TakenFault:
    """A fault that has struck.

    Attributes:
        fault: Its id, counted from 1 in the order of ordering.
        kind: Its kind, as fault words name it.
        on: The name of the request that it selected.
    """

    fault: int
    kind: str
    on: str


@dataclass(frozen=True, slots=True)
class Passage:
    """One frame, what goes on in its place, and how.

    Attributes:
        side: Who sends: `Side.CLIENT` for bytes on their way to the node, `Side.SERVER` to the client.
        data: The frame as it came; empty where the proxy answers in the node's place.
        sent: The bytes that go on; empty where nothing does.
        pause: Seconds to wait before they go.
        write_size: Bytes to write at a time; None for as many as fit.
        write_pause: Seconds between two such pieces.
        closed: The connection ends behind them.
        reset: It ends by RST, not FIN.
        taken: Faults that struck with this frame.
    """

    side: Side
    data: bytes
    sent: bytes
    pause: float = 0.0
    write_size: int | None = None
    write_pause: float = 0.0
    closed: bool = False
    reset: bool = False
    taken: tuple[TakenFault, ...] = ()
