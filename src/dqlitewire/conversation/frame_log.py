"""One elided line a frame through the standard `logging`, both directions, at DEBUG.

`logging` is not imported here: in a process that has not imported it no logger can be at DEBUG. Whether
frames are logged is decided when a conversation is made, so that it costs one `is None` afterwards.
Parameters, rows and files are counted, their values are never written; SQL text is, shortened.
"""

from __future__ import annotations

import sys

from ..header import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..messages import Message

    FrameLog = Callable[[bool, int, int, "Message | None"], None]

__all__ = ["LOGGER", "describe_frame", "frame_log"]

LOGGER = "dqlitewire.conversation"
_TEXT_WIDTH = 60


def frame_log(role: str, is_client: bool, wanted: bool | None) -> FrameLog | None:
    """Return a function that logs a frame, or None when nothing is to be logged.

    Args:
        role: "client" or "server", at the head of each line.
        is_client: whether the frames that are sent are requests.
        wanted: False for never; True to ask the logger at every frame; None to ask it once, here.

    Returns:
        A function of: whether the frame is sent, its type, its size in bytes, the message if it was decoded.
    """
    if wanted is False or (wanted is None and "logging" not in sys.modules):
        return None
    from ..log import logger

    log = logger(LOGGER)
    if wanted is None and not log.isEnabledFor(10):
        return None

    def write(sent: bool, kind: int, size: int, message: Message | None) -> None:
        text = describe_frame(kind, size, message, is_request=sent is is_client)
        log.debug("%s %s %s", role, ">>" if sent else "<<", text)

    return write


def describe_frame(kind: int, size: int, message: Message | None, *, is_request: bool) -> str:
    """Return one line about a frame: its type, its fields, its size; parameters, rows and files are counted.

    Args:
        kind: the type byte.
        size: bytes of the frame, header included.
        message: what it decodes to, None if it does not or was not decoded.
        is_request: whether it goes from client to server.
    """
    words = [type_name(kind, is_request)]
    for field in getattr(message, "FIELDS", ()):
        if field.is_attribute:
            words.append(f"{field.name}={_elided(getattr(message, field.name))}")
    words.append(f"({size} bytes)")
    return " ".join(words)


def _elided(value: object) -> str:
    if isinstance(value, str):
        from ..text import sanitize_for_log

        text = sanitize_for_log(value)
        return repr(text if len(text) <= _TEXT_WIDTH else text[: _TEXT_WIDTH - 1] + "…")
    if isinstance(value, (int, type(None))):
        return str(value)
    return f"[{len(value)}]"  # type: ignore[arg-type]
