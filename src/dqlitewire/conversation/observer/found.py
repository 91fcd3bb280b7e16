"""What is said of a place in a stream by those who look at it, and never change anything.

Three look: `opening.Opening` at what a stream begins with, `frame_stream.FrameCutter` and
`raft_stream.RaftCutter` at what follows. Each is told the bytes that wait, a place in them, where in the
stream they stand and whether more can come. What to do about the answer (take bytes, emit an event, go to
another state, wait) is the business of `stream_reader` alone.

`look` tells what stands at the place itself, with one number:

    WHOLE, 80       all of a frame, message or preamble is there: 80 bytes
    LARGE, 1 << 30  a frame or message of so many bytes is above the cap, and begins here
    WAIT, 80        80 bytes from the place on will tell
    HEAD, 65537     the end of an HTTP head will tell, or else so many bytes
    STEP, 0         frames begin here, without a preamble
    LOSS, 16        this makes no sense: 16 bytes are garbage, and behind them a place is to be looked for

`find` searches for a place where a stream that was lost goes on, and answers with two numbers:

    STEP, 24, 0     24 bytes are garbage; behind them frames or messages go on
    WAIT, 24, 80    24 bytes are garbage; whether it goes on behind them, the 80 that follow will tell
    NOTHING, 24, 0  24 bytes are garbage; in the few behind them a header may begin
"""

from __future__ import annotations

from enum import Enum, auto

__all__ = ["Found"]


class Found(Enum):
    """What begins at a place of a stream."""

    WHOLE = auto()
    LARGE = auto()
    WAIT = auto()
    HEAD = auto()
    STEP = auto()
    LOSS = auto()
    NOTHING = auto()
