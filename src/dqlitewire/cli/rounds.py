"""What `top` shows of nodes: rounds of questions, what they add up to, and the lines that show it.

A node tells its leader and the members, and nothing of statements. Over the rounds that adds up to round
trips, how often a node did not answer, and elections: one is counted when another node leads than the one
that led before, however long nobody did in between. That a leader lost its office and won it back between
two rounds, nobody can see.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from rich.text import Text

from dqlitewire.cli.clusters import HEADS, cells, finding_lines
from dqlitewire.dial import NodeView, Verdict
from dqlitewire.dial.addresses import spelling
from dqlitewire.dial.cluster import ClusterView
from dqlitewire.text import printable
from dqlitewire.traffic.quantiles import Durations
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.views.line import duration
from dqlitewire.traffic.views.screen import BAD, DIM, Column, Piece, grid, head, screenful, title

KEPT = 60  # rounds of which round trips are known
CHANGES = 20  # elections that are told

Head = Literal["role", "leader", "round trip", "id", "server", "weight", "domain"]
#: in which order columns of `clusters.HEADS` are left out
_RANKS: dict[Head, int] = {
    "role": 0,
    "leader": 1,
    "round trip": 2,
    "id": 3,
    "server": 7,
    "weight": 8,
    "domain": 9,
}


@dataclass(frozen=True)
class Election:
    """Another leader than before.

    Attributes:
        time: when it was seen, in seconds since 1970.
        before: address of the leader before.
        after: address of the leader.
    """

    time: float
    before: str
    after: str


@dataclass
class Trips:
    """Round trips of a node: the last ones, in nanoseconds; and how often it did not answer."""

    last: deque[int] = field(default_factory=lambda: deque[int](maxlen=KEPT))
    missed: int = 0

    @property
    def durations(self) -> Durations:
        """The last ones."""
        found = Durations()
        for trip in self.last:
            found.add(trip)
        return found


class Rounds:
    """Counts what was found in rounds.

    Attributes:
        verdict: on the last one; None before the first.
        time: of the last one, in seconds since 1970.
        count: how many there were.
        leader: address of the last leader that was known; "" if none was.
        since: when it was seen first.
        elections: how many were seen; `changes` has the last ones.
        changes: the last elections.
        trips: of each node, by its address.
    """

    def __init__(self) -> None:
        self.verdict: Verdict | None = None
        self.time: float = 0.0
        self.count: int = 0
        self.leader: str = ""
        self.since: float = 0.0
        self.elections: int = 0
        self.changes: deque[Election] = deque(maxlen=CHANGES)
        self.trips: dict[str, Trips] = {}

    def add(self, verdict: Verdict, now: float) -> None:
        """Count a round.

        Args:
            verdict: what was found.
            now: the time, in seconds since 1970.
        """
        self.verdict, self.time = verdict, now
        self.count += 1
        leader = verdict.view.leader
        if leader and spelling(leader) != spelling(self.leader):
            if self.leader:
                self.elections += 1
                self.changes.append(Election(now, self.leader, leader))
            self.leader, self.since = leader, now
        known, self.trips = self.trips, {}
        for node in verdict.view.nodes:
            health = node.answer.health
            trips = self.trips[health.address] = known.get(health.address) or Trips()
            if health.round_trip is None:
                trips.missed += 1
            else:
                trips.last.append(round(health.round_trip * 1e9))


def node_lines(
    rounds: Rounds, name: str, width: int, height: int | None = None, keys: Sequence[str] = ()
) -> list[Text]:
    """Return the lines that show nodes; at most `height`, none wider than `width`.

    Args:
        rounds: what was found.
        name: what is watched.
        width: columns.
        height: rows; None for as many as it takes.
        keys: what the last line says of keys; none for no such line.
    """
    below = [head("", [Piece(key, DIM) for key in keys], width, 0)] if keys else []
    verdict = rounds.verdict
    if verdict is None:
        return screenful([title(f"top: {name}", "asking", width)], below, width, height)
    when = f"{_clock(rounds.time)}, {counted(rounds.count, 'round')}"
    lines = [title(f"top: {name}", when, width, height is not None)]
    lines += _heads(rounds, verdict, width)
    nodes = verdict.view.nodes
    problems = [finding for finding in verdict.findings if finding.problem]
    room = len(nodes) if height is None else height - len(lines) - len(below) - 2
    kept = 0 if height is None else min(len(problems) + 1, max(room - len(nodes), room // 3))
    kept = kept if kept > 1 else 0  # a blank line and a problem, or none
    shown = nodes if height is None else nodes[: max(room - kept, 0)]
    if shown:
        lines += [Text(), *_grid(rounds, verdict, shown, width)]
    if problems and height is None:
        told = [line for finding in problems for line in finding_lines(finding, width)]
        lines += [Text(), *(Text(line, BAD) for line in told)]
    elif problems:
        lines += [Text(), *(head("!", [Piece(finding.text, BAD)], width, 2) for finding in problems)]
    return screenful(lines, below, width, height)


def _clock(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%H:%M:%S}Z"


def _heads(rounds: Rounds, verdict: Verdict, width: int) -> list[Text]:
    view = verdict.view
    answered = sum(node.answer.health.answered for node in view.nodes)
    many = len(view.nodes)
    if view.leader:
        named = [spelling(node.answer.health.leader_address) == spelling(view.leader) for node in view.nodes]
        leader = [Piece(view.name(view.leader)), Piece(f"named by {sum(named)} of {answered}")]
        leader += [Piece(f"for {rounds.time - rounds.since:.0f} s")] * (rounds.count > 1)
    else:
        leader = [Piece("none known", BAD)]
        leader += [Piece(f"before {rounds.leader}")] * bool(rounds.leader)
    elections = [Piece(f"{rounds.elections} seen")]
    if rounds.changes:
        last = rounds.changes[-1]
        elections += [Piece(f"{_clock(last.time)} {last.before} -> {last.after}")]
    nodes = [Piece(f"{answered} of {many} answered", BAD if answered < many else "")]
    nodes += [Piece(counted(len(view.members), "member"))]
    told = {"leader": leader, "elections": elections, "nodes": nodes}
    if rounds.count == 1:
        del told["elections"]  # of one round there is nothing to tell
    return [head(label, facts, width) for label, facts in told.items()]


def _grid(rounds: Rounds, verdict: Verdict, nodes: Sequence[NodeView], width: int) -> list[Text]:
    rows = [dict(zip(HEADS, cells(verdict, node), strict=True)) for node in nodes]
    trips = [rounds.trips[node.answer.health.address] for node in nodes]
    columns = [Column(name, [row[name] for row in rows], rank) for name, rank in _RANKS.items()]
    for at, (name, share) in enumerate((("p50", 0.5), ("max", 1.0))):
        texts = [duration(one.durations.quantile(share)) if len(one.last) > 1 else "" for one in trips]
        columns.insert(3 + at, Column(name, texts, 5 + at))
    columns.append(
        Column("missed", [str(one.missed or "") if rounds.count > 1 else "" for one in trips], 4, BAD)
    )
    styles = ["" if node.answer.health.answered else BAD for node in nodes]
    return grid(columns, "address", [row["address"] for row in rows], width, styles)


def nodes_json(rounds: Rounds) -> str:
    """Return what was found of nodes as one JSON object; docs/guides/top.md describes the keys.

    Args:
        rounds: at least one.

    Raises:
        ValueError: there was no round.
    """
    if rounds.verdict is None:
        raise ValueError("no round was added")
    verdict = rounds.verdict
    view = verdict.view
    out: dict[str, Any] = {
        "watched": "nodes",
        "time": round(rounds.time, 3),
        "rounds": rounds.count,
        "leader": _leader(view),
        "elections": rounds.elections,
        "changes": [vars(change) for change in rounds.changes],
        "nodes": [_node(rounds, node) for node in view.nodes],
        "problems": [finding.text for finding in verdict.findings if finding.problem],
    }
    return json.dumps(out, ensure_ascii=False)


def _leader(view: ClusterView) -> dict[str, Any] | None:
    if not view.leader:
        return None
    member = view.member_at(view.leader)
    return {"node_id": None if member is None else member.node_id, "address": view.leader}


def _node(rounds: Rounds, node: NodeView) -> dict[str, Any]:
    health = node.answer.health
    trips = rounds.trips[health.address]
    durations = trips.durations
    quantiles = {"p50": durations.quantile(0.5) / 1e6, "max": durations.highest / 1e6}
    return {
        "address": health.address,
        "node_id": node.node_id or None,
        "status": health.status.name.lower(),
        "role": None if node.role is None else node.role.name,
        "leader": health.leader_address or None,
        "round_trip_ms": None if health.round_trip is None else round(health.round_trip * 1000, 3),
        "round_trips_ms": quantiles if durations.count else None,
        "missed": trips.missed,
        "detail": printable(health.detail) or None,
    }
