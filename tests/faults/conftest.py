"""A server with a table `t`, and a connection on which its database "main" is open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dqlitewire.testing import DqliteServer
from tests.real.raw import RawConnection


@pytest.fixture
def server() -> Iterator[DqliteServer]:
    with DqliteServer() as server:
        server.run_sql("main", "CREATE TABLE t (a)")
        yield server
        assert server.errors == []


@pytest.fixture
def client(server: DqliteServer) -> Iterator[RawConnection]:
    with RawConnection(server.address) as client:
        client.open("main")
        yield client
