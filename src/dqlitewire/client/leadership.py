"""Whether a node leads: it is believed when it acts so, whatever it says.

    LEADER                  is there one? a node that names nobody is asked again with the handshake from
                            before 1.0, which those that are no voters answer
    QUERY_SQL before OPEN   is it this one? A leader says "no database opened", any other node "not leader";
                            nothing is created (dqlite src/gateway.c: LOOKUP_DB comes behind CHECK_LEADER)
    OPEN, QUERY_SQL         what the client is going to do; a query proves that a majority is there
    CLUSTER                 who can be asked when this leader is gone

Each function notes on the candidate what it asks, so that a silent node can be told by that.
"""

from __future__ import annotations

from collections.abc import Sequence

from dqlitewire import SQLITE_NOTFOUND, NodeInfo
from dqlitewire.client.candidate import Candidate
from dqlitewire.client.connection import Connection
from dqlitewire.client.errors import StatementFailed
from dqlitewire.conversation import Answered, Event, Failed, Retry, Rows
from dqlitewire.dial import Deadline
from dqlitewire.messages import (
    ClusterRequest,
    LeaderRequest,
    LeaderResponse,
    OpenRequest,
    QuerySqlRequest,
    ServersResponse,
)

HARMLESS = "SELECT 1"


def named_leader(candidate: Candidate, connection: Connection, deadline: Deadline) -> tuple[int, str]:
    """Return id and address of the leader that a node knows; 0 or "" where it is not told.

    Args:
        candidate: the node.
        connection: to it.
        deadline: for the answer.

    Raises:
        Broken: there was none.
    """
    candidate.step = "LEADER"
    match connection.ask(LeaderRequest(), deadline):
        case Answered(_, LeaderResponse(node_id, named)):
            return node_id, named
        case _:
            return 0, ""


def refusal(
    candidate: Candidate, connection: Connection, database: str | None, deadline: Deadline
) -> Event | None:
    """Return the answer by which a node shows that it does not lead; None if it acts as leader.

    Args:
        candidate: the node.
        connection: to it, on which nothing was opened.
        database: to open; None for none.
        deadline: for the answers.

    Raises:
        StatementFailed: it leads, and cannot open the database.
        Broken: there was no answer.
    """
    harmless = QuerySqlRequest(0, HARMLESS)
    candidate.step = "QUERY_SQL"
    event = connection.ask(harmless, deadline)
    if not (isinstance(event, Failed) and event.failure.code == SQLITE_NOTFOUND):
        return event
    if database is None:
        return None
    candidate.step = "OPEN"
    event = connection.ask(OpenRequest(database), deadline)
    if isinstance(event, Answered):
        candidate.step = "QUERY_SQL"
        event = connection.ask(harmless, deadline)
    if isinstance(event, Failed) and event.explanation.retry is Retry.NO:
        raise StatementFailed(event)
    return None if isinstance(event, Rows) else event


def members(candidate: Candidate, connection: Connection, deadline: Deadline) -> Sequence[NodeInfo]:
    """Return the nodes of the cluster as a node knows them; none if it does not tell.

    Args:
        candidate: the node.
        connection: to it.
        deadline: for the answer.

    Raises:
        Broken: there was none.
    """
    candidate.step = "CLUSTER"
    match connection.ask(ClusterRequest(), deadline):
        case Answered(_, ServersResponse() as servers):
            return servers.nodes
        case _:
            return ()
