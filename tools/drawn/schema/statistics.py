"""A line of `stats --json` and of `top --json`, which count the same things."""

from __future__ import annotations

from dqlitewire import NodeRole
from dqlitewire.conversation import Outcome, Retry
from dqlitewire.dial import Status
from dqlitewire.raft import RaftType
from dqlitewire.traffic.item import CLIENT_TYPES, OTHER_TYPES
from tools.drawn.schema.decode import requests
from tools.drawn.schema.words import (
    COUNT,
    NUMBER,
    TEXT,
    UNKNOWN_TYPE,
    Schema,
    array,
    counts,
    maybe,
    one_of,
    page,
    record,
    ref,
    said,
    tokens,
)

__all__ = ["stats", "top"]


def raft_stats() -> Schema:
    """Return the schema of what `stats --json` says of nodes."""
    time, name = maybe(NUMBER), maybe(TEXT)
    votes = ("votes_asked", "votes_granted", "pre_votes_asked", "pre_votes_granted")
    follower = {
        "leader": name,
        "follower": name,
        "last_index_sent": COUNT,
        "last_index_acknowledged": maybe(COUNT),
        "lag": said(maybe(COUNT), "entries; null where its results were not captured"),
        "lag_ms": said(maybe(NUMBER), "since the first of them was sent"),
        "max_lag": COUNT,
        "max_lag_ms": said(maybe(NUMBER), "the longest from sending an entry to its acknowledgement"),
        **dict.fromkeys(("entries", "bytes", "snapshots", "snapshot_bytes"), COUNT),
    }
    return record(
        {
            "messages": counts(one_of(RaftType.__members__)),
            "bytes": COUNT,
            "terms": array(
                record({"term": COUNT, "leader": name, "first_time": time, **dict.fromkeys(votes, COUNT)})
            ),
            "leaders": array(record({"time": time, "term": COUNT, "leader": TEXT})),
            "followers": array(record(follower)),
            "bytes_replicated": COUNT,
            "snapshots": COUNT,
        }
    )


MADE = said(NUMBER, "when the object was made, in seconds since 1970")
LATENCY = record({"count": COUNT, **dict.fromkeys(("total", "p50", "p95", "p99", "max"), NUMBER)})


def statement() -> dict[str, Schema]:
    """Return the keys of what a statement cost."""
    return {
        "statement": said(TEXT, "normalised text; the type of a request without SQL"),
        "type": {"anyOf": [one_of(requests()), UNKNOWN_TYPE]},
        "count": COUNT,
        "latency_ms": maybe(ref("latency")),
        **dict.fromkeys(("rows", "frames", "request_bytes", "response_bytes", "failures"), COUNT),
    }


def failure() -> Schema:
    """Return the schema of a kind of failure."""
    keys = {
        "code": COUNT,
        "name": TEXT,
        "message": TEXT,
        "meaning": TEXT,
        "outcome": tokens(Outcome),
        "retry": tokens(Retry),
        "count": COUNT,
        "statements": counts(),
    }
    return record(keys)


def shared() -> dict[str, Schema]:
    """Return the keys that `stats` and `top` both have."""
    places = record({"bytes": COUNT, "places": COUNT})
    return {
        "connections": COUNT,
        "latency_ms": maybe(ref("latency")),
        "failures": array(failure()),
        "retries": said(
            counts(one_of(("busy", "not_leader"))), "by what the statement had failed with before"
        ),
        "leaders": array(record({"time": maybe(NUMBER), "address": TEXT})),
        "leader_changes": COUNT,
        "unanswered": counts(),
        "garbage": said(places, "bytes that are no frame"),
        "undecoded": said(COUNT, "frames that do not decode"),
        "lost": said(places, "bytes that were not captured"),
        "skipped": said(COUNT, "lines and records that a source could not read"),
        "notes": said(array(TEXT), "what is said of the sources, for people"),
    }


def stats() -> Schema:
    """Return the schema of a line of `stats --json`."""
    loop = {"key": TEXT, "after": TEXT, "runs": COUNT, "queries": COUNT, "longest": COUNT}
    types = counts({"anyOf": [one_of(sorted(CLIENT_TYPES - set(OTHER_TYPES))), UNKNOWN_TYPE]})
    required = {
        **shared(),
        "messages": record({"request": types, "response": types}),
        "request_bytes": COUNT,
        "response_bytes": COUNT,
        "first_time": said(maybe(NUMBER), "seconds since 1970; null where nobody knows"),
        "last_time": said(maybe(NUMBER), "seconds since 1970; null where nobody knows"),
        "statements": array(record(statement())),
        "repeated": array(record(loop)),
        "raft": said(maybe(raft_stats()), "what nodes said to each other; null if that is nothing"),
    }
    optional = {"time": said(NUMBER, "with --every: when it was made, in seconds since 1970")}
    return page("dqlite-wire stats --json", record(required, optional), {"latency": LATENCY})


def top() -> Schema:
    """Return the schema of a line of `top --json`: of traffic, or of nodes."""
    found = {"traffic": watched_traffic(), "nodes": watched_nodes(), "latency": LATENCY}
    return page("dqlite-wire top --json", {"oneOf": [ref("traffic"), ref("nodes")]}, found)


def watched_traffic() -> Schema:
    """Return the schema of what `top --json` prints of traffic."""
    rate = said(maybe({**NUMBER, "minimum": 0}), "a second; null where times are not known")
    slow = {"latency_ms": NUMBER, "time": maybe(NUMBER), "connection": COUNT, "statement": TEXT}
    totals = dict.fromkeys(("requests", "rows", "failures", "unanswered", "retries"), COUNT)
    keys = {
        "watched": {"const": "traffic"},
        "time": MADE,
        "at": said(maybe(NUMBER), "the end of the window, in seconds since 1970; null where nobody knows"),
        "window_s": said(maybe(NUMBER), "seconds that the window covers; null where times are not known"),
        "requests": said(COUNT, "in the window, as all that follows"),
        "requests_per_s": rate,
        "rows": COUNT,
        "rows_per_s": rate,
        "statements": array(record({**statement(), "per_s": rate})),
        "statements_in_all": COUNT,
        "slowest": array(record(slow)),
        "waiting": said(
            array(record({"age_ms": NUMBER, "connection": COUNT, "statement": TEXT})),
            "requests without a whole answer, the oldest ones",
        ),
        "open": said(COUNT, "how many of these there are"),
        "totals": said(record(totals), "since the beginning"),
        "raft_messages": said(COUNT, "between nodes, since the beginning"),
        **shared(),
    }
    return record(keys)


def watched_nodes() -> Schema:
    """Return the schema of what `top --json` prints of nodes."""
    milliseconds = maybe({"type": "number", "minimum": 0})
    node = {
        "address": TEXT,
        "node_id": maybe(COUNT),
        "status": tokens(Status),
        "role": maybe(one_of(role.name for role in NodeRole)),
        "leader": said(maybe(TEXT), "address of the leader that it names"),
        "round_trip_ms": milliseconds,
        "round_trips_ms": said(maybe(record({"p50": NUMBER, "max": NUMBER})), "of the last rounds"),
        "missed": said(COUNT, "rounds in which it did not answer"),
        "detail": said(maybe(TEXT), "why, for people"),
    }
    keys = {
        "watched": {"const": "nodes"},
        "time": MADE,
        "rounds": COUNT,
        "leader": maybe(record({"node_id": maybe(COUNT), "address": TEXT})),
        "elections": said(COUNT, "that were seen"),
        "changes": array(record({"time": NUMBER, "before": TEXT, "after": TEXT})),
        "nodes": array(record(node)),
        "problems": said(array(TEXT), "for people"),
    }
    return record(keys)
