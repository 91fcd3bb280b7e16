"""Every cap: its default, its range, where it is enforced both ways, and that it can be lifted."""

from __future__ import annotations

import copy
import pickle
import struct
from collections.abc import Callable
from typing import Any

import pytest

from dqlitewire import (
    DecodeError,
    EncodeError,
    Limits,
    MessageDecoder,
    MessageEncoder,
    NodeInfo,
    decode_message,
    encode_message,
    limits,
)
from dqlitewire.messages import (
    AddRequest,
    DumpRequest,
    ExecSqlRequest,
    FailureResponse,
    FilesResponse,
    LeaderResponse,
    Message,
    OpenRequest,
    PrepareRequest,
    ResultResponse,
    RowsResponse,
    ServersResponse,
    StmtResponse,
)

MIB = 1 << 20
DEFAULTS = {
    "max_message_size": 64 * MIB,
    "max_rows": 1_000_000,
    "max_total_rows": 10_000_000,
    "max_continuation_frames": 100_000,
    "max_text_value_size": 64 * MIB - 64,
    "max_blob_size": 64 * MIB - 64,
    "max_param_count": 32_766,
    "max_column_count": 2000,
    "max_column_name_size": 4096,
    "max_file_count": 100,
    "max_filename_size": 4096,
    "max_dump_filename_size": 1019,
    "max_file_content_size": 64 * MIB - 64,
    "max_node_count": 10_000,
    "max_address_size": 256,
    "max_failure_message_size": 65_536,
    "max_tail_offset": 64 * MIB,
    "max_rows_affected": 2**31 - 1,
}
each_cap = pytest.mark.parametrize("name", DEFAULTS)


# ---------------------------------------------------------------- the object


@each_cap
def test_defaults(name: str) -> None:
    assert getattr(Limits(), name) == DEFAULTS[name]
    public = f"DEFAULT_{name.upper()}" if hasattr(limits, f"DEFAULT_{name.upper()}") else name.upper()
    assert getattr(limits, public, DEFAULTS[name]) == DEFAULTS[name]


def test_there_are_no_other_caps() -> None:
    assert set(Limits.__slots__) == set(DEFAULTS)


@each_cap
@pytest.mark.parametrize("value", [0, -1])
def test_a_cap_is_positive(name: str, value: int) -> None:
    with pytest.raises(ValueError):
        Limits(**{name: value})


@each_cap
@pytest.mark.parametrize("value", ["1", 1.0, True, [1]])
def test_a_cap_is_an_integer_or_none(name: str, value: Any) -> None:
    with pytest.raises(TypeError):
        Limits(**{name: value})


@each_cap
@pytest.mark.parametrize("value", [1, 0xFFFFFFFF, None])
def test_a_cap_is_kept(name: str, value: int | None) -> None:
    assert getattr(Limits(**{name: value}), name) == value


def test_only_a_frame_has_a_ceiling() -> None:
    with pytest.raises(ValueError):
        Limits(max_message_size=0x1_0000_0000)
    assert Limits(max_file_content_size=1 << 40).max_file_content_size == 1 << 40


def test_limits_are_values() -> None:
    one = Limits(max_rows=5, max_blob_size=None)
    twin = Limits(max_rows=5, max_blob_size=None)
    assert one == twin != Limits()
    assert hash(one) == hash(twin)
    for again in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one)), eval(repr(one))):
        assert again == one
    for name in DEFAULTS:
        with pytest.raises(AttributeError):
            setattr(one, name, 1)


def test_unknown_caps_and_positions_are_type_errors() -> None:
    with pytest.raises(TypeError):
        Limits(max_surprise=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Limits(5)  # type: ignore[misc]


@pytest.mark.parametrize("wrong", [5, "limits", {"max_rows": 5}])
def test_limits_is_a_limits(wrong: Any) -> None:
    for use in (
        lambda: MessageDecoder(limits=wrong),
        lambda: MessageEncoder(limits=wrong),
        lambda: decode_message(ResultResponse(0, 0).encode(), limits=wrong),
        lambda: encode_message(ResultResponse(0, 0), limits=wrong),
    ):
        with pytest.raises((TypeError, ValueError)):
            use()


# ---------------------------------------------------------------- the caps at work

# cap -> a message that takes exactly `n` of it
USES: list[tuple[str, Callable[[int], Message]]] = [
    ("max_rows", lambda n: RowsResponse(["a"], [], [], [[1]] * n)),
    ("max_text_value_size", lambda n: RowsResponse(["a"], [], [], [["x" * n]])),
    ("max_text_value_size", lambda n: ExecSqlRequest(0, "", ["x" * n])),
    ("max_text_value_size", lambda n: PrepareRequest(0, "x" * n)),
    ("max_text_value_size", lambda n: ExecSqlRequest(0, "x" * n)),
    ("max_blob_size", lambda n: RowsResponse(["a"], [], [], [[b"x" * n]])),
    ("max_blob_size", lambda n: ExecSqlRequest(0, "", [b"x" * n])),
    ("max_param_count", lambda n: ExecSqlRequest(0, "", [None] * n)),
    ("max_param_count", lambda n: StmtResponse(0, 0, n)),
    ("max_column_count", lambda n: RowsResponse(["a"] * n, [], [], [[1] * n])),
    ("max_column_name_size", lambda n: RowsResponse(["x" * n])),
    ("max_file_count", lambda n: FilesResponse({str(i): b"" for i in range(n)})),
    ("max_filename_size", lambda n: FilesResponse({"x" * n: b""})),
    ("max_filename_size", lambda n: OpenRequest("x" * n)),
    ("max_dump_filename_size", lambda n: DumpRequest("x" * n)),
    ("max_file_content_size", lambda n: FilesResponse({"a": bytes(n)})),
    ("max_node_count", lambda n: ServersResponse([NodeInfo(i, "a", 0) for i in range(1, n + 1)])),
    ("max_address_size", lambda n: LeaderResponse(1, "x" * n)),
    ("max_address_size", lambda n: AddRequest(1, "x" * n)),
    ("max_address_size", lambda n: ServersResponse([NodeInfo(1, "x" * n, 0)])),
    ("max_failure_message_size", lambda n: FailureResponse(1, "x" * n)),
    ("max_tail_offset", lambda n: StmtResponse(0, 0, 0, n)),
    ("max_rows_affected", lambda n: ResultResponse(0, n)),
]
IDS = [f"{name} of {type(make(8)).__name__}" for name, make in USES]
each_use = pytest.mark.parametrize(("name", "make"), USES, ids=IDS)


@each_use
@pytest.mark.parametrize("cap", [8, 16, 248])
def test_caps_are_inclusive_both_ways(name: str, make: Callable[[int], Message], cap: int) -> None:
    chosen = Limits(**{name: cap})
    step = 8 if name == "max_file_content_size" else 1
    fits, over = make(cap), make(cap + step)
    data = encode_message(over, limits=Limits(**{name: None}))
    fitting = encode_message(fits, limits=chosen)
    found = decode_message(fitting, fits.IS_REQUEST, limits=chosen)
    assert encode_message(found, limits=chosen) == fitting
    with pytest.raises(DecodeError) as caught:
        decode_message(data, over.IS_REQUEST, limits=chosen)
    assert caught.value.limit == cap
    if name != "max_rows":
        for encode in (MessageEncoder(limits=chosen).encode, lambda m: encode_message(m, limits=chosen)):
            with pytest.raises(EncodeError) as refused:
                encode(over)
            assert refused.value.limit == cap
    decoder = MessageDecoder(over.IS_REQUEST, limits=chosen)
    if over.IS_REQUEST:
        decoder.feed((1).to_bytes(8, "little"))
        decoder.decode_handshake()
    decoder.feed(data)
    with pytest.raises(DecodeError):
        decoder.decode()


LIFTED = [  # frames that the default refuses; large blobs, texts and files are in tests of their own
    ("max_param_count", lambda: ExecSqlRequest(0, "", [None] * 32_767)),
    ("max_column_count", lambda: RowsResponse(["a"] * 2001)),
    ("max_column_name_size", lambda: RowsResponse(["x" * 4097])),
    ("max_file_count", lambda: FilesResponse({str(i): b"" for i in range(101)})),
    ("max_filename_size", lambda: OpenRequest("x" * 4097)),
    ("max_dump_filename_size", lambda: DumpRequest("x" * 1020)),
    ("max_node_count", lambda: ServersResponse([NodeInfo(i, "a", 0) for i in range(1, 10_002)])),
    ("max_address_size", lambda: LeaderResponse(1, "x" * 257)),
    ("max_failure_message_size", lambda: FailureResponse(1, "x" * 65_537)),
]


@pytest.mark.parametrize(("name", "make"), LIFTED, ids=[name for name, _ in LIFTED])
def test_none_lifts_a_cap_both_ways(name: str, make: Callable[[], Message]) -> None:
    message, lifted = make(), Limits(**{name: None})
    with pytest.raises(EncodeError):
        encode_message(message)
    data = encode_message(message, limits=lifted)
    assert MessageEncoder(limits=lifted).encode(message) == data
    with pytest.raises(DecodeError):
        decode_message(data, message.IS_REQUEST)
    assert decode_message(data, message.IS_REQUEST, limits=lifted) == message


def test_none_lifts_the_caps_of_numbers() -> None:
    data = struct.pack("<IBBHQQ", 2, 6, 0, 0, 0, 2**64 - 1)
    with pytest.raises(DecodeError):
        decode_message(data)
    found = decode_message(data, limits=Limits(max_rows_affected=None))
    assert found.rows_affected == 2**64 - 1


def test_a_keyword_given_beside_limits_wins() -> None:
    rows = RowsResponse(["a"], [], [], [[1]] * 3).encode()
    assert decode_message(rows, max_rows=3, limits=Limits(max_rows=2)).rows == [(1,)] * 3
    with pytest.raises(DecodeError):
        decode_message(rows, max_rows=2, limits=Limits(max_rows=3))


def test_large_text_and_blobs_need_their_own_cap_lifted() -> None:
    size = 64 * MIB
    lifted = Limits(max_message_size=None, max_text_value_size=None, max_blob_size=None)
    for value in ("x" * size, bytes(size)):
        message = RowsResponse(["a"], [], [], [[value]])
        data = encode_message(message, limits=lifted)
        with pytest.raises(DecodeError):
            decode_message(data, max_message_size=None)
        assert decode_message(data, limits=lifted).rows == [(value,)]
        with pytest.raises(EncodeError):
            encode_message(message, max_message_size=None)
