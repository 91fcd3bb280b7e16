"""A recording served from a thread, for code that blocks: the tests of drivers."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from typing import Self

from dqlitewire.dial.listening import listen, parse_local
from dqlitewire.replay.recording import Recording
from dqlitewire.replay.serving import ReplayService

__all__ = ["ReplayServer"]

_LOOPBACK = "127.0.0.1:0"
_PATIENCE = 5.0  # seconds that stopping takes at most


class ReplayServer:
    """Serve recorded connections to clients, as the node did; no node is needed.

        with ReplayServer("session.dqt") as server:
            run_client(server.address)
        assert not server.problems

    Args:
        paths: of one transcript, or of several that follow each other.
        address: where to listen: HOST:PORT, [IPv6]:PORT, unix:PATH or @NAME; port 0 takes a free one.
        match: answer any recorded request, in any order and on any connection.

    Attributes:
        address: where clients connect.
        problems: lines that say what differed from the recording, or was left over; complete once stopped.
        notes: what a reader should know of the transcripts, such as connections that cannot be played.

    Raises:
        SourceError: a transcript cannot be read, or nothing in it can be played.
        AddressError: the address is none.
        OSError: it cannot listen there.
    """

    def __init__(
        self,
        paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        address: str = _LOOPBACK,
        *,
        match: bool = False,
    ) -> None:
        self.problems: list[str] = []
        wanted = parse_local(address)
        names = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
        self._recording = Recording.load(names)
        try:
            listener, where = listen(wanted)
        except BaseException:
            self._recording.close()
            raise
        self.notes: list[str] = list(self._recording.notes)
        self.address: str = str(where)
        self._service = ReplayService(self._recording, listener, where, match, self.problems.extend)
        self._thread = threading.Thread(target=self._run, name=f"replay at {where}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            asyncio.run(self._service.run())
        except Exception as error:  # a fault of ours: whoever looks at the problems shall see it
            self.problems.append(f"the replay itself failed: {error!r}")

    def join(self, timeout: float | None = None) -> None:
        """Wait until all was played and every client has left.

        Args:
            timeout: seconds to wait at most; None for as long as it takes.
        """
        self._thread.join(timeout)

    def stop(self) -> None:
        """Stop serving, and complete `problems`; once more does nothing."""
        self._service.stop()
        self._thread.join(_PATIENCE)
        if not self._recording.closed:
            self.problems += self._service.leftovers()
            self._recording.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
