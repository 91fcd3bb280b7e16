"""Addresses in answers: others in place of those that LEADER and SERVERS name.

A client asks LEADER and CLUSTER where the nodes are, and dials what it is told. Whoever stands in their place
(a proxy, a replay) puts addresses in that lead to itself. Everything else in the frame stays byte for byte:
ids, and roles that nobody knows. The frame is read by `explain`, from the declarations of the messages, so
the layouts before 1.0 and without roles come by themselves. A body that does not decode stays as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from dqlitewire.constants import WORD_SIZE, ResponseType
from dqlitewire.explain import Span, explain
from dqlitewire.header import HEADER

__all__ = ["NAMING", "with_addresses"]

NAMING = frozenset({int(ResponseType.LEADER), int(ResponseType.SERVERS)})
_ADDRESS = "address"  # the field of both


def with_addresses(frame: bytes, version: int, other: Callable[[str], str | None]) -> bytes:
    """Return an answer with other addresses; the same object if nothing changes.

    Args:
        frame: a whole frame of one of the types in `NAMING`.
        version: of the client's handshake, which decides about the layout of LEADER.
        other: called with each address that is not empty; None leaves it.
    """
    root = explain(frame, is_request=False, version=version)
    if root.error is not None:
        return frame
    parts: list[bytes] = []
    behind = HEADER.size
    for span, address in _changed(root.children, other):
        parts += frame[behind : span.start], _text(address)
        behind = span.end
    if not parts:
        return frame
    body = b"".join((*parts, frame[behind:]))
    _, code, schema, reserved = HEADER.unpack_from(frame)
    return HEADER.pack(len(body) // WORD_SIZE, code, schema, reserved) + body


def _changed(spans: Iterable[Span], other: Callable[[str], str | None]) -> Iterator[tuple[Span, str]]:
    for span in spans:
        if span.name == _ADDRESS and isinstance(span.value, str) and span.value:
            address = other(span.value)
            if address is not None and address != span.value:
                yield span, address


def _text(text: str) -> bytes:
    data = os.fsencode(text)  # as the paths of unix sockets are
    return data + bytes(WORD_SIZE - len(data) % WORD_SIZE)
