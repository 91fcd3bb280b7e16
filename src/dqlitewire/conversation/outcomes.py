"""How a request ends for the client: the events of a FAILURE, and the outcome if no answer comes."""

from __future__ import annotations

from ..constants import SQLITE_NOTFOUND
from ..servers.failures import Outcome, changes_something, explain_failure
from ..servers.refusals import RUNS_SQL, RUNS_STATEMENT
from .events import Failed, SessionLost
from .session import loses_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..messages import FailureResponse
    from ..servers.generation import Generation
    from ..sql.survey import Survey
    from .session import Session
    from .table import Place

    # A request that was sent and has not ended: the object that was given, its frame, where it stands in the
    # table, and what its SQL does (None if it has none, or one that is not known).
    Open = tuple[Any, bytes, Place, Survey | None]

__all__ = ["failed", "outcome_without_answer"]

_RUNS = RUNS_SQL | RUNS_STATEMENT


def outcome_without_answer(entry: Open) -> Outcome:
    """Return what became of a request whose answer will not come."""
    kind = entry[0].MSG_TYPE
    return Outcome.UNKNOWN if changes_something(kind, entry[3]) else Outcome.NOT_EXECUTED


def failed(
    entry: Open, failure: FailureResponse, session: Session, generation: Generation
) -> tuple[Failed, *tuple[SessionLost, ...]]:
    """Return the events of a FAILURE, and let the session follow it.

    Args:
        entry: the request that failed.
        failure: the answer.
        session: what the server keeps for the connection.
        generation: of the server, as far as known.

    Returns:
        Failed, and SessionLost behind it where the failure says that something is lost.
    """
    request, frame, _, seen = entry
    code, message = failure.code, failure.message
    sql = session.text(request)
    outcome = explain_failure(code, message, request=request, sql=sql, generation=generation).outcome
    event = Failed(request, failure, outcome, sql, generation)
    session.answered(request, failure)
    if not loses_session(failure, request):
        if code != SQLITE_NOTFOUND and frame[4] in _RUNS:  # else nothing has run
            session.failed(seen, code, message)
        return (event,)
    if session.database is None:  # there is nothing to lose
        return (event,)
    lost = SessionLost(session.database, tuple(session.statements), session.in_transaction)
    session.clear()
    return event, lost
