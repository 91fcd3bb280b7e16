"""Bodies of requests where the declaration alone does not say it all, and what no decoder accepts."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from dqlitewire import DecodeError, EncodeError, Limits, NodeRole, decode_message, encode_message
from dqlitewire.messages import (
    AssignRequest,
    ClusterRequest,
    DescribeRequest,
    DumpRequest,
    ExecRequest,
    ExecSqlRequest,
    LeaderRequest,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    TransferRequest,
)
from dqlitewire.messages.requests import ConnectRequest, HeartbeatRequest

MAX_PARAMS = 32_766


def u64(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def refused(cls: Any, body: bytes, path: str, offset: int | None, schema: int = 0, **options: Any) -> None:
    """Check that a body is refused and the place named; offsets count from the start of the frame."""
    with pytest.raises(DecodeError) as caught:
        cls.decode_body(body, schema, **options)
    assert (caught.value.path or "").startswith(path)
    if offset is not None:
        assert caught.value.offset == offset


# ---------------------------------------------------------------- words that mean something


def test_leader_carries_a_word_of_zeros() -> None:
    assert LeaderRequest().encode_body() == bytes(8)
    assert LeaderRequest.decode_body(bytes(8)) == LeaderRequest()
    refused(LeaderRequest, u64(1), "LeaderRequest", 8)


def test_assign_has_two_forms() -> None:
    assert AssignRequest(3, NodeRole.SPARE).encode_body() == u64(3, 2)
    assert AssignRequest(3, NodeRole.SPARE).encode_body_legacy() == u64(3)
    assert AssignRequest.decode_body(u64(3, 1)) == AssignRequest(3, NodeRole.STANDBY)
    assert AssignRequest.decode_body(u64(3)) == AssignRequest(3, NodeRole.VOTER)
    refused(AssignRequest, u64(3, 3), "AssignRequest.role", 16)
    refused(AssignRequest, u64(3, 2**64 - 1), "AssignRequest.role", 16)
    for size in (0, 7, 9, 15, 17, 24):
        refused(AssignRequest, bytes(size), "AssignRequest", None)


def test_assign_takes_roles_as_integers() -> None:
    for role in NodeRole:
        message = AssignRequest(1, int(role))
        assert message.role is role
    with pytest.raises((EncodeError, TypeError)):
        AssignRequest(1)  # type: ignore[call-arg]


def test_cluster_reads_both_formats_and_writes_one() -> None:
    assert ClusterRequest().encode_body() == u64(1)
    for format in (0, 1):
        assert ClusterRequest.decode_body(u64(format)).format == format
    for format in (2, 255, 2**64 - 1):
        refused(ClusterRequest, u64(format), "ClusterRequest.format", 8)
    decoded = decode_message(bytes([1, 0, 0, 0, 16, 0, 0, 0]) + u64(0), is_request=True)
    for encode in (decoded.encode, decoded.encode_body, lambda: encode_message(decoded)):
        with pytest.raises(EncodeError):
            encode()


def test_describe_has_one_format_that_does_not_kill_a_server() -> None:
    assert DescribeRequest.decode_body(u64(0)) == DescribeRequest(0)
    for format in (1, 2**64 - 1):
        refused(DescribeRequest, u64(format), "DescribeRequest.format", 8)
        refused(DescribeRequest, u64(format), "DescribeRequest.format", 8, strict=True)
        admitted = DescribeRequest.decode_body(u64(format), strict=False)
        assert admitted.format == format
        assert admitted.encode_body() == u64(format)
    refused(DescribeRequest, u64(1, 2), "DescribeRequest", None, strict=False)
    refused(DescribeRequest, b"", "DescribeRequest", None, strict=False)


def test_transfer_to_0_lets_the_server_choose() -> None:
    assert TransferRequest(0).encode_body() == u64(0)


def test_messages_for_tools_have_bodies_too() -> None:
    assert HeartbeatRequest(1).encode_body() == u64(1)
    assert ConnectRequest(2, "a:1").encode_body() == u64(2) + b"a:1\0\0\0\0\0"
    assert ConnectRequest.decode_body(u64(2) + b"a:1\0\0\0\0\0") == ConnectRequest(2, "a:1")
    for message in (HeartbeatRequest(1), ConnectRequest(2, "a:1")):
        with pytest.raises(DecodeError):
            decode_message(message.encode(), is_request=True)


# ---------------------------------------------------------------- schema bytes


def test_prepare_keeps_its_schema() -> None:
    for schema in (0, 1):
        message = PrepareRequest(0, "SELECT 1", schema)
        assert message.encode()[5] == schema
        found = PrepareRequest.decode_body(message.encode_body(), schema)
        assert (found, found.schema) == (message, schema)
    assert PrepareRequest(0, "x", 0) != PrepareRequest(0, "x", 1)


PARAMS_CLASSES = [(ExecRequest, 2), (QueryRequest, 2), (ExecSqlRequest, "sql"), (QuerySqlRequest, "sql")]
each_params_class = pytest.mark.parametrize(("cls", "second"), PARAMS_CLASSES)


@each_params_class
@pytest.mark.parametrize(
    ("count", "schema"), [(0, 0), (1, 0), (255, 0), (256, 1), (1000, 1), (MAX_PARAMS, 1)]
)
def test_schema_1_is_used_above_255_parameters(cls: Any, second: Any, count: int, schema: int) -> None:
    message = cls(1, second, [7] * count)
    frame = message.encode()
    assert frame[5] == schema
    found = decode_message(frame, is_request=True)
    assert found == message
    assert len(found.params) == count
    assert found.encode() == frame


@each_params_class
def test_more_parameters_than_sqlite_takes_are_not_encoded(cls: Any, second: Any) -> None:
    message = cls(1, second, [None] * (MAX_PARAMS + 1))
    with pytest.raises(EncodeError) as caught:
        message.encode()
    assert caught.value.limit == MAX_PARAMS
    frame = encode_message(message, limits=Limits(max_param_count=None))
    with pytest.raises(DecodeError):
        decode_message(frame, is_request=True)
    assert decode_message(frame, is_request=True, limits=Limits(max_param_count=None)) == message


@each_params_class
def test_schema_0_never_wraps(cls: Any, second: Any) -> None:
    for count in (256, 257, 512):
        with pytest.raises(EncodeError):
            cls(1, second, [None] * count, schema=0).encode()


@each_params_class
def test_no_parameters_are_no_bytes(cls: Any, second: Any) -> None:
    plain = cls(1, second)
    explicit = cls(1, second, [], empty_header=True)
    assert explicit.encode_body() == plain.encode_body() + bytes(8)
    for message in (plain, explicit):
        found = decode_message(message.encode(), is_request=True)
        assert found == plain
        assert found.empty_header == message.empty_header
        assert found.encode() == message.encode()


@each_params_class
def test_few_parameters_in_schema_1_come_back_in_schema_1(cls: Any, second: Any) -> None:
    for params in ([], [1], [1, "x"]):
        for empty_header in (False, True) if not params else (False,):
            message = cls(1, second, params, schema=1, empty_header=empty_header)
            frame = message.encode()
            assert frame[5] == 1
            found = decode_message(frame, is_request=True)
            assert found.schema == 1
            assert found.encode() == frame


@each_params_class
def test_parameters_are_encoded_by_their_python_type(cls: Any, second: Any) -> None:
    message = cls(1, second, [None, True, 1, 1.5, "t", b"b"])
    frame = message.encode()
    assert bytes([6, 5, 11, 1, 2, 3, 4, 0]) in frame
    assert decode_message(frame, is_request=True).params == [None, True, 1, 1.5, "t", b"b"]


@each_params_class
@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "a\0b", "\ud800", object(), 1j, {1}])
def test_values_that_cannot_be_sent_are_named(cls: Any, second: Any, value: Any) -> None:
    message = cls(1, second, [1, value])
    for encode in (message.encode, message.encode_body):
        with pytest.raises(EncodeError) as caught:
            encode()
        assert caught.value.path == f"{cls.__name__}.params[1]"


# ---------------------------------------------------------------- what is not read

TEXT = b"text\0\0\0\0"
REFUSED = [
    # class, body, schema, path, offset
    (OpenRequest, b"abcdefgh" + bytes(16), 0, "OpenRequest", None),
    (OpenRequest, TEXT, 0, "OpenRequest.flags", 16),
    (OpenRequest, TEXT + u64(0), 0, "OpenRequest.vfs", 24),
    (OpenRequest, TEXT + u64(0) + b"abcdefgh", 0, "OpenRequest.vfs", 24),
    (OpenRequest, TEXT + u64(0) + TEXT + u64(0), 0, "OpenRequest", 32),
    (OpenRequest, b"\xff\0\0\0\0\0\0\0" + u64(0) + TEXT, 0, "OpenRequest.name", 8),
    (OpenRequest, (b"x" * 4097).ljust(4104, b"\0") + u64(0) + TEXT, 0, "OpenRequest.name", 8),
    (PrepareRequest, u64(0), 0, "PrepareRequest.sql", 16),
    (PrepareRequest, u64(0) + b"SELECT 1", 0, "PrepareRequest.sql", 16),
    (PrepareRequest, u64(0) + TEXT + u64(0), 1, "PrepareRequest", 24),
    (ExecRequest, u64(0) + u64(0x0101) + b"", 0, "ExecRequest.params", None),
    (ExecRequest, u64(0) + u64(0x0901) + u64(0), 0, "ExecRequest.params", None),
    (ExecRequest, u64(0) + u64(0x0001) + u64(0), 0, "ExecRequest.params", None),
    (ExecRequest, u64(0) + u64(0) + u64(0), 0, "ExecRequest", 24),
    (ExecRequest, u64(0) + u64(0x0101) + u64(5, 6), 0, "ExecRequest", 32),
    (QueryRequest, u64(0) + u64(0xFFFF), 1, "QueryRequest.params", None),
    (QueryRequest, u64(0) + struct.pack("<II", 2**32 - 1, 0), 1, "QueryRequest.params", None),
    (QueryRequest, u64(0) + struct.pack("<II", MAX_PARAMS + 1, 0), 1, "QueryRequest.params", None),
    (ExecSqlRequest, u64(0) + TEXT + u64(0x0301) + b"no NUL..", 0, "ExecSqlRequest.params[0]", 32),
    (ExecSqlRequest, u64(0) + TEXT + u64(0x030102) + u64(1), 0, "ExecSqlRequest.params", None),
    (QuerySqlRequest, u64(0) + TEXT + u64(0x0401) + u64(9, 0), 0, "QuerySqlRequest.params[0]", 32),
    (QuerySqlRequest, u64(0) + TEXT + u64(0x0401) + u64(2**63, 0), 0, "QuerySqlRequest.params[0]", 32),
    (QuerySqlRequest, u64(0) + TEXT + u64(0x0301) + b"\xff" + bytes(7), 0, "QuerySqlRequest.params[0]", 32),
    (DumpRequest, (b"x" * 1020).ljust(1024, b"\0"), 0, "DumpRequest.name", 8),
    (DumpRequest, b"12345678", 0, "DumpRequest.name", 8),
]


@pytest.mark.parametrize(
    ("cls", "body", "schema", "path", "offset"),
    REFUSED,
    ids=[f"{n} {case[3]}" for n, case in enumerate(REFUSED)],
)
def test_bodies_that_are_refused(cls: Any, body: bytes, schema: int, path: str, offset: int | None) -> None:
    refused(cls, body, path, offset, schema)


def test_padding_is_not_looked_at() -> None:
    assert DumpRequest.decode_body(b"a\0junk!!") == DumpRequest("a")
    dirty = u64(0) + TEXT + bytes([1, 1]) + b"\xff" * 6 + u64(5)
    assert ExecSqlRequest.decode_body(dirty).params == [5]


def test_iso8601_parameters_become_text() -> None:
    frame = u64(0) + TEXT + u64(0x0A01) + b"now\0\0\0\0\0"
    found = ExecSqlRequest.decode_body(frame)
    assert found.params == ["now"]
    assert found.encode_body() == u64(0) + TEXT + u64(0x0301) + b"now\0\0\0\0\0"


@pytest.mark.parametrize("params", [{"a": 1}, {1, 2}, "ab", b"ab", 5])
def test_params_are_a_sequence(params: Any) -> None:
    with pytest.raises(EncodeError, match="a sequence is needed"):
        ExecSqlRequest(0, "SELECT ?", params)
