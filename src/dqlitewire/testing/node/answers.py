"""Answers as frames, encoded apart from the package's own encoders, which refuse what real servers send.

A FAILURE with rows in front of its code, a DUMP larger than any cap, names that are not UTF-8, rows that are
bytes already: these go out as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from dqlitewire.constants import ResponseType
from dqlitewire.header import HEADER
from dqlitewire.testing.node.cluster import Member
from dqlitewire.testing.node.encoders import encode_text

__all__ = [
    "EMPTY",
    "encode_failure",
    "encode_files",
    "encode_result",
    "encode_rows",
    "encode_servers",
    "encode_text",
    "encode_words",
    "frame",
]

_NAME_KEPT = 1019  # dqlite 1.18.6 src/gateway.c: handle_dump


def frame(kind: int, body: bytes, schema: int = 0) -> bytes:
    """Put a header in front of a body."""
    return HEADER.pack(len(body) // 8, kind, schema, 0) + body


EMPTY = frame(ResponseType.EMPTY, bytes(8))


def encode_words(*words: int) -> bytes:
    """Encode words, negative ones in two's complement."""
    return struct.pack(f"<{len(words)}Q", *(word & 0xFFFFFFFFFFFFFFFF for word in words))


def encode_failure(code: int, message: str, rows: bytes = b"") -> bytes:
    """Encode a FAILURE; `rows` is what the server's buffer holds already (`src/gateway.c: failure`)."""
    return frame(ResponseType.FAILURE, rows + encode_words(code) + encode_text(message))


def encode_result(last_insert_id: int, rows_affected: int) -> bytes:
    """Encode a RESULT."""
    return frame(ResponseType.RESULT, encode_words(last_insert_id, rows_affected))


def encode_rows(body: bytes) -> bytes:
    """Encode a ROWS frame whose body is complete."""
    return frame(ResponseType.ROWS, body)


def encode_servers(members: Iterable[Member], *, with_roles: bool) -> bytes:
    """Encode SERVERS in format 1, or in format 0 without roles."""
    nodes = [
        encode_words(member.id)
        + encode_text(member.address)
        + (encode_words(member.role) if with_roles else b"")
        for member in members
    ]
    return frame(ResponseType.SERVERS, encode_words(len(nodes)) + b"".join(nodes))


def encode_files(name: str, main: bytes, wal: bytes) -> bytes:
    """Encode the FILES of a DUMP: the database and its WAL."""
    wal_name = (
        name.encode("utf-8", "surrogateescape")[:_NAME_KEPT].decode("utf-8", "surrogateescape") + "-wal"
    )
    files = [
        encode_text(text) + encode_words(len(data)) + data for text, data in ((name, main), (wal_name, wal))
    ]
    return frame(ResponseType.FILES, encode_words(len(files)) + b"".join(files))
