"""A line of `probe --json` and of `query --json`: what a live cluster said."""

from __future__ import annotations

from dqlitewire import NodeRole
from dqlitewire.dial import FindingKind, Status
from dqlitewire.servers.releases import Generation
from tools.drawn.schema.decode import NODE, VALUE
from tools.drawn.schema.words import (
    BOOL,
    COUNT,
    NUMBER,
    TEXT,
    Schema,
    array,
    maybe,
    one_of,
    page,
    record,
    ref,
    said,
    tokens,
)

__all__ = ["probe", "query"]


def probe() -> Schema:
    """Return the schema of a line of `probe --json`."""
    milliseconds = maybe({"type": "number", "minimum": 0})
    problem = said(BOOL, "whether something is not well: then the exit code is 5")
    finding = record({"kind": tokens(FindingKind), "problem": problem, "text": TEXT})
    required = {
        "time": said(NUMBER, "seconds since 1970"),
        "address": TEXT,
        "node_id": said(maybe({**COUNT, "minimum": 1}), "where it is known: a node does not tell"),
        "status": tokens(Status),
        "detail": said(maybe(TEXT), "why, for people"),
        "speaks": said(maybe(one_of(("tls", "http", "dqlite"))), "what it speaks instead, if that is known"),
        "leader": maybe(record({"node_id": COUNT, "address": TEXT})),
        "role": maybe(one_of(role.name for role in NodeRole)),
        "nodes": array(ref("node")),
        "failure_domain": maybe(COUNT),
        "weight": maybe(COUNT),
        "generation": said(
            maybe(one_of(g.release for g in Generation if g)), "the first release that it can be"
        ),
        "server": said(TEXT, "its generation in words"),
        "connect_ms": milliseconds,
        "round_trip_ms": milliseconds,
        "findings": said(array(finding), "of the cluster and this node, where several were asked"),
    }
    return page("dqlite-wire probe --json", record(required), {"node": NODE})


def query() -> Schema:
    """Return the schema of a line of `query --json`, one for each statement."""
    rows = record(
        {"columns": array(TEXT), "rows": array(array(ref("value")))},
        {"error": said(TEXT, "why rows are missing, for people; only where some are")},
    )
    done = record(
        {
            "rows_affected": said(maybe(COUNT), "null for statements that change no rows"),
            "last_insert_id": said(maybe({"type": "integer"}), "null unless rows were inserted"),
        }
    )
    shapes = {"anyOf": [said(rows, "of a statement that answers with rows"), said(done, "of any other")]}
    return page("dqlite-wire query --json", shapes, {"value": VALUE})
