"""`dqlite-wire top`: what happens now, of traffic that is captured or recorded, or of live nodes."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from dqlitewire.cli.dialling import Dialling, target_of
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.options import first_given
from dqlitewire.cli.output import fail
from dqlitewire.cli.refreshing import How
from dqlitewire.cli.sources import Inputs
from dqlitewire.dial import AddressError, DialOptions, Target
from dqlitewire.dial.addresses import Address
from dqlitewire.dial.targets import SUFFIX
from dqlitewire.text import shown
from dqlitewire.traffic.sources.inputs import open_input

EXITS = (Exit.OK, Exit.DAMAGED, Exit.INPUT, Exit.FAILED)


@dataclass(frozen=True)
class Watched(Inputs):
    """What is watched: nodes, or traffic."""

    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET",
            help="Nodes (HOST:PORT, unix:PATH, @NAME, FILE.yaml), or what decode reads; - is standard input.",
            show_default=False,
        ),
    ] = None


def command(
    how: How,
    whole: Annotated[
        bool, typer.Option("--cluster", help="Of nodes: ask every member that the leader names, too.")
    ] = False,
    *,
    watched: Watched,
    dialling: Dialling,
) -> Exit:
    """Watch traffic or nodes, as top does processes.

    Of a capture, also one that grows: statements by rate, latency and rows, failures, retries, the slowest.
    Of nodes: leader, roles, round trips, elections. On a terminal q ends it, and r, t, l, w, f sort.

    Example: top --cluster 10.0.0.1:9001
    """
    nodes = nodes_of(watched.sources or [])
    targets: list[tuple[Target, DialOptions]] = []
    if nodes:
        if name := first_given(replace(watched, sources=None)):
            fail(f"{name} goes with traffic, not with nodes", Exit.USAGE)
        targets = [(target, dialling.options(target)) for target in nodes]
    elif name := first_given(dialling) or "--cluster" * whole:
        fail(f"{name} goes with nodes, not with traffic", Exit.USAGE)
    from dqlitewire.cli.subjects import Nodes, Traffic
    from dqlitewire.cli.watch import watch

    return watch(how, Nodes(targets, dialling.timeout, whole, how) if nodes else Traffic(watched, how))


def nodes_of(names: list[str]) -> list[Target]:
    """Return the nodes that arguments name; none if they name traffic.

    Args:
        names: the arguments. By this rule, in this order, each is: standard input ("-"); a store (FILE.yaml);
            an address (unix:PATH, @NAME); a capture, if there is such a file; an address (HOST:PORT).

    Raises:
        SourceError: one is plainly the path of a file, with a folder or a suffix, and there is none.
        SystemExit: one is none of these, or they are not all of one kind; this was said.
    """
    kinds = [_is_node(name) for name in names]
    if True in kinds and False in kinds:
        traffic = names[kinds.index(False)]
        fail(f"{shown(traffic)} is traffic, {shown(names[kinds.index(True)])} a node: watch one", Exit.USAGE)
    return [target_of(name) for name in names] if True in kinds else []


def _is_node(name: str) -> bool:
    if name == "-":
        return False
    if name.endswith(SUFFIX) or name.startswith(("unix:", "@")):
        return True
    if os.path.lexists(name):
        return False
    try:
        address = Address.parse(name)
    except AddressError:
        address = None
    if address is None or os.sep in address.name:
        if os.sep in name or os.path.splitext(name)[1]:
            open_input(name).close()  # which says why there is none, as `decode` does
        fail(f"{shown(name)}: no such file, and no HOST:PORT, unix:PATH, @NAME or FILE{SUFFIX}", Exit.USAGE)
    return True
