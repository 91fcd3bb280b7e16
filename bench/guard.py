"""What the mark of the single owner costs a call: a guarded method beside the same method without its guard.

Both are called alike, as functions, on objects of their own that get the same frames: the difference is the
guard. `feed` and `decode` take the mark in their own body, which saves the second call; they have nothing to
stand beside.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.candidates import OURS, Codec
from bench.measure import Run, Trial
from bench.small import batch

BARE = "unguarded"
METHODS = (("MessageDecoder", "take_frame"), ("ReadBuffer", "read_message"))


def trials(codec: Codec) -> Iterator[Trial]:
    """One for each guarded method on a frame's way."""
    _, _, packed = batch("RESULT")
    stream = b"".join(packed)

    def build(owner: Any, method: Any) -> Run:
        target = owner()

        def run() -> list[Any]:
            target.feed(stream)
            return [method(target) for _ in packed]

        return run

    def check(name: str, result: Any) -> None:
        assert result == packed, f"{name}: other frames than were fed"

    for class_name, name in METHODS:
        owner = getattr(codec.wire, class_name)
        method = getattr(owner, name)
        runs = {OURS: build(owner, method), BARE: build(owner, method.__wrapped__)}
        yield Trial(len(packed), runs, check)
