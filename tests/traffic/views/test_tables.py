"""The tables that views are made of know everything that passes, and a message without a row is shown too."""

from __future__ import annotations

import json
from typing import ClassVar, Self

import pytest

from dqlitewire import Message, NodeInfo, NodeRole
from dqlitewire.conversation import Side
from dqlitewire.messages import REGISTRY, EmptyResponse, QuerySqlRequest
from dqlitewire.traffic import Recording, lines
from dqlitewire.traffic.item import NO_FRAMES, OTHER_TYPES
from dqlitewire.traffic.sources.formats import FORMATS, PASTED, Format
from dqlitewire.traffic.sources.pasted import FORMS
from dqlitewire.traffic.views import line, summary
from dqlitewire.traffic.views.json_object import fields, plain
from dqlitewire.traffic.views.literals import value, values
from dqlitewire.traffic.views.summary import summarise


class Plain(Message):
    """A message that a program makes for itself, without the fields of this package."""

    MSG_TYPE = 77
    IS_REQUEST = True
    __match_args__: tuple[str, ...] = ("db_id",)
    db_id = 7

    def encode_body(self) -> bytes:
        """Encode nothing."""
        return b""

    @classmethod
    def decode_body(cls, data: bytes, schema: int = 0) -> Self:
        """Decode nothing."""
        return cls()


class Note(Plain):
    """The same with SQL in it."""

    __match_args__ = ("db_id", "sql", "parts")
    sql = "SELECT  1"
    parts: ClassVar[dict[str, object]] = {"a": (1, b"x"), "b": None}


def test_every_type_that_is_no_message_is_described() -> None:
    assert set(line._OTHERS) == set(OTHER_TYPES)
    assert set(OTHER_TYPES) > NO_FRAMES


def test_every_format_is_opened() -> None:
    assert {row.format.value for row in FORMATS} | PASTED == {format.value for format in Format}
    assert set(FORMS) == PASTED


def test_a_message_is_summarised_one_way() -> None:
    assert not set(summary._SIMPLE) & set(summary._SQL)
    assert set(summary._SIMPLE) | set(summary._SQL) <= set(REGISTRY.values())


def test_a_message_of_a_program() -> None:
    note = Note()
    assert summarise(note) == "db_id 7, SELECT 1, parts ('a', 'b')"
    assert fields(note) == {"db_id": 7, "sql": "SELECT  1", "parts": {"a": [1, {"blob": "78"}], "b": None}}
    assert json.loads(json.dumps(fields(note)))["db_id"] == 7


def test_the_statement_that_a_message_runs_stands_behind_its_fields() -> None:
    assert summarise(Plain(), sql="SELECT 2") == "db_id 7, SELECT 2"


@pytest.mark.parametrize(
    ("held", "shown", "in_json"),
    [
        (None, "NULL", None),
        (True, "TRUE", True),
        ("it's", "'it''s'", "it's"),
        (b"\x01", "x'01'", {"blob": "01"}),
        (NodeRole.SPARE, "spare", "SPARE"),
        (-(1 << 63), "-9223372036854775808", -(1 << 63)),
        (1e300, "1e+300", 1e300),
        (float("inf"), "inf", {"float": "inf"}),
        ([1, "a"], "(1, 'a')", [1, "a"]),
        (
            NodeInfo(1, "a:1", NodeRole.VOTER),
            "1 a:1 voter",
            {"node_id": 1, "address": "a:1", "role": "VOTER"},
        ),
        (complex(1, 2), "(1+2j)", "(1+2j)"),
    ],
)
def test_values(held: object, shown: str, in_json: object) -> None:
    assert value(held) == shown
    assert plain(held) == in_json


def test_long_lists_are_counted() -> None:
    assert values(range(9)) == "(0, 1, 2, 3, 4, 5, … 9 in all)"


def test_the_line_of_an_answer_does_not_say_what_was_asked() -> None:
    recording = Recording()
    recording.add(Side.CLIENT, bytes([1, *bytes(7)]) + QuerySqlRequest(0, "SELECT 1").encode())
    recording.add(Side.SERVER, EmptyResponse().encode())
    assert list(lines(recording)) == [
        " 1 > HANDSHAKE  version 1",
        " 1 > QUERY_SQL  SELECT 1",
        " 1 < EMPTY",
    ]
