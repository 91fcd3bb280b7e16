"""`dqlite-wire serve`: an embedded dqlite server on a port, with a database file or in a temporary folder."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread, get_ident
from typing import TYPE_CHECKING, Annotated

import typer

from dqlitewire.cli.ending import ending_signals, missing
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.options import choice
from dqlitewire.cli.ordering import Ordering
from dqlitewire.cli.output import emit, fail, warn
from dqlitewire.cli.remote import AllowRemoteOption, check_remote
from dqlitewire.dial import Address, Kind
from dqlitewire.dial.listening import is_wildcard
from dqlitewire.dial.sockets import own_host
from dqlitewire.servers.releases import ALIASES, DEFAULT_RELEASE, RELEASES

if TYPE_CHECKING:
    from dqlitewire.testing import DqliteCluster

EXITS = (Exit.OK, Exit.DAMAGED, Exit.INPUT, Exit.REFUSED)


def command(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="SQLite file to serve; without one all is temporary."),
    ] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="Interface to listen on.")] = "127.0.0.1",
    allow_remote: AllowRemoteOption = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port; 0 for a free one.")
    ] = 9001,
    advertise: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Address that clients are told (default: where it listens)."),
    ] = None,
    unix: Annotated[str | None, typer.Option(metavar="PATH", help="Listen on a unix socket instead.")] = None,
    nodes: Annotated[
        int, typer.Option(min=1, max=99, metavar="N", help="Nodes of a fake cluster, on ports in a row.")
    ] = 1,
    release: Annotated[
        str, choice((*RELEASES, *ALIASES), "--generation", help="The dqlite release to play.")
    ] = DEFAULT_RELEASE,
    read_only: Annotated[bool, typer.Option("--read-only", help="Never write to FILE.")] = False,
    ordering: Ordering = Ordering(),  # noqa: B008  frozen
) -> Exit:
    """Serve a database to dqlite clients until interrupted: for tests, and to look at a dumped file.

    FILE is served where it is, under its name with and without the suffix; any other name is a temporary
    database.

    Example: serve copy.db --read-only
    """
    files, faults = _files(file, read_only), ordering.read()
    told = None if advertise or unix else _dialable(host)
    cluster_class = _cluster_class()
    try:
        cluster = cluster_class(
            nodes,
            generation=release,
            host=host,
            port=port,
            advertise=advertise or told,
            unix=unix,
            files=files,
            readonly=read_only,
            seed=ordering.seed,
        )
    except ValueError as error:
        fail(str(error), Exit.USAGE)
    if unix is None:
        check_remote(Address(Kind.TCP, host, port), allow_remote, "it asks nobody for a password")
    if told is not None:
        warn(f"clients are told {told}; --advertise HOST:PORT tells another address")
    stopping = _block_signals()
    try:
        cluster.start()
        for fault in faults:
            cluster.order(fault)
    except OSError as error:
        where = unix or Address(Kind.TCP, host, port)
        fail(f"cannot listen on {where}: {error.strerror or error}")
    _serve(cluster, stopping, _served(cluster, file, read_only))
    for hazard in cluster.hazards:
        warn(f"{hazard.kind.value}: {hazard.detail}")
    return Exit.DAMAGED if cluster.errors else Exit.OK


def _dialable(host: str) -> str | None:
    """Return what to tell clients instead of a wildcard, which nobody can dial; None for any other host."""
    return own_host(ipv6=":" in host) if is_wildcard(host) else None


def _block_signals() -> set[signal.Signals]:
    """Block the signals that end the command, and return them.

    Before any thread starts: all inherit it, so that only sigwait takes them, however many come.
    """
    stopping = ending_signals()  # a hang-up that is ignored for us would arrive all the same, blocked
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    return stopping


def _served(cluster: DqliteCluster, file: Path | None, read_only: bool) -> Iterator[str]:
    """Say what is served where, a line each."""
    for node in cluster.nodes:
        known = f" as {node.address}" if node.address != node.listens_at else ""
        yield f"{cluster.generation.title} on {node.listens_at}{known}{', leader' if node.is_leader else ''}"
    if file is not None:
        yield f"database {file.name}{' (read-only)' if read_only else ''}"


def _serve(cluster: DqliteCluster, stopping: set[signal.Signals], lines: Iterator[str]) -> None:
    """Print the lines, wait for a signal, and stop the cluster whatever happens."""
    stopped = Event()
    try:
        for line in lines:
            emit(line, at_once=True)
        # a server that fails ends the wait as a signal does
        Thread(target=_end_with, args=(cluster, get_ident(), stopped), daemon=True).start()
        signal.sigwait(stopping)
    finally:
        stopped.set()
        cluster.stop()


def _end_with(cluster: DqliteCluster, waiting: int, stopped: Event) -> None:
    cluster.join()
    if not stopped.is_set():
        signal.pthread_kill(waiting, signal.SIGTERM)


def _cluster_class() -> type[DqliteCluster]:
    try:
        from dqlitewire.testing import DqliteCluster
    except ImportError as error:
        missing(error, "testing")
    return DqliteCluster


def _files(file: Path | None, read_only: bool) -> dict[str, str]:
    """What to serve under which name."""
    if file is None:
        if read_only:
            fail("--read-only without a FILE", Exit.USAGE)
        return {}
    try:
        mode = file.stat().st_mode
        # to open a pipe is to wait for its writer; devices have no end
        head = _head(file) if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else b"none"
        path = os.fspath(file.resolve())
        path.encode()
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    except UnicodeError:
        fail(f"{file}: SQLite takes names in UTF-8 only")
    if head not in (b"", b"SQLite format 3\0"):
        fail(f"{file}: not an SQLite database")
    return {file.name: path, file.stem: path}


def _head(file: Path) -> bytes:
    with open(file, "rb") as stream:
        return stream.read(16)
