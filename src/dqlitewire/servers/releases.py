"""The releases of dqlite as a table: what a client can see each of them do.

Two ideas are kept apart here.

* A `Generation` is what a client can tell of the other end: an ordered mark, "at least as new as". No answer
  names a release, so a client knows a lower bound, found by a probe or given by the user.
* A `Release` is one row of the table: everything that one release does in its own way. The embedded server
  plays one; a client's refusals and the server conversation look up the row of their generation with
  `rules_of`.

Each row is written as what has changed since the row before it (`Release.but`), so that a fact stands where
it became true:

    1.11.1     schema byte ignored, unknown types never answered, only the first statement of a text prepared
      1.12     schemas checked, unknown types and CLUSTER formats refused, PREPARE needs the leader
        1.18.1   (as 1.15) tails told or refused, QUERY executes writing statements, few pragmas refused
          cowsql   a fork of 1.15: lets checkpoints and ADD of id 0 pass, one text is another
          1.18.2   statements queue in another state machine: other codes, parameters taken in turn
            1.18.7   (as 1.18.3) RETURNING through QUERY

Releases between two rows do as the older one, later ones than all as the newest. 1.12 and 1.18.2 stand for a
generation and are not played: of them only that is known which `refusals`, `hazards` and `failures` ask for.

The facts of the rows in `RELEASES` are held against real nodes (cowsql's is 1.15.9) by
tests/testing/test_differential.py; those of 1.18.2 were read in its source (`src/gateway.c`, `src/leader.c`).

To add a release: derive a row with `but`, and name it in `RELEASES`. A second name for a row goes to
`ALIASES`. Only a release that can be told on the wire needs a member of `Generation` too; cowsql cannot, and
counts as 1.18.1 to a client.
"""

from __future__ import annotations

from enum import IntEnum

from ..constants import (
    DQLITE_PARSE,
    SQLITE_AUTH,
    SQLITE_ERROR,
    SQLITE_IOERR,
    SQLITE_RANGE,
    RequestType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn, TypeVar, dataclass_transform

    T = TypeVar("T")
    Failure = tuple[int, str]  # code and text
else:

    def dataclass_transform(**_: object) -> Callable[[T], T]:
        return lambda decorated: decorated


__all__ = [
    "ALIASES",
    "DEFAULT_RELEASE",
    "RELEASES",
    "Generation",
    "RefusedPragma",
    "Release",
    "release_named",
    "rules_of",
]

_ROW = 100  # SQLITE_ROW, which servers pass on as the code of a FAILURE


class Generation(IntEnum):
    """The oldest server the other end can be, as far as known; UNKNOWN counts as older than all.

    Members are ordered: `generation >= Generation.V1_12` asks whether the server is at least that new.
    """

    UNKNOWN = 0
    V1_11 = 1  # ignores the schema byte
    V1_12 = 2  # schemas are checked, more than 255 parameters
    V1_15 = 3  # PREPARE tells where a statement ends, QUERY of a writing statement runs it; cowsql too
    V1_18_2 = 4  # another state machine for statements, parameters are handed on in scripts
    V1_18_3 = 5  # RETURNING through QUERY

    @property
    def prepare_schema(self) -> int:
        """The schema to send PREPARE with: 1 where the answer tells where the statement ended."""
        return 1 if self >= Generation.V1_15 else 0

    @property
    def release(self) -> str:
        """The first release of the generation: "1.18.2"."""
        return self.name.removeprefix("V").replace("_", ".")

    @property
    def words(self) -> str:
        """For people: "1.12 or newer"; "unknown" for UNKNOWN."""
        if self is Generation.UNKNOWN:
            return "unknown"
        # a lower bound; the oldest is known by the lack of what later ones do
        return f"{self.release} or {'older' if self is Generation.V1_11 else 'newer'}"


class RefusedPragma:
    """How a release refuses a pragma.

    Args:
        failure: code and text of the FAILURE.
        reads: whether the pragma is refused without a value as well, when it would only read.
        allowed: the one value that is not refused, in lower case; None if there is none.
        temp: whether it is refused for the schema temp as well, whose file is none of dqlite's.
        exact: whether its name is compared letter by letter, so that one with capitals passes.
    """

    __slots__ = ("allowed", "exact", "failure", "reads", "temp")

    def __init__(
        self,
        failure: Failure,
        *,
        reads: bool = False,
        allowed: str | None = None,
        temp: bool = False,
        exact: bool = False,
    ) -> None:
        self.exact: bool = exact
        self.failure: Failure = failure
        self.reads: bool = reads
        self.allowed: str | None = allowed
        self.temp: bool = temp

    def hits(self, value: str | None) -> bool:
        """Tell whether the pragma is refused with a value.

        Args:
            value: what it is set to; None where it is only asked for.
        """
        return self.reads if value is None else value.lower() != self.allowed


@dataclass_transform(kw_only_default=True, frozen_default=True)
def _row(cls: type[T]) -> type[T]:
    return cls


@_row
class Release:
    """One release of dqlite: a row of the table. It cannot be changed; `but` makes another one of it.

    Every fact is an attribute, and every one must be given. docs/reference/servers.md is drawn from the words
    beside them (tools/drawn/reference.py).

    Args:
        facts: all of them, by name.
    """

    name: str
    generation: Generation

    # framing and dispatch
    checks_schema: bool  # an unknown schema is refused; else the byte is ignored, each body read as schema 0
    statement_schema_code: int  # FAILURE code of an unknown schema in EXEC, QUERY, EXEC_SQL and QUERY_SQL
    answers_unknown_types: bool  # an unknown request type is refused; else never answered, nothing more read
    checks_cluster_format: bool  # an unknown CLUSTER format is refused; else answered as format 1
    prepare_needs_leader: bool  # PREPARE on another node than the leader is refused
    open_needs_leader: bool  # OPEN on another node than the leader is refused

    # statements
    refuses_tail: bool  # text behind the first statement is an error for PREPARE schema 0 and QUERY_SQL
    runs_writes_in_query: bool  # QUERY of a writing statement executes it
    runs_silent_reads_in_query: bool  # QUERY of a reading statement without columns, such as BEGIN, runs it
    rows_in_exec: Failure  # EXEC of a statement that yields a row
    rows_in_exec_sql: Failure  # EXEC_SQL of a statement that yields a row
    returning: bool  # QUERY of a writing statement with columns works
    blank_tail_result: bool  # EXEC_SQL answers the last insert id also when blanks follow the last statement
    empty_text_result: bool  # EXEC_SQL answers the last insert id for a text without any statement
    queues_writes: bool  # what may write fails (5) while another connection's transaction has written
    masks_query_sql: bool  # any failure of QUERY_SQL before its first step reads "nonempty statement tail"

    # parameters; FAILURE by the request they came with, absent where it cannot happen
    bad_value: Mapping[RequestType, Failure]  # a value does not decode
    too_many: Mapping[RequestType, Failure]  # more values than parameters
    early_header: bool  # a parameter header longer than the body closes the connection
    takes_in_turn: bool  # each statement takes the next values; missing are NULL, left-over ignored
    keeps_bindings: bool  # a prepared statement keeps the values of its last run

    # leadership, cluster, database
    lost_text: str  # text of FAILURE 10506, when leadership goes while a statement runs
    raft_codes: bool  # raft's own error numbers come as the code of a FAILURE, where SQLite's are expected
    not_found_text: str  # raft's text about a node that is not there
    dump_image: bool  # DUMP answers one whole image and an empty WAL, and 1002 for an unknown name
    autocheckpoint: int  # pages at which SQLite checkpoints by itself, read by PRAGMA wal_autocheckpoint
    attach: str  # ATTACH is "allowed", "limited" (to no databases) or "denied" (by the authorizer)
    refused_pragmas: Mapping[str, RefusedPragma]  # pragmas that are refused, names in lower case

    # what a real node does not survive
    aborts_add_zero: bool  # the node dies of ADD of id 0

    if not TYPE_CHECKING:

        def __init__(self, **facts: Any) -> None:
            wrong = facts.keys() ^ type(self).__annotations__.keys()
            if wrong:
                raise TypeError(f"facts missing or unknown: {', '.join(sorted(wrong))}")
            self.__dict__.update(facts)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Release.{name} cannot be set")

    def __repr__(self) -> str:
        return f"<Release {self.name}>"

    @property
    def title(self) -> str:
        """The server's name in a sentence: "dqlite 1.11.1", or "cowsql"."""
        return f"dqlite {self.name}" if self.name[0].isdigit() else self.name

    def but(self, name: str, **changes: object) -> Release:
        """Return a row of another name that differs from this one in some facts.

        Args:
            name: of the new row.
            changes: the facts that differ, by name.
        """
        facts: dict[str, Any] = {**self.__dict__, "name": name, **changes}
        return Release(**facts)


_EXEC, _QUERY = RequestType.EXEC, RequestType.QUERY
_EXEC_SQL, _QUERY_SQL = RequestType.EXEC_SQL, RequestType.QUERY_SQL
_NO_ROWS = "rows yielded when none expected for EXEC request"
_BIND, _STEP = "bind parameters", "leader exec failed"


def _by_request(exec: Failure, exec_sql: Failure, query: Failure) -> dict[RequestType, Failure]:
    return {_EXEC: exec, _EXEC_SQL: exec_sql, _QUERY: query, _QUERY_SQL: query}


# src/vfs.c of 1.18.1: vfsFileControl
_CUSTOM_CHECKPOINT = SQLITE_IOERR, "custom checkpoint not allowed"
_ONLY_WAL = SQLITE_IOERR, "only WAL mode is supported"
_NO_PAGE_SIZE = SQLITE_IOERR, "changing page size is not supported"
_REFUSED_BY_VFS = {
    "journal_mode": RefusedPragma(_ONLY_WAL, allowed="wal"),
    "page_size": RefusedPragma(_NO_PAGE_SIZE),
    "wal_autocheckpoint": RefusedPragma(_CUSTOM_CHECKPOINT),
    "wal_checkpoint": RefusedPragma(_CUSTOM_CHECKPOINT, reads=True),
}
# src/vfs.c of 1.18.7: vfsAuthorizer, which does not look at the schema
_DENIED = SQLITE_AUTH, "not authorized"
_REFUSED_BY_AUTHORIZER = {
    **{
        name: RefusedPragma(_DENIED, reads=True, temp=True)
        for name in ("wal_checkpoint", "busy_timeout", "read_uncommitted", "locking_mode")
    },
    **{
        name: RefusedPragma(_DENIED, temp=True)
        for name in ("journal_mode", "page_size", "wal_autocheckpoint", "synchronous")
    },
}

_V1_11 = Release(
    name="1.11.1",
    generation=Generation.V1_11,
    checks_schema=False,
    statement_schema_code=DQLITE_PARSE,
    answers_unknown_types=False,
    checks_cluster_format=False,
    prepare_needs_leader=False,
    open_needs_leader=False,
    refuses_tail=False,
    runs_writes_in_query=False,
    runs_silent_reads_in_query=False,
    rows_in_exec=(_ROW, "another row available"),
    rows_in_exec_sql=(_ROW, "another row available"),
    returning=False,
    blank_tail_result=False,
    empty_text_result=False,
    queues_writes=False,
    masks_query_sql=False,
    bad_value=_by_request(
        (DQLITE_PARSE, _BIND), (DQLITE_PARSE, "not an error"), (DQLITE_PARSE, "not an error")
    ),
    too_many=_by_request(
        (SQLITE_RANGE, _BIND),
        (SQLITE_RANGE, "column index out of range"),
        (SQLITE_RANGE, "column index out of range"),
    ),
    early_header=False,
    takes_in_turn=False,
    keeps_bindings=True,
    lost_text="disk I/O error",
    raft_codes=True,
    not_found_text="unknown error",
    dump_image=False,
    autocheckpoint=0,
    attach="allowed",
    refused_pragmas={},
    aborts_add_zero=False,
)
_V1_12 = _V1_11.but(
    "1.12",
    generation=Generation.V1_12,
    checks_schema=True,
    answers_unknown_types=True,
    checks_cluster_format=True,
    prepare_needs_leader=True,
)
_V1_15 = _V1_12.but(
    "1.18.1",
    generation=Generation.V1_15,
    refuses_tail=True,
    runs_writes_in_query=True,
    rows_in_exec=(_ROW, _NO_ROWS),
    blank_tail_result=True,
    bad_value=_by_request(*[(DQLITE_PARSE, _BIND)] * 3),
    too_many=_by_request(*[(SQLITE_RANGE, _BIND)] * 3),
    not_found_text="Resource not found",
    attach="limited",
    refused_pragmas=_REFUSED_BY_VFS,
    aborts_add_zero=True,
)
_V1_18_2 = _V1_15.but(
    "1.18.2",
    generation=Generation.V1_18_2,
    statement_schema_code=SQLITE_ERROR,
    open_needs_leader=True,
    runs_silent_reads_in_query=True,
    rows_in_exec=(SQLITE_ERROR, _NO_ROWS),
    rows_in_exec_sql=(SQLITE_ERROR, _NO_ROWS),
    empty_text_result=True,
    queues_writes=True,
    masks_query_sql=True,
    bad_value=_by_request((SQLITE_ERROR, _BIND), (SQLITE_ERROR, _BIND), (SQLITE_IOERR, _STEP)),
    too_many={_QUERY: (SQLITE_IOERR, _STEP), _QUERY_SQL: (SQLITE_IOERR, _STEP)},
    early_header=True,
    takes_in_turn=True,
    keeps_bindings=False,
    lost_text="leadership lost",
    raft_codes=False,
    dump_image=True,
    autocheckpoint=1000,
    attach="denied",
    refused_pragmas=_REFUSED_BY_AUTHORIZER,
)
_V1_18_3 = _V1_18_2.but("1.18.7", generation=Generation.V1_18_3, returning=True)
_COWSQL = _V1_15.but(
    "cowsql",
    rows_in_exec_sql=(_ROW, _NO_ROWS),
    refused_pragmas={
        "journal_mode": RefusedPragma(_ONLY_WAL, allowed="wal", exact=True),
        "page_size": RefusedPragma(_NO_PAGE_SIZE, exact=True),
    },
    aborts_add_zero=False,
)

# The releases that can be played, by name.
RELEASES = {release.name: release for release in (_V1_11, _V1_15, _V1_18_3, _COWSQL)}
# The one that is played unless another one is asked for: that of Debian's stable release.
DEFAULT_RELEASE = _V1_15.name
# Other names of them.
ALIASES = {"1.18.6": "1.18.7"}

_RULES = {release.generation: release for release in (_V1_11, _V1_12, _V1_15, _V1_18_2, _V1_18_3)}


def rules_of(generation: Generation) -> Release:
    """Return the row that holds for a generation: that of the oldest release for UNKNOWN.

    Args:
        generation: of the server.
    """
    return _RULES.get(generation, _V1_11)


def release_named(name: str) -> Release | None:
    """Return the release that can be played under a name, None if there is none.

    Args:
        name: of a release or an alias of one, such as "1.18.6".
    """
    return RELEASES.get(ALIASES.get(name, name))
