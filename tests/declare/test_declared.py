"""Generated constructors, encoders and decoders of messages: the plain decoder is their oracle."""

from __future__ import annotations

import builtins
import keyword
import struct
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import EncodeError, Limits, Message
from dqlitewire.declare.contract import Field
from dqlitewire.declare.declared import REGISTRY, Declared, ensure_frame, ensure_init
from dqlitewire.declare.decoder import decoder, read_plainly
from dqlitewire.declare.fields import field, reserved, text, u32, u64
from dqlitewire.limits import DEFAULT_OPTIONS, Options
from dqlitewire.messages import ExecSqlRequest, RowsResponse
from dqlitewire.messages.base import Request
from dqlitewire.messages.params import EmptyHeader, Form, Params, ParamsRequest, ParamsSchema
from dqlitewire.messages.requests import SchemaByte
from dqlitewire.messages.responses import StmtSchema
from dqlitewire.testing.strategies import messages
from tests.fuzz import checks
from tests.wire_data import OUTSIDE_GATEWAY, REQUESTS, RESPONSES, VECTORS, captures, frames

DECLARED = [cls for cls in (*REQUESTS.values(), *RESPONSES.values()) if cls is not RowsResponse]
each_class = pytest.mark.parametrize("cls", DECLARED, ids=lambda cls: cls.__name__)


def framed(body: bytes, like: bytes) -> bytes:
    return struct.pack("<I", len(body) // 8) + like[4:8] + body


# ---------------------------------------------------------------- recorded and drawn frames


def test_every_recorded_message_is_read_alike() -> None:
    found = {(vector.is_request, vector.data) for vector in VECTORS}
    for capture in captures():
        found |= {(True, frame) for frame in frames(capture.c2s[8:])}
        found |= {(False, frame) for frame in frames(capture.s2c)}
    accepted = [
        (is_request, data[4])
        for is_request, data in found
        if (checks.check_message(data, is_request) or ("none",))[0] == "message"
    ]
    assert {code for is_request, code in accepted if is_request} == {*REQUESTS}
    assert {code for is_request, code in accepted if not is_request} == {*RESPONSES} - {7}


WORDS = [
    bytes(8),
    b"\x01" + bytes(7),
    b"\x02" + bytes(7),
    b"\xff" * 8,
    b"aaaaaaaa",
    b"\0aaaaaaa",
    b"\xc3\x28" + bytes(6),
]


@each_class
@given(st.data())
def test_drawn_messages_and_every_cut_of_them(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(cls))
    frame = message.encode()
    found = checks.check_message(frame, cls.IS_REQUEST)
    assert found is not None
    assert found[0] == "message"
    for end in range(8, min(len(frame), 120)):
        checks.check_message(framed(frame[8:end], frame), cls.IS_REQUEST)
    for at in range(8, min(len(frame), 64), 8):
        for word in WORDS:
            checks.check_message(frame[:at] + word + frame[at + 8 :], cls.IS_REQUEST)
    for more in (bytes(1), bytes(8), frame[-8:], b"\x01" + bytes(7)):
        checks.check_message(framed(frame[8:] + more, frame), cls.IS_REQUEST)


@each_class
@given(st.data())
def test_drawn_messages_with_words_changed(cls: type[Message], data: st.DataObject) -> None:
    frame = data.draw(messages(cls)).encode()
    body = bytearray(frame[8:])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(len(body) - 8, 0) // 8)) * 8
        how = data.draw(st.sampled_from(["replace", "insert", "remove", "flip"]))
        if how == "replace":
            body[at : at + 8] = data.draw(st.sampled_from(WORDS))
        elif how == "insert":
            body[at:at] = data.draw(st.sampled_from(WORDS))
        elif how == "remove":
            del body[at : at + 8]
        elif body:
            body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    checks.check_message(framed(bytes(body), frame), cls.IS_REQUEST)


WITHIN = {  # caps of what a field holds
    "params": ("max_text_value_size", "max_blob_size"),
    "nodes": ("max_address_size",),
    "files": ("max_filename_size", "max_file_content_size"),
}


def caps_of(cls: type[Message]) -> list[str]:
    found = [cap for field in cls.FIELDS for cap in (field.cap, *WITHIN.get(field.kind, ()))]  # type: ignore[attr-defined]
    return [*dict.fromkeys(cap for cap in found if cap)]


CAPPED = [cls for cls in DECLARED if caps_of(cls)]
assert len(CAPPED) > 12


@pytest.mark.parametrize("cls", CAPPED, ids=lambda cls: cls.__name__)
@given(st.data())
def test_caps_are_met_at_the_same_value(cls: type[Message], data: st.DataObject) -> None:
    frame = data.draw(messages(cls)).encode()
    for cap in caps_of(cls):
        refused = []
        for limit in (1, 2, 3, 8, 9, 40, 41, 1 << 40, None):
            found = checks.check_message(frame, cls.IS_REQUEST, Options(Limits(**{cap: limit})))
            assert found is not None
            refused.append(found[0] == "refused")
        assert refused == sorted(refused, reverse=True)
        assert not refused[-1]


def test_the_first_of_several_faults_is_named() -> None:
    """The generated decoder once named the parameter where the text before it was too long."""
    body = struct.pack("<Q", 0) + b"SELECT 1".ljust(16, b"\0") + b"\x01\x07" + bytes(6) + bytes(8)
    frame = struct.pack("<IBBH", len(body) // 8, ExecSqlRequest.MSG_TYPE, 0, 0) + body
    found = checks.check_message(frame, True, Options(Limits(max_text_value_size=7)))
    assert found is not None
    assert found[3:] == ("ExecSqlRequest.sql", 16, 7)
    assert checks.check_message(frame, True)[3:5] == ("ExecSqlRequest.params[0]", 33)  # type: ignore[index]


# ---------------------------------------------------------------- names of fields


def names_in_generated_code() -> set[str]:
    """Every name that the code generated for the package's own messages has."""
    found: set[str] = set()
    for cls in DECLARED:
        made: Any = cls
        ensure_init(made)
        ensure_frame(made)
        constructors = [made.__init__] if "__init__" in vars(made) else []
        for function in (*constructors, made._frame, *map(partial(decoder, made), made.SCHEMAS)):
            found |= {*function.__code__.co_varnames, *function.__code__.co_names}
    return found


@pytest.fixture
def register() -> Iterator[None]:
    known = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(known)


def declare(schemas: tuple[int, ...] = (0,), base: type = Request, **fields: Any) -> Any:
    return Declared("Odd", (base,), {"__module__": __name__, **fields}, code=200, schemas=schemas)


def check_declared(cls: Any, given: dict[str, Any], name: str, other: object) -> None:
    message = cls(**given)
    assert message == cls(*given.values())
    assert {field: getattr(message, field) for field in given} == given
    data = message.encode()
    for schema in cls.SCHEMAS[:1]:
        assert message == decoder(cls, schema)(data, len(data), DEFAULT_OPTIONS)
        assert message == read_plainly(cls, schema, data, len(data), DEFAULT_OPTIONS)
    with pytest.raises(EncodeError, match=rf"^Odd\.{name}: "):
        cls(**given | {name: other})
    with pytest.raises(EncodeError, match=r"^Odd\.title: "):
        cls(**given | {"title": 1})


@pytest.mark.usefixtures("register")
def test_a_field_may_be_named_like_anything_in_generated_code() -> None:
    taken = {name for base in Request.__mro__ for name in base.__dict__} | {"first", "title", "unused"}
    names = {*dir(builtins), *names_in_generated_code(), *keyword.softkwlist}
    assert {"g_pos", "g_frame", "g_self", "g_checked_integer", "type", "len", "self", "bool"} <= names
    for name in sorted(name for name in names - taken - {*keyword.kwlist} if name[:2] != "__"):
        check_every_form(name)


def check_every_form(name: str) -> None:
    title = text(cap="max_filename_size")
    words = {"first": u32(), name: u32(), "unused": reserved()}
    check_declared(declare(**words, title=title), {"first": 1, name: 2, "title": "t"}, name, 2**32)
    texts = {"first": u64(), name: text(cap="max_filename_size")}
    check_declared(declare(**texts, title=title), {"first": 1, name: "x" * 9, "title": "t"}, name, 1)
    if name not in ("params", "schema", "empty_header", "_form"):
        fields = {name: u64(low=1), "title": title, "params": field(Params, default=())}
        cls = declare((0, 1), ParamsRequest, **fields)
        check_declared(cls, {name: 3, "title": "t", "params": [1, "a", None]}, name, 0)


@pytest.mark.usefixtures("register")
def test_a_name_that_cannot_be_a_fields_is_refused_where_it_is_declared() -> None:
    methods = {name for base in Request.__mro__ for name in base.__dict__}
    assert {"encode", "decode_body", "_read", "__eq__"} <= methods
    facts = vars(declare(first=u32())).keys() - {"first"}
    assert {"MSG_TYPE", "FIELDS", "_readers"} <= facts
    for name in (*keyword.kwlist, *methods, *facts, "__debug__", "__build_class__"):
        with pytest.raises(TypeError, match="cannot be named"):
            declare(first=u32(), **{name: u32()})
    kinds: list[type[Field]] = [SchemaByte, Params, ParamsSchema, EmptyHeader, Form, StmtSchema]
    for kind in kinds:
        with pytest.raises(TypeError, match=f"{kind.kind} field cannot be named x{kind.needed_name}"):
            declare(**{f"x{kind.needed_name}": field(kind)})


# ---------------------------------------------------------------- when code is made


def test_nothing_is_generated_before_it_is_needed() -> None:
    fresh = declare_once(first=u64(), last=text(cap="max_filename_size"))
    assert not fresh._readers
    message = fresh(1, "x")
    assert not fresh._readers
    data = message.encode()
    assert fresh.decode_body(data[8:]) == message
    assert set(fresh._readers) == {0}
    assert fresh._readers[0] is fresh._readers[0]


def declare_once(**fields: Any) -> Any:
    known = dict(REGISTRY)
    try:
        return declare(**fields)
    finally:
        REGISTRY.clear()
        REGISTRY.update(known)


def test_requests_outside_the_gateway_are_declared_like_the_others() -> None:
    assert {cls.MSG_TYPE for cls in DECLARED if cls.IS_REQUEST} >= set(OUTSIDE_GATEWAY)
