"""A conversation with one node over a socket that blocks: one question, one answer, one deadline.

For tools that ask a few things and look at each answer before they go on. What `ask` returns
is the answer to the question; anything else is one of its errors, and all comes before the deadline.
"""

from __future__ import annotations

import socket
from typing import Self

from dqlitewire import ProtocolError
from dqlitewire.conversation import Answered, ClientConversation, Event, Failed, Probed
from dqlitewire.conversation.first_bytes import HTTP_ANSWER, TLS_ALERT, TLS_HANDSHAKE
from dqlitewire.dial.errors import Unexpected
from dqlitewire.dial.sockets import Deadline, send_all

CLOSED = "the connection was closed without an answer"
_SIZE = 65536  # bytes read at once
_HEAD = 16  # bytes kept of an answer, to tell what speaks


class Client:
    """Asks a node; closes the socket at the end of a `with`.

    Args:
        sock: connected, as `dial` returns it.
        conversation: makes the requests and understands the answers.
        deadline: for everything that is asked.
    """

    def __init__(self, sock: socket.socket, conversation: ClientConversation, deadline: Deadline) -> None:
        self._socket = sock
        self._conversation = conversation
        self._deadline = deadline

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, data: bytes) -> Event:
        """Send a request and wait for what ends it.

        Args:
            data: what the conversation returned for the request.

        Returns:
            `Answered`, `Failed` or `Probed`.

        Raises:
            Unexpected: that is no answer of a dqlite node.
            TimeoutError: it took too long.
            OSError: the connection failed.
        """
        send_all(self._socket, data, self._deadline)
        head = b""
        while True:
            self._socket.settimeout(self._deadline.left())
            chunk = self._socket.recv(_SIZE)
            head = (head + chunk)[:_HEAD]
            if not chunk:
                raise Unexpected(CLOSED, head)
            try:
                events = self._conversation.receive(chunk)
            except ProtocolError as error:
                raise Unexpected(str(error), head) from None
            for event in events:
                if isinstance(event, (Answered, Failed, Probed)):
                    return event
            if events:
                raise Unexpected(repr(events[0]))


def describe_peer(head: bytes) -> str:
    """Describe in words a peer that is no dqlite node.

    Args:
        head: the first bytes of its answer.
    """
    if head.startswith((TLS_ALERT, TLS_HANDSHAKE)):
        return "it speaks TLS"
    if head.startswith(HTTP_ANSWER):
        return "it speaks HTTP"
    text = head.decode("latin-1").rstrip("\r\n")
    seen = repr(text) if text.isascii() and text.isprintable() else head.hex(" ")
    return f"it answered {seen}"
