"""What a client raises, all of it `ClientError`; hazards are refused by `HazardError` of the conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dqlitewire.conversation import Failed, FailureInfo, Outcome
from dqlitewire.text import sanitize_for_log, shown

_SHOWN = 3  # attempts in one line


class ClientError(Exception):
    """Base of what a client raises."""

    _given: tuple[object, ...] | None = None  # what it was made of, where that is not its text

    def __reduce__(self) -> tuple[type[ClientError], tuple[object, ...]]:
        return type(self), self.args if self._given is None else self._given


class Attempt(NamedTuple):
    """What became of the search for a leader at one address.

    Attributes:
        address: that was asked.
        said: what came of it, in words.
    """

    address: str
    said: str

    def __str__(self) -> str:
        return f"{sanitize_for_log(self.address)}: {self.said}"


class NoLeaderError(ClientError):
    """No node was found that leads.

    Args:
        attempts: what each address said.
        within: seconds that were spent; None if all was over before.

    Attributes:
        attempts: what each address said, in the order in which they were known.
    """

    def __init__(self, attempts: Sequence[Attempt], within: float | None = None) -> None:
        self.attempts: tuple[Attempt, ...] = tuple(attempts)
        shown = "; ".join(map(str, self.attempts[:_SHOWN]))
        more = len(self.attempts) - _SHOWN
        time = "" if within is None else f" within {within:.3g} s"
        self._given = (self.attempts, within)
        super().__init__(f"no leader{time}: {shown}{f'; and {more} more' if more > 0 else ''}")


class ConnectionFailed(ClientError):
    """The connection broke, or an answer did not come in time.

    Args:
        said: what happened, in words.
        outcome: what became of the request.

    Attributes:
        outcome: what became of the request.
    """

    def __init__(self, said: str, outcome: Outcome) -> None:
        super().__init__(sanitize_for_log(said))  # names a node as another node may have named it
        self.outcome = outcome
        self._given = (said, outcome)


class StatementFailed(ClientError):
    """The server answered FAILURE.

    Args:
        event: with the answer.

    Attributes:
        code: of the failure.
        message: the server's words, as they came.
        explanation: what it means.
        outcome: what became of the request.
    """

    def __init__(self, event: Failed) -> None:
        self.code: int = event.failure.code
        self.message: str = event.failure.message
        self.explanation: FailureInfo = event.explanation
        self.outcome: Outcome = event.outcome
        self._given = (event,)
        info = self.explanation
        said = f": {sanitize_for_log(self.message)}" if self.message else ""
        super().__init__(f"{info.name} ({self.code}){said}")


class NoDatabaseError(ClientError):
    """The cluster has no such database.

    Args:
        database: its name.

    Attributes:
        database: its name.
    """

    def __init__(self, database: str) -> None:
        super().__init__(f"the cluster has no database {shown(database)}")
        self._given = (database,)
        self.database = database
