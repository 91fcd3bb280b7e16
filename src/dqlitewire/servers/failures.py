"""A FAILURE in words: the name of its code, what it means for the request, and what is safe to send again.

A driver that gets a FAILURE must decide whether the request may have taken effect. A write that is sent twice
is as wrong as one that is lost, so `Outcome.NOT_EXECUTED` is a promise, made only where the code shows that
the change cannot be there; all else is UNKNOWN, and the user has to look.

What decides it is how far the server has come (dqlite src/gateway.c, src/leader.c):

    read the request       1005, 1001                 REQUEST: nothing has run
    leader? database?      10250, 12                  REQUEST, of a script COMPILE
    raft barrier           1 "barrier error"          COMPILE: this statement has not begun
    prepare, bind          1, 25, 0                   "
    step                   19, 13, 18 ..              STEP: SQLite undoes the statement, or not
    append to raft's log   10506, 10                  DOUBT: the change may be committed yet
    apply                  RESULT

Each rule names such a `Stage`; what follows from it, and what becomes of rows and transaction when a step
fails, is told in `aftermath`. From the log on nobody can tell: the entry of a leader that loses leadership
may have reached enough followers for the next leader to commit it.

Five more things blur the picture, each met in one place of `_stage` or `explain_failure`:

* A request that cannot change anything (a SELECT, PREPARE, LEADER) is never UNKNOWN, and where a write would
  need a look it is just sent again.
* Up to 1.18.1 raft's own error numbers come through as if they were SQLite's (`RAFT_CODES`): a 13 is either
  "database full" or "canceled", of which the second may commit.
* From 1.18.2 on QUERY_SQL hides any failure between prepare and step behind "nonempty statement tail"; for a
  text of one statement that text is impossible, so the cause is another one.
* "no database opened" is the answer to any database id but 0, which is the only one there is (src/gateway.c:
  LOOKUP_DB): a request with another id fails after OPEN too.
* "not an error" is what QUERY of a statement without columns gets up to 1.14, and anything else may get when
  raft fails and SQLite is asked for the words.

`RULES` is read from the top; the first rule whose code and text fit speaks, for one writing statement. Rules
of a text stand before the rule of their code alone.
"""

from __future__ import annotations

from enum import Enum

from ..checks import checked_kind, checked_number
from ..constants import SQLITE_ERROR, RequestType, is_dqlite_namespace_code
from ..sql.survey import Survey, survey
from ..text import kind_of, sanitize_for_log, shown
from .aftermath import Stage, has_not_begun, is_undone
from .codes import NAMES, failure_name, primary_of
from .generation import Generation, checked_generation
from .refusals import NO_DATABASE
from .releases import rules_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..messages import FailureResponse, Message

__all__ = [
    "RAFT_CODES",
    "RULES",
    "FailureInfo",
    "Outcome",
    "Retry",
    "changes_something",
    "explain_failure",
    "failure_name",
    "stage_of",
]


class Outcome(Enum):
    """What became of a request: the promise that a client may build on."""

    DONE = "done"
    NOT_EXECUTED = "not executed"  # it changed nothing and may be sent again
    UNKNOWN = "unknown"  # it may have been executed, in part or whole, or may still be


class Retry(Enum):
    """Where a request that failed may be sent again."""

    NO = "no: it would fail again"
    SAME = "yes, here, after a pause"
    REOPEN = "yes, here, after OPEN and PREPARE"
    LEADER = "yes, on the leader"
    CHECK = "only after looking whether it took effect"


class FailureInfo:
    """What a FAILURE means for the request it answers; made by `explain_failure`.

    `str` gives one line for people, with the server's words made harmless for terminals and logs.

    Attributes:
        code: as the server sent it, an extended code of SQLite or one of dqlite's own.
        name: its name in SQLite or dqlite, such as "SQLITE_IOERR_NOT_LEADER".
        message: the server's words, as they came.
        meaning: one clause for people, in lower case.
        retry: whether and where to send the request again.
        outcome: what became of the request.
    """

    __slots__ = ("code", "meaning", "message", "name", "outcome", "retry")
    __match_args__ = ("code", "name", "meaning", "retry", "outcome")

    def __init__(
        self, code: int, name: str, message: str, meaning: str, retry: Retry, outcome: Outcome
    ) -> None:
        self.code: int = code
        self.name: str = name
        self.message: str = message
        self.meaning: str = meaning
        self.retry: Retry = retry
        self.outcome: Outcome = outcome

    def __str__(self) -> str:
        said = f" {sanitize_for_log(self.message)!r}" if self.message else ""
        words = f"{self.meaning}; {self.outcome.value}; retry: {self.retry.value}"
        return f"{self.name} ({shown(self.code)}){said}: {words}"

    def __repr__(self) -> str:
        return f"FailureInfo({shown(self.code)}, {self.name!r}, {self.retry}, {self.outcome})"


_CONFIGURATION = frozenset({RequestType.ADD, RequestType.ASSIGN, RequestType.REMOVE, RequestType.TRANSFER})
_TYPES = frozenset(map(int, RequestType))
_QUERIES = frozenset({RequestType.QUERY, RequestType.QUERY_SQL})
_NO, _SAME, _REOPEN, _LEADER, _CHECK = Retry.NO, Retry.SAME, Retry.REOPEN, Retry.LEADER, Retry.CHECK
_REQUEST, _COMPILE, _STEP, _ROW, _DOUBT = Stage

# codes (extended or primary), a part of the message or "", meaning, retry, how far it came
RULES: tuple[tuple[tuple[int, ...], str, str, Retry, Stage], ...] = (
    ((10250, 8202), "", "this node is not the leader", _LEADER, _COMPILE),
    (
        (10506, 8458),
        "",
        "the node lost leadership meanwhile; the change may still commit",
        _CHECK,
        _DOUBT,
    ),
    ((12,), "no database opened", "the connection has no open database (any more)", _REOPEN, _REQUEST),
    ((12,), "no statement", "the connection has no such prepared statement", _REOPEN, _REQUEST),
    ((0,), "", "the text holds no statement", _NO, _REQUEST),
    ((5,), "already open", "the connection has opened a database before", _NO, _REQUEST),
    ((5,), "checkpoint", "a checkpoint is running", _SAME, _REQUEST),
    ((5,), "configuration change", "another change of the cluster is not finished", _SAME, _REQUEST),
    ((517,), "", "the transaction read before another one wrote: roll back, begin again", _NO, _COMPILE),
    ((5, 6), "", "another connection holds the lock", _SAME, _COMPILE),
    ((1,), "statement tail", "more than one statement where one is allowed", _NO, _REQUEST),
    ((1, 100), "rows yielded", "a statement that yields rows, sent to be executed", _NO, _ROW),
    ((100,), "", "a statement that yields rows, sent to be executed", _NO, _ROW),
    ((1, 1005), "unrecognized schema", "the server does not know this schema", _NO, _REQUEST),
    ((1005,), "unrecognized request", "the server does not know this request", _NO, _REQUEST),
    ((1005,), "unrecognized cluster", "the server does not know this CLUSTER format", _NO, _REQUEST),
    ((1, 1005), "bind parameters", "the parameters cannot be read or bound", _NO, _COMPILE),
    ((1005,), "", "the server cannot read the request", _NO, _REQUEST),
    ((1001,), "", "the server met a protocol error", _NO, _REQUEST),
    ((1002,), "", "no such database, or not opened on this node yet", _NO, _REQUEST),
    ((1,), "leadership transfer failed", "the node still leads", _SAME, _REQUEST),
    ((1,), "shutting down", "the node is stopping", _CHECK, _DOUBT),
    ((1,), "operation canceled", "the node gave up the change", _CHECK, _DOUBT),
    ((1,), "barrier error", "the node could not confirm that it leads", _LEADER, _COMPILE),
    ((1,), "server ID already in use", "another node has this id", _NO, _REQUEST),
    ((1,), "server address already in use", "another node has this address", _NO, _REQUEST),
    ((1,), "server ID is not valid", "no such node, or not one that can be meant", _NO, _REQUEST),
    ((1,), "server role is not valid", "the node has this role already", _NO, _REQUEST),
    ((1,), "Resource not found", "no such node, or not one that can be meant", _NO, _REQUEST),
    ((1,), "not an error", "QUERY of a statement without columns", _NO, _REQUEST),
    ((1,), "", "the statement is wrong, or cannot run as things are", _NO, _STEP),
    (
        (10,),
        "leader exec failed",
        "wrong parameters, a full database, or another cause",
        _CHECK,
        _DOUBT,
    ),
    ((10,), "WAL mode", "a pragma this server forbids", _NO, _COMPILE),
    ((10,), "checkpoint not allowed", "a pragma this server forbids", _NO, _COMPILE),
    ((10,), "", "input or output failed on the node", _CHECK, _DOUBT),
    ((15,), "", "a DESCRIBE format that servers die of", _NO, _DOUBT),
    ((19,), "", "a constraint forbids it", _NO, _STEP),
    ((23,), "", "a pragma or ATTACH this server forbids", _NO, _COMPILE),
    ((25,), "", "more parameters than the statement has", _NO, _REQUEST),
    ((18,), "", "a value or row above SQLite's limit", _NO, _STEP),
    ((20,), "", "a value of the wrong type", _NO, _STEP),
    ((9,), "", "the statement was interrupted", _SAME, _STEP),
    ((4,), "", "the statement was aborted, or the node stops", _CHECK, _DOUBT),
    ((13,), "", "the database is full", _NO, _STEP),
    ((7,), "", "out of memory", _SAME, _STEP),
    ((11, 24, 26), "", "the database file is damaged", _NO, _DOUBT),
    ((8,), "", "the database cannot be written", _NO, _COMPILE),
)

# dqlite 1.18.1 src/leader.c: leader_exec_cb passes raft's own codes on where SQLite's are expected.
RAFT_CODES = {
    7: "RAFT_NOTLEADER",
    8: "RAFT_LEADERSHIPLOST",
    9: "RAFT_SHUTDOWN",
    13: "RAFT_CANCELED",
    16: "RAFT_NOCONNECTION",
    17: "RAFT_BUSY",
    18: "RAFT_IOERR",
    22: "RAFT_NOSPACE",
}


def explain_failure(
    code: int,
    message: str = "",
    *,
    request: Message | RequestType | None = None,
    sql: str | None = None,
    generation: Generation = Generation.UNKNOWN,
    in_transaction: bool | None = None,
) -> FailureInfo:
    """Say what a FAILURE means for the request it answers.

    Args:
        code: of the FAILURE, unmasked.
        message: of the FAILURE; several rules tell failures of one code apart by their text.
        request: what was asked, or its type; None is taken for one that writes.
        sql: the text that ran, where the request does not have it: that of the prepared statement behind EXEC
            or QUERY. None is taken for one writing statement.
        generation: of the server, where known; UNKNOWN counts as any, whichever is the worse.
        in_transaction: whether a transaction was open before the request, None where that is not known.

    Returns:
        The failure in words, with `retry` and `outcome`.

    Raises:
        TypeError: an argument of another type.
    """
    code = checked_number("code", code, None)
    message = str.__str__(checked_kind("message", message, str, "text is needed"))
    checked_generation(generation)
    kind = _kind(request)
    text = sql if sql is not None else getattr(request, "sql", None)
    if text is not None:
        text = str.__str__(checked_kind("sql", text, str, "text or None"))
    seen = survey(text) if text is not None else None
    meaning, retry, stage = _rule(code, message)
    if retry is Retry.REOPEN and NO_DATABASE[1] in message and getattr(request, "db_id", None):
        meaning, retry = "no database has this id: OPEN always gives 0", Retry.NO
    if code in RAFT_CODES and rules_of(generation).raft_codes and kind not in _CONFIGURATION:
        meaning += f", or raft's {RAFT_CODES[code]} (up to 1.18.1)"
        retry = Retry.CHECK
    elif "statement tail" in message and _masks(kind, generation, seen):
        meaning = "a busy database or lost leadership, in the wrong words (1.18.2 and later)"
        retry = Retry.CHECK
    stage = _refined(stage, code, message, kind, seen, generation)
    outcome = Outcome.NOT_EXECUTED
    if not changes_something(kind, seen):
        retry = Retry.LEADER if retry is Retry.CHECK else retry
    elif stage is Stage.DOUBT or stage is Stage.ROW:
        outcome = Outcome.UNKNOWN
    elif stage is not Stage.REQUEST and seen is not None and not seen.single:
        meaning += "; statements before the failing one stay"
        outcome = Outcome.UNKNOWN
    elif stage is Stage.STEP and not is_undone(code, seen, in_transaction):
        meaning += "; what it did before may stay"
        outcome = Outcome.UNKNOWN
    if outcome is Outcome.UNKNOWN and retry is not Retry.NO:
        retry = Retry.CHECK
    return FailureInfo(code, failure_name(code), message, meaning, retry, outcome)


def stage_of(failure: FailureResponse, kind: int, seen: Survey | None, generation: Generation) -> Stage:
    """Tell how far a request came.

    Args:
        failure: its answer.
        kind: its type.
        seen: what its SQL does, None where that is not known.
        generation: of the server, as far as known.
    """
    code, message = failure.code, failure.message
    request = RequestType(kind) if kind in _TYPES else None
    return _refined(_rule(code, message)[2], code, message, request, seen, generation)


def _refined(
    stage: Stage,
    code: int,
    message: str,
    kind: RequestType | None,
    seen: Survey | None,
    generation: Generation,
) -> Stage:
    """Return the stage of a rule, or another one where more than code and text decides."""
    if code in RAFT_CODES and rules_of(generation).raft_codes and kind not in _CONFIGURATION:
        return Stage.DOUBT
    if "statement tail" in message and _masks(kind, generation, seen):
        return Stage.DOUBT
    if code == SQLITE_ERROR and message == "not an error" and kind not in _QUERIES:
        return Stage.DOUBT
    return Stage.COMPILE if stage is Stage.STEP and has_not_begun(code, message) else stage


def changes_something(kind: RequestType | None, seen: Survey | None) -> bool:
    """Tell whether a request can change data, a transaction or the cluster; what is not known can."""
    if kind in _HARMLESS:
        return False
    return seen is None or not seen.reads_only


_HARMLESS = frozenset(
    {
        RequestType.LEADER,
        RequestType.CLIENT,
        RequestType.HEARTBEAT,
        RequestType.OPEN,
        RequestType.PREPARE,
        RequestType.FINALIZE,
        RequestType.INTERRUPT,
        RequestType.DUMP,
        RequestType.CLUSTER,
        RequestType.DESCRIBE,
    }
)


def _kind(request: Message | RequestType | None) -> RequestType | None:
    if request is None or isinstance(request, RequestType):
        return request
    code = getattr(request, "MSG_TYPE", None)
    if code is None:
        raise TypeError(f"request is {kind_of(request)}, a request, its type or None")
    return RequestType(code) if code in _TYPES else None


def _rule(code: int, message: str) -> tuple[str, Retry, Stage]:
    primary = primary_of(code)
    for codes, part, meaning, retry, stage in RULES:
        if (code in codes or primary in codes) and part in message:
            return meaning, retry, stage
    meaning = "a code that neither SQLite nor dqlite has"
    if is_dqlite_namespace_code(code):
        meaning = "an error of dqlite without a rule of its own"
    elif code in NAMES or primary in NAMES:
        meaning = "an error of SQLite without a rule of its own"
    return meaning, Retry.NO, Stage.DOUBT


def _masks(kind: RequestType | None, generation: Generation, seen: Survey | None) -> bool:
    # dqlite 1.18.6 src/gateway.c: handle_query_sql_done_cb looks at the tail before it looks at the status
    masks = generation is Generation.UNKNOWN or rules_of(generation).masks_query_sql
    return masks and kind in (None, RequestType.QUERY_SQL) and (seen is None or seen.single)
