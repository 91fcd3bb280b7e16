"""What kills, hangs or misleads a server: one table, read by the client's refusal and the embedded server.

`HazardKind` is the table: a member is a row, its value says in words what was asked. The embedded server
records each row that a client of it brings about. `Hazard` are those rows as flags that combine which can be
seen in a request before it is sent: the client refuses these, unless they are allowed.

What cannot be seen beforehand is in the answer: a value of the wrong type in a BOOLEAN, DATE, DATETIME or
TIMESTAMP column aborts the node that reads it (dqlite#733), and a result whose column names fill a page never
ends (ROWS without rows, refused by the decoder).

The lengths are held by `tests/real/test_hazard_bounds.py`.
"""

from __future__ import annotations

from enum import Enum, IntFlag

from ..constants import NodeRole, RequestType
from ..exceptions import EncodeError
from .refusals import RUNS_SQL, RUNS_STATEMENT
from .releases import Generation

__all__ = [
    "CHECKED_FIELDS",
    "IN_MEMORY",
    "LARGEST_ROLE",
    "LONGEST_NAME",
    "MAX_SAFE_BODY",
    "PRAGMAS",
    "RUNS_SQL",
    "RUNS_STATEMENT",
    "WHAT_HAPPENS",
    "Hazard",
    "HazardError",
    "HazardKind",
    "PragmaHazard",
    "Seen",
]

MAX_SAFE_BODY = 1 << 30  # bytes; dqlite src/lib/buffer.c: ensure overflows above 2 GiB
LARGEST_ROLE = max(NodeRole)
# Names of databases that SQLite keeps in memory and in no file, so past dqlite's VFS.
IN_MEMORY = frozenset({"", ":memory:"})
# Bytes of the longest name that OPEN takes: VFS__MAX_PATHNAME (dqlite src/vfs.c) less 8, which SQLite wants
# for "-journal" (SQLite src/pager.c: sqlite3PagerOpen). 1.11.1, 1.18.1, 1.18.7 and cowsql answer a longer one
# by closing the connection, without a word; 1.18.1 dies of more than VFS__MAX_PATHNAME itself.
LONGEST_NAME = 504
_MAX_PATHNAME = 512


class Hazard(IntFlag):
    """What is wrong with a request that is not sent; members combine, to be allowed together.

    `conversation.send(request, allow=Hazard.RETURNING | Hazard.PRAGMA)` lets requests with one of these
    through. NONE allows nothing, ALL everything.
    """

    NONE = 0
    BODY_SIZE = 1
    DESCRIBE_FORMAT = 2
    ADD_ZERO = 4
    ASSIGN_ROLE = 8
    MEMORY_DATABASE = 16
    RETURNING = 32
    MANY_PARAMS = 64
    OLD_TYPE = 128
    PRAGMA = 256
    VOID_STATEMENT = 512
    LONG_NAME = 1024
    ALL = 2047


class Seen(Enum):
    """Where a hazard shows."""

    HEADER = "header"
    FIELDS = "fields"
    SQL = "SQL text"
    SESSION = "session"  # what was opened and prepared before
    ANSWER = "answer"


_NO_TYPES: frozenset[RequestType] = frozenset()


class HazardKind(Enum):
    """Why a real node would abort, hang or go deaf; or, for OUTSIDE, do to its host what no test wants.

    Attributes:
        value: what was asked, in words.
        flag: the `Hazard` by which a client refuses it, NONE if no request shows it.
        happens: what it would do, in words; "" where no client refuses it.
        seen: where it shows.
        requests: the types of which every frame must be looked at, in its header or first words.
        before: the first generation that it does no harm to, None if there is none.
    """

    _value_: str
    flag: Hazard
    happens: str
    seen: Seen
    requests: frozenset[RequestType]
    before: Generation | None

    def __new__(
        cls,
        words: str,
        flag: Hazard,
        happens: str,
        seen: Seen,
        requests: frozenset[RequestType] = _NO_TYPES,
        before: Generation | None = None,
    ) -> HazardKind:
        row = object.__new__(cls)
        row._value_ = words
        row.flag, row.happens, row.seen = flag, happens, seen
        row.requests, row.before = requests, before
        return row

    EMPTY_BODY = "a frame without a body", Hazard.NONE, "", Seen.HEADER
    BODY_SIZE = (
        "a body larger than a node can hold",
        Hazard.BODY_SIZE,
        "a body above 1 GiB hangs or kills the node",
        Seen.HEADER,
    )
    OLD_TYPE = (
        "a request type that 1.11 never answers",
        Hazard.OLD_TYPE,
        "1.11 never answers this request type and reads nothing more",
        Seen.FIELDS,
        frozenset({RequestType.HEARTBEAT}),
        Generation.V1_12,
    )
    MANY_PARAMS = (
        "parameters in a schema that 1.11 does not know",
        Hazard.MANY_PARAMS,
        "servers before 1.12 misread schema 1 and bind NULL without a word",
        Seen.HEADER,
        RUNS_SQL | RUNS_STATEMENT,
        Generation.V1_12,
    )
    DESCRIBE_FORMAT = (
        "DESCRIBE with a format other than 0",
        Hazard.DESCRIBE_FORMAT,
        "DESCRIBE with a format other than 0 kills the node",
        Seen.FIELDS,
        frozenset({RequestType.DESCRIBE}),
    )
    ADD_ZERO = (
        "ADD of the id 0",
        Hazard.ADD_ZERO,
        "ADD of id 0 kills the node",
        Seen.FIELDS,
        frozenset({RequestType.ADD}),
    )
    ASSIGN_ROLE = (
        "ASSIGN of an unknown role",
        Hazard.ASSIGN_ROLE,
        f"ASSIGN of a role above {LARGEST_ROLE} disables the node",
        Seen.FIELDS,
        frozenset({RequestType.ASSIGN}),
    )
    MEMORY_DATABASE = (
        'a statement on the database "" or ":memory:"',
        Hazard.MEMORY_DATABASE,
        'a statement on a database named "" or ":memory:" kills the node',
        Seen.SESSION,
    )
    LONG_NAME = (
        f"OPEN of a name beyond {LONGEST_NAME} bytes",
        Hazard.LONG_NAME,
        f"a database name above {LONGEST_NAME} bytes ends the connection, above {_MAX_PATHNAME} kills 1.18.1",
        Seen.FIELDS,
    )
    STALE_STATEMENT = (
        "a statement id that was finalized, with a later one still there",
        Hazard.VOID_STATEMENT,
        "a finalized statement's id kills the node while a higher one is open",
        Seen.SESSION,
    )
    COLUMN_TYPE = (
        "a value that does not fit its column's declared type",
        Hazard.NONE,
        "",
        Seen.ANSWER,
    )
    RETURNING = (
        "RETURNING where it is not supported",
        Hazard.RETURNING,
        "RETURNING kills the node, but through QUERY from 1.18.3 on",  # `Release.returning`
        Seen.SQL,
    )
    OLD_PRAGMA = (
        "a pragma that 1.11 does not survive",
        Hazard.PRAGMA,
        "a pragma about files or checkpoints kills older nodes",
        Seen.SQL,
        _NO_TYPES,
        Generation.V1_18_2,  # each pragma has its own, see PRAGMAS
    )
    OUTSIDE = (
        "a statement that reaches a file, a setting or code outside of its database",
        Hazard.NONE,
        "",
        Seen.SQL,
    )
    ENDLESS_ROWS = (
        "column names that fill a page: rows never come",
        Hazard.NONE,
        "",
        Seen.ANSWER,
    )


class PragmaHazard:
    """A pragma that some generation does not survive.

    Args:
        before: the first generation that refuses it by itself, or survives it.
        reading: whether it is a hazard without a value, too.
        at_once: whether the node dies of the pragma itself; of another one it dies at the next write.
        harmless: the value that does no harm, in lower case; the client refuses it all the same.
    """

    __slots__ = ("at_once", "before", "harmless", "reading")

    def __init__(
        self,
        before: Generation,
        *,
        reading: bool = False,
        at_once: bool = False,
        harmless: str | None = None,
    ) -> None:
        self.before = before
        self.reading = reading
        self.at_once = at_once
        self.harmless = harmless

    def aborts(self, value: str | None) -> bool:
        """Tell whether a node dies of the pragma itself, given this value or (None) none."""
        return self.at_once and value is not None and value.lower() != self.harmless


PRAGMAS = {
    "journal_mode": PragmaHazard(Generation.V1_12, at_once=True, harmless="wal"),
    "journal_size_limit": PragmaHazard(Generation.V1_12),
    "page_size": PragmaHazard(Generation.V1_12, at_once=True),
    "wal_autocheckpoint": PragmaHazard(Generation.V1_12),
    "wal_checkpoint": PragmaHazard(Generation.V1_12, reading=True),
    "synchronous": PragmaHazard(Generation.V1_18_2),
}

WHAT_HAPPENS = {kind.flag: kind.happens for kind in HazardKind if kind.flag}
# Of a known type, and with schema 0, only these have fixed fields that make a hazard.
CHECKED_FIELDS = frozenset(code for kind in HazardKind if kind.seen is Seen.FIELDS for code in kind.requests)


class HazardError(EncodeError):
    """A request that was not sent, because of what it would do to the server.

    Attributes:
        hazard: the reason, as to be allowed.
        request: the request, or its frame.
    """

    def __init__(self, hazard: Hazard, request: object = None) -> None:
        super().__init__(WHAT_HAPPENS[hazard])
        self.hazard = hazard
        self.request = request

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.hazard, self.request)
