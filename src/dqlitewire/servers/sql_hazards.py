"""Which SQL text harms a server: pragmas and acts, each with the generations that it harms.

The rows were made from life: `tests/real/survey` has tried every pragma, every kind of statement and every
form of a database's name on 1.11.1, 1.18.1, 1.18.7 and cowsql 1.15.9, and a test holds these tables against
its results (tests/real/survey/results.tsv). Servers that cannot be told apart on the wire share a row: cowsql
looks like 1.18.1, so what harms either of them harms the generations from 1.12 to 1.18.1.

Four things decide whether a text is a hazard.

* **The request.** SQLite acts on most pragmas while it compiles them. PREPARE alone is enough, and so is
  EXPLAIN, which merely runs nothing: `EXPLAIN PRAGMA synchronous=2` sets it. Others act when they are run.
* **The value.** `PRAGMA synchronous=1` is harmless and `=2` ends the process, so values are read as SQLite
  reads them (SQLite src/pragma.c: getSafetyLevel).
* **The schema.** Some pragmas do no harm to `temp`, which is no database of dqlite's.
* **The generation.** A row holds from `since` to before `before`; a server whose generation is unknown is
  harmed by every row.

What spoils its own connection and nothing else (`PRAGMA query_only=1`) is left to the caller.
"""

from __future__ import annotations

from ..constants import RequestType
from .hazards import HazardKind, harms
from .releases import Generation, rules_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..sql.survey import Survey

__all__ = ["ACTS", "PRAGMAS", "SqlHazard", "text_hazards"]

_EXECS = frozenset({RequestType.EXEC, RequestType.EXEC_SQL})
_QUERIES = frozenset({RequestType.QUERY, RequestType.QUERY_SQL})
_RUNS = _EXECS | _QUERIES
_COMPILES = _RUNS | {RequestType.PREPARE}


_LONGEST_NUMBER = 20  # digits; of a longer one only that it is large is of use


def _number(value: str) -> int:
    sign = -1 if value[:1] == "-" else 1
    value = value.lstrip("+-")
    is_hex = value[:2] == "0x"
    digits = ""
    for character in value[2 if is_hex else 0 :][:_LONGEST_NUMBER]:
        if character not in ("0123456789abcdef" if is_hex else "0123456789"):
            break
        digits += character
    return sign * int(digits or "0", 16 if is_hex else 10)


def _never(_value: str) -> bool:
    return False


_LEVELS = {"on": 1, "yes": 1, "true": 1, "off": 0, "no": 0, "false": 0, "full": 2, "extra": 3}


def _no_sync(value: str) -> bool:
    level = _number(value) & 0xFF if value[:1].isdigit() else _LEVELS.get(value, 1)
    return level + 1 & 7 < 3


def _is_false(value: str) -> bool:
    return not (_number(value) if value[:1].isdigit() else value in ("on", "yes", "true"))


def _is_wal(value: str) -> bool:
    return value == "wal"


def _same_journal(value: str) -> bool:
    # SQLite takes any beginning of a mode's name for it
    return not any(mode.startswith(value) for mode in ("delete", "persist", "off", "truncate", "memory"))


def _same_page_size(value: str) -> bool:
    size = _number(value)
    return size == 4096 or not 512 <= size <= 65536 or size & (size - 1) != 0


def _only_asks(value: str) -> bool:
    return _number(value) <= 0  # of a heap limit; 0 is what it is


def _is_listing(value: str) -> bool:
    return _number(value) & 1 == 1  # of the mask of optimize: tell what would be done


def _is_truncate(value: str) -> bool:
    return value == "truncate"


def _is_truncate_or_noop(value: str) -> bool:
    return value in ("truncate", "noop")


class SqlHazard:
    """A pragma or an act that some servers do not survive.

    Args:
        kind: what it is recorded and refused as.
        acts: the requests that bring it about. With PREPARE among them SQLite acts while it compiles, so that
            EXPLAIN makes no difference.
        since: the first generation that it harms.
        before: the first later one that it does not harm, None if there is none.
        reading: whether a pragma is a hazard without a value, too.
        spares: tells of a pragma's value, in lower case, whether it does no harm.
        temp: whether a pragma does the same harm to the schema `temp`.
        at_once: whether a node dies while it compiles the pragma, and not of a later write.
        begun: whether it acts in a transaction only.
        capitals: whether the pragma's name must have capitals or must have none; None for either. A server
            that compares names letter by letter (strcmp) lets `PRAGMA Journal_Mode=DELETE` pass to SQLite.
    """

    __slots__ = (
        "acts",
        "at_once",
        "before",
        "begun",
        "capitals",
        "kind",
        "reading",
        "since",
        "spares",
        "temp",
    )

    def __init__(
        self,
        kind: HazardKind,
        acts: frozenset[RequestType],
        *,
        since: Generation = Generation.V1_11,
        before: Generation | None = None,
        reading: bool = False,
        spares: Callable[[str], bool] = _never,
        temp: bool = False,
        at_once: bool = False,
        begun: bool = False,
        capitals: bool | None = None,
    ) -> None:
        self.kind: HazardKind = kind
        self.acts: frozenset[RequestType] = acts
        self.since: Generation = since
        self.before: Generation | None = before
        self.reading: bool = reading
        self.spares = spares
        self.temp: bool = temp
        self.at_once: bool = at_once
        self.begun: bool = begun
        self.capitals: bool | None = capitals

    @property
    def compiles(self) -> bool:
        """Whether SQLite acts on it while it compiles."""
        return RequestType.PREPARE in self.acts

    def harms(self, generation: Generation) -> bool:
        """Tell whether servers of a generation do not survive it."""
        return harms(generation, self.since, self.before)

    def hits(self, written: str, value: str | None, schema: str) -> bool:
        """Tell whether a pragma is the hazard.

        Args:
            written: its name as it is written.
            value: what it is set to, None for nothing.
            schema: the schema it is for, in lower case, "" for none.
        """
        if schema == "temp" and not self.temp:
            return False
        if self.capitals is not None and self.capitals != (written != written.lower()):
            return False
        return self.reading if value is None else not self.spares(value.lower())


_PRAGMA, _OUTSIDE = HazardKind.OLD_PRAGMA, HazardKind.OUTSIDE
_HEAP_LIMIT = SqlHazard(_OUTSIDE, _COMPILES, spares=_only_asks, temp=True)

# By name, in lower case; a pragma may have rows for different generations.
PRAGMAS: dict[str, tuple[SqlHazard, ...]] = {
    "count_changes": (SqlHazard(_PRAGMA, _COMPILES, spares=_is_false, temp=True),),
    "hard_heap_limit": (_HEAP_LIMIT,),
    "delete_database": (
        SqlHazard(_PRAGMA, _COMPILES, since=Generation.V1_18_2, reading=True, temp=True, begun=True),
    ),
    "journal_mode": (
        SqlHazard(
            _PRAGMA,
            _COMPILES,
            before=Generation.V1_12,
            spares=_is_wal,
            at_once=True,
            capitals=False,
        ),
        SqlHazard(_PRAGMA, _RUNS, before=Generation.V1_18_2, spares=_same_journal, capitals=True),
    ),
    "optimize": (
        SqlHazard(
            _PRAGMA,
            _QUERIES,
            since=Generation.V1_12,
            before=Generation.V1_18_2,
            reading=True,
            spares=_is_listing,
        ),
        SqlHazard(_PRAGMA, _RUNS, since=Generation.V1_18_2, reading=True, spares=_is_listing),
    ),
    "page_size": (
        SqlHazard(
            _PRAGMA,
            _COMPILES,
            before=Generation.V1_12,
            spares=_same_page_size,
            at_once=True,
            capitals=False,
        ),
    ),
    "soft_heap_limit": (_HEAP_LIMIT,),
    "synchronous": (SqlHazard(_PRAGMA, _COMPILES, before=Generation.V1_18_2, spares=_no_sync),),
    "wal_checkpoint": (
        SqlHazard(_PRAGMA, _RUNS, before=Generation.V1_12, reading=True, spares=_is_truncate),
        # cowsql's; 1.18.1 refuses it
        SqlHazard(
            _PRAGMA,
            _RUNS,
            since=Generation.V1_12,
            before=Generation.V1_18_2,
            reading=True,
            spares=_is_truncate_or_noop,
        ),
    ),
}

# What else a text may do, by the words of `sql.survey`.
ACTS: dict[str, tuple[SqlHazard, ...]] = {
    "ATTACH": (SqlHazard(_OUTSIDE, _EXECS, before=Generation.V1_12),),
    # 1.18.7's authorizer is not told which name an expression makes, and lets it pass
    "ATTACH expression": (
        SqlHazard(_OUTSIDE, _EXECS, before=Generation.V1_12),
        SqlHazard(_OUTSIDE, _RUNS, since=Generation.V1_18_2),
    ),
    "VACUUM INTO": (SqlHazard(_OUTSIDE, _EXECS, before=Generation.V1_12),),
    "fts3_tokenizer": (SqlHazard(_OUTSIDE, _RUNS, before=Generation.V1_18_2),),
    "OR FAIL": (SqlHazard(HazardKind.OR_FAIL, _RUNS, since=Generation.V1_18_2),),
    "write to sqlite_dbpage": (SqlHazard(HazardKind.RAW_WRITE, _RUNS, since=Generation.V1_12),),
    "write to sqlite_schema": (SqlHazard(HazardKind.RAW_WRITE, _RUNS),),
    "pragma_optimize": PRAGMAS["optimize"],
}


_RETURNING = SqlHazard(HazardKind.RETURNING, _RUNS)
_RETURNING_BY_EXEC = SqlHazard(HazardKind.RETURNING, _EXECS)


def text_hazards(
    seen: Survey, request: int, generation: Generation, in_transaction: bool | None
) -> Iterator[SqlHazard]:
    """Yield what a text would do to a server, nothing for a harmless text.

    Args:
        seen: what was seen in the text.
        request: the type of the request that carries the text, or names the statement that was made of it.
        generation: that of the server.
        in_transaction: whether the connection has begun one; None where that is not known.
    """
    for row in _rows(seen, generation, in_transaction):
        if request in row.acts and row.harms(generation):
            yield row


def _rows(seen: Survey, generation: Generation, in_transaction: bool | None) -> Iterator[SqlHazard]:
    if seen.returning:
        yield _RETURNING_BY_EXEC if rules_of(generation).returning else _RETURNING
    for pragma in seen.pragmas:
        for row in PRAGMAS.get(pragma.name, ()):
            if (
                (row.compiles or not pragma.explained)
                and row.hits(pragma.written, pragma.value, pragma.schema)
                and (not row.begun or pragma.begun or in_transaction is not False)
            ):
                yield row
    for act in seen.acts:
        # within a transaction, what a failed statement keeps is committed with the rest
        if act != "OR FAIL" or not in_transaction:
            yield from ACTS[act]
