"""What a FAILURE leaves behind: the rows, and the transaction. The one rule of what may be claimed.

A FAILURE is a code and a text. Two things are wanted of it: whether the request changed anything (`Outcome`),
and whether a transaction is open (`Session.in_transaction`). Both depend on what only the server sees, so
each claim below names what it rests on, and where that is not enough the answer is UNKNOWN, or None.

NOT_EXECUTED is the stronger claim: data *and* transaction of the connection are as they were before the
request, which may be sent again. A SELECT changes nothing and may always be.

How far it came (`Stage`) is told by code and text, and settles most failures:

    REQUEST   refused before its first statement ran          nothing has changed
    COMPILE   the failing statement has not begun             those of a script before it stay
    STEP      it failed while it ran                          see below
    ROW       EXEC of what yields rows: it ran to the first   UNKNOWN
    DOUBT     it may have run, or be committed yet            UNKNOWN

A statement that fails in a step. SQLite either rolls back the transaction around it or the statement alone,
or leaves what is done so far (SQLite src/vdbeaux.c: sqlite3VdbeHalt). Three things choose between them.

1. The conflict clause. It stands in the statement (`INSERT OR FAIL`), in the schema (`UNIQUE ON CONFLICT
   ROLLBACK`), or in a statement of a trigger, which has RAISE(FAIL | ROLLBACK) as well. FAIL keeps the rows
   before the failing one, and outside of a transaction commits them; ROLLBACK ends the transaction. A clause
   of the statement overrides those of schema and triggers, but it is not handed on by a DELETE: below
   `INSERT OR ABORT INTO t` a trigger of t, or a foreign key ON DELETE CASCADE, may delete from u, and a
   trigger of u that says INSERT OR FAIL fails so. Nothing overrides RAISE. So no clause in the text settles
   what a failed constraint has left; that the text is one that fires no trigger (CREATE INDEX) does.
2. Foreign keys (787) always abort the statement, whatever the clause. A COMMIT or RELEASE that finds a
   deferred one violated does nothing: the transaction stays open.
3. Any other error. NOMEM, IOERR, FULL and INTERRUPT may roll back the whole transaction, as SQLite thinks
   fit. After the rest (a wrong type, a sum that overflows, a value too long) the statement is to be undone,
   from a journal of the statement. But SQLite keeps that journal only where its compiler expects an abort:
   `INSERT INTO t SELECT sum(x) FROM u GROUP BY y` that fails in its third group leaves two rows, inside of a
   transaction; outside, the transaction of its own is undone as a whole.

So, for one statement that fails in a step:

    failure                     outside a transaction   inside, or not known   transaction
    787 foreign key             NOT_EXECUTED            NOT_EXECUTED           as before
    a constraint                UNKNOWN                 UNKNOWN                None
    the same of DDL             NOT_EXECUTED            NOT_EXECUTED           as before
    any other                   NOT_EXECUTED            UNKNOWN                None, or as before (`_KEEPING`)

Outside of a transaction there stays none, whatever fails. BUSY is met before a statement begins: WAL takes
its locks at the start. Of a script nobody says which statement failed, so it is UNKNOWN whether those before
it changed something, and None if one of them may have begun or ended a transaction.

Where in the table the server's answer is in doubt because a node lost its leadership, see `failures`.
"""

from __future__ import annotations

from enum import Enum

from ..constants import (
    NO_TRANSACTION_MESSAGE_SUBSTRINGS,
    SQLITE_CONSTRAINT,
    SQLITE_CONSTRAINT_FOREIGNKEY,
    SQLITE_ERROR,
)
from .codes import primary_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..sql.survey import Survey

__all__ = ["Stage", "has_not_begun", "is_undone", "transaction_after"]


class Stage(Enum):
    """How far a request had come when it failed."""

    REQUEST = "nothing has run"
    COMPILE = "the statement has not begun"
    STEP = "the statement failed while it ran"
    ROW = "the statement ran to its first row"
    DOUBT = "it may have run, or may be committed yet"


# statements that may fire triggers; behind WITH it is one of these, or a verb that was not found
_FIRING = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE", "WITH"})
_TYPE = SQLITE_CONSTRAINT | 12 << 8  # DATATYPE, of a STRICT table: no clause decides on it
# ERROR, READONLY, SCHEMA, TOOBIG, MISMATCH, RANGE: SQLite does not end a transaction for these
_KEEPING = frozenset({SQLITE_ERROR, 8, 17, 18, 20, 25})

(_NO_TRANSACTION,) = NO_TRANSACTION_MESSAGE_SUBSTRINGS
_WITHIN = "cannot start a transaction within a transaction"
_ENDING = frozenset({"COMMIT", "END", "ROLLBACK"})
_TRANSACTIONAL = _ENDING | {"BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK TO"}
# Errors of code 1 that come before a statement changes anything: those of SQLite's parser, and of the
# statements of transactions. They are told by their beginning, since what a user wrote may stand behind it.
_NOT_BEGUN = (
    *(
        'near "',
        "incomplete input",
        "unrecognized token",
        "no such ",
        "table ",
        "index ",
        "view ",
        "trigger ",
    ),
    *("ambiguous column name", "duplicate column name", "wrong number of arguments to function "),
    *("misuse of ", "sub-select returns ", "row value misused", "all VALUES must have the same number"),
    *("SELECTs to the left and right of", "foreign key mismatch", "cannot modify "),
    *("cannot UPDATE ", "cannot INSERT ", "cannot VACUUM ", "object name reserved"),
    *(
        "there is already ",
        "not authorized",
        _WITHIN,
        "cannot commit - no ",
        "cannot rollback - no ",
        "too many attached databases",
    ),
)


def has_not_begun(code: int, message: str) -> bool:
    """Tell whether an error of SQLite comes from before the statement has changed anything."""
    return code == SQLITE_ERROR and message.startswith(_NOT_BEGUN)


def is_undone(code: int, seen: Survey | None, in_transaction: bool | None) -> bool:
    """Tell whether a statement that failed in a step is known to have left rows and transaction alone.

    Args:
        code: of the FAILURE.
        seen: what the text does, None where it is not known.
        in_transaction: whether a transaction was open before, None where that is not known.
    """
    if _is_constraint(code):
        return _aborts(code, seen)
    return in_transaction is False


def _is_constraint(code: int) -> bool:
    return primary_of(code) == SQLITE_CONSTRAINT and code != _TYPE


def _aborts(code: int, seen: Survey | None) -> bool:
    """Tell whether a constraint is known to have aborted the statement and nothing more."""
    if code == SQLITE_CONSTRAINT_FOREIGNKEY:
        return True
    return seen is not None and _FIRING.isdisjoint(seen.verbs)


def transaction_after(
    stage: Stage, code: int, message: str, seen: Survey | None, before: bool | None
) -> bool | None:
    """Tell whether a transaction is open after a failure.

    Args:
        stage: how far the request came.
        code: of the FAILURE.
        message: of the FAILURE.
        seen: what the text does, None where it is not known.
        before: whether a transaction was open before, None where that is not known.

    Returns:
        True or False where it is known, else None.
    """
    if stage is Stage.REQUEST:
        return before
    if seen is None:
        return None
    if seen.single:
        (verb,) = seen.verbs or ("",)
        if verb in _ENDING and code == SQLITE_ERROR and _NO_TRANSACTION in message:
            return False
        if verb == "BEGIN" and code == SQLITE_ERROR and message.startswith(_WITHIN):
            return True
        if stage is Stage.COMPILE:
            return before
        if verb in _TRANSACTIONAL:
            return before if code == SQLITE_CONSTRAINT_FOREIGNKEY else None
    elif not _TRANSACTIONAL.isdisjoint(seen.verbs):
        return None
    if before is False:
        return False
    return before if stage is Stage.COMPILE or _is_kept(stage, code, seen) else None


def _is_kept(stage: Stage, code: int, seen: Survey) -> bool:
    if stage is Stage.ROW:
        return seen.reads_only
    if stage is not Stage.STEP:
        return False
    return _aborts(code, seen) if _is_constraint(code) else code == _TYPE or primary_of(code) in _KEEPING
