"""Which generation of server is at the other end: there is no version query on the wire, but there are
questions that each generation answers in its own way.

One question is LEADER with schema 1: 1.12 and later refuse the schema, 1.11 and older never look at it. The
other is EXEC_SQL with schema 2 on an opened database: 1.12 to 1.18.1 refuse it with 1005, 1.18.2 and later
with 1, and older ones run the text, which is therefore empty. Never ask with an unknown request type: 1.11
does not answer that and reads nothing more (dqlite src/gateway.c: gateway__handle).
"""

from __future__ import annotations

from enum import IntEnum

from ..checks import checked_kind
from ..constants import DQLITE_PARSE, SQLITE_ERROR, RequestType
from ..messages import FailureResponse, LeaderResponse, ResultResponse
from ..messages.base import Header
from ..types import encode_text, encode_uint64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..messages import Message

__all__ = ["Generation", "judge_generation", "probe_generation"]


class Generation(IntEnum):
    """The oldest server the other end can be, as far as known; UNKNOWN counts as older than all."""

    UNKNOWN = 0
    V1_11 = 1  # ignores the schema byte
    V1_12 = 2  # schemas are checked, more than 255 parameters
    V1_15 = 3  # PREPARE tells where a statement ends, QUERY of a statement without columns runs it
    V1_18_2 = 4  # another state machine for statements, parameters are handed on in scripts
    V1_18_3 = 5  # RETURNING through QUERY

    @property
    def prepare_schema(self) -> int:
        """The schema to send PREPARE with: 1 where the answer tells where the statement ended."""
        return 1 if self >= Generation.V1_15 else 0


def checked_generation(generation: object) -> Generation:
    return checked_kind("generation", generation, Generation, "a Generation is needed")


_UNRECOGNISED_SCHEMA = "unrecognized schema version"


def probe_generation(db_id: int | None = None) -> bytes:
    """Return a frame to ask with, harmless to every server.

    Args:
        db_id: an opened database, to tell 1.18.2 and later from 1.12 to 1.18.1 as well.
    """
    if db_id is None:
        return Header(1, RequestType.LEADER, 1).encode() + bytes(8)
    body = encode_uint64(db_id) + encode_text("")
    return Header(len(body) // 8, RequestType.EXEC_SQL, 2).encode() + body


def judge_generation(answer: Message) -> Generation:
    """Tell the generation from the answer to a probe; UNKNOWN if it tells nothing."""
    match answer:
        case LeaderResponse() | ResultResponse():
            return Generation.V1_11
        case FailureResponse(code, message) if message == _UNRECOGNISED_SCHEMA:
            return {DQLITE_PARSE: Generation.V1_12, SQLITE_ERROR: Generation.V1_18_2}.get(
                code, Generation.UNKNOWN
            )
        case _:
            return Generation.UNKNOWN
