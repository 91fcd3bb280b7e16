"""What a server keeps for one connection, as far as the answers tell: database, statements, transaction.

All of it goes when the node loses leadership (dqlite src/gateway.c: gateway__leader_close); the connection
stays.
"""

from __future__ import annotations

from ..constants import (
    LEADER_ERROR_CODES,
    LEADER_LOST_DB_LOOKUP_SUBSTRING,
    NO_TRANSACTION_MESSAGE_SUBSTRINGS,
    SQLITE_CONSTRAINT,
    SQLITE_CONSTRAINT_FOREIGNKEY,
    SQLITE_NOTFOUND,
    TX_AUTO_ROLLBACK_PRIMARY_CODES,
    primary_sqlite_code,
)
from ..messages import FailureResponse, FinalizeRequest, OpenRequest, PrepareRequest, StmtResponse
from ..record import Record
from ..servers.hazards import IN_MEMORY
from ..servers.refusals import RUNS_STATEMENT
from ..sql.survey import survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..sql.survey import Survey

__all__ = ["FOLLOWED", "Session", "Statement", "loses_session"]

FOLLOWED = frozenset(cls.MSG_TYPE for cls in (OpenRequest, PrepareRequest, FinalizeRequest))  # by `sent`

_MAY_ROLL_BACK = TX_AUTO_ROLLBACK_PRIMARY_CODES | {SQLITE_CONSTRAINT}
(_NO_TRANSACTION,) = NO_TRANSACTION_MESSAGE_SUBSTRINGS
_ENDS = (("COMMIT",), ("END",), ("ROLLBACK",))


def loses_session(failure: FailureResponse, request: Any = None) -> bool:
    """Tell whether a failure says that database, statements and transaction of the connection are gone.

    A request for another database than 0, the only one there can be, is answered "no database opened" in any
    case (dqlite src/gateway.c: LOOKUP_DB), which therefore tells nothing.

    Args:
        failure: the answer.
        request: what was sent.
    """
    if failure.code == SQLITE_NOTFOUND:
        return LEADER_LOST_DB_LOOKUP_SUBSTRING in failure.message and not getattr(request, "db_id", 0)
    return failure.code in LEADER_ERROR_CODES


class Statement(Record):
    """A prepared statement: ids and parameter count as answered, and the text it was made from.

    Args:
        request: the PREPARE.
        answer: the STMT that answered it.

    Attributes:
        db_id: the database it belongs to.
        stmt_id: what EXEC, QUERY and FINALIZE name it by.
        num_params: how many parameters it takes.
        sql: the part of the text that the statement is; what follows it is `tail`.
        seen: what the text does.
    """

    db_id: int
    stmt_id: int
    num_params: int
    sql: str
    tail: str
    seen: Survey

    def __init__(self, request: PrepareRequest, answer: StmtResponse) -> None:
        self.db_id = answer.db_id
        self.stmt_id = answer.stmt_id
        self.num_params = answer.num_params
        self.sql, self.tail = request.sql, ""
        if answer.tail_offset is not None:
            text = request.sql.encode()
            self.sql = text[: answer.tail_offset].decode(errors="replace")
            self.tail = text[answer.tail_offset :].decode(errors="replace")
        self.seen = survey(self.sql)

    def __repr__(self) -> str:
        return f"<Statement {self.stmt_id}: {self.sql[:40]!r}>"


class Session(Record):
    """State of the connection on the server.

    Attributes:
        database: the name given to OPEN, None before it and after leadership was lost.
        statements: by statement id.
        in_transaction: None when it cannot be known.
        closing: ids of statements whose FINALIZE was sent and is not answered.
        opening: names of the OPENs sent and not answered.
        preparing: texts of the PREPAREs sent and not answered.
    """

    database: str | None
    statements: dict[int, Statement]
    in_transaction: bool | None
    opening: list[str]
    closing: set[int]
    preparing: list[str]
    _savepoints: list[str]  # names of those that are open, the innermost last
    _by_savepoint: bool  # whether the first of them began the transaction

    def __init__(self) -> None:
        self.database = None
        self.statements = {}
        self.in_transaction = False
        self.opening = []
        self.closing = set()
        self.preparing = []
        self._savepoints = []
        self._by_savepoint = False

    def __repr__(self) -> str:
        kept = f"{len(self.statements)} statements, transaction {self.in_transaction}"
        return f"<Session {self.database!r}: {kept}>"

    @property
    def in_memory(self) -> bool:
        """Whether the database is "" or ":memory:", or may be soon: then a statement kills the node."""
        opening = self.opening
        return self.database in IN_MEMORY or (opening != [] and not IN_MEMORY.isdisjoint(opening))

    def clear(self) -> None:
        """Forget what the server kept; what was sent and is not answered stays."""
        self.database = None
        self.statements = {}
        self._set(False)

    def sent(self, request: Any) -> None:
        """Note a request whose answer will change the session.

        Args:
            request: what was sent.
        """
        match request:
            case OpenRequest(name):
                self.opening.append(name)
            case PrepareRequest():
                self.preparing.append(request.sql)
            case FinalizeRequest(_, stmt_id):
                self.closing.add(stmt_id)
            case _:
                pass

    def answered(self, request: Any, answer: Any) -> None:
        """Follow the database and the statements over an answer.

        Args:
            request: what was sent.
            answer: its answer, which may be a FAILURE.
        """
        match request, answer:
            case OpenRequest(name), _:
                del self.opening[:1]
                if not isinstance(answer, FailureResponse):
                    self.database = name
            case PrepareRequest(), _:
                del self.preparing[:1]
                if isinstance(answer, StmtResponse):
                    self.statements[answer.stmt_id] = Statement(request, answer)
            case FinalizeRequest(_, stmt_id), _:
                self.closing.discard(stmt_id)
                if not isinstance(answer, FailureResponse):
                    self.statements.pop(stmt_id, None)
            case _:
                pass

    def is_void(self, stmt_id: int) -> bool:
        """Tell whether a statement id was given and is free again: naming it kills the server.

        Servers give the lowest free id (dqlite src/lib/registry.h), so one below an open id was given before.

        Args:
            stmt_id: the id.
        """
        if self.preparing or (stmt_id in self.statements and stmt_id not in self.closing):
            return False
        return any(other > stmt_id and other not in self.closing for other in self.statements)

    def text(self, request: Any) -> str | None:
        """Return the SQL text of the statement that a request runs, None if it runs none or an unknown one.

        Args:
            request: the request.
        """
        if request.MSG_TYPE not in RUNS_STATEMENT:
            return None
        statement = self.statements.get(getattr(request, "stmt_id", -1))
        return None if statement is None else statement.sql

    def ran(self, seen: Survey) -> None:
        """Follow the transaction over statements that have run.

        Args:
            seen: what they do.
        """
        for verb, name in zip(seen.verbs, seen.names, strict=True):
            if verb == "BEGIN":
                self._set(True)
            elif verb in ("COMMIT", "END", "ROLLBACK"):
                self._set(False)
            elif verb == "SAVEPOINT":
                if self.in_transaction is False:
                    self._set(True)
                    self._by_savepoint = True
                self._savepoints.append(name)
            elif verb in ("RELEASE", "ROLLBACK TO") and name in self._savepoints:
                last = len(self._savepoints) - 1 - self._savepoints[::-1].index(name)
                del self._savepoints[last + (verb == "ROLLBACK TO") :]
                if self._by_savepoint and not self._savepoints:
                    self._set(False)

    def failed(self, seen: Survey | None, code: int, message: str = "") -> None:
        """Follow the transaction over a text that failed; no answer tells which of its statements did.

        Whether a violated constraint rolls the transaction back depends on tables (ON CONFLICT) and triggers
        (RAISE) that only the server knows; a violated foreign key never does.

        Args:
            seen: what the text does, None if it is not known.
            code: of the FAILURE.
            message: of the FAILURE.
        """
        rolls_back = primary_sqlite_code(code) in _MAY_ROLL_BACK and code != SQLITE_CONSTRAINT_FOREIGNKEY
        if seen is None or seen.or_rollback or (not seen.plain and not seen.single):
            rolls_back = True
        if seen is not None and seen.verbs in _ENDS and _NO_TRANSACTION in message:
            self._set(False)
        elif rolls_back and (self.in_transaction or (seen is not None and not seen.plain)):
            self.unknown()

    def unknown(self) -> None:
        """Note that it cannot be known whether a transaction is open."""
        self._set(None)

    def _set(self, in_transaction: bool | None) -> None:
        self.in_transaction = in_transaction
        self._savepoints.clear()
        self._by_savepoint = False
