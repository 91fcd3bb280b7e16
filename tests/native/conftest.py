"""Tests of the native module run where it is there; where CI runs natively it must be."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from dqlitewire import speedups
from tests.fuzz import checks

WITHOUT = ("test_loader.py", "test_sanitize.py", "test_growth.py")  # files that need no module, or build one
PURE = os.environ.get("DQLITEWIRE_PURE", "0") not in ("", "0")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if speedups.native is None and item.path.name not in WITHOUT:
        if os.environ.get("CI") == "true" and not PURE:
            pytest.fail(f"the native module should be there: {speedups.why}")
        pytest.skip(f"no native module: {speedups.why}")


@pytest.fixture(autouse=True, scope="module")
def natively() -> Iterator[None]:
    with checks.native(True):
        yield
