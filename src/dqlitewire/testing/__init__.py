"""An embedded dqlite server for the tests of drivers: at once there, honest, and failing on order.

Needs the extra `[testing]` (apsw).  Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dqlitewire.faults import Fault, RequestRecord, UnusedFaultError
    from dqlitewire.testing.cluster import DqliteCluster, Node
    from dqlitewire.testing.node.generations import Generation
    from dqlitewire.testing.node.hazards import Hazard, HazardKind
    from dqlitewire.testing.server import DqliteServer

__all__ = [
    "DqliteCluster",
    "DqliteServer",
    "Fault",
    "Generation",
    "Hazard",
    "HazardKind",
    "Node",
    "RequestRecord",
    "UnusedFaultError",
]

_HOMES = {
    "DqliteCluster": "dqlitewire.testing.cluster",
    "DqliteServer": "dqlitewire.testing.server",
    "Fault": "dqlitewire.faults",
    "Generation": "dqlitewire.testing.node.generations",
    "Hazard": "dqlitewire.testing.node.hazards",
    "HazardKind": "dqlitewire.testing.node.hazards",
    "Node": "dqlitewire.testing.cluster",
    "RequestRecord": "dqlitewire.faults",
    "UnusedFaultError": "dqlitewire.faults",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value
