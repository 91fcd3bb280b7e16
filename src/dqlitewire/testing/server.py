"""An embedded dqlite server, for the tests of a driver.

    with DqliteServer() as server:
        client = connect(server.address)
        server.fail_next(5, on=RequestType.EXEC_SQL)

It runs in a thread of its own, so blocking and asyncio tests use it alike, and listens on a free port of the
loopback interface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqlitewire.dial.addresses import Address
from dqlitewire.testing.cluster import DqliteCluster
from dqlitewire.testing.settings import Settings, takes_options

if TYPE_CHECKING:
    from typing import Unpack

    from dqlitewire.testing.settings import Options

__all__ = ["DqliteServer"]


@takes_options()
class DqliteServer(DqliteCluster):
    """One node that leads itself.

    Args:
        options: Those of `Options`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument has no sense; nothing was opened.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        self._prepare(Settings.checked(1, options))  # the cluster's own takes a number of nodes

    def __enter__(self) -> DqliteServer:
        self.start()
        return self

    @property
    def address(self) -> str:
        """Where clients connect: "HOST:PORT", or the path of the unix socket.

        Raises:
            RuntimeError: The server was not started.
        """
        if not self._nodes:
            raise RuntimeError("the server was not started")
        return self._nodes[0].address

    @property
    def port(self) -> int:
        """The TCP port that it listens on.

        Raises:
            RuntimeError: The server was not started, or listens on a unix socket.
        """
        if self._settings.unix is not None:
            raise RuntimeError("a unix socket has no port")
        self.address  # noqa: B018  (says so if it was not started)
        return Address.parse(self._nodes[0].listens_at).port
