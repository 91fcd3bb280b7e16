"""What both ways to play a recording to one client share, without I/O: its bytes in, the bytes to send out.

`InOrder` plays one recorded connection: each request must be the recorded one. `AnyOrder` answers any request
that was recorded, wherever it stands. A player never raises on what a client sends: what was not recorded
becomes `difference`, lines for people, and ends the connection.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from dqlitewire.constants import HEADER_SIZE, PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY
from dqlitewire.conversation.first_bytes import HTTP_END, HTTP_METHODS, MAX_HTTP_HEAD
from dqlitewire.dial.naming import with_addresses
from dqlitewire.header import frame_size_at
from dqlitewire.replay.tracks import Mapped, Unit
from dqlitewire.text import printable
from dqlitewire.traffic.shorten import counted

__all__ = ["Player", "first_line", "hexed", "lines_of"]

_SHOWN = 16
_VERSIONS = {Mapped.NAMED: PROTOCOL_VERSION, Mapped.LEGACY: PROTOCOL_VERSION_LEGACY}


class Player(ABC):
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
        self.heard: int = 0
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

    @abstractmethod
    def _say(self) -> Iterator[bytes]:
        """Yield what may be said by now."""

    @abstractmethod
    def _step(self) -> bool:
        """Take one unit of what waits; False if that needs more bytes, or is not possible."""

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


def hexed(data: bytes | bytearray) -> str:
    return f"{counted(len(data), 'byte')}: {data[:_SHOWN].hex(' ')}{' …' if len(data) > _SHOWN else ''}"


def lines_of(head: bytes) -> list[str]:
    return [printable(line.decode("latin-1")) for line in head.split(b"\r\n") if line]


def first_line(head: bytes) -> str:
    return "HTTP: " + lines_of(head)[0]
