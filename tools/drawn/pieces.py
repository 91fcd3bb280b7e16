"""Put pieces of the examples into the pages that build them step by step.

A fence ```` ```python FILE ```` holds a piece of `examples/FILE`. Its first line says where the piece begins:
the next such line of the file. It ends where the next piece of the file on the page begins, the last one at
the end of the file. So the pieces of a page are the whole file, in its order, and what stands in front of
any piece's end is a module that runs.
"""

from __future__ import annotations

import re
from pathlib import Path

from tools.drawn import DOCS, ROOT

__all__ = ["PAGES", "files", "pieces"]

PAGES = [DOCS / "howto" / "driver.md"]
FENCE = re.compile(r"^```python (?P<file>\S+)\n(?P<first>.*)\n(?P<rest>(?:.*\n)*?)^```$", re.MULTILINE)


def pieces(page: str, name: str) -> list[str]:
    """Return the pieces of a file that a page shows; together they are the file.

    Args:
        page: its text.
        name: of a file in `examples/`.

    Raises:
        ValueError: a piece begins with a line that the file does not have there, or the first one too late.
    """
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    starts: list[int] = []
    at = 0
    for fence in FENCE.finditer(page):
        if fence["file"] != name:
            continue
        found = re.compile(f"^{re.escape(fence['first'])}$", re.MULTILINE).search(text, at)
        if found is None or (not starts and found.start()):
            raise ValueError(f"{name}: no piece begins with {fence['first']!r} here")
        starts.append(found.start())
        at = found.end()
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def redrawn(page: str) -> str:
    """Return the text of a page with its pieces as the files have them."""
    left: dict[str, list[str]] = {}

    def piece(fence: re.Match[str]) -> str:
        name = fence["file"]
        of_file = left.setdefault(name, pieces(page, name))
        return f"```python {name}\n{of_file.pop(0).rstrip()}\n```"

    return FENCE.sub(piece, page)


def files() -> dict[Path, str]:
    """Return the pages with pieces, as they should be."""
    return {page: redrawn(page.read_text(encoding="utf-8")) for page in PAGES}
