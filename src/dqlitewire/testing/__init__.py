"""An embedded dqlite server for the tests of drivers: at once there, honest, and failing on order.

Needs the extra `[testing]` (apsw).  Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dqlitewire.faults import Fault, RequestRecord, UnusedFaultError
    from dqlitewire.servers.hazards import HazardKind, Seen
    from dqlitewire.servers.releases import Release as Generation
    from dqlitewire.testing.cluster import DqliteCluster, Node
    from dqlitewire.testing.node.hazards import Hazard
    from dqlitewire.testing.server import DqliteServer
    from dqlitewire.testing.settings import Options

__all__ = [
    "DqliteCluster",
    "DqliteServer",
    "Fault",
    "Generation",
    "Hazard",
    "HazardKind",
    "Node",
    "Options",
    "RequestRecord",
    "Seen",
    "UnusedFaultError",
]

# public name -> where it is; `Generation` is called Release where releases are rows of a table
_HOMES = {
    "DqliteCluster": ("dqlitewire.testing.cluster", "DqliteCluster"),
    "DqliteServer": ("dqlitewire.testing.server", "DqliteServer"),
    "Fault": ("dqlitewire.faults", "Fault"),
    "Generation": ("dqlitewire.servers.releases", "Release"),
    "Hazard": ("dqlitewire.testing.node.hazards", "Hazard"),
    "HazardKind": ("dqlitewire.servers.hazards", "HazardKind"),
    "Node": ("dqlitewire.testing.cluster", "Node"),
    "Options": ("dqlitewire.testing.settings", "Options"),
    "RequestRecord": ("dqlitewire.faults", "RequestRecord"),
    "Seen": ("dqlitewire.servers.hazards", "Seen"),
    "UnusedFaultError": ("dqlitewire.faults", "UnusedFaultError"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module, attribute = _HOMES[name]
    value: object = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value
