"""Words of a command line as values, and back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire.cli.parameters import is_plain, parameter, parameters, wanted

VALUES = {
    "NULL": None,
    "null": "null",
    "true": True,
    "True": "True",
    "false": False,
    "0": 0,
    "-7": -7,
    "+5": 5,
    "007": 7,
    "9223372036854775807": 2**63 - 1,
    "-9223372036854775808": -(2**63),
    "0" * 5000 + "1": 1,
    "1.5": 1.5,
    ".5": 0.5,
    "5.": 5.0,
    "-1e3": -1000.0,
    "2E-7": 2e-7,
    "1e-999": 0.0,
    "x'00fF'": b"\0\xff",
    "X''": b"",
    "x'0g'": "x'0g'",
    "0x10": "0x10",
    "1_000": "1_000",
    "1e": "1e",
    "e1": "e1",
    ".": ".",
    "-": "-",
    "inf": "inf",
    "nan": "nan",
    "٣": "٣",
    "": "",
    " 1": " 1",
    "it's": "it's",
    "a\nb": "a\nb",
}


@pytest.mark.parametrize("word", VALUES)
def test_values(word: str) -> None:
    found = parameter(word)
    assert (type(found), found) == (type(VALUES[word]), VALUES[word])
    assert parameters([word], all_text=True) == (word,)
    assert is_plain(word) == isinstance(found, str)


WRONG = {
    "9223372036854775808": "PARAM 2: '9223372036854775808' does not fit 64 bits: --text makes it text",
    "-9223372036854775809": "PARAM 2: '-9223372036854775809' does not fit 64 bits: --text makes it text",
    "9" * 50_000: f"PARAM 2: '{'9' * 31}... does not fit 64 bits: --text makes it text",
    "1e999": "PARAM 2: '1e999' is larger than any float: --text makes it text",
    "x'abc'": "PARAM 2: \"x'abc'\" is no blob: an odd number of digits; --text makes it text",
    "a\udcff": "PARAM 2: 'a\\udcff' is no text: not UTF-8 at character 2",
    "a\0b": "PARAM 2: 'a\\x00b' holds a NUL at character 2",
}


@pytest.mark.parametrize("word", WRONG)
def test_what_is_no_value_is_said(word: str) -> None:
    with pytest.raises(ValueError, match=r"^PARAM 2: ") as raised:
        parameters(["1", word])
    assert str(raised.value) == WRONG[word]


@given(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.binary()
)
def test_what_a_table_or_csv_writes_is_the_same_value_again(value: object) -> None:
    match value:
        case None:
            word = "NULL"
        case bool():
            word = str(value).lower()
        case bytes():
            word = f"x'{value.hex()}'"
        case _:
            word = repr(value)
    found = parameter(word)
    assert (type(found), found) == (type(value), value)
    assert not isinstance(value, float) or math.copysign(1, value) == math.copysign(1, found)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("SELECT 1", 0),
        ("SELECT ?, ?", 2),
        ("SELECT ?3, ?1", 3),
        ("SELECT ?2, ?", 3),
        ("SELECT :a, @b, $c, :a, ?", 4),
        ("SELECT '?', \"?\", [?] -- ?", 0),
        ("SELECT ?99999999999999999999", None),
        ("SELECT 'open ?", None),
    ],
)
def test_how_many_parameters_a_statement_takes(sql: str, count: int | None) -> None:
    assert wanted(sql) == count
