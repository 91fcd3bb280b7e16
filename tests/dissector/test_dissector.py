"""The dissector in tshark, held against our own decoder: every recorded frame, clean and disturbed."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.declare.contract import BODY
from dqlitewire.dissector import dissector
from dqlitewire.header import type_name
from dqlitewire.messages import ConnectRequest, FilesResponse, RowsResponse, ServersResponse
from dqlitewire.raft import (
    AppendEntries,
    Configuration,
    Frames,
    InstallSnapshot,
    RaftMessage,
    decode_message,
)
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.formats import open_source
from dqlitewire.traffic.views.json_object import plain
from tests.dissector.tshark import TSHARK, Shown, run, units
from tests.raft.recorded import FOLDER, FRAMES, INDEX
from tests.traffic import wire
from tests.traffic.captured import ALL, as_pcap, segments
from tests.traffic.captured import chunks as chunks_of

pytestmark = pytest.mark.skipif(
    TSHARK is None and not os.environ.get("CI"), reason="needs tshark, which tools/packages installs"
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dissector")


# ---- what our decoder says, in the dissector's words


def value_text(value: object) -> str:
    held = plain(value)
    if isinstance(held, str):
        return held
    return json.dumps(held, separators=(",", ":"))


def expected_fields(item: Item) -> dict[str, list[str]]:
    message = item.message
    assert message is not None
    name = type_name(message.MSG_TYPE, item.is_request).lower()
    out: dict[str, list[str]] = {}
    for field in message.FIELDS:
        value = getattr(message, field.name, None)
        match field.kind:
            case "u64" | "u32" if value is not None and field.place == BODY:
                out[f"{name}.{field.name}"] = [str(value)]
            case "text":
                out[f"{name}.{field.name}"] = [value]
            case "role":
                out[f"{name}.{field.name}"] = [str(int(value))]
            case "params" if value:
                out["params.value"] = [value_text(one) for one in value]
            case _:
                pass
    match message:
        case RowsResponse():
            out["rows.column"] = list(message.column_names)
            out["rows.value"] = [value_text(cell) for row in message.rows for cell in row]
            out["rows.type"] = [kind.name for types in message.row_types for kind in types]
            out["rows.marker"] = ["PART" if message.has_more else "DONE"]
        case ServersResponse():
            out["servers.node_id"] = [str(node.node_id) for node in message.nodes]
            out["servers.address"] = [node.address for node in message.nodes]
        case FilesResponse():
            out["files.name"] = list(message.files)
            out["files.size"] = [str(len(content)) for content in message.files.values()]
        case _:
            pass
    return {key: values for key, values in out.items() if values}


def comparable(text: str) -> str:
    # PDML writes control characters in ways of its own
    return "".join(char if char.isprintable() else "?" for char in text)


# the legacy answer to LEADER has no id, ASSIGN of one word no role; the decoder puts these in their place
LEFT_OUT = (("leader.node_id", ["0"]), ("assign.role", ["0"]))


def check(item: Item, shown: Shown) -> None:
    where = f"{item.type} at {item.offset}, packet {shown.packet}: {shown.title}"
    assert shown.one("type_name") == item.type, where
    assert shown.one("schema") == str(item.schema), where
    assert shown.one("words") == str(len(item.data) // 8 - 1), where
    assert shown.one("direction") == ("request" if item.is_request else "response"), where
    if item.error is not None:
        assert "damaged" in shown.fields, where
        return
    assert "damaged" not in shown.fields, where
    for name, values in expected_fields(item).items():
        if name not in shown.fields and (name, values) in LEFT_OUT:
            continue
        got = [comparable(one) for one in shown.fields.get(name, [])]
        assert got == [comparable(one) for one in values], f"{where}: {name}"


def frames_of(packets: Sequence[wire.Packet]) -> list[Item]:
    found = items(open_source(as_pcap(packets), ports=[9001]))
    return [item for item in found if item.schema is not None]


def merged(connections: Sequence[Sequence[wire.Packet]], path: Path) -> list[int]:
    """Write connections into one file, side by side; return whose each packet is."""
    records = sorted(
        (
            (time, number, data)
            for number, packets in enumerate(connections)
            for time, data in wire.frames(packets, wire.Path(client_port=40_001 + number))
        ),
        key=lambda record: record[0],
    )
    path.write_bytes(wire.pcap([(time, data) for time, _, data in records]))
    return [number for _, number, _ in records]


def show(connections: Sequence[Sequence[wire.Packet]], folder: Path, *arguments: str) -> list[list[Shown]]:
    """What tshark shows of each connection."""
    path = folder / "capture.pcap"
    owners = merged(connections, path)
    found: list[list[Shown]] = [[] for _ in connections]
    for one in units(path, *arguments, folder=folder):
        found[owners[one.packet - 1]].append(one)
    return found


def both(ours: Sequence[Item], shown: Sequence[Shown], direction: str) -> list[tuple[Item, Shown]]:
    theirs = [one for one in shown if one.one("direction") == direction]
    mine = [item for item in ours if item.is_request == (direction == "request")]
    assert [one.one("type_name") for one in theirs] == [item.type for item in mine]
    return list(zip(mine, theirs, strict=True))


def compare(
    connections: Sequence[Sequence[wire.Packet]], folder: Path, *arguments: str, pairs: bool = True
) -> None:
    for packets, shown in zip(connections, show(connections, folder, *arguments), strict=True):
        ours, shown = frames_of(packets), [one for one in shown if "words" in one.fields]
        requests, answers = both(ours, shown, "request"), both(ours, shown, "response")
        for item, one in requests + answers:
            check(item, one)
        if not pairs:
            continue
        asked = {item.exchange: one for item, one in requests}
        first: dict[int | None, str] = {}
        for item, one in answers:
            request = asked.get(item.exchange)
            assert one.one("request_in") == (None if request is None else str(request.packet)), item.offset
            assert (one.one("time") is None) == (request is None)
            first.setdefault(item.exchange, str(one.packet))
        for item, one in requests if "-2" in arguments else ():
            if item.type != "INTERRUPT":  # its answer may be that of the query as well
                assert one.one("response_in") == first.get(item.exchange), (item.type, item.offset)


def test_fields_and_pairs_agree_with_the_decoder(folder: Path) -> None:
    compare([segments(capture) for capture in ALL], folder, "-2")


DISTURBED: dict[str, Callable[[Sequence[wire.Packet], int], Sequence[wire.Packet]]] = {
    "duplicated": wire.duplicate,
    "reordered": wire.reorder,
    "overlapping": wire.overlap,
}
DEEP = bool(os.environ.get("DQLITE_WIRE_DEEP"))
SMALL = [capture for capture in ALL if len(capture.s2c) < (100_000 if DEEP else 10_000)]
IN_ORDER = ("-o", "tcp.reassemble_out_of_order:TRUE")
PORT = ("-d", "tcp.port==9001,dqlite")  # the handshake may not be the first segment, nor in one


@pytest.mark.parametrize("disturbance", DISTURBED)
def test_fields_agree_in_disturbed_captures(disturbance: str, folder: Path) -> None:
    for seed in range(3 if DEEP else 1):
        rng = random.Random(f"{disturbance} {seed}")
        connections = [
            DISTURBED[disturbance](segments(capture, mss=rng.choice([7, 60, 1448])), rng.randrange(1000))
            for capture in SMALL
        ]
        # with both directions out of order, the packet where an answer ends may not tell what it acknowledged
        compare(connections, folder, *PORT, *IN_ORDER, pairs=disturbance != "reordered")


def test_an_answer_that_was_recorded_before_its_request_is_paired_with_it(folder: Path) -> None:
    packets = segments(next(one for one in ALL if one.name == "1.18.7-members-0"))
    data = [number for number, packet in enumerate(packets) if packet.payload]
    request, answer = data[3], data[4]
    assert packets[request].from_client
    assert not packets[answer].from_client
    packets[request], packets[answer] = packets[answer], packets[request]
    # a filter: fields that tell what an answer acknowledges are there in the first pass
    compare([packets], folder, *IN_ORDER, "-2", "-Y", "tcp")
    compare([segments(one) for one in SMALL], folder, "-2", "-Y", "tcp")


def test_a_lost_request_moves_no_other_pair(folder: Path) -> None:
    packets = segments(next(one for one in ALL if one.name == "1.18.7-members-0"))
    requests = [number for number, packet in enumerate(packets) if packet.payload and packet.from_client]
    (whole,), (torn,) = show([packets], folder, "-2"), show([wire.lose(packets, requests[4:5])], folder, "-2")
    expected = [one.title for one in whole if "request_in" in one.fields]
    found = [one.title for one in torn if "request_in" in one.fields]
    assert len(expected) - 2 <= len(found) < len(expected)
    by_title = {one.packet: one.title for one in torn}
    for one in torn:
        if "request_in" in one.fields and not one.title.startswith("dqlite response FAILURE"):
            asked = by_title[int(one.fields["request_in"][0])]
            expected_kind = {"SERVERS": "CLUSTER", "DB": "OPEN", "WELCOME": "CLIENT"}.get(
                one.title.split()[2]
            )
            assert expected_kind is None or expected_kind in asked


@pytest.mark.parametrize("port", [8080, 5432])
def test_a_port_that_another_dissector_claims(port: int, folder: Path) -> None:
    packets = segments(next(one for one in ALL if one.name == "1.18.7-members-0"))
    path = folder / "claimed.pcap"
    path.write_bytes(as_pcap(packets, wire.Path(server_port=port)))
    assert not units(path, folder=folder)
    found = units(path, "-o", "tcp.try_heuristic_first:TRUE", folder=folder)
    assert len(found) == len(units(path, "-d", f"tcp.port=={port},dqlite", folder=folder)) > 40


def test_a_capture_that_begins_in_the_middle_is_read_on_the_port_that_is_named(folder: Path) -> None:
    packets = segments(next(one for one in ALL if one.name == "1.18.7-failures-0"))[40:]
    path = folder / "middle.pcap"
    path.write_bytes(as_pcap(packets))
    assert not units(path, folder=folder)
    found = [one.title for one in units(path, "-o", "dqlite.port:9001", folder=folder)]
    assert found == [one.title for one in units(path, "-d", "tcp.port==9001,dqlite", folder=folder)]
    assert len([one for one in found if "request" in one]) > 10


def test_fields_agree_whatever_the_segments(folder: Path) -> None:
    members = next(one for one in ALL if one.name == "1.18.7-members-0")
    compare([segments(members, mss=mss) for mss in (1, 3, 5, 8, 9, 100)], folder, *PORT)
    compare([segments(members, mss=mss) for mss in (8, 13, 100)], folder)  # a handshake in one segment tells


# ---- between nodes


def raft_chunks(told: dict[str, Any]) -> list[wire.Chunk]:
    data, at, chunks = (FOLDER / told["file"]).read_bytes(), 0, []
    for size, _ in told["chunks"]:
        chunks.append((True, data[at : at + size]))
        at += size
    return [chunk for chunk in chunks if chunk[1]]


@pytest.mark.parametrize("start", ["whole", "in the middle"])
def test_messages_between_nodes_agree_with_the_decoder(start: str, folder: Path) -> None:
    connections, expected = [], []
    for told in INDEX["connections"]:
        chunks, messages = raft_chunks(told), told["messages"]
        if start != "whole":
            data = b"".join(data for _, data in chunks)
            skipped = 1 if len(messages) > 2 else 0
            messages = messages[skipped:]
            chunks = [
                (True, data[messages[0][0] if skipped else told["connect"][0] + 8 + told["connect"][3] :])
            ]
        connections.append(wire.conversation(chunks, handshake=start == "whole"))
        whole = (FOLDER / told["file"]).read_bytes()
        expected.append([decode_message(whole[at : at + 16 + head + load]) for at, _, head, load in messages])
    port = PORT if start != "whole" else ()
    for messages, shown in zip(expected, show(connections, folder, *port), strict=True):
        between = [one for one in shown if "raft.type" in one.fields]
        assert [one.one("raft.type_name") for one in between] == [message.TYPE.name for message in messages]
        for message, one in zip(messages, between, strict=True):
            check_message(message, one)


def check_message(message: RaftMessage, one: Shown) -> None:
    assert "damaged" not in one.fields
    name = f"raft.{message.TYPE.name.lower()}"
    for field in message.FIELDS:
        value = getattr(message, field.name, None)
        if isinstance(value, int) and field.name not in ("version", "last_word", "flags"):
            got = one.one(f"{name}.{field.name}")
            assert got in (str(int(value)), str(bool(value))), (name, field.name)
    if isinstance(message, AppendEntries):
        check_entries(message, one)
    if isinstance(message, InstallSnapshot):
        databases = message.snapshot.databases
        assert one.fields["raft.database.name"] == [database.name for database in databases]
        assert one.fields["raft.database.main_size"] == [str(len(database.main)) for database in databases]


def check_entries(message: AppendEntries, one: Shown) -> None:
    entries = message.entries
    assert one.fields.get("raft.entry.index", []) == [str(entry.index) for entry in entries]
    assert one.fields.get("raft.entry.type", []) == [entry.type.name for entry in entries]
    pages = [str(n) for e in entries if isinstance(e.command, Frames) for n in e.command.page_numbers]
    assert one.fields.get("raft.frames.page_numbers", []) == pages
    nodes = [node for e in entries if isinstance(e.command, Configuration) for node in e.command.nodes]
    assert one.fields.get("raft.configuration.address", []) == [node.address for node in nodes]
    assert one.fields.get("raft.configuration.role", []) == [str(int(node.role)) for node in nodes]


# ---- damage


MUTATED = sorted(
    {
        (item.is_request, bytes(item.data))
        for capture in ALL
        if len(capture.s2c) < 100_000
        for item in frames_of(segments(capture))
        if len(item.data) < 1000 and item.type != "CONNECT"
    }
)


def mutated_chunks(rng: random.Random, count: int) -> Iterator[wire.Chunk]:
    """Frames and messages between nodes of which the first word is whole, and the rest is not what it was."""

    def mutate(data: bytes, start: int) -> bytes:
        body = bytearray(data)
        for _ in range(rng.choice((0, 1, 1, 3, 20))):
            at = rng.randrange(start, len(body))
            if at not in (6, 7):
                body[at] = rng.choice((0, 1, 0xFF, 0xEE, rng.randrange(256)))
        return bytes(body)

    yield True, (1).to_bytes(8, "little")
    for _ in range(count):
        is_request, data = rng.choice(MUTATED)
        yield is_request, mutate(data, 4)
    yield True, ConnectRequest(1, "a:1").encode()
    for _ in range(count // 10):
        yield True, mutate(rng.choice(RAFT), 16)


RAFT = [frame for frame in FRAMES if len(frame) < 10_000]


def test_no_line_of_lua_fails_on_damaged_frames(folder: Path) -> None:
    path = folder / "mutated.pcap"
    for seed in range(5 if DEEP else 1):
        rng = random.Random(seed)
        merged([wire.conversation(mutated_chunks(rng, 200), mss=1 << 14) for _ in range(100)], path)
        text = run(path, "-V", "-O", "dqlite", folder=folder)
        assert text.count("dqlite re") > 18_000
        assert text.count("dqlite raft") > 500


def test_foreign_bytes_behind_a_handshake_are_said_to_be_no_frame(folder: Path) -> None:
    chunks: list[wire.Chunk] = [(True, (1).to_bytes(8, "little")), (True, bytes(16)), (True, b"x" * 64)]
    (shown,) = show([wire.conversation(chunks)], folder)
    assert "damaged" in shown[-1].fields


# ---- the file itself


def test_the_filters_that_the_page_names_are_there_and_its_groups_are_all(folder: Path) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "guides" / "wireshark.md").read_text()
    names = set(re.findall(r"\bdqlite\.[a-z][a-z_.]*[a-z]", page)) - {
        "dqlite.lua",
        "dqlite.port",
        "dqlite.raft",
    }
    assert len(names) > 50
    path = folder / "named.pcap"
    path.write_bytes(as_pcap(segments(ALL[0])))
    run(path, "-Y", " or ".join(sorted(names)), folder=folder)
    source = dissector()
    for name in re.findall(r'declare\("([a-z_]+(?:\.[a-z_]+)+)"', source):
        group, _, last = name.rpartition(".")
        assert f"dqlite.{name}" in page or (f"dqlite.{group}." in page and f"`.{last}`" in page), name


def test_an_http_upgrade_leads_to_dqlite(folder: Path) -> None:
    upgrade: list[wire.Chunk] = [
        (True, b"GET /dqlite HTTP/1.1\r\nHost: a\r\nUpgrade: dqlite\r\nConnection: Upgrade\r\n\r\n"),
        (False, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: dqlite\r\nConnection: Upgrade\r\n\r\n"),
    ]
    capture = next(one for one in ALL if one.name == "1.18.7-members-0")
    (found,) = show([wire.conversation(upgrade + chunks_of(capture))], folder)
    assert [one.title for one in found] == [one.title for one in show([segments(capture)], folder)[0]]


@pytest.mark.parametrize("compiler", ["luac5.2", "luac5.4"])
def test_the_file_compiles_in_old_and_new_lua(compiler: str, folder: Path) -> None:
    found = shutil.which(compiler)
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"needs {compiler}, which tools/packages installs")
    assert found is not None
    source = folder / "compiled.lua"
    source.write_text(dissector(), encoding="utf-8")
    subprocess.run([found, "-p", str(source)], check=True)
