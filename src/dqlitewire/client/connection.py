"""One connection to one node: requests out, events in, each wait by a deadline.

Whatever goes wrong with the connection ends it: it is closed, and `Broken` says what became of the request.
A request of which not every byte has left is never executed, since no server runs a part of a frame. Of one
that has left, the conversation knows what may have become. A FAILURE is an event as any other.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dqlitewire import PROTOCOL_VERSION, ProtocolError
from dqlitewire.conversation import ClientConversation, Event, Generation, Lost, Outcome
from dqlitewire.dial import Address, Deadline, DialOptions, dial
from dqlitewire.dial.sockets import send_all
from dqlitewire.limits import Limits
from dqlitewire.text import sanitize_for_log

CLOSED = "the connection was closed"
#: rows are handed on as they come, so only a frame is bounded
LIMITS = Limits(max_total_rows=None, max_continuation_frames=None)
_SIZE = 1 << 18  # bytes read at once


class Broken(Exception):
    """The connection cannot be used any more.

    Args:
        said: why, in words.
        outcome: what became of the request.
        silent: whether it is for want of time.
        sent: whether the request has left as a whole.
    """

    def __init__(self, said: str, outcome: Outcome, silent: bool = False, sent: bool = False) -> None:
        super().__init__(said)
        self.outcome = outcome
        self.silent = silent
        self.sent = sent


@dataclass(frozen=True)
class Dialler:
    """How connections are made.

    Attributes:
        options: TLS and HTTP upgrade.
        limits: of what is sent and received.
        generation: of the servers, if it is known.
    """

    options: DialOptions = field(default_factory=DialOptions)
    limits: Limits = LIMITS
    generation: Generation = Generation.UNKNOWN

    def reach(self, address: Address, deadline: Deadline) -> Connection:
        """Connect to a node that is to be asked something; what fails is told as of a connection.

        Args:
            address: where it listens.
            deadline: for connecting.

        Raises:
            Broken: it cannot be reached, or it took too long.
        """
        try:
            return self.connect(address, deadline)
        except OSError as error:
            raise _broken(error, deadline, Outcome.NOT_EXECUTED) from error

    def connect(self, address: Address, deadline: Deadline, version: int = PROTOCOL_VERSION) -> Connection:
        """Connect to a node.

        Args:
            address: where it listens.
            deadline: for connecting.
            version: of the protocol.

        Raises:
            TimeoutError: it took too long.
            OSError: it cannot be reached.
            ValueError: the options make no sense for this address.
        """
        conversation = ClientConversation(
            version,
            generation=self.generation,
            limits=self.limits,
            unknown_role_policy="accept",  # of a later release
            text_errors="surrogateescape",  # one bad text shall not keep the other rows back
        )
        return Connection(dial(address, deadline, self.options), address, conversation)


class Connection:
    """A socket and its conversation.

    Args:
        sock: connected, as `dial` returns it.
        address: of the node.
        conversation: a new one.

    Attributes:
        address: of the node.
        conversation: makes the requests and understands the answers.
    """

    def __init__(self, sock: socket.socket, address: Address, conversation: ClientConversation) -> None:
        self._socket = sock
        self._events: deque[Event] = deque()
        self.address = address
        self.conversation = conversation
        self._was_in_transaction = False

    def close(self) -> None:
        """Close the socket."""
        if not self.closed:
            self._was_in_transaction = self.in_transaction
            self._socket.close()

    def cut(self) -> None:
        """Let whoever waits on this connection, in another thread, wait no longer."""
        with suppress(OSError):  # the peer was faster
            self._socket.shutdown(socket.SHUT_RDWR)

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self._socket.fileno() < 0

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, or may be; of a closed connection, whether one was."""
        if self.closed:
            return self._was_in_transaction
        return self.conversation.session.in_transaction is not False

    @property
    def has_lost_database(self) -> bool:
        """Whether a database that was opened may be so no more, as where a node has lost leadership."""
        return not self.in_transaction and self.conversation.session.is_open is not True

    def check(self) -> None:
        """Close if the node has closed, or says something though nothing is asked."""
        if self.closed:
            return
        try:
            self._socket.settimeout(0)
            self._socket.recv(1)
        except OSError as error:
            if _would_wait(error):
                return
        self.close()

    def ask(self, request: Any, deadline: Deadline) -> Event:
        """Send a request and return the first event about it.

        Args:
            request: the message.
            deadline: for both.

        Raises:
            Broken: the connection failed, or it took too long.
            HazardError: it would harm the server; nothing was sent.
            EncodeError: it cannot be encoded; nothing was sent.
        """
        try:
            self.send(request, deadline)
            return self.event(request, deadline)
        except Exception:
            raise
        except BaseException:  # an interrupt: what became of the request, nobody is going to know
            self.close()
            raise

    def send(self, request: Any, deadline: Deadline) -> None:
        """Send a request.

        Args:
            request: the message.
            deadline: for it.

        Raises:
            Broken: the connection failed, or it took too long.
            HazardError: it would harm the server; nothing was sent.
            EncodeError: it cannot be encoded; nothing was sent.
        """
        try:
            send_all(self._socket, self.conversation.send(request), deadline)
        except OSError as error:
            self.close()
            raise _broken(error, deadline, Outcome.NOT_EXECUTED) from error

    def event(
        self, request: Any, deadline: Deadline, watch: Callable[[bytes], object] | None = None
    ) -> Event:
        """Wait for the next event about a request that was sent; events about others are dropped.

        Args:
            request: the message.
            deadline: for it.
            watch: called with all bytes that come; what it raises closes the connection.

        Raises:
            Broken: the connection failed, or it took too long.
        """
        try:
            while True:
                while self._events:
                    event = self._events.popleft()
                    if getattr(event, "request", None) is request:
                        return event
                self._socket.settimeout(deadline.left())
                data = self._socket.recv(_SIZE)
                if not data:
                    raise ConnectionError(CLOSED)
                if watch is not None:
                    watch(data)
                self._events += self.conversation.receive(data)
        except (OSError, ProtocolError) as error:
            raise _broken(error, deadline, self._given_up(request), sent=True) from error
        except BaseException:
            self.close()
            raise

    def _given_up(self, request: Any) -> Outcome:
        """Close; return what became of a request."""
        self.close()
        outcome = Outcome.UNKNOWN
        with suppress(ProtocolError):
            for event in self.conversation.receive_eof():
                if isinstance(event, Lost) and event.request is request:
                    outcome = event.outcome
        return outcome


def _would_wait(error: OSError) -> bool:
    if isinstance(error, BlockingIOError):
        return True
    import ssl  # there is a connection of TLS, or an error of another kind

    return isinstance(error, ssl.SSLWantReadError)


def _broken(
    error: OSError | ProtocolError, deadline: Deadline, outcome: Outcome, sent: bool = False
) -> Broken:
    if isinstance(error, TimeoutError):
        return Broken(f"no answer within {deadline.seconds:.3g} s", outcome, silent=True, sent=sent)
    return Broken(words(error), outcome, sent=sent)


def words(error: Exception) -> str:
    """Return what is wrong, on a line.

    Args:
        error: of the system, of TLS or of the conversation.
    """
    if isinstance(error, OSError):
        return sanitize_for_log((error.strerror or str(error)).lower())
    return sanitize_for_log(str(error))
