"""`dqlite-wire probe`: how is this node?"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from dqlitewire.cli.dialling import Dialling, TargetArgument, target_of
from dqlitewire.cli.exits import Exit, ProbeExit
from dqlitewire.cli.options import LONGEST, finite
from dqlitewire.cli.output import colourful, emit, emit_json, joined, painted
from dqlitewire.dial import DialOptions, Health, Status, Target, probe, probe_all
from dqlitewire.text import Shown
from dqlitewire.traffic.shorten import counted

EXITS = (*ProbeExit, Exit.INPUT)
CODES = {
    Status.HEALTHY: ProbeExit.HEALTHY,
    Status.NO_LEADER: ProbeExit.NO_LEADER,
    Status.UNREACHABLE: ProbeExit.UNREACHABLE,
    Status.SILENT: ProbeExit.UNREACHABLE,
    Status.FAILING: ProbeExit.UNREACHABLE,
    Status.NOT_DQLITE: ProbeExit.NOT_DQLITE,
}


def command(
    target: TargetArgument,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object a node.")] = False,
    watch: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=LONGEST,
            metavar="SECONDS",
            callback=finite,
            help="Ask again every so often; print a line when something changes.",
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="With --watch, stop after asking so often.")
    ] = None,
    *,
    dialling: Dialling,
) -> Exit | ProbeExit:
    """Ask live nodes for leader, cluster, metadata and generation. Nothing is changed.

    Of a cluster store each node is asked; the exit code is 5 unless all nodes are in the same state. With
    --watch it is that of the last answers, and 0 when the command is stopped.
    """
    nodes = target_of(target)
    options = dialling.options(nodes)

    def ask() -> list[Health]:
        return _asked(nodes, options, dialling.timeout)

    if watch is not None:
        return _watch(ask, watch, count, json_)
    found = ask()
    for number, health in enumerate(found):
        if json_:
            emit_json(json.dumps(as_dict(health)), at_once=True)
            continue
        for line in [""] * bool(number) + report(health, colourful(sys.stdout)):
            emit(line)
    return exit_of(found)


def _asked(target: Target, options: DialOptions, timeout: float) -> list[Health]:
    if target.store is None:
        return [probe(str(target.addresses[0]), timeout, options)]
    return probe_all([(str(node.address), node.node_id) for node in target.store.nodes], timeout, options)


def exit_of(found: list[Health]) -> ProbeExit:
    """Return the exit code for the states of some nodes.

    Args:
        found: their states; at least one.
    """
    codes = {CODES[health.status] for health in found}
    return codes.pop() if len(codes) == 1 else ProbeExit.UNREACHABLE


def _watch(
    ask: Callable[[], list[Health]], pause: float, count: int | None, as_json: bool
) -> Exit | ProbeExit:
    """Ask until somebody stops it; print what has changed, a line a node."""
    before: list[Any] = []
    asked = 0
    try:
        while True:
            found = ask()
            asked += 1
            states = [_state(health) for health in found]
            for number, health in enumerate(found):
                if not before or states[number] != before[number]:
                    if as_json:
                        emit_json(json.dumps(as_dict(health)), at_once=True)
                    else:
                        emit(change(health, time.time(), colourful(sys.stdout)), at_once=True)
            before = states
            if asked == count:
                return exit_of(found)
            time.sleep(pause)
    except KeyboardInterrupt:
        return Exit.OK


def _state(health: Health) -> dict[str, Any]:
    """What is watched: everything but the times."""
    return {name: value for name, value in as_dict(health).items() if name not in _TIMES}


_TIMES = ("time", "connect_ms", "round_trip_ms")


def as_dict(health: Health) -> dict[str, Any]:
    """The state of a node as a JSON object."""
    return {
        "time": time.time(),
        "address": health.address,
        "status": health.status.name.lower(),
        "detail": health.detail or None,
        "speaks": health.speaks or None,
        "leader": {"node_id": health.leader_id, "address": health.leader_address}
        if health.leader_address
        else None,
        "role": None if health.role is None else health.role.name,
        "nodes": [{"node_id": n.node_id, "address": n.address, "role": n.role.name} for n in health.nodes],
        "failure_domain": health.failure_domain,
        "weight": health.weight,
        "generation": health.generation.release if health.generation else None,
        "server": health.server,
        "connect_ms": None if health.connected is None else round(health.connected * 1000, 3),
        "round_trip_ms": None if health.round_trip is None else round(health.round_trip * 1000, 3),
    }


def report(health: Health, colour: bool = False) -> list[str]:
    """The state of a node in lines."""
    lines: list[str] = [_headline(health, colour)]
    if health.round_trip is None:
        return lines
    lines += [f"  leader       {_leader(health)}", f"  server       {health.server}"]
    if health.role is not None:
        lines.append(f"  role         {health.role.name.lower()}")
    if health.failure_domain is not None:
        lines.append(f"  metadata     failure domain {health.failure_domain}, weight {health.weight}")
    lines.append(f"  round trip   {health.round_trip * 1000:.2f} ms")
    for number, node in enumerate(health.nodes):
        label = "  nodes        " if number == 0 else " " * 15
        mark = " (leader)" if node.address == health.leader_address else ""
        lines.append(f"{label}{node.node_id}  {node.address}  {node.role.name.lower()}{mark}")
    return lines


def change(health: Health, when: float, colour: bool = False) -> Shown:
    """The state of a node in one line, with the time.

    Args:
        health: the state.
        when: seconds since 1970.
        colour: whether colours are wanted.
    """
    parts = [f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M:%S}Z", _headline(health, colour)]
    if health.round_trip is not None:
        parts.append(f"leader {_leader(health)}")
        if health.role is not None:
            parts.append(health.role.name.lower())
        roles = Counter(node.role for node in health.nodes)
        parts.append(", ".join(counted(number, role.name.lower()) for role, number in sorted(roles.items())))
        parts.append(health.server)
    return joined(parts[0], *(piece for part in parts[1:] if part for piece in ("  ", part)))


def _headline(health: Health, colour: bool) -> Shown:
    style = "response" if health.status is Status.HEALTHY else "failure"
    detail = f" ({health.detail})" if health.detail else ""
    return joined(f"{health.address}  ", painted(health.status.value, style, colour), detail)


def _leader(health: Health) -> str:
    if not health.leader_address:
        return "none known"
    return f"{health.leader_id or '?'} at {health.leader_address}"
