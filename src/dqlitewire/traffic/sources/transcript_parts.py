"""Several transcripts as one source: the parts of a recording in their order, whichever way they are named.

A proxy that rotates its recording writes FILE.dqt, FILE.1.dqt, FILE.2.dqt. The header of each names the
recording and counts its parts, so `decode FILE*.dqt`, which a shell sorts by name, reads them in order, and
the connections go on from one part to the next.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence

from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.sources.inputs import Input, open_input
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.sources.transcript import MAX_HEADER, is_transcript
from dqlitewire.traffic.sources.transcript_reader import Part, View, pieces

__all__ = ["View", "open_recording", "parts_together"]

FORMAT = "dqt"


def open_recording(paths: Iterable[str | os.PathLike[str]], view: View = View.CAME) -> Source:
    """Open transcripts as one source.

    Args:
        paths: of the files; the parts of one recording are put in their order, "-" is standard input.
        view: whose traffic to read where a proxy has changed what passed. `View.CLIENT` is what the client
            sent and got, `View.NODE` what the node got and sent.

    Returns:
        A source whose connections go on from one part to the next; close it, or read it to its end.

    Raises:
        SourceError: one cannot be read, or is something else.
        ValueError: there is none.
    """
    names = [name for group in parts_together([os.fspath(path) for path in paths]) for name in group]
    if not names:
        raise ValueError("got no path, at least one is needed")
    inputs: list[Input] = []
    try:
        for name in names:
            inputs.append(open_input(name))
            if not is_transcript(inputs[-1].head()):
                raise SourceError(
                    f"{name}: no transcript", "make one: `dqlite-wire decode -w FILE.dqt SOURCE`"
                )
    except BaseException:
        for input in inputs:
            input.close()
        raise
    source = Source(
        " + ".join(input.name for input in inputs),
        FORMAT,
        lambda source: pieces(inputs, source.damage, view, several=len(inputs) > 1),
    )
    source.inputs = inputs
    return source


def parts_together(names: Sequence[str]) -> list[list[str]]:
    """Return names in groups: those of one recording's parts together, in order, any other one alone.

    Args:
        names: of sources, in the order in which they are to be read.
    """
    groups: list[list[str]] = []
    of: dict[str, tuple[list[str], dict[str, int]]] = {}
    for name in names:
        part = None if name == "-" or len(names) == 1 else part_of(name)
        if part is None:
            groups.append([name])
            continue
        if part.recording not in of or name in of[part.recording][1]:
            of[part.recording] = [], {}
            groups.append(of[part.recording][0])
        group, numbers = of[part.recording]
        group.append(name)
        numbers[name] = part.number
        group.sort(key=numbers.__getitem__)
    return groups


def part_of(name: str) -> Part | None:
    """Return which part of which recording a file is; None if it is none, or cannot be read.

    Args:
        name: of the file.
    """
    try:
        if not os.path.isfile(name):
            return None
        with open(name, "rb") as file:
            head = file.read(MAX_HEADER)
        line = json.loads(head.partition(b"\n")[0])
        recording, number = line["recording"], line["part"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return Part(recording, number) if isinstance(recording, str) and type(number) is int else None
