"""Where nodes are and how they are reached: the one place that parses addresses and opens sockets.

    from dqlitewire.dial import Address, Deadline, dial, probe

    with dial(Address.parse("10.0.0.1:9001"), Deadline(5.0)) as sock: ...
    print(probe("10.0.0.1:9001").status)

`addresses` parses and writes ADDRESSes, `targets` has TARGETs (an address, or go-dqlite's file of a cluster's
nodes), `sockets` connects (TCP, unix, abstract; TLS; HTTP upgrade) as `options` say, `client` asks one
question at a time over a socket, `health` decides what to ask a node and what its answers mean, without I/O,
and `probing` does the asking.

Of a cluster `cluster` tells who is who, `membership` and `agreement` find what is to be said (`findings`).
The `verdict` is all of it, without I/O; `surveying` asks until the answers have come to rest.

Nothing beyond the standard library is needed, but PyYAML to read a store.
"""

from __future__ import annotations

from dqlitewire.dial.addresses import Address, Kind
from dqlitewire.dial.client import Client
from dqlitewire.dial.cluster import Answer, ClusterView, NodeView
from dqlitewire.dial.errors import (
    AddressError,
    ClosedError,
    SilentError,
    StoreError,
    Unexpected,
    UpgradeRefusedError,
)
from dqlitewire.dial.findings import Finding, FindingKind, Rest
from dqlitewire.dial.health import Health, Status
from dqlitewire.dial.options import DialOptions
from dqlitewire.dial.probing import probe, probe_all
from dqlitewire.dial.sockets import Deadline, dial
from dqlitewire.dial.surveying import probe_cluster
from dqlitewire.dial.targets import Store, StoreNode, Target
from dqlitewire.dial.verdict import Verdict, judge

__all__ = [
    "Address",
    "AddressError",
    "Answer",
    "Client",
    "ClosedError",
    "ClusterView",
    "Deadline",
    "DialOptions",
    "Finding",
    "FindingKind",
    "Health",
    "Kind",
    "NodeView",
    "Rest",
    "SilentError",
    "Status",
    "Store",
    "StoreError",
    "StoreNode",
    "Target",
    "Unexpected",
    "UpgradeRefusedError",
    "Verdict",
    "dial",
    "judge",
    "probe",
    "probe_all",
    "probe_cluster",
]
