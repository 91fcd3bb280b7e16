"""The survey's results, and what client and embedded server make of each step."""

from __future__ import annotations

from collections.abc import Callable

from dqlitewire.conversation import ClientConversation, Generation, Hazard, HazardError
from dqlitewire.messages import (
    ExecRequest,
    ExecSqlRequest,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
)
from tests.real.survey.steps import EXEC, EXEC_SQL, OPEN, PREPARE, QUERY_SQL
from tests.real.survey.table import Row

GENERATIONS = {
    "1.11.1": Generation.V1_11,
    "1.18.1": Generation.V1_15,
    "cowsql": Generation.V1_15,  # which nothing on the wire tells from 1.18.1
    "1.18.7": Generation.V1_18_3,
}
DEADLY = ("kills", "hangs", "poisons_node", "writes_outside", "reaches_others")
CLOSED = "the step itself: connection closed"
DATABASE, SCRATCH = "s000", "/nowhere"


def filled(pattern: str) -> str:
    return pattern.replace("{db}", DATABASE).replace("{scratch}", SCRATCH)


def is_deadly(row: Row) -> bool:
    """Whether a client must not send it; what closes the connection without a word counts for OPEN."""
    return row.verdict in DEADLY or (row.via == OPEN and row.evidence == CLOSED)


def is_safe(row: Row) -> bool:
    """Whether a client must send it; what spoils its own connection is neither deadly nor safe."""
    return row.verdict in ("harmless", "refused")


def refusal(row: Row, generation: Generation) -> Hazard:
    """The hazard by which a client refuses a step, NONE if it sends it."""
    client = ClientConversation(generation=generation)
    try:
        if row.via == OPEN:
            client.send(OpenRequest(filled(row.open_name)))
            client.send(ExecSqlRequest(0, "CREATE TABLE t (a)"))
            return Hazard.NONE
        sql = filled(row.sql)
        if row.via in (EXEC_SQL, QUERY_SQL):
            request = ExecSqlRequest if row.via == EXEC_SQL else QuerySqlRequest
            client.send(request(0, sql))
            return Hazard.NONE
        client.send(PrepareRequest(0, sql))
        if row.via != PREPARE:
            client.send((ExecRequest if row.via == EXEC else QueryRequest)(0, 0))
    except HazardError as error:
        return error.hazard
    return Hazard.NONE


# What a client refuses although it did no harm: (why, which steps). All else that is safe it sends.
CAUTIOUS: list[tuple[str, Callable[[Row], bool]]] = [
    (
        "ATTACH and VACUUM INTO: the harm comes with the next statement, or with another name",
        lambda row: row.sql.startswith(("ATTACH", "VACUUM")) and (row.server == "1.11.1" or "||" in row.sql),
    ),
    (
        "fts3_tokenizer: the address is used by a later statement",
        lambda row: row.server != "1.18.7" and "fts3_tokenizer('simple', " in row.sql,
    ),
    (
        "OR FAIL: no row was kept before the one that failed, or none failed",
        lambda row: row.server == "1.18.7" and " OR FAIL INTO t VALUES (3, 'three', " in row.sql,
    ),
    (
        "RETURNING: there was no row",
        lambda row: " WHERE 0 RETURNING " in row.sql,
    ),
    (
        "a pragma function: its argument is not read, nor whether a view or a trigger is only made",
        lambda row: "pragma_optimize" in row.sql,
    ),
    (
        "a name like a WAL: no database has the name without the ending",
        lambda row: (
            row.via == OPEN and row.server == "1.11.1" and row.open_name.endswith(("-wal", "-journal"))
        ),
    ),
    (
        "a text of many statements: only the first is prepared, or an earlier one fails",
        lambda row: "; " in row.sql and row.via != EXEC_SQL,
    ),
    (
        "a write to sqlite_schema or sqlite_dbpage: refused unless PRAGMA writable_schema=1 went before it",
        lambda row: any(f"{verb} sqlite_" in row.sql for verb in ("UPDATE", "INSERT INTO", "DELETE FROM")),
    ),
]

# What the text does not tell: a conflict clause or a trigger that stands in the schema.
UNSEEN = ("INSERT INTO keeps VALUES (1), (2)",)


def reason(row: Row) -> str:
    """Why a client may refuse a safe step; "" if it may not."""
    return next((why for why, is_this in CAUTIOUS if is_this(row)), "")
