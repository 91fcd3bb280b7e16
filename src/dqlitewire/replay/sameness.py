"""When a request is the recorded one: the same message, what clients draw anew and padding apart.

The published client draws the id in CLIENT at random, HEARTBEAT holds a clock's time, and what stands in the
padding behind a text is up to its writer.
Addresses that a client learnt from a replay are compared as those of the recording.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b

from dqlitewire import Message
from dqlitewire.constants import HEADER_SIZE, RequestType
from dqlitewire.conversation.frames import STRICT, FrameReader, statement_id
from dqlitewire.exceptions import DecodeError, EncodeError
from dqlitewire.messages import AddRequest

__all__ = ["TOLERANT", "canonical", "decoded", "key_of", "same_http", "same_request"]

TOLERANT = FrameReader(tolerant=True)
_STATEMENT_ID = slice(HEADER_SIZE + 4, HEADER_SIZE + 8)  # behind the database's, in EXEC, QUERY and FINALIZE
_DRAWN = frozenset({RequestType.CLIENT, RequestType.HEARTBEAT})  # all that they say is drawn anew
_OF_THE_HOST = frozenset({b"host", b"user-agent"})  # headers that say where and by whom it is dialled


def decoded(frame: bytes, is_request: bool = True) -> Message | None:
    """Return the message of a frame, None if it does not decode."""
    try:
        return TOLERANT.read(frame, is_request)
    except DecodeError:
        return None


def canonical(frame: bytes) -> bytes:
    """Return a request as this package would write it, with zeros for padding; as it is if it cannot."""
    try:
        return STRICT.read(frame, is_request=True).encode()
    except (DecodeError, EncodeError, ValueError):
        return frame


def same_request(recorded: bytes, got: bytes, addresses: Collection[str] = (), local: str = "") -> bool:
    """Whether a request frame is the recorded one.

    Args:
        recorded: the recorded frame.
        got: the frame that came.
        addresses: that the recording names.
        local: what the client was told in their place.
    """
    if recorded == got:
        return True
    if recorded[4:6] != got[4:6]:
        return False
    if recorded[4] in _DRAWN:
        return len(recorded) == len(got)
    if canonical(recorded) == canonical(got):
        return True
    match decoded(recorded), decoded(got):
        case AddRequest(node_id, address), AddRequest(other_id, other):
            return node_id == other_id and address in addresses and other == local
        case _:
            return False


def same_http(recorded: bytes, got: bytes) -> bool:
    """Whether the head of an HTTP request asks for the same: method, path and headers, but for the host."""
    return _asked(recorded) == _asked(got)


def _asked(head: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    first, *lines = head.split(b"\r\n")
    headers = [line.partition(b":") for line in lines if line]
    pairs = sorted((name.strip().lower(), value.strip()) for name, _, value in headers)
    return first, [pair for pair in pairs if pair[0] not in _OF_THE_HOST]


def key_of(frame: bytes, text: str | None) -> bytes:
    """Return what tells a request from others, whatever its connection calls its prepared statements.

    Args:
        frame: the request.
        text: of the prepared statement that it names; None if it names none, or an unknown one.
    """
    if frame[4] in _DRAWN:
        return bytes([frame[4], frame[5]])
    plain = canonical(frame)
    said = b""
    if text is not None and statement_id(plain) is not None:
        said = text.encode("utf-8", "surrogateescape")
        plain = plain[: _STATEMENT_ID.start] + bytes(4) + plain[_STATEMENT_ID.stop :]
    digest = blake2b(plain, digest_size=20)
    digest.update(b"\0" + said)
    return digest.digest()
