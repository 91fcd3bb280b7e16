"""The code of the pages about order, failures and limits."""

from __future__ import annotations

import pytest

from tests.docs.blocks import blocks
from tests.docs.running import run_python


@pytest.mark.parametrize("page", ["explanation/order.md", "reference/failures.md", "reference/limits.md"])
def test_the_code_prints_what_the_page_says(page: str) -> None:
    (block,) = blocks(f"docs/{page}", "python")
    shown = [line.removeprefix("# ") for line in block.text.splitlines() if line.startswith("# ")]
    assert run_python([block]).splitlines() == shown
    assert shown
