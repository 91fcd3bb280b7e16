"""What the mark of the single owner costs a call.

`feed` and `decode`, which are called for each frame, stand beside the methods that their guards were made
for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.candidates import OURS, Codec
from bench.measure import Run, Trial
from bench.small import batch

BARE = "unguarded"


def trials(codec: Codec) -> Iterator[Trial]:
    """One for feeding a frame, one for decoding it."""
    _, _, packed = batch("RESULT")
    owner = codec.wire.MessageDecoder
    bare_feed, bare_decode = owner.feed.__wrapped__, owner.decode.__wrapped__

    def feeding(method: Any) -> Run:
        def run() -> list[Any]:
            target = owner()
            for frame in packed:
                method(target, frame)
            return [target.take_frame() for _ in packed]

        return run

    def decoding(method: Any) -> Run:
        stream = b"".join(packed)

        def run() -> list[Any]:
            target = owner()
            target.feed(stream)
            return [method(target).encode() for _ in packed]

        return run

    def check(name: str, result: Any) -> None:
        assert result == packed, f"{name}: other frames than were fed"

    yield Trial(len(packed), {OURS: feeding(owner.feed), BARE: feeding(bare_feed)}, check)
    yield Trial(len(packed), {OURS: decoding(owner.decode), BARE: decoding(bare_decode)}, check)
