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
    "RUNS_SQL",
    "RUNS_STATEMENT",
    "WHAT_HAPPENS",
    "Hazard",
    "HazardError",
    "HazardKind",
    "Seen",
    "harms",
    "name_hazard",
]

MAX_SAFE_BODY = 1 << 30  # bytes; dqlite src/lib/buffer.c: ensure overflows above 2 GiB
LARGEST_ROLE = max(NodeRole)
# Names of databases that SQLite keeps in memory and in no file, so past dqlite's VFS.
IN_MEMORY = frozenset({"", ":memory:"})
# Bytes of the longest name that OPEN takes: VFS__MAX_PATHNAME (dqlite src/vfs.c) less 8, which SQLite wants
# for "-journal" (SQLite src/pager.c: sqlite3PagerOpen). 1.11.1, 1.18.1, 1.18.7 and cowsql answer a longer one
# by closing the connection, without a word, and up to 1.18.1 keep the name, as `name_hazard` says; 1.18.1
# dies at once of more than VFS__MAX_PATHNAME, 512.
LONGEST_NAME = 504


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
    NAME = 2048
    OUTSIDE = 4096
    OR_FAIL = 8192
    RAW_WRITE = 16384
    ALL = 32767


class Seen(Enum):
    """Where a hazard shows."""

    HEADER = "header"
    FIELDS = "fields"
    SQL = "SQL text"
    SESSION = "session"  # what was opened and prepared before
    ANSWER = "answer"


_NO_TYPES: frozenset[RequestType] = frozenset()


class HazardKind(Enum):
    """Why a real node would abort, hang or go deaf; or, for OUTSIDE, reach what is not its database.

    Attributes:
        value: what was asked, in words.
        flag: the `Hazard` by which a client refuses it, NONE if no request shows it.
        happens: what it would do, in words; "" where no client refuses it.
        seen: where it shows.
        requests: the types of which every frame must be looked at, in its header or first words.
        before: the first generation that it does no harm to, None if there is none.
        since: the first generation that it harms.
    """

    _value_: str
    flag: Hazard
    happens: str
    seen: Seen
    requests: frozenset[RequestType]
    before: Generation | None
    since: Generation

    def __new__(
        cls,
        words: str,
        flag: Hazard,
        happens: str,
        seen: Seen,
        requests: frozenset[RequestType] = _NO_TYPES,
        before: Generation | None = None,
        since: Generation = Generation.V1_11,
    ) -> HazardKind:
        row = object.__new__(cls)
        row._value_ = words
        row.flag, row.happens, row.seen = flag, happens, seen
        row.requests, row.before, row.since = requests, before, since
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
        "servers before 1.12 misread schema 1 and bind NULL",
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
        "ADD of id 0 kills 1.18.1 and 1.18.7",
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
        'OPEN of "" or ":memory:"',
        Hazard.MEMORY_DATABASE,
        'OPEN of "" or ":memory:" kills the node, soon or late',
        Seen.FIELDS,
    )
    LONG_NAME = (
        f"OPEN of a name beyond {LONGEST_NAME} bytes",
        Hazard.LONG_NAME,
        f"a name over {LONGEST_NAME} bytes kills a node up to 1.18.1, soon or late",
        Seen.FIELDS,
    )
    NAME = (
        "OPEN of a name that is a URI, or that of another database's file",
        Hazard.NAME,
        "a name like a URI or WAL kills the node, or is a file of its host",
        Seen.FIELDS,
    )
    STALE_STATEMENT = (
        "a statement id that was finalized, with a later one still there",
        Hazard.VOID_STATEMENT,
        "a finalized id kills the node while a higher one is open",
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
        "a pragma that the server does not survive",
        Hazard.PRAGMA,
        "a pragma kills or blocks the node",  # each has its own generations: `sql_hazards.PRAGMAS`
        Seen.SQL,
    )
    OUTSIDE = (
        "a statement that reaches a file, a setting or code outside of its database",
        Hazard.OUTSIDE,
        "reaches a file, a setting or code outside of the database",
        Seen.SQL,
    )
    OR_FAIL = (
        "a failed statement that has kept rows, outside of a transaction",
        Hazard.OR_FAIL,
        "OR FAIL with rows kept kills the node, outside of a transaction",
        Seen.SQL,
        _NO_TYPES,
        None,
        Generation.V1_18_2,
    )
    RAW_WRITE = (
        "a write to sqlite_dbpage or sqlite_schema",
        Hazard.RAW_WRITE,
        "writing sqlite_dbpage or sqlite_schema spoils the database",
        Seen.SQL,
    )
    ENDLESS_ROWS = (
        "column names that fill a page: rows never come",
        Hazard.NONE,
        "",
        Seen.ANSWER,
    )


def harms(generation: Generation, since: Generation, before: Generation | None) -> bool:
    """Tell whether a hazard from one generation to another harms this one; any harms an unknown one."""
    if generation is Generation.UNKNOWN:
        return True
    return since <= generation and (before is None or generation < before)


def name_hazard(name: str, generation: Generation) -> HazardKind | None:
    """Return what is wrong with a name for OPEN; None for a harmless one.

    SQLite reads a name that begins with `file:` as a URI, which may name another VFS, and so a file of the
    host, or memory; dqlite's own table of databases takes it as it is written. Up to 1.18.1 the two disagree
    about any URI, which ends the process. A name that ends like a WAL or a journal is taken for that of the
    database without the ending (dqlite src/vfs.c: vfsDatabaseLookup); 1.11 does so only if there is one.

    A server keeps the name of every OPEN, also of one that failed. Where no database of its own came of it,
    up to 1.18.1 the next snapshot ends the process, which is after 1024 entries of the log by default (dqlite
    src/fsm.c: dbNumPages). A database in memory ends 1.18.7 as well, and any of them at the first statement.

    Args:
        name: the name, as given to OPEN.
        generation: that of the server.
    """
    if name in IN_MEMORY:
        return HazardKind.MEMORY_DATABASE
    if len(name.encode(errors="replace")) > LONGEST_NAME:  # of what is no text, a byte each, as it came
        return HazardKind.LONG_NAME
    path = name
    if name.startswith("file:"):
        if generation < Generation.V1_18_2:
            return HazardKind.NAME
        path, is_odd = _uri(name)
        if is_odd or path in IN_MEMORY:
            return HazardKind.NAME
    return HazardKind.NAME if path.endswith(_OTHER_FILES) else None


_OTHER_FILES = ("-wal", "-journal")


def _uri(name: str) -> tuple[str, bool]:
    # SQLite src/main.c: sqlite3ParseUri; the path, and whether the rest is more than a plain file's
    from urllib.parse import unquote  # not at import: it is slow, and URIs are rare

    path, _, query = name[5:].partition("#")[0].partition("?")
    authority = ""
    if path.startswith("//"):
        authority, slash, path = path[2:].partition("/")
        path = slash + path
    is_odd = authority not in ("", "localhost")
    for option in query.split("&"):
        key, _, value = map(unquote, option.partition("="))
        is_odd = is_odd or key == "vfs" or (key in _OPTIONS and value not in _OPTIONS[key])
    return unquote(path).partition("\0")[0], is_odd


_OPTIONS = {"mode": ("rwc",), "cache": ("shared", "private")}


WHAT_HAPPENS = {kind.flag: kind.happens for kind in HazardKind if kind.flag}
# Of a known type, and with schema 0, only these have fixed fields that make a hazard.
CHECKED_FIELDS = frozenset(code for kind in HazardKind if kind.seen is Seen.FIELDS for code in kind.requests)


class HazardError(EncodeError):
    """A request that was not sent, because of what it would do to the server; its text names the hazard.

    Attributes:
        hazard: the reason, as `allow` takes it.
        request: the request, or its frame.
    """

    def __init__(self, hazard: Hazard, request: object = None) -> None:
        super().__init__(f"Hazard.{hazard.name}: {WHAT_HAPPENS[hazard]}")
        self.hazard = hazard
        self.request = request

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.hazard, self.request)
