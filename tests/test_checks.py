"""What callers hand in: refused in one way for each rule, by a short text, without running code of theirs."""

from __future__ import annotations

import array
import itertools
import mmap
import struct
from collections import OrderedDict, deque, namedtuple
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import Mock

import pytest

from dqlitewire import (
    DecodeError,
    EncodeError,
    HandshakeError,
    Header,
    Limits,
    Message,
    MessageDecoder,
    MessageEncoder,
    ProtocolError,
    ReadBuffer,
    ValueType,
    WriteBuffer,
    decode_message,
    encode_message,
    tuples,
    types,
)
from dqlitewire.conversation import (
    ClientConversation,
    Observer,
    ServerConversation,
    Side,
    explain_failure,
    failure_name,
)
from dqlitewire.conversation.batches import batch_rows
from dqlitewire.explain import explain
from dqlitewire.limits import DEFAULT_MAX_MESSAGE_SIZE
from dqlitewire.messages import (
    DescribeRequest,
    ExecRequest,
    FilesResponse,
    LeaderResponse,
    NodeInfo,
    OpenRequest,
    PrepareRequest,
    QuerySqlRequest,
    ResultResponse,
    RowsResponse,
    ServersResponse,
)
from dqlitewire.text import abbreviate, shown
from dqlitewire.traffic import TranscriptWriter
from dqlitewire.traffic.sources.pieces import Connection
from tests.messages.test_messages import EXAMPLES

# ---------------------------------------------------------------- values that do not behave


def bad(*_: Any, **__: Any) -> Any:
    raise RuntimeError("code of the caller")


METHODS = [f"__{name}__" for name in "repr str format int index float bool len bytes".split()]  # noqa: SIM905
METHODS += ["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__rshift__", "__contains__"]


def behaving_badly(base: type) -> type:
    methods = dict.fromkeys([*METHODS, "encode", "bit_length"], bad)
    return type("Bad", (base,), methods | {"__hash__": base.__hash__})


HOSTILE: dict[str, Any] = {
    "object": behaving_badly(object)(),
    "int": behaving_badly(int)(7),
    "large int": behaving_badly(int)(10**30),
    "float": behaving_badly(float)(0.5),
    "str": behaving_badly(str)("text"),
    "str with NUL": behaving_badly(str)("a\0b"),
    "bytes": behaving_badly(bytes)(b"bytes..."),
    "bytearray": behaving_badly(bytearray)(b"bytes..."),
    "huge int": 10**5000,
    "huge negative int": -(10**5000),
    "huge str": "x" * 10**6,
    "huge bytes": b"x" * 10**6,
    "surrogates": "\ud800" * 1000,
    "controls": "\x1b[31m\n\u202e\x9b" * 20,
    "mock of int": Mock(spec=int),
    "mock of str": Mock(spec=str),
    "mock of bytes": Mock(spec=bytes),
    "name": type("N" * 10_000, (), {})(),
    "name with line ends": type("a\nb\x1b", (), {})(),
    "nested": [[[[[[[[[[1]]]]]]]]]],
    "complex": 1j,
    "NaN": float("nan"),
    "bool": True,
    "none": None,
    "adding": type("Adding", (), {"__radd__": lambda _, other: other})(),  # as arrays of numbers do
}
itself: list[Any] = []
itself += [itself] * 7
HOSTILE["itself"] = itself
each_hostile = pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)


def judge(call: Callable[[], Any], *errors: type[Exception]) -> Any:
    """A result, or an error of those allowed, whose text is short and fit to be printed."""
    result, raised = outcome(call, errors or (EncodeError,))
    if raised is not None:
        assert len(str(raised)) < 200
        assert str(raised).isprintable()
        assert not isinstance(raised, EncodeError) or raised.path
    return result


def outcome(call: Callable[[], Any], errors: tuple[type[Exception], ...]) -> tuple[Any, Exception | None]:
    try:
        return call(), None
    except errors as error:
        return None, error


@each_hostile
def test_any_value_in_any_field_is_taken_or_refused(value: Any) -> None:
    for example in EXAMPLES:
        given = {name: getattr(example, name) for name in example.__match_args__}
        for name in given:
            if type(example) is RowsResponse and name == "has_more":
                continue
            message = judge(partial(type(example), **given | {name: value}))
            if message is not None:
                judge(message.encode)
                assert len(repr(message)) < 5000
    judge(lambda: Header(value, value))
    judge(lambda: ExecRequest(0, 0, [value]).encode())
    judge(lambda: ExecRequest(0, 0, [1] * 70 + [value]).encode())
    judge(lambda: PrepareRequest(0, "SELECT", value).encode())


@each_hostile
def test_any_value_is_encoded_or_refused(value: Any) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: types.encode_uint64(value),
        lambda: types.encode_int64(value),
        lambda: types.encode_uint32(value),
        lambda: types.encode_double(value),
        lambda: types.encode_text(value),
        lambda: types.encode_text(value, max_size=3),
        lambda: types.encode_blob(value),
        lambda: types.encode_blob(value, max_blob_size=3),
        lambda: types.encode_value(value),
        lambda: types.encode_value(1, value),
        lambda: tuples.encode_params_tuple([value]),
        lambda: tuples.encode_params_tuple(value),
        lambda: tuples.encode_params_tuple([1], value),
        lambda: tuples.encode_row_header([value]),
        lambda: tuples.encode_row_header(value),
        lambda: tuples.encode_row_values([1], value),
        lambda: tuples.encode_row_values(value, [ValueType.INTEGER]),
        lambda: RowsResponse(["a"], [value], [], [[1]]).encode(),
        lambda: RowsResponse(["a"], [], [[value]], [[1]]).encode(),
        lambda: RowsResponse([value], [], [], [[1]]).encode(),
    ]
    for kind in (*ValueType, None):
        calls += [
            lambda kind=kind: types.encode_value(value, kind),
            lambda kind=kind: tuples.encode_row_values([value], [kind]),
            lambda kind=kind: RowsResponse(["a"], [kind] if kind else [], [], [[value]]).encode(),
        ]
    for call in calls:
        judge(call)


OF_A_KIND: dict[str, Callable[[Any], Any]] = {
    "limits of a decoder": lambda v: MessageDecoder(limits=v),
    "limits of a message": lambda v: encode_message(ResultResponse(1, 2), limits=v),
    "limits of a client": lambda v: ClientConversation(limits=v),
    "limits of a server": lambda v: ServerConversation(limits=v),
    "limits of an observer": lambda v: Observer(limits=v),
    "generation of a client": lambda v: ClientConversation(generation=v),
    "generation of a server": lambda v: ServerConversation(generation=v),
    "generation of a failure": lambda v: explain_failure(5, generation=v),
    "code": lambda v: str(explain_failure(v)),
    "code of a name": failure_name,
    "message": lambda v: str(explain_failure(5, v)),
    "request of a failure": lambda v: explain_failure(5, request=v),
    "sql": lambda v: explain_failure(5, sql=v),
    "hazard": lambda v: ClientConversation().send(OpenRequest("x" * 600, 0, ""), allow=v),
    "hazard of a frame": lambda v: ClientConversation().send_frame(
        b"\1\0\0\0\x12\0\0\0" + b"\1" * 8, allow=v
    ),
    "side": lambda v: Observer().receive(v, b""),
    "error": lambda v: ReadBuffer().poison(v),
    "size of a frame": lambda v: encode_message(ResultResponse(1, 2), max_message_size=v),
    "size of a buffer": ReadBuffer,
    "size of text": lambda v: types.encode_text("a", max_size=v),
    "size of text that is read": lambda v: types.decode_text(bytes(8), max_size=v),
    "size of a blob": lambda v: types.encode_blob(b"", max_blob_size=v),
    "size of a blob that is read": lambda v: types.decode_blob(bytes(8), max_blob_size=v),
}


@pytest.mark.parametrize("call", OF_A_KIND.values(), ids=OF_A_KIND)
def test_what_is_of_another_kind_is_told_at_once(call: Callable[[Any], Any]) -> None:
    usual = float(DEFAULT_MAX_MESSAGE_SIZE)  # equal to a number that is allowed
    for value in (
        object(),
        1.5,
        usual,
        1j,
        b"",
        [],
        {},
        True,
        HOSTILE["object"],
        HOSTILE["name with line ends"],
    ):
        with pytest.raises(TypeError, match=r"is needed|or None"):
            call(value)


def test_what_is_sent_is_a_request_whatever_it_shows_of_itself() -> None:
    for value in (HOSTILE["object"], HOSTILE["name"], "x" * 10**6, None):
        for call in (ClientConversation().send, ClientConversation().send_frame):
            with pytest.raises(EncodeError, match="needed") as caught:
                call(value)
            assert len(str(caught.value)) < 120


@each_hostile
def test_any_value_as_an_option_is_taken_or_refused(value: Any) -> None:
    body = bytes(8)
    for call in (
        lambda: Limits(max_rows=value),
        lambda: Limits(max_message_size=value),
        lambda: MessageDecoder(version=value),
        lambda: MessageDecoder(max_rows=value),
        lambda: MessageDecoder(text_errors=value),
        lambda: MessageDecoder(unknown_role_policy=value),
        lambda: MessageEncoder(version=value),
        lambda: decode_message(ResultResponse(1, 2).encode(), version=value),
        lambda: encode_message(value),
        lambda: explain(body, is_request=True, version=value),
        lambda: ServersResponse.decode_body(body, format=value),
        lambda: ServersResponse.decode_body(body, schema=value),
        lambda: tuples.decode_params_tuple(body, value),
        lambda: tuples.decode_params_tuple(body, None, value),
        lambda: tuples.decode_params_tuple(body, None, 0, value),
        lambda: tuples.decode_row_header(body, value),
        lambda: tuples.decode_row_values(body, [value]),
        lambda: types.decode_value(body, value),
        lambda: types.decode_text(body, errors=value),
        *(partial(call, value) for call in OF_A_KIND.values()),
    ):
        if value is not HOSTILE["int"]:  # a number that is taken is used as one
            judge(call, ValueError, TypeError, ProtocolError)


HANDSHAKE = (1).to_bytes(8, "little")
QUERY, ROWS, CONNECTION = QuerySqlRequest(0, "SELECT 1"), RowsResponse(["a"], rows=[[1]]), Connection()


def asked() -> ServerConversation:
    made = ServerConversation()
    made.receive(HANDSHAKE + QUERY.encode())
    made.next_request()
    return made


def opened() -> ClientConversation:
    made = ClientConversation()
    made.send(QUERY)
    return made


def calls_of_streams(value: Any, writer: TranscriptWriter) -> Iterator[tuple[Any, Callable[[Any], Any]]]:
    yield from ((made(), lambda d: d.feed(value)) for made in (MessageDecoder, ReadBuffer))
    yield MessageDecoder(), lambda d: d.decode_bytes(value)
    yield ReadBuffer(), lambda b: b.read_bytes(value)
    yield ReadBuffer(), lambda b: b.peek_bytes(value)
    yield from ((WriteBuffer(), call) for call in (lambda b: b.write(value), lambda b: b.write_padded(value)))
    for method in (
        lambda c: c.send(value),
        lambda c: c.send_frame(value),
        lambda c: c.send_probe(value),
        lambda c: c.receive(value),
    ):
        yield opened(), method
    for method in (
        lambda s: s.receive(value),
        lambda s: s.answer(value),
        lambda s: s.answer_frame(value),
        lambda s: list(s.rows(value, [[1]])),
        lambda s: list(s.rows([value], [[1]])),
        lambda s: list(s.rows(["a"], value)),
        lambda s: list(s.rows(["a"], [value], typed=True)),
    ):
        yield asked(), method
    for method in (
        lambda o: o.receive(value, b""),
        lambda o: o.receive(Side.CLIENT, value),
        lambda o: o.receive_gap(Side.CLIENT, value),
        lambda o: o.receive_eof(value),
        lambda o: o.offset(value),
    ):
        yield Observer(), method
    for method in (
        lambda w: w.frame(value, Side.CLIENT, b"", 1, {"type": "LEADER"}),
        lambda w: w.frame(CONNECTION, value, b"", 1, {"type": "LEADER"}),
        lambda w: w.frame(CONNECTION, Side.CLIENT, value, 1, {"type": "LEADER"}),
        lambda w: w.gap(CONNECTION, Side.CLIENT, value, 1),
        lambda w: w.end(CONNECTION, Side.CLIENT, value),
    ):
        yield writer, method


@each_hostile
def test_any_value_given_to_a_stream_is_taken_or_refused(value: Any, tmp_path: Path) -> None:
    for limits in (
        lambda: ClientConversation(limits=value),
        lambda: ServerConversation(limits=value),
        lambda: Observer(limits=value),
        lambda: ClientConversation(generation=value),
        lambda: ServerConversation(generation=value),
        lambda: ServerConversation(page_size=value),
        lambda: Observer(keep_answers=value),
    ):
        judge(limits, TypeError, ValueError)
    with TranscriptWriter(tmp_path / "t.dqt") as writer:
        for stream, call in calls_of_streams(value, writer):
            _, error = outcome(partial(call, stream), (ValueError, TypeError, ProtocolError))
            assert error is None or (len(str(error)) < 200 and str(error).isprintable())
            assert not stream.is_poisoned or isinstance(value, (bytes, bytearray))


@each_hostile
def test_what_is_shown_is_short_and_runs_nothing(value: Any) -> None:
    assert len(shown(value)) <= 50
    assert shown(value).isprintable()
    assert len(abbreviate(value)) < 5000


def test_a_row_is_named_with_its_column() -> None:
    for value, kind in (
        (object(), None),
        ("x", ValueType.INTEGER),
        ("a\0", None),
        (2**64, ValueType.UNIXTIME),
    ):
        for before in (0, 3, 40):
            rows_of = [(1, 2)] * before + [(1, value)]
            message = RowsResponse(["a", "b"], [ValueType.INTEGER, kind] if kind else [], [], rows_of)
            with pytest.raises(EncodeError) as caught:
                message.encode()
            assert caught.value.path == f"RowsResponse.rows[{before}][1]"
    for call, path in (
        (lambda: tuples.encode_row_values([1, "x"], [ValueType.INTEGER] * 2), "row[1]"),
        (lambda: tuples.encode_row_values([1, "x"], [ValueType.INTEGER, 77]), "types[1]"),
        (lambda: tuples.encode_row_values(["not a date"], [ValueType.ISO8601]), "row[0]"),
        (lambda: tuples.encode_params_tuple([1, object()]), "params[1]"),
        (lambda: tuples.encode_row_header([1, 6]), "types[1]"),
        (lambda: RowsResponse(["a", "b"], [1, 6], [], [(1, 2)]).encode(), "RowsResponse.column_types[1]"),
        (lambda: RowsResponse(["a"], [], [[1], [6]], [(1,), (2,)]).encode(), "RowsResponse.row_types[1][0]"),
        (lambda: RowsResponse(["a", 1], [], [], []).encode(), "RowsResponse.column_names[1]"),
        (lambda: FilesResponse({"a": b"", "b": b"odd"}).encode(), "FilesResponse.files[1].content"),
        (lambda: FilesResponse({"a": b"", "b\0": b""}).encode(), "FilesResponse.files[1].name"),
        (lambda: FilesResponse({"a": 1}), "FilesResponse.files[0].content"),
    ):  # fmt: skip
        with pytest.raises(EncodeError) as caught:
            call()
        assert caught.value.path == path


# ---------------------------------------------------------------- sequences


class Old:
    """A sequence as Python had them first."""

    def __getitem__(self, index: int) -> int:
        return [1, 2][index]


NO_SEQUENCES: list[Any] = [
    "xy",
    b"xy",
    bytearray(b"xy"),
    memoryview(b"xy"),
    {"a": 1},
    OrderedDict(a=1),
    MappingProxyType({"a": 1}),
    {"a": 1}.keys(),
    {1, 2},
    frozenset([1]),
    mmap.mmap(-1, 16),
    5,
    None,
    object(),
    lambda: 1,
    type("Uniterable", (Old,), {"__iter__": None})(),
]
SEQUENCE_ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    "names": lambda v: RowsResponse(v),
    "column_types": lambda v: RowsResponse(["a"], v),
    "row_types": lambda v: RowsResponse(["a"], [], v),
    "types of a row": lambda v: RowsResponse(["a"], [], [[1], v], [[1], [1]]),
    "rows": lambda v: RowsResponse(["a"], rows=v),
    "a row": lambda v: RowsResponse(["a"], rows=[v]),
    "a row behind others": lambda v: RowsResponse(["a"], rows=[[1], (1,), v]),
    "params": lambda v: ExecRequest(0, 0, v),
    "nodes": lambda v: ServersResponse(v),
    "params tuple": tuples.encode_params_tuple,
    "row values": lambda v: tuples.encode_row_values(v, [3, 3]),
    "types of values": lambda v: tuples.encode_row_values(["x", "y"], v),
    "row header": tuples.encode_row_header,
    "batch of a row": lambda v: list(batch_rows(["a"], [v])),
    "names of a batch": lambda v: list(batch_rows(v, [])),
}


@pytest.mark.parametrize("name", SEQUENCE_ARGUMENTS)
def test_what_falls_apart_or_has_no_order_is_no_sequence(name: str) -> None:
    for value in NO_SEQUENCES:
        with pytest.raises(EncodeError, match="a sequence is needed") as caught:
            SEQUENCE_ARGUMENTS[name](value)
        assert caught.value.path


def test_types_of_values_to_be_read_are_a_sequence() -> None:
    for value in NO_SEQUENCES:
        with pytest.raises(TypeError, match="a sequence is needed"):
            tuples.decode_row_values(bytes(16), value)


Pair = namedtuple("Pair", "a b")


def sequences() -> Iterator[Any]:
    yield from ([1, 2], (1, 2), deque([1, 2]), array.array("q", [1, 2]), range(1, 3), Pair(1, 2), Old())
    yield from (iter([1, 2]), (n for n in (1, 2)), map(int, "12"), {1: 1, 2: 2}.values())


def test_any_other_iterable_is_taken_once() -> None:
    for make in range(sum(1 for _ in sequences())):
        fresh = lambda: next(itertools.islice(sequences(), make, None))  # noqa: B023, E731
        assert ExecRequest(0, 0, fresh()).params == [1, 2]
        assert RowsResponse(["a", "b"], rows=[[0, 0], fresh()]).rows == [(0, 0), (1, 2)]
        assert RowsResponse(["a", "b"], fresh()).column_types == [1, 2]
        assert tuples.encode_params_tuple(fresh()) == tuples.encode_params_tuple([1, 2])
    nodes = ServersResponse(NodeInfo(n, "a", 0) for n in (1, 2)).nodes
    assert [node.node_id for node in nodes] == [1, 2]
    rows_of = ((n, str(n)) for n in range(3))
    assert RowsResponse(iter(["a", "b"]), rows=rows_of).rows == [(0, "0"), (1, "1"), (2, "2")]


def test_what_a_callers_iterator_raises_is_not_changed() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise TypeError("mine")

    for call in (lambda: ExecRequest(0, 0, failing()), lambda: RowsResponse(["a"], rows=failing())):
        with pytest.raises(TypeError, match="mine"):
            call()


# ---------------------------------------------------------------- keywords that choose

WRONG: list[Any] = [
    "nonsense",
    "",
    "Strict",
    " strict",
    5,
    None,
    True,
    b"strict",
    ["strict"],
    "strict\0",
    7.0,
]
TEXT_ERRORS: dict[str, Callable[[bytes, Any], Any]] = {
    "decode_message": lambda data, v: decode_message(data, text_errors=v),
    "MessageDecoder": lambda data, v: MessageDecoder(text_errors=v),
    "RowsResponse.decode_body": lambda data, v: RowsResponse.decode_body(data, text_errors=v),
    "decode_value": lambda data, v: types.decode_value(data, ValueType.TEXT, text_errors=v),
    "decode_value of no text": lambda data, v: types.decode_value(data, ValueType.NULL, text_errors=v),
    "decode_row_values": lambda data, v: tuples.decode_row_values(data, [ValueType.TEXT], text_errors=v),
    "decode_row_values of nothing": lambda data, v: tuples.decode_row_values(data, [], text_errors=v),
    "decode_text": lambda data, v: types.decode_text(data, errors=v),
}
POLICIES: dict[str, Callable[[bytes, Any], Any]] = {
    "decode_message": lambda data, v: decode_message(data, unknown_role_policy=v),
    "MessageDecoder": lambda data, v: MessageDecoder(unknown_role_policy=v),
    "decode_body": lambda data, v: ServersResponse.decode_body(data, unknown_role_policy=v),
    "format": lambda data, v: ServersResponse.decode_body(data, format=v),
    "params schema": lambda data, v: tuples.decode_params_tuple(data, None, v),
}


@pytest.mark.parametrize("call", [*TEXT_ERRORS.values(), *POLICIES.values()])
def test_an_unknown_choice_is_told_at_once_in_one_way(call: Callable[[bytes, Any], Any]) -> None:
    """The same error whatever the bytes: it is a ValueError, and one that a handler of DecodeErrors meets."""
    for value in (*WRONG, -1, 2, 10**5000):
        if call is TEXT_ERRORS["decode_text"] and value is None:
            continue
        for data in (b"", bytes(8), b"\xff" * 64, ResultResponse(1, 2).encode()):
            with pytest.raises(ValueError, match=r"^[a-z_]+: got .*(is needed|allowed)") as caught:
                call(data, value)
            assert isinstance(caught.value, DecodeError)
            assert (caught.value.offset, caught.value.limit) == (None, None)
            assert len(str(caught.value)) < 100


def test_an_unknown_version_is_told_in_one_way() -> None:
    for value in (0, 2, "1", 1.0, True, None, 10**5000):
        for call in (
            lambda v: MessageDecoder(version=v),
            lambda v: MessageDecoder(True, version=v),
            lambda v: MessageEncoder(version=v),
            lambda v: decode_message(bytes(8), version=v),
            lambda v: explain(bytes(8), is_request=False, version=v),
        ):
            with pytest.raises(HandshakeError, match=r"^version .*, allowed 1 and 0x86104dd760433fe5$"):
                call(value)


def test_choices_that_exist_are_taken() -> None:
    assert ServersResponse.decode_body(bytes(8), format=0).format == 0
    assert ServersResponse([], format=0).format == 0
    for format in (True, 1.0, "1", None, 2):
        with pytest.raises(EncodeError, match="allowed 0 and 1"):
            ServersResponse([], format=format)
    for schema in (True, 1.0, "1", 2):
        with pytest.raises(EncodeError, match="allowed 0 and 1"):
            tuples.encode_params_tuple([1], schema)


def test_counts_are_not_negative() -> None:
    for call in (
        lambda n: tuples.decode_params_tuple(bytes(16), n),
        lambda n: tuples.decode_params_tuple(bytes(16), None, 0, n),
        lambda n: tuples.encode_params_tuple([1], 0, n),
        lambda n: tuples.decode_row_header(bytes(16), n),
    ):
        with pytest.raises(ValueError, match="at least 0"):
            call(-1)
        for value in ("1", 1.0, True):
            with pytest.raises(TypeError, match="an integer is needed"):
                call(value)


# ---------------------------------------------------------------- bytes in every form


class Bytes(bytes):
    __bytes__ = __len__ = bad


class Array(bytearray):
    __bytes__ = __len__ = bad


def views(data: bytes) -> Iterator[Any]:
    """Data of whole words in every form that has its bytes."""
    yield from (data, bytearray(data), Bytes(data), Array(data), memoryview(data))
    yield memoryview(b"".join(bytes([byte, 0xAA]) for byte in data))[::2]
    yield memoryview(data[::-1])[::-1]
    for layout in ("b", "c", "I", "Q", "d"):
        yield memoryview(data).cast(layout)
    yield memoryview(data).cast("B", (len(data) // 8, 8))
    yield memoryview(array.array("H", data))


def explained(data: Any) -> list[Any]:
    return [span.value for span in explain(data, is_request=False).children]


WORD = struct.pack("<Q", 1)
PARAMS = struct.pack("<Qq", 0x0101, 7)
READERS: dict[str, tuple[bytes, Callable[[Any], Any]]] = {
    "decode_message": (ExecRequest(0, 0, [1, "x"]).encode(), lambda d: decode_message(d, True)),
    "decode_bytes": (ResultResponse(1, 2).encode(), lambda d: MessageDecoder().decode_bytes(d)),
    "decode_body": (ExecRequest(0, 0, [1, "x"]).encode_body(), ExecRequest.decode_body),
    "rows": (RowsResponse(["a"], rows=[["x"], [1]]).encode_body(), RowsResponse.decode_body),
    "servers": (bytes(8), ServersResponse.decode_body),
    "files": (FilesResponse({"a": b"content."}).encode_body(), FilesResponse.decode_body),
    "legacy": (b"address\0", LeaderResponse.decode_body_legacy),
    "describe": (bytes(8), lambda d: DescribeRequest.decode_body(d, strict=False)),
    "header": (ResultResponse(1, 2).encode(), Header.decode),
    "explain": (ResultResponse(1, 2).encode(), lambda d: explained(d)),
    "uint64": (struct.pack("<QQ", 7, 8), types.decode_uint64),
    "int64": (struct.pack("<qq", -7, 8), types.decode_int64),
    "uint32": (struct.pack("<II", 7, 8), types.decode_uint32),
    "double": (struct.pack("<dd", 0.5, 8), types.decode_double),
    "text": (b"text\0\0\0\0more....", types.decode_text),
    "blob": (struct.pack("<Q", 5) + b"bytes\0\0\0more....", types.decode_blob),
    "params": (PARAMS, tuples.decode_params_tuple),
    "row header": (bytes([0x31, 0, 0, 0, 0, 0, 0, 0]), lambda d: tuples.decode_row_header(d, 2)),
    "row values": (PARAMS, lambda d: tuples.decode_row_values(d, [ValueType.INTEGER] * 2)),
    **{
        f"value {kind.name}": (WORD + bytes(8), lambda d, kind=kind: types.decode_value(d, kind))
        for kind in ValueType
    },
}  # fmt: skip


@pytest.mark.parametrize("value", [*views(ROWS.encode()), array.array("Q", ROWS.encode())], ids=type)
def test_streams_take_bytes_in_every_form(value: Any) -> None:
    decoder, buffer, written, client = MessageDecoder(), ReadBuffer(), WriteBuffer(), opened()
    for take in (decoder.feed, buffer.feed, written.write):
        take(value)
        with pytest.raises(TypeError, match="bytes are needed"):
            take(HOSTILE["adding"])
    assert decoder.decode().rows == ROWS.rows
    client.receive(value if not isinstance(value, array.array) else memoryview(value))
    assert buffer.read_message() == written.getvalue() == ROWS.encode()
    assert client.idle


@pytest.mark.parametrize("name", READERS)
def test_bytes_are_read_alike_in_every_form(name: str) -> None:
    data, read = READERS[name]
    wanted = read(data)
    for view in views(data):
        assert read(view) == wanted
    single = memoryview(b"x").cast("B", ())
    for short in (b"", memoryview(b""), single, bytearray()):
        judge(lambda given=short: read(given), DecodeError)
    released = memoryview(data)
    released.release()
    with pytest.raises(ValueError, match="released"):
        read(released)
    for wrong in ("text", 5, None, [1, 2], object(), array.array("B", data), Mock(spec=bytes)):
        with pytest.raises(TypeError, match="bytes are needed"):
            read(wrong)


def test_blobs_are_written_alike_in_every_form() -> None:
    data = b"0123456789abcdef"
    wanted = types.encode_blob(data)
    plain = ExecRequest(0, 0, [data]).encode()
    for view in views(data):
        single_bytes = not isinstance(view, memoryview) or view.format in "Bbc"
        for encode, expected in (
            (types.encode_blob, wanted),
            (lambda v: types.encode_value(v)[0], wanted),
            (lambda v: ExecRequest(0, 0, [v]).encode(), plain),
            (lambda v: FilesResponse({"a": v}).files["a"], data),
        ):
            if single_bytes:
                assert encode(view) == expected
            else:
                with pytest.raises(EncodeError, match="allowed B, b or c"):
                    encode(view)
    released, closed = memoryview(data), mmap.mmap(-1, 16)
    released.release()
    closed.close()
    for gone in (released, closed):
        with pytest.raises(EncodeError, match="unreadable"):
            types.encode_blob(gone)
    with mmap.mmap(-1, 16) as mapped:
        with pytest.raises(EncodeError):
            types.encode_blob(mapped, max_blob_size=15)
        assert types.encode_blob(mapped) == types.encode_blob(bytes(16))


def test_messages_of_other_classes_are_still_refused() -> None:
    for wrong in (object(), "x", None, Mock(spec=Message)):
        with pytest.raises(TypeError, match="a message is needed"):
            encode_message(wrong)
