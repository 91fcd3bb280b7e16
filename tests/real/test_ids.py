"""Ids of databases that are not there: what `retry` says is done, and has the effect that it promises."""

from __future__ import annotations

import pytest

from dqlitewire import Message
from dqlitewire.conversation import Failed, Hazard, Outcome, Retry, SessionLost
from dqlitewire.messages import (
    ExecRequest,
    ExecSqlRequest,
    FinalizeRequest,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
)
from tests.conversation.peer import Peer
from tests.real.nodes import Node

SQL = "SELECT 1 AS x"


def requests(db_id: int) -> list[Message]:
    """One of each type that names a database."""
    return [
        PrepareRequest(db_id, SQL),
        ExecSqlRequest(db_id, "CREATE TABLE IF NOT EXISTS t (a)"),
        QuerySqlRequest(db_id, SQL),
        ExecRequest(db_id, 0),
        QueryRequest(db_id, 0),
        FinalizeRequest(db_id, 0),
    ]


def failed(peer: Peer, request: Message) -> Failed:
    (event,) = [one for one in peer.ask(request, allow=Hazard.ALL) if not isinstance(one, SessionLost)]
    assert isinstance(event, Failed), event
    assert (event.failure.code, event.failure.message) == (12, "no database opened")
    assert event.outcome is Outcome.NOT_EXECUTED
    return event


@pytest.mark.parametrize("db_id", [1, 7, (1 << 32) - 1])
def test_another_database_id(real_node: Node, database: str, db_id: int) -> None:
    """It fails in front of OPEN and behind it, and loses nothing."""
    with Peer(real_node.address) as peer:
        for request in requests(db_id):
            assert failed(peer, request).explanation.retry is Retry.NO
        peer.open(database)
        peer.ask(PrepareRequest(0, SQL))
        for request in requests(db_id):
            event = failed(peer, request)
            assert event.explanation.retry is Retry.NO
            assert "OPEN always gives 0" in str(event.explanation)
        assert peer.conversation.session.is_open
        assert peer.rows(QueryRequest(0, 0)) == [(1,)]


def test_no_database_yet(real_node: Node, database: str) -> None:
    """The same failure, and it goes away with OPEN and PREPARE."""
    for number, request in enumerate(requests(0)):
        with Peer(real_node.address) as peer:
            assert failed(peer, request).explanation.retry is Retry.REOPEN
            peer.ask(OpenRequest(database))
            peer.ask(PrepareRequest(0, requests(0)[1].sql if number == 3 else SQL))  # type: ignore[attr-defined]
            assert not [event for event in peer.ask(request) if isinstance(event, Failed)]
