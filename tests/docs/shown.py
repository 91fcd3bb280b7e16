"""Blocks of Python, each with what the page shows as its output: the `text` block that follows it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.docs.blocks import Block, blocks

__all__ = ["shown"]


def shown(page: str) -> Iterator[tuple[Block, Block | None]]:
    """Yield the blocks of Python of a page, each with the output that stands under it, or None.

    Args:
        page: its name from the root of the project on.

    Raises:
        AssertionError: an output follows nothing that has one.
    """
    code: Block | None = None
    for block in blocks(page):
        if block.language == "text":
            assert code is not None, f"{block.place}: the output of what?"
            yield code, block
            code = None
            continue
        if code is not None:
            yield code, None
        code = block if block.language == "python" else None
    if code is not None:
        yield code, None
