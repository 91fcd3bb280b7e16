"""How a connection begins: the handshake words, the HTTP requests that may stand before them, frame headers.

The client speaks first. Its stream begins with one word (8 bytes, little endian) that names the version of
the protocol, or with an HTTP request that asks to upgrade to dqlite, behind whose answer the word follows:

    01 00 00 00 00 00 00 00 | frames ...                the version of today
    e5 3f 43 60 d7 4d 10 86 | frames ...                the one before 1.0
    GET /x HTTP/1.1 .. Upgrade: dqlite .. CRLF CRLF | word | frames ...

The server's stream begins with its first answer, or with the answer to the upgrade. The word of today is
also the header of a LEADER request (one word of body, type 0, schema 0); what follows tells them apart:
behind a handshake stands a frame, whose count of words is not 0, and behind that header the body, whose word
is. It is the first word of AppendEntries between nodes too, whose second one is no header."""

from __future__ import annotations

from dqlitewire.checks import VERSIONS
from dqlitewire.constants import WORD_SIZE
from dqlitewire.conversation import first_bytes
from dqlitewire.conversation.first_bytes import (
    HTTP_ANSWER,
    HTTP_END,
    TLS_HANDSHAKE,
    answers_upgrade,
    asks_upgrade,
    is_interim,
)
from dqlitewire.conversation.observer.raft_stream import may_begin_raft
from dqlitewire.header import HEADER
from dqlitewire.messages import REGISTRY

HANDSHAKES = tuple(version.to_bytes(WORD_SIZE, "little") for version in VERSIONS)
MAX_VERSION = 255  # a first word above this is no version, except the legacy one
#: how the methods begin, four bytes of each; the last one is that of HTTP/2
HTTP_METHODS = (*(method[:4] for method in first_bytes.HTTP_METHODS), b"PRI ")
MAX_OPENING = 16 << 10  # bytes that tell what a client opens with

_SCHEMAS = frozenset(schema for message in REGISTRY.values() for schema in message.SCHEMAS)


def is_upgrade(head: bytes) -> bool:
    """Whether an HTTP message asks to upgrade to dqlite, or says that it follows."""
    while head.startswith(HTTP_ANSWER) and is_interim(head):
        head = head.partition(HTTP_END)[2]
    return answers_upgrade(head) if head.startswith(HTTP_ANSWER) else asks_upgrade(head)


def is_version(word: bytes) -> bool:
    """Whether a word may be a handshake with a version that no server knows."""
    return int.from_bytes(word[:8], "little") <= MAX_VERSION


def is_header(data: bytes, is_request: bool) -> bool:
    """Whether the first word may be the header of a frame of that direction: a known type and schema, zeros
    where nothing stands."""
    if len(data) < HEADER.size:
        return False
    _, code, schema, unused = HEADER.unpack_from(data)
    return (is_request, code) in REGISTRY and schema in _SCHEMAS and not unused


def opening(data: bytes) -> str | None:
    """Name what a client opens a connection with.

    Returns:
        "dqlite", "TLS" or "HTTP"; "frames" where the handshake is missing, "raft" where CONNECT is too;
        "other"; None while there are too few bytes to tell.
    """
    if data.startswith(TLS_HANDSHAKE):
        return "TLS"
    if data[:4] in HTTP_METHODS:
        head = data[:MAX_OPENING].partition(HTTP_END)
        if asks_upgrade(data[:MAX_OPENING]):
            return "dqlite"
        return "HTTP" if head[1] or len(data) >= MAX_OPENING else None
    if len(data) < 8:
        return None if any(word.startswith(data) for word in HANDSHAKES) else "other"
    if len(data) >= 2 * HEADER.size and may_begin_raft(data):
        return "raft"  # as frames, a LEADER of 48 words or more: there is none
    if data[:8] in HANDSHAKES:
        # the word of today is also the header of a LEADER request, whose body begins with 0
        return "dqlite" if len(data) == 8 or data[8:12] != bytes(4) else "frames"
    if is_version(data) and (len(data) == 8 or _is_first_request(data[8:16])):
        return "dqlite"
    return "other"


def _is_first_request(header: bytes) -> bool:
    # of at least one word, and below 128 MiB
    return is_header(header, is_request=True) and header[:4] != bytes(4) and header[3] == 0
