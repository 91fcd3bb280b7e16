"""`dqlite-wire probe`: how is this node?"""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, Any

import typer

from dqlitewire.cli.exits import Exit, ProbeExit
from dqlitewire.cli.options import LONGEST, AddressArgument, TimeoutOption, finite
from dqlitewire.cli.output import cleared, colourful, emit, emit_json, joined, painted
from dqlitewire.dial import Health, Status, probe

EXITS = (*ProbeExit, Exit.INPUT)
CODES = {
    Status.HEALTHY: ProbeExit.HEALTHY,
    Status.NO_LEADER: ProbeExit.NO_LEADER,
    Status.UNREACHABLE: ProbeExit.UNREACHABLE,
    Status.FAILING: ProbeExit.UNREACHABLE,
    Status.NOT_DQLITE: ProbeExit.NOT_DQLITE,
}


def command(
    address: AddressArgument,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    watch: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=LONGEST, metavar="SECONDS", callback=finite, help="Ask again every so often."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="With --watch, stop after so many.")
    ] = None,
    timeout: TimeoutOption = 5.0,
) -> ProbeExit:
    """Ask a live node for its leader, cluster, metadata and generation. Nothing is changed.

    With --watch, the exit code is that of the last answer.
    """
    health = probe(address, timeout)
    _show(health, json_, redraw=False)
    rounds = 1
    try:
        while watch is not None and (count is None or rounds < count):
            time.sleep(watch)
            health = probe(address, timeout)
            _show(health, json_, redraw=not json_ and sys.stdout.isatty())
            rounds += 1
    except KeyboardInterrupt:
        emit("")
    return CODES[health.status]


def _show(health: Health, as_json: bool, redraw: bool) -> None:
    if as_json:
        emit_json(json.dumps(as_dict(health)), at_once=True)
        return
    lines = report(health, colourful(sys.stdout))
    if redraw:
        lines[0] = joined(cleared(), lines[0])
    for line in lines:
        emit(line, at_once=True)


def as_dict(health: Health) -> dict[str, Any]:
    """The state of a node as a JSON object."""
    return {
        "time": time.time(),
        "address": health.address,
        "status": health.status.name.lower(),
        "detail": health.detail or None,
        "leader": {"node_id": health.leader_id, "address": health.leader_address}
        if health.leader_address
        else None,
        "nodes": [{"node_id": n.node_id, "address": n.address, "role": n.role.name} for n in health.nodes],
        "failure_domain": health.failure_domain,
        "weight": health.weight,
        "server": health.server,
        "connect_ms": None if health.connected is None else round(health.connected * 1000, 3),
        "round_trip_ms": None if health.round_trip is None else round(health.round_trip * 1000, 3),
    }


def report(health: Health, colour: bool = False) -> list[str]:
    """The state of a node in lines."""
    style = "response" if health.status is Status.HEALTHY else "failure"
    detail = f" ({health.detail})" if health.detail else ""
    lines: list[str] = [joined(f"{health.address}  ", painted(health.status.value, style, colour), detail)]
    if health.round_trip is None:
        return lines
    leader = (
        f"{health.leader_id or '?'} at {health.leader_address}" if health.leader_address else "none known"
    )
    lines += [f"  leader       {leader}", f"  server       {health.server}"]
    if health.failure_domain is not None:
        lines.append(f"  metadata     failure domain {health.failure_domain}, weight {health.weight}")
    lines.append(f"  round trip   {health.round_trip * 1000:.2f} ms")
    for number, node in enumerate(health.nodes):
        label = "  nodes        " if number == 0 else " " * 15
        mark = " (leader)" if node.address == health.leader_address else ""
        lines.append(f"{label}{node.node_id}  {node.address}  {node.role.name.lower()}{mark}")
    return lines
