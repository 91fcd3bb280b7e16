"""What every test can ask for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from dqlitewire import speedups
from tests import json_output, naming, profiles  # noqa: F401  (checks all JSON; loads the Hypothesis profile)
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

# The width of its terminal does not count either; libreadline hands it to workers as if it were asked for.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

NODE_FIXTURES = {"real_node", "real_nodes", "old_node", "new_node", "own_node", "real_cluster"}


def pytest_report_header() -> str:
    """Say which reader of rows is under test: `.ci/run` and `tools/test-pythons` look at it."""
    return f"dqlitewire.speedups: {speedups.name}" + (f", {speedups.why}" if speedups.why else "")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if NODE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real)
    if unstable := naming.unstable(item.nodeid for item in items):
        raise pytest.UsageError(f"names of tests differ from run to run: ids=naming.shown: {unstable[:3]}")
    if hasattr(config, "workerinput"):
        from tests.workers import rank

        items.sort(key=lambda item: rank(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Share tests out as tests/workers.py says, unless `--dist` asks for another way."""
    if config.getoption("dist") != "load":
        return None
    from tests.workers import Scheduling

    return Scheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` is: tests wait for servers and terminals about as long as they compute."""
    return 2 * len(os.sched_getaffinity(0))


@pytest.fixture
def client(server: DqliteServer) -> Iterator[RawConnection]:
    """A connection to the fixture `server` of the test, on which its database "main" is open."""
    with RawConnection(server.address) as client:
        client.open("main")
        yield client
