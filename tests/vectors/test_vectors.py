"""Every conformance vector, decoded in four ways and encoded where its fields determine the bytes."""

from __future__ import annotations

import pytest

from dqlitewire import (
    DecodeError,
    EncodeError,
    MessageDecoder,
    MessageEncoder,
    RequestType,
    ResponseType,
    decode_message,
    encode_message,
)
from dqlitewire.messages import (
    AssignRequest,
    EmptyResponse,
    FinalizeRequest,
    LeaderResponse,
    Message,
    RowsResponse,
)
from tests.wire_data import (
    ALL_VECTORS,
    HANDSHAKES,
    MALFORMED,
    OUTSIDE_GATEWAY,
    VECTORS,
    Malformed,
    Vector,
    decode_malformed,
    pieces,
)

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=str)
each_decode_only = pytest.mark.parametrize("vector", [v for v in VECTORS if v.decode_only], ids=str)
each_determined = pytest.mark.parametrize("vector", [v for v in VECTORS if not v.decode_only], ids=str)
each_handshake = pytest.mark.parametrize("vector", HANDSHAKES, ids=str)


def read(vector: Vector, decoder: MessageDecoder) -> Message | None:
    """The next message of the decoder, read as this vector is to be read."""
    if (vector.is_request and vector.type in OUTSIDE_GATEWAY) or "cluster_format" in vector.context:
        frame = decoder.take_frame()
        options = {"format": vector.context["cluster_format"]} if vector.context else {}
        return None if frame is None else vector.message_class.decode_body(frame[8:], **options)
    if "after" in vector.context:
        return decoder.decode_continuation()
    return decoder.decode()


def check(vector: Vector, got: Message | None) -> None:
    wanted = vector.expected()
    assert got == wanted or "nan" in repr(vector.fields)
    assert type(got) is type(wanted)
    for name in vector.fields:  # by what they look like: 0.0 is not -0.0 then, and NaN is NaN
        assert repr(getattr(got, name)) == repr(getattr(wanted, name))
    if isinstance(wanted, RowsResponse) and isinstance(got, RowsResponse):
        assert repr(list(got.rows)) == repr(list(wanted.rows))
        assert [tuple(types) for types in got.row_types] == [tuple(types) for types in wanted.row_types]


@each_vector
def test_decodes_whole(vector: Vector) -> None:
    decoder = vector.decoder()
    decoder.feed(vector.data)
    check(vector, read(vector, decoder))
    assert not decoder.has_message()


@each_vector
def test_decodes_byte_by_byte(vector: Vector) -> None:
    decoder = vector.decoder()
    for byte in pieces(vector.data[:-1], 1):
        decoder.feed(byte)
        assert not decoder.has_message()
        assert read(vector, decoder) is None
    decoder.feed(vector.data[-1:])
    check(vector, read(vector, decoder))


@each_vector
def test_decodes_before_another_frame(vector: Vector) -> None:
    trailer = FinalizeRequest(1, 2) if vector.is_request else EmptyResponse()
    decoder = vector.decoder()
    decoder.feed(vector.data + trailer.encode())
    check(vector, read(vector, decoder))
    after = (
        decoder.decode_continuation() if getattr(vector.expected(), "has_more", False) else decoder.decode()
    )
    assert after == trailer


@each_vector
def test_decodes_in_one_shot(vector: Vector) -> None:
    if vector.context or (vector.is_request and vector.type in OUTSIDE_GATEWAY):
        check(vector, read(vector, fed(vector)))
    else:
        check(vector, decode_message(vector.data, vector.is_request, text_errors=vector.text_errors))


def fed(vector: Vector) -> MessageDecoder:
    decoder = vector.decoder()
    decoder.feed(vector.data)
    return decoder


@each_determined
def test_encodes(vector: Vector) -> None:
    for message in (vector.expected(), read(vector, fed(vector))):
        assert message is not None
        assert encoded(vector, message) == vector.data


def encoded(vector: Vector, message: Message) -> bytes:
    if vector.context.get("handshake") == "legacy":
        assert isinstance(message, LeaderResponse)
        return vector.data[:8] + message.encode_body_legacy()
    assert encode_message(message) == MessageEncoder().encode(message) == message.encode()
    return message.encode()


@each_decode_only
def test_decode_only_vectors_encode_to_other_bytes_of_the_same_message(vector: Vector) -> None:
    if "never written" in vector.decode_only:
        with pytest.raises(EncodeError):
            vector.expected().encode()
        return
    clean = vector.expected().encode()
    assert clean != vector.data
    check_same_value(vector, decode_message(clean, vector.is_request))


def check_same_value(vector: Vector, again: Message) -> None:
    for name in vector.fields:
        assert getattr(again, name) == getattr(vector.expected(), name)


def test_the_one_word_form_of_assign_is_written_on_request() -> None:
    vector = next(v for v in VECTORS if v.name.startswith("promote"))
    message = decode_message(vector.data, is_request=True)
    assert isinstance(message, AssignRequest)
    assert message.encode_body_legacy() == vector.body


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if v.is_request and v.type in OUTSIDE_GATEWAY], ids=str
)
def test_the_gateway_decoder_refuses_what_no_gateway_answers(vector: Vector) -> None:
    with pytest.raises(DecodeError):
        decode_message(vector.data, is_request=True)


@each_handshake
def test_handshakes(vector: Vector) -> None:
    assert MessageEncoder(vector.version).encode_handshake() == vector.data
    for size in (8, 1):
        decoder = MessageDecoder(is_request=True)
        for piece in pieces(vector.data, size):
            assert decoder.decode_handshake() is None
            decoder.feed(piece)
        assert decoder.decode_handshake() == vector.version == decoder.version


def test_a_cluster_answer_of_format_0_is_refused_without_its_context() -> None:
    vector = next(v for v in VECTORS if v.context.get("cluster_format") == 0)
    with pytest.raises(DecodeError):
        decode_message(vector.data)


# ---------------------------------------------------------------- what must be refused

each_malformed = pytest.mark.parametrize("bad", MALFORMED, ids=str)


@each_malformed
def test_malformed_frames_are_refused_where_they_are_wrong(bad: Malformed) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_malformed(bad)
    assert caught.value.path
    if bad.offset is not None:
        assert caught.value.offset == bad.offset


@each_malformed
def test_malformed_frames_never_come_out_of_a_stream(bad: Malformed) -> None:
    decoder = MessageDecoder(is_request=bad.direction == "request")
    if bad.direction == "request":
        decoder.feed((1).to_bytes(8, "little"))
        decoder.decode_handshake()
    for byte in pieces(bad.data, 1):
        decoder.feed(byte)
    try:
        assert decoder.decode() is None  # cut off: more is awaited
    except DecodeError:
        return
    assert len(bad.data) < 8 + 8 * int.from_bytes(bad.data[:4], "little")


# ---------------------------------------------------------------- the files themselves


def test_every_type_has_a_vector() -> None:
    assert {v.type for v in VECTORS if v.is_request} == set(RequestType)
    assert {v.type for v in VECTORS if not v.is_request} == set(ResponseType)


def test_every_schema_has_a_vector() -> None:
    both = {(v.message, v.schema) for v in VECTORS}
    assert both >= {(name, schema) for name in ("PREPARE", "EXEC", "QUERY", "STMT") for schema in (0, 1)}


def test_names_are_unique() -> None:
    names = [str(vector) for vector in ALL_VECTORS]
    assert len(names) == len(set(names))


@each_vector
def test_the_header_agrees_with_the_keys(vector: Vector) -> None:
    assert len(vector.data) == 8 + 8 * int.from_bytes(vector.data[:4], "little")
    assert (vector.data[4], vector.data[5]) == (vector.type, vector.schema)
    names = RequestType if vector.is_request else ResponseType
    assert names(vector.type).name == vector.message
    assert vector.origin
