"""Statistics of what nodes say to each other, as tables for people and as one object for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dqlitewire.traffic.raft_stats import Follower, RaftStatistics, Term
from dqlitewire.traffic.sources.transcript import seconds
from dqlitewire.traffic.views.line import duration
from dqlitewire.traffic.views.table import Row, table


def raft_report(statistics: RaftStatistics, width: int, colour: bool, timed: bool) -> Iterator[str]:
    """Yield the tables about nodes; nothing where no node said anything.

    Args:
        statistics: of the messages between nodes.
        width: columns that lines fit into.
        colour: whether titles are bold.
        timed: whether there are times.
    """
    terms = [Row(_term_cells(term), {"leader": term.leader or "-"}) for term in _terms(statistics)]
    if terms:
        yield ""
        yield from table("terms", terms, width, colour)
    followers = [
        Row(
            _follower_cells(one, statistics.last if timed else 0),
            {"follower": one.follower or "-", "leader": one.leader or "-"},
        )
        for one in statistics.followers.values()
    ]
    if followers:
        yield ""
        yield from table("replication", followers, width, colour)


def _terms(statistics: RaftStatistics) -> list[Term]:
    return [statistics.terms[number] for number in sorted(statistics.terms)]


def _term_cells(term: Term) -> dict[str, str]:
    return {
        "term": str(term.term),
        "asked": str(term.votes_asked or ""),
        "granted": str(term.votes_granted or ""),
        "pre-asked": str(term.pre_votes_asked or ""),
        "pre-granted": str(term.pre_votes_granted or ""),
    }


def _follower_cells(one: Follower, now: int) -> dict[str, str]:
    delay = one.delay(now)
    times = {
        "behind": "-" if delay is None else duration(delay),
        "max behind": duration(one.max_delay),
    }
    return {
        "sent": str(one.sent),
        "acked": "-" if one.acknowledged is None else str(one.acknowledged),
        "lag": "-" if one.lag is None else str(one.lag),
        **(times if now else {}),
        "entries": str(one.entries),
        "bytes": str(one.bytes),
        "snapshots": str(one.snapshots or ""),
    }


def raft_json(statistics: RaftStatistics, timed: bool) -> dict[str, Any] | None:
    """Return the statistics of nodes; None where no node said anything.

    Args:
        statistics: of the messages between nodes.
        timed: whether there are times.
    """
    if not statistics.messages:
        return None
    return {
        "messages": dict(sorted(statistics.messages.items())),
        "bytes": statistics.bytes,
        "terms": [
            {
                "term": term.term,
                "leader": term.leader or None,
                "first_time": _time(term.first, timed),
                "votes_asked": term.votes_asked,
                "votes_granted": term.votes_granted,
                "pre_votes_asked": term.pre_votes_asked,
                "pre_votes_granted": term.pre_votes_granted,
            }
            for term in _terms(statistics)
        ],
        "leaders": [
            {"time": _time(time, timed), "term": term, "leader": leader}
            for time, term, leader in statistics.leaders
        ],
        "followers": [_follower(one, statistics.last, timed) for one in statistics.followers.values()],
        "bytes_replicated": statistics.bytes_replicated,
        "snapshots": statistics.snapshots,
    }


def _time(time: int, timed: bool) -> float | None:
    return float(seconds(time)) if timed and time else None


def _follower(one: Follower, now: int, timed: bool) -> dict[str, Any]:
    delay = one.delay(now) if timed else None
    return {
        "leader": one.leader or None,
        "follower": one.follower or None,
        "last_index_sent": one.sent,
        "last_index_acknowledged": one.acknowledged,
        "lag": one.lag,
        "lag_ms": None if delay is None else delay / 1e6,
        "max_lag": one.max_lag,
        "max_lag_ms": one.max_delay / 1e6 if timed and one.acknowledged is not None else None,
        "entries": one.entries,
        "bytes": one.bytes,
        "snapshots": one.snapshots,
        "snapshot_bytes": one.snapshot_bytes,
    }
