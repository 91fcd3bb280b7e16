"""The public interface as one table: names, signatures, defaults, numbers and error classes.

What a name does is proven in the test file of its module; here it exists, where it is looked for and in the
shape it is called in. A signature is written as a lambda; what a callable takes besides has a default.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import logging
from collections.abc import Callable
from typing import Any

import pytest

import dqlitewire
from dqlitewire import (
    ConcurrentUseError,
    ContinuationError,
    DecodeError,
    EncodeError,
    HandshakeError,
    Header,
    Message,
    MessageDecoder,
    MessageEncoder,
    NodeInfo,
    NodeRole,
    PoisonedError,
    ProtocolError,
    ReadBuffer,
    RequestType,
    ResponseType,
    RowMarker,
    ServerFailure,
    StreamError,
    ValueType,
    WriteBuffer,
    codec,
    constants,
    limits,
    messages,
    tuples,
    types,
)
from dqlitewire.messages import requests, responses

MIB = 1 << 20
FRAME = 64 * MIB
VALUE = 64 * MIB - 64

# ---------------------------------------------------------------- modules and names


def words(text: str) -> list[str]:
    return text.split()


ROOT = words(
    """
    encode_message decode_message sanitize_for_log sanitize_server_text cap_raw_message
    primary_sqlite_code is_dqlite_namespace_code MessageEncoder MessageDecoder ReadBuffer WriteBuffer
    Header Message NodeInfo NodeRole ValueType RequestType ResponseType RowMarker WireInput WireValue
    Limits ProtocolError EncodeError DecodeError StreamError PoisonedError HandshakeError
    ContinuationError ServerFailure ConcurrentUseError DEFAULT_MAX_RAW_MESSAGE MAX_ADDRESS_SIZE
    MAX_NODE_COUNT messages tuples types __version__
    """
)

MODULES = {
    "buffer": "ReadBuffer WriteBuffer",
    "codec": "MessageEncoder MessageDecoder encode_message decode_message REQUEST_TYPES RESPONSE_TYPES",
    "constants": "RequestType ResponseType ValueType NodeRole primary_sqlite_code is_dqlite_namespace_code",
    "exceptions": "ProtocolError EncodeError DecodeError StreamError PoisonedError HandshakeError"
    " ContinuationError"
    " ServerFailure ConcurrentUseError",
    "limits": "Limits DEFAULT_MAX_ROWS MAX_ADDRESS_SIZE MAX_BLOB_SIZE MAX_COLUMN_COUNT MAX_COLUMN_NAME_SIZE"
    " MAX_DUMP_FILENAME_SIZE MAX_FAILURE_MESSAGE_SIZE MAX_FILENAME_SIZE MAX_FILE_CONTENT_SIZE MAX_FILE_COUNT"
    " MAX_NODE_COUNT MAX_PARAM_COUNT MAX_ROWS_AFFECTED MAX_TAIL_OFFSET MAX_TEXT_VALUE_SIZE",
    "truncate": "DEFAULT_MAX_RAW_MESSAGE cap_raw_message",
    "tuples": "RowMarker encode_params_tuple decode_params_tuple encode_row_header decode_row_header"
    " encode_row_values decode_row_values",
    "types": "WireInput WireValue pad_to_word encode_uint64 decode_uint64 encode_int64 decode_int64"
    " encode_uint32 decode_uint32 encode_double decode_double encode_text decode_text encode_blob decode_blob"
    " encode_value decode_value NULL_CELL_WIDTH",
    "messages": "Message Header NodeInfo LeaderRequest FailureResponse sanitize_for_log sanitize_server_text",
    "messages.base": "Header Message",
    "messages.requests": "LeaderRequest HeartbeatRequest ConnectRequest",
    "messages.responses": "NodeInfo FailureResponse sanitize_for_log sanitize_server_text",
}


@pytest.mark.parametrize("name", ROOT)
def test_root_exports(name: str) -> None:
    assert name in dqlitewire.__all__
    assert hasattr(dqlitewire, name)


@pytest.mark.parametrize("name", constants.__all__)
def test_root_exports_all_constants(name: str) -> None:
    assert getattr(dqlitewire, name) is getattr(constants, name)
    assert name in dqlitewire.__all__


@pytest.mark.parametrize(("module", "names"), MODULES.items())
def test_modules_and_their_names(module: str, names: str) -> None:
    loaded = importlib.import_module(f"dqlitewire.{module}")
    assert loaded.__all__
    for name in names.split():
        assert hasattr(loaded, name)
    for name in loaded.__all__:
        assert hasattr(loaded, name)


def test_every_root_name_is_public_in_a_submodule() -> None:
    exported = {
        name for module in MODULES for name in importlib.import_module(f"dqlitewire.{module}").__all__
    }
    submodules = {module.split(".")[0] for module in MODULES}
    assert set(dqlitewire.__all__) - {"__version__"} - submodules <= exported
    assert len(dqlitewire.__all__) == len(set(dqlitewire.__all__))


def test_messages_are_not_at_the_root() -> None:
    for name in dqlitewire.__all__:
        assert not name.endswith(("Request", "Response"))
    for cls in [*codec.REQUEST_TYPES.values(), *codec.RESPONSE_TYPES.values()]:
        assert cls.__name__ in messages.__all__
        assert not hasattr(dqlitewire, cls.__name__)


def test_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert dqlitewire.__version__ == version("dqlite-wire")


def test_logger() -> None:
    handlers = logging.getLogger("dqlitewire").handlers
    responses.WelcomeResponse.decode_body(bytes(8))
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


# ---------------------------------------------------------------- numbers

CONSTANTS = {
    "PROTOCOL_VERSION": 1,
    "PROTOCOL_VERSION_LEGACY": 0x86104DD760433FE5,
    "WORD_SIZE": 8,
    "HEADER_SIZE": 8,
    "ROW_DONE_BYTE": 0xFF,
    "ROW_PART_BYTE": 0xEE,
    "ROW_DONE_MARKER": 0xFFFF_FFFF_FFFF_FFFF,
    "ROW_PART_MARKER": 0xEEEE_EEEE_EEEE_EEEE,
    "DEFAULT_MAX_TOTAL_ROWS": 10_000_000,
    "DEFAULT_MAX_CONTINUATION_FRAMES": 100_000,
    "WIRE_DECODE_FAILED_PREFIX": "wire decode failed",
    "LEADER_LOST_DB_LOOKUP_SUBSTRING": "no database opened",
    "NO_TRANSACTION_MESSAGE_SUBSTRINGS": ("no transaction is active",),
    "LEADER_ERROR_CODES": frozenset({10250, 10506, 8202, 8458}),
    "BARE_DATABASE_ERROR_CODES": frozenset({11, 24, 26}),
    "TX_AUTO_ROLLBACK_PRIMARY_CODES": frozenset({4, 7, 9, 10, 11, 13}),
    "DQLITE_PROTO": 1001,
    "DQLITE_NOTFOUND": 1002,
    "DQLITE_PARSE": 1005,
    "SQLITE_PRIMARY_CODE_MASK": 0xFF,
    "SQLITE_ERROR": 1,
    "SQLITE_INTERNAL": 2,
    "SQLITE_ABORT": 4,
    "SQLITE_BUSY": 5,
    "SQLITE_NOMEM": 7,
    "SQLITE_INTERRUPT": 9,
    "SQLITE_IOERR": 10,
    "SQLITE_CORRUPT": 11,
    "SQLITE_NOTFOUND": 12,
    "SQLITE_FULL": 13,
    "SQLITE_PROTOCOL": 15,
    "SQLITE_TOOBIG": 18,
    "SQLITE_CONSTRAINT": 19,
    "SQLITE_MISMATCH": 20,
    "SQLITE_MISUSE": 21,
    "SQLITE_NOLFS": 22,
    "SQLITE_AUTH": 23,
    "SQLITE_FORMAT": 24,
    "SQLITE_RANGE": 25,
    "SQLITE_NOTADB": 26,
    "SQLITE_NOTICE": 27,
    "SQLITE_WARNING": 28,
    "SQLITE_IOERR_NOT_LEADER": 10250,
    "SQLITE_IOERR_LEADERSHIP_LOST": 10506,
    "SQLITE_IOERR_NOT_LEADER_LEGACY": 8202,
    "SQLITE_IOERR_LEADERSHIP_LOST_LEGACY": 8458,
    "SQLITE_CONSTRAINT_CHECK": 275,
    "SQLITE_CONSTRAINT_COMMITHOOK": 531,
    "SQLITE_CONSTRAINT_FOREIGNKEY": 787,
    "SQLITE_CONSTRAINT_FUNCTION": 1043,
    "SQLITE_CONSTRAINT_NOTNULL": 1299,
    "SQLITE_CONSTRAINT_PRIMARYKEY": 1555,
    "SQLITE_CONSTRAINT_TRIGGER": 1811,
    "SQLITE_CONSTRAINT_UNIQUE": 2067,
    "SQLITE_CONSTRAINT_VTAB": 2323,
    "SQLITE_CONSTRAINT_ROWID": 2579,
    "SQLITE_CONSTRAINT_PINNED": 2835,
}

ENUMS: dict[type[enum.Enum], dict[str, Any]] = {
    RequestType: dict(
        zip(
            words(
                "LEADER CLIENT HEARTBEAT OPEN PREPARE EXEC QUERY FINALIZE EXEC_SQL QUERY_SQL"
                " INTERRUPT CONNECT ADD ASSIGN REMOVE DUMP CLUSTER TRANSFER DESCRIBE WEIGHT"
            ),
            range(20),
            strict=True,
        )
    ),
    ResponseType: dict(
        zip(
            words("FAILURE LEADER WELCOME SERVERS DB STMT RESULT ROWS EMPTY FILES METADATA"),
            range(11),
            strict=True,
        )
    ),
    ValueType: {
        "INTEGER": 1,
        "FLOAT": 2,
        "TEXT": 3,
        "BLOB": 4,
        "NULL": 5,
        "UNIXTIME": 9,
        "ISO8601": 10,
        "BOOLEAN": 11,
    },
    NodeRole: {"VOTER": 0, "STANDBY": 1, "SPARE": 2},
    RowMarker: {"DONE": "done", "PART": "part"},
}


@pytest.mark.parametrize(("name", "value"), CONSTANTS.items())
def test_constants(name: str, value: Any) -> None:
    found = getattr(constants, name)
    assert found == value
    assert isinstance(found, type(value))
    assert name in constants.__all__


@pytest.mark.parametrize(("cls", "members"), ENUMS.items())
def test_enums(cls: type[enum.Enum], members: dict[str, Any]) -> None:
    # more may come; tests/interface.txt has those
    assert {member.name: member.value for member in cls}.items() >= members.items()
    assert issubclass(cls, enum.IntEnum) == (cls is not RowMarker)


CAPS = {  # public name in limits: value, and where it is also found under its private name
    "DEFAULT_MAX_ROWS": (1_000_000, []),
    "MAX_PARAM_COUNT": (32_766, [tuples, responses, requests]),
    "MAX_COLUMN_COUNT": (2000, [responses]),
    "MAX_FILE_COUNT": (100, [responses]),
    "MAX_NODE_COUNT": (10_000, [responses]),
    "MAX_ADDRESS_SIZE": (256, [responses]),
    "MAX_BLOB_SIZE": (VALUE, [types]),
    "MAX_TEXT_VALUE_SIZE": (VALUE, [types]),
    "MAX_COLUMN_NAME_SIZE": (4096, [responses]),
    "MAX_FILENAME_SIZE": (4096, [responses]),
    "MAX_DUMP_FILENAME_SIZE": (1019, [responses]),
    "MAX_FAILURE_MESSAGE_SIZE": (65_536, [responses]),
    "MAX_FILE_CONTENT_SIZE": (VALUE, [responses]),
    "MAX_TAIL_OFFSET": (64 * MIB, [responses]),
    "MAX_ROWS_AFFECTED": (2**31 - 1, [responses]),
}


@pytest.mark.parametrize(("name", "value", "modules"), [(name, *rest) for name, rest in CAPS.items()])
def test_caps(name: str, value: int, modules: list[Any]) -> None:
    assert getattr(limits, name) == value
    for module in modules:
        assert getattr(module, "_" + name) == value


def test_class_attributes() -> None:
    assert ReadBuffer.DEFAULT_MAX_MESSAGE_SIZE == FRAME
    assert ReadBuffer.MAX_MESSAGE_SIZE_CEILING == 0xFFFFFFFF
    assert responses.RowsResponse.DEFAULT_MAX_ROWS == 1_000_000
    assert types.NULL_CELL_WIDTH == 8
    assert dqlitewire.DEFAULT_MAX_RAW_MESSAGE == 4096


# ---------------------------------------------------------------- signatures


def agree(found: Callable[..., Any], wanted: Callable[..., Any]) -> None:
    """Check that `found` can be called in every way in which `wanted` can, with the same defaults."""
    have = list(inspect.signature(found).parameters.values())
    if have and have[0].name in ("self", "cls"):
        del have[0]
    want = list(inspect.signature(wanted).parameters.values())
    positional = [p for p in have if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_position = [p for p in want if p.kind is not p.KEYWORD_ONLY]
    assert [p.name for p in positional[: len(by_position)]] == [p.name for p in by_position]
    named = {p.name: p for p in have}
    for parameter in want:
        assert parameter.name in named
        if parameter.default not in (..., parameter.empty):
            assert named[parameter.name].default == parameter.default
    for parameter in have:
        if parameter.name not in {p.name for p in want}:
            assert parameter.default is not parameter.empty


def decode_message_shape(
    data,
    is_request=False,
    version=1,
    unknown_role_policy="reject",
    max_message_size=FRAME,
    max_rows=1_000_000,
    max_continuation_frames=100_000,
    max_total_rows=10_000_000,
    text_errors="strict",
): ...


def decoder_shape(
    is_request=False,
    version=1,
    max_message_size=FRAME,
    max_rows=1_000_000,
    max_continuation_frames=100_000,
    max_total_rows=10_000_000,
    unknown_role_policy="reject",
    text_errors="strict",
): ...


# `...` as a default means: has one, of which a constructed object tells more (see DEFAULTS)
FUNCTIONS: list[tuple[Any, str, Callable[..., Any]]] = [
    (dqlitewire, "encode_message", lambda message, *, max_message_size=FRAME: ...),
    (
        dqlitewire,
        "decode_message",
        decode_message_shape,
    ),
    (dqlitewire, "primary_sqlite_code", lambda code: ...),
    (dqlitewire, "is_dqlite_namespace_code", lambda code: ...),
    (dqlitewire, "cap_raw_message", lambda raw_message, max_chars: ...),
    (dqlitewire, "sanitize_server_text", lambda s: ...),
    (dqlitewire, "sanitize_for_log", lambda s: ...),
    (types, "pad_to_word", lambda size: ...),
    (types, "encode_uint64", lambda value: ...),
    (types, "decode_uint64", lambda data, *, label="uint64": ...),
    (types, "encode_int64", lambda value: ...),
    (types, "decode_int64", lambda data, *, label="int64": ...),
    (types, "encode_uint32", lambda value: ...),
    (types, "decode_uint32", lambda data: ...),
    (types, "encode_double", lambda value: ...),
    (types, "decode_double", lambda data, *, label="double": ...),
    (types, "encode_text", lambda value, *, max_size=None, label="Text": ...),
    (types, "decode_text", lambda data, *, max_size=VALUE, label="Text", errors="strict": ...),
    (types, "encode_blob", lambda value, *, max_blob_size=VALUE: ...),
    (types, "decode_blob", lambda data, *, max_blob_size=VALUE: ...),
    (types, "encode_value", lambda value, value_type=None: ...),
    (types, "decode_value", lambda data, value_type, *, text_errors="strict": ...),
    (
        tuples,
        "encode_params_tuple",
        lambda params, schema=0, buffer_offset=0, *, emit_empty_header=False: ...,
    ),
    (tuples, "decode_params_tuple", lambda data, count=None, schema=0, buffer_offset=0: ...),
    (tuples, "encode_row_header", lambda types: ...),
    (tuples, "decode_row_header", lambda data, column_count: ...),
    (tuples, "encode_row_values", lambda values, types: ...),
    (tuples, "decode_row_values", lambda data, types, *, text_errors="strict": ...),
    (ReadBuffer, "__init__", lambda max_message_size=FRAME: ...),
    *(
        (ReadBuffer, name, lambda: ...)
        for name in (
            "available",
            "has_message",
            "peek_header",
            "read_message",
            "skip_message",
            "reset",
            "clear",
        )
    ),
    (ReadBuffer, "feed", lambda data: ...),
    (ReadBuffer, "read_bytes", lambda n: ...),
    (ReadBuffer, "peek_bytes", lambda n: ...),
    (ReadBuffer, "poison", lambda error: ...),
    (WriteBuffer, "__init__", lambda: ...),
    (WriteBuffer, "getvalue", lambda: ...),
    (WriteBuffer, "clear", lambda: ...),
    (WriteBuffer, "__len__", lambda: ...),
    (MessageEncoder, "__init__", lambda version=1, max_message_size=FRAME: ...),
    (MessageEncoder, "encode", lambda message: ...),
    (MessageEncoder, "encode_handshake", lambda: ...),
    (
        MessageDecoder,
        "__init__",
        decoder_shape,
    ),
    *(
        (MessageDecoder, name, lambda: ...)
        for name in (
            "has_message",
            "reset",
            "decode_handshake",
            "decode",
            "decode_continuation",
            "skip_message",
            "take_frame",
            "pending_frame_size",
        )
    ),
    (MessageDecoder, "feed", lambda data: ...),
    (MessageDecoder, "decode_bytes", lambda data: ...),
    (Message, "encode", lambda: ...),
    (Header, "__init__", lambda size_words, msg_type, schema=0, reserved=0: ...),
    (Header, "encode", lambda: ...),
    (Header, "decode", lambda data: ...),
    (NodeInfo, "__init__", lambda node_id, address, role: ...),
    (StreamError, "__init__", lambda msg, *, frame_count=0, total_rows=0: ...),
    (ServerFailure, "__init__", lambda code, message: ...),
    (requests.DescribeRequest, "decode_body", lambda data, schema=0, *, strict=True: ...),
    (responses.ServersResponse, "decode_body", lambda data, schema=0, *, unknown_role_policy="reject": ...),
    (
        responses.RowsResponse,
        "decode_body",
        lambda data, schema=0, max_rows=1_000_000, *, text_errors="strict": ...,
    ),
    (responses.LeaderResponse, "encode_body_legacy", lambda: ...),
    (responses.LeaderResponse, "decode_body_legacy", lambda data: ...),
    (requests.AssignRequest, "encode_body_legacy", lambda: ...),
]


@pytest.mark.parametrize(
    ("owner", "name", "wanted"), FUNCTIONS, ids=[f"{o.__name__}.{name}" for o, name, _ in FUNCTIONS]
)
def test_signatures(owner: Any, name: str, wanted: Callable[..., Any]) -> None:
    agree(owner if name == "__init__" else getattr(owner, name), wanted)


@pytest.mark.parametrize(
    "callable_", [MessageEncoder, MessageDecoder, dqlitewire.encode_message, dqlitewire.decode_message]
)
def test_limits_can_be_given(callable_: Callable[..., Any]) -> None:
    assert inspect.signature(callable_).parameters["limits"].default is None


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (ReadBuffer, "is_poisoned"),
        (ReadBuffer, "is_skipping"),
        (MessageDecoder, "is_poisoned"),
        (MessageDecoder, "is_skipping"),
        (MessageDecoder, "version"),
        (responses.WelcomeResponse, "heartbeat_timeout_seconds"),
        (responses.ResultResponse, "last_insert_id_signed"),
        (Header, "body_size"),
    ],
)
def test_properties(cls: type, name: str) -> None:
    assert isinstance(inspect.getattr_static(cls, name), property)


# ---------------------------------------------------------------- messages

PARAMS = (0, 1)
REQUESTS: list[tuple[str, int, Callable[..., Any], tuple[int, ...]]] = [
    # class, type, constructor, schemas it is read in
    ("LeaderRequest", 0, lambda: ..., (0,)),
    ("ClientRequest", 1, lambda client_id: ..., (0,)),
    ("OpenRequest", 3, lambda name, flags=..., vfs=...: ..., (0,)),
    ("PrepareRequest", 4, lambda db_id, sql, schema=...: ..., (0, 1)),
    ("ExecRequest", 5, lambda db_id, stmt_id, params=..., *, schema=..., empty_header=...: ..., (0, 1)),
    ("QueryRequest", 6, lambda db_id, stmt_id, params=..., *, schema=..., empty_header=...: ..., (0, 1)),
    ("FinalizeRequest", 7, lambda db_id, stmt_id: ..., (0,)),
    ("ExecSqlRequest", 8, lambda db_id, sql, params=..., *, schema=..., empty_header=...: ..., (0, 1)),
    ("QuerySqlRequest", 9, lambda db_id, sql, params=..., *, schema=..., empty_header=...: ..., (0, 1)),
    ("InterruptRequest", 10, lambda db_id=...: ..., (0,)),
    ("AddRequest", 12, lambda node_id, address: ..., (0,)),
    ("AssignRequest", 13, lambda node_id, role: ..., (0,)),
    ("RemoveRequest", 14, lambda node_id: ..., (0,)),
    ("DumpRequest", 15, lambda name: ..., (0,)),
    ("ClusterRequest", 16, lambda format=...: ..., (0,)),
    ("TransferRequest", 17, lambda target_node_id: ..., (0,)),
    ("DescribeRequest", 18, lambda format=...: ..., (0,)),
    ("WeightRequest", 19, lambda weight: ..., (0,)),
]
TOOL_REQUESTS: list[tuple[str, int, Callable[..., Any], tuple[int, ...]]] = [
    ("HeartbeatRequest", 2, lambda timestamp: ..., (0,)),
    ("ConnectRequest", 11, lambda node_id, address: ..., (0,)),
]
RESPONSES: list[tuple[str, int, Callable[..., Any], tuple[int, ...]]] = [
    ("FailureResponse", 0, lambda code, message: ..., (0,)),
    ("LeaderResponse", 1, lambda node_id, address: ..., (0,)),
    ("WelcomeResponse", 2, lambda heartbeat_timeout: ..., (0,)),
    ("ServersResponse", 3, lambda nodes=...: ..., (0,)),
    ("DbResponse", 4, lambda db_id: ..., (0,)),
    ("StmtResponse", 5, lambda db_id, stmt_id, num_params, tail_offset=..., schema=...: ..., (0, 1)),
    ("ResultResponse", 6, lambda last_insert_id, rows_affected: ..., (0,)),
    (
        "RowsResponse",
        7,
        lambda column_names=..., column_types=..., row_types=..., rows=..., has_more=...: ...,
        (0,),
    ),
    ("EmptyResponse", 8, lambda: ..., (0,)),
    ("FilesResponse", 9, lambda files=...: ..., (0,)),
    ("MetadataResponse", 10, lambda failure_domain, weight: ..., (0,)),
]
each_message = pytest.mark.parametrize(
    ("name", "code", "wanted", "schemas"),
    REQUESTS + TOOL_REQUESTS + RESPONSES,
    ids=lambda v: v if isinstance(v, str) else "",
)


def find(name: str) -> type[Message]:
    found: type[Message] = getattr(requests, name, None) or getattr(responses, name)
    return found


@each_message
def test_message_constructors(
    name: str, code: int, wanted: Callable[..., Any], schemas: tuple[int, ...]
) -> None:
    cls = find(name)
    agree(cls, wanted)
    fields = [p.name for p in inspect.signature(wanted).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    assert list(cls.__match_args__) == fields


@each_message
def test_message_class_attributes(name: str, code: int, wanted: Any, schemas: tuple[int, ...]) -> None:
    cls = find(name)
    assert issubclass(cls, Message)
    assert (code, schemas, name.endswith("Request")) == (cls.MSG_TYPE, cls.SCHEMAS, cls.IS_REQUEST)
    assert cls.SCHEMA == 0
    assert isinstance(cls.FIELDS, tuple)
    assert cls.__doc__


@each_message
def test_messages_are_final(name: str, code: int, wanted: Any, schemas: tuple[int, ...]) -> None:
    assert getattr(find(name), "__final__", False) or not _can_be_derived(find(name))


def _can_be_derived(cls: type) -> bool:
    try:
        type("Derived", (cls,), {})
    except TypeError:
        return False
    return True


@each_message
def test_decode_body_takes_data_and_schema(
    name: str, code: int, wanted: Any, schemas: tuple[int, ...]
) -> None:
    agree(find(name).decode_body, lambda data, schema=0: ...)
    agree(find(name).encode_body, lambda: ...)


def test_registries() -> None:
    for registry, published in ((codec.REQUEST_TYPES, REQUESTS), (codec.RESPONSE_TYPES, RESPONSES)):
        known = {code: cls.__name__ for code, cls in registry.items()}
        assert known.items() >= {code: name for name, code, *_ in published}.items()


def test_every_message_is_in_its_module_and_in_messages() -> None:
    for module, table in ((requests, REQUESTS), (responses, RESPONSES)):
        for name, *_ in table:
            assert getattr(messages, name) is getattr(module, name)
            assert name in module.__all__
    for name, *_ in TOOL_REQUESTS:
        assert name in requests.__all__


# what a field is when it is not given
DEFAULTS: list[tuple[Callable[[], Message], dict[str, Any]]] = [
    (lambda: messages.OpenRequest("a"), {"flags": 0, "vfs": ""}),
    (lambda: messages.PrepareRequest(0, "a"), {"schema": 0}),
    (lambda: messages.ExecRequest(0, 0), {"params": [], "empty_header": False}),
    (lambda: messages.QueryRequest(0, 0), {"params": [], "empty_header": False}),
    (lambda: messages.ExecSqlRequest(0, ""), {"params": [], "empty_header": False}),
    (lambda: messages.QuerySqlRequest(0, ""), {"params": [], "empty_header": False}),
    (messages.InterruptRequest, {"db_id": 0}),
    (messages.ClusterRequest, {"format": 1}),
    (messages.DescribeRequest, {"format": 0}),
    (messages.ServersResponse, {"nodes": []}),
    (lambda: messages.StmtResponse(0, 0, 0), {"tail_offset": None, "schema": 0}),
    (
        messages.RowsResponse,
        {"column_names": [], "column_types": [], "row_types": [], "rows": [], "has_more": False},
    ),
    (messages.FilesResponse, {"files": {}}),
]


@pytest.mark.parametrize(("make", "fields"), DEFAULTS)
def test_field_defaults(make: Callable[[], Message], fields: dict[str, Any]) -> None:
    message = make()
    assert {name: getattr(message, name) for name in fields} == fields


ANSWERS = {  # protocol.md 3; FAILURE may answer each besides
    "LEADER": "LEADER",
    "CLIENT": "WELCOME",
    "OPEN": "DB",
    "PREPARE": "STMT",
    "EXEC": "RESULT",
    "QUERY": "ROWS",
    "FINALIZE": "EMPTY",
    "EXEC_SQL": "RESULT",
    "QUERY_SQL": "ROWS",
    "INTERRUPT": "EMPTY",
    "ADD": "EMPTY",
    "ASSIGN": "EMPTY",
    "REMOVE": "EMPTY",
    "DUMP": "FILES",
    "CLUSTER": "SERVERS",
    "TRANSFER": "EMPTY",
    "DESCRIBE": "METADATA",
    "WEIGHT": "EMPTY",
}


@pytest.mark.parametrize(("request_name", "answer"), ANSWERS.items())
def test_requests_name_their_answer(request_name: str, answer: str) -> None:
    assert ResponseType[answer] in codec.REQUEST_TYPES[RequestType[request_name]].ANSWERS


def test_connect_is_never_answered() -> None:
    assert requests.ConnectRequest.ANSWERS == ()


# ---------------------------------------------------------------- errors

HIERARCHY = {
    ProtocolError: Exception,
    EncodeError: ProtocolError,
    DecodeError: ProtocolError,
    StreamError: ProtocolError,
    PoisonedError: StreamError,
    HandshakeError: ProtocolError,
    ContinuationError: ProtocolError,
    ServerFailure: ProtocolError,
    ConcurrentUseError: ProtocolError,
}


@pytest.mark.parametrize(("cls", "base"), HIERARCHY.items())
def test_error_classes(cls: type[Exception], base: type[Exception]) -> None:
    assert cls.__bases__ == (base,)
    assert getattr(dqlitewire, cls.__name__) is cls


# ---------------------------------------------------------------- what drivers import

DRIVERS_ROOT = words(
    """
    DEFAULT_MAX_CONTINUATION_FRAMES DEFAULT_MAX_TOTAL_ROWS DEFAULT_MAX_RAW_MESSAGE EncodeError
    ProtocolError ServerFailure LEADER_ERROR_CODES LEADER_LOST_DB_LOOKUP_SUBSTRING
    NO_TRANSACTION_MESSAGE_SUBSTRINGS WIRE_DECODE_FAILED_PREFIX BARE_DATABASE_ERROR_CODES
    TX_AUTO_ROLLBACK_PRIMARY_CODES DQLITE_NOTFOUND DQLITE_PARSE DQLITE_PROTO SQLITE_BUSY SQLITE_NOTFOUND
    SQLITE_NOMEM SQLITE_INTERNAL SQLITE_TOOBIG SQLITE_CONSTRAINT SQLITE_MISMATCH SQLITE_MISUSE
    SQLITE_NOLFS SQLITE_AUTH SQLITE_RANGE SQLITE_NOTICE SQLITE_WARNING Message MessageDecoder
    MessageEncoder NodeInfo NodeRole ReadBuffer ValueType cap_raw_message primary_sqlite_code
    sanitize_for_log sanitize_server_text
    """
)
DRIVERS_MESSAGES = words(
    """
    AddRequest AssignRequest ClientRequest ClusterRequest DescribeRequest DumpRequest ExecSqlRequest
    FinalizeRequest InterruptRequest LeaderRequest OpenRequest PrepareRequest QuerySqlRequest
    RemoveRequest TransferRequest WeightRequest DbResponse EmptyResponse FailureResponse FilesResponse
    LeaderResponse MetadataResponse ResultResponse RowsResponse ServersResponse StmtResponse
    WelcomeResponse
    """
)


@pytest.mark.parametrize(
    ("module", "name"),
    [(dqlitewire, name) for name in DRIVERS_ROOT] + [(messages, name) for name in DRIVERS_MESSAGES],
)
def test_drivers_find_what_they_import(module: Any, name: str) -> None:
    assert hasattr(module, name)
