"""One connection to a node on which a recorded one is sent again.

Ids. A node may give out other ids for databases and prepared statements than the recorded one did. What
answers bring is kept, and requests are rewritten before they are sent. A request that names a statement which
this node has not prepared is not sent.

Everything sent passes a `ClientConversation`, which refuses hazards by what this node has answered.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable

from dqlitewire import ProtocolError
from dqlitewire.constants import HEADER_SIZE, RequestType
from dqlitewire.conversation import (
    Answered,
    ClientConversation,
    Event,
    Failed,
    Generation,
    HazardError,
    Interrupted,
    Rows,
)
from dqlitewire.conversation.frames import statement_id
from dqlitewire.dial.sockets import Deadline, send_all
from dqlitewire.messages import DbResponse, StmtResponse
from dqlitewire.replay.answers import AnswerComparison
from dqlitewire.replay.difference import shown_frame
from dqlitewire.replay.recorded import RecordedConnection
from dqlitewire.replay.sameness import decoded
from dqlitewire.replay.tracks import Unit
from dqlitewire.text import printable
from dqlitewire.traffic.shorten import elide, one_line

__all__ = ["LiveConnection", "in_words"]

_SIZE = 1 << 16  # bytes read at once
_DATABASE = slice(HEADER_SIZE, HEADER_SIZE + 4)
_STATEMENT = slice(HEADER_SIZE + 4, HEADER_SIZE + 8)


class LiveConnection:
    """Sends what one connection recorded, request by request.

    Args:
        recorded: the connection.
        sock: connected to the node; closed by `close`.
        deadline: for everything.
        generation: of the node, as far as known.
        tell: is called with the lines of each difference.

    Attributes:
        sent: requests that were sent.
        skipped: requests that were not.
        over: the connection has failed; nothing more is sent on it.
    """

    def __init__(
        self,
        recorded: RecordedConnection,
        sock: socket.socket,
        deadline: Deadline,
        generation: Generation,
        tell: Callable[[list[str]], None],
    ) -> None:
        self.sent: int = 0
        self.skipped: int = 0
        self.over: bool = False
        self._recorded = recorded
        self._socket = sock
        self._deadline = deadline
        self._tell = tell
        self._conversation = ClientConversation(
            recorded.version,
            generation=generation,
            frame_log=False,
            unknown_role_policy="accept",
            text_errors="backslashreplace",
        )
        self._open: deque[tuple[int, AnswerComparison]] = deque()
        self._unanswered = frozenset(recorded.unanswered)
        self._databases: dict[bytes, bytes] = {}  # ids: recorded -> of this node
        self._statements: dict[bytes, bytes] = {}

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def send(self, unit: int) -> None:
        """Send a request, once those before it are answered.

        Args:
            unit: of the recorded connection.

        Raises:
            TimeoutError: the deadline came first.
        """
        recorded = self._recorded.requests[unit].data
        if recorded[4] != RequestType.INTERRUPT:
            self.wait()
        if self.over or unit in self._unanswered:
            self.skipped += 1
            return
        frame = self._rewritten(recorded)
        if frame is None:
            self.skipped += 1
            self._report(unit, ["- was sent", "+ not sent: this node has not prepared its statement"])
            return
        try:
            data = self._conversation.send_frame(frame)
        except (HazardError, ProtocolError) as error:
            self.skipped += 1
            self._report(unit, ["- was sent", f"+ not sent: {error}"])
            return
        self._open.append((unit, AnswerComparison(self._recorded, unit)))
        self.sent += 1
        try:
            send_all(self._socket, data, self._deadline)
        except TimeoutError:
            self.fail(in_words(TimeoutError(), self._deadline))
            raise
        except OSError as error:
            self.fail(in_words(error, self._deadline))

    def wait(self, unit: int | None = None) -> None:
        """Wait for answers.

        Args:
            unit: up to that of this request; None for all.

        Raises:
            TimeoutError: the deadline came first.
        """
        while not self.over and self._open and (unit is None or self._open[0][0] <= unit):
            try:
                self._socket.settimeout(self._deadline.left())
                data = self._socket.recv(_SIZE)
                if not data:
                    self.fail("the node closed the connection")
                    return
                for event in self._conversation.receive(data):
                    self._take(event)
            except TimeoutError:
                self.fail(in_words(TimeoutError(), self._deadline))
                raise
            except OSError as error:
                self.fail(in_words(error, self._deadline))
            except ProtocolError as error:
                self.fail(f"no answer that belongs here: {error}")

    def fail(self, why: str) -> None:
        """Give the connection up.

        Args:
            why: in words.
        """
        if self.over:
            return
        self.over = True
        if self._open:
            unit, comparison = self._open.popleft()
            comparison.failed(why)
            self._finish(unit, comparison)
        else:
            self._tell([f"{self._recorded.name}: {why}"])

    def _take(self, event: Event) -> None:
        match event:
            case Rows(_, message, last):
                self._open[0][1].rows(message, last)
                if last:
                    self._finish(*self._open.popleft())
            case Answered(request, message):
                unit, comparison = self._open.popleft()
                self._learn(unit, request, message)
                comparison.answer(message)
                self._finish(unit, comparison)
            case Failed(_, failure):
                unit, comparison = self._open.popleft()
                comparison.answer(failure)
                self._finish(unit, comparison)
            case Interrupted():
                self._open.popleft()
            case _:
                pass  # what a client should know besides; nothing that is compared

    def _finish(self, unit: int, comparison: AnswerComparison) -> None:
        if comparison.differs:
            self._report(unit, comparison.finished())

    def _report(self, unit: int, lines: list[str]) -> None:
        recorded = self._recorded
        text = recorded.texts.get(unit)
        ran = "" if text is None else f" ({elide(one_line(text), 60)})"
        request = printable(f"{shown_frame(recorded.requests[unit].data)}{ran}")
        self._tell([f"{recorded.name}, request {recorded.request_number(unit)}: {request}", *lines])

    # ------------------------------------------------------------------ ids

    def _rewritten(self, frame: bytes) -> bytes | None:
        """A request with the ids of this node; None if there is none for the statement."""
        number = statement_id(frame)
        if number is not None:
            statement = self._statements.get(frame[_STATEMENT])
            if statement is None:
                return None
            if frame[4] == RequestType.FINALIZE:
                del self._statements[frame[_STATEMENT]]
            frame = frame[: _STATEMENT.start] + statement + frame[_STATEMENT.stop :]
        database = self._databases.get(frame[_DATABASE]) if frame[4] in _NAME_A_DATABASE else None
        return frame if database is None else frame[: _DATABASE.start] + database + frame[_DATABASE.stop :]

    def _learn(self, unit: int, request: object, message: object) -> None:
        """Keep the id that an answer brings, beside the recorded one."""
        if not isinstance(message, (DbResponse, StmtResponse)) or not self._recorded.answer_count[unit]:
            return
        recorded: Unit = self._recorded.answers[self._recorded.first_answer[unit]]
        match message, decoded(recorded.data, is_request=False):
            case StmtResponse(stmt_id=now), StmtResponse(stmt_id=was):
                self._statements[was.to_bytes(4, "little")] = now.to_bytes(4, "little")
            case DbResponse(now), DbResponse(was):
                self._databases[was.to_bytes(4, "little")] = now.to_bytes(4, "little")
            case _:
                pass


_NAME_A_DATABASE = frozenset(
    {
        RequestType.PREPARE,
        RequestType.EXEC,
        RequestType.QUERY,
        RequestType.FINALIZE,
        RequestType.EXEC_SQL,
        RequestType.QUERY_SQL,
    }
)


def in_words(error: OSError, deadline: Deadline) -> str:
    """Return what happened to a connection.

    Args:
        error: of the socket.
        deadline: that may have come.
    """
    if isinstance(error, TimeoutError):
        return f"no answer within {deadline.seconds:g} s (--timeout)"
    return error.strerror or str(error) or type(error).__name__
