"""Send one kind of the table of value kinds through every reader and every writer of the package.

`test_values` does it with the kinds that there are, `test_adding` with one that it adds to a copy of the
tree. The bytes are packed here from the form that the table names, by nothing of the package.
"""

from __future__ import annotations

import functools
import json
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings

from dqlitewire import DecodeError, decode_message, speedups
from dqlitewire.explain import Span, explain
from dqlitewire.limits import DEFAULT_OPTIONS
from dqlitewire.messages import ExecRequest, RowsResponse
from dqlitewire.rows import params as rows_params
from dqlitewire.rows import shapes, tiers, write
from dqlitewire.rows.count import count_rows
from dqlitewire.rows.params import pack_params
from dqlitewire.rows.read import read_rows_plainly
from dqlitewire.testing.node.encoders import BOOLEAN, PLAIN, TIME, WrongType, encoder_for
from dqlitewire.testing.node.errors import BadValue
from dqlitewire.testing.node.lenient_reader import Params
from dqlitewire.testing.strategies import cells
from dqlitewire.tuples import (
    decode_params_tuple,
    decode_row_header,
    decode_row_values,
    encode_params_tuple,
    encode_row_header,
    encode_row_values,
)
from dqlitewire.types import decode_value, encode_value
from dqlitewire.values import BLOB, ENCODED_AS, KIND_OF, TEXT, Kind
from tests.fuzz import checks

HEIGHT = 40


@functools.cache  # of as many as there are kinds
def samples(kind: Kind) -> list[Any]:
    """Values of a kind: drawn ones, the same in every run, and a date, which ISO8601 must be."""
    if kind.code.name == "ISO8601":
        return ["2020-01-01", "2020-01-01 10:11:12"]
    found: list[Any] = []

    @settings(database=None, derandomize=True, max_examples=30)
    @given(cells(kind.code))
    def draw(value: Any) -> None:
        found.append(value)

    draw()
    return found


def cell(kind: Kind, value: Any) -> bytes:
    """One value as the table says it lies in a frame."""
    if kind.form == TEXT:
        data = value.encode() + b"\0"
    elif kind.form == BLOB:
        data = struct.pack("<Q", len(value)) + value
    else:
        data = struct.pack(f"<{kind.form}", *([] if value is None else [value]))
    return data + bytes(-len(data) % 8)


def frame_of(kinds: Sequence[Kind], rows: Sequence[tuple[Any, ...]]) -> bytes:
    """A ROWS frame whose rows have these kinds."""
    nibbles = sum(kind.code << 4 * i for i, kind in enumerate(kinds))
    body = struct.pack("<Q", len(kinds)) + b"column\0\0" * len(kinds)
    for row in rows:
        body += nibbles.to_bytes(8 * ((len(kinds) + 15) // 16), "little")
        body += b"".join(map(cell, kinds, row))
    body += b"\xff" * 8
    return struct.pack("<IBBH", len(body) // 8, 7, 0, 0) + body


def beside(kind: Kind) -> list[list[Kind]]:
    """Rows that hold a kind: alone, behind and before a text, among words, and in two words of types."""
    text, integer = KIND_OF[3], KIND_OF[1]
    return [
        [kind],
        [kind, text],
        [text, kind],
        [integer, kind, integer],
        [text, kind, text, kind],
        [integer] * 16 + [kind],
    ]


def check_kind(code: int) -> None:
    """Hold every reader and every writer of values to the table's row of a kind."""
    kind = KIND_OF[code]
    values = samples(kind)
    assert len(values) > 1 or kind.python is type(None)
    for value in values:
        check_value(kind, value)
    for kinds in beside(kind):
        rows = [
            tuple(values[n % len(values)] if k is kind else samples(k)[0] for k in kinds)
            for n in range(HEIGHT)
        ]
        check_readers(kinds, rows)
        check_readers(kinds, rows[:1] * HEIGHT)  # of one length, which is read by columns
        check_writers(kinds, rows)
    check_params(kind, values)
    check_node(kind, values)


def check_value(kind: Kind, value: Any) -> None:
    data = cell(kind, value)
    assert encode_value(value, kind.code) == (data, kind.code)
    assert same(decode_value(data, kind.code), (value, len(data)))
    assert same(decode_row_values(data, [kind.code]), ([value], len(data)))
    assert encode_row_values([value], [kind.code]) == data
    header = encode_row_header([kind.code])
    assert decode_row_header(header, 1) == ([kind.code], 8)


def same(found: Any, wanted: Any) -> bool:
    return repr(found) == repr(wanted)  # exact types, and -0.0 is not 0.0


def check_readers(kinds: Sequence[Kind], rows: list[tuple[Any, ...]]) -> None:
    """Plain reader, cold tier, compiled reader, by columns; counting and explaining."""
    data = frame_of(kinds, rows)
    types = tuple(kind.code for kind in kinds)
    pos, end = 16 + 8 * len(kinds), len(data)
    wanted = [types] * len(rows), rows
    found, values, _ = read_rows_plainly(data, pos, end, len(kinds), DEFAULT_OPTIONS)
    assert same((list(found), values), wanted)
    for made in (checks.cold(), checks.hot()):
        with checks.using(made):
            for _ in range(3):  # compiled by the first, its lengths learned by the second
                certain = tiers.read_certain(data, pos, end, len(kinds))
                assert certain is not None, "the fast reader is not sure"
                assert same((list(certain[0]), certain[1]), wanted)
        assert len(checks.readers_of(made)) == (made.heat == 1)
        plans = [uniform.plan for uniform in checks.plans_of(made)]
    if any(kind.form in (TEXT, BLOB) for kind in kinds) and rows[0] == rows[-1] == rows[-2]:
        assert all(plans), "rows of one length are not read by columns"
    check_natively(kinds, data, wanted)
    for natively in (False, True):
        with checks.native(natively):
            message = decode_message(data)
        assert isinstance(message, RowsResponse)
        assert same((list(message.row_types), message.rows), wanted)
        assert message.column_types == list(types)
    assert count_rows(data) == len(rows)
    check_spans(explain(data, is_request=False), kinds, rows)


def check_natively(kinds: Sequence[Kind], data: bytes, wanted: Any) -> None:
    """Native reader and writer, where they were built: sure of each kind that is encoded as one they know."""
    if speedups.native is None:
        return
    start = 16 + 8 * len(kinds)
    # codes 14 and 15 are left to Python, since markers begin with them
    sure = all(kind.code < 14 and ENCODED_AS[kind.code] in (1, 2, 3, 4, 5, 11) for kind in kinds)
    found = speedups.native.read_rows(data, start, len(data), len(kinds))
    rows = wanted[1]
    written = speedups.native.write_rows(rows, [(0, wanted[0][0])], len(kinds))
    assert (found is not None, written is not None) == (sure, sure)
    if found is not None:
        assert same((found[0], found[1]), ([(0, wanted[0][0])], rows))
        assert written == data[start:-8]


def check_spans(root: Span, kinds: Sequence[Kind], rows: list[tuple[Any, ...]]) -> None:
    assert root.error is None
    spans = [span for span in root.children if span.name.startswith("rows")]
    assert same([span.value for span in spans], rows)
    header, *values = spans[0].children
    assert header.value == tuple(kind.code for kind in kinds)
    assert same(tuple(span.value for span in values), rows[0])
    assert [span.end - span.start for span in values] == [
        len(cell(kind, value)) for kind, value in zip(kinds, rows[0], strict=True)
    ]


def heated(heat: int) -> shapes.Shapes:
    made = shapes.Shapes(heat)
    made.credit = checks.Unlimited(1, checks.UNLIMITED)
    return made


def check_writers(kinds: Sequence[Kind], rows: list[tuple[Any, ...]]) -> None:
    """Plain and generated writer of rows."""
    data = frame_of(kinds, rows)
    types = tuple(kind.code for kind in kinds)
    start = 16 + 8 * len(kinds)
    plain = [write.write_row_plainly(row, types, len(kinds), 0, DEFAULT_OPTIONS) for row in rows]
    assert b"".join(plain) == data[start:-8]
    message = RowsResponse(["column"] * len(kinds), [], [types] * len(rows), rows)
    known = write.row_shapes
    try:
        for heat in (checks.UNLIMITED, 1):
            write.row_shapes = heated(heat)
            write.favourites.forget((bytes(types), len(kinds)))
            with checks.native(False):
                assert message.encode() == data
            assert len(write.row_shapes.compiled) == (heat == 1)
            assert message.encode() == data
    finally:
        write.row_shapes = known


def check_params(kind: Kind, values: list[Any]) -> None:
    """Writers, readers and the embedded server's reader of parameters."""
    for schema, width in ((0, 1), (1, 4)):
        for row in (values[:3], values[:1] * 70):
            header = len(row).to_bytes(width, "little") + bytes([kind.code]) * len(row)
            data = header + bytes(-len(header) % 8) + b"".join(cell(kind, value) for value in row)
            check_params_are_written(kind, row, schema, data)
            params = Params(data, 0, schema)
            wanted = [int(value) if kind.python is bool else value for value in row]
            if kind.in_params:
                assert same(decode_params_tuple(data, schema=schema), (row, len(data)))
                assert same(list(params.values()), wanted)
                assert same(ExecRequest.decode_body(bytes(8) + data, schema).params, row)
            else:
                assert refused(lambda data=data, schema=schema: decode_params_tuple(data, schema=schema))
                assert refused(lambda params=params: list(params.values()))


def check_params_are_written(kind: Kind, row: list[Any], schema: int, data: bytes) -> None:
    if not kind.sent_for:
        return
    assert encode_params_tuple(row, schema) == data
    assert pack_params(row, schema, DEFAULT_OPTIONS, "") == data
    message = ExecRequest(0, 0, row, schema=schema)
    known = rows_params.params_shapes, rows_params.chunk_shapes
    try:
        for heat in (checks.UNLIMITED, 1):
            rows_params.params_shapes = heated(heat), heated(heat)
            rows_params.chunk_shapes = heated(heat)
            for natively in (False, False, True):
                with checks.native(natively):
                    assert rows_params.write_params(message, schema, DEFAULT_OPTIONS) == data
    finally:
        rows_params.params_shapes, rows_params.chunk_shapes = known


def refused(call: Any) -> bool:
    try:
        call()
    except (DecodeError, BadValue):
        return True
    return False


def check_node(kind: Kind, values: list[Any]) -> None:
    """The embedded server's encoders of the rows that it announces as this kind."""
    sent = {type(value): value for value in SQLITE}
    if kind.python is not bool:  # of which SQLite has none
        sent[kind.python] = values[-1]
    for declared in (PLAIN, TIME, BOOLEAN):
        for value in sent.values():
            types, kinds = (type(value),) * 2, (declared,) * 2
            try:
                encoded = [encode_by_node(encoder_for(types, kinds)[0], value) for _ in range(12)]
            except WrongType:
                continue
            data = encoded[0]
            assert encoded == [data] * 12  # cell by cell and generated
            if data[0] & 15 == kind.code:
                end = b"\xff" * 8
                frame = frame_of([kind] * 2, [])[8:-8] + data + end
                frame = struct.pack("<IBBH", len(frame) // 8, 7, 0, 0) + frame
                message = decode_message(frame)
                assert isinstance(message, RowsResponse)
                assert message.column_types == [kind.code] * 2
                if kind.python is type(value):
                    assert same(message.rows, [(value, value)])


SQLITE: list[Any] = [7, 1.5, "text", b"blob", None]


def encode_by_node(encode: Any, value: Any) -> bytes:
    parts: list[bytes] = []
    encode((value, value), iter(()), parts.append, 0)
    return b"".join(parts)


def check_decode_command(codes: Sequence[int], folder: Path) -> None:
    """`dqlite-wire decode` shows a row that has these kinds."""
    kinds = [KIND_OF[code] for code in codes]
    row = tuple(samples(kind)[-1] for kind in kinds)
    file = folder / "stream.raw"
    file.write_bytes(frame_of(kinds, [row]))
    for option in ("--no-time", "--verbose", "--hex", "--json"):
        command = [
            sys.executable,
            "-m",
            "dqlitewire",
            "decode",
            "--format=raw",
            "--direction=response",
            option,
        ]
        done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        if option == "--json":
            fields = json.loads(done.stdout.splitlines()[-1])["fields"]
            assert fields["column_types"] == [kind.code.name for kind in kinds]
