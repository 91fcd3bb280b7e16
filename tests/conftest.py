"""What every test can ask for."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from dqlitewire import speedups
from tests import json_output, profiles  # noqa: F401  (checks all JSON; loads the Hypothesis profile)
from tests.real.fixtures import (  # noqa: F401  (fixtures are found by name)
    database,
    new_node,
    node_kind,
    old_node,
    own_node,
    real_address,
    real_cluster,
    real_node,
    real_nodes,
)
from tests.real.moved import (  # noqa: F401  (hooks, too)
    pytest_runtest_makereport,
    pytest_terminal_summary,
)
from tests.real.raw import RawConnection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dqlitewire.testing import DqliteServer

# Commands that the tests start inherit what is ignored, and must end by these signals: whoever runs the suite
# may ignore them for it (nohup, a shell's background job).
for number, action in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, action)

NODE_FIXTURES = {"real_node", "real_nodes", "old_node", "new_node", "own_node", "real_cluster"}


def pytest_report_header() -> str:
    """Say which reader of rows is under test: `.ci/run` and `tools/test-pythons` look at it."""
    return f"dqlitewire.speedups: {speedups.name}" + (f", {speedups.why}" if speedups.why else "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if NODE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real)


@pytest.fixture
def client(server: DqliteServer) -> Iterator[RawConnection]:
    """A connection to the fixture `server` of the test, on which its database "main" is open."""
    with RawConnection(server.address) as client:
        client.open("main")
        yield client
