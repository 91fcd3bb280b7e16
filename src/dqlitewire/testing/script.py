"""A server that follows a script: what it expects, what it sends, when it closes.

    with ScriptedServer(expect(OpenRequest), send(DbResponse(0)), expect(QuerySqlRequest), close()) as server:
        drive(server.address)

Nothing is checked against the protocol's order, so it can do what no server does.  A request that the
script does not expect ends the connection, and leaving the context raises a `ScriptError` that shows the
dialogue so far and the difference between both frames; so does a script that was not played to its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from dqlitewire.constants import NodeRole
from dqlitewire.dial.listening import listen_tcp
from dqlitewire.faults.checks import check_flag, check_seconds, shown
from dqlitewire.messages.base import Message
from dqlitewire.testing.node.cluster import Member
from dqlitewire.testing.script_session import Close, Expect, Script, ScriptService, Send, Step, Wait
from dqlitewire.testing.serving.server_thread import ServerThread

if TYPE_CHECKING:
    from types import TracebackType

__all__ = [
    "Close",
    "Expect",
    "Script",
    "ScriptError",
    "ScriptedServer",
    "Send",
    "Step",
    "Wait",
    "close",
    "expect",
    "send",
    "send_bytes",
    "wait",
]

_GRACE = 1.0  # seconds for what the client sent last to arrive


class ScriptError(AssertionError):
    """The client did not follow the script."""


def expect(wanted: type[Message] | Message | Callable[[bytes], bool]) -> Expect:
    """Expect a request, and end the connection if another one comes.

    Args:
        wanted: A message class for any request of it, a message for the very same bytes, or a function that
            is called with the whole frame and tells whether it is the one.

    Raises:
        TypeError: It is none of these.
    """
    known = hasattr(wanted, "MSG_TYPE") if isinstance(wanted, type) else callable(wanted)
    if not known and not isinstance(wanted, Message):
        raise TypeError(f"wanted {shown(wanted)}, must be a message, its class or a function")
    return Expect(wanted)


def send(*messages: Message) -> Send:
    """Send messages, in one write.

    Args:
        messages: Whatever can be encoded; whether it answers what came is not looked at.

    Raises:
        TypeError: One is no message.
    """
    for message in messages:
        if not isinstance(message, Message):  # pyright: ignore
            raise TypeError(f"message {shown(message)}, must be a Message")
    return Send(b"".join(message.encode() for message in messages))


def send_bytes(data: bytes) -> Send:
    """Send bytes as they are.

    Args:
        data: The bytes, a frame or not.

    Raises:
        TypeError: They are no bytes.
    """
    if not isinstance(data, bytes | bytearray | memoryview):  # pyright: ignore
        raise TypeError(f"data {shown(data)}, must be bytes")
    return Send(bytes(data))


def wait(seconds: float) -> Wait:
    """Wait before the next sending.

    Args:
        seconds: How long, at most a day.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative, longer than a day, or NaN.
    """
    check_seconds("seconds", seconds)
    return Wait(seconds)


def close(*, reset: bool = False) -> Close:
    """Close the connection.

    Args:
        reset: Close with RST, not FIN.

    Raises:
        TypeError: `reset` is no bool.
    """
    check_flag("reset", reset)
    return Close(reset)


class ScriptedServer:
    """A server on a free loopback port that plays one script a connection.

    As a context manager it starts, and on leaving waits for what the client sent last, stops, and checks
    that every script was played to its end.

    Args:
        steps: The script of the only connection, or one sequence of steps for each connection in order.
            Further connections are closed at once.

    Attributes:
        address: "127.0.0.1:PORT"; "" before it is started.

    Raises:
        TypeError: Something else than steps, or both of these.
    """

    def __init__(self, *steps: Step | Script) -> None:
        single = [step for step in steps if isinstance(step, Expect | Send | Wait | Close)]
        several = [step for step in steps if not isinstance(step, Expect | Send | Wait | Close)]
        if single and several:
            raise TypeError("either steps or sequences of steps")
        for script in several:
            if isinstance(script, str) or not isinstance(script, Sequence):
                raise TypeError(f"script {shown(script)}, must be a sequence of steps")
            for step in script:
                if not isinstance(step, Expect | Send | Wait | Close):  # pyright: ignore
                    raise TypeError(f"step {shown(step)}, must be one of expect, send, wait and close")
        self._service = ScriptService([single] if single else several)
        self._thread: ServerThread | None = None
        self.address: str = ""

    def start(self) -> None:
        """Begin to accept connections.

        Raises:
            RuntimeError: It was started already; a script is played once.
        """
        if self._thread is not None:
            raise RuntimeError("the server was started already")
        with ExitStack() as undo:
            thread = ServerThread(self._service)
            undo.callback(thread.stop)
            listener = listen_tcp("127.0.0.1", 0)
            self.address = f"127.0.0.1:{listener.getsockname()[1]}"
            thread.listen(listener, Member(1, self.address, NodeRole.VOTER))
            self._thread = thread
            thread.start()
            undo.pop_all()

    def stop(self) -> None:
        """Close all connections."""
        if self._thread is not None:
            self._thread.stop()

    def wait(self, seconds: float = _GRACE) -> None:
        """Wait until every script is played, or one has failed.

        Args:
            seconds: How long at most, at most a day.

        Raises:
            TypeError: It is no number.
            ValueError: It is negative, longer than a day, or NaN.
        """
        check_seconds("seconds", seconds)
        deadline = time.monotonic() + seconds
        while self._service.problems() and time.monotonic() < deadline:
            if any(session.problem for session in self._service.sessions):
                return
            time.sleep(0.002)

    def check(self) -> None:
        """Check that every script was played to its end.

        Raises:
            ScriptError: One was not; its text shows the dialogue, and in which lines a request was another
                one.
        """
        problems = self._service.problems()
        if problems:
            raise ScriptError("\n".join(problems))

    def __enter__(self) -> ScriptedServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.wait()
        self.stop()
        if error is None:
            self.check()
        elif any(session.problem for session in self._service.sessions):
            error.add_note("\n".join(self._service.problems()))
