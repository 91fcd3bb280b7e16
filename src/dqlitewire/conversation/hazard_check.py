"""The client's refusal: a request that would harm the server is not sent.

`servers.hazards` and `servers.sql_hazards` say what harms whom; this module finds it in a request, by its
frame (size, schema, type, first words), by its name or SQL, and by the handles it names. A server of unknown
generation is harmed by everything that harms any.

Hazards are plain integers in here: arithmetic on flags costs more than a whole exchange.
"""

from __future__ import annotations

from ..checks import checked_kind
from ..constants import HEADER_SIZE, RequestType
from ..servers.hazards import (
    CHECKED_FIELDS,
    LARGEST_ROLE,
    MAX_SAFE_BODY,
    Hazard,
    HazardError,
    HazardKind,
    harms,
    name_hazard,
)
from ..servers.refusals import RUNS_SQL, RUNS_STATEMENT, knows_type
from ..servers.sql_hazards import text_hazards
from ..sql.survey import survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..servers.releases import Generation
    from ..sql.survey import Survey
    from .session import Session

__all__ = [
    "CHECKED_FIELDS",
    "MAX_SAFE_BODY",
    "RUNS_SQL",
    "RUNS_STATEMENT",
    "check_frame",
    "check_request",
    "refuse",
]

_MEMORY_DATABASE, _VOID_STATEMENT = int(Hazard.MEMORY_DATABASE), int(Hazard.VOID_STATEMENT)


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
                refuse(_found(survey(sql), kind, generation, session), allow, request)
    else:
        _check_handle(kind, request, session, generation, allow)
        return None
    if session.in_memory:
        refuse(_MEMORY_DATABASE, allow, request)
    if seen is not None and not seen.plain:
        refuse(_found(seen, kind, generation, session), allow, request)
    return seen


def _check_handle(kind: int, request: Any, session: Session, generation: Generation, allow: Hazard) -> None:
    if kind == RequestType.FINALIZE and session.is_void(request.stmt_id):
        refuse(_VOID_STATEMENT, allow, request)
    elif kind == RequestType.PREPARE:
        if session.in_memory:
            refuse(_MEMORY_DATABASE, allow, request)
        seen = survey(request.sql)
        if not seen.plain:
            refuse(_found(seen, kind, generation, session), allow, request)
    elif kind == RequestType.OPEN:
        hazard = name_hazard(request.name, generation)
        if hazard is not None:
            refuse(int(hazard.flag), allow, request)


def _found(seen: Survey, kind: int, generation: Generation, session: Session) -> int:
    found = 0
    for row in text_hazards(seen, kind, generation, session.in_transaction):
        found |= int(row.kind.flag)
    return found


def _harms(kind: HazardKind, generation: Generation) -> bool:
    return harms(generation, kind.since, kind.before)


def check_frame(kind: int, frame: bytes, generation: Generation, allow: Hazard, request: object) -> None:
    """Refuse a frame that is a hazard whether or not it decodes: by its size, schema, type or first words."""
    found = Hazard.BODY_SIZE if len(frame) - HEADER_SIZE > MAX_SAFE_BODY else Hazard.NONE
    first = int.from_bytes(frame[8:16], "little")
    if kind == RequestType.DESCRIBE and first:
        found |= Hazard.DESCRIBE_FORMAT
    elif kind == RequestType.ADD and not first:
        found |= Hazard.ADD_ZERO
    elif kind == RequestType.ASSIGN and int.from_bytes(frame[16:24], "little") > LARGEST_ROLE:
        found |= Hazard.ASSIGN_ROLE
    elif not knows_type(kind):
        if _harms(HazardKind.OLD_TYPE, generation):
            found |= Hazard.OLD_TYPE
    elif (
        frame[5] == 1
        and kind in HazardKind.MANY_PARAMS.requests
        and _harms(HazardKind.MANY_PARAMS, generation)
    ):
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
