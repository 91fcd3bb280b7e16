"""Recordings beside tests: made once with a node, played ever after without one.

`dqlite_recording("name")` returns an address to connect to. What stands there depends on DQLITE_RECORD:

    replay   (or unset) a replay of `recordings/name.dqt`, in the folder of the test
    new      a proxy in front of the node at DQLITE_ADDRESS, which makes that file anew
    off      the node at DQLITE_ADDRESS itself

DQLITE_ADDRESS may name all nodes of a cluster, separated by commas, the one to connect to first: the client
must not be led past the proxy.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dqlitewire.text import shown
from dqlitewire.traffic.errors import SourceError

if TYPE_CHECKING:
    from dqlitewire.proxy.recording import Recorder

__all__ = ["RecordingError", "Recordings", "file_name"]

MODE, ADDRESS = "DQLITE_RECORD", "DQLITE_ADDRESS"
FOLDER, SUFFIX = "recordings", ".dqt"
MAX_NAME = 100  # characters of a file's name, without its ending
HOW = f"{MODE}=new {ADDRESS}=HOST:PORT pytest ... records it"
_NAMED = 20  # lines of what differs


class RecordingError(Exception):
    """A recording that cannot be made or played, or that a test did not follow; it ends the test in words."""


def file_name(name: str) -> str:
    """Return the file that keeps a recording.

    Whatever a name holds, the file is in its folder; different names have different files.

    Args:
        name: as the test calls it; that of a parametrised test may be its id.

    Raises:
        RecordingError: the name is no text, or empty.
    """
    if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise RecordingError(f"a recording needs a name, got {shown(name)}")
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:MAX_NAME]
    if safe != name:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        safe = f"{safe}-{digest[:8]}"
    return safe + SUFFIX


class Recordings:
    """The recordings of one test: call it with a name for an address.

    Args:
        folder: of the test.
        environment: where the mode and the node's address stand.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder / FOLDER
        self._mode = environment.get(MODE) or "replay"
        self._nodes = [one.strip() for one in environment.get(ADDRESS, "").split(",") if one.strip()]
        self._names: set[str] = set()
        self._problems: list[str] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        if self._problems:
            lines = self._problems[:_NAMED]
            if len(self._problems) > _NAMED:
                lines.append(f"and {len(self._problems) - _NAMED} lines more")
            raise RecordingError("\n".join(lines))

    def __call__(self, name: str, *, match: bool = False) -> str:
        """Return the address of a recording, or of what stands in its place.

        Args:
            name: of the recording, within the folder of the test.
            match: answer any recorded request, in any order and on any connection.

        Raises:
            RecordingError: it cannot be had; the text says what to do.
        """
        modes: dict[str, Callable[[Path, bool], str]] = {
            "replay": self._replayed,
            "new": self._recorded,
            "off": self._node,
        }
        path = self._folder / file_name(name)
        if self._mode not in modes:
            raise RecordingError(f"{MODE} is {shown(self._mode)}, one of {', '.join(modes)} is needed")
        if path.name in self._names:
            raise RecordingError(f"the recording {shown(name)} is used twice in one test")
        self._names.add(path.name)
        return modes[self._mode](path, match)

    def _replayed(self, path: Path, match: bool) -> str:
        from dqlitewire.replay.server import ReplayServer

        if not path.exists():
            raise RecordingError(f"{path} is not there: {HOW}")
        try:
            server = ReplayServer(path, match=match)
        except SourceError as error:
            raise RecordingError(f"{error}; {HOW} anew") from None
        self._stack.callback(self._check, path, server.problems)
        self._stack.callback(server.stop)
        return server.address

    def _check(self, path: Path, problems: list[str]) -> None:
        if problems:
            self._problems += [f"the test did not follow {path}:", *problems, f"{HOW} anew"]

    def _recorded(self, path: Path, match: bool) -> str:
        from dqlitewire.proxy import BlockingProxy, PairError
        from dqlitewire.proxy.recording import Recorder

        node = self._node(path, match)
        new = path.with_name(f".{path.name}.{os.getpid()}")
        pairs = [f"127.0.0.1:0={one}" for one in self._nodes]
        try:
            path.parent.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                new.unlink()  # of a session that was killed
            recorder = Recorder(new)
            self._stack.callback(self._keep, recorder, new, path)
            proxy = BlockingProxy(pairs, lookers=[recorder], faults=False)
            proxy.start()
        except PairError:
            raise RecordingError(f"{ADDRESS} is {shown(node)}, HOST:PORT is needed") from None
        except (OSError, SourceError) as error:
            raise RecordingError(f"cannot record {path}: {error}") from None
        self._stack.callback(proxy.stop)
        return proxy.addresses[0]

    def _keep(self, recorder: Recorder, new: Path, path: Path) -> None:
        from dqlitewire.replay.recording import Recording

        recorder.close()
        try:
            if recorder.failed:
                raise SourceError(recorder.failed)
            Recording.load([new]).close()  # it can be played
            new.replace(path)
        except (SourceError, OSError) as error:
            self._problems.append(f"{path} was not recorded: {error}")
            new.unlink(missing_ok=True)

    def _node(self, path: Path, match: bool) -> str:
        if not self._nodes:
            raise RecordingError(f"{MODE}={self._mode} needs {ADDRESS}, the HOST:PORT of a node")
        return self._nodes[0]
