"""FAILURE by the rule of the protocol: code and message come last, whatever was half built before them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import DecodeError, Limits, ServerFailure, decode_message, sanitize_server_text
from dqlitewire.messages import FailureResponse, RowsResponse
from dqlitewire.testing.strategies import rows_responses


def text(message: str) -> bytes:
    raw = message.encode()
    return raw + bytes(8 - len(raw) % 8)


def body(code: int, message: str, before: bytes = b"") -> bytes:
    return before + struct.pack("<Q", code) + text(message)


def frame(data: bytes) -> bytes:
    return struct.pack("<IBBH", len(data) // 8, 0, 0, 0) + data


def plain(data: bytes) -> tuple[int, bytes] | None:
    """The rule, word for word: the first word boundary behind whose text the body ends."""
    for p in range(0, len(data), 8):
        nul = data.find(b"\0", p + 8)
        if nul >= 0 and nul + 8 - nul % 8 == len(data):
            return int.from_bytes(data[p : p + 8], "little"), data[p + 8 : nul]
    return None


def half_built(names: list[str], *rows: bytes) -> bytes:
    return struct.pack("<Q", len(names)) + b"".join(map(text, names)) + b"".join(rows)


KNOWN = [
    # before, code, message
    (b"", 1, 'near "SELEC": syntax error'),
    (b"", 0, "empty statement"),
    (b"", 10250, "not leader"),
    (b"", 5, ""),
    (b"", 2**56 - 1, "seven"),
    (half_built([]), 1555, "UNIQUE constraint failed: t.a"),
    (half_built([]), 5, "database is locked"),
    (half_built(["x"]), 1, "integer overflow"),
    (half_built(["a name of sixteen"] * 3), 1, "x" * 300),
    (half_built(["i"], struct.pack("<QQ", 1, 5) * 200), 1, "integer overflow"),
    (half_built(["i"], struct.pack("<Q", 3), text("a text cell")), 7, "out of memory"),
    (half_built(["i"], struct.pack("<QQ", 4, 16), bytes(16)), 7, "out of memory"),
    (struct.pack("<Q", 2), 1002, "failed to dump WAL file"),
    (struct.pack("<Q", 2) + text("a.db") + struct.pack("<Q", 8) + bytes(8), 1002, "failed to dump"),
]


@pytest.mark.parametrize(("before", "code", "message"), KNOWN)
def test_code_and_message_are_the_last_things(before: bytes, code: int, message: str) -> None:
    data = body(code, message, before)
    assert FailureResponse.decode_body(data) == FailureResponse(code, message)
    assert decode_message(frame(data)) == FailureResponse(code, message)
    assert plain(data) == (code, message.encode())


def test_encoding_writes_the_clean_form() -> None:
    found = FailureResponse.decode_body(body(1, "integer overflow", half_built(["x"])))
    assert found.encode_body() == body(1, "integer overflow")


CODES = st.integers(0, 2**56 - 1)
MESSAGES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


@given(rows_responses(), CODES, MESSAGES)
def test_rows_in_front_do_not_matter(rows: RowsResponse, code: int, message: str) -> None:
    data = body(code, message, rows.encode_body()[:-8])
    assert FailureResponse.decode_body(data) == FailureResponse(code, sanitize_server_text(message))


@given(st.binary(max_size=200), CODES, MESSAGES)
def test_whole_words_in_front_do_not_matter(before: bytes, code: int, message: str) -> None:
    data = body(code, message, before + bytes(-len(before) % 8))
    found = plain(data)
    assert found is not None
    try:
        wanted = FailureResponse(found[0], sanitize_server_text(found[1].decode()))
    except UnicodeDecodeError:
        with pytest.raises(DecodeError):
            FailureResponse.decode_body(data)
    else:
        assert FailureResponse.decode_body(data) == wanted


@given(st.binary(max_size=120))
def test_any_bytes_are_read_by_the_rule_or_refused(data: bytes) -> None:
    found = plain(data) if len(data) % 8 == 0 else None
    try:
        message = FailureResponse.decode_body(data)
    except DecodeError:
        if found is not None:
            with pytest.raises(UnicodeDecodeError):
                found[1].decode()
    else:
        assert found is not None
        assert (message.code, message.message) == (found[0], sanitize_server_text(found[1].decode()))


@pytest.mark.parametrize(
    "data", [b"", bytes(7), bytes(8), b"12345678", b"12345678" * 4, bytes(8) + b"12345678", body(1, "x")[:-1]]
)
def test_bodies_without_a_message_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        FailureResponse.decode_body(data)


def test_the_message_is_sanitised() -> None:
    for before in (b"", half_built(["x"])):
        found = FailureResponse.decode_body(body(1, "red \x1b[31m and\n\ttwo \u202e lines\x7f", before))
        assert found.message == "red ?[31m and\n\ttwo ? lines?"


def test_the_message_has_a_cap_and_what_stands_before_it_has_none() -> None:
    longest = "x" * 65_536
    for before in (b"", half_built(["x" * 4000]), half_built(["a"], bytes(1 << 17))):
        assert FailureResponse.decode_body(body(1, longest, before)).message == longest
        data = body(1, longest + "x", before)
        with pytest.raises(DecodeError) as caught:
            FailureResponse.decode_body(data)
        assert caught.value.limit == 65_536
        assert (
            len(decode_message(frame(data), limits=Limits(max_failure_message_size=None)).message) == 65_537
        )


def test_a_hostile_body_is_read_in_one_pass() -> None:
    data = (b"\x01" * 8) * (1 << 17)  # 1 MiB without a NUL, then one with many
    with pytest.raises(DecodeError):
        FailureResponse.decode_body(data)
    many = (b"\x01" * 7 + b"\0") * (1 << 17) + b"\x01" * 8
    with pytest.raises(DecodeError):
        FailureResponse.decode_body(many)


def test_a_message_that_is_not_utf8_is_refused_and_placed() -> None:
    data = struct.pack("<Q", 1) + b"\xff\0\0\0\0\0\0\0"
    with pytest.raises(DecodeError) as caught:
        FailureResponse.decode_body(data)
    assert (caught.value.path, caught.value.offset) == ("FailureResponse.message", 16)


def test_in_a_run_the_failure_carries_the_same_code_and_message() -> None:
    from dqlitewire import MessageDecoder

    decoder = MessageDecoder()
    decoder.feed(RowsResponse(["x"], [], [], [[1]], True).encode())
    decoder.feed(frame(body(1, "integer overflow", half_built(["x"], struct.pack("<QQ", 1, 2)))))
    decoder.decode()
    with pytest.raises(ServerFailure) as caught:
        decoder.decode_continuation()
    assert (caught.value.code, caught.value.message) == (1, "integer overflow")
