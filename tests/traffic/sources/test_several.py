"""Several sources in one call: which raw streams are a connection, and what keeps connections apart."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dqlitewire.conversation import Side
from dqlitewire.messages import LeaderRequest, LeaderResponse
from dqlitewire.traffic import open_pair, open_source
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.several import Numbers, PairingError, Stream, pairs
from tests.traffic.captured import ALL, as_pcap, named, segments, told
from tests.traffic.command import run
from tests.wire_data import Capture

NAMES = ["1.11.1-basics-0", "1.18.1-members-0", "1.18.7-handshakes-0", "cowsql-failures-0"]

#: two names that say the same but for the direction, of a connection with a number
PATTERNS: dict[str, tuple[str, str]] = {
    "c2s": ("run-{}.c2s.bin", "run-{}.s2c.bin"),
    "client": ("client{}.raw", "server{}.raw"),
    "folders": ("client/{}.raw", "server/{}.raw"),
    "requests": ("{}-requests", "{}-responses"),
    "request": ("dump.{}.request.bin", "dump.{}.response.bin"),
    "capitals": ("C2S_{}", "S2C_{}"),
    "in and out": ("{}_in.bin", "{}_out.bin"),
    "from": ("{}.from-client", "{}.from-server"),
    "tcpflow": (
        "010.000.000.001.4000{0}-010.000.000.002.09001",
        "010.000.000.002.09001-010.000.000.001.4000{0}",
    ),
    "numbers in the middle": ("a{}.req.z", "a{}.resp.z"),
}


def connections(count: int, names: tuple[str, str]) -> list[tuple[Stream, Stream]]:
    return [
        (Stream(names[0].format(at), Side.CLIENT), Stream(names[1].format(at), Side.SERVER))
        for at in range(count)
    ]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_names_tell_in_whatever_order_they_stand(pattern: str) -> None:
    chance = random.Random(pattern)
    wanted = connections(5, PATTERNS[pattern])
    for _ in range(50):
        streams = [stream for pair in wanted for stream in pair]
        chance.shuffle(streams)
        found = {(streams[asked], streams[answered]) for asked, answered in pairs(streams)}
        assert found == set(wanted)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_an_empty_stream_is_the_other_half_of_its_name(pattern: str) -> None:
    (asked, answered), other = connections(2, PATTERNS[pattern])
    streams = [answered._replace(side=None), *other, asked]
    assert sorted(pairs(streams)) == [(1, 2), (3, 0)]
    streams = [answered, *other, asked._replace(side=None)]
    assert sorted(pairs(streams)) == [(1, 2), (3, 0)]


@pytest.mark.parametrize("seed", range(30))
def test_the_order_tells_where_names_do_not(seed: int) -> None:
    chance = random.Random(seed)
    clients = [Stream(f"x{n}", Side.CLIENT) for n in range(4)]
    servers = [Stream(f"y{n}", Side.SERVER) for n in range(4)]
    streams: list[Stream] = []
    left = [list(clients), list(servers)]
    while any(left):
        streams.append(chance.choice([side for side in left if side]).pop(0))
    assert [(streams[a], streams[b]) for a, b in pairs(streams)] == list(zip(clients, servers, strict=True))


@pytest.mark.parametrize(("clients", "servers"), [(2, 1), (1, 2), (3, 1), (4, 3), (1, 4)])
def test_streams_without_the_other_half_are_refused(clients: int, servers: int) -> None:
    streams = [Stream(f"x{n}", Side.CLIENT) for n in range(clients)]
    streams += [Stream(f"y{n}", Side.SERVER) for n in range(servers)]
    with pytest.raises(PairingError, match=f"{clients + servers} raw streams of both directions"):
        pairs(streams)


@pytest.mark.parametrize("side", Side)
def test_streams_of_one_direction_are_no_pairs(side: Side) -> None:
    assert pairs([Stream(f"a{n}", side) for n in range(3)]) == []


def test_numbers_go_on_and_sources_are_named() -> None:
    numbers, found = Numbers(), []
    for name in ("1.18.1-members-0", "1.18.1-handshakes-0"):
        source = open_source(as_pcap(segments(named(name))))
        source.name = name
        found += [(item.connection.number, item.connection.source) for item in items(numbers.give(source))]
    assert set(found) == {(1, "1.18.1-members-0"), (2, "1.18.1-handshakes-0")}
    assert found == sorted(found)


# ---------------------------------------------------------------- the command


def halves(capture: Capture, folder: Path) -> list[Path]:
    paths = [folder / f"{capture.name}.{side}.bin" for side in ("c2s", "s2c")]
    for path, data in zip(paths, (capture.c2s, capture.s2c), strict=True):
        path.write_bytes(data)
    return paths


def objects(*arguments: str | Path, stdin: bytes = b"", code: int | None = None) -> list[dict[str, object]]:
    result = run("decode", "--json", *arguments, stdin=stdin)
    assert code is None or result.code == code, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def alone(capture: Capture) -> list[dict[str, object]]:
    """What a pair tells when it is read by itself."""
    return [{"connection": 1, **one} for one in told(items(open_pair(capture.c2s, capture.s2c)))]


def of(found: list[dict[str, object]], number: int) -> list[dict[str, object]]:
    """What was told of one connection, as `told` has it."""
    left_out = {"time", "connection", "source", "latency_ms"}
    return [
        {key: held for key, held in one.items() if key not in left_out}
        for one in found
        if one["connection"] == number and one["type"] != "END"
    ]


@pytest.mark.parametrize("seed", range(6))
def test_raw_files_are_read_as_the_pairs_that_they_are(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    captures = chance.sample([capture for capture in ALL if len(capture.s2c) < 20_000], 4)
    files = [path for capture in captures for path in halves(capture, tmp_path)]
    chance.shuffle(files)
    found = objects(*files)
    names = {str(one["source"]): int(str(one["connection"])) for one in found}
    assert sorted(names.values()) == [1, 2, 3, 4]
    for capture in captures:
        c2s, s2c = (tmp_path / f"{capture.name}.{side}.bin" for side in ("c2s", "s2c"))
        assert of(found, names[f"{c2s} + {s2c}"]) == of(alone(capture), 1)


def test_every_kind_of_source_in_one_call(tmp_path: Path) -> None:
    pcap, transcript = tmp_path / "a.pcap", tmp_path / "b.dqt"
    pcap.write_bytes(as_pcap(segments(named("1.18.1-members-0"))))
    assert run("decode", "-w", transcript, *halves(named("1.18.7-handshakes-0"), tmp_path)).code == 0
    pair = halves(named("cowsql-handshakes-0"), tmp_path)
    stdin = as_pcap(segments(named("1.11.1-handshakes-0")))
    found = objects(pcap, pair[1], "-", transcript, pair[0], stdin=stdin, code=0)
    told_of = {int(str(one["connection"])): one["source"] for one in found}
    assert told_of == {1: str(pcap), 2: f"{pair[0]} + {pair[1]}", 3: "stdin", 4: str(transcript)}
    for number in told_of:
        chosen = objects("-c", str(number), pcap, pair[1], "-", transcript, pair[0], stdin=stdin, code=0)
        assert chosen == [one for one in found if one["connection"] == number]
    text = run(
        "decode", "--width", "1000", pcap, pair[1], "-", transcript, pair[0], stdin=stdin
    ).out.splitlines()
    headers = [line for line in text if line.startswith("-- ")]
    assert [line.split(":")[0] for line in headers] == [f"-- connection {n}" for n in told_of]
    assert all(str(source) in line for line, source in zip(headers, told_of.values(), strict=True))
    counted = json.loads(run("stats", "--json", pcap, pair[1], "-", transcript, pair[0], stdin=stdin).out)
    assert counted["connections"] == 4


def test_one_source_is_not_named(tmp_path: Path) -> None:
    pair = halves(named("1.18.1-members-0"), tmp_path)
    assert not any("source" in one for one in objects(*pair))
    assert "-- " not in run("decode", *pair).out


@pytest.mark.parametrize("command", ["decode", "stats"])
def test_what_cannot_be_read_in_one_go_is_refused_in_words(command: str, tmp_path: Path) -> None:
    first = halves(named("1.18.1-members-0"), tmp_path)
    second = halves(named("1.18.1-handshakes-0"), tmp_path)
    odd = run(command, *first, second[1])
    assert (odd.code, odd.out) == (2, "")
    assert f"3 raw streams of both directions, and no other direction to {second[1]}" in odd.err
    twice = run(command, "-", "-", stdin=first[0].read_bytes())
    assert (twice.code, twice.out) == (2, "")
    assert "standard input" in twice.err
    follow = run(command, "-f", *first, *second)
    assert (follow.code, follow.out) == (2, "")
    assert "--follow" in follow.err


def test_times_of_a_source_are_its_own(tmp_path: Path) -> None:
    paths = []
    for name, start in (("1.18.1-members-0", 1_700_000_000), ("1.18.1-handshakes-0", 1_600_000_000)):
        paths.append(tmp_path / f"{name}.pcap")
        paths[-1].write_bytes(as_pcap(segments(named(name), start=start * 10**9)))
    for mode in ("relative", "delta", "utc", "local"):
        both = run("decode", "--time", mode, *paths).out.splitlines()
        each = [line for path in paths for line in run("decode", "--time", mode, path).out.splitlines()]
        assert [line[:27].split()[0] for line in both] == [line[:27].split()[0] for line in each]
        assert not any(line.lstrip().startswith("-0") for line in both)


def test_untimed_lines_keep_the_column_of_times(tmp_path: Path) -> None:
    pcap = tmp_path / "a.pcap"
    pcap.write_bytes(as_pcap(segments(named("1.18.1-members-0"))))
    lines = run("decode", pcap, *halves(named("1.18.1-handshakes-0"), tmp_path)).out.splitlines()
    places = {line.index(" > ") for line in lines if " > " in line and not line.startswith("--")}
    assert len(places) == 1


def test_what_can_be_read_once_is_not_read_before(tmp_path: Path) -> None:
    """As `decode <(zcat a) <(zcat b)` has it: looking at a pipe's first bytes must not take them."""
    capture = named("1.18.1-members-0")
    paths = [tmp_path / "one", tmp_path / "two"]
    writers = []
    for path, data in zip(paths, (capture.c2s, capture.s2c), strict=True):
        os.mkfifo(path)
        write: Callable[[bytes], object] = path.write_bytes
        writers.append(threading.Thread(target=write, args=(data,)))
        writers[-1].start()
    found = objects(*paths, code=0)
    for writer in writers:
        writer.join(60)
    assert of(found, 1) == of(alone(capture), 1)


def test_a_direction_that_is_named_makes_no_pairs(tmp_path: Path) -> None:
    paths = [tmp_path / "a.c2s", tmp_path / "a.s2c"]
    paths[0].write_bytes(LeaderRequest().encode())
    paths[1].write_bytes(LeaderResponse(1, "a:1").encode())
    found = objects("--direction", "request", *paths)
    assert {one["direction"] for one in found} == {"request"}
    assert {one["connection"] for one in found} == {1, 2}
