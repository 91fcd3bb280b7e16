"""What a server of each generation says to a request it does not accept (dqlite src/gateway.c, src/bind.c).

A request whose fixed fields do not decode is not answered at all: servers close the connection. From 1.18.2
on the header of the parameters counts as such a field.
"""

from __future__ import annotations

from ..constants import DQLITE_PARSE, SQLITE_ERROR, SQLITE_IOERR, SQLITE_PROTOCOL, RequestType
from ..conversation.table import REQUESTS
from ..messages import ClusterRequest, FailureResponse, LeaderRequest
from .generation import Generation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..exceptions import DecodeError
    from ..messages import Message

__all__ = ["forgiven", "knows_type", "refusal", "schema_for"]

_PREPARE = RequestType.PREPARE
_EXECS = frozenset({RequestType.EXEC, RequestType.EXEC_SQL})
_STATEMENTS = _EXECS | {RequestType.QUERY, RequestType.QUERY_SQL}


def knows_type(kind: int) -> bool:
    """Tell whether a server answers a request type by anything but a refusal."""
    return kind in REQUESTS and kind != RequestType.HEARTBEAT


def schema_for(kind: int, schema: int, generation: Generation) -> int | None:
    """Return the schema by which a server reads a body, None if it refuses the schema."""
    if generation < Generation.V1_12:
        return 0  # the byte was not looked at
    highest = 0
    if kind in _STATEMENTS or (kind == _PREPARE and generation >= Generation.V1_15):
        highest = 1
    return schema if schema <= highest else None


def refusal(
    kind: int, schema: int, error: DecodeError | None, generation: Generation
) -> FailureResponse | None:
    """Return the FAILURE for a request that is not accepted, None where servers say nothing.

    Args:
        kind: the type byte.
        schema: the schema byte.
        error: why the body does not decode.
        generation: the server to speak for.
    """
    if not knows_type(kind):
        if generation < Generation.V1_12:
            return None
        return FailureResponse(DQLITE_PARSE, "unrecognized request type")
    if schema_for(kind, schema, generation) is None:
        generic = kind == _PREPARE or (kind in _STATEMENTS and generation >= Generation.V1_18_2)
        return FailureResponse(SQLITE_ERROR if generic else DQLITE_PARSE, "unrecognized schema version")
    path = error.path if error is not None and error.path is not None else ""
    if path == "ClusterRequest.format":
        return FailureResponse(DQLITE_PARSE, "unrecognized cluster format")
    if path == "DescribeRequest.format":
        return FailureResponse(SQLITE_PROTOCOL, "bad format version")
    if path == "AssignRequest.role":
        return FailureResponse(SQLITE_ERROR, "server role is not valid")
    if ".params" in path and not (path.endswith(".params") and generation >= Generation.V1_18_2):
        return _bad_params(kind, generation)
    return None


def _bad_params(kind: int, generation: Generation) -> FailureResponse:
    if generation < Generation.V1_15:
        return FailureResponse(
            DQLITE_PARSE, "bind parameters" if kind == RequestType.EXEC else "not an error"
        )
    if generation < Generation.V1_18_2:
        return FailureResponse(DQLITE_PARSE, "bind parameters")
    if kind in _EXECS:
        return FailureResponse(SQLITE_ERROR, "bind parameters")
    return FailureResponse(SQLITE_IOERR, "leader exec failed")


def forgiven(kind: int, error: DecodeError, generation: Generation) -> Message | None:
    """Return the request that servers take an undecodable one for, None if there is none."""
    if kind == RequestType.LEADER and error.path == "LeaderRequest.unused":
        return LeaderRequest()  # the word is not looked at
    if error.path == "ClusterRequest.format" and generation < Generation.V1_12:
        return ClusterRequest()
    return None
