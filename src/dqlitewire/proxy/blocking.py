"""The proxy for programs without asyncio: a thread with a loop of its own.

with BlockingProxy({"127.0.0.1:0": node.address}) as proxy:
    client = connect(proxy.addresses[0])
    proxy.drop_after(frames=1, on="QUERY_SQL")
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dqlitewire.faults import FaultList, FaultMethods
from dqlitewire.proxy.proxy import Proxy

if TYPE_CHECKING:
    from typing import Unpack

    from dqlitewire.proxy.pairs import Pair
    from dqlitewire.proxy.proxy import Options

__all__ = ["BlockingProxy"]


class BlockingProxy(FaultMethods):
    """A proxy in a thread, as a context manager.

    Args:
        pairs: A mapping of LOCAL to REAL, or texts LOCAL=REAL and LOCAL=REAL=NAME.
        options: Those of `Proxy`. A hook and lookers are called in the proxy's thread.

    Raises:
        PairError: A pair is none.
        RemoteListenError: A LOCAL can be reached from other machines, and `allow_remote` is false.
        OSError: A file of TLS cannot be used, or a host name of a LOCAL is none.
        ValueError: Options make no sense together.
    """

    def __init__(self, pairs: Mapping[str, str] | Iterable[Pair | str], **options: Unpack[Options]) -> None:
        self._proxy = Proxy(pairs, **options)
        self._strict = options.get("strict", False)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._begun = threading.Event()
        self._problem: BaseException | None = None

    @property
    def _faults(self) -> FaultList:
        return self._proxy._faults

    # ---- life

    def start(self) -> None:
        """Begin to accept connections; ready when it returns.

        Raises:
            RuntimeError: It runs already.
            OSError: A LOCAL cannot be had; nothing stays open.
        """
        if self._thread is not None:
            raise RuntimeError("the proxy runs already")
        self._begun.clear()
        self._problem = None
        self._thread = threading.Thread(target=self._run, name="dqlite-proxy", daemon=True)
        self._thread.start()
        self._begun.wait()
        if self._ending is None:
            self._join()

    def stop(self) -> None:
        """End the listeners and all connections; takes a few seconds at most."""
        loop, ending = self._loop, self._ending
        if loop is not None and ending is not None:
            self._loop = self._ending = None
            loop.call_soon_threadsafe(ending.set)
        self._join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if kind is None and self._strict:
            self._faults.check_used()

    def _join(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._problem = error
        finally:
            self._begun.set()

    async def _serve(self) -> None:
        await self._proxy.start()
        try:
            ending = asyncio.Event()
            self._loop, self._ending = asyncio.get_running_loop(), ending
            self._begun.set()
            await ending.wait()
        finally:
            await self._proxy.close()

    # ---- what it is

    @property
    def addresses(self) -> list[str]:
        """Where clients connect, in the order of the pairs; of port 0 the ports that were taken."""
        return self._proxy.addresses

    def __getitem__(self, real: str) -> str:
        """Return where clients of a node connect.

        Args:
            real: The node's address, as it is dialled or as it calls itself.

        Raises:
            KeyError: No pair is for it.
        """
        return self._proxy[real]

    @property
    def errors(self) -> list[BaseException]:
        """What went wrong on this side, such as exceptions of a hook."""
        return self._proxy.errors

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        return self._proxy.connections

    @property
    def open_connections(self) -> int:
        """How many of them are open."""
        return self._proxy.open_connections
