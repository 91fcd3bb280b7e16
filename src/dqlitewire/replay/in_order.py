"""Play one recorded connection to one client: each request must be the recorded one."""

from __future__ import annotations

from collections.abc import Iterator

from dqlitewire.constants import HEADER_SIZE
from dqlitewire.conversation.first_bytes import MAX_HTTP_HEAD
from dqlitewire.replay.difference import bytes_lines, frame_lines, shown_frame
from dqlitewire.replay.players import Player, first_line, hexed, lines_of
from dqlitewire.replay.recorded import RecordedConnection
from dqlitewire.replay.sameness import same_http, same_request
from dqlitewire.replay.tracks import Kind
from dqlitewire.traffic.shorten import counted

__all__ = ["InOrder"]

MAX_SHOWN = 1 << 20  # bytes of an unexpected request that are waited for


class InOrder(Player):
    """Play one recorded connection, request by request.

    Args:
        name: of the live connection, for people.
        local: the address to name in place of those that were recorded.
        connection: the recorded one.
        addresses: all that the recording names.
    """

    def __init__(
        self, name: str, local: str, connection: RecordedConnection, addresses: frozenset[str]
    ) -> None:
        super().__init__(name, local)
        self._connection = connection
        self._addresses = addresses
        self._came = self._said = 0
        self._greeted = not connection.bare
        self._needed = connection.needed

    @property
    def left(self) -> int:
        """How many recorded units have not come."""
        return max(0, self._needed - self._came)

    @property
    def leftover(self) -> str:
        """What should have come, in words."""
        unit = self._connection.requests[self._came]
        count = counted(self._connection.requests_from(self._came), "request")
        return f"{count}, the next is {_shown_unit(unit.data, unit.kind)}"

    def _say(self) -> Iterator[bytes]:
        answers = self._connection.answers
        while self._said < len(answers) and answers.gate(self._said) <= self._came:
            piece = answers[self._said]
            self._said += 1
            yield self._renamed(piece)
        if not self.left and self._said == len(answers) and self._connection.closes:
            self.closing = True

    def _step(self) -> bool:
        if not self._buffer:
            return False
        if not self._greeted:
            return self._greet()
        if self._came == len(self._connection.requests):
            return self._beyond()
        match Kind(self._connection.requests.kind(self._came)):
            case Kind.FRAME:
                return self._frame()
            case Kind.HTTP:
                return self._http()
            case Kind.HANDSHAKE | Kind.OTHER | Kind.PART:
                return self._bytes()

    def _greet(self) -> bool:
        # the recording begins behind the handshake: any will do
        if len(self._buffer) < HEADER_SIZE:
            return False
        self._drop(HEADER_SIZE)
        return self._got()

    def _got(self) -> bool:
        if not self._greeted:
            self._greeted = True
        else:
            self._came += 1
        return True

    def _frame(self) -> bool:
        size, most = self._frame_size(), self._connection.requests.size(self._came)
        too_long = size > max(most, MAX_SHOWN)
        if not size or (len(self._buffer) < size and not too_long):
            return False
        recorded = self._connection.requests[self._came].data
        got = bytes(self._buffer[: min(size, MAX_SHOWN) if too_long else size])
        if not too_long and same_request(recorded, got, self._addresses, self._local):
            self._drop(size)
            self._request += 1
            return self._got()
        self._differ(
            "not the recorded request",
            f"expected {shown_frame(recorded)}",
            f"got      {shown_frame(got)}",
            *frame_lines(recorded, got),
        )
        return False

    def _http(self) -> bool:
        recorded = self._connection.requests[self._came].data
        if not self._looks_like_http():
            self._differ(
                "no HTTP request", f"expected {first_line(recorded)}", f"got      {hexed(self._buffer)}"
            )
            return False
        head = self._head()
        if head is None:
            if len(self._buffer) > MAX_HTTP_HEAD:
                self._differ("an HTTP request without an end", f"expected {first_line(recorded)}")
            return False
        if not same_http(recorded, head):
            was, got = lines_of(recorded), lines_of(head)
            lines = [f"- {line}" for line in was if line not in got] + [
                f"+ {line}" for line in got if line not in was
            ]
            self._differ("not the recorded HTTP request", *lines)
            return False
        self._drop(len(head))
        return self._got()

    def _bytes(self) -> bool:
        """Bytes that are no frame, and the handshake: the same ones must come."""
        unit = self._connection.requests[self._came]
        size = len(unit.data)
        got = bytes(self._buffer[:size])
        if not unit.data.startswith(got):
            what = "handshake" if unit.kind == Kind.HANDSHAKE else "bytes"
            shown = f"expected {_shown_unit(unit.data, unit.kind)}", f"got      {_shown_unit(got, unit.kind)}"
            lines = () if unit.kind == Kind.HANDSHAKE else bytes_lines(unit.data, got)
            self._differ(f"not the recorded {what}", *shown, *lines)
        elif len(got) == size:
            self._drop(size)
            if unit.kind == Kind.PART:  # the client vanished in this request, or the recorder did
                self.closing = True
                return False
            return self._got()
        return False

    def _beyond(self) -> bool:
        if self._connection.cut:  # what came next is not known
            self.closing = True
            return False
        size = self._frame_size()
        if size and (len(self._buffer) >= size or size > MAX_SHOWN):
            self._differ(
                "a request behind the last that was recorded",
                f"expected the end, behind {counted(self._request, 'request')}",
                f"got      {shown_frame(bytes(self._buffer[: min(size, MAX_SHOWN)]))}",
            )
        return False


def _shown_unit(data: bytes, kind: int) -> str:
    match Kind(kind):
        case Kind.HANDSHAKE if len(data) == HEADER_SIZE:
            return f"a handshake, version {int.from_bytes(data, 'little')}"
        case Kind.HTTP:
            return first_line(data)
        case Kind.FRAME:
            return shown_frame(data)
        case _:
            return hexed(data)
