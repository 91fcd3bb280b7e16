"""What a server keeps for one connection, as far as the answers tell: database, statements, transaction.

All of it goes when the node loses leadership (dqlite src/gateway.c: gateway__leader_close); the connection
stays. Everything here is as of the last answer: what the server did since then shows with the next one.

Nothing is claimed that the answers do not show. `in_transaction` and `is_open` are None where they do not:

* A success tells which statements ran: of EXEC_SQL all, of any other request the first one, since PREPARE and
  QUERY_SQL up to 1.14 drop the rest without a word. SAVEPOINT leaves a transaction open whatever was before;
  RELEASE of the last savepoint that is known may end it, unless BEGIN is known to have begun it.
* A failure is judged by `servers.aftermath`.
* What ran as a prepared statement is looked up when the answer comes, not when the request is sent: a PREPARE
  or FINALIZE in between may have given the id to another text. A frame that does not decode (text that is not
  UTF-8) may have run anything.
* "not leader" (10250) has two causes. Either the node led and lost that, and with it the session; or it never
  led, and up to 1.18.1 has opened a database all the same (`is_open` stays as it was, a second OPEN gets
  "already open"). `leads` remembers whether an answer since OPEN shows that it led. Without that, and where
  the generation does not tell, `is_open` is None.
* TRANSFER that succeeds has ended the leadership of the node that answers.
* A query that an INTERRUPT stopped, if it could write, may have rolled back (SQLite: "INTERRUPT of an INSERT
  inside an explicit transaction rolls back the entire transaction").
"""

from __future__ import annotations

from ..constants import (
    LEADER_ERROR_CODES,
    LEADER_LOST_DB_LOOKUP_SUBSTRING,
    SQLITE_NOTFOUND,
    RequestType,
)
from ..messages import DbResponse, FailureResponse, FinalizeRequest, OpenRequest, PrepareRequest, StmtResponse
from ..record import Record
from ..servers.aftermath import Stage, transaction_after
from ..servers.hazards import IN_MEMORY
from ..servers.refusals import RUNS_STATEMENT
from ..sql.survey import survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..sql.survey import Survey

__all__ = ["FOLLOWED", "Session", "Statement", "loses_session"]

_ALREADY_OPEN = "already open"  # dqlite src/gateway.c: handle_open
FOLLOWED = frozenset(cls.MSG_TYPE for cls in (OpenRequest, PrepareRequest, FinalizeRequest))  # by `sent`


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
            text = request.sql.encode(errors="surrogateescape")
            self.sql = text[: answer.tail_offset].decode(errors="replace")
            self.tail = text[answer.tail_offset :].decode(errors="replace")
        self.seen = survey(self.sql)

    def __repr__(self) -> str:
        return f"<Statement {self.stmt_id}: {self.sql[:40]!r}>"


class Session(Record):
    """State of the connection on the server.

    Attributes:
        database: the name given to OPEN, None before it, after leadership was lost, and where the name is not
            known. While `is_open` is None it is the one that may be open.
        is_open: whether a database is open, None when it cannot be known.
        leads: whether an answer since OPEN shows that the node led.
        statements: by statement id.
        in_transaction: None when it cannot be known.
        closing: ids of statements whose FINALIZE was sent and is not answered.
        opening: names of the OPENs sent and not answered.
        preparing: texts of the PREPAREs sent and not answered.
    """

    database: str | None
    is_open: bool | None
    leads: bool
    statements: dict[int, Statement]
    in_transaction: bool | None
    opening: list[str]
    closing: set[int]
    preparing: list[str]
    _savepoints: list[str]  # names of those that are open, the innermost last
    _by_savepoint: bool | None  # whether the first of them began the transaction, None if that is not known

    def __init__(self) -> None:
        self.database = None
        self.is_open = False
        self.leads = False
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
        self.is_open = self.leads = False
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
        failed = isinstance(answer, FailureResponse)
        match request:
            case OpenRequest(name):
                del self.opening[:1]
                if not failed:
                    self._opened(name)
                elif _ALREADY_OPEN in answer.message:
                    self.is_open = True
            case PrepareRequest():
                del self.preparing[:1]
                if isinstance(answer, StmtResponse):
                    self.statements[answer.stmt_id] = Statement(request, answer)
            case FinalizeRequest(_, stmt_id):
                self.closing.discard(stmt_id)
                if not failed:
                    self.statements.pop(stmt_id, None)
            case _ if isinstance(answer, DbResponse):  # an OPEN that does not decode here
                self._opened(None)
            case _:
                pass

    def _opened(self, name: str | None) -> None:
        self.clear()  # a database opens only where none is open
        self.database, self.is_open = name, True

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

    def what_ran(self, request: Any) -> Survey | None:
        """Return what the statement does that a request names, where it is known.

        Args:
            request: the request.
        """
        if request.MSG_TYPE not in RUNS_STATEMENT:
            return None
        statement = self.statements.get(getattr(request, "stmt_id", -1))
        return None if statement is None else statement.seen

    def ran(self, seen: Survey | None, kind: int = RequestType.EXEC_SQL) -> None:
        """Follow the transaction over statements that have run.

        Args:
            seen: what they do, None where that is not known.
            kind: the type of the request; all but EXEC_SQL run one statement.
        """
        self.is_open = self.leads = True
        if seen is None:
            self.unknown()
            return
        count = len(seen.verbs) if kind == RequestType.EXEC_SQL else 1
        for verb, name in zip(seen.verbs[:count], seen.names[:count], strict=True):
            if verb == "BEGIN":
                self._set(True)
            elif verb in ("COMMIT", "END", "ROLLBACK"):
                self._set(False)
            elif verb == "SAVEPOINT":
                if not self.in_transaction:
                    began = None if self.in_transaction is None else True
                    self._set(True)
                    self._by_savepoint = began
                self._savepoints.append(name)
            elif verb in ("RELEASE", "ROLLBACK TO"):
                self._returned(verb == "ROLLBACK TO", name)

    def _returned(self, stays: bool, name: str) -> None:
        """Follow RELEASE, or ROLLBACK TO where the savepoint stays."""
        if name not in self._savepoints:  # one from before what is known
            self._set(True if stays else None)
            self._by_savepoint = None
            return
        last = len(self._savepoints) - 1 - self._savepoints[::-1].index(name)
        del self._savepoints[last + stays :]
        if not self._savepoints and self._by_savepoint is not False:
            self._set(None if self._by_savepoint is None else False)

    def failed(self, stage: Stage, failure: FailureResponse, seen: Survey | None) -> None:
        """Follow the transaction over a text that failed.

        Args:
            stage: how far it came.
            failure: the answer.
            seen: what the text does, None where it is not known.
        """
        if stage is Stage.DOUBT:  # "nonempty statement tail" hides lost leadership, for one
            self.is_open, self.leads = None, False
        elif stage is not Stage.REQUEST:
            self.is_open = self.leads = True
        before = self.in_transaction
        after = transaction_after(stage, failure.code, failure.message, seen, before)
        if after is not before:
            self._set(after)
            self._by_savepoint = None if after else False  # BEGIN said that there is one, not whose

    def followed(self) -> None:
        """Note a "not leader" of a node that may never have led: what is open may be so still."""
        self.is_open = None
        self._set(False)

    def unknown(self) -> None:
        """Note that it cannot be known whether a transaction is open."""
        self._set(None)

    def _set(self, in_transaction: bool | None) -> None:
        self.in_transaction = in_transaction
        self._savepoints.clear()
        self._by_savepoint = False
