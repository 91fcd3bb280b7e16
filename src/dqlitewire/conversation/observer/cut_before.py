"""Bytes of which another reader has said what they are, as a recording has them.

A recording may have been redacted, so that its bytes no longer tell what they were; then the word of the
reader that saw them counts. It is believed where it cannot be wrong in a way that would mislead: the bytes
have the size that such a thing has, nothing waits that they would have to be joined to, and such a thing may
stand where the stream is. All else is read as any bytes are.
"""

from __future__ import annotations

from ...constants import HEADER_SIZE
from ...header import frame_size_at
from ..events import Side
from .exchange import Frame
from .large import LARGE_HEAD
from .opening import HANDSHAKE_SIZE
from .raft_frame import RaftFrame
from .raft_stream import is_message
from .stream import State, Stream
from .stream_events import OPAQUES, PREAMBLES, RAFT_KINDS, Garbage, Opaque, Preamble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...exceptions import DecodeError

__all__ = ["believes", "take_cut"]


def believes(stream: Stream, kind: str, data: bytes) -> bool:
    """Tell whether bytes can be what they are said to be, here.

    Args:
        stream: whose they are.
        kind: one of `stream_events.CUT_KINDS`.
        data: the bytes.
    """
    if stream.waiting.have or stream.large is not None or stream.left_over:
        return False
    return _may_stand(stream, kind) and _has_form(stream, kind, data)


def _may_stand(stream: Stream, kind: str) -> bool:
    if kind in RAFT_KINDS or kind.endswith("handshake"):
        return stream.side is Side.CLIENT and (kind in RAFT_KINDS or not stream.follows_raft)
    if stream.follows_raft:
        return kind in ("garbage", "rest")
    if stream.state is State.OPAQUE:
        # frames behind an HTTP answer: it did upgrade, though it may be redacted
        return kind in OPAQUES or (stream.opaque_kind == "http" and kind.endswith("frame"))
    return True


def _has_form(stream: Stream, kind: str, data: bytes) -> bool:
    match kind:
        case "frame":
            size = frame_size_at(data)
            is_head = len(data) == LARGE_HEAD and size > stream.max_size
            return is_head or HEADER_SIZE < len(data) == size <= stream.max_size
        case "damaged frame":
            return HEADER_SIZE <= len(data) < frame_size_at(data)
        case "raft message" | "damaged raft message":
            return is_message(data, whole=kind == "raft message")
        case "handshake" | "legacy handshake" | "unknown handshake":
            return len(data) == HANDSHAKE_SIZE
        case _:
            return True


def take_cut(
    stream: Stream, kind: str, data: bytes, start: float, end: float, refusal: DecodeError | None
) -> None:
    """Take bytes that are what they are said to be, and emit that.

    Args:
        stream: whose they are.
        kind: one of `stream_events.CUT_KINDS`.
        data: the bytes.
        start: when the first of them came.
        end: when the last of them came.
        refusal: why a frame or message does not decode, None if its bytes tell.
    """
    waiting = stream.waiting
    waiting.time = end
    if kind == "rest":
        stream.left_over = data
        return
    bytes_ = stream.side, waiting.offset, data, start, end
    waiting.count(len(data))
    match kind:
        case "frame" | "damaged frame":
            _take_frame(stream, Frame(*bytes_, stream.reader), kind == "frame", refusal)
        case "raft message" | "damaged raft message":
            message = RaftFrame(*bytes_, stream.limits)
            message.damaged = kind != "raft message"
            if refusal is not None:
                message.refuse(refusal)
            stream.follow_raft()
            stream.emit(message)
        case "garbage":
            if stream.state is State.DAMAGED:
                stream.pass_damaged(max(0, stream.damaged_left - len(data)))
            else:
                stream.lose()
            stream.emit(Garbage(*bytes_))
        case _ if kind in PREAMBLES or (kind == "tls" and stream.state is State.START):
            preamble = Preamble(*bytes_, kind)
            stream.begin_behind(preamble)
            stream.emit(preamble)
        case _:
            stream.make_opaque(kind)
            stream.emit(Opaque(*bytes_, kind))


def _take_frame(stream: Stream, frame: Frame, whole: bool, refusal: DecodeError | None) -> None:
    stream.expect_frames()
    frame.damaged = not whole
    if refusal is not None:
        frame.refuse(refusal)
    size = frame_size_at(frame.data)
    if whole and size > len(frame.data):
        stream.begin_large(frame, size)
    else:
        stream.emit(frame)
