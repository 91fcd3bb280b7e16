"""What the nodes of one (fake) cluster share: databases, configuration, ordered faults, records.

Sessions and the dispatch of requests work on it; they know nothing of each other's connections.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from dqlitewire.faults import FaultList, RequestRecord
from dqlitewire.testing.node.cluster import Cluster
from dqlitewire.testing.node.store import Store

if TYPE_CHECKING:
    import os

    from dqlitewire.servers.releases import Release
    from dqlitewire.testing.node.hazards import Hazard

__all__ = ["Shared"]

_REQUESTS_KEPT = 10_000
_BYTES_KEPT = 1 << 26  # of their bodies together; the last one stays whatever its size
_HAZARDS_KEPT = 10_000


class Shared:
    """What the nodes of one cluster have in common.

    Args:
        generation: Which release to play.
        folder: Where databases are kept; by default a temporary folder that goes with it.
        files: Database files to serve where they are, by name.
        readonly: Open those for reading only.
        clean_failures: Send FAILURE without the rows that real servers leave in front of it.
        seed: Of the draws of faults that have a probability.

    Attributes:
        breathe: Called now and then while a statement runs: whoever serves may turn to other connections.
        stopping: Everything that runs shall end.
        weights: What WEIGHT set, by id of the node.
    """

    def __init__(
        self,
        generation: Release,
        folder: str | os.PathLike[str] | None = None,
        files: dict[str, str] | None = None,
        *,
        readonly: bool = False,
        clean_failures: bool = False,
        seed: int = 0,
    ) -> None:
        self.generation = generation
        self.clean_failures = clean_failures
        self.store: Store = Store(generation, folder, files, readonly=readonly)
        self.cluster: Cluster = Cluster(generation.not_found_text)
        self.faults: FaultList = FaultList(seed)
        self.hazards: list[Hazard] = []
        self.requests: deque[RequestRecord] = deque()
        self.breathe: Callable[[], None] = lambda: None
        self.weights: dict[int, int] = {}
        self.stopping = False
        self._bytes_kept = 0

    def record(self, request: RequestRecord) -> None:
        """Note a request."""
        requests = self.requests
        requests.append(request)
        self._bytes_kept += len(request.body)
        while len(requests) > _REQUESTS_KEPT or (self._bytes_kept > _BYTES_KEPT and len(requests) > 1):
            self._bytes_kept -= len(requests.popleft().body)

    def hazard(self, hazard: Hazard) -> None:
        """Note a hazard; of very many the first are enough."""
        if len(self.hazards) < _HAZARDS_KEPT:
            self.hazards.append(hazard)
