"""Record what passes a proxy, in the step that forwards it.

    recorder.opened(0, "10.0.0.1:40001", "10.0.0.2:9001", now)
    recorder.passed(0, Side.CLIENT, data, now)          # bytes that go on as they came, cut anywhere
    recorder.changed(0, Side.SERVER, frame, b"", now)   # a whole frame that goes on otherwise, or not at all
    recorder.ended(0, None, now)

Each call writes, before it returns, the lines that its bytes complete. So a proxy that records first and
forwards then has on disk whatever was acknowledged, a process that is killed lacks at most the last frame of
each direction (the one that was not whole), and a slow disk slows the traffic instead of filling memory.
`docs/reference/transcript.md` specifies the lines.

A file that takes no more ends the recording and nothing else: `failed` says why, the line that was half
written is taken back, and all further calls do nothing. After construction no method raises.

Parts. With `max_size` the recording goes on in FILE.1.dqt, FILE.2.dqt and so on. Each part is a whole
transcript: behind its header stand again the connections that are open, with what a reader must know of them:

    {"dqt":1,"by":"dqlite-wire","redacted":false,"recording":"8f0c..","part":1}
    {"time":..,"connection":7,"event":"open",..,"repeated":true}
    {"time":..,"connection":7,"direction":"request","type":"HANDSHAKE","bytes":..,"repeated":true}
    {"time":..,"connection":7,"event":"gap","direction":"request","lost":null,..,"repeated":true}

A reader that has the part before skips what is repeated, one that begins here does not, and learns from the
gap that answers may come whose requests it has not seen. A part ends between frames.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from typing import Any

from dqlitewire.checks import checked_number
from dqlitewire.conversation import Side
from dqlitewire.traffic.errors import FileExistsAlready, SourceError
from dqlitewire.traffic.sources.transcript import DIRECTION_OF, b64encode, json_line, seconds
from dqlitewire.traffic.sources.transcript_cut import PIECE, Cut, Streams
from dqlitewire.traffic.sources.transcript_file import header_of, open_to_append, part_name, write_whole

__all__ = ["Recorder", "size_in_bytes"]

_END = b'"}\n'
_AT_ONCE = 64 << 10  # bytes that are written in one go: more would be taken from the system each time
_MOST_REPEATED = 16  # lines of a connection; more HTTP heads stand in front of no frame
_UNITS = {"": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size_in_bytes(text: str) -> int:
    """Return the bytes that a size means: a number with k, M or G behind it, or alone.

    Args:
        text: the size; k is 1024 bytes.

    Raises:
        ValueError: it is none, or 0.
    """
    found = re.fullmatch(r"(\d{1,15})([kMG]?)", text)
    if found is None or not int(found[1]):
        raise ValueError(f"size is {text!r:.40}, a number above 0 with k, M or G is needed")
    return int(found[1]) * _UNITS[found[2]]


class _Recorded:
    """A connection that is open: its streams, and the lines that a new part repeats of it."""

    def __init__(self, number: int, opened: bytes) -> None:
        self.streams = Streams()
        self.lines = [opened]
        self.frames = False  # frames were written, so that a reader of a new part lacks what was before
        self.ended: dict[Side, int] = {}
        # what stands between the time and the type of each line
        self.places = {
            side: f',"connection":{number},"direction":"{DIRECTION_OF[side]}"'.encode() for side in Side
        }


class Recorder:
    """Writes what passes into a transcript.

    Args:
        path: the file; made with mode 0600.
        append: continue a file that is there (the last part of it); else it is refused.
        max_size: bytes after which the next part is begun; None for one file. A part has at least as much new
            in it as is repeated, and no part ends inside a frame, so it may become larger.
        by: the name of the program that records.
        say: told once, in words, that the recording has ended because the file takes no more.

    Attributes:
        path: of the part that is written.
        failed: why nothing is recorded any more, in words; None while all is well.

    Raises:
        FileExistsAlready: the file is there, and `append` is false; a SourceError.
        SourceError: it cannot be written, or is no transcript.
        ValueError: `max_size` is below 1.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        append: bool = False,
        max_size: int | None = None,
        by: str = "dqlite-wire",
        say: Callable[[str], None] | None = None,
    ) -> None:
        if max_size is not None:
            max_size = checked_number("max_size", max_size, 1, kind="an integer or None")
        self.failed: str | None = None
        self._say = say
        self._first = os.fspath(path)
        self._number = _last_part(self._first)
        if self._number and not append:
            there = part_name(self._first, self._number)
            raise FileExistsAlready(f"{there}: there is such a file", "--append continues it")
        self.path: str = part_name(self._first, self._number)
        self._max = max_size
        self._header: dict[str, Any] = {
            "by": by,
            "redacted": False,
            "recording": secrets.token_hex(8),
            "part": 0,
        }
        self._open: dict[int, _Recorded] = {}
        self._inside: set[tuple[_Recorded, Side]] = set()  # streams whose last line ends inside of a frame
        self._done = False
        self._file = open_to_append(self.path, append)
        self._size = 0  # of the file
        self._repeated = self._new = 0  # bytes of this part: what stands in front of it, and what is new
        try:
            self._begin()
        except OSError as error:
            self._file.close()
            raise SourceError(f"{self.path}: {error.strerror}") from None
        except BaseException:
            self._file.close()
            raise

    def opened(self, connection: int, client: str, server: str, time: int) -> None:
        """Record that a connection was accepted.

        Args:
            connection: its number, which no other connection of the recording has.
            client: the client's endpoint, as text.
            server: the server's.
            time: when, in nanoseconds since 1970.
        """
        if not self._done:
            self._opened(connection, client, server, time)

    def passed(self, connection: int, side: Side, data: bytes, time: int) -> None:
        """Record bytes that go on as they came.

        Args:
            connection: where.
            side: who sent them.
            data: the bytes, cut anywhere.
            time: when they came, in nanoseconds since 1970.
        """
        if self._done or not data:
            return
        recorded = self._open.get(connection) or self._opened(connection, "", "", time)
        cuts = recorded.streams.take(side, data, time)
        if cuts:
            self._cuts(recorded, side, cuts)

    def changed(self, connection: int, side: Side, data: bytes, sent: bytes, time: int) -> None:
        """Record a whole frame that goes on otherwise.

        Args:
            connection: where.
            side: who sent it.
            data: the frame as it came; empty where the proxy answers in place of the server.
            sent: what goes on instead; empty where nothing does.
            time: when it came, in nanoseconds since 1970.
        """
        if data == sent:
            self.passed(connection, side, data, time)
            return
        if self._done:
            return
        recorded = self._open.get(connection) or self._opened(connection, "", "", time)
        if data and (waited := recorded.streams.skip(side, data)):
            self._cuts(recorded, side, waited)
        type = Streams.type_of(side, data or sent)
        last = max(len(data) - 1, 0) // PIECE * PIECE  # begins the last piece, which has what else was sent
        for at in range(0, last + 1, PIECE):
            cut = Cut(type, data[at : at + PIECE], time, time, more=at < last)
            on = sent[at : at + PIECE] if cut.more else sent[at:]
            self._write(_line(recorded.places[side], cut, None if on == cut.data else on))
            self._note_more(recorded, side, cut)
        recorded.frames = True

    def fault(self, connection: int, kind: str, fault: int, on: str, time: int) -> None:
        """Record that a fault has struck.

        Args:
            connection: where.
            kind: its kind, as fault words name it.
            fault: its id.
            on: the name of the request that it selected.
            time: when, in nanoseconds since 1970.
        """
        keys = {"connection": connection, "event": "fault", "kind": kind, "fault": fault, "on": on}
        self._event(time, keys)

    def ended(self, connection: int, side: Side | None, time: int) -> None:
        """Record that a side sends no more, or that the connection has ended.

        Args:
            connection: where.
            side: which; None for both.
            time: when, in nanoseconds since 1970.
        """
        recorded = self._open.get(connection)
        if self._done or recorded is None:
            return
        for ending in Side if side is None else (side,):
            if ending not in recorded.ended:
                if waited := recorded.streams.rest(ending):
                    self._cuts(recorded, ending, waited)
                self._inside.discard((recorded, ending))
                self._event(time, _end(connection, ending))
                recorded.ended[ending] = time
        if len(recorded.ended) == len(Side):
            del self._open[connection]

    def close(self) -> None:
        """Write what is not whole yet, and close the file; once more does nothing."""
        if not self._done:
            for recorded in self._open.values():
                for side in Side:
                    if waited := recorded.streams.rest(side):
                        self._cuts(recorded, side, waited)
            self._stop()

    def _opened(self, connection: int, client: str, server: str, time: int) -> _Recorded:
        keys = {
            "connection": connection,
            "event": "open",
            "client": client,
            "server": server,
            "midstream": False,
            "bare": False,
        }
        line = _json(time, keys)
        self._write(line)
        recorded = self._open[connection] = _Recorded(connection, line)
        return recorded

    def _cuts(self, recorded: _Recorded, side: Side, cuts: list[Cut]) -> None:
        place = recorded.places[side]
        if self._max is None:  # only then nobody asks again what was written
            self._write_all(place, cuts)
            return
        for cut in cuts:
            line = _line(place, cut)
            self._write(line)
            self._note_more(recorded, side, cut)
            if cut.preamble and len(recorded.lines) < _MOST_REPEATED:
                recorded.lines.append(line)
            else:
                recorded.frames = True

    def _write_all(self, place: bytes, cuts: list[Cut]) -> None:
        """Write lines together, those of equal beginnings without making these again."""
        parts: list[bytes] = []
        size, before, head = 0, None, b""
        for cut in cuts:
            if cut[0] != before or cut.first != cut.last:
                head = _head(place, cut)
                before = cut.type if cut.first == cut.last and cut.last == cuts[-1].last else None
            packed = b64encode(cut.data)
            parts += (head, packed, _END)
            size += len(packed)
            if size > _AT_ONCE:
                self._write(b"".join(parts))
                parts, size = [], 0
        if parts:
            self._write(b"".join(parts))

    def _note_more(self, recorded: _Recorded, side: Side, cut: Cut) -> None:
        if cut.more:
            self._inside.add((recorded, side))
        else:
            self._inside.discard((recorded, side))

    def _event(self, time: int, keys: dict[str, Any]) -> None:
        self._write(_json(time, keys))

    # ---------------------------------------------------------------- the file

    def _write(self, lines: bytes) -> None:
        if self._done:
            return
        try:
            if self._is_full(len(lines)):
                self._rotate()
            write_whole(self._file, lines)
            self._size += len(lines)
            self._new += len(lines)
        except (OSError, SourceError) as error:
            self.failed = f"{self.path}: {getattr(error, 'strerror', None) or error}"
            self._stop()
            if self._say is not None:
                self._say(f"{self.failed}; the recording ends here, the traffic goes on")

    def _is_full(self, more: int) -> bool:
        if self._max is None or self._inside or self._new <= self._repeated:
            return False
        return self._size + more > self._max

    def _rotate(self) -> None:
        file = self._file
        while True:
            self._number += 1
            path = part_name(self._first, self._number)
            try:
                self._file = open_to_append(path, append=False)
                break
            except FileExistsAlready:
                continue
        file.close()
        self.path = path
        self._header["part"] += 1
        self._begin()

    def _begin(self) -> None:
        """Write what stands in front of a part."""
        lines = [header_of(self._file, self._header)]
        for number, recorded in self._open.items():
            lines += map(_repeated, recorded.lines)
            if recorded.frames and not recorded.streams.raw:
                gap = {"connection": number, "event": "gap", "lost": None, "whole": True}
                lines += (_repeated(_json(None, {**gap, "direction": DIRECTION_OF[side]})) for side in Side)
            lines += (_repeated(_json(time, _end(number, side))) for side, time in recorded.ended.items())
        front = b"".join(lines)
        self._size, self._new, self._repeated = os.fstat(self._file.fileno()).st_size, 0, len(front)
        write_whole(self._file, front)
        self._size += len(front)

    def _stop(self) -> None:
        """Record no more; what was written of a last line that did not fit is taken back, if it can be."""
        self._done = True
        try:
            if os.fstat(self._file.fileno()).st_size > self._size:
                os.ftruncate(self._file.fileno(), self._size)
        except OSError:
            pass
        try:
            self._file.close()
        except OSError:
            pass


def _json(time: int | None, keys: dict[str, Any]) -> bytes:
    return json_line(time, keys).encode("utf-8", "backslashreplace") + b"\n"


def _line(place: bytes, cut: Cut, sent: bytes | None = None) -> bytes:
    """The line of some bytes. By hand: it stands in the path of the traffic, and nothing needs escaping."""
    packed = b64encode(cut.data)
    if sent is None:
        return b"".join((_head(place, cut), packed, _END))
    return b'%b%b","sent":"%b"}\n' % (_head(place, cut), packed, b64encode(sent))


def _head(place: bytes, cut: Cut) -> bytes:
    """What stands in front of the bytes on a line."""
    type, _, first, last, _, _ = cut
    named = f',"type":"{type}"' if type else ""
    until = f',"last":{seconds(last)}' if first != last else ""
    return b'{"time":%b%b%b,"bytes":"' % (seconds(first).encode(), place, (named + until).encode())


def _repeated(line: bytes) -> bytes:
    return line.rstrip(b"}\n") + b',"repeated":true}\n'


def _end(number: int, side: Side) -> dict[str, Any]:
    return {"connection": number, "event": "end", "direction": DIRECTION_OF[side]}


def _last_part(path: str) -> int:
    """The number of the last part that is there; 0 if there is one at most."""
    number = 0
    while os.path.lexists(part_name(path, number + 1)):
        number += 1
    return number
