"""Streams of messages: states, order of checks, row runs, caps, poison, skipping, bare framing."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from dqlitewire import (
    PROTOCOL_VERSION,
    PROTOCOL_VERSION_LEGACY,
    ContinuationError,
    DecodeError,
    EncodeError,
    HandshakeError,
    Limits,
    Message,
    MessageDecoder,
    MessageEncoder,
    PoisonedError,
    ReadBuffer,
    ServerFailure,
    StreamError,
    ValueType,
    decode_message,
    encode_message,
)
from dqlitewire.messages import (
    DbResponse,
    EmptyResponse,
    ExecSqlRequest,
    FailureResponse,
    FilesResponse,
    LeaderRequest,
    LeaderResponse,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    ResultResponse,
    RowsResponse,
    ServersResponse,
    StmtResponse,
    WelcomeResponse,
)

FRAME = 64 * 1024 * 1024
RESULT = ResultResponse(4, 2)
DB = DbResponse(0)


def rows(*values: int, more: bool = False, names: tuple[str, ...] = ("a",)) -> RowsResponse:
    """Rows of one integer column; names are repeated in every frame of a run."""
    types = [(ValueType.INTEGER,) * len(names)] * len(values)
    return RowsResponse(names, types[0] if types else [], types, [(v,) * len(names) for v in values], more)


def part(*values: int) -> RowsResponse:
    return rows(*values, more=True)


def raw(kind: int, body: bytes, schema: int = 0) -> bytes:
    assert len(body) % 8 == 0
    return (len(body) // 8).to_bytes(4, "little") + bytes([kind, schema, 0, 0]) + body


def fed(*items: Message | bytes, **options: Any) -> MessageDecoder:
    decoder = MessageDecoder(**options)
    for item in items:
        decoder.feed(item if isinstance(item, bytes) else item.encode())
    return decoder


def handshaken(*items: Message | bytes, **options: Any) -> MessageDecoder:
    decoder = fed(PROTOCOL_VERSION.to_bytes(8, "little"), *items, is_request=True, **options)
    assert decoder.decode_handshake() == PROTOCOL_VERSION
    return decoder


BROKEN = raw(6, bytes(8))  # RESULT with half its body
UNKNOWN = raw(99, bytes(8))
OVERSIZED = raw(9, bytes(800))

# ---------------------------------------------------------------- construction

BAD_DECODER_OPTIONS: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"version": 0}, HandshakeError),
    ({"version": 2}, HandshakeError),
    ({"version": 2, "is_request": True}, HandshakeError),
    ({"max_message_size": 0}, ValueError),
    ({"max_message_size": -1}, ValueError),
    ({"max_message_size": 0x1_0000_0000}, ValueError),
    ({"max_rows": 0}, ValueError),
    ({"max_rows": -5}, ValueError),
    ({"max_continuation_frames": 0}, ValueError),
    ({"max_total_rows": 0}, ValueError),
    ({"unknown_role_policy": "maybe"}, DecodeError),
    ({"unknown_role_policy": ""}, DecodeError),
    ({"text_errors": "lenient"}, ValueError),
    ({"text_errors": ""}, ValueError),
]
TEXT_ERRORS = (
    *("strict", "replace", "ignore", "backslashreplace"),
    *("surrogateescape", "surrogatepass", "xmlcharrefreplace", "namereplace"),
)
GOOD_DECODER_OPTIONS: list[dict[str, Any]] = [
    {"version": PROTOCOL_VERSION_LEGACY},
    *({"max_message_size": size} for size in (1, 0xFFFFFFFF, None)),
    *(
        {name: value}
        for name in ("max_rows", "max_continuation_frames", "max_total_rows")
        for value in (1, None)
    ),
    *({"unknown_role_policy": policy} for policy in ("reject", "warn", "accept")),
    *({"text_errors": handler} for handler in TEXT_ERRORS),
    {"limits": Limits()},
    {"limits": Limits(max_blob_size=None), "max_rows": 5},
]


@pytest.mark.parametrize(("options", "error"), BAD_DECODER_OPTIONS)
def test_bad_options_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        MessageDecoder(**options)
    one_shot = {name: value for name, value in options.items() if name != "is_request"}
    with pytest.raises(error):
        decode_message(RESULT.encode(), **one_shot)


@pytest.mark.parametrize("options", GOOD_DECODER_OPTIONS)
def test_good_options_are_accepted(options: dict[str, Any]) -> None:
    MessageDecoder(**options)


def test_options_have_their_documented_places() -> None:
    decoder = MessageDecoder(False, PROTOCOL_VERSION_LEGACY, 1000, 5, 6, 7, "warn", "replace")
    assert decoder.version == PROTOCOL_VERSION_LEGACY
    message = decode_message(RESULT.encode(), False, 1, "accept", 24, 1, 1, 1, "ignore")
    assert message == RESULT


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"version": 2}, HandshakeError),
        ({"version": 0}, HandshakeError),
        ({"max_message_size": 0}, ValueError),
        ({"max_message_size": 0x1_0000_0000}, ValueError),
    ],
)
def test_encoder_options(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        MessageEncoder(**options)


def test_the_encoder_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(MessageEncoder())


# ---------------------------------------------------------------- encoding


def test_encoders_add_nothing_to_a_message() -> None:
    for version in (PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY):
        encoder = MessageEncoder(version)
        for message in (LeaderRequest(), RESULT, LeaderResponse(1, "a:1")):
            assert encoder.encode(message) == message.encode() == encode_message(message)
        assert encoder.encode_handshake() == version.to_bytes(8, "little")


def test_encoder_caps_are_inclusive_and_none_lifts_them() -> None:
    message = OpenRequest("x" * 100)
    size = len(message.encode())
    assert len(MessageEncoder(max_message_size=size).encode(message)) == size
    assert len(encode_message(message, max_message_size=size)) == size
    assert len(MessageEncoder(max_message_size=None).encode(message)) == size
    assert len(encode_message(message, max_message_size=None)) == size
    with pytest.raises(EncodeError):
        MessageEncoder(max_message_size=size - 1).encode(message)
    with pytest.raises(EncodeError):
        encode_message(message, max_message_size=size - 1)


# ---------------------------------------------------------------- the handshake


@pytest.mark.parametrize("version", [PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY])
def test_a_server_reads_the_handshake_first(version: int) -> None:
    decoder = MessageDecoder(is_request=True)
    assert decoder.version is None
    decoder.feed(version.to_bytes(8, "little") + LeaderRequest().encode())
    for call in (decoder.decode, decoder.take_frame):
        with pytest.raises(HandshakeError):
            call()
    with pytest.raises(HandshakeError):
        decoder.decode_bytes(LeaderRequest().encode())
    assert decoder.decode_handshake() == version == decoder.version
    assert decoder.decode() == LeaderRequest()
    with pytest.raises(HandshakeError):
        decoder.decode_handshake()


def test_a_handshake_is_awaited() -> None:
    decoder = MessageDecoder(is_request=True)
    for byte in bytes([1, 0, 0, 0, 0, 0, 0]):
        assert decoder.decode_handshake() is None
        decoder.feed(bytes([byte]))
    assert decoder.decode_handshake() is None
    decoder.feed(b"\0")
    assert decoder.decode_handshake() == 1


def test_an_unknown_version_stays_where_it_is() -> None:
    decoder = fed((2).to_bytes(8, "little"), is_request=True)
    for _ in range(2):
        with pytest.raises(HandshakeError):
            decoder.decode_handshake()
    assert not decoder.is_poisoned
    assert decoder.version is None
    decoder.reset()
    decoder.feed((1).to_bytes(8, "little"))
    assert decoder.decode_handshake() == 1


def test_a_client_has_no_handshake_to_read() -> None:
    decoder = fed(RESULT)
    assert decoder.version == PROTOCOL_VERSION
    with pytest.raises(HandshakeError):
        decoder.decode_handshake()
    assert decoder.decode() == RESULT


def test_reset_wants_the_handshake_again() -> None:
    decoder = handshaken(LeaderRequest())
    decoder.reset()
    assert decoder.version is None
    decoder.feed(LeaderRequest().encode())
    with pytest.raises(HandshakeError):
        decoder.decode()


def test_the_legacy_version_has_its_own_leader_answer() -> None:
    legacy = raw(1, b"127.0.0.1:9001\0\0")
    assert fed(legacy, version=PROTOCOL_VERSION_LEGACY).decode() == LeaderResponse(0, "127.0.0.1:9001")
    assert decode_message(legacy, version=PROTOCOL_VERSION_LEGACY) == LeaderResponse(0, "127.0.0.1:9001")
    for version in (PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY):
        assert fed(RESULT, version=version).decode() == RESULT


# ---------------------------------------------------------------- one message after another


def test_messages_come_in_order_and_then_none() -> None:
    decoder = fed(DB, RESULT, EmptyResponse())
    assert [decoder.decode() for _ in range(4)] == [DB, RESULT, EmptyResponse(), None]


def test_has_message_tells_when_decode_will_answer() -> None:
    data = RESULT.encode()
    decoder = fed(data[:-1])
    assert not decoder.has_message()
    decoder.feed(data[-1:])
    assert decoder.has_message()


def test_the_direction_decides_what_a_type_means() -> None:
    frame = raw(0, bytes(8))
    assert handshaken(frame).decode() == LeaderRequest()
    with pytest.raises(DecodeError):
        fed(frame).decode()


@pytest.mark.parametrize("kind", [20, 99, 255, 2, 11])
def test_unknown_request_types_are_refused(kind: int) -> None:
    decoder = handshaken(raw(kind, bytes(8)))
    with pytest.raises(DecodeError):
        decoder.decode()
    with pytest.raises(DecodeError):
        decode_message(raw(kind, bytes(8)), is_request=True)


@pytest.mark.parametrize("kind", [11, 99, 255])
def test_unknown_response_types_are_refused(kind: int) -> None:
    with pytest.raises(DecodeError):
        fed(raw(kind, bytes(8))).decode()


SCHEMA_1 = {4, 5, 6, 8, 9}


@pytest.mark.parametrize("kind", [k for k in range(20) if k not in (2, 11)])
@pytest.mark.parametrize("schema", [1, 2, 255])
def test_request_schemas_above_the_table_are_refused(kind: int, schema: int) -> None:
    body = bytes(16) if kind in (3, 4, 8, 9, 12) else bytes(8)
    frame = raw(kind, body, schema)
    if schema == 1 and kind in SCHEMA_1:
        decode_message(frame, is_request=True)
    else:
        with pytest.raises(DecodeError):
            decode_message(frame, is_request=True)


@pytest.mark.parametrize("schema", [1, 2, 255])
@pytest.mark.parametrize("message", [FailureResponse(1, "x"), DB, RESULT, EmptyResponse(), rows(1)])
def test_response_schemas_above_the_table_are_refused(message: Message, schema: int) -> None:
    data = bytearray(message.encode())
    data[5] = schema
    with pytest.raises(DecodeError):
        decode_message(bytes(data))


def test_schema_2_of_stmt_is_refused() -> None:
    for schema in (0, 1):
        message = decode_message(StmtResponse(0, 1, 2, 9 if schema else None).encode())
        assert message.schema == schema
    with pytest.raises(DecodeError):
        decode_message(raw(5, bytes(24), 2))


# ---------------------------------------------------------------- decode_bytes and decode_message


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_one_frame_of_any_bytes_like_kind(form: Any) -> None:
    for message in (RESULT, rows(1, 2), FailureResponse(5, "busy"), FilesResponse({"a": bytes(8)})):
        assert MessageDecoder().decode_bytes(form(message.encode())) == message
        assert decode_message(form(message.encode())) == message
    statement = ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [b"blob"])
    assert decode_message(form(statement.encode()), is_request=True) == statement


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "nothing"),
        (bytes(7), "less than a header"),
        (RESULT.encode()[:-1], "short body"),
        (RESULT.encode()[:8], "no body"),
        (RESULT.encode() + b"\0", "one byte more"),
        (RESULT.encode() + RESULT.encode(), "two frames"),
        (UNKNOWN, "unknown type"),
        (raw(6, bytes(16), 1), "unknown schema"),
        (b"\xff\xff\xff\xff\x06\0\0\0" + bytes(16), "announces 32 GiB"),
    ],
)
def test_what_is_not_one_frame_is_refused_and_poisons_nothing(data: bytes, why: str) -> None:
    decoder = fed(RESULT)
    with pytest.raises(DecodeError):
        decoder.decode_bytes(data)
    with pytest.raises(DecodeError):
        decode_message(data)
    assert not decoder.is_poisoned
    assert decoder.decode() == RESULT


def test_decode_bytes_leaves_the_stream_alone() -> None:
    decoder = fed(part(1), rows(2))
    assert decoder.decode() == part(1)
    assert decoder.decode_bytes(part(7).encode()) == part(7)
    assert decoder.decode_bytes(RESULT.encode()) == RESULT
    assert decoder.decode_continuation() == rows(2)
    assert MessageDecoder().decode_bytes(part(7).encode()) == part(7)


def test_decode_bytes_of_a_part_frame_starts_no_run() -> None:
    decoder = fed(RESULT)
    decoder.decode_bytes(part(7).encode())
    assert decoder.decode() == RESULT


def test_decode_bytes_caps_the_frame() -> None:
    data = RESULT.encode()
    assert MessageDecoder(max_message_size=24).decode_bytes(data) == RESULT
    with pytest.raises(DecodeError):
        MessageDecoder(max_message_size=23).decode_bytes(data)
    with pytest.raises(DecodeError):
        decode_message(data, max_message_size=23)
    assert decode_message(data, max_message_size=None) == RESULT


def test_decode_bytes_of_a_poisoned_decoder() -> None:
    decoder = fed(BROKEN)
    with pytest.raises(DecodeError):
        decoder.decode()
    with pytest.raises(PoisonedError):
        decoder.decode_bytes(RESULT.encode())


def test_the_options_reach_the_message() -> None:
    two = rows(1, 2).encode()
    assert len(decode_message(two, max_rows=2).rows) == 2
    assert len(decode_message(two, max_rows=None).rows) == 2
    with pytest.raises(DecodeError):
        decode_message(two, max_rows=1)
    text = rows(1).encode().replace(b"a\0\0\0\0\0\0\0", b"\xff\0\0\0\0\0\0\0")
    with pytest.raises(DecodeError):
        decode_message(text, text_errors="strict")
    servers = raw(3, (1).to_bytes(8, "little") * 2 + b"a:1\0\0\0\0\0" + (9).to_bytes(8, "little"))
    with pytest.raises(DecodeError):
        decode_message(servers)
    assert decode_message(servers, unknown_role_policy="accept").nodes[0].role == 2


# ---------------------------------------------------------------- rows in several frames


def test_a_run_goes_on_until_done() -> None:
    decoder = fed(part(1, 2), part(3), rows(4), RESULT)
    assert decoder.decode() == part(1, 2)
    with pytest.raises(ContinuationError):
        decoder.decode()
    assert decoder.decode_continuation() == part(3)
    assert decoder.decode_continuation() == rows(4)
    with pytest.raises(ContinuationError):
        decoder.decode_continuation()
    assert decoder.decode() == RESULT
    assert not decoder.is_poisoned


def test_a_run_waits_for_whole_frames() -> None:
    decoder = fed(part(1))
    decoder.decode()
    for byte in rows(2).encode()[:-1]:
        assert decoder.decode_continuation() is None
        decoder.feed(bytes([byte]))
    decoder.feed(rows(2).encode()[-1:])
    assert decoder.decode_continuation() == rows(2)


def test_frames_without_rows_have_a_place_in_a_run() -> None:
    decoder = fed(part(), part(1), part(), rows())
    assert decoder.decode() == part()
    assert [decoder.decode_continuation() for _ in range(3)] == [part(1), part(), rows()]


def test_there_is_no_run_without_a_part_frame() -> None:
    decoder = fed(rows(1), RESULT)
    with pytest.raises(ContinuationError):
        decoder.decode_continuation()
    assert decoder.decode() == rows(1)
    with pytest.raises(ContinuationError):
        decoder.decode_continuation()
    assert decoder.decode() == RESULT


def test_a_failure_ends_the_run_and_not_the_stream() -> None:
    polluted = raw(0, bytes(8) + (1555).to_bytes(8, "little") + b"UNIQUE\0\0")
    for frame, code, message in (
        (FailureResponse(5, "database is locked").encode(), 5, "database is locked"),
        (polluted, 1555, "UNIQUE"),
    ):
        decoder = fed(part(1), frame, RESULT)
        decoder.decode()
        with pytest.raises(ServerFailure) as caught:
            decoder.decode_continuation()
        assert (caught.value.code, caught.value.message) == (code, message)
        assert not decoder.is_poisoned
        assert decoder.decode() == RESULT


def test_empty_ends_the_run_after_an_interrupt() -> None:
    decoder = fed(part(1), EmptyResponse(), RESULT)
    decoder.decode()
    assert decoder.decode_continuation() == EmptyResponse()
    assert decoder.decode() == RESULT


def test_a_failure_outside_a_run_is_a_message() -> None:
    assert fed(FailureResponse(5, "x")).decode() == FailureResponse(5, "x")


def test_another_type_in_a_run_is_a_stream_error_that_counts() -> None:
    decoder = fed(part(1, 2), part(3), RESULT)
    decoder.decode()
    decoder.decode_continuation()
    with pytest.raises(StreamError) as caught:
        decoder.decode_continuation()
    assert not isinstance(caught.value, PoisonedError)
    assert (caught.value.frame_count, caught.value.total_rows) == (2, 3)
    assert decoder.is_poisoned


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (rows(1, names=("b",)).encode(), "another name"),
        (rows(1, names=("a", "b")).encode(), "another column"),
        (rows(names=()).encode(), "no column"),
        (raw(7, bytes(16)), "no marker"),
        (rows(1).encode()[:5] + b"\x01" + rows(1).encode()[6:], "unknown schema"),
        (raw(0, bytes(8)), "a broken FAILURE"),
        (raw(8, bytes(16)), "a broken EMPTY"),
    ],
)
def test_what_does_not_fit_a_run_poisons(frame: bytes, why: str) -> None:
    decoder = fed(part(1), frame)
    decoder.decode()
    with pytest.raises(DecodeError):
        decoder.decode_continuation()
    assert decoder.is_poisoned
    for call in (decoder.decode_continuation, decoder.decode, decoder.take_frame, decoder.skip_message):
        with pytest.raises(PoisonedError):
            call()
    with pytest.raises(PoisonedError):
        decoder.feed(b"x")


def test_an_unknown_type_in_a_run_poisons() -> None:
    decoder = fed(part(1), UNKNOWN)
    decoder.decode()
    with pytest.raises((StreamError, DecodeError)):
        decoder.decode_continuation()
    assert decoder.is_poisoned


def test_an_oversized_frame_in_a_run_poisons() -> None:
    decoder = fed(part(1), max_message_size=100)
    decoder.decode()
    decoder.feed(OVERSIZED[:8])
    with pytest.raises(DecodeError):
        decoder.decode_continuation()
    assert decoder.is_poisoned


# ---------------------------------------------------------------- frames that make no progress


def wide(padded_names: int, more: bool = True, values: tuple[int, ...] = ()) -> RowsResponse:
    """One column whose padded name takes exactly this many bytes of the body."""
    return rows(*values, more=more, names=("x" * (padded_names - 1),))


@pytest.mark.parametrize("size", [4080, 4088, 4096])
def test_a_row_less_part_frame_whose_names_fill_a_page_is_refused_in_a_stream(size: int) -> None:
    decoder = fed(wide(size))
    with pytest.raises(DecodeError):
        decoder.decode()
    assert decoder.is_poisoned


def test_many_small_names_fill_a_page_as_well() -> None:
    decoder = fed(rows(more=True, names=tuple(f"c{n}" for n in range(510))))
    with pytest.raises(DecodeError):
        decoder.decode()
    assert fed(rows(more=True, names=tuple(f"c{n}" for n in range(509)))).decode().has_more


@pytest.mark.parametrize(
    "message",
    [wide(4072), wide(4080, more=False), wide(4080, values=(1,)), wide(4096, more=False, values=(1, 2))],
)
def test_other_frames_with_large_names_are_read(message: RowsResponse) -> None:
    assert fed(message).decode() == message


def test_one_shot_decoding_does_not_judge_progress() -> None:
    assert decode_message(wide(4080).encode()) == wide(4080)
    assert MessageDecoder().decode_bytes(wide(4096).encode()) == wide(4096)


# ---------------------------------------------------------------- caps of a run


def drain(decoder: MessageDecoder) -> list[int]:
    message = decoder.decode()
    found = [row[0] for row in message.rows]
    while message.has_more:
        message = decoder.decode_continuation()
        found += [row[0] for row in message.rows]
    return found


RUN = [part(1, 2), part(3), rows(4)]
CAPS: list[tuple[dict[str, Any], bool]] = [
    ({"max_continuation_frames": 3}, True),
    ({"max_continuation_frames": 2}, False),
    ({"max_continuation_frames": None}, True),
    ({"max_total_rows": 4}, True),
    ({"max_total_rows": 3}, False),
    ({"max_total_rows": None}, True),
    ({"max_rows": 2}, True),
    ({"max_rows": 1}, False),
    ({"max_rows": None}, True),
    ({"limits": Limits(max_total_rows=3)}, False),
    ({"limits": Limits(max_continuation_frames=2)}, False),
    ({"limits": Limits(max_rows=1)}, False),
]


@pytest.mark.parametrize(("options", "fits"), CAPS)
def test_caps_of_a_run_are_inclusive(options: dict[str, Any], fits: bool) -> None:
    decoder = fed(*RUN, **options)
    if fits:
        assert drain(decoder) == [1, 2, 3, 4]
    else:
        with pytest.raises(DecodeError):
            drain(decoder)
        assert decoder.is_poisoned


def test_the_first_frame_counts_and_is_checked_only_if_more_follow() -> None:
    with pytest.raises(DecodeError):
        fed(part(1, 2), max_total_rows=1).decode()
    assert fed(rows(1, 2), max_total_rows=1).decode() == rows(1, 2)


def test_counters_begin_anew_with_each_run() -> None:
    decoder = fed(*RUN, *RUN, *RUN, max_total_rows=4, max_continuation_frames=3)
    assert [drain(decoder) for _ in range(3)] == [[1, 2, 3, 4]] * 3


# ---------------------------------------------------------------- limits


def test_every_cap_can_be_lifted() -> None:
    address = "h" * 300
    frame = LeaderResponse(1, "a:1").encode()[:16] + address.encode() + bytes(4)
    frame = raw(1, frame[8:])
    with pytest.raises(DecodeError) as caught:
        decode_message(frame)
    assert caught.value.limit == 256
    for limits in (Limits(max_address_size=None), Limits(max_address_size=300)):
        assert decode_message(frame, limits=limits) == LeaderResponse(1, address)
        assert fed(frame, limits=limits).decode() == LeaderResponse(1, address)
        assert encode_message(LeaderResponse(1, address), limits=limits) == frame
        assert MessageEncoder(limits=limits).encode(LeaderResponse(1, address)) == frame
    with pytest.raises(EncodeError):
        encode_message(LeaderResponse(1, address))
    with pytest.raises(EncodeError):
        encode_message(LeaderResponse(1, address), limits=Limits(max_address_size=299))


def test_limits_bound_the_frame_too() -> None:
    assert fed(RESULT, limits=Limits(max_message_size=24)).decode() == RESULT
    with pytest.raises(DecodeError):
        fed(RESULT, limits=Limits(max_message_size=23)).decode()
    with pytest.raises(EncodeError):
        encode_message(RESULT, limits=Limits(max_message_size=23))


# ---------------------------------------------------------------- poison


@pytest.mark.parametrize("frame", [BROKEN, UNKNOWN, raw(6, bytes(16), 1), raw(7, bytes(8))])
def test_a_frame_that_was_taken_and_not_decoded_poisons(frame: bytes) -> None:
    decoder = fed(frame, RESULT)
    with pytest.raises(DecodeError) as first:
        decoder.decode()
    assert decoder.is_poisoned
    for _ in range(2):
        with pytest.raises(PoisonedError) as caught:
            decoder.decode()
        assert caught.value.__cause__ is first.value


def test_reset_heals() -> None:
    decoder = fed(BROKEN)
    with pytest.raises(DecodeError):
        decoder.decode()
    decoder.reset()
    assert not decoder.is_poisoned
    decoder.feed(RESULT.encode())
    assert decoder.decode() == RESULT


def test_reset_ends_a_run() -> None:
    decoder = fed(part(1))
    decoder.decode()
    decoder.reset()
    with pytest.raises(ContinuationError):
        decoder.decode_continuation()
    decoder.feed(RESULT.encode())
    assert decoder.decode() == RESULT


def test_what_a_poisoned_decoder_still_says() -> None:
    decoder = fed(BROKEN)
    with pytest.raises(DecodeError):
        decoder.decode()
    assert decoder.has_message() in (True, False)
    assert decoder.is_skipping is False
    assert decoder.version == PROTOCOL_VERSION


CALLS: dict[str, Callable[[MessageDecoder], Any]] = {
    "decode": MessageDecoder.decode,
    "decode_continuation": MessageDecoder.decode_continuation,
    "skip_message": MessageDecoder.skip_message,
    "take_frame": MessageDecoder.take_frame,
    "decode_handshake": MessageDecoder.decode_handshake,
    "decode_bytes": lambda decoder: decoder.decode_bytes(LeaderRequest().encode()),
}

STATES: dict[str, tuple[Callable[[], MessageDecoder], dict[str, type[Exception]]]] = {
    # state: how to get there, and the error of each call in it; calls not named do not raise
    "server before its handshake": (
        lambda: fed(OpenRequest("a"), is_request=True),
        {
            "decode": HandshakeError,
            "decode_continuation": ContinuationError,
            "skip_message": HandshakeError,
            "take_frame": HandshakeError,
            "decode_handshake": HandshakeError,
            "decode_bytes": HandshakeError,
        },
    ),
    "server after its handshake": (
        lambda: handshaken(LeaderRequest()),
        {"decode_continuation": ContinuationError, "decode_handshake": HandshakeError},
    ),
    "client": (
        lambda: fed(RESULT),
        {
            "decode_continuation": ContinuationError,
            "decode_handshake": HandshakeError,
            "decode_bytes": DecodeError,
        },
    ),
    "client in a run": (
        lambda: in_a_run(rows(2)),
        {
            "decode": ContinuationError,
            "skip_message": ContinuationError,
            "decode_handshake": HandshakeError,
            "decode_bytes": DecodeError,
        },
    ),
    "client poisoned": (lambda: poisoned(fed(BROKEN)), dict.fromkeys(CALLS, PoisonedError)),
    "client poisoned in a run": (lambda: poisoned(in_a_run(BROKEN)), dict.fromkeys(CALLS, PoisonedError)),
    "server poisoned": (lambda: poisoned(handshaken(UNKNOWN)), dict.fromkeys(CALLS, PoisonedError)),
}


def in_a_run(*items: Message | bytes) -> MessageDecoder:
    decoder = fed(part(1), *items)
    assert decoder.decode() == part(1)
    return decoder


def poisoned(decoder: MessageDecoder) -> MessageDecoder:
    try:
        decoder.decode()
    except ContinuationError:
        with pytest.raises((DecodeError, StreamError)):
            decoder.decode_continuation()
    except DecodeError:
        pass
    assert decoder.is_poisoned
    return decoder


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("state", STATES)
def test_each_call_in_each_state(state: str, call: str) -> None:
    make, errors = STATES[state]
    decoder = make()
    before = decoder.is_poisoned
    if call in errors:
        if call == "decode_handshake" and "poisoned" in state:
            errors = {**errors, call: (PoisonedError, HandshakeError)}  # type: ignore[dict-item]
        with pytest.raises(errors[call]):
            CALLS[call](decoder)
        assert decoder.is_poisoned == before
    else:
        CALLS[call](decoder)


# ---------------------------------------------------------------- frames over the maximum


def test_an_oversized_frame_can_be_skipped() -> None:
    for step in (1, 7, 64, 5000):
        decoder = MessageDecoder(max_message_size=100)
        stream = RESULT.encode() + OVERSIZED + DB.encode()
        found: list[Message] = []
        skipping = False
        for start in range(0, len(stream), step):
            decoder.feed(stream[start : start + step])
            while True:
                if skipping:
                    skipping = not decoder.skip_message()
                    assert decoder.is_skipping == skipping
                    if skipping:
                        break
                try:
                    message = decoder.decode()
                except DecodeError:
                    skipping = True
                    continue
                if message is None:
                    break
                found.append(message)
        assert found == [RESULT, DB]
        assert not decoder.is_poisoned


def test_an_oversized_frame_is_reported_again_and_again_until_skipped() -> None:
    decoder = fed(OVERSIZED[:8], max_message_size=100)
    for _ in range(3):
        assert decoder.has_message()
        with pytest.raises(DecodeError) as caught:
            decoder.decode()
        assert caught.value.limit == 100
    assert not decoder.is_poisoned


def test_none_lifts_the_cap_of_a_frame() -> None:
    big = FilesResponse({"a": bytes(1 << 20)})
    assert fed(big, max_message_size=None).decode() == big
    with pytest.raises(DecodeError):
        fed(big, max_message_size=1 << 20).decode()


# ---------------------------------------------------------------- framing only


def test_take_frame_gives_whole_frames_undecoded() -> None:
    decoder = fed(UNKNOWN, BROKEN, RESULT, DB.encode()[:9])
    assert [decoder.take_frame() for _ in range(4)] == [UNKNOWN, BROKEN, RESULT.encode(), None]
    assert not decoder.is_poisoned
    decoder.feed(DB.encode()[9:])
    frame = decoder.take_frame()
    assert (frame, type(frame)) == (DB.encode(), bytes)


def test_take_frame_does_not_advance_a_run() -> None:
    decoder = in_a_run(RESULT, rows(2), DB)
    assert decoder.take_frame() == RESULT.encode()
    assert decoder.decode_continuation() == rows(2)
    assert decoder.decode() == DB


def test_take_frame_of_the_last_rows_leaves_the_run_open() -> None:
    decoder = in_a_run(rows(2), RESULT)
    assert decoder.take_frame() == rows(2).encode()
    with pytest.raises(ContinuationError):
        decoder.decode()


def test_take_frame_and_decode_can_alternate() -> None:
    decoder = handshaken(OpenRequest("a"), LeaderRequest(), PrepareRequest(0, "x"))
    assert decoder.take_frame() == OpenRequest("a").encode()
    assert decoder.decode() == LeaderRequest()
    assert decoder.take_frame() == PrepareRequest(0, "x").encode()


def test_take_frame_refuses_an_oversized_frame_and_leaves_it() -> None:
    decoder = fed(OVERSIZED, RESULT, max_message_size=100)
    for _ in range(2):
        with pytest.raises(DecodeError):
            decoder.take_frame()
    assert decoder.skip_message() is True
    assert decoder.take_frame() == RESULT.encode()


def test_pending_frame_size() -> None:
    decoder = MessageDecoder(max_message_size=100)
    data = RESULT.encode()
    for size in range(8):
        assert decoder.pending_frame_size() == 0
        decoder.feed(data[size : size + 1])
    assert decoder.pending_frame_size() == 24
    decoder.feed(data[8:] + OVERSIZED)
    assert decoder.pending_frame_size() == 24
    assert decoder.decode() == RESULT
    with pytest.raises(DecodeError):
        decoder.pending_frame_size()
    assert not decoder.is_poisoned


def test_pending_frame_size_of_an_empty_body_is_a_header() -> None:
    assert fed(raw(4, b"")).pending_frame_size() == 8


def test_pending_frame_size_of_a_poisoned_decoder() -> None:
    with pytest.raises(PoisonedError):
        poisoned(fed(BROKEN)).pending_frame_size()


# ---------------------------------------------------------------- what a decoder accepts to be fed


@pytest.mark.parametrize("wrong", ["text", 5, None])
def test_only_bytes_are_fed(wrong: Any) -> None:
    decoder = fed(RESULT.encode()[:4])
    with pytest.raises(TypeError):
        decoder.feed(wrong)
    assert not decoder.is_poisoned
    decoder.feed(RESULT.encode()[4:])
    assert decoder.decode() == RESULT


def test_fed_memory_may_be_reused_by_its_owner() -> None:
    data = bytearray(rows(1).encode())
    decoder = MessageDecoder()
    decoder.feed(memoryview(data))
    data[:] = bytes(len(data))
    assert decoder.decode() == rows(1)


def test_default_caps_are_the_documented_ones() -> None:
    assert ReadBuffer.DEFAULT_MAX_MESSAGE_SIZE == FRAME
    header = (FRAME // 8).to_bytes(4, "little") + bytes([8, 0, 0, 0])
    with pytest.raises(DecodeError) as caught:
        fed(header).decode()
    assert caught.value.limit == FRAME
    exact = (FRAME // 8 - 1).to_bytes(4, "little") + bytes([8, 0, 0, 0])
    assert fed(exact).decode() is None


@pytest.mark.parametrize(
    "message", [WelcomeResponse(15000), ServersResponse([]), QueryRequest(0, 1, [1]), FilesResponse({})]
)
def test_encode_message_is_message_encode(message: Message) -> None:
    assert encode_message(message) == message.encode()


@pytest.mark.parametrize("other", ["text", None, OpenRequest, 5])
def test_what_is_no_message_is_a_type_error(other: Any) -> None:
    with pytest.raises(TypeError, match="a message is needed"):
        encode_message(other)
    with pytest.raises(TypeError, match="a message is needed"):
        MessageEncoder().encode(other)


def test_a_late_skip_is_not_told_for_the_next_frame() -> None:
    decoder = MessageDecoder(max_message_size=64)
    large = (20).to_bytes(8, "little") + bytes(160)
    decoder.feed(large[:16])
    assert decoder.skip_message() is False
    decoder.feed(large[16:] + encode_message(DbResponse(1)))
    assert decoder.decode() == DbResponse(1)
    decoder.feed(large)
    assert decoder.skip_message() is True
    assert decoder.available() == 0


def test_names_that_a_caller_changes_do_not_break_the_run() -> None:
    decoder = MessageDecoder()
    frame = encode_message(RowsResponse(["a"], rows=[(1,)], has_more=True))
    decoder.feed(frame + frame)
    first = decoder.decode()
    assert isinstance(first, RowsResponse)
    first.column_names[0] = "mine"
    assert decoder.decode_continuation() is not None


# ---------------------------------------------------------------- before the handshake


@pytest.mark.parametrize("version", [1, PROTOCOL_VERSION_LEGACY])
@pytest.mark.parametrize("behind", [b"", bytes(4), encode_message(LeaderRequest()) * 2])
def test_a_handshake_is_no_header(version: int, behind: bytes) -> None:
    decoder = MessageDecoder(is_request=True)
    for byte in version.to_bytes(8, "little") + behind:
        assert decoder.has_message() is False
        for call in (
            decoder.pending_frame_size,
            decoder.peek_header,
            decoder.take_frame,
            decoder.skip_message,
            decoder.decode,
            lambda: decoder.decode_bytes(encode_message(LeaderRequest())),
        ):
            with pytest.raises(HandshakeError, match="no handshake yet"):
                call()
        decoder.feed(bytes([byte]))
    assert decoder.is_skipping is False
    assert decoder.decode_handshake() == version
    whole = len(behind) > 8
    assert decoder.has_message() is whole
    assert decoder.pending_frame_size() == (16 if whole else 0)
    assert decoder.peek_header() == ((1, 0, 0) if whole else None)
    decoder.reset()
    decoder.feed(version.to_bytes(8, "little") * 3)
    assert decoder.has_message() is False


def test_an_error_that_looks_like_the_mark_is_not_mistaken() -> None:
    import logging

    decoder = MessageDecoder(unknown_role_policy="warn")

    class Fails(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise AttributeError("_idle")

    body = (1).to_bytes(8, "little") * 2 + b"a:1\0\0\0\0\0" + (7).to_bytes(8, "little")
    decoder.feed(bytes([4, 0, 0, 0, 3, 0, 0, 0]) + body + encode_message(DbResponse(3)))
    handler, log = Fails(), logging.getLogger("dqlitewire.messages.responses")
    log.addHandler(handler)
    try:
        with pytest.raises(AttributeError, match="_idle"):
            decoder.decode()
    finally:
        log.removeHandler(handler)
    assert decoder.is_poisoned
    with pytest.raises(PoisonedError):
        decoder.decode()
    decoder.reset()
    decoder.feed(encode_message(DbResponse(3)))
    assert decoder.decode() == DbResponse(3)
