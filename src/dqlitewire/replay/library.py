"""Recorded requests by what they say, for a client that asks in any order.

Equal requests are kept in the order of the recording. One that comes is answered as the first that has not
been asked yet; when all have been, as the last.
"""

from __future__ import annotations

import difflib
from typing import NamedTuple

from dqlitewire.constants import RequestType
from dqlitewire.replay.difference import shown_frame
from dqlitewire.replay.recorded import RecordedConnection
from dqlitewire.replay.recording import Recording
from dqlitewire.replay.sameness import key_of, same_http
from dqlitewire.replay.tracks import Kind

__all__ = ["Library", "Place"]

MAX_COMPARED = 200  # recorded requests that one is compared with, to find the nearest


class Place(NamedTuple):
    """Where a recorded request stands."""

    connection: RecordedConnection
    unit: int


class Library:
    """The requests of a recording.

    Args:
        recording: they are read once, and their places kept.

    Attributes:
        longest: bytes of the longest request.
    """

    def __init__(self, recording: Recording) -> None:
        self._places: dict[bytes, list[Place]] = {}
        self._asked: dict[bytes, int] = {}
        self._http: list[Place] = []
        self.longest: int = 0
        for connection in recording.connections:
            for unit in range(connection.needed):
                self._add(Place(connection, unit))
        self.left: int = sum(map(len, self._places.values()))

    def _add(self, place: Place) -> None:
        connection, unit = place
        kind = connection.requests.kind(unit)
        if kind == Kind.HTTP:
            self._http.append(place)
        elif kind == Kind.FRAME:
            frame = connection.requests[unit].data
            key = _with_version(key_of(frame, connection.texts.get(unit)), frame, connection.version)
            self._places.setdefault(key, []).append(place)
            self.longest = max(self.longest, len(frame))

    def next(self, key: bytes, frame: bytes, version: int) -> Place | None:
        """Find the recorded request that one is answered as.

        Args:
            key: of the request.
            frame: the request.
            version: of the client's handshake.

        Returns:
            None if none is equal.
        """
        key = _with_version(key, frame, version)
        places = self._places.get(key)
        if places is None:
            return None
        asked = self._asked.get(key, 0)
        self._asked[key] = asked + 1
        if asked < len(places):
            self.left -= 1
        return places[min(asked, len(places) - 1)]

    def unasked(self, most: int) -> list[str]:
        """Return recorded requests that were not asked for, in words.

        Args:
            most: how many are named.
        """
        left = [place for key, places in self._places.items() for place in places[self._asked.get(key, 0) :]]
        return [
            f"{connection.name}: {shown_frame(connection.requests[unit].data)}"
            for connection, unit in left[:most]
        ]

    def http_answer(self, head: bytes) -> bytes | None:
        """Return what an HTTP request was answered; None if it was not recorded."""
        for connection, unit in self._http:
            if same_http(connection.requests[unit].data, head) and len(connection.answers):
                return connection.answers[0].data
        return None

    def nearest(self, frame: bytes) -> bytes | None:
        """Return the recorded request of the same type that looks most like one; None if there is none."""
        wanted = shown_frame(frame, width=1000)
        best: tuple[float, bytes] | None = None
        compared = 0
        for places in self._places.values():
            connection, unit = places[0]
            recorded = connection.requests[unit].data
            if recorded[4] != frame[4] or compared >= MAX_COMPARED:
                continue
            compared += 1
            likeness = difflib.SequenceMatcher(None, wanted, shown_frame(recorded, width=1000)).ratio()
            if best is None or likeness > best[0]:
                best = likeness, recorded
        return None if best is None else best[1]


def _with_version(key: bytes, frame: bytes, version: int) -> bytes:
    # the answer to LEADER has another form for each handshake
    return key + version.to_bytes(8, "little") if frame[4] == RequestType.LEADER else key
