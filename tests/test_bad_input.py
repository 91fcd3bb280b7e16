"""Whatever arrives is a message or a DecodeError that names field and place, in memory bounded by size."""

from __future__ import annotations

import re
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import (
    ConcurrentUseError,
    ContinuationError,
    DecodeError,
    EncodeError,
    Header,
    Limits,
    Message,
    MessageDecoder,
    PoisonedError,
    ProtocolError,
    ReadBuffer,
    RowMarker,
    ServerFailure,
    ValueType,
    decode_message,
    encode_message,
)
from dqlitewire.explain import explain
from dqlitewire.messages import LeaderResponse, RowsResponse, ServersResponse
from dqlitewire.tuples import decode_params_tuple, decode_row_header, decode_row_values
from dqlitewire.types import decode_blob, decode_text, decode_value
from tests.messages.test_messages import EXAMPLES
from tests.wire_data import OUTSIDE_GATEWAY, VECTORS, captures, frames

HEADER = struct.Struct("<IBBH")
UNCAPPED = Limits(**dict.fromkeys(Limits.__slots__))


def good_frames() -> Iterator[tuple[bytes, bool]]:
    """Frames of every type: examples, vectors and the small ones of the recordings."""
    for message in EXAMPLES:
        yield message.encode(), message.IS_REQUEST
    for vector in VECTORS:
        yield vector.data, vector.is_request
    for capture in captures():
        for step in capture.steps:
            yield step.request, True
            yield from ((frame, False) for frame in frames(step.answer)[:1])


FRAMES = sorted({(frame, side) for frame, side in good_frames() if len(frame) <= 600})


def framed(body: bytes, kind: int, schema: int = 0) -> bytes:
    return HEADER.pack(len(body) // 8, kind, schema, 0) + body


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


NAME = b"a" + bytes(7)


def judge(data: bytes, is_request: bool, **options: Any) -> Message | None:
    """Decode; an error must be a DecodeError that says what and where."""
    try:
        return decode_message(data, is_request, **options)
    except DecodeError as error:
        check_placed(error, len(data), options.get("limits"))
        return None


def check_placed(error: DecodeError, size: int, limits: Limits | None = None) -> None:
    """An error names a field of the message, a place in the frame, and the cap that was exceeded, if any."""
    assert error.path
    assert FIELD.fullmatch(error.path)
    assert error.offset is not None
    assert 0 <= error.offset <= max(size, 8)
    assert error.limit is None or error.limit in (USUAL_CAPS if limits is None else caps(limits))
    assert (error.limit is None) or str(error.limit) in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 200


def caps(limits: Limits) -> set[int | None]:
    return {getattr(limits, cap) for cap in Limits.__slots__}


USUAL_CAPS = caps(Limits())
FIELD = re.compile(r"[A-Z]\w*(\.\w+(\[\d+\])*){0,2}")


# ---------------------------------------------------------------- single frames


@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_every_truncation(number: int) -> None:
    data, is_request = FRAMES[number]
    for end in range(len(data)):
        assert judge(data[:end], is_request) is None
    for end in range(8, len(data), 8):  # and with a header that agrees
        judge(framed(data[8:end], data[4], data[5]), is_request)


@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_every_trailer(number: int) -> None:
    data, is_request = FRAMES[number]
    for more in (b"\0", b"\xff" * 7, bytes(8), b"\xff" * 8, data):
        assert judge(data + more, is_request) is None
    for words in (bytes(8), b"\xff" * 8, b"\xee" * 8, b"\x01" * 8):
        judge(framed(data[8:] + words, data[4], data[5]), is_request)


@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_every_word_replaced(number: int) -> None:
    data, is_request = FRAMES[number]
    for start in range(8, len(data), 8):
        for word in (
            0,
            1,
            2**31,
            2**32 - 1,
            2**32,
            2**53,
            2**61,
            2**62,
            2**63 - 1,
            2**63,
            2**64 - 8,
            2**64 - 1,
        ):
            judge(data[:start] + struct.pack("<Q", word) + data[start + 8 :], is_request)


@pytest.mark.parametrize("number", range(0, len(FRAMES), 3))
def test_every_byte_changed(number: int) -> None:
    data, is_request = FRAMES[number]
    for at in range(8, len(data)):
        for byte in (0, 1, 5, 0x11, 0x7F, 0x80, 0xEE, 0xFF, data[at] ^ 0x80):
            judge(data[:at] + bytes([byte]) + data[at + 1 :], is_request)


@pytest.mark.parametrize("is_request", [True, False])
@pytest.mark.parametrize("kind", range(256))
def test_every_type_and_schema(kind: int, is_request: bool) -> None:
    for schema in (0, 1, 2, 255):
        for body in (b"", bytes(8), bytes(16), b"\x01" * 8, b"\xff" * 24, b"a\0\0\0\0\0\0\0" * 3):
            judge(framed(body, kind, schema), is_request)


@given(st.sampled_from(FRAMES), st.data())
def test_mutations(chosen: tuple[bytes, bool], data: st.DataObject) -> None:
    frame, is_request = bytearray(chosen[0]), chosen[1]
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(frame)))
        how = data.draw(st.sampled_from(["set", "flip", "cut", "insert", "remove", "move"]))
        if how == "set" and at < len(frame):
            frame[at] = data.draw(st.integers(0, 255))
        elif how == "flip" and at < len(frame):
            frame[at] ^= 1 << data.draw(st.integers(0, 7))
        elif how == "cut":
            del frame[at:]
        elif how == "insert":
            frame[at:at] = data.draw(st.binary(max_size=16))
        elif how == "remove":
            del frame[at : at + data.draw(st.integers(1, 16))]
        else:
            frame[at:at] = frame[: data.draw(st.integers(0, 24))]
    if data.draw(st.booleans()) and len(frame) >= 8:
        frame[:4] = ((len(frame) - 8) // 8).to_bytes(4, "little")
    limits = data.draw(st.sampled_from([None, Limits(**dict.fromkeys(Limits.__slots__))]))
    errors = data.draw(st.sampled_from(["strict", "replace", "surrogateescape"]))
    judge(bytes(frame), is_request, limits=limits, text_errors=errors)
    if limits is not None:
        judge(bytes(frame), is_request, max_message_size=None, max_rows=None, limits=limits)


@given(st.binary(max_size=300), st.integers(0, 19), st.integers(0, 2), st.booleans())
def test_random_bodies(body: bytes, kind: int, schema: int, is_request: bool) -> None:
    body += bytes(-len(body) % 8)
    message = judge(framed(body, kind, schema), is_request)
    if message is not None:  # what was decoded is encoded again or refused, and then means the same
        try:
            again = encode_message(message)
        except EncodeError:
            return
        assert repr(decode_message(again, is_request)) == repr(message)


WORDS = st.sampled_from(
    [bytes(8), b"\x01" + bytes(7), b"\x02" + bytes(7), b"\x11" * 8, b"\xff" * 8, b"\xee" * 8, b"a" * 8]
)


@given(st.lists(WORDS, max_size=40), st.integers(0, 19), st.booleans())
def test_random_words(words: list[bytes], kind: int, is_request: bool) -> None:
    judge(framed(b"".join(words), kind), is_request)


BODIES = st.binary(max_size=200)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
@given(BODIES, st.integers(0, 2))
def test_decode_body_of_anything(message: Message, body: bytes, schema: int) -> None:
    cls = type(message)
    try:
        assert isinstance(cls.decode_body(body, schema), cls)
    except DecodeError as error:
        check_placed(error, 8 + len(body))


READERS: dict[str, Callable[[bytes], Any]] = {
    "Header.decode": Header.decode,
    "decode_text": decode_text,
    "decode_blob": decode_blob,
    **{f"decode_value {kind.name}": lambda data, kind=kind: decode_value(data, kind) for kind in ValueType},
    "decode_params_tuple 0": lambda data: decode_params_tuple(data),
    "decode_params_tuple 1": lambda data: decode_params_tuple(data, None, 1),
    "decode_params_tuple count": lambda data: decode_params_tuple(data, 3),
    "decode_row_header": lambda data: decode_row_header(data, 20),
    "decode_row_values": lambda data: decode_row_values(data, list(ValueType)),
    "decode_body_legacy": LeaderResponse.decode_body_legacy,
    "format 0": lambda data: ServersResponse.decode_body(data, format=0),
}


@pytest.mark.parametrize("name", READERS)
@given(BODIES, st.booleans())
def test_readers_of_anything(name: str, data: bytes, as_view: bool) -> None:
    try:
        READERS[name](memoryview(data) if as_view else data)  # type: ignore[arg-type]
    except DecodeError:
        pass


@given(st.integers(0, 3000), BODIES)
def test_row_headers_of_any_width(count: int, data: bytes) -> None:
    try:
        found, size = decode_row_header(data, count)
    except DecodeError:
        return
    assert isinstance(found, RowMarker) or len(found) == count
    assert size <= len(data)


@pytest.mark.parametrize("wrong", ["text", 5, None, [1, 2], object()])
def test_what_is_not_bytes_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        decode_message(wrong)


# ---------------------------------------------------------------- places


def refusal(data: bytes, is_request: bool = False, **caps: int | None) -> tuple[Any, ...]:
    with pytest.raises(DecodeError) as caught:
        decode_message(data, is_request, limits=Limits(**caps))
    error = caught.value
    return error.path, error.offset, error.limit


def test_a_limit_is_that_of_a_cap_and_not_that_of_a_range() -> None:
    for data, is_request, path, caps in (
        (framed(words(1, 0) + NAME + words(0), 3), False, "ServersResponse.nodes[0].node_id", None),
        (framed(words(7), 18), True, "DescribeRequest.format", None),
        (framed(words(2), 16), True, "ClusterRequest.format", None),
        (framed(words(1, 3), 13), True, "AssignRequest.role", None),
        (framed(words(1), 0), True, "LeaderRequest.unused", None),
        (framed(words(1, 2**31), 6), False, "ResultResponse.rows_affected", "max_rows_affected"),
        (framed(words(0, 32_767), 5), False, "StmtResponse.num_params", "max_param_count"),
        (framed(words(0, 0, 2**40), 5, 1), False, "StmtResponse.tail_offset", "max_tail_offset"),
        (framed(words(2001) + bytes(8 * 2002), 7), False, "RowsResponse.column_names", "max_column_count"),
    ):
        found = refusal(data, is_request)
        assert (found[0], found[2]) == (path, caps and getattr(Limits(), caps))
        if caps is not None:
            judge(data, is_request, limits=UNCAPPED)


def test_an_error_in_a_row_names_row_and_column() -> None:
    good = words(0x31, 7) + b"text\0\0\0\0"
    head = words(2) + NAME * 2
    for before in (0, 1, 70):
        at = 8 + len(head) + before * len(good)
        for row, column, offset, caps in (
            (words(0x31, 7) + b"\xff\0\0\0\0\0\0\0", 1, 16, {}),
            (words(0x31, 7) + b"12345678", 1, 16, {}),
            (words(0x61, 7, 0), 1, 0, {}),
            (words(0x16, 7, 0), 0, 0, {}),
            (words(0x41, 7, 1 << 40), 1, 16, {}),
            (words(0x31, 7) + b"fiver\0\0\0", 1, 16, {"max_text_value_size": 4}),
            (words(0x14, 5) + b"fiver\0\0\0" + words(7), 0, 8, {"max_blob_size": 4}),
        ):
            data = framed(head + good * before + row + b"\xff" * 8, 7)
            wanted = f"RowsResponse.rows[{before}][{column}]", at + offset, *caps.values()
            assert refusal(data, **caps)[: len(wanted)] == wanted
            error = explain(data, is_request=False, limits=Limits(**caps)).error
            if row[16:17] != b"\xff":  # which is shown with a backslash
                assert (error.path, error.offset, error.limit) == refusal(data, **caps)  # type: ignore[union-attr]


# ---------------------------------------------------------------- memory


@contextmanager
def at_most(size: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= size


HUGE = [2**20, 2**31, 2**32 - 1, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
COUNTS: dict[str, Callable[[int], tuple[bytes, bool]]] = {
    "SERVERS nodes": lambda n: (framed(words(n), 3), False),
    "SERVERS nodes and some": lambda n: (framed(words(n) + bytes(960), 3), False),
    "FILES files": lambda n: (framed(words(n) + bytes(960), 9), False),
    "FILES size": lambda n: (framed(words(1) + NAME + words(n), 9), False),
    "FILES size and some": lambda n: (framed(words(1) + NAME + words(n) + bytes(960), 9), False),
    "ROWS columns": lambda n: (framed(words(n) + bytes(960) + b"\xff" * 8, 7), False),
    "ROWS blob": lambda n: (framed(words(1) + NAME + words(4, n) + bytes(960) + b"\xff" * 8, 7), False),
    "FAILURE": lambda n: (framed(words(n) * 100, 0), False),
    "EXEC params, schema 1": lambda n: (framed(words(0, n % 2**32) + bytes(960), 5, 1), True),
    "QUERY_SQL blob": lambda n: (framed(words(0) + NAME + words(0x0401, n) + bytes(960), 9), True),
    "STMT params": lambda n: (framed(words(0, n), 5), False),
    "STMT tail": lambda n: (framed(words(0, 0, n), 5, 1), False),
}


@pytest.mark.parametrize("limits", [None, UNCAPPED], ids=["capped", "uncapped"])
@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize("what", COUNTS)
def test_counts_and_lengths_beyond_the_body_allocate_nothing(
    what: str, number: int, limits: Limits | None
) -> None:
    data, is_request = COUNTS[what](number)
    judge(data, is_request, limits=limits)
    with at_most(200_000):
        judge(data, is_request, limits=limits)


@pytest.mark.parametrize("options", [{}, {"max_message_size": None}, {"limits": UNCAPPED}], ids=str)
@pytest.mark.parametrize("kind", range(20))
def test_frames_that_announce_32_gib_allocate_nothing(kind: int, options: dict[str, Any]) -> None:
    header = HEADER.pack(0xFFFFFFFF, kind, 0, 0)
    with at_most(200_000):
        for body in (b"", bytes(64)):
            with pytest.raises(DecodeError):
                decode_message(header + body, **options)
            decoder = MessageDecoder(**options)
            decoder.feed(header + body)
            if options:
                assert decoder.decode() is None
                assert decoder.pending_frame_size() == 8 + 8 * 0xFFFFFFFF
            else:
                with pytest.raises(DecodeError):
                    decoder.decode()


@pytest.mark.parametrize("form", [bytes, memoryview])
def test_readers_do_not_copy_what_follows(form: Any) -> None:
    tail = bytes(32 << 20)
    data = {
        decode_text: form(b"abc" + bytes(5) + tail),
        decode_blob: form(words(3) + b"abc" + bytes(5) + tail),
        (lambda d: decode_value(d, ValueType.TEXT)): form(b"abc" + bytes(5) + tail),
        (lambda d: decode_params_tuple(d)): form(words(0x0301) + b"abc" + bytes(5) + tail),
        (lambda d: decode_row_values(d, [ValueType.TEXT])): form(b"abc" + bytes(5) + tail),
        (lambda d: decode_row_header(d, 1)): form(words(1) + tail),
    }
    for read, given_data in data.items():
        with at_most(100_000):
            read(given_data)


def test_decoding_takes_memory_in_proportion_to_the_frame() -> None:
    cases = [
        framed(words(1) + NAME + words(5, 0) * 50_000 + b"\xff" * 8, 7),  # a NULL a row
        framed(words(1) + NAME + words(1, 2**62) * 50_000 + b"\xff" * 8, 7),
        framed(words(1) + NAME + words(3, 0) * 50_000 + b"\xff" * 8, 7),  # empty texts
        framed(words(1) + NAME + words(4, 0) * 50_000 + b"\xff" * 8, 7),  # empty blobs
        framed(words(2000) + bytes(16_000) + b"\xff" * 8, 7),  # nameless columns
        framed(
            words(1) + NAME + (words(1, 0) + words(5, 0)) * 25_000 + b"\xff" * 8, 7
        ),  # types that alternate
    ]
    for data in cases:
        decode_message(data)
        with at_most(20 * len(data)):
            decode_message(data)


# ---------------------------------------------------------------- streams

CALLS: dict[str, Callable[[MessageDecoder], Any]] = {
    "decode": MessageDecoder.decode,
    "decode_continuation": MessageDecoder.decode_continuation,
    "skip_message": MessageDecoder.skip_message,
    "take_frame": MessageDecoder.take_frame,
    "pending_frame_size": MessageDecoder.pending_frame_size,
    "has_message": MessageDecoder.has_message,
    "decode_handshake": MessageDecoder.decode_handshake,
    "reset": MessageDecoder.reset,
}
CHUNKS = st.one_of(
    st.sampled_from([frame for frame, _ in FRAMES]),
    st.sampled_from([frame for frame, _ in FRAMES]).map(lambda frame: frame[: len(frame) // 2]),
    st.sampled_from([RowsResponse(["a"], [], [], [[1]], True).encode(), (1).to_bytes(8, "little")]),
    st.binary(max_size=40),
)
STEPS = st.lists(st.one_of(CHUNKS, st.sampled_from(sorted(CALLS))), max_size=40)


@given(STEPS, st.booleans(), st.sampled_from([100, 64 << 20, None]))
def test_any_sequence_of_bytes_and_calls(
    steps: list[Any], is_request: bool, max_message_size: int | None
) -> None:
    decoder = MessageDecoder(is_request, max_message_size=max_message_size)
    for step in steps:
        poisoned = decoder.is_poisoned
        try:
            decoder.feed(step) if isinstance(step, bytes) else CALLS[step](decoder)
        except ConcurrentUseError:
            pytest.fail("a single owner is never refused")
        except PoisonedError:
            assert poisoned
        except (ServerFailure, ContinuationError):
            assert not decoder.is_poisoned or poisoned
        except ProtocolError:
            pass
        else:
            assert not poisoned or step in ("reset", "has_message")


BUFFER_CALLS: dict[str, Callable[[ReadBuffer], Any]] = {
    "read": ReadBuffer.read_message,
    "skip": ReadBuffer.skip_message,
    "peek": ReadBuffer.peek_header,
    "reset": ReadBuffer.reset,
}
BUFFER_STEPS = st.lists(
    st.one_of(CHUNKS, st.integers(-1, 30), st.sampled_from(sorted(BUFFER_CALLS))), max_size=40
)


@given(BUFFER_STEPS)
def test_any_use_of_a_buffer(steps: list[Any]) -> None:
    buffer = ReadBuffer(100)
    for step in steps:
        before = buffer.available()
        try:
            if isinstance(step, bytes):
                buffer.feed(step)
            elif isinstance(step, int):
                found = buffer.read_bytes(step)
                assert found is None or len(found) == step == before - buffer.available()
            else:
                BUFFER_CALLS[step](buffer)
        except ValueError:
            assert step == -1
        except DecodeError:
            assert step in ("read", "peek")
        assert not buffer.is_poisoned


def test_types_no_gateway_answers_are_refused_in_streams_too() -> None:
    for kind in OUTSIDE_GATEWAY:
        decoder = MessageDecoder(is_request=True)
        decoder.feed((1).to_bytes(8, "little") + framed(bytes(16), kind))
        decoder.decode_handshake()
        with pytest.raises(DecodeError):
            decoder.decode()
