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
_HEAD = 16  # bytes kept of an answer
SPOKEN = {
    "tls": "it speaks TLS",
    "http": "it speaks HTTP",
    "dqlite": "it speaks dqlite",
}


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
        self._head = b""  # of the answer, to tell what speaks

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
        self.send(data)
        return self.answer()

    def send(self, data: bytes) -> None:
        """Send a request.

        Args:
            data: what the conversation returned for the request.

        Raises:
            TimeoutError: it took too long.
            OSError: the connection failed.
        """
        send_all(self._socket, data, self._deadline)
        self._head = b""

    @property
    def heard(self) -> bool:
        """Whether anything of the answer has come."""
        return bool(self._head)

    def answer(self, deadline: Deadline | None = None) -> Event:
        """Wait for what ends the request that was sent.

        Args:
            deadline: for this wait, after which one may wait on; None for that of the client.

        Returns:
            `Answered`, `Failed` or `Probed`.

        Raises:
            Unexpected: that is no answer of a dqlite node.
            TimeoutError: it took too long.
            OSError: the connection failed.
        """
        deadline = deadline or self._deadline
        while True:
            self._socket.settimeout(deadline.left())
            chunk = self._socket.recv(_SIZE)
            head = self._head = (self._head + chunk)[:_HEAD]
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


def spoken_by(head: bytes) -> str:
    """Return which protocol an answer is of: "tls", "http", or "" if it is another.

    Args:
        head: its first bytes.
    """
    if head.startswith((TLS_ALERT, TLS_HANDSHAKE)):
        return "tls"
    return "http" if head.startswith(HTTP_ANSWER) else ""


def describe_peer(head: bytes) -> str:
    """Describe in words a peer that is no dqlite node.

    Args:
        head: the first bytes of its answer.
    """
    if spoken := spoken_by(head):
        return SPOKEN[spoken]
    text = head.decode("latin-1").rstrip("\r\n")
    seen = repr(text) if text.isascii() and text.isprintable() else head.hex(" ")
    return f"it answered {seen}"
