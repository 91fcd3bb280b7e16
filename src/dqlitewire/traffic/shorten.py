"""Text for people, made to fit: cut to a width, on one line, counted."""

from __future__ import annotations

from collections.abc import Sequence

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


def apart(texts: Sequence[str], width: int) -> list[str]:
    """Cut texts to a width, so that no two of them look the same.

    They are cut in the middle. Where that is all by which two differ, they are shown from their first
    difference on, and where that does not help, they are numbered.

    Args:
        texts: different things, which may read the same.
        width: characters that are left of each; from 8 on all can be told apart.
    """
    shown = [middle(text, width) for text in texts]
    for group in _alike(shown):
        start = _common([texts[at] for at in group])
        for at in group:
            shown[at] = _around(texts[at], start, width)
    taken = set(shown)
    for group in _alike(shown):
        number = 1
        for at in group[1:]:
            while (numbered := _numbered(texts[at], number := number + 1, width)) in taken:
                pass
            shown[at] = numbered
            taken.add(numbered)
    return shown


def _alike(shown: list[str]) -> list[list[int]]:
    """The places of the texts that look the same."""
    places: dict[str, list[int]] = {}
    for at, text in enumerate(shown):
        places.setdefault(text, []).append(at)
    return [group for group in places.values() if len(group) > 1]


def _common(texts: Sequence[str]) -> int:
    """How many characters all texts begin with."""
    least, most = min(texts), max(texts)  # all others are between these two
    return next((at for at, char in enumerate(least) if char != most[at]), len(least))


def _around(text: str, start: int, width: int) -> str:
    """Cut text so that what stands from a place on is seen."""
    head = width // 3
    if len(text) <= width or start <= head:
        return middle(text, width)
    return f"{text[:head]}…{middle(text[max(head, start - 4) :], width - head - 1)}"


def _numbered(text: str, number: int, width: int) -> str:
    mark = f" #{number}"
    return middle(text, width - len(mark)) + mark


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
