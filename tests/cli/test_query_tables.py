"""Rows as tables and CSV: whatever the values, lines stay lines, and columns stand below each other."""

from __future__ import annotations

import csv
import io
import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from dqlitewire.cli.cells import cell
from dqlitewire.cli.tables import GAP, SAMPLE, Table, csv_lines
from dqlitewire.text import printable
from tests.traffic.command import run  # noqa: F401  (checks all JSON)

ODD = ("NULL", "'", "", " ", "5", "x'00'", "\x1b[31mred", "a\nb", "\u202eabc", "小林", "e\u0301", "\u0301")
ODDER = (
    "👍🏽",
    "❤️",
    "\ufe0f",
    "a" * 500,
    "\0",
    "\udc80",
    "…",
    "true",
    "inf",
    "-- 1 --",
    "🇩🇪",
    "\u200b",
    "\t",
)
TEXTS = st.text() | st.sampled_from(ODD + ODDER)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | TEXTS
    | st.binary(max_size=40)
)


@st.composite
def results(draw: st.DrawFn) -> tuple[list[str], list[tuple[Any, ...]]]:
    count = draw(st.integers(1, 12))
    names = draw(st.lists(TEXTS, min_size=count, max_size=count))
    return names, draw(st.lists(st.tuples(*[VALUES] * count), max_size=8))


@given(results(), st.integers(40, 200))
def test_a_table_has_lines_that_fit_and_columns_that_stand_below_each_other(
    result: tuple[list[str], list[tuple[Any, ...]]], width: int
) -> None:
    names, rows = result
    lines = list(Table(names, width).lines(rows))
    for line in lines:
        assert printable(line) == line
        assert cell_len(line) <= width
        assert not line.endswith(" ")
    if rule := ruled(lines):
        assert len(lines) == len(rows) + 3
        assert_aligned(lines[0], [*map(len, rule.split())])
        for line, row in zip(lines[2:-1], rows, strict=True):
            assert_aligned(line, [*map(len, rule.split())], row)
    else:
        assert sum(bool(re.fullmatch(r"-- \d+ --", line)) for line in lines) >= len(rows)
    assert lines[-1].startswith(f"({len(rows)} row")


def ruled(lines: list[str]) -> str:
    return lines[1] if len(lines) > 1 and re.fullmatch(r"-+(  -+)*", lines[1]) else ""


def assert_aligned(line: str, sizes: list[int], row: tuple[Any, ...] | None = None) -> None:
    """Each column begins where its rule begins: what stands before it takes just so many columns."""
    shown = None if row is None else [cell(value, 10_000).text for value in row]
    widths = [cell_len(line[:piece]) for piece in range(len(line) + 1)]
    position = 0
    for at, size in enumerate(sizes):
        end = position + size
        assert min(end, widths[-1]) in widths, (line, end)
        first, last = (bisect_right(widths, min(place, widths[-1])) - 1 for place in (position, end))
        held = line[first:last].strip(" ")
        if shown is not None:
            whole = shown[at].rstrip(" ")
            head, ellipsis, _ = held.partition("…")
            assert held == whole or (ellipsis and whole.startswith(head.rstrip(" "))), (held, whole)
        position = end + GAP


@given(st.lists(VALUES, min_size=2, max_size=2).filter(lambda pair: different(*pair)))
def test_different_kinds_never_look_alike(pair: list[Any]) -> None:
    one, other = (cell(value, 10_000) for value in pair)
    if not (isinstance(pair[0], bytes) and isinstance(pair[1], bytes)):
        assert one.text != other.text


def different(one: Any, other: Any) -> bool:
    return type(one) is not type(other)


def growing() -> Iterator[tuple[Any, ...]]:
    for number in range(SAMPLE * 12):
        yield number * 10 ** (number // SAMPLE), "a" * (number // SAMPLE * 7), None


def test_later_rows_widen_their_columns_and_then_are_cut() -> None:
    table = Table(["n", "text", "none"], 60)
    lines = list(table.lines(growing()))
    assert table.count == SAMPLE * 12
    assert table.cut
    assert all(len(line) <= 60 for line in lines)
    for number, line in enumerate(lines[2:-1]):
        assert line.split()[0] == str(number * 10 ** (number // SAMPLE))  # a number is never cut
        assert line.endswith("NULL")
    assert lines[-1] == f"({SAMPLE * 12} rows, cut at …: use --json)"


def test_a_table_is_not_kept() -> None:
    seen = 0

    def endless() -> Iterator[tuple[int]]:
        nonlocal seen
        while True:
            seen += 1
            yield (seen,)

    lines = Table(["n"], 80).lines(endless())
    for _ in range(SAMPLE * 3):
        next(lines)
    assert seen <= SAMPLE * 3


def test_what_came_before_an_error_is_shown() -> None:
    def broken(count: int) -> Iterator[tuple[int]]:
        for number in range(count):
            yield (number,)
        raise OSError("gone")

    for count in (0, 3, SAMPLE, SAMPLE + 5):
        lines: list[str] = []
        with pytest.raises(OSError, match="gone"):
            lines.extend(Table(["n"], 80).lines(broken(count)))
        assert len(lines) == count + 2


@pytest.mark.parametrize("width", [40, 80, 132])
def test_many_columns_become_records(width: int) -> None:
    names = [f"column_{number}" for number in range(30)]
    lines = list(Table(names, width).lines([["word " * 30] * 29 + [None]] * 2))
    assert lines[0] == "-- 1 --"
    assert "\n".join(lines).count("d") == 2 * 29 * 30  # of the words, which are cut to lines
    assert lines[-1] == "(2 rows)"
    assert max(map(len, lines)) <= width


def test_a_long_value_of_a_record_is_cut() -> None:
    lines = list(Table([str(number) for number in range(60)], 80).lines([["x" * 10**6] + ["y" * 20] * 59]))
    assert sum("x" in line for line in lines) == 19
    assert lines[-1].startswith("(1 row, cut at …")


@pytest.mark.parametrize(
    ("size", "room"), [(3, 12), (16, 30), (17, 30), (10**6, 40), (10**6, 15), (10**6, 8)]
)
def test_a_blob_that_is_cut_has_its_size_as_long_as_there_is_room(size: int, room: int) -> None:
    shown = cell(bytes(size), room)
    assert shown.size <= room
    assert shown.text.startswith("x'0")
    assert shown.cut == shown.text.endswith(f"…' ({size} B)") or room < 17


def test_numbers_stand_to_the_right_and_colour_is_on_request() -> None:
    rows: list[tuple[Any, ...]] = [(1, "a", None), (20, "b", "NULL")]
    assert list(Table(["n", "t", "x"], 80).lines(rows)) == [
        " n  t  x",
        "--  -  ------",
        " 1  a  NULL",
        "20  b  'NULL'",
        "(2 rows)",
    ]
    coloured = list(Table(["n", "t", "x"], 80, colour=True).lines(rows))
    plain = list(Table(["n", "t", "x"], 80).lines(rows))
    assert [re.sub("\x1b\\[[0-9;]*m", "", line).rstrip() for line in coloured] == plain
    assert "\x1b[2mNULL" in coloured[2]
    assert "\x1b" not in coloured[3]


# ---------------------------------------------------------------- CSV


@given(results())
def test_csv_is_read_back_by_the_standard_library(result: tuple[list[str], list[tuple[Any, ...]]]) -> None:
    names, rows = result
    names = [name.replace("\udc80", "?") for name in names]
    rows = [tuple(v.replace("\udc80", "?") if isinstance(v, str) else v for v in row) for row in rows]
    text = "".join(csv_lines(names, rows))
    assert text.endswith("\r\n")
    read = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert read[0] == names
    for fields, row in zip(read[1:], rows, strict=True):
        for field, value in zip(fields, row, strict=True):
            assert same(field, value)


def same(field: str, value: Any) -> bool:
    match value:
        case None:
            return field == ""
        case bool():
            return field == str(value).lower()
        case bytes():
            return bytes.fromhex(field.removeprefix("x'").removesuffix("'")) == value
        case float() if math.isnan(value):
            return field == "nan"
        case int() | float():
            return type(value)(field) == value
        case _:
            return bool(field == value)


def test_null_and_the_empty_text_differ_in_csv() -> None:
    assert list(csv_lines(["a", "b"], [(None, ""), ("", None)])) == ["a,b\r\n", ',""\r\n', '"",\r\n']
    assert list(csv_lines(["a"], [(None,)])) == ["a\r\n", '""\r\n']
    assert list(csv_lines([], [])) == ['""\r\n']


def test_no_value_is_taken_for_another() -> None:
    with pytest.raises(TypeError, match="a row has list, which is no value"):
        cell([], 10)
    with pytest.raises(TypeError, match="a row has dict, which is no value"):
        list(csv_lines(["a"], [({},)]))
