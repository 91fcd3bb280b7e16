"""docs/guides/codec.md: its code runs, and prints what its comments say."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import Block, blocks
from tests.docs.running import run_python

PAGE = "docs/guides/codec.md"


@pytest.mark.parametrize("block", blocks(PAGE, "python"), ids=lambda block: str(block.line))
def test_the_code(block: Block) -> None:
    printed = run_python([block])
    assert printed.splitlines() == re.findall(r"print\(.*?\)  # (.*)$", block.text, re.MULTILINE)
