"""What all messages have in common: headers, value semantics, construction, an open base class."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from dqlitewire import (
    DecodeError,
    EncodeError,
    Header,
    Message,
    MessageDecoder,
    MessageEncoder,
    NodeInfo,
    NodeRole,
    ValueType,
    encode_message,
)
from dqlitewire.constants import RequestType, ResponseType
from dqlitewire.messages import (
    REQUESTS,
    RESPONSES,
    AddRequest,
    AssignRequest,
    ClientRequest,
    ClusterRequest,
    DbResponse,
    DescribeRequest,
    DumpRequest,
    EmptyResponse,
    ExecRequest,
    ExecSqlRequest,
    FailureResponse,
    FilesResponse,
    FinalizeRequest,
    InterruptRequest,
    LeaderRequest,
    LeaderResponse,
    MetadataResponse,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    RemoveRequest,
    ResultResponse,
    RowsResponse,
    ServersResponse,
    StmtResponse,
    TransferRequest,
    WeightRequest,
    WelcomeResponse,
)
from dqlitewire.messages.requests import ConnectRequest, HeartbeatRequest

I, T, N = ValueType.INTEGER, ValueType.TEXT, ValueType.NULL
NODE = NodeInfo(1, "127.0.0.1:9001", NodeRole.STANDBY)

# one of each, none of its fields at its default
EXAMPLES: list[Message] = [
    LeaderRequest(),
    ClientRequest(7),
    HeartbeatRequest(8),
    OpenRequest("test.db", 1, "volatile"),
    PrepareRequest(1, "SELECT ?", 1),
    ExecRequest(1, 2, [5, "hi", None]),
    QueryRequest(1, 2, [1.5, b"x"]),
    FinalizeRequest(1, 2),
    ExecSqlRequest(1, "BEGIN", [True]),
    QuerySqlRequest(1, "SELECT ?", [7]),
    InterruptRequest(1),
    ConnectRequest(2, "127.0.0.1:9002"),
    AddRequest(2, "127.0.0.1:9002"),
    AssignRequest(2, NodeRole.SPARE),
    RemoveRequest(2),
    DumpRequest("test.db"),
    ClusterRequest(1),
    TransferRequest(2),
    DescribeRequest(0),
    WeightRequest(5),
    FailureResponse(10250, "not leader"),
    LeaderResponse(1, "127.0.0.1:9001"),
    WelcomeResponse(15000),
    ServersResponse([NODE]),
    DbResponse(1),
    StmtResponse(1, 2, 3, 9),
    ResultResponse(4, 2),
    RowsResponse(["a", "b"], [I, T], [(I, T), (N, T)], [(1, "x"), (None, "y")], True),
    EmptyResponse(),
    FilesResponse({"a.db": bytes(8)}),
    MetadataResponse(1, 5),
]
WITH_CONTAINERS = (
    ExecRequest,
    QueryRequest,
    ExecSqlRequest,
    QuerySqlRequest,
    ServersResponse,
    RowsResponse,
    FilesResponse,
)
VALUES: list[Any] = [*EXAMPLES, NODE, Header(1, 2, 3, 4)]
each_example = pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
each_value = pytest.mark.parametrize("value", VALUES, ids=lambda m: type(m).__name__)


def arguments(value: Any) -> list[Any]:
    return [getattr(value, name) for name in value.__match_args__]


# ---------------------------------------------------------------- value objects


@each_value
def test_values_are_made_by_position_and_by_keyword(value: Any) -> None:
    cls, given = type(value), arguments(value)
    assert cls(*given) == cls(**dict(zip(cls.__match_args__, given, strict=True))) == value


@each_value
def test_too_many_and_unknown_arguments_are_type_errors(value: Any) -> None:
    with pytest.raises(TypeError):
        type(value)(*arguments(value), 1, 2, 3)
    with pytest.raises(TypeError):
        type(value)(*arguments(value), surprise=1)


@each_value
def test_values_cannot_be_changed(value: Any) -> None:
    for name in [*value.__match_args__, "surprise"]:
        with pytest.raises(AttributeError):
            setattr(value, name, 1)
        with pytest.raises(AttributeError):
            delattr(value, name)
    assert value == type(value)(*arguments(value))


@each_value
def test_values_are_equal_by_class_and_fields(value: Any) -> None:
    twin = type(value)(*arguments(value))
    assert value == twin
    assert (value != twin) is False
    assert value != tuple(arguments(value))
    assert value != "something else"
    for other in VALUES:
        assert (value == other) == (value is other)


@each_value
def test_values_are_hashable_unless_they_hold_lists_or_dicts(value: Any) -> None:
    if isinstance(value, WITH_CONTAINERS):
        with pytest.raises(TypeError):
            hash(value)
    else:
        assert hash(value) == hash(type(value)(*arguments(value)))
        assert len({value, type(value)(*arguments(value))}) == 1


@each_value
def test_values_are_copied_and_pickled(value: Any) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        twin = pickle.loads(pickle.dumps(value, protocol))
        assert twin == value
        assert type(twin) is type(value)
    assert copy.copy(value) == copy.deepcopy(value) == value


@each_value
def test_repr_names_class_and_fields(value: Any) -> None:
    shown = repr(value)
    assert shown.startswith(type(value).__name__ + "(")
    for name in value.__match_args__:
        assert f"{name}=" in shown or (isinstance(value, StmtResponse) and name == "schema")


@pytest.mark.parametrize(
    "value",
    [v for v in VALUES if not isinstance(v, (AssignRequest, NodeInfo, ServersResponse, RowsResponse))],
    ids=lambda m: type(m).__name__,
)
def test_repr_of_a_small_value_can_be_evaluated(value: Any) -> None:
    assert eval(repr(value), {type(value).__name__: type(value)}) == value


@pytest.mark.parametrize(
    "large",
    [
        ExecSqlRequest(0, "SELECT " + "x" * 100_000, list(range(10_000))),
        RowsResponse([f"c{n}" for n in range(1000)], [I] * 1000, [], [tuple(range(1000))] * 1000),
        FilesResponse({"a": bytes(1 << 20)}),
        FailureResponse(1, "x" * 60_000),
        ServersResponse([NodeInfo(n, f"a:{n}", NodeRole.VOTER) for n in range(1, 5000)]),
    ],
    ids=lambda m: type(m).__name__,
)
def test_repr_and_str_of_a_large_value_are_short(large: Message) -> None:
    assert len(repr(large)) < 1000
    assert len(str(large)) < 1000


def test_values_match_patterns() -> None:
    match QueryRequest(0, 2, [1, "x"]):
        case QueryRequest(0, stmt_id, [1, text]):
            assert (stmt_id, text) == (2, "x")
        case _:
            pytest.fail("no match")
    match LeaderResponse(1, "127.0.0.1:9001"):
        case LeaderResponse(node_id=0):
            pytest.fail("wrong match")
        case LeaderResponse(_, address):
            assert address == "127.0.0.1:9001"


@pytest.mark.parametrize("cls", [ExecRequest, QueryRequest, ExecSqlRequest, QuerySqlRequest])
def test_what_a_params_request_remembers_is_not_compared_but_kept(cls: Any) -> None:
    second = 0 if cls in (ExecRequest, QueryRequest) else "x"
    plain = cls(0, second, [])
    other = cls(0, second, [], schema=1, empty_header=True)
    assert (other.schema, other.empty_header) == (1, True)
    assert plain == other
    assert repr(plain) == repr(other)
    assert plain.encode() != other.encode()
    for twin in (copy.copy(other), copy.deepcopy(other), pickle.loads(pickle.dumps(other))):
        assert twin.encode() == other.encode()


# ---------------------------------------------------------------- no sharing with the caller


def test_lists_and_dicts_are_copied() -> None:
    params, nodes, files = [1], [NODE], {"a": bytes(8)}
    names, types, row_types, rows = ["a"], [I], [[I]], [[1]]
    made = [
        ExecRequest(0, 0, params),
        ExecSqlRequest(0, "x", params),
        ServersResponse(nodes),
        FilesResponse(files),
        RowsResponse(names, types, row_types, rows),
    ]
    before = [message.encode() for message in made]
    params.append(2)
    nodes.clear()
    files.clear()
    names.append("b")
    types.append(I)
    row_types[0].append(I)
    row_types.append([I])
    rows[0][0] = 2
    rows.append([3])
    assert [message.encode() for message in made] == before


def test_any_sequence_will_do() -> None:
    assert ExecRequest(0, 0, (1, 2)) == ExecRequest(0, 0, [1, 2]) == ExecRequest(0, 0, range(1, 3))
    assert RowsResponse(("a",), (I,), ((I,),), ((1,),)) == RowsResponse(["a"], [I], [[I]], [[1]])
    assert ServersResponse((NODE,)) == ServersResponse([NODE])


def test_rows_are_a_list_of_tuples() -> None:
    message = RowsResponse(["a"], [I], [[I]], [[1]])
    assert message.rows == [(1,)]
    assert type(message.rows[0]) is tuple
    assert [tuple(types) for types in message.row_types] == [(I,)]


def test_defaults_are_not_shared() -> None:
    one, other = ExecRequest(0, 0), ExecRequest(0, 0)
    assert one.params is not other.params or isinstance(one.params, tuple)


# ---------------------------------------------------------------- construction

U32 = [-1, 2**32, True, 1.0, "1", b"1", None]
U64 = [-1, 2**64, True, 1.0, "1", b"1", None]
TEXT = [b"x", 5, None, True, ["x"]]
ROLE = [-1, 3, 255, "voter", None, 1.5]
NOT_SEQUENCES = [5, 1.5, object()]

VIOLATIONS: list[tuple[type, dict[str, Any], str, list[Any]]] = [
    # class, good arguments, the field, its bad values
    (ClientRequest, {}, "client_id", U64),
    (HeartbeatRequest, {}, "timestamp", U64),
    (OpenRequest, {}, "name", TEXT),
    (OpenRequest, {"name": "a"}, "flags", U64),
    (OpenRequest, {"name": "a"}, "vfs", TEXT),
    (PrepareRequest, {"sql": "x"}, "db_id", U64),
    (PrepareRequest, {"db_id": 0}, "sql", TEXT),
    (PrepareRequest, {"db_id": 0, "sql": "x"}, "schema", [-1, 2, 255, "0", None]),
    (ExecRequest, {"stmt_id": 0}, "db_id", U32),
    (ExecRequest, {"db_id": 0}, "stmt_id", U32),
    (ExecRequest, {"db_id": 0, "stmt_id": 0}, "params", NOT_SEQUENCES),
    (ExecRequest, {"db_id": 0, "stmt_id": 0}, "schema", [-1, 2, 255, "0"]),
    (QueryRequest, {"stmt_id": 0}, "db_id", U32),
    (QueryRequest, {"db_id": 0}, "stmt_id", U32),
    (QueryRequest, {"db_id": 0, "stmt_id": 0}, "params", NOT_SEQUENCES),
    (FinalizeRequest, {"stmt_id": 0}, "db_id", U32),
    (FinalizeRequest, {"db_id": 0}, "stmt_id", U32),
    (ExecSqlRequest, {"sql": "x"}, "db_id", U64),
    (ExecSqlRequest, {"db_id": 0}, "sql", TEXT),
    (ExecSqlRequest, {"db_id": 0, "sql": "x"}, "params", NOT_SEQUENCES),
    (QuerySqlRequest, {"sql": "x"}, "db_id", U64),
    (QuerySqlRequest, {"db_id": 0}, "sql", TEXT),
    (QuerySqlRequest, {"db_id": 0, "sql": "x"}, "params", NOT_SEQUENCES),
    (InterruptRequest, {}, "db_id", U64),
    (ConnectRequest, {"address": "a"}, "node_id", U64),
    (ConnectRequest, {"node_id": 1}, "address", TEXT),
    (AddRequest, {"address": "a"}, "node_id", U64),
    (AddRequest, {"node_id": 1}, "address", TEXT),
    (AssignRequest, {"role": 0}, "node_id", U64),
    (AssignRequest, {"node_id": 1}, "role", ROLE),
    (RemoveRequest, {}, "node_id", U64),
    (DumpRequest, {}, "name", TEXT),
    (ClusterRequest, {}, "format", [0, 2, *U64]),
    (TransferRequest, {}, "target_node_id", U64),
    (DescribeRequest, {}, "format", [1, 2, *U64]),
    (WeightRequest, {}, "weight", U64),
    (FailureResponse, {"message": "x"}, "code", U64),
    (FailureResponse, {"code": 1}, "message", TEXT),
    (LeaderResponse, {"address": "a"}, "node_id", U64),
    (LeaderResponse, {"node_id": 1}, "address", TEXT),
    (WelcomeResponse, {}, "heartbeat_timeout", U64),
    (ServersResponse, {}, "nodes", [5, ["node"], [None], [(1, "a", 0)]]),
    (NodeInfo, {"address": "a", "role": 0}, "node_id", [0, *U64]),
    (NodeInfo, {"node_id": 1, "role": 0}, "address", ["", *TEXT]),
    (NodeInfo, {"node_id": 1, "address": "a"}, "role", ROLE),
    (DbResponse, {}, "db_id", U32),
    (StmtResponse, {"stmt_id": 0, "num_params": 0}, "db_id", U32),
    (StmtResponse, {"db_id": 0, "num_params": 0}, "stmt_id", U32),
    (StmtResponse, {"db_id": 0, "stmt_id": 0}, "num_params", [32_767, *U64]),
    (
        StmtResponse,
        {"db_id": 0, "stmt_id": 0, "num_params": 0},
        "tail_offset",
        [64 * 1024 * 1024 + 1, -1, 2**64, True, 1.0, "1"],
    ),
    (StmtResponse, {"db_id": 0, "stmt_id": 0, "num_params": 0}, "schema", [-1, 2, 255, "0"]),
    (StmtResponse, {"db_id": 0, "stmt_id": 0, "num_params": 0, "tail_offset": 9}, "schema", [0]),
    (ResultResponse, {"rows_affected": 0}, "last_insert_id", U64),
    (ResultResponse, {"last_insert_id": 0}, "rows_affected", [2**31, *U64]),
    (RowsResponse, {}, "column_names", [5, "names", [5], [b"a"], [None]]),
    (RowsResponse, {"column_names": ["a"]}, "column_types", [5, [I, I]]),
    (
        RowsResponse,
        {"column_names": ["a"], "rows": [[1]]},
        "column_types",
        [[I, I], [6], ["INTEGER"], [None]],
    ),
    (RowsResponse, {"column_names": ["a"], "rows": [[1]]}, "row_types", [5, [[I], [I]], [[I, I]], [[6]]]),
    (RowsResponse, {"column_names": ["a"]}, "rows", [5, [5], [[1, 2]], [[]], [["a\0"]], [[object()]]]),
    (RowsResponse, {"column_names": []}, "rows", [[[]], [[1]], [[], []]]),
    (RowsResponse, {"column_names": ["a"], "column_types": [T]}, "rows", [[[1]]]),
    (RowsResponse, {"column_names": ["a"] * 2001}, "rows", [[]]),
    (FilesResponse, {}, "files", [5, {"a": b"x"}, {"a": bytes(7)}, {5: b""}, {"a": "text"}, {"a\0": b""}]),
    (FilesResponse, {}, "files", [{str(n): b"" for n in range(101)}]),
    (ServersResponse, {}, "nodes", [[NODE] * 10_001]),
    (MetadataResponse, {"weight": 0}, "failure_domain", U64),
    (MetadataResponse, {"failure_domain": 0}, "weight", U64),
    (Header, {"msg_type": 0}, "size_words", U32),
    (Header, {"size_words": 0}, "msg_type", [-1, 256, True, 1.0, "1", None]),
    (Header, {"size_words": 0, "msg_type": 0}, "schema", [-1, 256, True, 1.0, "1", None]),
    (Header, {"size_words": 0, "msg_type": 0}, "reserved", [-1, 65536, True, 1.0, "1", None]),
]
CASES = [(cls, good, name, bad) for cls, good, name, values in VIOLATIONS for bad in values]


@pytest.mark.parametrize(
    ("cls", "good", "name", "bad"),
    CASES,
    ids=[f"{cls.__name__}.{name}={str(bad)[:20]!r}" for cls, _, name, bad in CASES],
)
def test_violations_are_encode_errors_before_any_byte(
    cls: Any, good: dict[str, Any], name: str, bad: Any
) -> None:
    with pytest.raises(EncodeError):
        encoded(cls(**good, **{name: bad}))


def encoded(made: Any) -> bytes:
    message = ServersResponse([made]) if isinstance(made, NodeInfo) else made
    data: bytes = message.encode()
    return data


AT_CONSTRUCTION = [
    (cls, good, name, bad)
    for cls, good, name, bad in CASES
    if cls is not RowsResponse
    and cls is not FilesResponse
    and name not in ("num_params", "tail_offset", "rows_affected")
    if not (cls is ServersResponse and len(bad if isinstance(bad, list) else []) > 1)
]


@pytest.mark.parametrize(
    ("cls", "good", "name", "bad"),
    AT_CONSTRUCTION,
    ids=[f"{cls.__name__}.{name}={str(bad)[:20]!r}" for cls, _, name, bad in AT_CONSTRUCTION],
)
def test_types_and_ranges_are_checked_at_construction(
    cls: Any, good: dict[str, Any], name: str, bad: Any
) -> None:
    with pytest.raises(EncodeError) as caught:
        cls(**good, **{name: bad})
    assert cls.__name__ in (caught.value.path or "")


LARGEST: list[Callable[[], Any]] = [
    lambda: ClientRequest(2**64 - 1),
    lambda: FinalizeRequest(2**32 - 1, 2**32 - 1),
    lambda: StmtResponse(2**32 - 1, 2**32 - 1, 32_766, 64 * 1024 * 1024),
    lambda: ResultResponse(2**64 - 1, 2**31 - 1),
    lambda: TransferRequest(0),
    lambda: NodeInfo(2**64 - 1, "a", NodeRole.SPARE),
    lambda: Header(2**32 - 1, 255, 255, 65535),
]


@pytest.mark.parametrize("make", LARGEST)
def test_the_ends_of_each_range_are_inside(make: Callable[[], Any]) -> None:
    made = make()
    if isinstance(made, Message):
        assert type(made).decode_body(made.encode_body(), made.encode()[5]) == made


# size caps need the bytes, so they are checked when these are made
SIZES: list[tuple[Callable[[str], Message], int]] = [
    (lambda text: OpenRequest(text), 4096),
    (lambda text: OpenRequest("a", 0, text), 4096),
    (lambda text: AddRequest(1, text), 256),
    (lambda text: ConnectRequest(1, text), 256),
    (lambda text: DumpRequest(text), 1019),
    (lambda text: FailureResponse(1, text), 65_536),
    (lambda text: LeaderResponse(1, text), 256),
    (lambda text: ServersResponse([NodeInfo(1, text, NodeRole.VOTER)]), 256),
    (lambda text: RowsResponse([text]), 4096),
    (lambda text: FilesResponse({text: b""}), 4096),
]


@pytest.mark.parametrize(("make", "cap"), SIZES)
@pytest.mark.parametrize("char", ["x", "ü"])
def test_text_caps_count_bytes_and_are_inclusive_both_ways(
    make: Callable[[str], Message], cap: int, char: str
) -> None:
    fits = char * (cap // len(char.encode()))
    message = make(fits)
    assert type(message).decode_body(message.encode_body()) == message
    with pytest.raises(EncodeError) as caught:
        make(fits + "x" * (cap + 1 - len(fits.encode()))).encode()
    assert caught.value.limit == cap


@pytest.mark.parametrize("make", [make for make, _ in SIZES] + [lambda text: PrepareRequest(0, text)])
@pytest.mark.parametrize("text", ["a\0b", "\0", "\ud800", "x\udcff"])
def test_text_with_nul_or_lone_surrogates_is_not_encoded(make: Callable[[str], Message], text: str) -> None:
    with pytest.raises(EncodeError):
        make(text).encode()
    with pytest.raises(EncodeError):
        make(text).encode_body()
    with pytest.raises(EncodeError):
        encode_message(make(text))


# ---------------------------------------------------------------- headers


def test_headers() -> None:
    header = Header(3, 7, 1)
    assert header.encode() == bytes([3, 0, 0, 0, 7, 1, 0, 0])
    assert Header.decode(header.encode()) == header
    assert Header.decode(memoryview(header.encode() + b"body")) == header
    assert header.body_size == 24
    assert Header(0xFFFFFFFF, 255, 255).encode() == b"\xff" * 6 + bytes(2)


def test_the_reserved_half_word_is_ignored_on_reading() -> None:
    found = Header.decode(bytes([1, 0, 0, 0, 7, 0, 0xFF, 0xFF]))
    assert (found.size_words, found.msg_type, found.schema) == (1, 7, 0)


@pytest.mark.parametrize("size", range(8))
def test_short_headers_are_refused(size: int) -> None:
    with pytest.raises(DecodeError):
        Header.decode(bytes(size))


@each_example
def test_a_message_is_a_header_and_a_body(message: Message) -> None:
    data = message.encode()
    header = Header.decode(data)
    assert (header.msg_type, header.body_size) == (message.MSG_TYPE, len(message.encode_body()))
    assert data[8:] == message.encode_body()


# ---------------------------------------------------------------- body lengths and schemas

VARIABLE = (AssignRequest, FailureResponse, ExecRequest, QueryRequest, ExecSqlRequest, QuerySqlRequest)
EXACT = [message for message in EXAMPLES if not isinstance(message, VARIABLE)]


@pytest.mark.parametrize("message", EXACT, ids=lambda m: type(m).__name__)
def test_bodies_have_their_exact_length(message: Message) -> None:
    body, schema = message.encode_body(), message.encode()[5]
    cls = type(message)
    for wrong in (body[:-8], body[:-1], body + bytes(8), body + b"\0"):
        with pytest.raises(DecodeError):
            cls.decode_body(wrong, schema)


@each_example
def test_an_empty_body_is_no_body(message: Message) -> None:
    with pytest.raises(DecodeError):
        type(message).decode_body(b"")


@each_example
@pytest.mark.parametrize("schema", [2, 3, 255, -1])
def test_unknown_schemas_are_refused(message: Message, schema: int) -> None:
    with pytest.raises(DecodeError):
        type(message).decode_body(message.encode_body(), schema)


@each_example
@pytest.mark.parametrize("form", [bytearray, memoryview])
def test_bodies_may_be_any_bytes_like_object(message: Message, form: Any) -> None:
    assert type(message).decode_body(form(message.encode_body()), message.encode()[5]) == message


# ---------------------------------------------------------------- messages of other people


class Word(Message):
    """The smallest thing a subclass needs."""

    MSG_TYPE = 77

    def __init__(self, body: bytes) -> None:
        self.body = body

    def encode_body(self) -> bytes:
        return self.body

    @classmethod
    def decode_body(cls, data: bytes, schema: int = 0) -> Word:
        return cls(data)


class OneWay(Message):
    MSG_TYPE = 78

    def encode_body(self) -> bytes:
        return bytes(8)


def test_a_subclass_with_two_methods_is_a_message() -> None:
    word = Word(b"12345678")
    assert word.encode() == bytes([1, 0, 0, 0, 77, 0, 0, 0]) + b"12345678"
    assert encode_message(word) == MessageEncoder().encode(word) == word.encode()
    assert word.SCHEMA == 0
    with pytest.raises(EncodeError):
        encode_message(word, max_message_size=15)
    decoder = MessageDecoder()
    decoder.feed(word.encode())
    assert decoder.take_frame() == word.encode()


@pytest.mark.parametrize("size", [1, 7, 9, 15])
def test_a_body_that_is_not_whole_words_is_not_encoded(size: int) -> None:
    with pytest.raises(EncodeError):
        Word(bytes(size)).encode()


@pytest.mark.parametrize("cls", [Message, OneWay])
def test_a_message_without_both_methods_cannot_be_made(cls: Any) -> None:
    with pytest.raises(TypeError):
        cls()


def test_messages_stand_by_type_code_in_the_order_of_the_codes() -> None:
    assert list(REQUESTS) == sorted(RequestType)
    assert list(RESPONSES) == sorted(ResponseType)
    for is_request, table in ((True, REQUESTS), (False, RESPONSES)):
        for code, cls in table.items():
            assert (code, is_request) == (cls.MSG_TYPE, cls.IS_REQUEST)
