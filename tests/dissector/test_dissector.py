"""The dissector in tshark, held against our own decoder: every recorded frame, clean and disturbed."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.declare.fields import BODY
from dqlitewire.dissector import dissector
from dqlitewire.header import type_name
from dqlitewire.messages import FilesResponse, RowsResponse, ServersResponse
from dqlitewire.raft import AppendEntries, Configuration, Frames, InstallSnapshot, decode_message
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.formats import open_source
from dqlitewire.traffic.views.json_object import plain
from tests.dissector.tshark import TSHARK, Shown, run, units
from tests.raft.recorded import FOLDER, INDEX
from tests.traffic import wire
from tests.traffic.captured import ALL, as_pcap, segments
from tests.wire_data import Capture

pytestmark = pytest.mark.skipif(
    TSHARK is None and not os.environ.get("CI"), reason="needs tshark, which tools/packages installs"
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dissector")


def written(data: bytes, folder: Path) -> Path:
    path = folder / "capture.pcap"
    path.write_bytes(data)
    return path


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


def frames_of(data: bytes) -> list[Item]:
    return [item for item in items(open_source(data)) if item.schema is not None]


def compare(data: bytes, folder: Path, *arguments: str) -> list[Shown]:
    shown = [one for one in units(written(data, folder), *arguments, folder=folder) if "words" in one.fields]
    ours = frames_of(data)
    for is_request in (True, False):
        direction = "request" if is_request else "response"
        theirs = [one for one in shown if one.one("direction") == direction]
        mine = [item for item in ours if item.is_request == is_request]
        assert [one.one("type_name") for one in theirs] == [item.type for item in mine]
        for item, one in zip(mine, theirs, strict=True):
            check(item, one)
    return shown


@pytest.mark.parametrize("capture", ALL, ids=lambda one: one.name)
def test_fields_agree_with_the_decoder(capture: Capture, folder: Path) -> None:
    compare(as_pcap(segments(capture)), folder)


DISTURBED: dict[str, Callable[[Sequence[wire.Packet], int], Sequence[wire.Packet]]] = {
    "duplicated": wire.duplicate,
    "reordered": wire.reorder,
    "overlapping": wire.overlap,
}
SMALL = [capture for capture in ALL if len(capture.s2c) < 100_000]


@pytest.mark.parametrize("disturbance", DISTURBED)
def test_fields_agree_in_disturbed_captures(disturbance: str, folder: Path) -> None:
    capture = random.Random(disturbance).choice(SMALL)
    packets = DISTURBED[disturbance](
        segments(capture, mss=random.Random(disturbance).choice([7, 60, 1448])), 3
    )
    port = ["-d", "tcp.port==9001,dqlite"]  # the handshake may not be the first segment that comes
    compare(as_pcap(packets), folder, *port, "-o", "tcp.reassemble_out_of_order:TRUE")


@pytest.mark.parametrize("mss", [1, 3, 8, 13, 100])
def test_fields_agree_whatever_the_segments(mss: int, folder: Path) -> None:
    capture = next(one for one in ALL if one.name == "1.18.7-members-0")
    port = ["-d", "tcp.port==9001,dqlite"] if mss < 8 else []  # the handshake tells, if a segment holds it
    compare(as_pcap(segments(capture, mss=mss)), folder, *port)


def test_requests_and_answers_refer_to_each_other_in_two_passes(folder: Path) -> None:
    for name in ("1.18.7-basics-0", "1.11.1-multiframe-0", "cowsql-interrupt-0", "1.18.1-failures-0"):
        capture = next(one for one in ALL if one.name == name)
        data = as_pcap(segments(capture))
        shown = compare(data, folder, "-2")
        ours = frames_of(data)
        requests = {item.exchange: one for item, one in both(ours, shown, "request")}
        for item, one in both(ours, shown, "response"):
            request = requests.get(item.exchange)
            assert one.one("request_in") == (None if request is None else str(request.packet)), item.offset
            assert (one.one("time") is None) == (request is None)
        first: dict[int | None, str] = {}
        for item, one in both(ours, shown, "response"):
            first.setdefault(item.exchange, str(one.packet))
        for item, one in both(ours, shown, "request"):
            if item.type != "INTERRUPT":  # its answer may be that of the query as well
                assert one.one("response_in") == first.get(item.exchange), (item.type, item.offset)


def both(ours: Sequence[Item], shown: Sequence[Shown], direction: str) -> list[tuple[Item, Shown]]:
    theirs = [one for one in shown if one.one("direction") == direction]
    mine = [item for item in ours if item.is_request == (direction == "request")]
    return list(zip(mine, theirs, strict=True))


# ---- between nodes


def raft_chunks(told: dict[str, Any]) -> list[wire.Chunk]:
    data, at, chunks = (FOLDER / told["file"]).read_bytes(), 0, []
    for size, _ in told["chunks"]:
        chunks.append((True, data[at : at + size]))
        at += size
    return [chunk for chunk in chunks if chunk[1]]


@pytest.mark.parametrize("told", INDEX["connections"], ids=lambda told: told["file"])
@pytest.mark.parametrize("start", ["whole", "in the middle"])
def test_messages_between_nodes_agree_with_the_decoder(
    told: dict[str, Any], start: str, folder: Path
) -> None:
    chunks, expected = raft_chunks(told), told["messages"]
    if start != "whole":
        behind = told["connect"][0] + 8 + told["connect"][3]
        skipped = 1 if len(expected) > 2 else 0
        data = b"".join(data for _, data in chunks)
        expected = expected[skipped:]
        chunks = [(True, data[expected[0][0] if skipped else behind :])]
    packets = wire.conversation(chunks, handshake=start == "whole")
    port = ["-d", "tcp.port==9001,dqlite"] if start != "whole" else []
    shown = units(written(as_pcap(packets), folder), *port, folder=folder)
    between = [one for one in shown if "raft.type" in one.fields]
    whole = (FOLDER / told["file"]).read_bytes()
    messages = [decode_message(whole[at : at + 16 + head + load]) for at, _, head, load in expected]
    assert [one.one("raft.type_name") for one in between] == [message.TYPE.name for message in messages]
    for message, one in zip(messages, between, strict=True):
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
            assert one.fields["raft.database.main_size"] == [
                str(len(database.main)) for database in databases
            ]


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


def mutated_chunks(count: int, seed: int) -> Iterator[wire.Chunk]:
    """Requests and answers of which the header is whole and the body is not what it was."""
    rng = random.Random(seed)
    frames = [
        (is_request, data)
        for capture in SMALL
        for is_request, data in (
            (item.is_request, bytes(item.data)) for item in frames_of(as_pcap(segments(capture)))
        )
        if len(data) < 2000
    ]
    yield True, (1).to_bytes(8, "little")
    for _ in range(count):
        is_request, data = rng.choice(frames)
        body = bytearray(data)
        for _ in range(rng.choice((0, 1, 1, 3, 20))):
            at = rng.randrange(4, len(body))
            if at != 6 and at != 7:
                body[at] = rng.choice((0, 1, 0xFF, 0xEE, rng.randrange(256)))
        yield is_request, bytes(body)


def test_no_line_of_lua_fails_on_damaged_frames(folder: Path) -> None:
    count = 100_000 if os.environ.get("DQLITE_WIRE_DEEP") else 20_000
    for seed in range(count // 5000):
        data = as_pcap(wire.conversation(mutated_chunks(5000, seed), mss=1 << 14))
        text = run(written(data, folder), "-V", "-O", "dqlite", folder=folder)
        assert text.count("dqlite re") > 4000


def test_foreign_bytes_behind_a_handshake_are_said_to_be_no_frame(folder: Path) -> None:
    chunks: list[wire.Chunk] = [(True, (1).to_bytes(8, "little")), (True, bytes(16)), (True, b"x" * 64)]
    shown = units(written(as_pcap(wire.conversation(chunks)), folder), folder=folder)
    assert "damaged" in shown[-1].fields


# ---- the file itself


@pytest.mark.parametrize("compiler", ["luac5.2", "luac5.4"])
def test_the_file_compiles_in_old_and_new_lua(compiler: str, folder: Path) -> None:
    found = shutil.which(compiler)
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"needs {compiler}, which tools/packages installs")
    assert found is not None
    source = folder / "compiled.lua"
    source.write_text(dissector(), encoding="utf-8")
    subprocess.run([found, "-p", str(source)], check=True)
