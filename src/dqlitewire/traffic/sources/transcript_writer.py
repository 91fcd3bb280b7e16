"""Write transcripts (`.dqt`; `transcript` describes the format)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from dqlitewire.checks import checked_number, whole_bytes
from dqlitewire.conversation import Side
from dqlitewire.guard import Guarded, even_broken, guarded
from dqlitewire.text import kind_of, shown
from dqlitewire.traffic.sources.pieces import MAX_TIME, Connection
from dqlitewire.traffic.sources.transcript import DIRECTION_OF, b64encode, is_readable, json_line
from dqlitewire.traffic.sources.transcript_file import header_of, open_to_append, write_whole

__all__ = ["TranscriptWriter"]


class TranscriptWriter(Guarded):
    """Appends to a transcript; every line is written at once.

    After an interrupt or an error of the file its end is in doubt: the writer refuses further use. Another
    one, made for the same path, goes on behind it.

    Args:
        path: made with mode 0600 if it is not there.
        by: the name of the program that writes.
        redacted: whether values were hidden before the bytes came here.
        append: continue a file that is there.
        settled: what is written was cut by an observer, and is of the type that `fields` says: whoever reads
            it need not find that out again.
        picked: what is written was picked out of more, so that `fields` has what does not follow from it.

    Raises:
        FileExistsAlready: the file is there, and `append` is false; a SourceError.
        SourceError: the file cannot be written, or is no transcript of this version.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        by: str = "dqlite-wire",
        redacted: bool = False,
        *,
        append: bool = True,
        settled: bool = False,
        picked: bool = False,
    ) -> None:
        super().__init__()
        self._file = open_to_append(os.fspath(path), append)
        self._known: set[int] = set()
        try:
            header = {"by": by, "redacted": redacted, **({"settled": True} if settled else {})}
            if picked:
                header["picked"] = True
            write_whole(self._file, header_of(self._file, header))
        except BaseException:
            self._file.close()
            raise

    @guarded
    def frame(
        self,
        connection: Connection,
        side: Side,
        data: bytes | bytearray | memoryview,
        time: int | None,
        fields: Mapping[str, Any],
        *,
        last: int | None = None,
        sent: bytes | bytearray | memoryview | None = None,
    ) -> None:
        """Write bytes that passed: one whole frame, or what else a side sent.

        The first line of a connection is preceded by one that tells its endpoints.

        Args:
            connection: where they passed; its number tells connections apart in the file.
            side: who sent them.
            data: the bytes; those of one direction, joined in order, are its stream.
            time: when the first of them passed, in nanoseconds since 1970; None if unknown.
            fields: what they are, for people and for `grep`: "type" first, then "schema", "fields", "note",
                "error", as in `decode --json`. Of a line that would be too long, "fields" becomes null.
            last: when the last of them passed, if that is known to be later.
            sent: what went on instead, where a proxy changed them; where `data` is empty, what it made.

        Raises:
            TypeError: `data` is no bytes, `side` no Side, or `connection` no Connection.
            ValueError: a time below 0, or from 2**63.
            PoisonedError: an earlier call was interrupted, or failed at the file.
            OSError: the file takes no more.
        """
        keys: dict[str, Any] = {"direction": _direction(side), **fields, "bytes": _packed(data)}
        if sent is not None:
            keys["sent"] = _packed(sent)
        if last is not None and time is not None:
            last = checked_number("last", last, 0, MAX_TIME - 1)
        self._tell(connection, time, keys, last)

    @guarded
    def gap(self, connection: Connection, side: Side, size: int | None, time: int | None) -> None:
        """Write that bytes were lost.

        Args:
            connection: where.
            side: who sent them.
            size: how many; None if unknown.
            time: when, in nanoseconds since 1970; None if unknown.

        Raises:
            ValueError: a size below 0, or a time below 0 or from 2**63.
            PoisonedError: an earlier call was interrupted, or failed at the file.
        """
        if size is not None:
            size = checked_number("size", size, 0, kind="an integer or None")
        self._tell(connection, time, {"event": "gap", "direction": _direction(side), "lost": size})

    @guarded
    def fault(self, connection: Connection, kind: str, fault: int, on: str, time: int | None) -> None:
        """Write that a fault has struck.

        Args:
            connection: where.
            kind: its kind, as fault words name it.
            fault: its id, counted from 1 in the order of ordering.
            on: the name of the request that it selected.
            time: when, in nanoseconds since 1970; None if unknown.

        Raises:
            ValueError: an id below 0, or a time below 0 or from 2**63.
            PoisonedError: an earlier call was interrupted, or failed at the file.
        """
        fault = checked_number("fault", fault, 0)
        self._tell(connection, time, {"event": "fault", "kind": kind, "fault": fault, "on": on})

    @guarded
    def unanswered(self, connection: Connection, time: int | None, fields: Mapping[str, Any]) -> None:
        """Write that a request got no answer, where that does not follow from what else is written.

        Args:
            connection: where.
            time: when the request came, in nanoseconds since 1970; None if unknown.
            fields: what tells of the request.

        Raises:
            ValueError: a time below 0, or from 2**63.
            PoisonedError: an earlier call was interrupted, or failed at the file.
        """
        self._tell(connection, time, {"event": "unanswered", "direction": "request", **fields})

    @guarded
    def end(self, connection: Connection, side: Side, time: int | None) -> None:
        """Write that one side sends no more.

        Args:
            connection: where.
            side: which.
            time: when, in nanoseconds since 1970; None if unknown.

        Raises:
            ValueError: a time below 0, or from 2**63.
            PoisonedError: an earlier call was interrupted, or failed at the file.
        """
        self._tell(connection, time, {"event": "end", "direction": _direction(side)})

    @even_broken
    def close(self) -> None:
        """Close the file; once more does nothing."""
        self._file.close()

    def __enter__(self) -> TranscriptWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell(
        self, connection: Connection, time: int | None, fields: Mapping[str, Any], last: int | None = None
    ) -> None:
        if time is not None:
            time = checked_number("time", time, 0, MAX_TIME - 1)
        if not isinstance(connection, Connection):
            raise TypeError(f"got {kind_of(connection)}, a Connection is needed")
        number = connection.number
        line = json_line(time, {"connection": number, **fields}, last)
        if "fields" in fields and not is_readable(line.encode()):
            # they are for people only
            line = json_line(time, {"connection": number, **fields, "fields": None}, last)
        lines = [line]
        if number not in self._known:
            about = {
                "connection": number,
                "event": "open",
                "client": connection.client,
                "server": connection.server,
                "midstream": connection.midstream,
                "bare": connection.bare,
            }
            if connection.raft:
                about["raft"] = True
            if connection.alone:
                about["alone"] = True
            if connection.source:
                about["source"] = connection.source
            lines.insert(0, json_line(time, about))
        self._write("\n".join(lines))
        self._known.add(number)

    def _write(self, lines: str) -> None:
        write_whole(self._file, lines.encode() + b"\n")


def _packed(data: bytes | bytearray | memoryview) -> str:
    return b64encode(whole_bytes(data)).decode()


def _direction(side: Side) -> str:
    if not isinstance(side, Side):
        raise TypeError(f"got {shown(side)}, a Side is needed")
    return DIRECTION_OF[side]
