"""The error of order: an answer that its request cannot get."""

from __future__ import annotations

from ..exceptions import StreamError
from ..header import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .table import Place

__all__ = ["WrongAnswerError", "wrong_answer"]


class WrongAnswerError(StreamError):
    """An answer that its request cannot get.

    Attributes:
        request: what was asked, None if nothing was.
        allowed: the names of the answers allowed, joined by "or".
        request_frame: the request as it was sent, None if nothing was asked.
        answer_frame: the answer as it came, or was to be sent.
    """

    request: Any = None
    allowed = "nothing"
    request_frame: bytes | None = None
    answer_frame = b""


def wrong_answer(
    answer_frame: bytes, place: Place | None, request: Any, request_frame: bytes | None
) -> WrongAnswerError:
    """Make the error for an answer that does not fit where the request stands.

    Args:
        answer_frame: the answer.
        place: where the request stands, None if nothing was asked.
        request: the request, as the error shall show it.
        request_frame: the request as it was sent, None if nothing was asked.
    """
    schema = f" schema {answer_frame[5]}" if answer_frame[5] else ""
    asked = "no request" if request_frame is None else type_name(request_frame[4], True)
    allowed = "nothing" if place is None else place.allowed
    error = WrongAnswerError(
        f"{asked} answered by {type_name(answer_frame[4], False)}{schema}, allowed {allowed}"
    )
    error.allowed = allowed
    error.request = request
    error.request_frame = request_frame
    error.answer_frame = answer_frame
    return error
