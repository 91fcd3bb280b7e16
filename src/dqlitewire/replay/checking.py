"""What of a recording must not be sent to a node: requests that write, and hazards.

Both are judged from the recording alone, before anything is sent. A request writes if it can change data or
the cluster; what does not decode, or runs a statement whose text was not recorded, may. BEGIN, COMMIT and
their like change nothing by themselves. Hazards are judged by the rules of a client's conversation, whose
session is followed over the recorded answers.
"""

from __future__ import annotations

from collections.abc import Iterator

from dqlitewire import DecodeError, Message
from dqlitewire.constants import RequestType, ResponseType
from dqlitewire.conversation import Generation, Hazard, HazardError, Session
from dqlitewire.conversation.frames import STRICT
from dqlitewire.conversation.hazard_check import check_frame, check_request
from dqlitewire.conversation.outcomes import RUNS, failed
from dqlitewire.conversation.table import FIRST
from dqlitewire.messages import FailureResponse
from dqlitewire.replay.difference import shown_frame
from dqlitewire.replay.recorded import RecordedConnection, Step
from dqlitewire.replay.recording import Recording
from dqlitewire.replay.sameness import decoded
from dqlitewire.servers.failures import changes_something
from dqlitewire.servers.refusals import RUNS_STATEMENT
from dqlitewire.sql.survey import Survey, survey

__all__ = ["hazards", "writes"]

_TRANSACTION = frozenset({"BEGIN", "COMMIT", "END", "ROLLBACK", "ROLLBACK TO", "SAVEPOINT", "RELEASE"})
_READING = frozenset({"SELECT", "VALUES", "EXPLAIN"}) | _TRANSACTION


def writes(recording: Recording) -> Iterator[str]:
    """Yield each recorded request that may change something, in words."""
    for connection, unit, step in recording.moments:
        if step is Step.SENT:
            frame = connection.requests[unit].data
            if _writes(frame, connection.texts.get(unit)):
                yield _shown(connection, frame, connection.texts.get(unit))


def _writes(frame: bytes, text: str | None) -> bool:
    if frame[4] not in FIRST:
        return True
    kind = RequestType(frame[4])
    if kind in RUNS:
        text = getattr(decoded(frame), "sql", text)
        return text is None or not _reads(survey(text))
    return changes_something(kind, None)


def _reads(seen: Survey) -> bool:
    return not seen.pragmas and _READING.issuperset(seen.verbs)


def hazards(recording: Recording, generation: Generation) -> Iterator[str]:
    """Yield each recorded request that would harm a server, in words.

    Args:
        recording: what is going to be sent.
        generation: of the server; UNKNOWN is harmed by all that harms any.
    """
    followed: dict[RecordedConnection, _Followed] = {}
    for connection, unit, step in recording.moments:
        if step is Step.ENDED:
            followed.pop(connection, None)
            continue
        session = followed.get(connection)
        if session is None:
            session = followed[connection] = _Followed(connection, generation)
        if step is Step.ANSWERED:
            session.answered(unit)
        else:
            try:
                session.sent(unit)
            except HazardError as error:
                yield f"{_shown(connection, connection.requests[unit].data, None)} ({error})"


class _Followed:
    """The session of a recorded connection, as its answers tell."""

    def __init__(self, connection: RecordedConnection, generation: Generation) -> None:
        self._connection = connection
        self._generation = generation
        self._session = Session()
        self._open: dict[int, tuple[Message, bytes, Survey | None]] = {}

    def sent(self, unit: int) -> None:
        frame = self._connection.requests[unit].data
        check_frame(frame[4], frame, self._generation, Hazard.NONE, frame)
        try:
            request = STRICT.read(frame, is_request=True)
        except DecodeError:
            return
        seen = check_request(frame[4], request, self._session, self._generation, Hazard.NONE)
        self._session.sent(request)
        if frame[4] in RUNS_STATEMENT and seen is None and unit in self._connection.texts:
            seen = survey(self._connection.texts[unit])
        self._open[unit] = request, frame, seen

    def answered(self, unit: int) -> None:
        found = self._open.pop(unit, None)
        count = self._connection.answer_count[unit]
        if found is None:
            return
        request, frame, seen = found
        if not count or unit in self._connection.interrupted:
            self._session.unknown()
            return
        answer = self._connection.answers[self._connection.first_answer[unit] + count - 1].data
        kind = frame[4]
        if answer[4] == ResponseType.FAILURE:
            failure = decoded(answer, is_request=False)
            if isinstance(failure, FailureResponse):
                failed((request, frame, FIRST[kind], seen), failure, self._session, self._generation)
        elif kind in RUNS:
            self._session.ran(seen or self._session.what_ran(request), kind)
        elif (message := decoded(answer, is_request=False)) is not None:
            self._session.answered(request, message)


def _shown(connection: RecordedConnection, frame: bytes, text: str | None) -> str:
    ran = f" ({text})" if text is not None else ""
    return f"{connection.name}: {shown_frame(frame)}{ran}"
