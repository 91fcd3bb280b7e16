"""A server that follows a script: what it expects, what it sends, when it closes.

    with ScriptedServer(expect(OpenRequest), send(DbResponse(0)), expect(QuerySqlRequest), close()) as server:
        drive(server.address)

Nothing is checked against the protocol's order, so it can do what no server does.  A request that the
script does not expect ends the connection, and leaving the context raises a `ScriptError` that shows the
dialogue so far and the difference between both frames; so does a script that was not played to its end.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from types import TracebackType

from dqlitewire.buffer import ReadBuffer
from dqlitewire.constants import NodeRole
from dqlitewire.explain import Span, explain
from dqlitewire.faults.checks import check_flag, check_seconds, shown
from dqlitewire.messages.base import Message
from dqlitewire.testing.node.cluster import Member
from dqlitewire.testing.serving.listening import listen_tcp
from dqlitewire.testing.serving.server_thread import ServerThread

__all__ = ["Script", "ScriptError", "ScriptedServer", "close", "expect", "send", "send_bytes", "wait"]

_ELIDED = 60
_INPUT_WANTED = 1 << 20  # bytes ahead of the request that the script is at
_GRACE = 1.0  # seconds for what the client sent last to arrive


class ScriptError(AssertionError):
    """The client did not follow the script."""


@dataclass(frozen=True, slots=True)
class Expect:
    """A request: its class, the very message, or a test of the whole frame."""

    wanted: type[Message] | Message | Callable[[bytes], bool]

    def fits(self, frame: bytes) -> bool:
        """Tell whether a frame is what is expected."""
        wanted = self.wanted
        if isinstance(wanted, Message):
            return frame == wanted.encode()
        if isinstance(wanted, type):
            code: int = getattr(wanted, "MSG_TYPE")  # noqa: B009  a callable may be a class too
            return frame[4] == code
        return wanted(frame)

    def lines(self) -> list[str]:
        """Describe it, one line a field where the fields are known."""
        wanted = self.wanted
        if isinstance(wanted, Message):
            return _lines(wanted.encode(), is_request=True)
        if isinstance(wanted, type):
            return [f"any {wanted.__name__}"]
        return [f"a frame that {getattr(wanted, '__name__', 'the test')} accepts"]


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes to send."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds to wait before what is sent next."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Close:
    """The end of the connection."""

    reset: bool


Step = Expect | Send | Wait | Close
Script = Sequence[Step]


def expect(wanted: type[Message] | Message | Callable[[bytes], bool]) -> Expect:
    """Expect a request: of a class, equal to a message, or accepted by a function of the whole frame.

    Raises:
        TypeError: it is none of these.
    """
    known = hasattr(wanted, "MSG_TYPE") if isinstance(wanted, type) else callable(wanted)
    if not known and not isinstance(wanted, Message):
        raise TypeError(f"wanted {shown(wanted)}, must be a message, its class or a function")
    return Expect(wanted)


def send(*messages: Message) -> Send:
    """Send messages, in one write.

    Raises:
        TypeError: one is no message.
    """
    for message in messages:
        if not isinstance(message, Message):  # pyright: ignore
            raise TypeError(f"message {shown(message)}, must be a Message")
    return Send(b"".join(message.encode() for message in messages))


def send_bytes(data: bytes) -> Send:
    """Send bytes as they are.

    Raises:
        TypeError: they are no bytes.
    """
    if not isinstance(data, bytes | bytearray | memoryview):  # pyright: ignore
        raise TypeError(f"data {shown(data)}, must be bytes")
    return Send(bytes(data))


def wait(seconds: float) -> Wait:
    """Wait before the next sending.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative, longer than a day, or NaN.
    """
    check_seconds("seconds", seconds)
    return Wait(seconds)


def close(*, reset: bool = False) -> Close:
    """Close the connection, or reset it.

    Raises:
        TypeError: `reset` is no bool.
    """
    check_flag("reset", reset)
    return Close(reset)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _ELIDED else f"{text[: _ELIDED - 2]}.."


def _spans(span: Span, path: str) -> Iterator[str]:
    if not span.children:
        yield f"{path} = {_shown(span.value)}"
    for child in span.children:
        yield from _spans(
            child, f"{path}{child.name}" if child.name.startswith("[") else f"{path}.{child.name}"
        )


def _lines(frame: bytes, *, is_request: bool) -> list[str]:
    root = explain(frame, is_request=is_request)
    fields = [line for child in root.children[1:] for line in _spans(child, child.name)]
    return [f"{root.name}, schema {frame[5]}, {len(frame)} bytes", *(f"  {line}" for line in fields)]


def _difference(wanted: Sequence[str], got: Sequence[str]) -> Iterator[str]:
    # line by line, for fields come in the same order: to align hundreds of lines takes difflib minutes
    for old, new in zip_longest(wanted, got):
        if old == new:
            yield f"  {new}"
            continue
        if old is not None:
            yield f"- {old}"
        if new is not None:
            yield f"+ {new}"


class _Play:
    """One connection's script; has the interface of a session that the serving thread wants."""

    def __init__(self, stage: _Stage, script: Script, number: int, member: Member) -> None:
        self.member = member
        self.number = number
        self.closed = self.reset = self.busy = self.silent = False
        self.pause = 0.0
        self.write_size: int | None = None
        self.write_pause = 0.0
        self.abandoned_at: float | None = None
        self.problem = ""
        self._stage = stage
        self._script = script
        self._next = 0
        self._buffer = ReadBuffer(None)
        self._greeted = False
        self._dialogue: list[str] = []
        self._pause = 0.0

    def receive(self, data: bytes) -> None:
        if not self.closed:
            self._buffer.feed(data)

    @property
    def waiting(self) -> bool:
        return self._greeted and self._buffer.available() > _INPUT_WANTED and self._buffer.has_message()

    def step(self) -> bytes | None:
        self.pause = 0.0
        if not self._greeted:
            if self._buffer.read_bytes(8) is None:
                return None
            self._greeted = True
        while not self.closed:
            if self._next == len(self._script):
                frame = self._buffer.read_message()
                if frame is not None:
                    self._fail(frame, ["nothing more"])
                return None
            step = self._script[self._next]
            if isinstance(step, Expect) and not self._met(step):
                return None
            self._next += 1
            match step:
                case Send(data):
                    self._dialogue.append(f"<< {_title(data)}")
                    self.pause, self._pause = self._pause, 0.0
                    return data
                case Wait(seconds):
                    self._pause += seconds
                case Close(reset):
                    self._dialogue.append("<< closed")
                    self.closed, self.reset = True, reset
                case _:
                    pass
        return None

    def _met(self, step: Expect) -> bool:
        frame = self._buffer.read_message()
        if frame is None:
            return False
        if step.fits(frame):
            self._dialogue.append(f">> {_lines(frame, is_request=True)[0]}")
            return True
        self._fail(frame, step.lines())
        return False

    def _fail(self, frame: bytes, wanted: list[str]) -> None:
        difference = _difference(wanted, _lines(frame, is_request=True))
        self.problem = "\n".join(
            [
                f"connection {self.number}, step {self._next + 1} (- expected, + got)",
                *(f"    {line}" for line in self._dialogue),
                *(f"  {line}" for line in difference),
            ]
        )
        self.closed = True

    @property
    def left(self) -> str:
        """Say what of the script was not played, "" if nothing."""
        if self._next == len(self._script):
            return ""
        step = self._script[self._next]
        what = step.lines()[0] if isinstance(step, Expect) else type(step).__name__.lower()
        dialogue = "".join(f"\n    {line}" for line in self._dialogue)
        return f"connection {self.number} ended before step {self._next + 1}: {what}{dialogue}"

    def close(self) -> None:
        self.closed = True


def _title(data: bytes) -> str:
    if len(data) >= 8 and len(data) == 8 + 8 * struct.unpack_from("<I", data)[0]:
        return _lines(data, is_request=False)[0]
    return f"{len(data)} bytes: {data[:24].hex(' ', 8)}"


class _Stage:
    """What the thread takes for an engine: hands each connection the next script."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.scripts = list(scripts)
        self.plays: list[_Play] = []
        self.stopping = False
        self.breathe: Callable[[], None] = lambda: None

    def connect(self, member: Member) -> _Play:
        number = len(self.plays)
        script: Script = self.scripts[number] if number < len(self.scripts) else (Close(False),)
        play = _Play(self, script, number + 1, member)
        self.plays.append(play)
        return play

    def close(self) -> None:
        pass

    def leave(self) -> None:
        pass

    def problems(self) -> list[str]:
        """Say what went wrong, or was not played."""
        found = [play.problem or play.left for play in self.plays]
        found += [
            f"connection {number + 1} never came" for number in range(len(self.plays), len(self.scripts))
        ]
        return [problem for problem in found if problem]


class ScriptedServer:
    """A server on a free loopback port that plays one script a connection.

    Args:
        steps: The script of the only connection, or one sequence of steps for each connection in order.
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
        self._stage = _Stage([single] if single else several)
        self._thread: ServerThread | None = None
        self.address = ""

    def start(self) -> None:
        """Begin to accept connections.

        Raises:
            RuntimeError: it was started already; a script is played once.
        """
        if self._thread is not None:
            raise RuntimeError("the server was started already")
        with ExitStack() as undo:
            thread = ServerThread(self._stage)
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
        """Wait until every script is played, or one failed, but not longer than `seconds`.

        Raises:
            TypeError: `seconds` is no number.
            ValueError: it is negative, longer than a day, or NaN.
        """
        check_seconds("seconds", seconds)
        deadline = time.monotonic() + seconds
        while self._stage.problems() and time.monotonic() < deadline:
            if any(play.problem for play in self._stage.plays):
                return
            time.sleep(0.002)

    def check(self) -> None:
        """Raise ScriptError unless every script was played to its end."""
        problems = self._stage.problems()
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
        elif any(play.problem for play in self._stage.plays):
            error.add_note("\n".join(self._stage.problems()))
