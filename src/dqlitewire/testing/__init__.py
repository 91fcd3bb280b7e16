"""An embedded dqlite server for the tests of drivers: at once there, honest, and failing on order.

Needs the extra `[testing]` (apsw).  Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqlitewire.text import missing_package

if TYPE_CHECKING:
    from dqlitewire.testing.engine import RequestRecord
    from dqlitewire.testing.faults import Fault
    from dqlitewire.testing.generations import Generation
    from dqlitewire.testing.hazards import Hazard, HazardKind
    from dqlitewire.testing.server import DqliteCluster, DqliteServer, Node

__all__ = [
    "DqliteCluster",
    "DqliteServer",
    "Fault",
    "Generation",
    "Hazard",
    "HazardKind",
    "Node",
    "RequestRecord",
]

_HOMES = {
    "DqliteCluster": "server",
    "DqliteServer": "server",
    "Fault": "faults",
    "Generation": "generations",
    "Hazard": "hazards",
    "HazardKind": "hazards",
    "Node": "server",
    "RequestRecord": "engine",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    try:
        value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    except ModuleNotFoundError as error:
        if error.name != "apsw":
            raise
        raise ModuleNotFoundError(missing_package("apsw", "testing"), name="apsw") from None
    globals()[name] = value
    return value
