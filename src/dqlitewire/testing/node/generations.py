"""What differs between the releases of dqlite that the embedded server can play.

One frozen object per release; the engine asks it and never compares version numbers.  The facts of 1.11.1 and
1.18.1 are held by a differential test against real nodes of these releases; those of 1.18.6 were read in its
source (`src/gateway.c`, `src/leader.c`, `src/vfs.c`).
"""

from __future__ import annotations

from dataclasses import dataclass

from dqlitewire.constants import RequestType
from dqlitewire.faults.checks import shown

__all__ = ["GENERATIONS", "Generation", "generation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """The behaviour of one release, as far as a client can see it."""

    name: str

    # framing and dispatch
    checks_schema: bool  # else the schema byte is ignored and every body read as schema 0
    statement_schema_code: int  # FAILURE code of an unknown schema in EXEC, QUERY, EXEC_SQL and QUERY_SQL
    answers_unknown_types: bool  # else the request is never answered and nothing more is read
    checks_cluster_format: bool  # else every format but 0 is answered as format 1
    prepare_needs_leader: bool
    open_needs_leader: bool

    # statements
    offers_tail: bool  # PREPARE schema 1 and its offset
    refuses_tail: bool  # text behind the first statement is an error for PREPARE schema 0 and QUERY_SQL
    runs_writes_in_query: bool  # QUERY of a writing statement executes it
    runs_silent_reads_in_query: bool  # .. and of a reading statement without columns, such as BEGIN
    rows_in_exec: tuple[int, str]  # FAILURE of EXEC when a row comes
    rows_in_exec_sql: tuple[int, str]
    returning: bool  # QUERY of a writing statement with columns works
    blank_tail_result: bool  # EXEC_SQL answers the last insert id also when blanks follow the last statement
    empty_text_result: bool  # .. and for a text without any statement
    masks_query_sql: bool  # any failure of QUERY_SQL before its first step reads "nonempty statement tail"

    # parameters; FAILURE by the request they came with, None where it cannot happen
    bad_value: dict[RequestType, tuple[int, str]]
    too_many: dict[RequestType, tuple[int, str]]
    early_header: bool  # a parameter header longer than the body closes the connection
    takes_in_turn: bool  # each statement takes the next values; missing are NULL, left-over ignored
    keeps_bindings: bool  # a prepared statement keeps the values of its last run

    # leadership, cluster, database
    lost_text: str
    not_found_text: str  # raft's text of a node that is not there
    dump_image: bool  # DUMP answers one whole image and an empty WAL, and 1002 for an unknown name
    attach: str  # "allowed", "limited" (no attached databases) or "denied" (by the authorizer)

    # what a real node does not survive
    aborts_add_zero: bool
    old_pragmas: bool  # setting a journal mode or page size


_EXEC, _QUERY = RequestType.EXEC, RequestType.QUERY
_EXEC_SQL, _QUERY_SQL = RequestType.EXEC_SQL, RequestType.QUERY_SQL


def _by_request(
    exec: tuple[int, str], exec_sql: tuple[int, str], query: tuple[int, str]
) -> dict[RequestType, tuple[int, str]]:
    return {_EXEC: exec, _EXEC_SQL: exec_sql, _QUERY: query, _QUERY_SQL: query}


_OLD = Generation(
    name="1.11.1",
    checks_schema=False,
    statement_schema_code=1005,
    answers_unknown_types=False,
    checks_cluster_format=False,
    prepare_needs_leader=False,
    open_needs_leader=False,
    offers_tail=False,
    refuses_tail=False,
    runs_writes_in_query=False,
    runs_silent_reads_in_query=False,
    rows_in_exec=(100, "another row available"),
    rows_in_exec_sql=(100, "another row available"),
    returning=False,
    blank_tail_result=False,
    empty_text_result=False,
    masks_query_sql=False,
    bad_value=_by_request((1005, "bind parameters"), (1005, "not an error"), (1005, "not an error")),
    too_many=_by_request(
        (25, "bind parameters"), (25, "column index out of range"), (25, "column index out of range")
    ),
    early_header=False,
    takes_in_turn=False,
    keeps_bindings=True,
    lost_text="disk I/O error",
    not_found_text="unknown error",
    dump_image=False,
    attach="allowed",
    aborts_add_zero=False,
    old_pragmas=True,
)

_TRIXIE = Generation(
    name="1.18.1",
    checks_schema=True,
    statement_schema_code=1005,
    answers_unknown_types=True,
    checks_cluster_format=True,
    prepare_needs_leader=True,
    open_needs_leader=False,
    offers_tail=True,
    refuses_tail=True,
    runs_writes_in_query=True,
    runs_silent_reads_in_query=False,
    rows_in_exec=(100, "rows yielded when none expected for EXEC request"),
    rows_in_exec_sql=(100, "another row available"),
    returning=False,
    blank_tail_result=True,
    empty_text_result=False,
    masks_query_sql=False,
    bad_value=_by_request(*[(1005, "bind parameters")] * 3),
    too_many=_by_request(*[(25, "bind parameters")] * 3),
    early_header=False,
    takes_in_turn=False,
    keeps_bindings=True,
    lost_text="disk I/O error",
    not_found_text="Resource not found",
    dump_image=False,
    attach="limited",
    aborts_add_zero=True,
    old_pragmas=False,
)

_CURRENT = Generation(
    name="1.18.6",
    checks_schema=True,
    statement_schema_code=1,
    answers_unknown_types=True,
    checks_cluster_format=True,
    prepare_needs_leader=True,
    open_needs_leader=True,
    offers_tail=True,
    refuses_tail=True,
    runs_writes_in_query=True,
    runs_silent_reads_in_query=True,
    rows_in_exec=(1, "rows yielded when none expected for EXEC request"),
    rows_in_exec_sql=(1, "rows yielded when none expected for EXEC request"),
    returning=True,
    blank_tail_result=True,
    empty_text_result=True,
    masks_query_sql=True,
    bad_value=_by_request((1, "bind parameters"), (1, "bind parameters"), (10, "leader exec failed")),
    too_many={_QUERY: (10, "leader exec failed"), _QUERY_SQL: (10, "leader exec failed")},
    early_header=True,
    takes_in_turn=True,
    keeps_bindings=False,
    lost_text="leadership lost",
    not_found_text="Resource not found",
    dump_image=True,
    attach="denied",
    aborts_add_zero=True,
    old_pragmas=False,
)

GENERATIONS = {known.name: known for known in (_OLD, _TRIXIE, _CURRENT)}


def generation(name: str | Generation) -> Generation:
    """Look up a generation by its release.

    Raises:
        TypeError: it is neither a generation nor a name.
        ValueError: a release that cannot be played.
    """
    if isinstance(name, Generation):
        return name
    if not isinstance(name, str):  # pyright: ignore
        raise TypeError(f"generation {shown(name)}, must be a str")
    try:
        return GENERATIONS[name]
    except KeyError:
        raise ValueError(f"generation {shown(name)}, must be one of {', '.join(GENERATIONS)}") from None
