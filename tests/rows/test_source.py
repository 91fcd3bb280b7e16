"""The source of generated readers and writers can be read, and is what runs: traceback, inspect, files."""

from __future__ import annotations

import inspect
import traceback
from itertools import product
from typing import Any

import pytest

from dqlitewire import ValueType
from dqlitewire.generated import source_of
from dqlitewire.rows.compiled import MAX_LOOK_AHEAD, compile_row_reader
from dqlitewire.rows.compiled_writers import compile_row_writer, compile_writer
from dqlitewire.rows.tiers import MAX_COMPILED_COLUMNS, PADDING
from dqlitewire.tuples import params_header, row_header

TYPES = (ValueType.INTEGER, ValueType.TEXT, ValueType.FLOAT)

READER = """\
def read(frame, pos, rows, begin, append, index):
    begin((len(rows), TYPES))
    v0, = unpack2(frame, pos)
    pos += 8
    while True:
        end = index(0, pos)
        v1 = frame[pos:end].decode()
        pos = end | 7
        v2, header, n0, = unpack3(frame, pos)
        append((v0, v1, v2,))
        if header != 561: return header, pos + 9
        pos += 25
        v0 = n0
"""
WRITER = """\
def write(rows, at, stop, append):
    while at < stop:
        v0, v1, v2,  = rows[at]
        if type(v0) is not int or type(v1) is not str or type(v2) is not float: return at
        t1 = v1.encode()
        if 0 in t1: raise ValueError
        append(join((pack0(HEADER, v0), t1, ENDS[len(t1) & 7], pack3(v2))))
        at += 1
    return at
"""


def test_the_source_of_a_reader_and_of_a_writer() -> None:
    """The reader is the one that the essay at the head of `rows/compiled.py` shows."""
    assert source_of(compile_row_reader(TYPES)) == READER
    assert source_of(compile_row_writer(row_header(TYPES), TYPES)) == WRITER


def made() -> list[Any]:
    header = row_header(TYPES)
    return [
        compile_row_reader(TYPES),
        compile_row_writer(header, TYPES),
        compile_writer(params_header(TYPES, 0), TYPES),
        compile_writer(params_header(TYPES, 1), TYPES),
        compile_writer(b"", TYPES),
    ]


def test_inspect_and_tracebacks_show_the_lines() -> None:
    for function in made():
        assert inspect.getsource(function).startswith(f"def {function.__name__}(")
        assert "INTEGER,TEXT,FLOAT" in function.__code__.co_filename
    reader, writer, *_ = made()
    with pytest.raises(TypeError) as caught:
        writer([(1, "a", 2.5)], 0, 1, None)
    with pytest.raises(TypeError) as other:
        reader(None, 0, [], lambda run: None, None, None)
    for error, line in ((caught, "append(join("), (other, "v0, = unpack2(frame, pos)")):
        shown = "".join(traceback.format_exception(error.value))
        assert line in shown, shown


def test_each_function_has_a_file_of_its_own() -> None:
    functions = made()
    functions += [compile_row_reader(types) for types in product(ValueType, repeat=2)]
    functions += [compile_row_reader([ValueType(code)] * 33) for code in (1, 2)]
    assert len({function.__code__.co_filename for function in functions}) == len(functions)


def test_no_reader_looks_further_ahead_than_there_are_zeros() -> None:
    """At the last row, a header and the words that lead a row are read behind the end of the body."""
    header = len(row_header([1] * MAX_COMPILED_COLUMNS))
    assert header + 8 * MAX_LOOK_AHEAD <= len(PADDING)
