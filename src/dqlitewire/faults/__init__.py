"""What can go wrong on order: the same classes for the embedded server, a proxy, and tests without a socket.

Needs neither apsw nor typer, does no I/O, and never waits.
"""

from __future__ import annotations

from dqlitewire.faults.checks import OneRequest, Requests
from dqlitewire.faults.delivery import ConnectionFaults, Delivery
from dqlitewire.faults.fault import Direction, Fault, kinds
from dqlitewire.faults.kinds import Corrupt, Delay, Drop, Fail, Hold, Split
from dqlitewire.faults.methods import FaultMethods
from dqlitewire.faults.ordered import FaultList, UnusedFaultError
from dqlitewire.faults.strike import Effects, RequestRecord, Strike

__all__ = [
    "ConnectionFaults",
    "Corrupt",
    "Delay",
    "Delivery",
    "Direction",
    "Drop",
    "Effects",
    "Fail",
    "Fault",
    "FaultList",
    "FaultMethods",
    "Hold",
    "OneRequest",
    "RequestRecord",
    "Requests",
    "Split",
    "Strike",
    "UnusedFaultError",
    "kinds",
]
