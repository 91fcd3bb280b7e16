"""What servers say to a request they do not accept (dqlite src/gateway.c, src/bind.c).

The texts and codes that hold for every release are constants here; where releases differ, `releases` has the
fact and a function here asks for it. A request whose fixed fields do not decode is not answered at all:
servers close the connection. From 1.18.2 on the header of the parameters counts as such a field.
"""

from __future__ import annotations

from ..constants import (
    DQLITE_NOTFOUND,
    DQLITE_PARSE,
    SQLITE_BUSY,
    SQLITE_ERROR,
    SQLITE_IOERR_NOT_LEADER,
    SQLITE_NOTFOUND,
    SQLITE_PROTOCOL,
    RequestType,
)
from ..messages import REQUESTS, ClusterRequest, FailureResponse, LeaderRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..exceptions import DecodeError
    from ..messages import Message
    from .releases import Failure, Release

__all__ = [
    "ALREADY_OPEN",
    "BAD_FORMAT",
    "BAD_ROLE",
    "EMPTY_STATEMENT",
    "LOCKED",
    "NOT_LEADER",
    "NO_DATABASE",
    "NO_STATEMENT",
    "RUNS_SQL",
    "RUNS_STATEMENT",
    "STATEMENT_TAIL",
    "UNKNOWN_DATABASE",
    "UNKNOWN_FORMAT",
    "UNKNOWN_SCHEMA",
    "UNKNOWN_TYPE",
    "forgiven",
    "knows_type",
    "refusal",
    "schema_for",
    "schema_refusal",
]

NOT_LEADER: Failure = SQLITE_IOERR_NOT_LEADER, "not leader"
NO_DATABASE: Failure = SQLITE_NOTFOUND, "no database opened"
NO_STATEMENT: Failure = SQLITE_NOTFOUND, "no statement with the given id"
ALREADY_OPEN: Failure = SQLITE_BUSY, "a database for this connection is already open"
LOCKED: Failure = SQLITE_BUSY, "database is locked"
EMPTY_STATEMENT: Failure = 0, "empty statement"
STATEMENT_TAIL: Failure = SQLITE_ERROR, "nonempty statement tail"
UNKNOWN_DATABASE: Failure = DQLITE_NOTFOUND, "database does not exists"
UNKNOWN_TYPE: Failure = DQLITE_PARSE, "unrecognized request type"
UNKNOWN_FORMAT: Failure = DQLITE_PARSE, "unrecognized cluster format"
BAD_FORMAT: Failure = SQLITE_PROTOCOL, "bad format version"
BAD_ROLE: Failure = SQLITE_ERROR, "server role is not valid"
UNKNOWN_SCHEMA = "unrecognized schema version"  # the code depends on release and request

RUNS_SQL = frozenset({RequestType.EXEC_SQL, RequestType.QUERY_SQL})
RUNS_STATEMENT = frozenset({RequestType.EXEC, RequestType.QUERY})
_STATEMENTS = RUNS_SQL | RUNS_STATEMENT
# Of the types without an answer CONNECT is taken, the connection is raft's then; HEARTBEAT is refused.
_KNOWN = frozenset(code for code, cls in REQUESTS.items() if cls.ANSWERS or code == RequestType.CONNECT)


def knows_type(kind: int) -> bool:
    """Tell whether a server answers a request type by anything but a refusal."""
    return kind in _KNOWN


def schema_for(kind: int, schema: int, release: Release) -> int | None:
    """Return the schema by which a release reads a body, None if it refuses the schema or has no such type.

    Args:
        kind: type of the request.
        schema: the schema byte as it came.
        release: the release to speak for.
    """
    if not release.checks_schema:
        return 0  # the byte was not looked at
    known: tuple[int, ...] = REQUESTS[kind].SCHEMAS if kind in REQUESTS else ()
    if kind == RequestType.PREPARE:
        known = known[: 1 + release.generation.prepare_schema]
    return schema if schema in known else None


def schema_refusal(kind: int, release: Release) -> Failure:
    """Return the FAILURE of a schema that a release does not have for a request."""
    if kind == RequestType.PREPARE:
        return SQLITE_ERROR, UNKNOWN_SCHEMA
    return release.statement_schema_code if kind in _STATEMENTS else DQLITE_PARSE, UNKNOWN_SCHEMA


def refusal(kind: int, schema: int, error: DecodeError | None, release: Release) -> FailureResponse | None:
    """Return the FAILURE for a request that is not accepted, None where servers say nothing.

    Args:
        kind: the type byte.
        schema: the schema byte.
        error: why the body does not decode.
        release: the release to speak for.
    """
    said = _said(kind, schema, error, release)
    return None if said is None else FailureResponse(*said)


def _said(kind: int, schema: int, error: DecodeError | None, release: Release) -> Failure | None:
    if not knows_type(kind):
        return UNKNOWN_TYPE if release.answers_unknown_types else None
    if schema_for(kind, schema, release) is None:
        return schema_refusal(kind, release)
    path = error.path if error is not None and error.path is not None else ""
    if path in _BY_PATH:
        return _BY_PATH[path]
    if ".params" in path and not (path.endswith(".params") and release.early_header):
        return release.bad_value[RequestType(kind)]
    return None


# of fields that decode and have a value that is refused
_BY_PATH = {
    "ClusterRequest.format": UNKNOWN_FORMAT,
    "DescribeRequest.format": BAD_FORMAT,
    "AssignRequest.role": BAD_ROLE,
}


def forgiven(kind: int, error: DecodeError, release: Release) -> Message | None:
    """Return the request that a release takes an undecodable one for, None if there is none."""
    if kind == RequestType.LEADER and error.path == "LeaderRequest.unused":
        return LeaderRequest()  # the word is not looked at
    if error.path == "ClusterRequest.format" and not release.checks_cluster_format:
        return ClusterRequest()
    return None
