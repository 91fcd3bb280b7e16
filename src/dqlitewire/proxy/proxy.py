"""The proxy of a program: listeners, connections, and the faults that may be ordered.

    async with Proxy({"127.0.0.1:0": "10.0.0.1:9001"}) as proxy:
        client = await connect(proxy["10.0.0.1:9001"])
        proxy.fail_next(5, on="EXEC_SQL")

Everything runs in the loop of whoever enters it. `BlockingProxy` has a thread with a loop of its own, for
tests without asyncio; faults are ordered from any thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypedDict

from dqlitewire.dial import AddressError, DialOptions, Kind
from dqlitewire.dial.addresses import spelling
from dqlitewire.dial.listening import Listener, RemoteListenError, check_local, is_wildcard, listen
from dqlitewire.dial.options import PLAIN
from dqlitewire.dial.upgrade import checked_path
from dqlitewire.faults import FaultList, FaultMethods
from dqlitewire.proxy.accepting import end_listening
from dqlitewire.proxy.connecting import Connector
from dqlitewire.proxy.faulting import ConnectionFaulting
from dqlitewire.proxy.mapping import Place, local_names
from dqlitewire.proxy.pairs import Pair, pairs_of
from dqlitewire.proxy.relay import Relay
from dqlitewire.proxy.running import Running

if TYPE_CHECKING:
    from dqlitewire.proxy.hooks import Hook
    from dqlitewire.proxy.protocols import Faulting, Looker
    from dqlitewire.proxy.security import ClientTls

__all__ = ["Options", "Proxy", "RemoteListenError"]

_BACKLOG = 1024
_TIMEOUT = 10.0  # seconds until a node that is dialled must be there

logger = logging.getLogger(__name__)


class Options(TypedDict, total=False):
    """The keywords of `Proxy`, which describes them."""

    map_addresses: bool
    tls: ClientTls | None
    to: DialOptions
    to_tls: bool
    allow_remote: bool
    faults: FaultList | bool
    on_frame: Hook | None
    lookers: Sequence[Looker]
    say: Callable[[str], None]
    astray: Callable[[str], None]
    timeout: float
    strict: bool


class Proxy(FaultMethods):
    """A proxy in front of nodes, as an async context manager.

    Args:
        pairs: A mapping of LOCAL to REAL, or texts LOCAL=REAL and LOCAL=REAL=NAME.
        map_addresses: Replace the nodes' addresses in LEADER and SERVERS by those of the proxy.
        tls: How clients are met; None for no TLS.
        to: What nodes are dialled with: TLS, HTTP upgrade.
        to_tls: Speak TLS with nodes, also where no option of `to` asks for it.
        allow_remote: Listen beyond loopback too.
        faults: The list that faults are ordered in; True for one of its own; False if none will ever be
            ordered, so that frames need not be followed.
        on_frame: Called for each frame; see `dqlitewire.proxy.hooks`.
        lookers: Recorders and their like, which are told of everything that passes.
        say: Takes what people should know, such as a node that cannot be reached, a line each; by default it
            is logged.
        astray: Takes a line for each address by which clients are led past the proxy; logged by default.
        timeout: Seconds until a connection to a node must stand, TLS and upgrade included.
        strict: Let the end of the proxy raise an error if a fault was ordered that never hit.

    Attributes:
        pairs: What was given, as `Pair`s.

    Raises:
        PairError: A pair is none.
        RemoteListenError: A LOCAL can be reached from other machines, and `allow_remote` is false.
        OSError: A file of TLS cannot be used, or a host name of a LOCAL is none.
        ValueError: Options make no sense together.
    """

    def __init__(
        self,
        pairs: Mapping[str, str] | Iterable[Pair | str],
        *,
        map_addresses: bool = True,
        tls: ClientTls | None = None,
        to: DialOptions = PLAIN,
        to_tls: bool = False,
        allow_remote: bool = False,
        faults: FaultList | bool = True,
        on_frame: Hook | None = None,
        lookers: Sequence[Looker] = (),
        say: Callable[[str], None] = logger.warning,
        astray: Callable[[str], None] = logger.warning,
        timeout: float = _TIMEOUT,
        strict: bool = False,
    ) -> None:
        self.pairs: tuple[Pair, ...] = pairs_of(pairs)
        if not allow_remote:
            _check_local(self.pairs)
        if to.upgrade is not None:
            checked_path(to.upgrade)
        speaks_tls = to_tls or to.tls
        if speaks_tls and to.server_name is None:
            for pair in self.pairs:
                if pair.real.kind is not Kind.TCP:
                    raise ValueError(f"TLS on {pair.real} needs the name of the server")
        self._connector = Connector(
            self._names if map_addresses else _no_names,
            timeout,
            tls.context() if tls is not None else None,
            to.tls_context() if speaks_tls else None,
            to.server_name,
            to.upgrade,
        )
        self._list = FaultList() if faults is True else faults or None
        self._on_frame, self._lookers = on_frame, tuple(lookers)
        self._say, self._astray = say, astray
        self._strict = strict
        self._places: tuple[Place, ...] = ()
        self._servers: list[asyncio.Server] = []
        self._running: Running | None = None
        self._count = 0
        self._ended_errors: list[BaseException] = []

    @property
    def _faults(self) -> FaultList:
        if self._list is None:
            raise RuntimeError("the proxy was made without faults")
        return self._list

    # ---- life

    async def start(self) -> None:
        """Begin to accept connections.

        Raises:
            RuntimeError: It runs already.
            OSError: A LOCAL cannot be had; nothing stays open.
        """
        if self._running is not None:
            raise RuntimeError("the proxy runs already")
        loop = asyncio.get_running_loop()
        with ExitStack() as undo:
            places: list[tuple[Place, Listener]] = []
            for pair in self.pairs:
                listener, local = listen(pair.local)
                undo.callback(listener.close)
                wildcard = local.kind is Kind.TCP and is_wildcard(listener.getsockname()[0])
                places.append((Place(pair, local, wildcard), listener))
            self._places = tuple(place for place, _ in places)
            self._running = Running(self._lookers, self._on_frame, self._maker(), self._say, self._astray)
            undo.callback(setattr, self, "_running", None)
            undo.callback(self._servers.clear)
            for place, listener in places:
                server = await loop.create_server(
                    lambda place=place: self._relay(place).client,  # type: ignore[misc]
                    sock=listener,
                    backlog=_BACKLOG,
                )
                undo.callback(server.close)
                self._servers.append(server)
            undo.pop_all()

    async def close(self) -> None:
        """End the listeners and all connections; takes a few seconds at most.

        Raises:
            UnusedFaultError: With `strict`, a fault was ordered that never hit.
        """
        servers, self._servers = self._servers, []
        if self._running is None or not servers:
            return
        await end_listening(servers)
        running, self._running = self._running, None
        self._ended_errors = running.errors
        await running.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
        if kind is None and self._strict:
            self._faults.check_used()

    # ---- what it is

    @property
    def addresses(self) -> list[str]:
        """Where clients connect, in the order of the pairs; of port 0 the ports that were taken."""
        return [str(place.local) for place in self._places]

    def __getitem__(self, real: str) -> str:
        """Return where clients of a node connect.

        Args:
            real: The node's address, as it is dialled or as it calls itself.

        Raises:
            KeyError: No pair is for it.
        """
        wanted = spelling(real)
        for place in self._places:
            if wanted in (spelling(str(place.pair.real)), spelling(place.pair.advertised)):
                return str(place.local)
        raise KeyError(real)

    @property
    def errors(self) -> list[BaseException]:
        """What went wrong on this side, such as exceptions of a hook."""
        return self._running.errors if self._running is not None else self._ended_errors

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        return self._count

    @property
    def open_connections(self) -> int:
        """How many of them are open."""
        return 0 if self._running is None else len(self._running.open)

    # ---- connections

    def _maker(self) -> Callable[[int], Faulting] | None:
        faults = self._list
        return None if faults is None else lambda number: ConnectionFaulting(faults, number)

    def _relay(self, place: Place) -> Relay:
        assert self._running is not None
        self._count += 1
        return Relay(self._running, place, self._count, self._connector.connect)

    def _names(self, relay: Relay) -> dict[str, str]:
        name = relay.client.transport.get_extra_info("sockname")
        host = str(name[0]) if relay.place.local.kind is Kind.TCP and name else ""
        return local_names(self._places, relay.place, host)


def _no_names(relay: Relay) -> dict[str, str]:
    return {}


def _check_local(pairs: Iterable[Pair]) -> None:
    for pair in pairs:
        try:
            check_local(pair.local)
        except OSError as error:
            raise AddressError(f"{pair.local}: no such host ({error.strerror})") from None
