"""What a client raises: one line each, harmless to a terminal, and the same in another process."""

from __future__ import annotations

import pickle

import pytest

from dqlitewire import messages
from dqlitewire.client import (
    Attempt,
    ClientError,
    ConnectionFailed,
    NoDatabaseError,
    NoLeaderError,
    StatementFailed,
    connect,
)
from dqlitewire.conversation import Failed, Outcome
from dqlitewire.testing import DqliteServer

FAILED = Failed(
    messages.ExecSqlRequest(0, "INSERT INTO t VALUES (1)"),
    messages.FailureResponse(10506, "lost\x1b[31m\n"),
    Outcome.UNKNOWN,
)
ERRORS = [
    ClientError("said"),
    NoLeaderError([Attempt("a:1", "refused")]),
    NoLeaderError([Attempt("a:1", "refused"), Attempt("\x1b:2", "no answer")], 2.5),
    ConnectionFailed("@\x1b[31m: closed", Outcome.UNKNOWN),
    StatementFailed(FAILED),
    NoDatabaseError("x\n"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_are_one_harmless_line_and_can_be_sent(error: ClientError) -> None:
    assert isinstance(error, ClientError)
    assert str(error).isprintable()
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    for name in ("attempts", "outcome", "code", "message", "database"):
        assert getattr(again, name, None) == getattr(error, name, None)


def test_what_a_server_says_is_there_as_it_came() -> None:
    error = StatementFailed(FAILED)
    assert (error.code, error.message, error.outcome) == (10506, "lost\x1b[31m\n", Outcome.UNKNOWN)
    assert str(error) == r"SQLITE_IOERR_LEADERSHIP_LOST (10506): lost?[31m\n"


def test_a_result_of_a_client_that_was_closed() -> None:
    with DqliteServer() as server:
        client = connect(server.address, "test.db")
        result = client.query(
            "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT i FROM r"
        )
        rows = iter(result)
        next(rows)
        client.close()
        with pytest.raises(ClientError, match="ended before its last row"):
            list(rows)
        with pytest.raises(ClientError, match="ended before its last row"):
            list(result)
