"""A frame above the cap while it passes: its head is kept, and its last eight bytes.

A node may send a database file in one frame, and no reader of traffic should need the memory for it. What
tools show of such a frame is its header, its size and when it ended, and whether more frames follow tells the
last word (the marker of ROWS). So the frame object is made from the head alone, comes out when its end has
passed, and says in `left_out` how many bytes are missing from `data`:

    | head: data |          left_out            |
    |            | counted ...         |  tail  |
                 `- left: still to come, goes down to 0

Of the bytes that are not kept any may be lost without a change: only the tail is then not known. Messages
between nodes are treated alike.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .exchange import Frame
    from .raft_frame import RaftFrame

__all__ = ["LARGE_HEAD", "Large"]

LARGE_HEAD = 512  # bytes of a large frame that are kept


class Large:
    """One large frame, or message between nodes, whose end has not come.

    Args:
        frame: its head.
        left: how many bytes of it are still to come.

    Attributes:
        frame: its head.
        left: how many bytes of it are still to come.
    """

    __slots__ = ("frame", "left")

    def __init__(self, frame: Frame | RaftFrame, left: int) -> None:
        self.frame: Frame | RaftFrame = frame
        self.left: int = left
        frame.left_out, frame.tail = left, b""

    def add(self, size: int, last: bytes, time: float) -> None:
        """Let bytes pass, of which these are the last."""
        self.left -= size
        self.frame.tail = (self.frame.tail + last)[-8:]
        self.frame.end = time

    def miss(self, size: int) -> None:
        """Let bytes pass that were lost."""
        self.left -= size
        self.frame.tail = b""

    def end(self) -> Frame | RaftFrame:
        """Return the frame; what is still to come of it is missing."""
        self.frame.left_out -= self.left
        self.frame.damaged = self.frame.damaged or self.left > 0
        return self.frame
