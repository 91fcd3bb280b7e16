"""Fast and plain readers of rows against each other: every width, every run, every cap, and what compiling
may cost.

Every frame is packed by hand and read by the tiers as they are, with each signature compiled at its first
row, and with none compiled; through the public functions and below them, where a refusal of the fast path is
not made good by the plain one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random

import pytest

from dqlitewire import DecodeError, MessageDecoder, ResponseType, ValueType, decode_message
from dqlitewire.explain import explain
from dqlitewire.messages import RowsResponse
from dqlitewire.rows import compiled as compiled_readers
from dqlitewire.rows import tiers as rows
from dqlitewire.rows.read import read_rows
from tests.fuzz import checks
from tests.fuzz.frames import (
    BLOBS,
    CODES,
    DONE,
    FIXED,
    PART,
    TEXTS,
    WIDTHS,
    Codes,
    Frame,
    draw,
    framed,
    packed,
    value_of,
)
from tests.wire_data import VECTORS, captures, frames, pieces

I, F, T, B, N, U, D, L = CODES  # INTEGER, FLOAT, TEXT, BLOB, NULL, UNIXTIME, ISO8601, BOOLEAN


@pytest.fixture(autouse=True, scope="module")
def in_python() -> Iterator[None]:
    """The tiers are looked at; `check_rows` reads natively as well."""
    with checks.native(False):
        yield


def filled(types: list[Codes], seed: int = 1, more: bool = False, stray: bool = False) -> Frame:
    """A frame with rows of these types."""
    rng = Random(seed)
    names = [f"c{i}" for i in range(len(types[0]) if types else 1)]
    values = [tuple(value_of(code, rng) for code in codes) for codes in types]
    return packed(names, types, values, more, rng if stray else None)


def check(frame: Frame, *sets: rows.Tiers) -> None:
    found = checks.check_rows(frame.data, checks.expected(frame), sets or (checks.hot(), checks.cold()))
    assert found[0] == "rows"


# ---------------------------------------------------------------- recorded frames


def recorded() -> list[bytes]:
    streams = b"".join(capture.s2c for capture in captures())
    vectors = [vector.data for vector in VECTORS if not vector.is_request]
    return [*dict.fromkeys(f for f in (*frames(streams), *vectors) if f[4] == ResponseType.ROWS)]


def test_every_recorded_frame_is_read_alike() -> None:
    sets = checks.hot(), checks.cold()
    found = [checks.check_rows(frame, sets=sets)[0] for frame in recorded()]
    assert found.count("rows") > 300
    assert len(checks.readers_of(sets[0])) > 10  # signatures were compiled
    assert checks.readers_of(sets[1]) == []


# ---------------------------------------------------------------- widths

ALL_WIDTHS = sorted({*range(1, 36), *range(46, 51), *range(62, 68), *WIDTHS})


@pytest.mark.parametrize("width", ALL_WIDTHS)
def test_every_width(width: int) -> None:
    rng = Random(width)
    mixed = tuple(rng.choice(CODES) for _ in range(width))
    words = tuple(rng.choice(FIXED) for _ in range(width))
    sets = checks.hot(), checks.cold()
    for codes in (mixed, words, (*words[:-1], T), (B, *words[1:]), (T,) * width, (N,) * width):
        for count in (1, 4):
            check(filled([codes] * count, width), *sets)


@pytest.mark.parametrize("lead", range(45))
@pytest.mark.parametrize("first", [T, B], ids=["text", "blob"])
def test_columns_before_the_first_text_are_not_looked_for_behind_the_padding(lead: int, first: int) -> None:
    """Reading the next row's leading columns ahead, at the last row, runs past the end: valid frames were
    refused."""
    sets = checks.hot(), checks.cold()
    for words in (tuple((I, F, L, U, N)[i % 5] for i in range(lead)), (I,) * lead, (N,) * lead):
        for tail in ((), (I,), (N, L), (T,)):
            for count in (1, 2, 3):
                check(filled([(*words, first, *tail)] * count), *sets)


@pytest.mark.parametrize("count", [1, 2, 20, 70])
@pytest.mark.parametrize("marker", [DONE, PART], ids=["done", "part"])
def test_a_value_like_a_marker_is_no_marker(count: int, marker: bytes) -> None:
    """A body whose last value looks like a marker has none; a blob may not reach over it."""
    value = int.from_bytes(marker, "little", signed=True)
    tiers = checks.hot(), checks.cold()
    for codes in ((I,), (I, I), (F, U), (T, I), (B, I), (B, T, N, I)):
        rows_of = [tuple({I: value, U: 1, T: "text"}.get(c, value_of(c, Random(c))) for c in codes)] * count
        frame = packed(["a"] * len(codes), [codes] * count, rows_of)
        check(frame, *tiers)
        assert checks.check_rows(framed(frame.data[8:-8]), sets=tiers)[0] == "refused"
    for codes in ((B,), (I, B), (T, B)):
        rows_of = [tuple({I: 1, T: "text", B: b"x" * 8}[c] for c in codes)] * count
        body = bytearray(packed(["a"] * len(codes), [codes] * count, rows_of).data[8:])
        body[-24:-16] = struct.pack("<Q", 16)
        body[-8:] = marker
        assert checks.check_rows(framed(bytes(body)), sets=tiers)[0] == "refused"


@pytest.mark.parametrize("marker", [DONE, PART], ids=["done", "part"])
def test_no_columns_means_no_row_header_exists(marker: bytes) -> None:
    """Zero columns: a count and a marker, and nothing else."""
    sets = checks.hot(), checks.cold()
    for body, accepted in (
        (bytes(8) + marker, True),
        (bytes(8), False),
        (bytes(16), False),
        (bytes(16) + marker, False),
        (bytes(8) + marker + marker, False),
        (bytes(8) + b"\x11" * 8 + marker, False),
        (bytes(8) + marker[:7] + b"\x01", False),
        (bytes(8) + marker[:7], False),
    ):
        found = checks.check_rows(framed(body), sets=sets)
        assert (found[0] == "rows") is accepted
    assert checks.outcome(framed(bytes(8) + marker)) == ("rows", [], checks.contents([], [], marker == PART))


# ---------------------------------------------------------------- runs

RUNS = (*range(1, 19), 63, 64, 65, 127, 128, 129, 143, 144, 145, 511, 512, 513, 576, 577, 1024, 1025, 1169)
# Signatures of rows of one size; where the last byte of the header alone differs, or the first.
OF_ONE_SIZE = [
    ((I,), (F,)),
    ((I,), (N,)),
    ((I, I), (I, F)),
    ((L, I, I), (L, I, N)),
    ((I, U, F), (F, U, F)),
    ((I,) * 16, (*(I,) * 15, L)),
    ((I,) * 17, (*(I,) * 16, F)),
    ((F,) * 33, (I, *(F,) * 32)),
]


@pytest.mark.parametrize(("codes", "others"), OF_ONE_SIZE, ids=str)
def test_a_run_ends_where_the_header_changes(codes: Codes, others: Codes) -> None:
    """A row whose header was not compared was once decoded with the types of the run before it."""
    sets = checks.hot(), checks.cold()
    for run in RUNS:
        if run * len(codes) < 2000:
            check(filled([codes] * run + [others, codes], run), *sets)
        if run < 70:
            check(filled([codes] * run + [others] * 3 + [codes] * 20, run), *sets)
            check(filled([codes] * run, run), *sets)


PATTERNS = {
    "constant": lambda n, kinds: kinds[0],
    "alternating": lambda n, kinds: kinds[n % 2],
    "runs of twenty": lambda n, kinds: kinds[n // 20 % len(kinds)],
    "a new header in every row": lambda n, kinds: kinds[n % len(kinds)],
    "one stray row": lambda n, kinds: kinds[n == 37],
}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("width", [1, 2, 3, 7, 16, 17, 40])
@pytest.mark.parametrize("stray", [False, True], ids=["clean", "stray bits"])
def test_every_pattern_of_runs(pattern: str, width: int, stray: bool) -> None:
    rng = Random(f"{pattern}{width}")
    kinds = [*dict.fromkeys(tuple(rng.choice(CODES) for _ in range(width)) for _ in range(140))]
    types = [PATTERNS[pattern](n, kinds) for n in range(130)]
    check(filled(types, width, more=stray, stray=stray))


def test_what_is_unused_in_a_row_header_makes_no_signature() -> None:
    tiers = checks.hot()
    for width in (1, 3, 5, 15, 17, 33):
        codes = (I, T, L)[: min(width, 3)] + (F,) * (width - 3)
        check(filled([codes] * 60, stray=True), tiers)
    assert compiled(tiers) == len(checks.readers_of(tiers)) == 6


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("count", [1, 2, 20, 70])
def test_texts_and_blobs_empty_and_long(count: int) -> None:
    sets = checks.hot(), checks.cold()
    for code, samples in ((T, TEXTS), (D, TEXTS), (B, BLOBS)):
        long = (samples[1] * 3999, samples[1] * 4000, samples[1] * 70_000)
        for sample in (*samples, *long[: 3 if count < 20 else 1]):
            for codes in ((code,), (I, code), (code, F), (code, code), (L, code, N)):
                values = [{code: sample, I: 7, F: 0.5, L: True, N: None}[c] for c in codes]
                check(packed(["a"] * len(codes), [codes] * count, [tuple(values)] * count), *sets)


def test_frames_with_rows_so_large_that_they_are_not_copied() -> None:
    for size in (1000, 4000, 4096, 5000, 70_000):
        for types in ([(I, B)] * 20, [(B, I)] * 5 + [(I, N)] * 200, [(T,)] * 20, [(T, B, L)] * 20):
            rng = Random(size)
            big = {B: rng.randbytes(size), T: "x" * size}
            values = [
                tuple(big.get(c, value_of(c, rng) if c not in big else 0) for c in codes) for codes in types
            ]
            frame = packed(["a"] * len(types[0]), types, values)
            check(frame)
            for cut in range(1, 40, 3):
                checks.check_rows(framed(frame.data[8 : -8 * cut]))


# ---------------------------------------------------------------- texts and blobs of one length


def check_behind(usual: bytes, data: bytes) -> None:
    """A frame is read as the plain decoder reads it, right behind frames whose lengths were learned."""
    tiers = checks.hot()
    with checks.using(tiers):
        for _ in range(3):
            checks.outcome(usual)
        known = checks.plans_of(tiers)
        assert not known or any(uniform.plan for uniform in known), "nothing learned"
        found, seen = checks.outcome(data), checks.at_the_seam(data)[0]
    with checks.without_the_fast_path():
        plain = checks.outcome(data)
    assert found == plain
    assert all((fast[0] == "rows") is (plain[0] == "rows") for fast in seen)


def with_texts(texts: list[bytes]) -> bytes:
    """A frame of INTEGER and TEXT whose texts are given with NUL and padding."""
    header = bytes([I | T << 4, *bytes(7)])
    values = b"".join(header + struct.pack("<q", n) + text for n, text in enumerate(texts))
    return framed(struct.pack("<Q", 2) + b"a\0\0\0\0\0\0\0b\0\0\0\0\0\0\0" + values + DONE)


@pytest.mark.parametrize("length", [0, 1, 6, 7, 8, 20, 36, 255])
@pytest.mark.parametrize("count", [17, 129])
def test_a_length_that_was_learned_is_not_taken_for_granted(length: int, count: int) -> None:
    text = b"x" * length
    usual = text + bytes(8 - length % 8)
    words = len(usual)
    strange = [
        b"".ljust(words, b"\0"),  # shorter
        (text[:-1] + b"\0").ljust(words, b"\0"),
        b"y" * (words - 1) + b"\0",  # as long as fits
        text.ljust(words, b"z") + b"short\0\0\0",  # a word longer
        b"\0" + b"junk after the NUL"[: words - 1].ljust(words - 1, b"j"),
        text[: length // 2] + b"\0" + b"j" * (words - length // 2 - 1),
        b"\xff" * (words - 1) + b"\0",  # not UTF-8
    ]
    for places in ((0,), (count - 1,), (16,), (1, 5), (3, 4, 127 % count)):
        for first in strange:
            for second in strange if len(places) > 1 else strange[:1]:
                texts = [usual] * count
                for n, place in enumerate(places):
                    texts[place] = (first, second)[n % 2]
                check_behind(with_texts([usual] * count), with_texts(texts))


@pytest.mark.parametrize("at", [0, 1, 17, 39])
@pytest.mark.parametrize("column", range(5))
def test_rows_of_one_length_end_where_types_change(at: int, column: int) -> None:
    codes = (T, I, B, L, D)
    values = ("x" * 20, 1, b"1" * 16, True, "2020-01-01")
    usual = packed(list("abcde"), [codes] * 40, [values] * 40)
    check(usual)
    for kind in {1: (F, U, N), 3: (N, I)}.get(column, (T, B, D)):
        # a value that keeps the row's size, where there is one
        alike = {T: "y" * len(values[column]), D: "z" * len(values[column])} if column in (0, 4) else {}
        types, rows_of = [codes] * 40, [values] * 40
        types[at] = (*codes[:column], kind, *codes[column + 1 :])
        other = alike.get(kind, value_of(kind, Random(column)))
        rows_of[at] = (*values[:column], other, *values[column + 1 :])
        changed = packed(list("abcde"), types, rows_of)
        check(changed)
        check_behind(usual.data, changed.data)


# ---------------------------------------------------------------- caps and other options


@pytest.mark.parametrize("seed", range(60))
def test_caps_on_either_side_of_the_limit(seed: int) -> None:
    frame = draw(Random(seed))
    for tiers in (rows.tiers, checks.hot(), checks.cold()):
        with checks.using(tiers):
            for _ in range(2):
                checks.check_caps(frame.data)


@pytest.mark.parametrize(
    "errors", ["replace", "ignore", "backslashreplace", "surrogateescape", "surrogatepass"]
)
def test_text_that_is_not_utf_8_is_read_alike(errors: str) -> None:
    frame = filled([(T, I)] * 40)
    rng = Random(2)
    for _ in range(60):
        spoiled = bytearray(frame.data)
        at = rng.randrange(32, len(spoiled) - 8)
        spoiled[at : at + 3] = rng.choice((b"\xff\xfe\xfd", b"\xed\xa0\x80", b"\xc3\x28\x41"))
        for tiers in (checks.hot(), checks.cold()):
            with checks.without_the_fast_path():
                plain = checks.outcome(bytes(spoiled), text_errors=errors)
            with checks.using(tiers):
                assert checks.outcome(bytes(spoiled), text_errors=errors) == plain
                assert checks.outcome(frame.data, text_errors=errors) == checks.expected(frame)


# ---------------------------------------------------------------- around the rows


def test_names_of_the_frame_before_are_not_taken_for_others() -> None:
    short = packed(["ab"], [(I,)], [(1,)])
    long = packed(["abcdefghij", "b"], [(I, I)], [(1, 2)])
    same_start = packed(["ab", "c"], [(I, T)], [(1, "x")])
    empty = packed([], [], [])
    for frame in (short, long, short, same_start, short, empty, long, empty, same_start):
        check(frame)
    for cap in (1, 2, 9, 10, 64):
        for frame in (short, long, same_start, empty):
            checks.check_caps(frame.data)
            caps = {"limits": checks.Limits(max_column_name_size=cap)}
            wanted = max((len(name) for name in frame.names), default=0) <= cap
            assert (checks.outcome(frame.data, **caps)[0] == "rows") is wanted
    cut = short.data[8:-16]  # the names, and no room for a marker
    assert checks.check_rows(framed(cut))[0] == "refused"


def test_names_belong_to_the_message_they_came_with() -> None:
    data = filled([(I, T)] * 3).data
    for _ in range(3):
        message = decode_message(data)
        assert message.column_names == ["c0", "c1"]
        message.column_names.append("mine")


def test_a_decoder_remembers_the_names_of_its_own_frames() -> None:
    first, second = packed(["one"], [(I,)], [(1,)]).data, packed(["two"], [(I,)], [(1,)]).data
    decoders = MessageDecoder(), MessageDecoder()
    before = checks.DEFAULT_OPTIONS.last_names
    for _ in range(2):
        for decoder, data, name in zip(decoders, (first, second), ("one", "two"), strict=True):
            decoder.feed(data)
            message = decoder.decode()
            assert isinstance(message, RowsResponse)
            assert message.column_names == [name]
            assert decoder._options.last_names == (data[8:24], [name])
            assert decoder._options.last_names[1] is not message.column_names
    assert checks.DEFAULT_OPTIONS.last_names is before
    assert decode_message(first).column_names == ["one"]
    assert checks.DEFAULT_OPTIONS.last_names == (first[8:24], ["one"])


def test_bytes_behind_the_frame_are_no_part_of_it() -> None:
    frame = filled([(I, T)] * 5)
    behind = filled([(I, T)] * 5).data[24:]
    span = explain(frame.data + behind, is_request=False)
    assert span.error is not None
    assert span.error.offset == len(frame.data)
    no_marker = framed(frame.data[8:-8]) + DONE
    assert explain(no_marker, is_request=False).error.path != "ROWS"
    for tiers in (checks.hot(), checks.cold()):
        with checks.using(tiers):
            for _ in range(2):
                explain(frame.data, is_request=False)
                with pytest.raises(DecodeError, match="marker"):
                    read_rows(no_marker, len(no_marker) - 8, checks.DEFAULT_OPTIONS)


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
def test_a_stream_reads_what_one_frame_alone_reads(size: int) -> None:
    rng = Random(size)
    parts = [frame for frame in (draw(rng) for _ in range(60)) if not frame.more]
    stream = b"".join(frame.data for frame in parts)
    for tiers in (checks.hot(), checks.cold()):
        with checks.using(tiers):
            assert list(read(stream, size)) == [checks.expected(frame) for frame in parts]


def read(stream: bytes, size: int) -> Iterator[checks.Outcome]:
    decoder = MessageDecoder()
    for piece in pieces(stream, size):
        decoder.feed(piece)
        while (message := decoder.decode()) is not None:
            assert isinstance(message, RowsResponse)
            yield (
                "rows",
                message.column_names,
                checks.contents(message.row_types, message.rows, message.has_more),
            )


def test_types_of_rows_are_kept_by_runs_and_seen_by_rows() -> None:
    kinds = [(I, T), (N, T), (I, T), (I, T), (F, B)]
    types = [kind for kind in kinds for _ in range(30)]
    data = filled(types).data
    wanted = [tuple(map(ValueType, row)) for row in types]
    for tiers in (checks.hot(), checks.cold()):
        with checks.using(tiers):
            found = decode_message(data).row_types
            again = decode_message(data).row_types
        with checks.without_the_fast_path():
            plain = decode_message(data).row_types
        assert found == plain == again == wanted
        assert list(found) == wanted
        assert (found[0], found[-1], found[29:31], len(found)) == (wanted[0], wanted[-1], wanted[29:31], 150)
        assert found != wanted[:-1]
        assert sum(stop - start for start, stop, _ in found.runs()) == 150


# ---------------------------------------------------------------- what a hostile peer can make of it


def flood(count: int, height: int, width: int = 5) -> Iterator[Frame]:
    """Frames with rows of ever new types."""
    for n in range(count):
        codes = tuple(CODES[n >> 3 * i & 7] for i in range(width))
        yield packed(
            list("abcde")[:width], [codes] * height, [tuple(value_of(c, Random(n)) for c in codes)] * height
        )


def compiled(tiers: rows.Tiers) -> int:
    return sum(map(len, tiers.compiled))


def test_the_compiled_set_is_bounded_and_cleared() -> None:
    tiers = checks.hot()
    most, cleared = 0, 0
    with checks.using(tiers):
        for frame in flood(3 * rows.MAX_COMPILED, height=2):
            before = compiled(tiers)
            assert checks.outcome(frame.data) == checks.expected(frame)
            now = compiled(tiers)
            assert now == len(checks.readers_of(tiers)) <= rows.MAX_COMPILED
            most, cleared = max(most, now), cleared + (now < before)
            assert checks.outcome(frame.data) == checks.expected(frame)
    assert most == rows.MAX_COMPILED
    assert cleared == 2


def test_cold_signatures_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_COLD", 50)
    tiers = checks.cold()
    with checks.using(tiers):
        for frame in flood(300, height=1):
            assert checks.outcome(frame.data) == checks.expected(frame)
            assert sum(map(len, tiers.cold)) <= 50


def test_compilations_are_bought_with_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = compiled_readers.compile_row_reader
    monkeypatch.setattr(
        compiled_readers, "compile_row_reader", lambda *given: made.append(given) or make(*given)
    )
    tiers, height = rows.Tiers(), rows.HEAT + 1
    with checks.using(tiers):
        for n, frame in enumerate(flood(600, height, width=4), start=1):
            decode_message(frame.data)
            assert 0 <= len(tiers.credit) <= rows.MAX_CREDIT
            assert len(made) <= rows.MAX_CREDIT + n * height // rows.ROWS_PER_CREDIT
    assert len(made) > rows.MAX_CREDIT


def test_credit_is_bounded() -> None:
    tiers = rows.Tiers()
    frame = filled([(I, I)] * 1000)
    with checks.using(tiers):
        for _ in range(10):
            decode_message(frame.data)
            assert len(tiers.credit) <= rows.MAX_CREDIT
        assert tiers.credit.spend()
        for _ in range(10):
            decode_message(frame.data)
    assert len(tiers.credit) == rows.MAX_CREDIT


def test_after_a_flood_a_new_signature_is_compiled_again_once_rows_have_earned_it() -> None:
    tiers = rows.Tiers()
    while tiers.credit.spend():
        pass
    fresh = filled([(I, T, F, B)] * 200)
    with checks.using(tiers):
        for _ in range(3 + rows.ROWS_PER_CREDIT // 200):
            assert checks.outcome(fresh.data) == checks.expected(fresh)
    assert compiled(tiers) == 1


def test_what_is_never_compiled() -> None:
    tiers = checks.hot()
    wide = filled([(I,) * (rows.MAX_COMPILED_COLUMNS + 1)] * 20)
    stray = bytearray(filled([(I, T, L)] * 50).data)
    at = 8 + 8 + 3 * 8
    while at < len(stray) - 8:  # each row: header, INTEGER, TEXT, BOOLEAN
        stray[at + 1] |= 0x50
        at += 16 + (stray.index(0, at + 16) - at - 16 + 8 & -8) + 8
    with checks.using(tiers):
        assert checks.outcome(wide.data) == checks.expected(wide)
        assert checks.check_rows(bytes(stray), sets=(tiers,))[0] == "rows"
        assert checks.outcome(framed(struct.pack("<Q", 1) + bytes(8) + b"\x07" * 16 + DONE))[0] == "refused"
    assert compiled(tiers) == 0
