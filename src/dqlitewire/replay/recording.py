"""A recording in the form in which it is played: what each client said, and what it was told when.

Transcripts may be larger than memory, and connections are interleaved in them. So they are read once, from
front to back; the bytes go to a temporary file without a name, and only positions are kept, in arrays: about
a hundred bytes for each frame, however large it is.

    requests   unit 0      unit 1     unit 2         what one client sent, cut where frames end
               handshake   LEADER     OPEN
    answers         piece 0   piece 1                what it was told
                    LEADER    DB
                    gate 2    gate 3                 how many units must have come before it is said

The gate of a piece. An answer is said once its request has come, not once all has come that was recorded
before it: a client that sent three requests at once may wait for each answer when it is run again. An
INTERRUPT is the exception: what the server said of a query behind the INTERRUPT that ended it is kept until
the INTERRUPT has come, or the client would have no reason to send it. A client never knows more than what
passed before, so an answer that is said where it was recorded, or as soon as it may be, is never too late.
What belongs to no request (an HTTP answer, bytes that are no frame, the end) is said where it was recorded.

Two views. A proxy that spoiled frames has recorded what came and what went on. The client's view is what one
client sent and was told; the node's view what a node got and answered. Without faults the two are the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from dqlitewire.replay.recorded import Moment, RecordedConnection
from dqlitewire.replay.tracks import Spool
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.sources.pieces import Connection
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.sources.transcript_parts import open_recording
from dqlitewire.traffic.sources.transcript_reader import View

__all__ = ["Recording", "View"]


class Recording:
    """All recorded connections of some transcripts, to be played.

    Attributes:
        connections: those that can be played, in the order of their first appearance.
        left_out: those that cannot; `problem` says why.
        moments: requests, the ends of their answers and of connections, in the order in which they passed.
        notes: what a reader should know, in words.
        addresses: all addresses of nodes that it names.
    """

    def __init__(self) -> None:
        self._spool = Spool()
        self.connections: list[RecordedConnection] = []
        self.left_out: list[RecordedConnection] = []
        self.moments: list[Moment] = []
        self.notes: list[str] = []
        self.addresses: set[str] = set()

    @classmethod
    def load(cls, paths: Iterable[str | os.PathLike[str]], view: View = View.CLIENT) -> Recording:
        """Read transcripts, one behind the other.

        Args:
            paths: the files; the parts of one recording are put in their order, "-" is standard input.
            view: whose view to play.

        Raises:
            SourceError: one cannot be read, is no transcript, or is redacted; or nothing can be played.
        """
        recording = cls()
        try:
            with open_recording(paths, view) as source:
                for input in source.inputs:
                    if _is_redacted(input.head()):
                        hint = "what clients said is not in it; record it without --redact"
                        raise SourceError(f"{input.name}: redacted", hint)
                recording._read(source)
            recording._finish()
        except BaseException:
            recording.close()
            raise
        return recording

    def _read(self, source: Source) -> None:
        found: dict[Connection, RecordedConnection] = {}
        for piece in source.pieces():
            known = found.get(piece.connection)
            if known is None:
                known = RecordedConnection(piece.connection, self._spool)
                found[piece.connection] = known
                self.connections.append(known)
            known.take(piece, self.moments)
        for connection in self.connections:
            connection.finish(self.moments)
        self.notes += [f"{source.name}: {note}" for note in source.notes]

    def _finish(self) -> None:
        self._spool.flush()
        for connection in self.connections:
            if connection.problem:
                self.left_out.append(connection)
                self.notes.append(f"{connection.name} is left out: {connection.problem}")
            else:
                self.addresses |= connection.addresses
                if connection.server:
                    self.addresses.add(connection.server)
                if connection.cut:
                    count = counted(connection.requests_from(0), "request")
                    self.notes.append(f"{connection.name} is played in part ({count}): {connection.cut}")
        self.addresses.discard("")
        if self.left_out:
            self.connections = [one for one in self.connections if not one.problem]
            self.moments = [moment for moment in self.moments if not moment.connection.problem]
        if not self.connections:
            raise SourceError("nothing to replay", "; ".join(self.notes) or "no connection was recorded")

    @property
    def closed(self) -> bool:
        """Whether what was held on disk is gone."""
        return self._spool.closed

    def close(self) -> None:
        """Drop what is held on disk."""
        self._spool.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_redacted(head: bytes) -> bool:
    try:
        header: object = json.loads(head.partition(b"\n")[0])
    except ValueError:
        return False  # its reader will tell
    return isinstance(header, dict) and header.get("redacted") is True  # pyright: ignore[reportUnknownMemberType]
