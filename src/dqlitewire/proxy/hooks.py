"""What a hook is given, and what it may return.

async def on_frame(frame):
    if frame.direction == "request" and isinstance(frame.message, ExecSqlRequest):
        return ExecSqlRequest(0, "SELECT 1").encode()

async with Proxy({"127.0.0.1:0": "10.0.0.1:9001"}, on_frame=on_frame) as proxy: ...
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from functools import cached_property
from typing import Final, Literal

from dqlitewire.codec import decode_message
from dqlitewire.conversation import Side
from dqlitewire.exceptions import DecodeError
from dqlitewire.header import HEADER, type_name
from dqlitewire.messages import Message, ServersResponse

__all__ = ["DROP", "Frame", "Hook", "Verdict"]


class Verdict(Enum):
    """What a hook says about a frame other than with bytes."""

    DROP = "drop"


DROP: Final = Verdict.DROP
"""Returned by a hook: the frame does not go on."""


class Frame:
    """One frame on its way, as a hook sees it.

    Args:
        connection: The number of the connection, counted from 1.
        side: Who sent it.
        data: The frame, header included.
        version: Of the client's handshake.
        time: Nanoseconds since 1970, when it came.

    Attributes:
        connection: The number of the connection, counted from 1.
        direction: "request" or "response".
        type: The type code of its header.
        schema: The schema byte of its header.
        data: The frame, header included.
        time: Nanoseconds since 1970, when it came.
    """

    def __init__(self, connection: int, side: Side, data: bytes, version: int, time: int) -> None:
        self.connection = connection
        self.direction: Literal["request", "response"] = "request" if side is Side.CLIENT else "response"
        self.data = data
        self.time = time
        self._version = version
        _, self.type, self.schema, _ = HEADER.unpack_from(data)

    @cached_property
    def message(self) -> Message:
        """The message, decoded when it is first asked for.

        Raises:
            DecodeError: It does not decode.
        """
        try:
            return decode_message(
                self.data,
                self.direction == "request",
                self._version,
                "accept",
                text_errors="surrogateescape",
                max_message_size=None,
                max_rows=None,
                max_total_rows=None,
            )
        except DecodeError:
            if self.name != "SERVERS":
                raise
            # CLUSTER was asked for format 0, which does not stand in the answer
            return ServersResponse.decode_body(self.data[HEADER.size :], format=0)

    @property
    def name(self) -> str:
        """The name of its type, "type N" if the protocol has none for it."""
        return type_name(self.type, self.direction == "request")

    def __repr__(self) -> str:
        return (
            f"<Frame {self.name}, {self.direction} of connection {self.connection}, {len(self.data)} bytes>"
        )


Hook = Callable[[Frame], Awaitable["Frame | bytes | Verdict | None"]]
"""What is called for each frame. It returns None or the frame (it goes on unchanged), bytes (they go on
instead), or `DROP`."""
