"""Request bodies read as a node reads them: leniently, from the fields that the messages declare.

The package's own decoder refuses what no client should send. A node (dqlite src/gateway.c, src/tuple.c) takes
more, and its answer to that is part of what the embedded server plays:

* any number in a fixed field: a CLUSTER format, a role, a `db_id` that does not exist;
* bytes behind the last field, and behind the NUL that ends a text, up to the end of the frame;
* the one-word ASSIGN of old clients, without a role;
* parameters as bytes: they are decoded value by value while they are bound, so that a bad one fails behind
  the checks of leadership, database and statement, and a surplus one may never be looked at.

What is too short for its fixed fields raises `Undecodable`: a node closes the connection without a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dqlitewire.constants import RequestType, ValueType
from dqlitewire.declare.contract import BODY
from dqlitewire.declare.variable import Text
from dqlitewire.messages import REQUESTS
from dqlitewire.messages.params import Params as DeclaredParams
from dqlitewire.scalars import U64
from dqlitewire.testing.node.errors import BadValue, Undecodable
from dqlitewire.values import ENCODED_AS, KINDS, UNPACK

__all__ = ["Params", "read_fields"]

_IN_PARAMS = frozenset(kind.code for kind in KINDS if kind.in_params)


def _text(body: bytes, at: int) -> tuple[str, int]:
    end = body.find(0, at)
    if end < 0:
        raise Undecodable
    return body[at:end].decode("utf-8", "surrogateescape"), (end + 8) & -8


class Params:
    """The parameter tuple of a request; `broken` if its header is longer than the body."""

    __slots__ = ("_at", "_body", "broken", "count", "types")

    def __init__(self, body: bytes, at: int, schema: int) -> None:
        self._body = body
        self.broken: bool = False
        self.types: bytes = b""
        self.count: int = 0
        width = 4 if schema == 1 else 1
        if at + width <= len(body):
            self.count = int.from_bytes(body[at : at + width], "little")
            end = at + width + self.count
            self.broken = end > len(body)
            self.types = body[at + width : end]
            at += (width + self.count + 7) & -8
        self._at = at

    def values(self) -> Iterator[Any]:
        """Decode value after value.

        Raises:
            BadValue: One does not decode; those before it were yielded.
        """
        body, at, end = self._body, self._at, len(self._body)
        if self.broken:
            raise BadValue
        for code in self.types:
            if at + 8 > end or code not in _IN_PARAMS:  # no server decodes UNIXTIME
                raise BadValue
            form = ENCODED_AS[code]
            if form == ValueType.TEXT:
                stop = body.find(0, at)
                if stop < 0:
                    raise BadValue
                yield body[at:stop].decode("utf-8", "surrogateescape")
                at = (stop + 8) & -8
            elif form == ValueType.BLOB:
                size = U64.unpack_from(body, at)[0]
                if at + 8 + size > end:
                    raise BadValue
                yield body[at + 8 : at + 8 + size]
                at += 8 + ((size + 7) & -8)
            elif form == ValueType.NULL:
                yield None
                at += 8
            elif form == ValueType.BOOLEAN:  # SQLite has none
                yield int(UNPACK[form](body, at)[0] != 0)
                at += 8
            else:
                yield UNPACK[form](body, at)[0]
                at += 8


# a trailing field that old clients leave out
_OPTIONAL = {(RequestType.ASSIGN, "role")}


def read_fields(type_code: int, schema: int, body: bytes) -> list[Any]:
    """Read the declared fields of a body, in wire order; parameters as `Params`.

    Args:
        type_code: Type of the request, one that is declared.
        schema: The schema to read by, which decides the width of the parameters' count.
        body: The bytes behind the header.

    Raises:
        Undecodable: The body ends before its fixed fields do.
    """
    values: list[Any] = []
    at = 0
    for field in REQUESTS[type_code].FIELDS:
        width = field.smallest
        if field.format:
            if at + width > len(body):
                if (type_code, field.name) in _OPTIONAL:
                    break
                raise Undecodable
            values.append(int.from_bytes(body[at : at + width], "little"))
            at += width
        elif isinstance(field, Text):
            text, at = _text(body, at)
            values.append(text)
        elif isinstance(field, DeclaredParams):
            values.append(Params(body, at, schema))
        elif field.place == BODY:
            raise TypeError(f"nobody has said how a node reads a {field.kind} field")
    return values
