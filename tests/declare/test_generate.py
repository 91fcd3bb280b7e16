"""Generated code does its work: whatever is right never reaches the plain readers and writers.

Generated readers turn every doubt over to the plain ones, which would hide mistakes of their own. Here that
way is closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dqlitewire import EncodeError, Limits, Message, ValueType, decode_message, encode_message
from dqlitewire.declare import decoder as decoders
from dqlitewire.limits import DEFAULT_OPTIONS
from dqlitewire.messages import ExecRequest, FailureResponse, LeaderResponse, RowsResponse, WelcomeResponse
from dqlitewire.rows import compiled as compiled_readers
from dqlitewire.rows import params as rows_params
from dqlitewire.rows import read, write
from dqlitewire.rows import shapes as writers
from dqlitewire.rows import tiers as rows_module
from tests.fuzz import checks
from tests.messages.test_messages import EXAMPLES
from tests.naming import shown
from tests.rows.test_read import REPEAT, SIGNATURES, names_for, rows_of, sample_rows
from tests.wire_data import captures, frames


class Doubt(BaseException):
    """Not an Exception, so that nothing on the way takes it for a doubt of its own."""


def closed(*_: Any, **__: Any) -> Any:
    raise Doubt


@pytest.fixture
def no_plain_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "read_plainly", closed)


@pytest.fixture
def no_plain_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "read_rows_plainly", closed)


@pytest.fixture(autouse=True)
def nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test begins with nothing compiled and full credit, and without the native reader and writer."""
    monkeypatch.setattr(rows_module, "tiers", rows_module.Tiers())
    monkeypatch.setattr(write, "row_shapes", writers.Shapes())
    monkeypatch.setattr(rows_params, "params_shapes", (writers.Shapes(), writers.Shapes()))
    monkeypatch.setattr(rows_params, "chunk_shapes", writers.Shapes())
    with checks.native(False):
        yield


def has_generated_reader(message: Message) -> bool:
    try:
        decoders.decoder(type(message), message.encode()[5])(
            message.encode(), len(message.encode()), DEFAULT_OPTIONS
        )
    except Doubt:
        return False
    return True


BY_HAND = {"ServersResponse", "FilesResponse", "RowsResponse"}
GENERATED = [message for message in EXAMPLES if type(message).__name__ not in BY_HAND]


@pytest.mark.parametrize("message", GENERATED, ids=lambda m: type(m).__name__)
def test_generated_readers_decode_what_is_right(message: Any, no_plain_reader: None) -> None:
    frame = message.encode()
    read = decoders.decoder(type(message), frame[5])
    assert read(frame, len(frame), DEFAULT_OPTIONS) == message


@pytest.mark.parametrize(
    "message",
    [
        FailureResponse(1, "ünï"),
        FailureResponse(1, "two\nlines"),
        LeaderResponse(0, ""),
        LeaderResponse(1, ""),
        WelcomeResponse(0),
    ],
    ids=shown,
)
def test_what_needs_a_second_look_is_read_plainly(message: Any, no_plain_reader: None) -> None:
    frame = message.encode()
    with pytest.raises(Doubt):
        decoders.decoder(type(message), 0)(frame, len(frame), DEFAULT_OPTIONS)


def row_frames() -> Iterator[bytes]:
    for capture in captures():
        for step in capture.steps:
            if step.label != "text not UTF-8":
                yield from (frame for frame in frames(step.answer) if frame[4] == 7 and frame[8])


def test_rows_of_real_servers_are_read_fast(no_plain_rows: None) -> None:
    count = 0
    for frame in row_frames():
        decode_message(frame)
        count += 1
    assert count > 400


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda s: "-".join(kind.name[:3] for kind in s)[:40])
def test_rows_of_every_signature_are_read_and_written_fast(
    signature: Any, no_plain_rows: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = tuple(signature)
    rows = sample_rows(signature)
    message = RowsResponse(names_for(signature), [], [signature] * REPEAT, rows)
    frame = message.encode()
    decode_message(frame)
    monkeypatch.setattr(write, "write_row_plainly", closed)
    if len(signature) <= writers.MAX_GENERATED:
        assert message.encode() == frame
    assert rows_of(frame) == rows


def test_parameters_are_written_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_params, "pack_params", closed)
    for count in (1, 7, 64, 65, 255, 1000):
        values = [None, True, 5, 1.5, "text", b"blob"] * (count // 6 + 1)
        message = ExecRequest(0, 0, values[:count])
        for _ in range(REPEAT):
            assert decode_message(message.encode(), is_request=True) == message


# ---------------------------------------------------------------- errors on the fast path


@pytest.mark.parametrize("at", [0, 1, 15, 16, 17, 39])
@pytest.mark.parametrize(
    ("kinds", "bad"),
    [
        ((ValueType.TEXT,), "a\0b"),
        ((ValueType.TEXT,), "\ud800"),
        ((ValueType.TEXT,), 5),
        ((ValueType.INTEGER,), 2**63),
        ((ValueType.INTEGER,), True),
        ((ValueType.INTEGER,), 1.0),
        ((ValueType.BOOLEAN,), 2),
        ((ValueType.FLOAT,), 1),
        ((ValueType.BLOB,), "text"),
        ((ValueType.UNIXTIME,), "text"),
        ((ValueType.NULL,), 0),
    ],
)
def test_a_bad_value_in_any_row_is_named(kinds: Any, bad: Any, at: int) -> None:
    rows = sample_rows(kinds)
    warm = RowsResponse(["a"], [], [kinds] * REPEAT, rows)
    for _ in range(3):
        warm.encode()
    rows[at] = (bad,)
    for types in ([kinds] * REPEAT, []):
        with pytest.raises(EncodeError) as caught:
            RowsResponse(["a"], list(kinds), types, rows).encode()
        assert caught.value.path == f"RowsResponse.rows[{at}][0]"


@pytest.mark.parametrize("width", [0, 1, 3])
def test_a_row_of_another_width_is_named(width: int) -> None:
    rows: list[Any] = [(1, 2)] * REPEAT
    for at in (0, 17, 39):
        changed = [*rows[:at], (1,) * width, *rows[at + 1 :]]
        with pytest.raises(EncodeError) as caught:
            RowsResponse(["a", "b"], [], [], changed).encode()
        assert f"rows[{at}]" in (caught.value.path or "")


def test_values_of_derived_classes_are_written_like_their_base() -> None:
    class Text(str):
        __slots__ = ()

    plain = RowsResponse(["a", "b"], [], [], [(1, "x")] * REPEAT).encode()
    rows: list[Any] = [(1, "x")] * REPEAT
    for at in (0, 17, 39):
        rows[at] = (ValueType.INTEGER, Text("x"))
    assert RowsResponse(["a", "b"], [], [], rows).encode() == plain


@pytest.mark.parametrize("form", [bytearray, memoryview])
def test_other_bytes_like_cells_are_blobs_with_the_same_cap(form: Any) -> None:
    rows = [(b"x" * 100,)] * REPEAT
    plain = RowsResponse(["a"], [], [], rows).encode()
    rows[20] = (form(b"x" * 100),)
    assert RowsResponse(["a"], [], [], rows).encode() == plain
    for cap, fits in ((100, True), (99, False)):
        for changed in (rows, [(form(b"x" * 100),)]):
            message = RowsResponse(["a"], [], [], changed)
            if fits:
                encode_message(message, limits=Limits(max_blob_size=cap))
            else:
                with pytest.raises(EncodeError):
                    encode_message(message, limits=Limits(max_blob_size=cap))


# ---------------------------------------------------------------- what compiling may cost


def test_ever_new_signatures_do_not_fill_memory_or_buy_compilations(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    compile_row_reader = compiled_readers.compile_row_reader

    def counting(*arguments: Any) -> Any:
        compiled.append(arguments)
        return compile_row_reader(*arguments)

    tiers = rows_module.Tiers()
    monkeypatch.setattr(rows_module, "tiers", tiers)
    monkeypatch.setattr(compiled_readers, "compile_row_reader", counting)
    kinds, count, height = list(ValueType), 1500, 70
    for n in range(count):
        signature = tuple(kinds[n >> 3 * i & 7] for i in range(5))
        rows = sample_rows(signature, 1) * height
        frame = RowsResponse(list("abcde"), [], [signature] * height, rows).encode()
        assert rows_of(frame) == rows
    earned = count * height // rows_module.ROWS_PER_CREDIT + 1
    assert rows_module.MAX_COMPILED < len(compiled) <= rows_module.MAX_CREDIT + earned
    assert len(checks.readers_of(tiers)) == sum(map(len, tiers.compiled)) <= rows_module.MAX_COMPILED
    assert sum(map(len, tiers.cold)) <= rows_module.MAX_COLD
