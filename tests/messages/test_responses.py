"""Bodies of responses where the declaration alone does not say it all: roles, files, rows, warnings, caps."""

from __future__ import annotations

import logging
import struct
from typing import Any

import pytest

from dqlitewire import (
    DecodeError,
    EncodeError,
    Limits,
    NodeInfo,
    NodeRole,
    ValueType,
    decode_message,
    encode_message,
)
from dqlitewire.messages import (
    DbResponse,
    EmptyResponse,
    FailureResponse,
    FilesResponse,
    LeaderResponse,
    MetadataResponse,
    ResultResponse,
    RowsResponse,
    ServersResponse,
    StmtResponse,
    WelcomeResponse,
)
from tests.messages.test_requests import refused, u64

I, F, T, B, N, U, D, L = (ValueType(code) for code in (1, 2, 3, 4, 5, 9, 10, 11))
LOGGER = "dqlitewire.messages.responses"
ADDRESS = b"a:1\0\0\0\0\0"
DONE, PART = b"\xff" * 8, b"\xee" * 8


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all((r.name, r.levelno) == (LOGGER, logging.WARNING) for r in caplog.records)
    return [record.getMessage() for record in caplog.records]


# ---------------------------------------------------------------- LEADER


def test_leader_without_an_address_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert LeaderResponse.decode_body(u64(3, 0)) == LeaderResponse(3, "")
    (line,) = warnings(caplog)
    assert "3" in line


def test_no_leader_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert LeaderResponse.decode_body(u64(0, 0)) == LeaderResponse(0, "")
    assert LeaderResponse(0, "").encode_body() == u64(0, 0)
    assert warnings(caplog) == []


def test_an_address_without_an_id_is_neither_read_nor_written() -> None:
    message = LeaderResponse(0, "a:1")
    with pytest.raises(EncodeError):
        message.encode_body()
    with pytest.raises(EncodeError):
        message.encode()
    refused(LeaderResponse, u64(0) + ADDRESS, "LeaderResponse.node_id", 8)


def test_the_error_about_an_address_shows_it_sanitised() -> None:
    with pytest.raises(DecodeError) as caught:
        LeaderResponse.decode_body(u64(0) + "\x1b[2J\u202e".encode() + bytes(1))
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)


def test_addresses_are_not_sanitised() -> None:
    assert LeaderResponse.decode_body(u64(1) + b"a\x1b\n:1\0\0\0").address == "a\x1b\n:1"


def test_legacy_leader_answers_have_no_id() -> None:
    assert LeaderResponse(0, "a:1").encode_body_legacy() == ADDRESS
    assert LeaderResponse.decode_body_legacy(ADDRESS) == LeaderResponse(0, "a:1")
    assert LeaderResponse.decode_body_legacy(bytes(8)) == LeaderResponse(0, "")
    with pytest.raises(EncodeError):
        LeaderResponse(1, "a:1").encode_body_legacy()
    for body in (b"", bytes(7), ADDRESS + bytes(8), b"12345678", b"\xff" + bytes(7)):
        with pytest.raises(DecodeError):
            LeaderResponse.decode_body_legacy(body)


# ---------------------------------------------------------------- small ones


def test_welcome(caplog: pytest.LogCaptureFixture) -> None:
    message = WelcomeResponse.decode_body(u64(15000))
    assert (message.heartbeat_timeout, message.heartbeat_timeout_seconds) == (15000, 15.0)
    assert warnings(caplog) == []
    assert WelcomeResponse.decode_body(u64(0)) == WelcomeResponse(0)
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(
    ("cls", "dirty", "clean"),
    [
        (DbResponse, struct.pack("<II", 5, 0xFFFFFFFF), DbResponse(5)),
        (EmptyResponse, u64(2**64 - 1), EmptyResponse()),
    ],
)
def test_unused_words_are_written_0_and_ignored(cls: Any, dirty: bytes, clean: Any) -> None:
    assert cls.decode_body(dirty) == clean
    assert cls.decode_body(clean.encode_body()) == clean
    assert clean.encode_body() != dirty


def test_stmt_says_its_schema() -> None:
    old, new = StmtResponse(1, 2, 3), StmtResponse(1, 2, 3, 9)
    assert (old.schema, old.tail_offset, len(old.encode_body())) == (0, None, 16)
    assert (new.schema, new.tail_offset, len(new.encode_body())) == (1, 9, 24)
    assert StmtResponse(1, 2, 3, schema=1) == StmtResponse(1, 2, 3, 0)
    assert StmtResponse(1, 2, 3, schema=0) == old
    assert StmtResponse(1, 2, 3, 9, 1) == new
    assert StmtResponse(1, 2, 3, 0).schema == 1
    assert (old.encode()[5], new.encode()[5]) == (0, 1)
    found = StmtResponse.decode_body(old.encode_body(), 0)
    assert (found, found.schema, found.tail_offset) == (old, 0, None)


@pytest.mark.parametrize(
    ("cls", "body", "schema", "path", "offset", "limit"),
    [
        (StmtResponse, bytes(16), 1, "StmtResponse", None, None),
        (StmtResponse, bytes(24), 0, "StmtResponse", 24, None),
        (StmtResponse, u64(0, 32_767), 0, "StmtResponse.num_params", 16, 32_766),
        (StmtResponse, u64(0, 0, 64 * 1024 * 1024 + 1), 1, "StmtResponse.tail_offset", 24, 64 * 1024 * 1024),
        (ResultResponse, u64(0, 2**31), 0, "ResultResponse.rows_affected", 16, 2**31 - 1),
        (ResultResponse, u64(0), 0, "ResultResponse", None, None),
        (MetadataResponse, u64(0), 0, "MetadataResponse", None, None),
        (MetadataResponse, u64(0, 0, 0), 0, "MetadataResponse", 24, None),
        (WelcomeResponse, bytes(16), 0, "WelcomeResponse", 16, None),
        (LeaderResponse, u64(1) + b"x" * 257 + bytes(7), 0, "LeaderResponse.address", 16, 256),
        (LeaderResponse, u64(1) + b"12345678", 0, "LeaderResponse.address", 16, None),
    ],
)
def test_bodies_that_are_refused(
    cls: Any, body: bytes, schema: int, path: str, offset: int | None, limit: int | None
) -> None:
    refused(cls, body, path, offset, schema)
    if limit is not None:
        with pytest.raises(DecodeError) as caught:
            cls.decode_body(body, schema)
        assert caught.value.limit == limit


def test_row_ids_are_signed_on_request() -> None:
    for value in (0, 1, -1, 2**63 - 1, -(2**63)):
        message = ResultResponse(value % 2**64, 0)
        assert message.last_insert_id_signed == value
        assert message.last_insert_id == value % 2**64


# ---------------------------------------------------------------- SERVERS


def node(id: int, address: bytes = ADDRESS, role: int = 0) -> bytes:
    return u64(id) + address + u64(role)


def test_servers() -> None:
    body = u64(2) + node(1) + node(2, b"b\0\0\0\0\0\0\0", 2)
    wanted = ServersResponse([NodeInfo(1, "a:1", NodeRole.VOTER), NodeInfo(2, "b", NodeRole.SPARE)])
    assert ServersResponse.decode_body(body) == wanted
    assert wanted.encode_body() == body
    assert ServersResponse.decode_body(u64(0)) == ServersResponse([]) == ServersResponse()
    assert all(type(found.role) is NodeRole for found in ServersResponse.decode_body(body).nodes)


@pytest.mark.parametrize(
    ("body", "path", "offset"),
    [
        (b"", "ServersResponse", None),
        (u64(1), "ServersResponse.nodes", 8),
        (u64(2) + node(1), "ServersResponse.nodes", 8),
        (u64(10_001) + bytes(24), "ServersResponse.nodes", 8),
        (u64(2**64 - 1) + node(1), "ServersResponse.nodes", 8),
        (u64(1) + node(0), "ServersResponse.nodes[0].node_id", 16),
        (u64(1) + node(1, bytes(8)), "ServersResponse.nodes[0].address", 24),
        (u64(2) + node(1) + node(1), "ServersResponse.nodes[1].node_id", 40),
        (u64(1) + node(1) + u64(0), "ServersResponse", 40),
        (u64(1) + node(1, role=3), "ServersResponse.nodes[0].role", 32),
        (u64(2) + node(1) + node(2, role=2**64 - 1), "ServersResponse.nodes[1].role", 56),
        (u64(1) + u64(1) + b"12345678" * 2, "ServersResponse.nodes[0].address", 24),
        (u64(1) + u64(1) + b"\xff" + bytes(7) + u64(0), "ServersResponse.nodes[0].address", 24),
        (u64(1) + u64(1) + (b"x" * 257).ljust(264, b"\0") + u64(0), "ServersResponse.nodes[0].address", 24),
    ],
)
def test_servers_that_are_refused(body: bytes, path: str, offset: int | None) -> None:
    refused(ServersResponse, body, path, offset)


UNKNOWN_ROLES = u64(3) + node(1, role=7) + node(2, role=1) + node(3, role=9)


def test_unknown_roles_are_refused_read_with_one_warning_or_read(caplog: pytest.LogCaptureFixture) -> None:
    refused(ServersResponse, UNKNOWN_ROLES, "ServersResponse.nodes[0].role", 32)
    refused(ServersResponse, UNKNOWN_ROLES, "ServersResponse.nodes[0].role", 32, unknown_role_policy="reject")
    roles = [NodeRole.SPARE, NodeRole.STANDBY, NodeRole.SPARE]
    found = ServersResponse.decode_body(UNKNOWN_ROLES, unknown_role_policy="accept")
    assert [info.role for info in found.nodes] == roles
    assert warnings(caplog) == []
    found = ServersResponse.decode_body(UNKNOWN_ROLES, unknown_role_policy="warn")
    assert [info.role for info in found.nodes] == roles
    (line,) = warnings(caplog)
    assert "7" in line
    assert "9" in line


def test_known_roles_are_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    ServersResponse.decode_body(u64(1) + node(1, role=2), unknown_role_policy="warn")
    assert warnings(caplog) == []


@pytest.mark.parametrize("policy", ["", "REJECT", "ignore", None])
def test_an_unknown_policy_is_refused(policy: Any) -> None:
    with pytest.raises(DecodeError):
        ServersResponse.decode_body(u64(0), unknown_role_policy=policy)


def test_format_0_has_no_roles() -> None:
    body = u64(2) + u64(1) + ADDRESS + u64(2) + ADDRESS
    found = ServersResponse.decode_body(body, format=0)
    assert [(info.node_id, info.address) for info in found.nodes] == [(1, "a:1"), (2, "a:1")]
    assert found.encode_body() == body
    with pytest.raises(DecodeError):
        ServersResponse.decode_body(body)
    with pytest.raises(DecodeError):
        ServersResponse.decode_body(u64(1) + node(1), format=0)
    with pytest.raises(DecodeError):
        ServersResponse.decode_body(u64(2) + u64(1) + ADDRESS, format=0)


def test_as_many_nodes_as_the_cap() -> None:
    message = ServersResponse([NodeInfo(n, "a", 0) for n in range(1, 10_001)])
    assert ServersResponse.decode_body(message.encode_body()) == message
    more = ServersResponse([*message.nodes, NodeInfo(10_001, "a", 0)])
    with pytest.raises(EncodeError):
        more.encode()
    lifted = Limits(max_node_count=None)
    assert decode_message(encode_message(more, limits=lifted), limits=lifted) == more


# ---------------------------------------------------------------- FILES


def file(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return name.ljust(8, b"\0") + u64(len(content) if size is None else size) + content


def test_files() -> None:
    body = u64(2) + file(b"a.db", b"12345678") + file(b"a", b"")
    wanted = FilesResponse({"a.db": b"12345678", "a": b""})
    assert FilesResponse.decode_body(body) == wanted
    assert list(FilesResponse.decode_body(body).files) == ["a.db", "a"]
    assert wanted.encode_body() == body
    assert FilesResponse().encode_body() == u64(0)
    assert FilesResponse.decode_body(u64(0)) == FilesResponse({})


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", "FilesResponse"),
        (u64(1), "FilesResponse"),
        (u64(101) + bytes(101 * 16), "FilesResponse.files"),
        (u64(2**63) + bytes(16), "FilesResponse.files"),
        (u64(2) + file(b"a", b""), "FilesResponse"),
        (u64(2) + file(b"a", b"") + file(b"a", b""), "FilesResponse"),
        (u64(1) + file(b"a", b"12345678", 16), "FilesResponse"),
        (u64(1) + file(b"a", b"12345678", 2**64 - 1), "FilesResponse"),
        (u64(1) + file(b"a", b"12345678", 7), "FilesResponse"),
        (u64(1) + file(b"a", b"12345678") + u64(0), "FilesResponse"),
        (u64(1) + b"12345678" * 2, "FilesResponse"),
        (u64(1) + file(b"\xff", b""), "FilesResponse"),
        (u64(1) + (b"x" * 4097).ljust(4104, b"\0") + u64(0), "FilesResponse"),
    ],
)
def test_files_that_are_refused(body: bytes, path: str) -> None:
    refused(FilesResponse, body, path, None)


def test_the_cap_of_a_file_is_checked_before_its_length() -> None:
    body = u64(1) + file(b"a", b"", 64 * 1024 * 1024)
    with pytest.raises(DecodeError) as caught:
        FilesResponse.decode_body(body)
    assert caught.value.limit == 64 * 1024 * 1024 - 64


def test_a_dump_above_every_default_can_be_read_with_limits() -> None:
    size = 64 * 1024 * 1024 + 8
    frame = struct.pack("<IBBH", (24 + size) // 8, 9, 0, 0) + u64(1) + file(b"big", bytes(size))
    for options in ({}, {"max_message_size": None}, {"limits": Limits(max_file_content_size=None)}):
        with pytest.raises(DecodeError):
            decode_message(frame, **options)
    found = decode_message(frame, limits=Limits(max_message_size=None, max_file_content_size=None))
    assert len(found.files["big"]) == size
    with pytest.raises(EncodeError):
        encode_message(found)


# ---------------------------------------------------------------- ROWS


def rows_body(columns: int, *words: bytes, names: bytes | None = None) -> bytes:
    return u64(columns) + (b"a\0\0\0\0\0\0\0" * columns if names is None else names) + b"".join(words)


ONE, TYPE_I, TYPE_T, TYPE_B = u64(1), u64(1), u64(3), u64(4)


def test_rows_types_may_change_from_row_to_row() -> None:
    body = rows_body(1, TYPE_I, ONE, TYPE_T, b"x\0\0\0\0\0\0\0", TYPE_I, u64(2), DONE)
    found = RowsResponse.decode_body(body)
    assert found.rows == [(1,), ("x",), (2,)]
    assert [tuple(types) for types in found.row_types] == [(I,), (T,), (I,)]
    assert found.column_types == [I]
    assert found.encode_body() == body


def test_row_types_are_a_sequence() -> None:
    found = RowsResponse.decode_body(rows_body(1, TYPE_I, ONE, TYPE_I, ONE, DONE))
    assert len(found.row_types) == 2
    assert tuple(found.row_types[0]) == tuple(found.row_types[-1]) == (I,)
    assert [tuple(types) for types in found.row_types] == [
        tuple(types) for types in reversed(found.row_types)
    ]
    with pytest.raises(IndexError):
        found.row_types[2]
    assert list(found.row_types[0:1]) == [(I,)]


def test_column_types_are_those_of_the_first_row_or_none() -> None:
    assert RowsResponse.decode_body(rows_body(1, DONE)).column_types == []
    assert RowsResponse.decode_body(rows_body(1, DONE)).row_types == []
    assert RowsResponse.decode_body(rows_body(1, TYPE_T, bytes(8), TYPE_I, ONE, DONE)).column_types == [T]


def test_the_marker_says_whether_more_follow() -> None:
    assert RowsResponse.decode_body(rows_body(1, PART)).has_more is True
    assert RowsResponse.decode_body(rows_body(1, DONE)).has_more is False
    assert RowsResponse(["a"], has_more=True).encode_body().endswith(PART)


def test_no_columns_are_a_marker_only() -> None:
    assert RowsResponse.decode_body(u64(0) + DONE) == RowsResponse()
    assert RowsResponse().encode_body() == u64(0) + DONE
    refused(RowsResponse, u64(0) + TYPE_I + DONE, "RowsResponse", None)


TWO = b"a\0\0\0\0\0\0\0b\0\0\0\0\0\0\0"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "nothing"),
        (u64(1), "a count only"),
        (u64(2001) + bytes(2002 * 8), "more columns than the cap"),
        (u64(2**64 - 1) + DONE, "more columns than the body"),
        (u64(2) + TWO[:8] + DONE, "more columns than the body"),
        (rows_body(1), "no marker"),
        (rows_body(1, TYPE_I, ONE), "no marker behind a row"),
        (rows_body(1, TYPE_I), "no value"),
        (rows_body(1, TYPE_I, DONE), "a marker as a value, and no marker"),
        (rows_body(1, DONE, ONE), "a word behind the marker"),
        (rows_body(1, DONE, DONE), "two markers"),
        (rows_body(1, DONE, TYPE_I, ONE, DONE), "rows behind the marker"),
        (rows_body(1, b"\xff" * 7 + b"\x11"), "a torn DONE"),
        (rows_body(1, b"\xee" * 7 + b"\x11"), "a torn PART"),
        (rows_body(1, b"\x11" + b"\xff" * 7, b"\xff" * 7 + b"\0"), "a torn DONE behind a row"),
        *(
            (rows_body(1, u64(nibble), ONE, DONE), f"nibble {nibble}")
            for nibble in (0, 6, 7, 8, 12, 13, 14, 15)
        ),
        (rows_body(1, TYPE_T, b"12345678", DONE), "text that runs into the marker"),
        (rows_body(1, TYPE_T, b"\xff\0\0\0\0\0\0\0", DONE), "text that is not UTF-8"),
        (rows_body(1, TYPE_B, u64(9), bytes(8), DONE), "a blob that covers the marker"),
        (rows_body(1, TYPE_B, u64(2**62), bytes(8), DONE), "a blob beyond everything"),
        (rows_body(1, TYPE_B, u64(2**64 - 1), bytes(8), DONE), "a blob of 2**64 - 1"),
        (rows_body(1, TYPE_B, u64(2**64 - 8), bytes(8), DONE), "a blob whose size wraps"),
        (u64(1) + b"12345678" + b"\xff" * 8, "a name without NUL"),
        (u64(1) + b"\xff\0\0\0\0\0\0\0" + DONE, "a name that is not UTF-8"),
        (u64(1) + (b"x" * 4097).ljust(4104, b"\0") + DONE, "a name above its cap"),
        (rows_body(1, TYPE_I, ONE, DONE)[:-1], "a body that ends inside the marker"),
        (rows_body(1, TYPE_I, ONE, DONE)[:-9], "a body that ends inside a value"),
        (rows_body(17, u64(0x1111111111111111), DONE), "half a row header"),
    ],
)
@pytest.mark.parametrize("rows_before", [0, 1, 40])
def test_rows_that_are_refused(body: bytes, why: str, rows_before: int) -> None:
    if rows_before and body[:16] == rows_body(1)[:16]:
        body = body[:16] + (TYPE_I + ONE) * rows_before + body[16:]
    refused(RowsResponse, body, "RowsResponse", None)


def test_errors_in_rows_say_which_cell() -> None:
    body = rows_body(2, u64(0x31), ONE, b"x\0\0\0\0\0\0\0", u64(0x31), ONE, b"\xff\0\0\0\0\0\0\0", DONE)
    with pytest.raises(DecodeError) as caught:
        RowsResponse.decode_body(body)
    assert caught.value.path is not None
    assert caught.value.path.startswith("RowsResponse.rows[1]")
    assert caught.value.offset == 8 + 24 + 24 + 16


def test_caps_on_rows_are_inclusive() -> None:
    body = rows_body(1, *[TYPE_I + ONE] * 5, DONE)
    assert len(RowsResponse.decode_body(body, 0, 5).rows) == 5
    assert len(RowsResponse.decode_body(body, max_rows=None).rows) == 5
    with pytest.raises(DecodeError) as caught:
        RowsResponse.decode_body(body, max_rows=4)
    assert caught.value.limit == 4


def test_as_many_columns_as_the_cap() -> None:
    message = RowsResponse(["c"] * 2000, [], [], [tuple(range(2000))])
    found = RowsResponse.decode_body(message.encode_body())
    assert found.rows == message.rows
    more = RowsResponse(["c"] * 2001, [], [], [tuple(range(2001))])
    with pytest.raises(EncodeError):
        more.encode()
    lifted = Limits(max_column_count=None)
    assert decode_message(encode_message(more, limits=lifted), limits=lifted).rows == more.rows


def test_values_take_their_type_from_the_row_the_column_or_themselves() -> None:
    by_row = RowsResponse(["a"], [T], [[U], [I]], [[1], [2]])
    assert [tuple(t) for t in decode_message(by_row.encode()).row_types] == [(U,), (I,)]
    by_column = RowsResponse(["a"], [U], [], [[1], [None]])
    assert [tuple(t) for t in decode_message(by_column.encode()).row_types] == [(U,), (N,)]
    by_value = RowsResponse(["a"], [], [], [[1], ["x"], [True], [None], [1.5], [b""]])
    assert [tuple(t) for t in decode_message(by_value.encode()).row_types] == [
        (I,),
        (T,),
        (L,),
        (N,),
        (F,),
        (B,),
    ]
    null = RowsResponse(["a"], [], [[I]], [[None]])
    assert [tuple(t) for t in decode_message(null.encode()).row_types] == [(N,)]


def test_iso8601_cells_hold_whatever_a_server_stores() -> None:
    for text in ("", "junk", "2020-01-01", "ünï"):
        message = RowsResponse(["d"], [D], [[D]], [[text]])
        found = decode_message(message.encode())
        assert (found.rows, [tuple(t) for t in found.row_types]) == ([(text,)], [(D,)])


def test_boolean_words_other_than_0_are_true() -> None:
    for word, value in ((0, False), (1, True), (7, True), (2**63, True), (2**64 - 1, True)):
        (row,) = RowsResponse.decode_body(rows_body(1, u64(11), u64(word), DONE)).rows
        assert row == (value,)
        assert type(row[0]) is bool


def test_text_errors_reach_the_cells() -> None:
    body = rows_body(1, TYPE_T, b"\xff\0\0\0\0\0\0\0", DONE)
    assert RowsResponse.decode_body(body, text_errors="replace").rows == [("\ufffd",)]
    assert RowsResponse.decode_body(body, text_errors="surrogateescape").rows == [("\udcff",)]


def test_metadata_and_failure_are_plain() -> None:
    assert MetadataResponse(1, 5).encode_body() == u64(1, 5)
    assert FailureResponse(0, "empty statement").encode_body() == u64(0) + b"empty statement\0"
