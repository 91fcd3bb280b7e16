"""Faults in words: every kind and word, there and back, on each of the three ways in; what is no fault."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire.constants import RequestType
from dqlitewire.faults import Corrupt, Delay, Drop, Fail, Fault, Hold, Split, kinds
from dqlitewire.faults.words import (
    FaultWordsError,
    fault_of,
    parse_fault,
    parse_faults,
    read_faults,
    words_of,
)
from dqlitewire.messages import ExecSqlRequest

if TYPE_CHECKING:
    from pathlib import PurePath

NAMES = list(RequestType.__members__)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SECONDS = st.one_of(st.integers(0, 86_400), st.floats(0, 86_400))
WORDS: dict[str, st.SearchStrategy[Any]] = {
    "on": st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    "sql": TEXT.map(re.escape),
    "connection": st.integers(1, 9),
    "times": st.one_of(st.integers(1, 9), st.just("forever")),
    "after": st.integers(0, 9),
    "direction": st.just("response"),
    "probability": st.floats(0, 1),
    "code": st.integers(0, 2**64 - 1),
    "message": TEXT,
    "executed": st.booleans(),
    "frames": st.integers(0, 9),
    "bytes": st.integers(0, 9),
    "reset": st.booleans(),
    "seconds": SECONDS,
    "size": st.integers(1, 99),
    "pause": SECONDS,
    "at": st.integers(0, 99),
    "xor": st.integers(0, 255),
}
KINDS = (Fail, Drop, Delay, Split, Corrupt, Hold)


def orders(kind: type[Fault]) -> st.SearchStrategy[dict[str, Any]]:
    required = {name for name, one in inspect.signature(kind).parameters.items() if one.default is one.empty}
    sayable = [one.name for one in fields(kind) if one.name != "change"]
    chosen = {name: WORDS[name] for name in sayable}
    return st.fixed_dictionaries(
        {"kind": st.just(kind.__name__.lower()), **{name: chosen[name] for name in required}},
        optional={name: chosen[name] for name in sayable if name not in required},
    )


ORDERS = st.sampled_from(KINDS).flatmap(orders)


def as_text(order: dict[str, Any]) -> str:
    def value(one: Any) -> str:
        match one:
            case bool():
                return "yes" if one else "no"
            case list():
                return ",".join(one)
            case _:
                return str(one)

    said = [f"{word}={value(one)}" for word, one in order.items() if word != "kind"]
    return shlex.join([order["kind"], *said])


def as_toml(orders: list[dict[str, Any]]) -> str:
    lines: list[str] = []
    for order in orders:
        lines.append("[[fault]]")
        for word, value in order.items():
            said = json.dumps(value, ensure_ascii=True)
            if isinstance(value, str):  # JSON escapes what is beyond the BMP as surrogates
                said = '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'
            lines.append(f"{word} = {said}")
    return "\n".join(lines)


def state(fault: Fault) -> dict[str, Any]:
    found = {one.name: getattr(fault, one.name) for one in fields(fault)}
    return {**found, "kind": type(fault), "on": fault._types}


def made_in_python(order: dict[str, Any]) -> Fault:
    words = {word: value for word, value in order.items() if word != "kind"}
    if words.get("times") == "forever":
        words["times"] = None
    return kinds()[order["kind"]](**words)


@given(ORDERS)
def test_all_ways_say_the_same(order: dict[str, Any]) -> None:
    expected = state(made_in_python(order))
    assert state(fault_of(order)) == expected
    assert state(fault_of(json.loads(json.dumps(order)))) == expected
    assert state(parse_fault(as_text(order))) == expected
    said = words_of(fault_of(order))
    assert state(fault_of(json.loads(json.dumps(said)))) == expected
    assert list(said) == ["kind", *(one.name for one in fields(kinds()[order["kind"]]) if one.name in said)]


@given(st.lists(ORDERS, max_size=3))
def test_a_file(tmp_path_factory: pytest.TempPathFactory, several: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.mktemp("faults") / "faults.toml"
    path.write_text(as_toml(several))
    assert [state(one) for one in read_faults(path)] == [state(made_in_python(one)) for one in several]


def test_what_the_issue_writes() -> None:
    texts = [
        "fail code=5 times=2 on=EXEC_SQL",
        "drop frames=1 bytes=20 on=QUERY_SQL",
        "delay seconds=0.2",
        "split size=7 pause=0.01",
        "corrupt at=4 xor=255",
        "hold",
    ]
    expected = [
        Fail(5, times=2, on="EXEC_SQL"),
        Drop(frames=1, bytes=20, on="QUERY_SQL"),
        Delay(0.2),
        Split(7, 0.01),
        Corrupt(at=4, xor=255),
        Hold(),
    ]
    assert [state(one) for one in parse_faults(texts)] == [state(one) for one in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("drop reset executed=no", Drop(reset=True, executed=False)),
        ("drop reset=true executed=False", Drop(reset=True, executed=False)),
        ("HOLD times=forever", Hold(times=None)),
        ("corrupt xor=0xff at=0x10", Corrupt(at=16, xor=255)),
        ("hold on=exec,Query_Sql", Hold(on=["EXEC", "QUERY_SQL"])),
        ("hold 'on=exec, query'", Hold(on=["EXEC", "QUERY"])),
        (
            "fail code=1 message='it''s \"so\"' sql='^SELECT [a-z]+ = 1$'",
            Fail(1, 'its "so"', sql="^SELECT [a-z]+ = 1$"),
        ),
        ("fail code=1 message=forever", Fail(1, "forever")),
        ("fail code=1 message= ", Fail(1, "")),
        ("fail message=a=b code=1", Fail(1, "a=b")),
        ("delay seconds=1e-3 probability=.5", Delay(0.001, probability=0.5)),
    ],
)
def test_ways_to_write_it(text: str, expected: Fault) -> None:
    assert state(parse_fault(text)) == state(expected)


ALL = "fail, drop, delay, split, corrupt, hold"
SELECTION = "on, sql, connection, times, after, direction, probability"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "kind '' unknown, must be one of fail, drop, delay, split, corrupt, hold"),
        ("fial code=5", "kind 'fial' unknown, nearest fail, must be one of fail, drop, delay, split"),
        ("code=5", "kind 'code=5' unknown"),
        ("fail", "fail without code, must say code=..."),
        ("fail cod=5", f"word 'cod' unknown, nearest code, fail takes code, message, executed, {SELECTION}"),
        ("fail code=5 5", "word '5' unknown"),
        ("fail code=5 code=5", "word 'code' twice, must be there once"),
        ("fail code=5 kind=fail", "word 'kind' twice, must be there once"),
        ("fail code", "word code without a value, must be code=..., an int"),
        ("hold on", "word on without a value, must be on=..., one request or several"),
        ("fail code=x", "code 'x', must be an int"),
        ("fail code=1.5", "code '1.5', must be an int"),
        ("fail code=", "code '', must be an int"),
        ("fail code=-1", "code -1, must be at least 0"),
        ("fail code=5 executed=perhaps", "executed 'perhaps', must be yes or no"),
        ("fail code=5 direction=request", "direction 'request', must be response"),
        ("hold times=none", "times 'none', must be an int or forever"),
        ("hold times=0", "times 0, must be at least 1"),
        ("delay seconds=x", "seconds 'x', must be a number"),
        ("delay seconds=nan", "seconds nan, must be 0 to 86400"),
        ("hold on=EXECSQL", "on 'EXECSQL' unknown, nearest EXEC_SQL, must be one of LEADER, CLIENT, "),
        ("hold on=", "on '' unknown, must be one of LEADER"),
        ("hold on=EXEC,", "on '' unknown, must be one of LEADER"),
        ("hold sql=(", "sql '(', must be a regular expression"),
        ("corrupt change=x", "word change of corrupt can be set in Python only"),
        ("hold 'x", "no closing quotation"),
        ("hold x\\", "no escaped character"),
        ("fail code=1 message=a\0b", "message 'a\\x00b', must be without NUL"),
        (f"fail code={'9' * 5000}", "code '99999"),
        (f"hold {'x' * 5000}=1", "word 'xxxxx"),
    ],
)
def test_what_is_no_fault(text: str, problem: str) -> None:
    """Each error names the fault, what was given, and what is allowed."""
    with pytest.raises(FaultWordsError) as caught:
        parse_fault(text)
    assert caught.value.problem.startswith(problem)
    assert str(caught.value) == f"{caught.value.where}: {caught.value.problem}"
    assert caught.value.where.startswith("fault ")
    assert len(str(caught.value)) < 300
    with pytest.raises(FaultWordsError, match=r"^fault 2 "):
        parse_faults(["hold", text])


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({}, f"kind '' unknown, must be one of {ALL}"),
        ({"kind": 5}, f"kind 5 unknown, must be one of {ALL}"),
        ({"kind": "fail", "code": "5"}, "code '5', must be an int"),
        ({"kind": "fail", "code": True}, "code True, must be an int"),
        ({"kind": "fail", "code": 5.0}, "code 5.0, must be an int"),
        ({"kind": "fail", "code": 5, "executed": 1}, "executed 1, must be yes or no"),
        ({"kind": "fail", "code": 5, "message": 1}, "message 1, must be a str"),
        ({"kind": "delay", "seconds": "1"}, "seconds '1', must be a number"),
        ({"kind": "delay", "seconds": True}, "seconds True, must be a number"),
        ({"kind": "hold", "times": "ever"}, "times 'ever', must be an int or forever"),
        ({"kind": "hold", "on": []}, "on is empty, must name a request or be None"),
        ({"kind": "hold", "on": [[1]]}, "on [1], must be a RequestType or a request message"),
        ({"kind": "hold", "on": {}}, "on {}, must be the name of a request, or several"),
        ({"kind": "hold", "on": ["EXEC", "OPN"]}, "on 'OPN' unknown, nearest OPEN"),
        ({"kind": "hold", "after": None}, "after None, must be an int"),
    ],
)
def test_what_is_no_fault_as_a_table(table: dict[str, object], problem: str) -> None:
    with pytest.raises(FaultWordsError) as caught:
        fault_of(table)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[[fault]]\nkind='hold'\n\n  [[ 'fault' ]] \nkind='hold'\nwhen=1\n",
            ":4: fault 2: word 'when' unknown",
        ),
        ("fault=[{kind='hold'}, {kind='held'}]", ": fault 2: kind 'held' unknown, nearest hold"),
        ("fault=[1]", ": fault 1: 1 is no table, must be written [[fault]]"),
        ("[fault]\nkind='hold'", ": fault is no list of tables, must be written [[fault]]"),
        ("[[faults]]\nkind='hold'", ": table 'faults' unknown, nearest fault, must be one of fault"),
        ("[[fault]\n", ": not TOML: expected ']]' at the end of an array declaration (at line 1, column 8)"),
        ("x=" + "[" * 5000, ": not TOML: "),
        ("x=" + "9" * 5000, ": not TOML: "),
        ("x='\udcff'", ": byte 0xff at 3, must be UTF-8"),
        ("#" * (1 << 20) + "#", ": longer than 1048576 bytes"),
    ],
)
def test_what_is_no_file_of_faults(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FaultWordsError) as caught:
        read_faults(path)
    assert str(caught.value).startswith(f"{path}{said}")
    assert len(str(caught.value)) < len(str(path)) + 250  # kinds that other tests declare are told, too


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_faults(tmp_path / "none.toml")


def test_what_only_python_can_say_is_listed() -> None:
    def spoil(frame: bytes) -> bytes:
        return frame

    words = words_of(Corrupt(spoil, on=ExecSqlRequest, sql=re.compile("a.b", re.I | re.S)))
    assert words == {"kind": "corrupt", "change": "spoil", "on": ["EXEC_SQL"], "sql": "(?is)a.b"}
    with pytest.raises(FaultWordsError, match="change of corrupt can be set in Python only"):
        fault_of(words)


class Rename(Fault):
    """A kind of one's own."""

    to: str
    limit: int | None = None
    old: Optional[float] = 0.5  # noqa: UP045  as a user may write it
    loud: bool = False
    where: PurePath | None = None
    several: list[str] | None = None

    def check(self) -> None:
        if not self.to:
            raise ValueError("to is empty, must be a name")


class Types(Fault):
    """A kind whose types are all known."""

    several: list[str] | None = None
    one: Literal["a", "b"] = "a"
    either: int | str = 1


def test_types_that_words_cannot_say() -> None:
    with pytest.raises(FaultWordsError, match="several of types can be set in Python only"):
        parse_fault("types several=a")
    fault = parse_fault("types one=b either=0x10")
    assert isinstance(fault, Types)
    assert (fault.one, fault.either) == ("b", 16)


def test_a_kind_of_ones_own() -> None:
    """One of its types is known to type checkers only."""
    fault = parse_fault("rename to=x limit=none loud times=2")
    assert isinstance(fault, Rename)
    assert (fault.to, fault.limit, fault.old, fault.loud, fault.times) == ("x", None, 0.5, True, 2)
    assert words_of(fault) == {"kind": "rename", "to": "x", "loud": True, "times": 2}
    assert state(fault_of({"kind": "rename", "to": "x", "limit": 3})) == state(Rename("x", 3))
    for text, said in [
        ("rename", "rename without to, must say to=..."),
        ("rename to=", "to is empty, must be a name"),
        ("rename to=x where=/", "word where of rename can be set in Python only"),
        ("rename to=x several=y", "word several of rename can be set in Python only"),
        ("rename to=x limit=x", "limit 'x', must be an int or none"),
        (
            "rename tp=x",
            "word 'tp' unknown, nearest to, rename takes to, limit, old, loud, where, several, on",
        ),
    ]:
        with pytest.raises(FaultWordsError, match=re.escape(said)):
            parse_fault(text)
