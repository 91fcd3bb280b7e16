"""How hard tests try.

Hypothesis: `quick` by default, `thorough` with DQLITE_WIRE_HYPOTHESIS=thorough. What takes minutes, such as
each client with each server, runs with DQLITE_WIRE_DEEP=1.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

DEEP = os.environ.get("DQLITE_WIRE_DEEP") == "1"

_COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}

settings.register_profile("quick", max_examples=30, derandomize=True, **_COMMON)
settings.register_profile("thorough", max_examples=3000, **_COMMON)
settings.load_profile(os.environ.get("DQLITE_WIRE_HYPOTHESIS", "quick"))
