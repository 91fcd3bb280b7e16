"""What tests that build the native module need."""

from __future__ import annotations

import os

import pytest

from tests.fuzz import sanitize


def needed(*wanted: str) -> None:
    """Skip where "Python.h", "libasan" or gcc is missing; where CI=true, only headers may be."""
    if lacking := sanitize.missing(*wanted):
        if os.environ.get("CI") == "true" and lacking != "Python.h":
            pytest.fail(f"{lacking} is missing")
        pytest.skip(f"{lacking} is missing")
