"""`dqlite-wire probe`: how is this node, or the cluster of these nodes?"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol, Self

import typer

from dqlitewire import NodeRole
from dqlitewire.cli import output
from dqlitewire.cli.clusters import cluster_lines, finding_lines, headline
from dqlitewire.cli.dialling import Dialling, TargetsArgument, target_of
from dqlitewire.cli.exits import Exit, ProbeExit
from dqlitewire.cli.options import LONGEST, WidthOption, finite
from dqlitewire.cli.output import colourful, emit, emit_json, fail, joined, painted, width
from dqlitewire.dial import DialOptions, Health, NodeView, Status, Target, Verdict, probe
from dqlitewire.dial.surveying import Survey
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
    targets: TargetsArgument,
    whole: Annotated[
        bool, typer.Option("--cluster", help="Ask every member that the leader names, too.")
    ] = False,
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
    columns: WidthOption = None,
    *,
    dialling: Dialling,
) -> Exit | ProbeExit:
    """Ask live nodes for leader, cluster, metadata and generation. Nothing is changed.

    Of several nodes, those of a cluster store and a whole cluster (--cluster), it says who leads according to
    whom, and what is not well: the exit code is 5 if a node is unreachable or nodes disagree, else 0. That is
    asked again before it is said, within the timeout. With --watch the exit code is that of the last answers,
    and 0 when the command is stopped.

    Example: probe --cluster 10.0.0.1:9001
    """
    if count is not None and watch is None:
        fail("--count goes with --watch", Exit.USAGE)
    wanted = [(target, dialling.options(target)) for target in map(target_of, targets)]
    (first, options), *others = wanted
    ask: Callable[[], _Round]
    if others or whole or len(first.addresses) > 1:
        survey = Survey.of(wanted, dialling.timeout, whole)

        def ask() -> _Round:
            return _Cluster(survey.run())

    else:

        def ask() -> _Round:
            return _Node(_asked(first, options, dialling.timeout))

    if watch is not None:
        return _watch(ask, watch, count, json_)
    found = ask()
    if json_:
        for state in found.objects():
            emit_json(json.dumps(state), at_once=True)
    else:
        for line in found.lines(width(columns), colourful(sys.stdout)):
            emit(line)
    return found.code


def _asked(target: Target, options: DialOptions, timeout: float) -> Health:
    address = str(target.addresses[0])
    if target.store is None:
        return probe(address, timeout, options)
    return probe(address, timeout, options, node_id=target.store.nodes[0].node_id)


class _Round(Protocol):
    """What was found when nodes were asked."""

    @property
    def code(self) -> ProbeExit: ...
    def objects(self) -> list[dict[str, Any]]: ...
    def lines(self, width: int, colour: bool) -> Iterable[str]: ...
    def changes(self, before: Self | None, colour: bool) -> Iterator[str]: ...


@dataclass(frozen=True)
class _Node:
    """One node."""

    health: Health

    @property
    def code(self) -> ProbeExit:
        return CODES[self.health.status]

    def objects(self) -> list[dict[str, Any]]:
        return [as_dict(self.health)]

    def lines(self, width: int, colour: bool) -> Iterable[str]:
        return report(self.health, colour)

    def changes(self, before: Self | None, colour: bool) -> Iterator[str]:
        """A line if it is not as it was."""
        if before is None or _state(as_dict(self.health)) != _state(as_dict(before.health)):
            yield change(self.health, time.time(), colour)


@dataclass(frozen=True)
class _Cluster:
    """Several nodes."""

    verdict: Verdict

    @property
    def code(self) -> ProbeExit:
        return ProbeExit.HEALTHY if self.verdict.healthy else ProbeExit.UNREACHABLE

    def objects(self) -> list[dict[str, Any]]:
        return [node_dict(self.verdict, node) for node in self.verdict.view.nodes]

    def lines(self, width: int, colour: bool) -> Iterable[str]:
        return cluster_lines(self.verdict, width, colour)

    def changes(self, before: Self | None, colour: bool) -> Iterator[str]:
        """A line for each node that is not as it was, for the cluster, and for what came or went."""
        when = time.time()
        known = {} if before is None else {each["address"]: _state(each) for each in before.objects()}
        now = self.objects()
        for state, node in zip(now, self.verdict.view.nodes, strict=True):
            if _state({**state, "findings": []}) != {**known.pop(state["address"], {}), "findings": []}:
                yield change(node.answer.health, when, colour, node.role)
        for address in known:
            yield joined(_moment(when), f"  {address}  is no member")
        mine = {finding.text: finding for finding in self.verdict.findings}
        theirs = {} if before is None else {finding.text: finding for finding in before.verdict.findings}
        (line,) = headline(self.verdict, 0, colour)
        if before is None or [line] != list(headline(before.verdict, 0, colour)):
            yield joined(_moment(when), "  ", line)
        for text in mine.keys() - theirs.keys():
            (line,) = finding_lines(mine[text], 0, colour)
            yield joined(_moment(when), "  ", line)
        for text in theirs.keys() - mine.keys():
            yield joined(_moment(when), f"  over: {text}")


def _watch(ask: Callable[[], _Round], pause: float, count: int | None, as_json: bool) -> Exit | ProbeExit:
    """Ask until somebody stops it; print what has changed."""
    before: Any = None
    asked = 0
    try:
        while True:
            found = ask()
            asked += 1
            if as_json:
                known = [] if before is None else [_state(each) for each in before.objects()]
                for state in found.objects():
                    if _state(state) not in known:
                        emit_json(json.dumps(state), at_once=True)
            else:
                for line in found.changes(before, colourful(sys.stdout)):
                    emit(line, at_once=True)
            before = found
            if asked == count:
                return found.code
            output.pause(pause)
    except KeyboardInterrupt:
        return Exit.OK


def _state(told: dict[str, Any]) -> dict[str, Any]:
    """What is watched: everything but the times."""
    return {name: value for name, value in told.items() if name not in _TIMES}


_TIMES = ("time", "connect_ms", "round_trip_ms")


def as_dict(health: Health) -> dict[str, Any]:
    """The state of a node as a JSON object."""
    return {
        "time": time.time(),
        "address": health.address,
        "node_id": health.node_id or None,
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
        "findings": [],
    }


def node_dict(verdict: Verdict, node: NodeView) -> dict[str, Any]:
    """The state of a node of a cluster as a JSON object.

    Args:
        verdict: on the cluster.
        node: the node.
    """
    return {
        **as_dict(node.answer.health),
        "node_id": node.node_id or None,
        "role": None if node.role is None else node.role.name,
        "findings": [
            {"kind": finding.kind.name.lower(), "problem": finding.problem, "text": finding.text}
            for finding in verdict.about(node)
        ],
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


def change(health: Health, when: float, colour: bool = False, role: NodeRole | None = None) -> Shown:
    """The state of a node in one line, with the time.

    Args:
        health: the state.
        when: seconds since 1970.
        colour: whether colours are wanted.
        role: of the node, where it is known better than by itself.
    """
    parts = [_moment(when), _headline(health, colour)]
    role = health.role if role is None else role
    if health.round_trip is not None:
        parts.append(f"leader {_leader(health)}")
        if role is not None:
            parts.append(role.name.lower())
        roles = Counter(node.role for node in health.nodes)
        parts.append(", ".join(counted(number, role.name.lower()) for role, number in sorted(roles.items())))
        parts.append(health.server)
    return joined(parts[0], *(piece for part in parts[1:] if part for piece in ("  ", part)))


def _moment(when: float) -> str:
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M:%S}Z"


def _headline(health: Health, colour: bool) -> Shown:
    style = "response" if health.status is Status.HEALTHY else "failure"
    detail = f" ({health.detail})" if health.detail else ""
    return joined(f"{health.address}  ", painted(health.status.value, style, colour), detail)


def _leader(health: Health) -> str:
    if not health.leader_address:
        return "none known"
    return f"{health.leader_id or '?'} at {health.leader_address}"
