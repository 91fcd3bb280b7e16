"""Bytes of a stream that were lost on the way to the observer.

How much a loss costs depends on where it begins, and on whether its size is known:

    in front of a frame that is whole, as the caller says     nothing
    inside the rest of a large frame, which is not kept       its tail
    inside a frame or message, all of it                      that frame: what there is comes out "damaged"
    anywhere else, or of unknown size                         what waits is garbage, and a place is looked for

The third needs a word. Of a frame whose header has come it is known how many bytes are missing. If the loss
is not larger, what follows it is the rest of that frame, which is passed over as garbage up to its end:

    | header, some of it |  lost  |  rest  | next frame
    |                    |-- missing ------|
    | comes out damaged  |  Gap   | DAMAGED: garbage
"""

from __future__ import annotations

from .stream import State, Stream
from .stream_events import Gap

__all__ = ["note_loss"]


def note_loss(stream: Stream, size: int | None, time: float, whole_frames: bool, unkept: bytes) -> None:
    """Note that bytes of a stream were lost.

    Args:
        stream: whose.
        size: how many, None if that is not known.
        time: when that was noticed.
        whole_frames: the next byte begins what it would begin without the loss.
        unkept: the last bytes of a large frame, if its rest is what is missing.
    """
    waiting = stream.waiting
    if whole_frames and not waiting.have and stream.state is not State.DAMAGED:
        _gap(stream, size, time)
        stream.lossy = True
        return
    if stream.large is not None and _spares(stream, size, time, unkept):
        return
    waiting.open()
    missing = stream.missing()
    inside = size is not None and 0 < size <= missing
    if waiting.rest:
        stream.give_up(as_frame=inside)
    waiting.close()
    waiting.time = time
    _gap(stream, size, time)
    stream.resync.miss(size or 0)
    if stream.state is State.OPAQUE:
        return
    if inside and size is not None:
        stream.lossy = True
        stream.pass_damaged(missing - size)
    else:
        stream.lose()


def _spares(stream: Stream, size: int | None, time: float, unkept: bytes) -> bool:
    """Lose bytes of a large frame that would not have been kept; False if more is lost than those."""
    large = stream.large
    assert large is not None
    if size is None or size > large.left:
        stream.end_large()
        return False
    if unkept and size == large.left:
        large.miss(size)
        large.add(0, unkept, time)
        stream.waiting.count(size)
        stream.end_large()
        return True
    stream.lossy = True
    large.miss(size)
    if not large.left:
        stream.end_large()
    _gap(stream, size, time)
    return True


def _gap(stream: Stream, size: int | None, time: float) -> None:
    stream.emit(Gap(stream.side, stream.waiting.offset, size, time))
    stream.waiting.count(size or 0)
