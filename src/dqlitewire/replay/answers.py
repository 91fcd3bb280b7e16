"""Compare an answer with the recorded one, as it comes, in memory for a few frames.

Left out of account is what a node gives out as it likes: ids (of clients, nodes, databases, statements, and
of the row inserted last), times (the heartbeat timeout), addresses, padding, and how rows are cut into
frames. Of a query that an INTERRUPT ended only the rows that both have are compared.

Rows are compared in order. Where two differ, the next `WINDOW` of both are searched for the place where they
go on alike, so that a row more or less is shown as one, and not as all that follow it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from dqlitewire import Message, messages
from dqlitewire.header import type_name
from dqlitewire.replay.difference import pair, shown_frame
from dqlitewire.replay.recorded import RecordedConnection
from dqlitewire.replay.sameness import decoded
from dqlitewire.text import printable
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.views.literals import fields_of, values
from dqlitewire.traffic.views.summary import summarise

__all__ = ["AnswerComparison"]

WINDOW = 64  # rows that are looked ahead
MAX_SEARCHES = 1000  # of one answer
MAX_LINES = 20  # that tell of one answer
_CELLS = 12  # of a row that are shown

Row = tuple[tuple[Any, ...], tuple[Any, ...]]  # values and types
_Fields = list[tuple[str, object]]


def _nothing(_: Any) -> _Fields:
    return []


def _all(message: Any) -> _Fields:
    return list(fields_of(message))


def _files(message: messages.FilesResponse) -> _Fields:
    # the head of a database file counts its changes and names the release; a WAL begins with random salts
    found: _Fields = []
    for name, data in message.files.items():
        is_log = name.endswith("-wal")
        found.append((f"bytes of {'the WAL' if is_log else 'the database'}", len(data)))
        if not is_log:
            found.append(("database", data[_HEAD:]))
    return found


_HEAD = 100  # bytes of an SQLite file's own head
#: what is compared of an answer, where that is less than all its fields
_COMPARED: dict[type[Message], Callable[[Any], _Fields]] = {
    messages.WelcomeResponse: _nothing,
    messages.DbResponse: _nothing,
    messages.EmptyResponse: _nothing,
    messages.LeaderResponse: lambda m: [("leader", "known" if m.address else "unknown")],
    messages.ServersResponse: lambda m: [("roles", sorted(node.role.name.lower() for node in m.nodes))],
    messages.StmtResponse: lambda m: [("num_params", m.num_params), ("tail_offset", m.tail_offset)],
    messages.ResultResponse: lambda m: [("rows_affected", m.rows_affected)],
    messages.FilesResponse: _files,
}


class AnswerComparison:
    """The recorded answer to one request, and what comes in its place.

    Args:
        connection: where it was recorded.
        unit: the request.

    Attributes:
        lines: what differs, for people; the first `MAX_LINES` of them.
        differs: whether anything does.
    """

    def __init__(self, connection: RecordedConnection, unit: int) -> None:
        self.lines: list[str] = []
        self.differs: bool = False
        self._more = 0  # lines that are not kept
        self._connection = connection
        first, count = connection.first_answer[unit], connection.answer_count[unit]
        self._pieces = iter(range(first, first + count))
        self._interrupted = unit in connection.interrupted
        self._last: bytes | None = None  # the frame that ends the recorded answer, once it was read
        self._was: deque[Row] = deque()
        self._now: deque[Row] = deque()
        self._recorded = self._number = 0  # rows that were compared, of both sides
        self._searches = 0
        self._columns: tuple[str, ...] | None = None

    def rows(self, message: messages.RowsResponse, last: bool) -> None:
        """Take rows of the answer.

        Args:
            message: the frame.
            last: it is the last one.
        """
        if self._columns is None:
            self._begin(tuple(message.column_names))
        self._now.extend(zip(message.rows, map(tuple, message.row_types), strict=True))
        self._compare(last)
        if last:
            self._ended_with_rows()

    def answer(self, message: Message) -> None:
        """Take an answer that is one frame, or the FAILURE that ends rows.

        Args:
            message: the frame.
        """
        if self._now or self._columns is not None:
            self._compare(ended=True)
        self._pull(0)
        if self._interrupted and isinstance(message, messages.EmptyResponse):
            return
        recorded = self._last_frame()
        was = None if recorded is None else decoded(recorded, is_request=False)
        if was is None or type(was) is not type(message):
            shown = "rows" if recorded is None else shown_frame(recorded, is_request=False)
            self._tell(f"- {shown}", f"+ {_shown(message)}")
            return
        compared = _COMPARED.get(type(message), _all)
        self._fields(compared(was), compared(message))

    def failed(self, why: str) -> None:
        """Take that no answer came.

        Args:
            why: in words.
        """
        recorded = self._last_frame()
        shown = "rows" if recorded is None else shown_frame(recorded, is_request=False)
        self._tell(f"- {shown}", f"+ {why}")

    def finished(self) -> list[str]:
        """Return the lines, once all has come."""
        if self._more:
            return [*self.lines, f"… {counted(self._more, 'more line')}"]
        return self.lines

    # ------------------------------------------------------------------ the recorded side

    def _pull(self, wanted: int) -> None:
        """Read recorded frames until so many rows wait, or the last frame was read."""
        while len(self._was) <= wanted and self._last is None:
            piece = next(self._pieces, None)
            if piece is None:
                self._last = b""
                return
            frame = self._connection.answers[piece].data
            match decoded(frame, is_request=False):
                case messages.RowsResponse() as rows:
                    if self._columns is None:
                        self._columns = tuple(rows.column_names)
                    self._was.extend(zip(rows.rows, map(tuple, rows.row_types), strict=True))
                case _:
                    self._last = frame

    def _last_frame(self) -> bytes | None:
        """The frame that ends the recorded answer; None if rows do."""
        while self._last is None:
            self._was.clear()
            self._pull(0)
        return self._last or None

    def _begin(self, names: tuple[str, ...]) -> None:
        self._pull(0)
        if self._columns is None:
            self._columns = names
        elif self._columns != names:
            self._fields([("columns", list(self._columns))], [("columns", list(names))])

    # ------------------------------------------------------------------ rows

    def _compare(self, ended: bool) -> None:
        was, now = self._was, self._now
        while len(now) > (0 if ended else WINDOW):
            self._pull(WINDOW)
            if not was:  # no row more was recorded; they are not kept
                self._rows_differ(0, 0 if self._interrupted else len(now))
                now.clear()
                break
            if was[0] == now[0]:
                was.popleft()
                now.popleft()
                self._recorded += 1
                self._number += 1
                continue
            fewer, more = self._resync()
            self._rows_differ(fewer, more)

    def _resync(self) -> tuple[int, int]:
        """How many rows of both sides stand in front of the next that are alike."""
        self._searches += 1
        if self._searches > MAX_SEARCHES:
            return 1, 1
        places: dict[Row, int] = {}
        for place, row in enumerate(islice(self._was, WINDOW)):
            places.setdefault(row, place)
        best: tuple[int, int] | None = None
        for other, row in enumerate(islice(self._now, WINDOW)):
            place = places.get(row, -1)
            if place >= 0 and (best is None or place + other < sum(best)):
                best = (place, other)
        return best or (1, 1)

    def _rows_differ(self, fewer: int, more: int) -> None:
        for _ in range(fewer):
            self._recorded += 1
            self._tell(f"- row {self._recorded} {_shown_row(self._was.popleft())}")
        for _ in range(more):
            self._number += 1
            self._tell(f"+ row {self._number} {_shown_row(self._now.popleft())}")

    def _ended_with_rows(self) -> None:
        if self._interrupted:
            return
        self._rows_differ(0, len(self._now))
        while True:
            self._pull(0)
            if not self._was:
                break
            self._rows_differ(len(self._was), 0)
        if self._last:
            ended = f"+ ROWS  {counted(self._number, 'row')}, and no more"
            self._tell(f"- {shown_frame(self._last, is_request=False)}", ended)

    # ------------------------------------------------------------------ words

    def _fields(self, was: _Fields, now: _Fields) -> None:
        names = [name for name, _ in was]
        if names != [name for name, _ in now]:
            self._tell(*pair("what is there", names, [name for name, _ in now]))
            return
        for (name, before), (_, after) in zip(was, now, strict=True):
            if before != after or type(before) is not type(after):
                self._tell(*pair(name, before, after))

    def _tell(self, *lines: str) -> None:
        self.differs = True
        room = max(0, MAX_LINES - len(self.lines))
        self.lines += map(printable, lines[:room])
        self._more += len(lines[room:])


def _shown_row(row: Row) -> str:
    return values(row[0], _CELLS)


def _shown(message: Message) -> str:
    return f"{type_name(message.MSG_TYPE, False)}  {summarise(message, 100)}".rstrip()
