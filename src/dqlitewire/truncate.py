"""Shorten long text, saying how much was dropped."""

from __future__ import annotations

__all__ = ["DEFAULT_MAX_RAW_MESSAGE", "cap_raw_message"]

DEFAULT_MAX_RAW_MESSAGE = 4096


def cap_raw_message(raw_message: str | None, max_chars: int) -> str | None:
    """Return the beginning of a message, followed by the count of the code points dropped.

    Args:
        raw_message: the message; None comes back as it is.
        max_chars: code points to keep.

    Raises:
        ValueError: `max_chars` is negative.
    """
    if max_chars < 0:
        raise ValueError(f"max_chars is {max_chars}, at least 0")
    if raw_message is None or len(raw_message) <= max_chars:
        return raw_message
    dropped = len(raw_message) - max_chars
    return f"{raw_message[:max_chars]}... [raw_message truncated, {dropped} codepoints]"
