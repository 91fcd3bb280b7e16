"""What a connection begins with, before there are frames: a handshake, perhaps behind an HTTP upgrade.

    client  [POST /internal/database HTTP/1.1 ... empty line]   handshake, 8 bytes   frames ...
    server  [HTTP/1.1 101 ... empty line]                                            frames ...

All of it passes as it comes; this is only read along. Where anything else is seen (TLS, another protocol, an
HTTP answer that does not switch, a server that speaks first) the connection is `strange`, and none of its
bytes is ever held.
"""

from __future__ import annotations

from dqlitewire.constants import PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY, WORD_SIZE
from dqlitewire.conversation import Side
from dqlitewire.conversation.first_bytes import (
    HTTP_END,
    HTTP_METHODS,
    MAX_HTTP_HEAD,
    answers_upgrade,
    body_size,
    is_interim,
)

__all__ = ["Opening"]


class Opening:
    """Reads along at the beginning of a connection.

    Attributes:
        version: Of the handshake; 0 until there was one.
        strange: It is not dqlite as far as this was understood.
    """

    __slots__ = ("_body", "_client", "_http", "_in_head", "_server", "_switched", "strange", "version")

    def __init__(self) -> None:
        self.version: int = 0
        self.strange: bool = False
        self._http = False  # the client began with a request
        self._in_head = False  # which has not ended
        self._body = 0  # bytes of its body that are still to come
        self._switched = False  # the server has said yes to it
        self._client, self._server = bytearray(), bytearray()  # read of what is under way

    def feed(self, side: Side, data: bytes) -> int | None:
        """Read along, and return where in the bytes frames begin; None if they do not yet, or never will.

        Args:
            side: Who sent them.
            data: The next bytes of this side; not called again for it once frames have begun.
        """
        found = self._of_client(data) if side is Side.CLIENT else self._of_server(data)
        if found is None and max(len(self._client), len(self._server)) > MAX_HTTP_HEAD:
            self.strange = True
        return None if self.strange else found

    def _of_client(self, data: bytes) -> int | None:
        seen, at = self._client, 0
        while True:
            if self._in_head:
                end = self._head(seen, data[at:])
                if not end:
                    return None
                at += end
                self._in_head = False
                self._body = body_size(bytes(seen))
                seen.clear()
            if self._body:
                skipped = min(self._body, len(data) - at)
                self._body -= skipped
                at += skipped
            taken = data[at : at + WORD_SIZE - len(seen)]
            seen += taken
            at += len(taken)
            if len(seen) < WORD_SIZE:
                return None
            version = int.from_bytes(seen, "little")
            if version in (PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY):
                self.version = version
                return at
            if self._http or not seen.startswith(HTTP_METHODS):
                self.strange = True
                return None
            self._http = self._in_head = True

    def _head(self, seen: bytearray, data: bytes) -> int:
        """Add to a head; return how many bytes of `data` it takes, 0 if it has not ended."""
        before = len(seen)
        seen += data[: MAX_HTTP_HEAD + 1 - before]
        end = seen.find(HTTP_END)
        return 0 if end < 0 else end + len(HTTP_END) - before

    def _of_server(self, data: bytes) -> int | None:
        if self._http and not self._switched:
            at, head = 0, b"HTTP/1.1 100 "
            while is_interim(head):
                end = self._head(self._server, data[at:])
                if not end:
                    return None
                at += end
                head = bytes(self._server)[: self._server.find(HTTP_END) + len(HTTP_END)]
                self._server.clear()
            if not answers_upgrade(head):
                self.strange = True
                return None
            self._switched = True
            if at == len(data):
                return at if self.version else None
        else:
            at = 0
        if not self.version:
            self.strange = True  # a node never speaks first
            return None
        return at
