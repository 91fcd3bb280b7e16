"""Whether the origins that vectors claim are true: what recordings hold, what nodes accept and answer.

A claim names servers by their kind. "recorded": the frame stands in a recording of `captures/` with each of
these servers and with no other. "accepted": a node that was brought there by the steps of `after` gives the
request an answer that its declaration names, which is no FAILURE. "answered": the answer to the last of some
steps has the frame. A step is a request's name, and its fields in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from dqlitewire import RequestType, encode_message
from dqlitewire.messages import REGISTRY
from tests.real.raw import HANDSHAKE, HANDSHAKE_LEGACY, RawConnection
from tests.wire_data import REQUESTS, Malformed, Vector, captures, cell

__all__ = ["accepted", "answered", "claim", "recorded"]

FAILURE, ROWS = 0, 7


def claim(vector: Vector | Malformed, how: str) -> dict[str, Any] | None:
    """What a vector claims of this kind."""
    return next((origin for origin in vector.origin if origin["how"] == how), None)


@cache
def _recorded_frames() -> dict[tuple[str, bytes], list[str]]:
    """The servers by direction and frame, in the order of the recordings."""
    found: dict[tuple[str, bytes], list[str]] = {}
    for capture in captures():
        seen = [("handshake", capture.c2s[:8])]
        for side, stream in (("request", capture.c2s), ("response", capture.s2c)):
            for offset, _, _, size in capture.entry[f"{side}_frames"]:
                seen.append((side, stream[offset : offset + 8 + size]))
        for key in seen:
            servers = found.setdefault(key, [])
            if capture.server not in servers:
                servers.append(capture.server)
    return found


def recorded(direction: str, data: bytes) -> list[str]:
    """The servers to or from which this frame was recorded."""
    return _recorded_frames().get((direction, data), [])


def step_bytes(step: Sequence[Any]) -> bytes:
    """The frame of a step."""
    name, *fields = step
    values = [[cell(one)[0] for one in value] if type(value) is list else value for value in fields]
    return encode_message(REQUESTS[RequestType[name]](*values))


def _answer(connection: RawConnection, data: bytes) -> list[bytes]:
    """All frames of the answer to a request."""
    connection.send(data)
    frames = [connection.frame()]
    while frames[-1].kind == ROWS and frames[-1].whole.endswith(b"\xee" * 8):
        frames.append(connection.frame())
    return [frame.whole for frame in frames]


def answered(address: str, steps: Sequence[Sequence[Any]], legacy: bool = False) -> list[bytes]:
    """The frames of the answer to the last of some steps, the others having succeeded."""
    handshake = HANDSHAKE_LEGACY if legacy else HANDSHAKE
    with RawConnection(address, handshake, timeout=60) as connection:
        frames: list[bytes] = []
        for number, step in enumerate(steps):
            frames = _answer(connection, step_bytes(step))
            failed = frames[0][4] == FAILURE and number < len(steps) - 1
            assert not failed, f"{step}: {frames[0]!r}"
        return frames


def accepted(address: str, steps: Sequence[Sequence[Any]], request: bytes) -> bool:
    """Whether a request, behind some steps, is answered as its declaration says and not with FAILURE."""
    with RawConnection(address, timeout=60) as connection:
        for step in steps:
            frame = _answer(connection, step_bytes(step))[0]
            assert frame[4] != FAILURE, f"{step}: {frame!r}"
        answer = _answer(connection, request)[0]
        return answer[4] in REGISTRY[(True, request[4])].ANSWERS
