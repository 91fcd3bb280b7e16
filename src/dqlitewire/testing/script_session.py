"""The steps of a script, and sessions that follow them: what the serving thread serves in place of an engine.

`ScriptService` and `ScriptSession` are a service and its sessions (`dqlitewire.testing.serving.protocols`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dqlitewire.buffer import ReadBuffer
from dqlitewire.messages.base import Message
from dqlitewire.testing.frame_lines import differences, frame_lines, frame_title

if TYPE_CHECKING:
    from dqlitewire.testing.node.cluster import Member

__all__ = ["Close", "Expect", "Script", "ScriptService", "ScriptSession", "Send", "Step", "Wait"]

_INPUT_WANTED = 1 << 20  # bytes ahead of the request that the script is at


@dataclass(frozen=True, slots=True)
class Expect:
    """A step of a script: a request has to come.

    Attributes:
        wanted: Its class, the very message, or a test of the whole frame.
    """

    wanted: type[Message] | Message | Callable[[bytes], bool]

    def fits(self, frame: bytes) -> bool:
        """Tell whether a frame is what is expected.

        Args:
            frame: Header and body.
        """
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
            return frame_lines(wanted.encode(), is_request=True)
        if isinstance(wanted, type):
            return [f"any {wanted.__name__}"]
        return [f"a frame that {getattr(wanted, '__name__', 'the test')} accepts"]


@dataclass(frozen=True, slots=True)
class Send:
    """A step of a script: bytes are sent.

    Attributes:
        data: The bytes.
    """

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """A step of a script: what is sent next waits.

    Attributes:
        seconds: For so long.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Close:
    """A step of a script: the connection ends.

    Attributes:
        reset: With RST, not FIN.
    """

    reset: bool


Step = Expect | Send | Wait | Close
Script = Sequence[Step]


class ScriptSession:
    """One connection that follows a script.

    Attributes:
        problem: In which step the client did what was not expected, and what; "" as long as all is well.
    """

    def __init__(self, script: Script, number: int, member: Member) -> None:
        self.member = member
        self.number = number
        self.closed: bool = False
        self.reset: bool = False
        self.busy: bool = False
        self.pause: float = 0.0
        self.write_size: int | None = None
        self.write_pause: float = 0.0
        self.abandoned_at: float | None = None
        self.problem: str = ""
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
                    self._dialogue.append(f"<< {frame_title(data)}")
                    self.pause, self._pause = self._pause, 0.0
                    return data
                case Wait(seconds):
                    self._pause += seconds
                case Close(reset):
                    self._dialogue.append("<< closed")
                    self.closed, self.reset = True, reset
                case Expect():
                    pass  # it was met above
        return None

    def _met(self, step: Expect) -> bool:
        frame = self._buffer.read_message()
        if frame is None:
            return False
        if step.fits(frame):
            self._dialogue.append(f">> {frame_lines(frame, is_request=True)[0]}")
            return True
        self._fail(frame, step.lines())
        return False

    def _fail(self, frame: bytes, wanted: list[str]) -> None:
        difference = differences(wanted, frame_lines(frame, is_request=True))
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


class ScriptService:
    """Hands each connection the next script."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.scripts: list[Script] = list(scripts)
        self.sessions: list[ScriptSession] = []
        self.stopping = False
        self.breathe: Callable[[], None] = lambda: None

    def connect(self, member: Member) -> ScriptSession:
        number = len(self.sessions)
        script: Script = self.scripts[number] if number < len(self.scripts) else (Close(False),)
        session = ScriptSession(script, number + 1, member)
        self.sessions.append(session)
        return session

    def close(self) -> None:
        pass

    def leave(self) -> None:
        pass

    def problems(self) -> list[str]:
        """Say what went wrong, or was not played."""
        found = [session.problem or session.left for session in self.sessions]
        found += [
            f"connection {number + 1} never came" for number in range(len(self.sessions), len(self.scripts))
        ]
        return [problem for problem in found if problem]
