"""How a request ends for the client: the events of a FAILURE, and the outcome if no answer comes."""

from __future__ import annotations

from ..constants import SQLITE_IOERR_NOT_LEADER, SQLITE_IOERR_NOT_LEADER_LEGACY, SQLITE_NOTFOUND
from ..servers.failures import Outcome, changes_something, explain_failure, stage_of
from ..servers.refusals import RUNS_SQL, RUNS_STATEMENT
from ..servers.releases import rules_of
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

__all__ = ["RUNS", "failed", "lost", "outcome_without_answer"]

RUNS = RUNS_SQL | RUNS_STATEMENT
_NOT_LEADER = frozenset({SQLITE_IOERR_NOT_LEADER, SQLITE_IOERR_NOT_LEADER_LEGACY})


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
    kind = frame[4]
    sql = session.text(request)
    seen = seen or session.what_ran(request)
    before = session.in_transaction
    said = explain_failure(
        failure.code,
        failure.message,
        request=request,
        sql=sql,
        generation=generation,
        in_transaction=before,
    )
    event = Failed(request, failure, said.outcome, sql, generation, before)
    session.answered(request, failure)
    if not loses_session(failure, request):
        if failure.code != SQLITE_NOTFOUND and kind in RUNS:  # else nothing has run
            stage = stage_of(failure, kind, seen, generation)
            session.failed(stage, failure, seen)
        return (event,)
    if failure.code in _NOT_LEADER and not _led(session, generation):
        if session.is_open:
            session.followed()
        return (event,)
    return event, *lost(session)


def lost(session: Session) -> tuple[SessionLost, ...]:
    """Return the event of a session that is gone, if there is anything to lose, and clear it."""
    events: tuple[SessionLost, ...] = ()
    if session.is_open is not False:
        events = (SessionLost(session.database, tuple(session.statements), session.in_transaction),)
        session.clear()
    return events


def _led(session: Session, generation: Generation) -> bool:
    """Tell whether the node is known to have led while the database was open."""
    rules = rules_of(generation)
    by_prepare = rules.prepare_needs_leader and session.statements
    return session.leads or rules.open_needs_leader or bool(by_prepare)
