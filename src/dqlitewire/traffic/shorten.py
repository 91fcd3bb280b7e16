"""Text for people, made to fit: cut to a width, on one line, counted."""

from __future__ import annotations

from dqlitewire.text import sanitize_for_log


def elide(text: str, width: int) -> str:
    """Cut text to a width, in the end."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def middle(text: str, width: int) -> str:
    """Cut text to a width, in the middle.

    Args:
        text: any.
        width: characters that are left, the ellipsis included.
    """
    if len(text) <= width:
        return text
    head = width // 2
    return text[:head] + "…" * (width > 0) + text[len(text) - max(0, width - head - 1) :]


def one_line(sql: str) -> str:
    """SQL text with its line ends and blanks folded."""
    return sanitize_for_log(" ".join(sql.split()))


def counted(number: int, noun: str, singular: str = "", plural: str = "", between: str = "") -> str:
    """A number with its noun, and a verb that agrees with it.

    Args:
        number: how many.
        noun: of one.
        singular: the verb for one; none by default.
        plural: the verb for another number.
        between: words between noun and verb.
    """
    words = (f"{number} {noun}", between, singular) if number == 1 else (f"{number} {noun}s", between, plural)
    return " ".join(filter(None, words))
