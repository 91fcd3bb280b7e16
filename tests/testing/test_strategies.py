"""The strategies cover every declared message, and what they draw comes back equal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import decode_message
from dqlitewire.codec import REQUEST_TYPES, RESPONSE_TYPES
from dqlitewire.messages import ConnectRequest, HeartbeatRequest
from dqlitewire.messages.base import Message
from dqlitewire.testing import strategies

TOOLS_ONLY = {HeartbeatRequest, ConnectRequest}


def test_every_message_is_covered() -> None:
    assert set(strategies.REQUESTS) == set(REQUEST_TYPES.values()) | TOOLS_ONLY
    assert set(strategies.RESPONSES) == set(RESPONSE_TYPES.values())


@pytest.mark.parametrize("cls", [*strategies.REQUESTS, *strategies.RESPONSES], ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_drawn_messages_come_back(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(strategies.messages(cls))
    frame = message.encode()
    assert type(message) is cls
    if cls in TOOLS_ONLY:
        assert cls.decode_body(frame[8:]) == message
    else:
        assert decode_message(frame, is_request=cls in strategies.REQUESTS) == message


@given(strategies.frames(strategies.requests() | strategies.responses()))
def test_frames_are_whole(frame: bytes) -> None:
    assert len(frame) == 8 + 8 * int.from_bytes(frame[:4], "little")
