"""Answer any request that was recorded, in any order.

Of any two equal requests the first is answered as the first was, the second as the second, and those that
come after the last as the last, over all connections. The ids of prepared statements are given anew, since
two recorded connections may have used one id for two statements.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from dqlitewire.constants import HEADER_SIZE, RequestType, ResponseType
from dqlitewire.conversation.first_bytes import MAX_HTTP_HEAD
from dqlitewire.conversation.frames import statement_id
from dqlitewire.header import type_name
from dqlitewire.messages import EmptyResponse, PrepareRequest
from dqlitewire.replay.difference import frame_lines, shown_frame
from dqlitewire.replay.library import Library, Place
from dqlitewire.replay.players import Player, hexed, lines_of
from dqlitewire.replay.recorded import RecordedConnection
from dqlitewire.replay.sameness import decoded, key_of

__all__ = ["AnyOrder"]

_STATEMENT = slice(HEADER_SIZE + 4, HEADER_SIZE + 8)


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
                    self._differ("an HTTP request without an end", f"got      {hexed(self._buffer)}")
                return False
            answer = self._library.http_answer(head)
            if answer is None:
                self._differ(
                    "an HTTP request that was not recorded", *(f"+ {line}" for line in lines_of(head))
                )
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
        self.closing: bool = not connection.answer_count[unit] and unit + 1 >= connection.needed

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
