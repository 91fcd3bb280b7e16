"""How tests are shared out where several processes run the suite, as `make test` has it (pytest-xdist).

Tests of a file stay together and in order, so that what they share (a module's fixture, a compiled table) is
made once and a test that leans on the one before it does so everywhere. Files of long tests that stand alone
are shared out test by test (APART). Both begin with what takes longest, or one worker would end long after
the others.

    pytest -n 4 tests          four workers, this order
    pytest tests/test_x.py     no workers, none of this
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

#: files whose tests stand alone, the longest first
APART = (
    "tests/test_adding.py",
    "tests/conversation/test_examples.py",
    "tests/cli/test_endings.py",
    "tests/proxy/test_command.py",
    "tests/replay/test_real.py",
    "tests/testing/test_serve.py",
    "tests/cli/test_stats.py",
    "tests/cli/test_command.py",
    "tests/conversation/test_claims.py",
)
#: other long files, the longest first
LONG = (
    "tests/traffic/test_raft_real.py",
    "tests/dissector/test_dissector.py",
    "tests/rows/test_tiers.py",
    "tests/traffic/test_bounds.py",
    "tests/test_interrupts.py",
    "tests/declare/test_declared.py",
    "tests/real/test_survey.py",
    "tests/test_shared.py",
    "tests/dial/test_layers.py",
    "tests/test_schema.py",
    "tests/traffic/test_redact.py",
    "tests/rows/test_write.py",
    "tests/test_structure.py",
    "tests/test_generated.py",
    "tests/test_packaging.py",
    "tests/traffic/sources/test_captures.py",
    "tests/testing/test_differential.py",
    "tests/test_captures.py",
    "tests/real/test_hazard_bounds.py",
    "tests/conversation/test_driver_faults.py",
    "tests/docs/test_faults.py",
    "tests/docs/test_sqlalchemy.py",
    "tests/docs/test_redrawn.py",
    "tests/vectors/test_coverage.py",
    "tests/messages/test_roundtrip.py",
    "tests/servers/test_survey.py",
    "tests/traffic/sources/test_dumps.py",
    "tests/rows/test_read.py",
    "tests/test_fuzz.py",
    "tests/test_bad_input.py",
    "tests/traffic/sources/test_tcpdump.py",
    "tests/traffic/sources/test_round_trip.py",
    "tests/traffic/sources/test_latency.py",
    "tests/dial/test_probe.py",
    "tests/proxy/test_real_volume.py",
    "tests/proxy/test_real_failover.py",
    "tests/proxy/test_howto.py",
)
_RANK = {name: number for number, name in enumerate((*APART, *LONG))}


def rank(nodeid: str) -> int:
    """Return where a test stands in the order of the run: for `sorted`, which keeps the order of equals."""
    return _RANK.get(nodeid.partition("::")[0], len(_RANK))


class Scheduling(LoadScopeScheduling):
    """Hands units out in the order of collection; a unit is a file, or a test of a file of APART.

    What has run is forgotten, and numbers of tests are looked up: the base class goes through all tests of a
    worker at the end of each, and through all names at the start of each.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)
        self._numbers: dict[str, int] = {}

    def _split_scope(self, nodeid: str) -> str:
        name = nodeid.partition("::")[0]
        return nodeid if name in APART else name

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        nodeid = self.registered_collections[node][item_index]
        unit = self._split_scope(nodeid)
        waiting = self.assigned_work[node][unit]
        del waiting[nodeid]
        if not waiting:
            del self.assigned_work[node][unit]
        self._reschedule(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        unit, tests = self.workqueue.popitem(last=False)
        self.assigned_work[node][unit] = tests
        if not self._numbers:
            self._numbers = {
                nodeid: number for number, nodeid in enumerate(self.registered_collections[node])
            }
        node.send_runtest_some([self._numbers[nodeid] for nodeid in tests])
