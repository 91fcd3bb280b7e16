"""Fixtures for pytest, registered by entry point; the server is imported when the first of them is used.

`dqlite_server` is an embedded server for one test, `dqlite_cluster` a fake cluster of three nodes;
`dqlite_proxy` makes proxies in front of them or of any other nodes, `dqlite_recording` plays what was
recorded from a node.  The marker `dqlite(...)` hands the first two arguments:
`@pytest.mark.dqlite("1.11.1", nodes=5)`, the generation by place or by name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dqlitewire.proxy import BlockingProxy
    from dqlitewire.testing import DqliteCluster, DqliteServer
    from dqlitewire.testing.recordings import Recordings

__all__ = ["dqlite_cluster", "dqlite_proxy", "dqlite_recording", "dqlite_server"]


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "dqlite(generation, **options): options of the embedded dqlite server or cluster"
    )


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    item: pytest.Item = request.node
    options: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("dqlite"))):
        options.update(_by_name(*marker.args, **marker.kwargs))
    return options


def _by_name(*args: Any, **options: Any) -> dict[str, Any]:
    if len(args) > 1:
        raise pytest.UsageError(f"mark dqlite with {len(args)} arguments by place, at most the generation")
    if args and "generation" in options:
        raise pytest.UsageError("mark dqlite with two generations, at most one")
    return {"generation": args[0], **options} if args else options


def _class(name: str) -> Any:
    # a test that needs what is not there fails in one line; the others of the session do not need it
    from dqlitewire import testing

    try:
        return getattr(testing, name)
    except ModuleNotFoundError as error:
        pytest.fail(str(error), pytrace=False)


def _raise_first(errors: list[BaseException]) -> None:
    if errors:
        raise errors[0]


@pytest.fixture
def dqlite_server(request: pytest.FixtureRequest) -> Iterator[DqliteServer]:
    """Start an embedded dqlite server; `.address` is where clients connect.

    The marker `dqlite(generation, **options)` gives it the arguments of `DqliteServer`.  The test ends with
    an error if the server itself failed (its first exception), and with `strict=True` if a fault never hit.
    """
    with _class("DqliteServer")(**_options(request)) as server:
        yield server
        _raise_first(server.errors)


@pytest.fixture
def dqlite_cluster(request: pytest.FixtureRequest) -> Iterator[DqliteCluster]:
    """Start a fake dqlite cluster of three nodes, the first of which leads.

    The marker `dqlite(generation, **options)` gives it the arguments of `DqliteCluster`, `nodes=5` for
    example.  The test ends with an error as one of `dqlite_server` does.
    """
    with _class("DqliteCluster")(**_options(request)) as cluster:
        yield cluster
        _raise_first(cluster.errors)


@pytest.fixture
def dqlite_proxy() -> Iterator[Callable[..., BlockingProxy]]:
    """Make proxies: `proxy = dqlite_proxy(server.address)`; `proxy[server.address]` is where clients connect.

    It takes the addresses of nodes, each of which gets a free port of 127.0.0.1 (or pairs LOCAL=REAL[=NAME]),
    and the options of `Proxy`.  Each proxy ends with the test, which ends with an error if one of its hooks
    failed (the first exception), and with `strict=True` if a fault never hit.
    """
    from dqlitewire.proxy import BlockingProxy

    with ExitStack() as ending:
        proxies: list[BlockingProxy] = []

        def proxy(*nodes: str, **options: Any) -> BlockingProxy:
            pairs = [node if "=" in node else f"127.0.0.1:0={node}" for node in nodes]
            proxies.append(ending.enter_context(BlockingProxy(pairs, **options)))
            return proxies[-1]

        yield proxy
        for made in proxies:
            _raise_first(made.errors)


@pytest.fixture
def dqlite_recording(request: pytest.FixtureRequest) -> Iterator[Recordings]:
    """Play recorded traffic to the test's client: `dqlite_recording("name")` returns where to connect.

    `recordings/name.dqt` beside the test is played; with DQLITE_RECORD=new it is recorded from the node at
    DQLITE_ADDRESS, with DQLITE_RECORD=off the test talks to that node.  The test ends with an error if its
    client asked for something else than was recorded, or for less; `match=True` allows any order.
    """
    from dqlitewire.testing.recordings import RecordingError, Recordings

    class OfTest(Recordings):
        def __call__(self, name: str, *, match: bool = False) -> str:
            try:
                return super().__call__(name, match=match)
            except RecordingError as error:
                pytest.fail(str(error), pytrace=False)

    try:
        with OfTest(request.path.parent, os.environ) as recordings:
            yield recordings
    except RecordingError as error:
        pytest.fail(str(error), pytrace=False)
