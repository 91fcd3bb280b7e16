"""An embedded dqlite server, for the tests of a driver.

    with DqliteServer() as server:
        client = connect(server.address)
        server.fail_next(5, on=RequestType.EXEC_SQL)

It runs in a thread of its own, so blocking and asyncio tests use it alike, and listens on a free port of the
loopback interface.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dqlitewire.dial.addresses import Address
from dqlitewire.testing.cluster import DqliteCluster

if TYPE_CHECKING:
    import os

    from dqlitewire.servers.releases import Release

__all__ = ["DqliteServer"]


class DqliteServer(DqliteCluster):
    """One node that leads itself.

    Args:
        generation: The release to play: "1.11.1", "1.18.1", "1.18.7" (also as "1.18.6") or "cowsql".
        host: Interface to listen on.
        port: Port; 0 for a free one.
        folder: Where databases are kept; by default a temporary folder that goes with the server.
        files: Database files to serve where they are, by name.
        readonly: Open those for reading only.
        clean_failures: Send FAILURE without the rows that real servers leave in front of it.
        strict: Let `stop` raise an error if a fault was ordered that never hit.
        seed: Of the draws of faults that have a probability: the same one draws the same again.
        unix: Listen on a unix socket at this path instead.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument has no sense; nothing was opened.
    """

    def __init__(
        self,
        *,
        generation: str | Release = "1.18.1",
        host: str = "127.0.0.1",
        port: int = 0,
        folder: str | os.PathLike[str] | None = None,
        files: Mapping[str, str | os.PathLike[str]] | None = None,
        readonly: bool = False,
        clean_failures: bool = False,
        strict: bool = False,
        seed: int = 0,
        unix: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(
            1,
            generation=generation,
            host=host,
            port=port,
            folder=folder,
            files=files,
            readonly=readonly,
            clean_failures=clean_failures,
            strict=strict,
            seed=seed,
            unix=unix,
        )

    def __enter__(self) -> DqliteServer:
        self.start()
        return self

    @property
    def address(self) -> str:
        """Where clients connect: "HOST:PORT", or the path of the unix socket."""
        if not self._nodes:
            raise RuntimeError("the server was not started")
        return self._nodes[0].address

    @property
    def port(self) -> int:
        """The TCP port.

        Raises:
            RuntimeError: The server was not started, or listens on a unix socket.
        """
        if self._settings.unix is not None:
            raise RuntimeError("a unix socket has no port")
        return Address.parse(self.address).port
