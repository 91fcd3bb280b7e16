"""Requests that kill, hang or mislead a server, and can be seen to before they are sent.

What cannot be seen: a value of the wrong type in a BOOLEAN, DATE, DATETIME or TIMESTAMP column aborts the
node that reads it (dqlite#733), and a result whose column names fill a page never ends (`ROWS` without rows,
refused by the decoder).
"""

from __future__ import annotations

from enum import IntFlag

from ..checks import checked_kind
from ..constants import HEADER_SIZE, RequestType
from ..exceptions import EncodeError
from ..sql.survey import survey
from .generation import Generation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..conversation.session import Session
    from ..sql.survey import Survey

__all__ = [
    "CHECKED_FIELDS",
    "MAX_SAFE_BODY",
    "PRAGMAS",
    "RUNS_SQL",
    "RUNS_STATEMENT",
    "Hazard",
    "HazardError",
    "check_frame",
    "check_request",
    "refuse",
]

MAX_SAFE_BODY = 1 << 30  # dqlite src/lib/buffer.c: ensure overflows above 2 GiB
MAX_ROLE = 2
MAX_DATABASE_NAME = 512  # dqlite src/vfs.c: VFS__MAX_PATHNAME


class Hazard(IntFlag):
    """What is wrong with a request; members combine, to be allowed together."""

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


WHAT_HAPPENS = {
    Hazard.BODY_SIZE: "a body above 1 GiB hangs or kills the node",
    Hazard.DESCRIBE_FORMAT: "DESCRIBE with a format other than 0 kills the node",
    Hazard.ADD_ZERO: "ADD of id 0 kills the node",
    Hazard.ASSIGN_ROLE: "ASSIGN of a role above 2 disables the node",
    Hazard.MEMORY_DATABASE: 'a statement on a database named "" or ":memory:" kills the node',
    Hazard.RETURNING: "RETURNING kills the node, but through QUERY from 1.18.3 on",
    Hazard.MANY_PARAMS: "servers before 1.12 misread schema 1 and bind NULL without a word",
    Hazard.OLD_TYPE: "1.11 never answers this request type and reads nothing more",
    Hazard.PRAGMA: "a pragma about files or checkpoints kills older nodes",
    Hazard.VOID_STATEMENT: "a finalized statement's id kills the node while a higher one is open",
    Hazard.LONG_NAME: "a database name above 512 bytes kills 1.18.1",
}


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


# Hazards are plain integers in here: arithmetic on flags costs more than a whole exchange.
_MEMORY_DATABASE, _VOID_STATEMENT = int(Hazard.MEMORY_DATABASE), int(Hazard.VOID_STATEMENT)
_LONG_NAME = int(Hazard.LONG_NAME)
# of a known type, and with schema 0, only these have fields that make a hazard
CHECKED_FIELDS = frozenset({RequestType.HEARTBEAT, RequestType.ADD, RequestType.ASSIGN, RequestType.DESCRIBE})
RUNS_SQL = frozenset({RequestType.EXEC_SQL, RequestType.QUERY_SQL})
RUNS_STATEMENT = frozenset({RequestType.EXEC, RequestType.QUERY})
_HAS_PARAMS = RUNS_SQL | RUNS_STATEMENT
_QUERIES = frozenset({RequestType.QUERY, RequestType.QUERY_SQL})


def check_request(
    kind: int, request: Any, session: Session, generation: Generation, allow: Hazard
) -> Survey | None:
    """Refuse a request that is a hazard by its SQL or its handles; return what its SQL does, where known."""
    if kind in RUNS_SQL:
        seen: Survey | None = survey(request.sql)
    elif kind in RUNS_STATEMENT:
        statement = session.statements.get(request.stmt_id)
        seen = None if statement is None else statement.seen
        if (statement is None or session.closing) and session.is_void(request.stmt_id):
            refuse(_VOID_STATEMENT, allow, request)
        if statement is None:  # perhaps one whose PREPARE is not answered yet
            for sql in session.preparing:
                refuse(_statement_hazards(survey(sql), kind in _QUERIES, generation), allow, request)
    else:
        _check_handle(kind, request, session, allow)
        return None
    if session.in_memory:
        refuse(_MEMORY_DATABASE, allow, request)
    if seen is not None and not seen.plain:
        refuse(_statement_hazards(seen, kind in _QUERIES, generation), allow, request)
    return seen


def _check_handle(kind: int, request: Any, session: Session, allow: Hazard) -> None:
    if kind == RequestType.FINALIZE and session.is_void(request.stmt_id):
        refuse(_VOID_STATEMENT, allow, request)
    elif kind == RequestType.PREPARE and session.in_memory:
        refuse(_MEMORY_DATABASE, allow, request)
    elif kind == RequestType.OPEN and len(request.name.encode()) > MAX_DATABASE_NAME:
        refuse(_LONG_NAME, allow, request)


def _statement_hazards(seen: Survey, is_query: bool, generation: Generation) -> int:
    found = Hazard.NONE
    if seen.returning and not (is_query and generation >= Generation.V1_18_3):
        found |= Hazard.RETURNING
    for name, has_argument in seen.pragmas:
        always, safe_from = PRAGMAS.get(name, _SAFE_PRAGMA)
        if generation < safe_from and (has_argument or always):
            found |= Hazard.PRAGMA
    return int(found)


# pragma -> whether it is a hazard without an argument too, and the generation that refuses it by itself
PRAGMAS = {
    "journal_mode": (False, Generation.V1_12),
    "journal_size_limit": (False, Generation.V1_12),
    "page_size": (False, Generation.V1_12),
    "wal_autocheckpoint": (False, Generation.V1_12),
    "wal_checkpoint": (True, Generation.V1_12),
    "synchronous": (False, Generation.V1_18_2),  # the next write aborts
}
_SAFE_PRAGMA = (False, Generation.UNKNOWN)


def check_frame(kind: int, frame: bytes, generation: Generation, allow: Hazard, request: object) -> None:
    """Refuse a frame that is a hazard whether or not it decodes: by its size, schema, type or first words."""
    found = Hazard.BODY_SIZE if len(frame) - HEADER_SIZE > MAX_SAFE_BODY else Hazard.NONE
    first = int.from_bytes(frame[8:16], "little")
    if kind == RequestType.DESCRIBE and first:
        found |= Hazard.DESCRIBE_FORMAT
    elif kind == RequestType.ADD and not first:
        found |= Hazard.ADD_ZERO
    elif kind == RequestType.ASSIGN and int.from_bytes(frame[16:24], "little") > MAX_ROLE:
        found |= Hazard.ASSIGN_ROLE
    elif generation < Generation.V1_12:
        if kind == RequestType.HEARTBEAT or kind > RequestType.WEIGHT:
            found |= Hazard.OLD_TYPE
        elif frame[5] == 1 and kind in _HAS_PARAMS:
            found |= Hazard.MANY_PARAMS
    refuse(int(found), allow, request)


def refuse(found: int, allow: Hazard, request: object) -> None:
    """Raise for the first hazard that is not allowed."""
    if not found:
        return
    found &= ~int(checked_kind("allow", allow, Hazard, "a Hazard is needed"))
    for hazard in Hazard:
        if found & hazard:
            raise HazardError(hazard, request)
