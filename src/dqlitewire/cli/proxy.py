"""`dqlite-wire proxy`: stand in the path between clients and nodes, record, and spoil frames on order."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dqlitewire.cli.dialling import UpgradeOption, target_of, timeout_option
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.filters import Filters
from dqlitewire.cli.ordering import Ordering
from dqlitewire.cli.output import fail, tell, warn
from dqlitewire.cli.remote import AllowRemoteOption, check_remote
from dqlitewire.cli.showing import Display
from dqlitewire.cli.watching import Live, Watching, no_statistics
from dqlitewire.dial import Address, AddressError, DialOptions, Kind
from dqlitewire.dial.targets import SUFFIX

if TYPE_CHECKING:
    from dqlitewire.faults import FaultList
    from dqlitewire.proxy import ClientTls, Pair, Proxy
    from dqlitewire.proxy.control import ControlServer
    from dqlitewire.proxy.recording import Recorder

EXITS = (Exit.OK, Exit.INPUT, Exit.REFUSED)


@dataclass(frozen=True)
class Listening:
    """Where it listens, and what clients are told."""

    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="HOST:0", help="With a store: listen there (default: loopback)."),
    ] = None
    allow_remote: AllowRemoteOption = False
    no_map: Annotated[bool, typer.Option("--no-map", help="Leave the nodes' own addresses in answers.")] = (
        False
    )
    tls_cert: Annotated[
        str | None, typer.Option("--tls-cert", metavar="FILE", help="TLS with clients: certificate (PEM).")
    ] = None
    tls_key: Annotated[
        str | None, typer.Option("--tls-key", metavar="FILE", help="TLS with clients: its key.")
    ] = None
    tls_ca: Annotated[
        str | None,
        typer.Option("--tls-ca", metavar="FILE", help="TLS with clients: require a certificate by these."),
    ] = None

    def tls(self) -> ClientTls | None:
        """Return how clients are met; None for no TLS."""
        from dqlitewire.proxy import ClientTls

        if self.tls_cert is not None:
            return ClientTls(self.tls_cert, self.tls_key, self.tls_ca)
        for name, given in (("--tls-key", self.tls_key), ("--tls-ca", self.tls_ca)):
            if given is not None:
                fail(f"{name} without --tls-cert", Exit.USAGE)
        return None


@dataclass(frozen=True)
class Upstream:
    """How nodes are dialled."""

    to_tls: Annotated[bool, typer.Option("--to-tls", help="Speak TLS with nodes.")] = False
    to_ca: Annotated[
        str | None,
        typer.Option("--to-ca", metavar="FILE", help="TLS with nodes: certificates to trust."),
    ] = None
    to_cert: Annotated[
        str | None, typer.Option("--to-cert", metavar="FILE", help="TLS with nodes: certificate to show.")
    ] = None
    to_key: Annotated[
        str | None, typer.Option("--to-key", metavar="FILE", help="TLS with nodes: its key.")
    ] = None
    to_name: Annotated[
        str | None,
        typer.Option("--to-name", metavar="NAME", help="TLS with nodes: their name (default: the host)."),
    ] = None
    upgrade: UpgradeOption = None
    timeout: Annotated[float, timeout_option("Time until a connection to a node must stand.")] = 10.0

    def options(self) -> DialOptions:
        """Return what nodes are dialled with."""
        return DialOptions(self.to_cert, self.to_key, self.to_ca, self.to_name, self.upgrade)


@dataclass(frozen=True)
class Record:
    """What is kept of the traffic."""

    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE.dqt", help="Record into a new transcript.")
    ] = None
    append: Annotated[
        bool, typer.Option("--append", help="With --record: continue a transcript that is there.")
    ] = False
    max_size: Annotated[
        str | None,
        typer.Option(
            "--max-size", metavar="BYTES", help="With --record: go on in FILE.1.dqt after so many (k, M, G)."
        ),
    ] = None

    def recorder(self) -> Recorder | None:
        """Open the transcript; None if nothing is recorded."""
        if self.record is None:
            for name, given in (("--append", self.append), ("--max-size", self.max_size is not None)):
                if given:
                    fail(f"{name} without --record", Exit.USAGE)
            return None
        from dqlitewire.proxy.recording import Recorder, size_in_bytes
        from dqlitewire.traffic.errors import FileExistsAlready

        try:
            most = None if self.max_size is None else size_in_bytes(self.max_size)
        except ValueError as error:
            fail(f"--max-size: {error}", Exit.USAGE)
        try:
            return Recorder(self.record, append=self.append, max_size=most, say=warn)
        except FileExistsAlready as error:
            fail(str(error), Exit.REFUSED)


@dataclass(frozen=True)
class Spoiling(Ordering):
    """Faults."""

    control: Annotated[
        str | None,
        typer.Option("--control", metavar="unix:PATH", help="Take orders for faults while it runs."),
    ] = None

    def ordered(self) -> FaultList | None:
        """Return the list with all that was ordered; None if there is none and none can come."""
        orders = self.read()
        if not (orders or self.control):
            return None
        from dqlitewire.faults import FaultList

        found = FaultList(self.seed)
        for one in orders:
            found.order(one)
        return found

    def controller(self, ordered: FaultList | None) -> ControlServer | None:
        """Return what takes orders while the proxy runs; None if nothing does."""
        if self.control is None or ordered is None:
            return None
        from dqlitewire.proxy.control import ControlServer

        try:
            return ControlServer(self.control, ordered)
        except AddressError as error:
            fail(f"--control: {error}", Exit.USAGE)


def command(
    pairs: Annotated[
        list[str],
        typer.Argument(
            metavar="LOCAL=REAL",
            help="Listen on LOCAL for the node at REAL; =NAME behind it if the node calls itself otherwise."
            " Or a cluster store, FILE.yaml.",
            show_default=False,
        ),
    ],
    listening: Listening,
    upstream: Upstream,
    keeping: Record,
    spoiling: Spoiling,
    watching: Watching,
    display: Display,
    filters: Filters,
) -> Exit:
    """Stand in the path between clients and nodes until interrupted: pass, record, spoil.

    Every byte goes on as it came, but for the nodes' addresses in LEADER and SERVERS, which become those of
    the proxy, and what faults were ordered for. LOCAL and REAL are HOST:PORT, [IPv6]:PORT, unix:PATH, @NAME.

    Example: proxy 127.0.0.1:9101=10.0.0.1:9001 --record traffic.dqt
    """
    import asyncio  # which no other command needs to wait for

    found, options = _pairs(pairs, listening, upstream)
    for pair in found:
        check_remote(pair.local, listening.allow_remote, "recordings hold what they send")
    ordered = spoiling.ordered()
    controller = spoiling.controller(ordered)
    with ExitStack() as closing:
        recorder = keeping.recorder()
        if recorder is not None:
            closing.callback(recorder.close)
        live = watching.live(display, filters)
        if live is not None:
            closing.callback(live.close)
            if watching.redact and recorder is not None:
                warn("--redact hides values in what is printed; the recording holds them")
        lookers: list[Any] = [recorder] if recorder is not None else []
        lookers += [live.watcher] if live is not None else []
        proxy = _proxy(found, listening, upstream, options, ordered, lookers)
        asyncio.run(_serve(proxy, controller, live))
    return Exit.OK


def _pairs(texts: list[str], listening: Listening, upstream: Upstream) -> tuple[list[Pair], DialOptions]:
    """The pairs of the arguments, and what to dial with; a store brings its certificate."""
    from dqlitewire.proxy import Pair, PairError

    options = upstream.options()
    if len(texts) == 1 and texts[0].endswith(SUFFIX) and "=" not in texts[0]:
        target = target_of(texts[0])
        local = _listen(listening.listen)
        return [Pair(local, address) for address in target.addresses], target.options(options)
    if listening.listen is not None:
        fail("--listen is for a cluster store", Exit.USAGE)
    try:
        return [Pair.parse(text) for text in texts], options
    except PairError as error:
        fail(str(error), Exit.USAGE)


def _listen(text: str | None) -> Address:
    from dqlitewire.dial.listening import parse_local

    try:
        address = parse_local("127.0.0.1:0" if text is None else text)
    except AddressError as error:
        fail(f"--listen: {error}", Exit.USAGE)
    if address.kind is not Kind.TCP or address.port:
        fail(f"--listen {text}: HOST:0 is needed, a free port for each node", Exit.USAGE)
    return address


def _proxy(
    pairs: list[Pair],
    listening: Listening,
    upstream: Upstream,
    options: DialOptions,
    ordered: FaultList | None,
    lookers: list[Any],
) -> Proxy:
    from dqlitewire.proxy import Proxy

    try:
        return Proxy(
            pairs,
            map_addresses=not listening.no_map,
            tls=listening.tls(),
            to=options,
            to_tls=upstream.to_tls,
            allow_remote=listening.allow_remote,
            faults=ordered or False,
            lookers=lookers,
            say=warn,
            astray=warn,
            timeout=upstream.timeout,
        )
    except ValueError as error:
        fail(str(error), Exit.USAGE)
    except OSError as error:
        said = error.strerror or str(error)
        fail(f"{error.filename}: {said}" if error.filename else said)


async def _serve(proxy: Proxy, controller: ControlServer | None, live: Live | None) -> None:
    """Serve until a signal comes."""
    import asyncio

    from dqlitewire.cli import service

    stopped = asyncio.Event()
    service.prepare(stopped.set)
    report = no_statistics if live is None else live.report
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, report)
    async with AsyncExitStack() as closing:
        try:
            if controller is not None:
                await closing.enter_async_context(controller)
            await proxy.start()
        except OSError as error:
            fail(error.strerror or str(error))
        closing.push_async_callback(proxy.close)
        for pair, address in zip(proxy.pairs, proxy.addresses, strict=True):
            tell(f"listening on {address} for {pair.real}")
        await stopped.wait()
