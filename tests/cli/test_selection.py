"""What is selected does not change what is said of it: times, exit codes; and lines at every width."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import pytest

from dqlitewire.conversation import Side, probe_generation
from dqlitewire.messages import EmptyResponse, FailureResponse, LeaderRequest, LeaderResponse, OpenRequest
from dqlitewire.traffic import Recording, lines, open_source
from dqlitewire.traffic.items import items
from dqlitewire.traffic.views.line import CLOCK_MODES, Clock, describe, duration, line
from dqlitewire.traffic.views.tree import hexdump, tree
from tests.traffic import wire
from tests.traffic.captured import ALL, as_pcap, clean, named, segments
from tests.traffic.command import run
from tests.wire_data import Capture

HANDSHAKE = bytes([1, *bytes(7)])

FILTERS: dict[str, list[str]] = {
    "type": ["--type", "ROWS,FAILURE"],
    "connection": ["-c", "2"],
    "sql": ["--sql", "insert"],
    "grep": ["--grep", "^(insert|update)"],
    "latency": ["--min-latency", "1"],
    "failures": ["--failures"],
    "several": ["-c", "1", "--sql", "select", "--type", "QUERY_SQL,FAILURE", "--failures"],
}
#: nothing in the captures is like this
NOTHING: dict[str, list[str]] = {
    "type": ["--type", "TRANSFER"],
    "connection": ["-c", "99"],
    "sql": ["--sql", "no such text"],
    "grep": ["--grep", "no such.text"],
    "latency": ["--min-latency", "1000000"],
    "failures": ["--failures", "--sql", "no such text"],
}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two connections at a time, with loss in the first."""
    path = tmp_path_factory.mktemp("two") / "two.pcap"
    first, second = (
        segments(named(name), step=777_777, start=1_700_000_000_000_000_000 + at * 1_234_567)
        for at, name in enumerate(("1.18.1-failures-0", "1.18.7-basics-0"))
    )
    data = [number for number, packet in enumerate(first) if packet.payload]
    records = [
        wire.frames(wire.lose(first, [data[5], data[20]]), wire.Path(client_port=1)),
        wire.frames(second, wire.Path(client_port=2)),
    ]
    path.write_bytes(wire.pcap(wire.merge(*records), nanoseconds=True))
    return path


# ---------------------------------------------------------------- times


@cache
def everything(path: Path, *arguments: str) -> list[str]:
    return messages(run("decode", *arguments, path).out)


def messages(out: str) -> list[str]:
    """The lines of an output without those that introduce connections."""
    return [text for text in out.splitlines() if not re.match(r"-- connection| {3}\S", text)]


@pytest.mark.parametrize("mode", CLOCK_MODES)
@pytest.mark.parametrize("name", FILTERS)
def test_a_frame_has_one_time_whatever_else_is_shown(name: str, mode: str, two: Path) -> None:
    view = {"utc": ["-v"], "delta": ["-x"], "local": ["--width", "40"]}.get(mode, [])
    arguments = "--no-fold", "--time", mode, *view
    every = everything(two, *arguments)
    some = messages(run("decode", *arguments, *FILTERS[name], two).out)
    assert some
    assert set(some) <= set(every)
    if name not in ("latency", "failures", "several"):  # these are shown when they are over
        rest = iter(every)
        assert all(line in rest for line in some)


@pytest.mark.parametrize("name", FILTERS)
def test_times_of_json_do_not_change_either(name: str, two: Path) -> None:
    every = everything(two, "--json")
    some = run("decode", "--json", *FILTERS[name], two).out.splitlines()
    assert some
    assert set(some) <= set(every)


def test_text_and_json_tell_the_same_time(two: Path) -> None:
    objects = [json.loads(line) for line in run("decode", "--json", two).out.splitlines()]
    shown = run("decode", "--no-fold", two).out.splitlines()
    times = [line.split()[0] for line in shown if not line.startswith("--")]
    first = next(one["time"] for one in objects if one["time"])
    for one, time in zip(objects, times, strict=True):
        assert time == "-" if one["time"] is None else abs(float(time) - (one["time"] - first)) < 2e-6


@pytest.mark.parametrize(("mode", "pattern"), [("utc", r"{}T{}Z"), ("local", r"{}T{}")])
def test_times_of_day_carry_the_date(mode: str, pattern: str, two: Path) -> None:
    wanted = re.compile(pattern.format(r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d\.\d{6}"))
    for width in ("40", "80", "132"):
        shown = run("decode", "--time", mode, "--width", width, "--type", "ROWS", two).out.splitlines()
        heads = [line for line in shown if re.search(r"\d <( |$)", line)]
        assert heads
        assert all(wanted.fullmatch(line.split()[0]) for line in heads if "like it" not in line)


def test_the_library_has_the_same_times(two: Path) -> None:
    shown = [line for line in run("decode", "--no-fold", two).out.splitlines() if not line.startswith("--")]
    assert list(lines(str(two))) == shown


# ---------------------------------------------------------------- one rule for case


@pytest.mark.parametrize("seed", range(20))
def test_sql_and_grep_agree_on_case(seed: int, two: Path) -> None:
    chance = Random(seed)
    sql = [
        one["fields"]["sql"]
        for one in map(json.loads, everything(two, "--json"))
        if one["fields"] and "sql" in one["fields"]
    ]
    text = chance.choice(sql)[: chance.randrange(3, 30)]
    swapped = "".join(chance.choice((letter.upper(), letter.lower())) for letter in text)
    found = [
        run("decode", option, value, two).out
        for option, plain in (("--sql", str), ("--grep", re.escape))
        for value in (plain(text), plain(swapped))
    ]
    assert found[0]
    assert found == [found[0]] * 4


def test_a_pattern_may_mind_case(two: Path) -> None:
    assert run("decode", "--grep", "(?-i:INSERT)", two).out
    assert not run("decode", "--grep", "(?-i:insert into t)", two).out


# ---------------------------------------------------------------- nothing found


@pytest.mark.parametrize("view", [[], ["--json"], ["-v"], ["-w"]], ids=str)
@pytest.mark.parametrize("name", NOTHING)
def test_nothing_found_is_said(name: str, view: list[str], two: Path, tmp_path: Path) -> None:
    view = ["-w", str(tmp_path / "out.dqt")] if view == ["-w"] else view
    frames = sum(json.loads(line)["code"] is not None for line in everything(two, "--json"))
    result = run("decode", *view, *NOTHING[name], two)
    assert (result.code, result.out) == (0, "")
    assert f"dqlite-wire: nothing matches: {frames} frames in 2 connections were read\n" in result.err


@pytest.mark.parametrize("view", [[], ["--json"]], ids=str)
@pytest.mark.parametrize("name", NOTHING)
def test_stats_of_nothing_say_so(name: str, view: list[str], two: Path) -> None:
    result = run("stats", *view, *NOTHING[name], two)
    assert result.code == 0
    assert "frames in 2 connections were read" in result.err
    assert "dqlite-wire: nothing matches: " in result.err


@pytest.mark.parametrize("name", FILTERS)
def test_what_is_found_is_not_remarked(name: str, two: Path) -> None:
    assert "nothing matches" not in run("decode", *FILTERS[name], two).err
    assert "nothing matches" not in run("stats", *FILTERS[name], two).err


# ---------------------------------------------------------------- exit codes

SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda data: data + b"\xff" * 41,
    "cut off": lambda data: data + LeaderRequest().encode()[:11],
    "undecodable": lambda data: data + bytes([1, 0, 0, 0, 0, 9, 0, 0]) + bytes(8),
}


@pytest.fixture
def spoilt(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two connections, the second of which is damaged."""
    good = HANDSHAKE + OpenRequest("main").encode()
    records = [
        wire.frames(
            wire.conversation([(True, data), (False, EmptyResponse().encode())]), wire.Path(client_port=port)
        )
        for port, data in ((1, good), (2, SPOILT[request.param](good)))
    ]
    path = tmp_path / "spoilt.pcap"
    path.write_bytes(wire.pcap(wire.merge(*records)))
    return path


@pytest.mark.parametrize("command", ["decode", "stats"])
@pytest.mark.parametrize("spoilt", SPOILT, indirect=True)
def test_the_exit_code_speaks_of_what_was_selected(command: str, spoilt: Path) -> None:
    for view in ([], ["--json"]):
        assert run(command, *view, spoilt).code == 1
        assert run(command, *view, "-c", "2", spoilt).code == 1
        clean_one = run(command, *view, "-c", "1", spoilt)
        assert (clean_one.code, clean_one.err) == (0, "")
        assert run(command, *view, "--type", "OPEN", spoilt).code == 0
        assert run(command, *view, "--type", "EMPTY", spoilt).code == 0


@pytest.mark.parametrize("command", ["decode", "stats"])
def test_a_line_that_is_skipped_is_of_the_selection_if_that_has_a_gap(
    command: str, two: Path, tmp_path: Path
) -> None:
    path = tmp_path / "two.dqt"
    run("decode", "-w", path, two)
    told = path.read_text().splitlines()
    at = max(at for at, line in enumerate(told) if '"connection":2' in line and '"bytes"' in line)
    told[at] = told[at][:-20]
    path.write_text("\n".join(told) + "\n")
    assert run(command, path).code == 1
    assert run(command, "-c", "2", path).code == 1
    other = run(command, "-c", "2", "--type", "OPEN", path)
    assert other.code == 0
    assert "is damaged; skipped" in other.err  # it is said all the same


# ---------------------------------------------------------------- probes

ANSWERS: dict[str, bytes] = {
    "schema checked": FailureResponse(1005, "unrecognized schema version").encode(),
    "schema of a statement checked": FailureResponse(1, "unrecognized schema version").encode(),
    "oldest": LeaderResponse(1, "127.0.0.1:9001").encode(),
    "not leader": FailureResponse(10250, "not leader").encode(),
    "no database": FailureResponse(12, "no database opened").encode(),
    "silence": b"",
}


@pytest.mark.parametrize("database", [None, 7])
@pytest.mark.parametrize("name", ANSWERS)
def test_a_probe_taints_nothing(name: str, database: int | None, tmp_path: Path) -> None:
    paths = [tmp_path / "a.c2s", tmp_path / "a.s2c"]
    paths[0].write_bytes(HANDSHAKE + LeaderRequest().encode() + probe_generation(database))
    paths[1].write_bytes(LeaderResponse(1, "127.0.0.1:9001").encode() + ANSWERS[name])
    for redact in ([], ["--redact"]):
        shown = run("decode", *redact, *paths)
        assert (shown.code, shown.err) == (0, "")
        assert shown.out.count("probe") == 2
        assert "does not decode" not in shown.out
        objects = [json.loads(line) for line in run("decode", "--json", *redact, *paths).out.splitlines()]
        assert [one.get("probe", False) for one in objects] == [False, False, False, True, True]
        assert not any("error" in one for one in objects)
    failed = run("decode", "--failures", *paths)
    assert (failed.code, failed.out) == (0, "")
    assert run("stats", *paths).code == 0


def test_an_answer_to_a_probe_may_be_damaged(tmp_path: Path) -> None:
    paths = [tmp_path / "a.c2s", tmp_path / "a.s2c"]
    paths[0].write_bytes(HANDSHAKE + probe_generation())
    paths[1].write_bytes(bytes([1, 0, 0, 0, 99, 0, 0, 0]) + bytes(8))
    assert run("decode", *paths).code == 1


def test_what_only_resembles_a_probe_is_none() -> None:
    for frame in (
        LeaderRequest().encode(),
        bytes([1, 0, 0, 0, 0, 9, 0, 0]) + bytes(8),  # another schema
        bytes([2, 0, 0, 0, 8, 2, 0, 0]) + bytes(8) + b"SELECT 1",
        bytes([2, 0, 0, 0, 8, 1, 0, 0]) + bytes(16),
    ):
        recording = Recording()
        recording.add(Side.CLIENT, HANDSHAKE + frame)
        assert not any(item.probe for item in items(recording.source()))


# ---------------------------------------------------------------- widths

SESSIONS = [capture for capture in ALL if capture.server == "1.18.1" and len(capture.s2c) < 20_000]


@pytest.mark.parametrize("capture", SESSIONS, ids=lambda capture: capture.name)
def test_nothing_vanishes_at_any_width(capture: Capture, tmp_path: Path) -> None:
    """At each width, with each way to write times: place, type and latency of every item, and some text."""
    read = list(items(open_source(as_pcap(segments(capture, step=1_234_567)))))
    for mode in CLOCK_MODES:
        clock = Clock(mode)
        for width in (40, 41, 59, 60, 66, 76, 77, 80, 132):
            for item in clock.watch(read):
                shown = str(line(item, clock, width))
                rows = shown.split("\n")
                assert max(map(len, rows)) <= width
                assert re.search(rf"\b1 [<>]\s+{item.type}\b", shown)
                assert (item.latency is None) or rows[-1].endswith(duration(item.latency))
                assert "".join(describe(item).split())[:8] in "".join(shown.split())


@pytest.mark.parametrize("width", ["40", "60", "80", "132"])
@pytest.mark.parametrize("view", [[], ["-v"], ["-x"], ["-v", "-x", "--time", "utc"], ["--time", "local"]])
def test_output_fits_its_width(view: list[str], width: str, two: Path) -> None:
    assert max(map(len, run("decode", "--width", width, *view, two).out.splitlines())) <= int(width)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_statements_that_differ_at_the_end_stay_apart(width: int) -> None:
    texts = [f"SELECT a, b, c, d, e, f, g FROM a_long_name_of_a_table WHERE name = '{at}'" for at in range(9)]
    recording = Recording()
    recording.add(Side.CLIENT, HANDSHAKE + b"".join(_query(text) for text in texts), 10**18)
    shown: dict[str, list[str]] = {"QUERY_SQL": [], "UNANSWERED": []}
    for item in items(recording.source()):
        if item.type in shown:
            shown[item.type].append(" ".join(str(line(item, Clock("none"), width)).split()))
    for told in shown.values():
        assert len(set(told)) == len(texts)
        for at, text in enumerate(told):
            assert "SELECT a" in text
            assert f"'{at}'" in text


def _query(text: str) -> bytes:
    from dqlitewire.messages import QuerySqlRequest

    return QuerySqlRequest(0, text).encode()


@pytest.mark.parametrize("width", [40, 60, 80, 132])
@pytest.mark.parametrize(
    "name", ["1.18.1-types-0", "1.18.1-members-0", "1.18.1-failures-0", "cowsql-basics-0"]
)
def test_trees_and_dumps_lose_nothing(name: str, width: int) -> None:
    for item in items(clean(named(name))):
        span = item.spans()
        if span is None:
            continue
        told = list(tree(span, width, None, None))
        assert max(map(len, told)) <= width
        assert sum(bool(re.match(r"0x[0-9a-f]{4,}-0x[0-9a-f]{4,} ", line)) for line in told) == _parts(span)
        dump = list(hexdump(item.data, span, width, None))
        assert max(map(len, dump)) <= width
        words = [found[1] for text in dump if (found := re.match(r" +0x[0-9a-f]{4,} {1,2}(.{23})", text))]
        assert bytes.fromhex("".join(words)) == item.data


def _parts(span: object) -> int:
    from dqlitewire.explain import Span

    assert isinstance(span, Span)
    return 1 + (0 if span.name == "header" else sum(map(_parts, span.children)))


def test_numbers_have_their_names(tmp_path: Path) -> None:
    shown = run("decode", "-v", *_pair("1.18.1-types-0")).out
    assert "msg_type 9 (QUERY_SQL)" in shown
    for kind in ("INTEGER -1", "FLOAT 0.0", "BOOLEAN TRUE", "TEXT '"):
        assert f"[0] {kind}" in shown
    assert "[0] NULL" in shown
    assert "code 12 (SQLITE_NOTFOUND)" in run("decode", "-v", *_pair("1.18.1-failures-0")).out
    members = run("decode", "-v", *_pair("1.18.1-members-0")).out
    assert {"role 0 (VOTER)", "role 1 (STANDBY)", "role 2 (SPARE)"} <= {
        *re.findall(r"role \d \(\w+\)", members)
    }


def _pair(name: str) -> list[str]:
    folder = Path(__file__).parent.parent / "captures"
    return [str(folder / f"{name}.{side}.bin") for side in ("c2s", "s2c")]


@pytest.mark.parametrize("columns", ["40", "80", "132"])
def test_colours_add_nothing_but_colours(columns: str, two: Path) -> None:
    arguments = ("decode", "-v", "--width", columns, "--sql", "insert", two)
    coloured = run(*arguments, terminal=True).out
    plain = run(*arguments).out
    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
    without = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [text.rstrip() for text in without.splitlines()] == plain.splitlines()
    assert not re.search(r"\x1b\[[0-9;]*(?:3[07]|9[07]|4\d)m", coloured)  # seen on light and on dark
