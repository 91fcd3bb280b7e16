"""A server with a table `t`, whose database "main" the fixture `client` has open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dqlitewire.testing import DqliteServer
from tests.testing.embedded import embedded


@pytest.fixture
def server() -> Iterator[DqliteServer]:
    with embedded("a") as server:
        yield server
