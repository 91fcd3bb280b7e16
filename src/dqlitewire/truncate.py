"""Shorten long text, saying how much was dropped."""

from __future__ import annotations

__all__ = ["DEFAULT_MAX_RAW_MESSAGE", "cap_raw_message"]

DEFAULT_MAX_RAW_MESSAGE = 4096


def cap_raw_message(raw_message: str | None, max_chars: int) -> str | None:
    """Return the first `max_chars` code points of a message, followed by the count of those dropped.

    Raises:
        ValueError: `max_chars` is negative.
    """
    if max_chars < 0:
        raise ValueError(f"max_chars is {max_chars}, at least 0")
    if raw_message is None or len(raw_message) <= max_chars:
        return raw_message
    dropped = len(raw_message) - max_chars
    return f"{raw_message[:max_chars]}... [raw_message truncated, {dropped} codepoints]"
