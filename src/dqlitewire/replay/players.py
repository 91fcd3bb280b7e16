"""Play a recording to one client, without I/O: its bytes in, the bytes to send out.

`InOrder` plays one recorded connection: each request must be the recorded one. `AnyOrder` answers any request
that was recorded, wherever it stands. A player never raises on what a client sends: what was not recorded
becomes `difference`, lines for people, and ends the connection.

Of any two equal requests `AnyOrder` answers the first as the first was answered, the second as the second,
and those that come after the last as the last, over all connections. It gives the ids of prepared statements
anew, since two recorded connections may have used one id for two statements.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from dqlitewire.constants import (
    HEADER_SIZE,
    PROTOCOL_VERSION,
    PROTOCOL_VERSION_LEGACY,
    RequestType,
    ResponseType,
)
from dqlitewire.conversation.first_bytes import HTTP_END, HTTP_METHODS, MAX_HTTP_HEAD
from dqlitewire.conversation.frames import statement_id
from dqlitewire.dial.naming import with_addresses
from dqlitewire.header import frame_size_at, type_name
from dqlitewire.messages import EmptyResponse, PrepareRequest
from dqlitewire.replay.difference import bytes_lines, frame_lines, shown_frame
from dqlitewire.replay.library import Library, Place
from dqlitewire.replay.recorded import RecordedConnection
from dqlitewire.replay.sameness import decoded, key_of, same_http, same_request
from dqlitewire.replay.tracks import Kind, Mapped, Unit
from dqlitewire.text import printable
from dqlitewire.traffic.shorten import counted

__all__ = ["AnyOrder", "InOrder", "Player"]

MAX_SHOWN = 1 << 20  # bytes of an unexpected request that are waited for
_SHOWN = 16
_VERSIONS = {Mapped.NAMED: PROTOCOL_VERSION, Mapped.LEGACY: PROTOCOL_VERSION_LEGACY}
_STATEMENT = slice(HEADER_SIZE + 4, HEADER_SIZE + 8)


class Player:
    """What both ways to play share: the bytes that wait, and how a connection ends.

    Args:
        name: of the live connection, for people.
        local: the address to name in place of those that were recorded.

    Attributes:
        difference: what was not recorded, in lines for people; empty while all is well.
        closing: everything was said, and the server has the last word.
        heard: bytes that came.
    """

    def __init__(self, name: str, local: str) -> None:
        self.name = name
        self.difference: list[str] = []
        self.closing = False
        self.heard = 0
        self._local = local
        self._buffer = bytearray()
        self._offset = 0  # of the first byte that waits
        self._request: int = 0  # frames taken

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes of the client; yield what to send, as far as that may be said."""
        self.heard += len(data)
        self._buffer += data
        yield from self._say()
        while not self.closing and not self.difference and self._step():
            yield from self._say()

    def _say(self) -> Iterator[bytes]:
        raise NotImplementedError

    def _step(self) -> bool:
        """Take one unit of what waits; False if that needs more bytes, or is not possible."""
        raise NotImplementedError

    def _renamed(self, piece: Unit) -> bytes:
        """What is said of a piece: with our address where it names nodes."""
        if piece.kind == Mapped.NONE:
            return piece.data
        return with_addresses(piece.data, _VERSIONS[Mapped(piece.kind)], lambda _: self._local)

    def _frame_size(self) -> int:
        """The size of the frame that waits, 0 until its header is there."""
        return frame_size_at(self._buffer) if len(self._buffer) >= HEADER_SIZE else 0

    def _drop(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._offset += size
        return taken

    def _head(self) -> bytes | None:
        """An HTTP head that waits; None until it is whole."""
        end = self._buffer.find(HTTP_END, 0, MAX_HTTP_HEAD)
        return bytes(self._buffer[: end + len(HTTP_END)]) if end >= 0 else None

    def _looks_like_http(self) -> bool:
        return any(self._buffer.startswith(method[: len(self._buffer)]) for method in HTTP_METHODS)

    def _differ(self, why: str, *lines: str) -> None:
        where = f"{self.name}, request {self._request + 1} at byte {self._offset}"
        self.difference = [f"{where}: {why}", *(f"  {line}" for line in lines)]


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
            self._differ("no HTTP request", f"expected {_line(recorded)}", f"got      {_hex(self._buffer)}")
            return False
        head = self._head()
        if head is None:
            if len(self._buffer) > MAX_HTTP_HEAD:
                self._differ("an HTTP request without an end", f"expected {_line(recorded)}")
            return False
        if not same_http(recorded, head):
            was, got = _lines(recorded), _lines(head)
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


class AnyOrder(Player):
    """Answer any request that was recorded, as it was.

    Args:
        name: of the live connection, for people.
        local: the address to name in place of those that were recorded.
        library: finds recorded requests.
    """

    def __init__(self, name: str, local: str, library: Library) -> None:
        super().__init__(name, local)
        self._library = library
        self._version: int | None = None
        self._texts: dict[int, str] = {}  # of prepared statements, by the ids that this client knows
        self._free: list[int] = []  # a heap of the ids below the largest that are free again
        self._ready: list[Iterator[bytes]] = []
        self._held: list[tuple[RecordedConnection, int]] = []  # pieces of a query that wait for an INTERRUPT

    def _say(self) -> Iterator[bytes]:
        ready, self._ready = self._ready, []
        for pieces in ready:
            yield from pieces

    def _step(self) -> bool:
        if self._version is None:
            return self._greet()
        size = self._frame_size()
        if not size or (len(self._buffer) < size and size <= self._library.longest):
            return False
        frame = bytes(self._buffer[:size])
        place = self._place(frame) if len(frame) == size else None
        if place is None and frame[4] != RequestType.INTERRUPT:
            self._unknown(frame)
            return False
        self._ready.append(self._answers(frame, place))
        self._drop(size)
        self._request += 1
        return True

    def _place(self, frame: bytes) -> Place | None:
        statement = statement_id(frame)
        text = None if statement is None else self._texts.get(statement)
        return self._library.next(key_of(frame, text), frame, self._version or 0)

    def _greet(self) -> bool:
        if self._buffer and self._looks_like_http():
            head = self._head()
            if head is None:
                if len(self._buffer) > MAX_HTTP_HEAD:
                    self._differ("an HTTP request without an end", f"got      {_hex(self._buffer)}")
                return False
            answer = self._library.http_answer(head)
            if answer is None:
                self._differ("an HTTP request that was not recorded", *(f"+ {line}" for line in _lines(head)))
                return False
            self._drop(len(head))
            self._ready.append(iter([answer]))
            return True
        if len(self._buffer) < HEADER_SIZE:
            return False
        self._version = int.from_bytes(self._drop(HEADER_SIZE), "little")
        return True

    def _answers(self, frame: bytes, place: Place | None) -> Iterator[bytes]:
        """What is said to a request: what was held of the one before, and its own."""
        held, self._held = self._held, []
        for connection, piece in held:
            yield connection.answers[piece].data
        if place is None:  # an INTERRUPT that came too late, or where none was recorded
            yield EmptyResponse().encode()
            return
        connection, unit = place
        first = connection.first_answer[unit]
        for piece in range(first, first + connection.answer_count[unit]):
            if connection.answers.gate(piece) > unit + 1:
                self._held.append((connection, piece))
                continue
            found = connection.answers[piece]
            yield self._followed(frame, self._renamed(found))
        # a last request that was not answered ends the connection; behind others the node was deaf
        self.closing = not connection.answer_count[unit] and unit + 1 >= connection.needed

    def _followed(self, frame: bytes, answer: bytes) -> bytes:
        """An answer with the id of a statement as this client shall know it."""
        if answer[4] == ResponseType.STMT and frame[4] == RequestType.PREPARE:
            message = decoded(frame)
            if not isinstance(message, PrepareRequest):
                return answer
            statement = heappop(self._free) if self._free else len(self._texts)  # the smallest, as a node
            self._texts[statement] = message.sql
            return answer[: _STATEMENT.start] + statement.to_bytes(4, "little") + answer[_STATEMENT.stop :]
        if answer[4] == ResponseType.EMPTY and frame[4] == RequestType.FINALIZE:
            statement = statement_id(frame) or 0
            if self._texts.pop(statement, None) is not None:
                heappush(self._free, statement)
        return answer

    def _unknown(self, frame: bytes) -> None:
        lines = [f"got      {shown_frame(frame)}"]
        nearest = self._library.nearest(frame)
        if nearest is None:
            lines.append(f"no {type_name(frame[4], True)} was recorded")
        else:
            lines += [f"nearest  {shown_frame(nearest)}", *frame_lines(nearest, frame)]
        self._differ("a request that was not recorded", *lines)


def _shown_unit(data: bytes, kind: int) -> str:
    match Kind(kind):
        case Kind.HANDSHAKE if len(data) == HEADER_SIZE:
            return f"a handshake, version {int.from_bytes(data, 'little')}"
        case Kind.HTTP:
            return _line(data)
        case Kind.FRAME:
            return shown_frame(data)
        case _:
            return _hex(data)


def _hex(data: bytes | bytearray) -> str:
    return f"{counted(len(data), 'byte')}: {data[:_SHOWN].hex(' ')}{' …' if len(data) > _SHOWN else ''}"


def _lines(head: bytes) -> list[str]:
    return [printable(line.decode("latin-1")) for line in head.split(b"\r\n") if line]


def _line(head: bytes) -> str:
    return "HTTP: " + _lines(head)[0]
