"""Which generation of server is at the other end: there is no version query on the wire, but there are
questions that each generation answers in its own way.

One question is LEADER with schema 1: 1.12 and later refuse the schema, 1.11 and older never look at it. The
other is EXEC_SQL with schema 2 on an opened database: 1.12 to 1.18.1 refuse it with 1005, 1.18.2 and later
with 1, and older ones run the text, which is therefore empty. Never ask with an unknown request type: 1.11
does not answer that and reads nothing more (dqlite src/gateway.c: gateway__handle).

What the generations do otherwise stands in `releases`.
"""

from __future__ import annotations

from ..checks import checked_integer, checked_kind
from ..constants import RequestType
from ..messages import FailureResponse, LeaderResponse, ResultResponse
from ..messages.base import Header
from ..scalars import U64, pack_text
from .refusals import UNKNOWN_SCHEMA
from .releases import Generation, rules_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..messages import Message

__all__ = ["Generation", "checked_generation", "is_probe", "judge_generation", "probe_generation"]

#: the schemas of a probe, which no request of these types has
LEADER_SCHEMA, STATEMENT_SCHEMA = 1, 2


def checked_generation(generation: object) -> Generation:
    return checked_kind("generation", generation, Generation, "a Generation is needed")


def probe_generation(db_id: int | None = None) -> bytes:
    """Return a frame to ask with, harmless to every server.

    The handshake must have gone before it. `judge_generation` takes the answer.

    Args:
        db_id: an opened database, to tell 1.18.2 and later from 1.12 to 1.18.1 as well; None, before OPEN,
            tells only 1.11 from later ones.

    Returns:
        One whole request frame: LEADER in schema 1, or an empty EXEC_SQL in schema 2.
    """
    if db_id is None:
        return Header(1, RequestType.LEADER, LEADER_SCHEMA).encode() + bytes(8)
    body = U64.pack(checked_integer(db_id, 0, 2**64 - 1, "uint64")) + pack_text("", 0, "Text")
    return Header(len(body) // 8, RequestType.EXEC_SQL, STATEMENT_SCHEMA).encode() + body


def is_probe(request_frame: bytes) -> bool:
    """Tell whether a request frame asks what `probe_generation` asks, of whichever database."""
    code, schema = request_frame[4], request_frame[5]
    if code == RequestType.LEADER:
        return schema == LEADER_SCHEMA
    if code != RequestType.EXEC_SQL or schema != STATEMENT_SCHEMA:
        return False
    return request_frame == probe_generation(int.from_bytes(request_frame[8:16], "little"))


# FAILURE code for a schema that a statement's request does not have -> the first generation that gives it
_BY_CODE = {
    rules_of(generation).statement_schema_code: generation
    for generation in sorted(Generation, reverse=True)
    if rules_of(generation).checks_schema
}


def judge_generation(answer: Message) -> Generation:
    """Tell the generation from the answer to a probe.

    Args:
        answer: the message that answered the frame of `probe_generation`.

    Returns:
        The oldest generation that answers so; UNKNOWN if the answer tells nothing, such as a FAILURE of
        leadership.
    """
    match answer:
        case LeaderResponse() | ResultResponse():
            return Generation.V1_11
        case FailureResponse(code, message) if message == UNKNOWN_SCHEMA:
            return _BY_CODE.get(code, Generation.UNKNOWN)
        case _:
            return Generation.UNKNOWN
