"""Run what stands in the blocks of a page, and compare what it prints with what stands there."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.docs.blocks import Block

# what differs from run to run, and what stands for it when both texts are compared
VARYING = (
    (re.compile(r"\b127\.0\.0\.1:\d+\b"), "127.0.0.1:PORT"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:us|ms|s)\b"), "TIME"),
)


def as_compared(text: str) -> str:
    """Return a text without what differs from run to run: ports of this machine, and durations.

    Args:
        text: what a page shows, or what a command printed.
    """
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def replaced(text: str, places: Mapping[str, str]) -> str:
    """Return a text in which what stands on the page is replaced by what stands here.

    Args:
        text: of the page.
        places: text of the page -> text here.
    """
    for there, here in places.items():
        text = text.replace(there, here)
    return text


def run_python(
    code: Iterable[Block], names: dict[str, Any] | None = None, places: Mapping[str, str] | None = None
) -> str:
    """Run blocks of Python one after the other in one module, and return what they print.

    Args:
        code: the blocks.
        names: what is there before the first one; gets what the blocks define.
        places: text of the page -> text here.
    """
    names = {} if names is None else names
    names.setdefault("__name__", "page")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for block in code:
            text = "\n" * block.line + replaced(block.text, places or {})  # lines as on the page
            exec(compile(text, block.place.rpartition(":")[0], "exec"), names)
    return out.getvalue()
