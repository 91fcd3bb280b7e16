"""Every declared message comes back from its bytes, and its bytes from the message."""

from __future__ import annotations

import copy
import pickle
import struct
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dqlitewire import (
    PROTOCOL_VERSION,
    PROTOCOL_VERSION_LEGACY,
    Message,
    MessageDecoder,
    ValueType,
    decode_message,
    encode_message,
)
from dqlitewire.codec import REQUEST_TYPES, RESPONSE_TYPES
from dqlitewire.messages import RowsResponse, ServersResponse
from dqlitewire.messages.requests import ConnectRequest, HeartbeatRequest
from dqlitewire.testing.strategies import messages, node_infos, rows_responses
from tests.wire_data import pieces

GATEWAY = [*REQUEST_TYPES.values(), *RESPONSE_TYPES.values()]
DECLARED = [*GATEWAY, HeartbeatRequest, ConnectRequest]
each_class = pytest.mark.parametrize("cls", DECLARED, ids=lambda cls: cls.__name__)
each_gateway_class = pytest.mark.parametrize("cls", GATEWAY, ids=lambda cls: cls.__name__)


def check_same(found: Any, message: Any) -> None:
    assert found == message
    for field in message.FIELDS:
        if field.is_attribute and field.compared:
            assert repr(getattr(found, field.name)) == repr(getattr(message, field.name))


@each_class
@given(st.data())
def test_messages_come_back_from_their_bodies(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(cls))
    frame = message.encode()
    found = cls.decode_body(frame[8:], frame[5])
    check_same(found, message)
    assert found.encode() == frame
    assert message.encode_body() == frame[8:]


@each_class
@given(st.data())
def test_frames_are_whole_words_behind_their_header(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(cls))
    frame = message.encode()
    words, code, schema, extra = struct.unpack("<IBBH", frame[:8])
    assert (8 + 8 * words, code, extra) == (len(frame), cls.MSG_TYPE, 0)
    assert schema in cls.SCHEMAS


@each_gateway_class
@given(st.data())
def test_messages_come_back_from_their_frames(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(cls))
    frame = encode_message(message)
    found = decode_message(frame, cls.IS_REQUEST)
    check_same(found, message)
    assert encode_message(found) == frame


@each_gateway_class
@given(st.data())
def test_messages_come_back_from_streams(cls: type[Message], data: st.DataObject) -> None:
    sent = data.draw(st.lists(messages(cls), min_size=1, max_size=4))
    size = data.draw(st.integers(1, 100))
    decoder = MessageDecoder(cls.IS_REQUEST)
    stream = b"".join(map(encode_message, sent))
    if cls.IS_REQUEST:
        decoder.feed(PROTOCOL_VERSION.to_bytes(8, "little"))
        decoder.decode_handshake()
    found = []
    for piece in pieces(stream, size):
        decoder.feed(piece)
        while (frame := decoder.take_frame()) is not None:
            found.append(decoder.decode_bytes(frame))
    assert found == sent


@each_class
@given(st.data())
def test_messages_are_copied_and_pickled(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(cls))
    for twin in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        check_same(twin, message)
        assert twin.encode() == message.encode()


@given(st.lists(node_infos(), max_size=5, unique_by=lambda node: node.node_id))
def test_servers_in_format_0_have_no_roles(nodes: list[Any]) -> None:
    message = ServersResponse(nodes, format=0)
    found = ServersResponse.decode_body(message.encode_body(), format=0)
    assert [(node.node_id, node.address) for node in found.nodes] == [(n.node_id, n.address) for n in nodes]
    assert found.encode() == message.encode()


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60))
def test_legacy_leader_answers_come_back(address: str) -> None:
    from dqlitewire.messages import LeaderResponse

    body = LeaderResponse(0, address).encode_body_legacy()
    assert LeaderResponse.decode_body_legacy(body) == LeaderResponse(0, address)
    frame = bytes([len(body) // 8, 0, 0, 0, 1, 0, 0, 0]) + body
    assert decode_message(frame, version=PROTOCOL_VERSION_LEGACY) == LeaderResponse(0, address)


@given(st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=30))
def test_floats_keep_their_bits(words: list[bytes]) -> None:
    header = (
        (len(words) * 2 + 3).to_bytes(4, "little")
        + bytes([7, 0, 0, 0])
        + struct.pack("<Q", 1)
        + b"a".ljust(8, b"\0")
    )
    frame = header + b"".join(b"\x02".ljust(8, b"\0") + word for word in words) + b"\xff" * 8
    found = decode_message(frame)
    assert isinstance(found, RowsResponse)
    assert [struct.pack("<d", value) for (value,) in found.rows] == words
    assert encode_message(found) == frame


@given(rows_responses(max_columns=40, max_rows=30))
def test_rows_without_row_types_take_those_of_the_column_or_of_the_values(message: RowsResponse) -> None:
    assume(message.rows)
    first = RowsResponse(message.column_names, message.column_types, [], message.rows[:1], message.has_more)
    one = RowsResponse(message.column_names, message.column_types, message.row_types[:1], message.rows[:1])
    assert first.encode()[:-8] == one.encode()[:-8]


@given(st.lists(st.tuples(st.none() | st.integers(0, 9), st.none() | st.text("ab")), max_size=20))
def test_null_cells_are_null_whatever_the_column_says(rows: list[tuple[Any, Any]]) -> None:
    declared = RowsResponse(["i", "t"], [ValueType.INTEGER, ValueType.TEXT], [], rows)
    found = decode_message(declared.encode())
    assert found.rows == rows
    for types, row in zip(found.row_types, rows, strict=True):
        assert [kind is ValueType.NULL for kind in types] == [value is None for value in row]
