"""Kinds of fields: what each must say of itself, and a kind that somebody adds."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from struct import calcsize
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import DecodeError, EncodeError
from dqlitewire.declare.contract import BODY, DERIVED, HEADER, ByHand, Field
from dqlitewire.declare.declared import REGISTRY, Declared
from dqlitewire.declare.decoder import decoder, read_plainly
from dqlitewire.declare.fields import field, text, u64
from dqlitewire.declare.fixed import Bits, Fixed, Integer
from dqlitewire.limits import DEFAULT_OPTIONS
from dqlitewire.messages import ExecRequest, ExecSqlRequest, NodeInfo, QueryRequest, QuerySqlRequest
from dqlitewire.messages.base import Header, Request
from dqlitewire.messages.params import Params, ParamsRequest
from dqlitewire.testing import strategies

DECLARED: list[type[Any]] = [*REGISTRY.values(), NodeInfo, Header]
FIELDS: list[Field] = [field for cls in DECLARED for field in cls.FIELDS]
KINDS = {type(one) for one in FIELDS}


def derived(kind: type[Field]) -> Iterator[type[Field]]:
    yield kind
    for one in kind.__subclasses__():
        yield from derived(one)


@pytest.fixture
def register() -> Iterator[None]:
    known = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(known)


# ---------------------------------------------------------------- every kind


def test_every_kind_has_a_name_and_a_place() -> None:
    for one in FIELDS:
        assert one.kind
        assert one.place in (BODY, HEADER, DERIVED)
        assert type(one).__doc__


def test_every_kind_is_used() -> None:
    abstract = {Field, Fixed, Integer}
    ours = {kind for kind in derived(Field) if kind.__module__.startswith("dqlitewire.")}
    between_nodes = {kind for kind in ours if kind.__module__.startswith("dqlitewire.raft.")} | {Bits}
    assert ours - abstract - between_nodes == KINDS


def test_sizes_fit_formats() -> None:
    for one in FIELDS:
        if one.format:
            assert calcsize("<" + one.format) == one.smallest == one.largest
        elif one.place == BODY:
            assert one.largest is None or one.smallest <= one.largest
        else:
            assert (one.smallest, one.largest) == (0, 0)


@pytest.mark.parametrize("cls", REGISTRY.values(), ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_frames_are_within_the_sizes_of_their_fields(cls: Any, data: st.DataObject) -> None:
    size = len(data.draw(strategies.messages(cls)).encode_body())
    largest = [one.largest for one in cls.FIELDS]
    assert size >= sum(one.smallest for one in cls.FIELDS if not one.since)
    assert None in largest or size <= sum(largest)


def test_what_is_stored_is_read_and_what_is_an_attribute_is_drawn() -> None:
    for one in FIELDS:
        if one.is_attribute and one.kind not in ("names", "types", "rows", "marker"):
            assert isinstance(one.strategy(strategies), st.SearchStrategy)
        else:
            with pytest.raises(TypeError, match=r"nobody has said how a .* field is drawn"):
                one.strategy(strategies)


def test_fields_by_hand_have_no_generated_reader() -> None:
    for one in FIELDS:
        if isinstance(one, ByHand):
            with pytest.raises(TypeError, match="has no generated reader"):
                one.read("path", "8", 0)
            with pytest.raises(TypeError, match="is read by its message"):
                one.plain(None, {})  # type: ignore[arg-type]


def test_a_field_in_the_body_has_a_format_or_reads_itself() -> None:
    for one in FIELDS:
        if one.place != BODY or isinstance(one, ByHand):
            continue
        lines = [*one.write("path"), ""]
        if one.format:
            assert (one.words, one.is_packed) == ("", True)
        else:
            assert one.words
            assert any(line.strip().startswith(f"$value_{one.name} = ") for line in lines)
            assert one.read("path", "8", 0)[-1].strip().startswith(("$pos =", "$empty ="))


@pytest.mark.parametrize("cls", DECLARED, ids=lambda cls: cls.__name__)
def test_lines_of_generated_code_name_all_but_fields_with_a_prefix(cls: Any) -> None:
    """So that a field may have any name, that of a builtin as well."""
    of_fields = {one.name for one in cls.FIELDS}
    for one in cls.FIELDS:
        lines = [*one.check("path"), *one.write("path"), *one.conditions(), one.stored(0)]
        if one.place == BODY and not one.format and not isinstance(one, ByHand):
            lines += [*one.read("path", "8", 0), *one.read("path", "$pos", 0), one.words]
        elif one.place == BODY and one.argument:
            lines.append(one.argument)
        tree = ast.parse("\n".join(lines).replace("$", "g_"))
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert {name for name in used if not name.startswith("g_")} <= {*of_fields, "self"}


# ---------------------------------------------------------------- the four requests with parameters


@pytest.mark.parametrize(
    ("cls", "first"),
    [
        (ExecRequest, "db_id, stmt_id"),
        (QueryRequest, "db_id, stmt_id"),
        (ExecSqlRequest, "db_id, sql"),
        (QuerySqlRequest, "db_id, sql"),
    ],
)
def test_requests_with_parameters_share_their_last_arguments(cls: Any, first: str) -> None:
    expected = f"({first}, params=(), *, schema=None, empty_header=False)"
    assert str(inspect.signature(cls)) == expected
    assert cls.__match_args__ == (*first.split(", "), "params")
    assert cls.__slots__ == (*first.split(", "), "params", "_form")


@pytest.mark.usefixtures("register")
def test_a_shared_field_is_not_declared_twice() -> None:
    fields = {"schema": u64(), "params": field(Params, default=())}
    with pytest.raises(TypeError, match="Odd declares a field that its base declares"):
        Declared("Odd", (ParamsRequest,), {"__module__": __name__, **fields}, code=200)


# ---------------------------------------------------------------- a kind that somebody adds


class Flag(Field):
    """A word that is 0 or 1, a bool in Python."""

    kind, format, smallest, largest = "flag", "Q", 8, 8
    uses = (bool,)

    def check(self, path: str) -> list[str]:
        return [f"{self.name} = $bool({self.name})"]

    def conditions(self) -> list[str]:
        return [f"{self.name} <= 1"]

    def stored(self, schema: int) -> str:
        return f"{self.name} == 1"

    def plain(self, cursor: Any, values: dict[str, object]) -> bool:
        start, value = cursor.pos, cursor.unsigned(self.name, 8)
        if value > 1:
            raise cursor.error(self.name, f"got {value}, allowed 0 and 1", start)
        return bool(value)

    def strategy(self, of: Any) -> Any:
        return of.st.booleans()


@pytest.mark.usefixtures("register")
def test_a_kind_is_one_class() -> None:
    fields = {
        "first": u64(),
        "ready": field(Flag),
        "title": text(cap="max_filename_size"),
        "last": field(Flag),
    }
    cls: Any = Declared("Odd", (Request,), {"__module__": __name__, **fields}, code=200)

    @given(strategies.messages(cls))
    def check(message: Any) -> None:
        frame = message.encode()
        assert len(frame) >= 8 + sum(one.smallest for one in cls.FIELDS)
        for found in (
            decoder(cls, 0)(frame, len(frame), DEFAULT_OPTIONS),
            read_plainly(cls, 0, frame, len(frame), DEFAULT_OPTIONS),
        ):
            assert found == message
            assert type(found.ready) is type(found.last) is bool
        with pytest.raises(DecodeError) as caught:
            cls.decode_body(frame[8:16] + b"\x02" + frame[17:])
        assert (caught.value.path, caught.value.offset) == ("Odd.ready", 16)

    check()
    with pytest.raises(EncodeError, match=r"^Odd\.title: "):
        cls(1, True, 2, False)


@pytest.mark.usefixtures("register")
def test_a_message_whose_fields_are_all_constant_is_one_constant() -> None:
    from dqlitewire.messages import EmptyResponse, LeaderRequest

    for cls in (EmptyResponse, LeaderRequest):
        message = cls()
        assert message.encode() is message.encode()
        assert message.encode()[8:] == bytes(8)
