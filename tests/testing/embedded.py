"""An embedded server for a test: with a table in its database "main", and no defect of its own at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dqlitewire.testing import DqliteServer


@contextmanager
def embedded(columns: str = "a INTEGER PRIMARY KEY, b", **options: Any) -> Iterator[DqliteServer]:
    """Serve a table `t` with these columns."""
    with DqliteServer(**options) as server:
        server.run_sql("main", f"CREATE TABLE t ({columns})")
        yield server
        assert server.errors == []
