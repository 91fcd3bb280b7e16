"""Inputs of every format, spoilt in every way: for the suite, and by hand for as long as one likes.

    python -m tests.traffic.damage --rounds 100000 --seed 7

Each round spoils one sample and reads it as every command does. Only `SourceError` may come out of it, no
more items than bytes, and no more memory than is stated here.
"""

from __future__ import annotations

import argparse
import base64
import functools
import gzip
import itertools
import json
import random
import re
import tracemalloc
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.select import Selection
from dqlitewire.traffic.sources.formats import Format, open_source
from dqlitewire.traffic.sources.pair import open_pair
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.stats import Statistics
from dqlitewire.traffic.views.json_object import json_text
from dqlitewire.traffic.views.line import CLOCK_MODES, Clock, line
from dqlitewire.traffic.views.report import report, report_json
from dqlitewire.traffic.views.tree import hexdump, tree
from tests.traffic import wire
from tests.traffic.captured import named, segments
from tests.wire_data import frames

MEMORY = 48 << 20  # bytes that reading a spoilt sample may take: a block of a file, and what it holds


class Sample(NamedTuple):
    """An input in some format; a pair has two parts."""

    kind: str
    parts: tuple[bytes, ...]

    def open(self, format: Format | None = None) -> Source:
        if len(self.parts) == 2:
            return open_pair(*self.parts)
        return open_source(self.parts[0], format=format)


def xxd(data: bytes) -> bytes:
    """As `xxd` prints bytes, with a row that repeats."""
    rows = [f"{at:08x}: {data[at : at + 16].hex(' ', 2)}  ." for at in range(0, len(data), 16)]
    return "\n".join([rows[0], *rows[1:], "*", f"{len(data) + 48:08x}: 0000  .", ""]).encode()


def transcript() -> bytes:
    """A connection with every kind of line."""
    said = [(1, "request", bytes([1, *bytes(7)])), (1, "request", bytes([1, *bytes(15)]))]
    said.append((1, "response", frames(named("1.18.1-basics-0").s2c)[0]))
    out = [
        '{"dqt":1,"by":"test","redacted":false}',
        '{"time":17.0003,"connection":1,"event":"open","client":"a:1","server":"b:2","midstream":false,"bare":false}',
    ]
    for time, (number, direction, data) in enumerate(said):
        packed = base64.b64encode(data).decode()
        out.append(
            f'{{"time":{time}.5,"connection":{number},"direction":"{direction}","type":"X","schema":0,'
            f'"fields":{{"sql":"SELECT 1","params":[1,2.5,null,"x"]}},"bytes":"{packed}"}}'
        )
    out.append('{"time":5,"connection":1,"event":"gap","direction":"response","lost":17}')
    out.append('{"time":6,"connection":1,"event":"end","direction":"request"}')
    return "\n".join([*out, ""]).encode()


@functools.cache
def samples() -> tuple[Sample, ...]:
    """One of each format, and of each way in which a format can be written."""
    capture = named("1.18.1-members-0")
    sent = segments(capture)
    six = wire.Path("fd00::1", 40001, "fd00::2", 9001)
    records = wire.frames(sent)
    lost = wire.frames(wire.reorder(wire.lose(sent, [7, 12]), 3))
    extended = wire.frames(sent, six, extension=b"\x06\x00" + b"\x01\x04\x00\x00\x00\x00")
    options = wire.frames(sent, options=b"\x94\x04\x00\x00")
    files = {
        "pcap": wire.pcap(records),
        "pcap, big endian": wire.pcap(lost, order=">", nanoseconds=True),
        "pcap, extension headers": wire.pcap(extended),
        "pcap, IP options": wire.pcap(options),
        "pcap, cut packets": wire.pcap(options, snap=90),
        "pcap, PPPoE": wire.pcap(wire.frames(sent, link="pppoe"), "pppoe"),
        "pcap, cooked": wire.pcap(wire.frames(sent, link="cooked2"), "cooked2"),
        "pcapng": wire.pcapng(records, resolution=9),
        "pcapng, big endian": wire.pcapng(lost, order=">"),
        "pcap, zipped": gzip.compress(wire.pcap(records)),
        "transcript": transcript(),
        "raw requests": capture.c2s,
        "raw answers": named("1.18.1-failures-0").s2c[:3000],
        "hex": capture.c2s.hex(" ").encode(),
        "xxd": xxd(capture.c2s),
        "python": str([capture.c2s[:80], capture.c2s[80:]]).encode(),
        "python numbers": str(list(capture.c2s)).encode(),
        "base64": base64.encodebytes(capture.c2s),
    }
    found = [Sample(kind, (data,)) for kind, data in files.items()]
    return (*found, Sample("pair", (capture.c2s, capture.s2c)))


# ---------------------------------------------------------------- ways to spoil


EXTREMES = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    11,
    12,
    13,
    255,
    256,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    1 << 24,
    (1 << 24) - 4,
]
EXTREMES += [(1 << 26) - 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFC, 0xFFFF_FFFF, (1 << 63) - 1, (1 << 64) - 1]
VALUES = ["null", "true", "-1", "0", "1.5", "1e400", "1e999999999", "1e-999999999", "1e99999999999999999999"]
VALUES += [
    "9" * 30,
    "9" * 5000,
    '"x"',
    '"\\ud800"',
    '"\\u001b[2J"',
    "[]",
    "{}",
    "[" * 3000,
    "NaN",
    "Infinity",
]
VALUES += [
    "[" * 100_000 + "]" * 100_000,
    '{"a":' * 2000 + "1" + "}" * 2000,
    '"' + "A" * 4000 + '"',
    "-Infinity",
    "",
]
KEYS = [
    "time",
    "connection",
    "direction",
    "event",
    "client",
    "server",
    "midstream",
    "bare",
    "lost",
    "bytes",
    "dqt",
]


def flip(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(1, len(data))]


def remove(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.choice((1, 4, 8, 100)) :]


def insert(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + chance.choice((b"\0", b"\xff" * 8, b"\n", chance.randbytes(40))) + data[at:]


def repeat(chance: random.Random, data: bytes) -> bytes:
    at, size = chance.randrange(len(data)), chance.choice((8, 64, 500))
    return data[:at] + data[at : at + size] * chance.choice((2, 20)) + data[at:]


def extreme(chance: random.Random, data: bytes) -> bytes:
    """A number at some place, mostly among the first bytes, where headers are."""
    size, order = chance.choice((1, 2, 4, 4, 4, 8)), chance.choice(("little", "big"))
    at = chance.randrange(min(len(data), chance.choice((40, 200, 1 << 20)))) & -min(size, 4)
    number = chance.choice(EXTREMES) & (1 << 8 * size) - 1
    return data[:at] + number.to_bytes(size, order) + data[at + size :]  # type: ignore[arg-type]


def number_in_text(chance: random.Random, data: bytes) -> bytes:
    found = list(itertools.islice(re.finditer(rb"[0-9a-f]{2,}|\d", data), 400))
    if not found:
        return flip(chance, data)
    match = chance.choice(found)
    number = chance.choice(EXTREMES)
    text = chance.choice((f"{number}", f"{number:x}", f"{number:016x}", "9" * 5000, "-1", "*\n"))
    return data[: match.start()] + text.encode() + data[match.end() :]


def key_of_line(chance: random.Random, data: bytes) -> bytes:
    """Another value under a key of a JSON line, or none, or one more."""
    lines = data.splitlines(keepends=True)
    at = chance.randrange(len(lines))
    key = chance.choice(KEYS)
    pattern = re.compile(rb'"%s":("[^"]*"|[^,}]*)' % key.encode())
    value = f'"{key}":{chance.choice(VALUES)}'.encode()
    spoilt = chance.choice((
        lambda text: pattern.sub(lambda _: value, text, count=1),
        lambda text: pattern.sub(b'"other":1', text, count=1),
        lambda text: text.replace(b"}\n", b"," + value + b"}\n"),
    ))  # fmt: skip
    lines[at] = spoilt(lines[at])
    return b"".join(lines)


WAYS: list[Callable[[random.Random, bytes], bytes]] = [flip, cut, remove, insert, repeat, extreme, extreme]
TEXT_WAYS = [*WAYS, number_in_text, number_in_text]
TEXTS = ("hex", "xxd", "python", "python numbers", "base64")


def ways_of(sample: Sample) -> list[Callable[[random.Random, bytes], bytes]]:
    if sample.kind == "transcript":
        return [*TEXT_WAYS, *[key_of_line] * 12]
    return TEXT_WAYS if sample.kind in TEXTS else WAYS


def spoilt(sample: Sample, chance: random.Random) -> Sample:
    """A sample with one to three things wrong."""
    parts = list(sample.parts)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(parts))
        if parts[at]:
            parts[at] = chance.choice(ways_of(sample))(chance, parts[at])
    return Sample(sample.kind, tuple(parts))


def fields() -> Iterator[Sample]:
    """Every word of a small capture and every number of a dump at every extreme; every value of a line."""
    packets = wire.frames(segments(named("1.18.1-handshakes-0"))[:5])
    for records, size in ((wire.pcap(packets), 96), (wire.pcapng(packets, resolution=6), 148)):
        for at, number in itertools.product(range(0, size, 4), EXTREMES):
            word = (number & 0xFFFF_FFFF).to_bytes(4, "little")
            yield Sample(f"word {at} is {number:x}", (records[:at] + word + records[at + 4 :],))
    dump = xxd(bytes(range(48)))
    for match, number in itertools.product(re.finditer(rb"^\w{8}", dump, re.MULTILINE), EXTREMES):
        text = f"{number:08x}".encode()
        yield Sample(f"dump with {number:x}", (dump[: match.start()] + text + dump[match.end() :],))
    whole = transcript()
    for raw in whole.splitlines(keepends=True)[1:]:
        changed = [raw]
        for key in KEYS:
            pattern = re.compile(rb'"%s":("[^"]*"|[^,}]*)' % key.encode())
            values = [f'"{key}":{value}'.encode() for value in VALUES]
            changed += [pattern.sub(lambda _, value=value: value, raw, count=1) for value in values]  # type: ignore[misc]
        yield Sample("values of a line", (whole.partition(b"\n")[0] + b"\n" + b"".join(changed) + whole,))


# ---------------------------------------------------------------- reading


def read(sample: Sample, chance: random.Random) -> None:
    """Read it as the commands do.

    Raises:
        AssertionError: more comes out of it than went in.
    """
    redacted, count_rows = chance.random() < 0.3, chance.random() < 0.5
    forced = chance.choice(list(Format)) if chance.random() < 0.1 and len(sample.parts) == 1 else None
    size = sum(map(len, sample.parts))
    statistics, clock = Statistics(), Clock(chance.choice([*CLOCK_MODES]))
    stream = counted(
        items(sample.open(forced), redacted=redacted, count_rows=count_rows), 20 * size + 4_000_000
    )
    if chance.random() < 0.2:
        stream = Selection(failures=True)(stream)
    for item in stream:
        statistics.add(item)
        json.loads(json_text(item, 5))
        str(line(item, clock, 100)).encode()
        if chance.random() < 0.05 and (span := item.spans()) is not None:
            list(tree(span, 80))
            list(hexdump(item.data, span, 80))
    statistics.next_source()
    if chance.random() < 0.3:
        list(report(statistics))
        json.loads(report_json(statistics))


def counted(stream: Iterator[Item], most: int) -> Iterator[Item]:
    """Pass items on; fail if there is no end of them."""
    size = 0
    for item in stream:
        size += 1 + len(item.data)
        assert size <= most, "more comes out than went in"
        yield item


def trial(seed: int, number: int) -> None:
    """One round: spoil a sample and read it.

    Raises:
        AssertionError: something came out of it that is not allowed.
    """
    chance = random.Random(f"{seed}/{number}")
    check(spoilt(samples()[number % len(samples())], chance), chance, f"round {number} of seed {seed}")


def check(sample: Sample, chance: random.Random, name: str) -> None:
    """Read a spoilt sample.

    Raises:
        AssertionError: something came out of it that is not allowed.
    """
    name = f"{name} ({sample.kind})"
    tracemalloc.reset_peak()
    try:
        read(sample, chance)
    except SourceError as error:
        said = str(error)
        if len(said) > 400 or not said.isprintable():
            raise AssertionError(f"{name}: {said:.400}") from error
    except Exception as error:
        raise AssertionError(f"{name}: {error!r:.400}") from error
    peak = tracemalloc.get_traced_memory()[1]
    assert peak < MEMORY, f"{name}: {peak >> 20} MiB"


def main() -> None:
    """Rounds until they are done or one fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    tracemalloc.start()
    for number in range(given.rounds):
        trial(given.seed, number)
    print(f"{given.rounds} rounds")


if __name__ == "__main__":
    main()
