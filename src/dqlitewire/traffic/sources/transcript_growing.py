"""A recording that is followed while it is written: at the end of a part the next one is waited for.

A proxy that rotates its recording goes on in FILE.1.dqt behind FILE.dqt. That there is such a file does not
say that it goes on with this one: it may be left over from another recording. Its header tells which part of
which recording it is, and so did the last header of the part that is read (a file that was continued has
several).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from dqlitewire.traffic.sources.inputs import Input, open_input
from dqlitewire.traffic.sources.pieces import Piece
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.sources.transcript_file import part_name
from dqlitewire.traffic.sources.transcript_parts import part_of
from dqlitewire.traffic.sources.transcript_reader import Part, pieces

_NUMBERED = re.compile(r"(?P<stem>.*)\.(?P<number>[0-9]{1,9})(?P<suffix>\.[^./]*)", re.DOTALL)


def follow_recording(input: Input, more: Callable[[], bool], format: str) -> Source:
    """Return a recording as a source that goes on with the parts that come.

    Args:
        input: the part to begin with, a file.
        more: asked where nothing has come yet; true to read on (it should wait a little first).
        format: a word for what it is.
    """
    growing = _Growing(input, more)

    def read(source: Source) -> Iterator[Piece]:
        return pieces(growing.inputs(source), source.damage, begins=growing.begins)

    return Source(input.name, format, read)


class _Growing:
    """The parts of a recording, each opened when the one before is over."""

    def __init__(self, input: Input, more: Callable[[], bool]) -> None:
        self._input = input
        self._more = more
        self._part: Part | None = None
        self._next: str | None = None
        input.more = self._read_on

    def begins(self, part: Part | None) -> None:
        """Note which part is read."""
        self._part = part

    def inputs(self, source: Source) -> Iterator[Input]:
        """Yield the parts; each is read to its end before the next one is asked for."""
        yield self._input
        while self._next is not None:
            self._input.close()
            source.inputs.remove(self._input)
            self._input = open_input(self._next, self._more)
            source.inputs.append(self._input)
            self._input.more, self._next = self._read_on, None
            yield self._input

    def _read_on(self) -> bool:
        """Tell at the end of a part whether to read on in it: once more when the next one is there."""
        if self._next is not None:
            return False
        self._next = self._following()
        return self._next is not None or self._more()

    def _following(self) -> str | None:
        if self._part is None:
            return None
        wanted = Part(self._part.recording, self._part.number + 1)
        name = self._input.name
        found = _NUMBERED.fullmatch(name)
        names = [part_name(name, 1)]
        if found is not None:
            names.append(part_name(found["stem"] + found["suffix"], int(found["number"]) + 1))
        return next((name for name in names if part_of(name) == wanted), None)
