"""What the recorded servers refused requests with (tests/captures)."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from dqlitewire import RequestType, ResponseType, decode_message
from dqlitewire.servers.releases import RELEASES
from tests.wire_data import captures, frames

__all__ = ["Refused", "refused", "servers_of"]

SHORT = 60  # characters of a text that are shown


class Refused(NamedTuple):
    """A FAILURE that a request got.

    Attributes:
        code: of the FAILURE.
        text: its message, cut.
        request: what was asked.
    """

    code: int
    text: str
    request: RequestType


@functools.cache
def refused() -> dict[Refused, set[str]]:
    """Return every refusal of a request that the protocol has, with the servers that it is from."""
    found: dict[Refused, set[str]] = {}
    for capture in captures():
        for step in capture.steps:
            asked = frames(step.request)
            if len(asked) != 1 or asked[0][4] not in [*RequestType]:
                continue
            for frame in frames(step.answer):
                if frame[4] == ResponseType.FAILURE:
                    failure: Any = decode_message(frame, is_request=False)
                    one = Refused(failure.code, _short(failure.message), RequestType(asked[0][4]))
                    found.setdefault(one, set()).add(capture.server)
    return found


def servers_of(servers: set[str]) -> str:
    """Return the names of some servers, for people.

    Args:
        servers: of those that were recorded.
    """
    return "all four" if servers == set(RELEASES) else ", ".join(one for one in RELEASES if one in servers)


def _short(text: str) -> str:
    return text if len(text) <= SHORT else text[:SHORT] + "…"
