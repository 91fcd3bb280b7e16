"""Redaction hides every value, keeps every shape, and is stable."""

from __future__ import annotations

import random
import string

import pytest

from dqlitewire import decode_message
from dqlitewire.conversation import Side
from dqlitewire.explain import explain
from dqlitewire.messages import (
    ExecRequest,
    ExecSqlRequest,
    FailureResponse,
    FilesResponse,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    RowsResponse,
)
from dqlitewire.traffic.items import items
from dqlitewire.traffic.redact import redact, redact_sql
from dqlitewire.traffic.sources.source import Recording
from dqlitewire.traffic.views.json_object import json_text
from dqlitewire.traffic.views.line import Clock, line
from dqlitewire.traffic.views.tree import hexdump, tree
from tests.traffic.captured import ALL
from tests.traffic.damage import WAYS
from tests.wire_data import Capture, frames

SECRET = "s3cr3t-c0ntents"


def shape(frame: bytes, is_request: bool) -> list[tuple[str, int, int, str]]:
    def walk(span: object) -> list[tuple[str, int, int, str]]:
        found = [(span.name, span.start, span.end, type(span.value).__name__)]  # type: ignore[attr-defined]
        for child in span.children:  # type: ignore[attr-defined]
            found += walk(child)
        return found

    return walk(explain(frame, is_request=is_request))


MESSAGES = [
    ExecSqlRequest(0, f"INSERT INTO t VALUES ('{SECRET}', ?)", [SECRET, SECRET.encode(), 1, None, 2.5, True]),
    QuerySqlRequest(0, f"SELECT '{SECRET}' -- {SECRET}\n, x'{SECRET.encode().hex()}' /* {SECRET} */", []),
    QuerySqlRequest(0, f"SELECT '{SECRET}", []),
    PrepareRequest(0, f"SELECT * FROM t WHERE a = '{SECRET}' AND b = 123456789"),
    ExecRequest(0, 1, [SECRET] * 9),
    QueryRequest(0, 1, [SECRET] * 300),
    RowsResponse(["a", f"'{SECRET}'"], [3, 4], [(3, 4), (3, 4)], [(SECRET, SECRET.encode()), ("", b"")]),
    RowsResponse(["when"], [10], [(10,)], [("2024-01-02 03:04:05",)], has_more=True),
    FailureResponse(1, f'near "{SECRET}": syntax error'),
    FilesResponse({"main": SECRET.ljust(16).encode()}),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_values_are_gone_and_shapes_stay(message: object) -> None:
    frame = message.encode()  # type: ignore[attr-defined]
    is_request = message.IS_REQUEST  # type: ignore[attr-defined]
    hidden = redact(frame, is_request)
    for secret in (SECRET.encode(), SECRET.encode().hex().encode(), b"123456789", b"2024-01-02"):
        assert secret not in hidden
    assert len(hidden) == len(frame)
    assert hidden[:8] == frame[:8]
    assert shape(hidden, is_request) == shape(frame, is_request)
    assert redact(hidden, is_request) == hidden
    decode_message(hidden, is_request=is_request)


@pytest.mark.parametrize("capture", ALL, ids=str)
def test_recorded_traffic_keeps_its_shape(capture: Capture) -> None:
    for is_request, data in ((True, capture.c2s[8:]), (False, capture.s2c)):
        for frame in frames(data)[:400]:
            hidden = redact(frame, is_request, capture.version)
            spans = explain(frame, is_request=is_request)
            assert len(hidden) == len(frame)
            assert hidden[:8] == frame[:8]
            if spans.error is None:
                assert shape(hidden, is_request) == shape(frame, is_request)


@pytest.mark.parametrize("seed", range(200))
def test_random_values_leave_no_trace(seed: int) -> None:
    chance = random.Random(seed)

    def word() -> str:
        return "".join(chance.choice(string.ascii_letters) for _ in range(chance.randrange(6, 30)))

    secrets = [word() for _ in range(chance.randrange(1, 12))]
    request = ExecSqlRequest(
        0, "SELECT ?", [s if chance.random() < 0.5 else s.encode() for s in secrets]
    ).encode()
    row = tuple(s if chance.random() < 0.5 else s.encode() for s in secrets)
    types = tuple(3 if isinstance(cell, str) else 4 for cell in row)
    answer = RowsResponse([f"c{n}" for n in range(len(row))], types, [types], [row]).encode()
    for frame, is_request in ((request, True), (answer, False)):
        hidden = redact(frame, is_request)
        assert not [secret for secret in secrets if secret.encode() in hidden]


def test_bytes_that_do_not_decode_are_hidden() -> None:
    frame = ExecSqlRequest(0, "SELECT ?", [SECRET]).encode()
    broken = frame[:4] + b"\x63" + frame[5:]
    assert redact(broken, True) == broken[:8] + bytes(len(frame) - 8)
    params = bytearray(frame)
    params[params.index(SECRET.encode()) - 7] = 0x77  # a type no value has
    hidden = redact(bytes(params), True)
    assert SECRET.encode() not in hidden


@pytest.mark.parametrize(
    ("sql", "hidden"),
    [
        (b"SELECT 'it''s', 12.5e3, x'ff' FROM \"t\"", b"SELECT 'xxxxx', 000000, x'00' FROM \"t\""),
        (b"-- hi\nSELECT a1 FROM t2", b"--xxx\nSELECT a1 FROM t2"),
        (b"SELECT 'never closed", b"SELECT xxxxxxxxxxxxx"),
        ("SELECT 'gr\u00fc\u00df', \u00fcber".encode(), "SELECT 'xxxxxx', \u00fcber".encode()),
        (b"SELECT ?1, :name, @a, $b", b"SELECT ?1, :name, @a, $b"),
        (b"\xff\xfe SELECT 1", b"\xff\xfe SELECT 0"),
    ],
)
def test_sql(sql: bytes, hidden: bytes) -> None:
    assert redact_sql(sql) == hidden


@pytest.mark.parametrize("part", range(4))
def test_a_frame_that_does_not_decode_shows_no_value(part: int) -> None:
    secret = b"hunter2hunter2hunter2"
    text = secret.decode()
    request = QuerySqlRequest(0, f"SELECT '{text}' FROM t", [text, secret, 7])
    answers = [
        RowsResponse(["a", "b"], [3, 4], [(3, 4)] * 3, [(text, secret)] * 3),
        FailureResponse(1, f'near "{text}": x'),
    ]
    refused = 0
    for number in range(part * 100, part * 100 + 100):
        chance = random.Random(number)
        frame = chance.choice([request, *answers]).encode()
        body = chance.choice(WAYS)(chance, frame[8:])
        spoilt = (-(-len(body) // 8)).to_bytes(4, "little") + frame[4:8] + body + bytes(-len(body) % 8)
        is_request = frame[4] == request.MSG_TYPE
        recording = Recording()
        recording.add(Side.CLIENT, bytes([1, *bytes(7)]) + (spoilt if is_request else request.encode()))
        recording.add(Side.SERVER, b"" if is_request else spoilt)
        for item in items(recording.source(), redacted=True):
            if item.code is None or item.message is not None:
                continue
            refused += 1
            span = item.spans()
            assert span is not None
            shown = [json_text(item), str(line(item, Clock(), 500)), *tree(span, 500)]
            shown += hexdump(item.data, span, 500)
            assert text[1:9] not in "".join(shown)
            assert secret[1:9].hex() not in "".join(shown).replace(" ", "")
            assert item.strange
    assert refused > 20
