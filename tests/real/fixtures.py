"""The fixtures that hand real nodes to tests; `tests/conftest.py` makes them known everywhere below tests/.

| fixture | scope | what |
|---|---|---|
| `node_kind` | session, parametrised | every kind of `nodes.SERVERS` |
| `real_node` | function | the shared one-node cluster of `node_kind` (a `Node`) |
| `real_address` | function | its address |
| `old_node` | function | the shared 1.11.1 node |
| `new_node` | function, parametrised | the shared node of every other kind |
| `real_nodes` | session | `real_nodes(kind)` gives the shared node of a kind |
| `own_node` | function | `own_node(kind)` starts one for this test alone, which may abort it |
| `real_cluster` | function | `real_cluster(kind, count=3)` forms a cluster for this test alone |
| `database` | function | a database name nobody else uses |

A shared node must survive: never send it what aborts a server. If it dies all the same, the test that killed
it fails with the node's last words, and the next test gets a new one. Without the servers these tests skip;
with CI=true they fail instead, unless no mirror has the server. Failures on a release that the tables do not
know are told apart by `moved.py`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from tests.real.moved import note
from tests.real.nodes import KINDS, LATENCY_MS, SERVERS, Cluster, Node, absent, missing

OLD = "1.11.1"
_database_numbers = itertools.count(1)


def require(reason: str) -> None:
    """Skip for this reason, if there is one; on CI fail."""
    if reason:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


def require_server(kind: str) -> None:
    """Skip without this kind of server; on CI fail, unless no mirror has it."""
    if kind in SERVERS and absent(kind):
        pytest.skip(missing(kind))
    require(missing(kind))


class SharedNodes:
    """One node for each kind, started at first use."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def __call__(self, kind: str) -> Node:
        require_server(kind)
        node = self._nodes.get(kind)
        if node is not None and not node.alive():
            del self._nodes[kind]
            node.stop()  # closes what it was started with, and drops its data
            node = None
        if node is None:
            # a node that is alone needs no quick timers, which take a processor's time while it waits
            node = self._nodes[kind] = Node(kind, latency=None).start()
        return node

    def check(self) -> None:
        """Fail if a shared node has died since it was last handed out."""
        for kind, node in list(self._nodes.items()):
            if not node.alive():
                del self._nodes[kind]
                words = node.log_tail()
                pytest.fail(f"the shared node {kind} died, exit {node.stop()}: {words}")

    def stop(self) -> None:
        for node in self._nodes.values():
            node.stop()


@pytest.fixture(scope="session", params=KINDS)
def node_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture(scope="session")
def real_nodes() -> Iterator[SharedNodes]:
    nodes = SharedNodes()
    yield nodes
    nodes.stop()


def _shared(request: pytest.FixtureRequest, nodes: SharedNodes, kind: str) -> Iterator[Node]:
    note(request, kind)
    yield nodes(kind)
    nodes.check()


@pytest.fixture
def real_node(request: pytest.FixtureRequest, real_nodes: SharedNodes, node_kind: str) -> Iterator[Node]:
    yield from _shared(request, real_nodes, node_kind)


@pytest.fixture
def old_node(request: pytest.FixtureRequest, real_nodes: SharedNodes) -> Iterator[Node]:
    yield from _shared(request, real_nodes, OLD)


@pytest.fixture(params=[kind for kind in KINDS if kind != OLD])
def new_node(request: pytest.FixtureRequest, real_nodes: SharedNodes) -> Iterator[Node]:
    yield from _shared(request, real_nodes, request.param)


@pytest.fixture
def real_address(real_node: Node) -> str:
    return real_node.address


@pytest.fixture
def own_node(request: pytest.FixtureRequest) -> Iterator[Callable[..., Node]]:
    with contextlib.ExitStack() as stack:

        def start(kind: str, **options: object) -> Node:
            note(request, kind)
            require_server(kind)
            return stack.enter_context(Node(kind, **options))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def real_cluster(request: pytest.FixtureRequest) -> Iterator[Callable[..., Cluster]]:
    with contextlib.ExitStack() as stack:

        def form(kind: str, count: int = 3, latency: int = LATENCY_MS) -> Cluster:
            note(request, kind)
            require_server(kind)
            return stack.enter_context(Cluster(kind, count, latency=latency))

        yield form


@pytest.fixture
def database() -> str:
    return f"test-{os.getpid()}-{next(_database_numbers)}.db"
