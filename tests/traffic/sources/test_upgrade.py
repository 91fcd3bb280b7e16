"""The HTTP upgrade in front of dqlite is known in every form that HTTP allows; nothing else passes for it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from dqlitewire.conversation import Observer, Preamble, Side
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.items import items
from dqlitewire.traffic.sources.formats import open_source
from dqlitewire.traffic.sources.pair import open_pair
from tests.traffic import wire
from tests.traffic.captured import chunks, clean, decoded, named, told

CAPTURE = named("1.18.1-basics-0")


def asks(*fields: str, line: str = "POST /internal/database HTTP/1.1", body: bytes = b"") -> bytes:
    return "\r\n".join([line, "Host: a", *fields, "", ""]).encode() + body


def answers(*fields: str, line: str = "HTTP/1.1 101 Switching Protocols", before: bytes = b"") -> bytes:
    return before + "\r\n".join([line, *fields, "", ""]).encode()


SWITCHED = answers("Upgrade: dqlite")

LEGAL = {
    "plain": asks("Upgrade: dqlite"),
    "two blanks": asks("Upgrade:  dqlite"),
    "no blank": asks("Upgrade:dqlite"),
    "a tab": asks("Upgrade:\tdqlite"),
    "blanks behind": asks("Upgrade: dqlite \t"),
    "capitals": asks("UPGRADE: DQLITE"),
    "first of a list": asks("Upgrade: dqlite, h2c"),
    "last of a list": asks("Upgrade: h2c ,\tdqlite"),
    "holes in the list": asks("Upgrade: , h2c,,dqlite,"),
    "with a version": asks("Upgrade: dqlite/1.0"),
    "the field twice": asks("Upgrade: h2c", "Connection: Upgrade", "upgrade: dqlite"),
    "folded": asks("Upgrade:", " dqlite"),
    "folded list": asks("Upgrade: h2c,", "\t dqlite"),
    "among others": asks("Connection: keep-alive, Upgrade", "Upgrade: dqlite", "X-Dqlite-Version: 1"),
    "GET": asks("Upgrade: dqlite", line="GET /dqlite HTTP/1.1"),
    "absolute target": asks("Upgrade: dqlite", line="GET https://a:8443/dqlite HTTP/1.1"),
    "cowsql": asks("Upgrade: cowsql"),
    "far behind": asks(*(f"X-Filler-{number}: {'x' * 80}" for number in range(100)), "Upgrade: dqlite"),
    "with a body": asks("Content-Length: 5", "Upgrade: dqlite", body=b"hello"),
    "with an empty body": asks("Content-Length: 0", "Upgrade: dqlite"),
}
FOREIGN = {
    "no field": asks(),
    "another protocol": asks("Upgrade: websocket"),
    "a longer name": asks("Upgrade: dqlite2"),
    "another field": asks("X-Upgrade: dqlite", "X: Upgrade: dqlite"),
    "in the path": asks(line="GET /?Upgrade:%20dqlite HTTP/1.1"),
    "a blank before the colon": asks("Upgrade : dqlite"),
    "HTTP/1.0": asks("Upgrade: dqlite", line="GET /dqlite HTTP/1.0"),
    "in the body": asks("Content-Length: 19", body=b"\r\nUpgrade: dqlite\r\n\r\n"),
}
SWITCHES = {
    "plain": SWITCHED,
    "no name": answers(),
    "two blanks": answers("Connection: Upgrade", "Upgrade:  dqlite"),
    "capitals": answers("UPGRADE: DQlite"),
    "a list": answers("Upgrade: tls/1.0, dqlite"),
    "no reason": answers("Upgrade: dqlite", line="HTTP/1.1 101 "),
    "no reason, no blank": answers("Upgrade: dqlite", line="HTTP/1.1 101"),
    "cowsql": answers("Upgrade: cowsql"),
    "behind 100": answers("Upgrade: dqlite", before=b"HTTP/1.1 100 Continue\r\n\r\n"),
    "behind 103": answers("Upgrade: dqlite", before=b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"),
}
REFUSALS = {
    "404": answers("Content-Length: 2", line="HTTP/1.1 404 Not Found") + b"no",
    "426": answers("Upgrade: dqlite", line="HTTP/1.1 426 Upgrade Required"),
    "another protocol": answers("Upgrade: websocket"),
    "200": answers("Upgrade: dqlite", line="HTTP/1.0 200 OK"),
}


def as_packets(request: bytes, answer: bytes, mss: int = 1448) -> list[wire.Packet]:
    return wire.conversation([(True, request), (False, answer), *chunks(CAPTURE)], mss=mss)


def as_file(request: bytes, answer: bytes, mss: int = 1448) -> bytes:
    return wire.pcap(wire.frames(as_packets(request, answer, mss)))


def frames_of(seen: list[dict[str, Any]]) -> list[Any]:
    return [(item["direction"], item["type"], item["fields"]) for item in seen if item["type"] != "HTTP"]


EXPECTED = frames_of(told(items(clean(CAPTURE))))


@pytest.mark.parametrize("answer", SWITCHES.values(), ids=SWITCHES)
@pytest.mark.parametrize("request_", LEGAL.values(), ids=LEGAL)
def test_every_legal_form_is_read_across(request_: bytes, answer: bytes) -> None:
    seen = decoded(as_file(request_, answer))
    assert frames_of(seen) == EXPECTED
    assert frames_of(told(items(open_pair(request_ + CAPTURE.c2s, answer + CAPTURE.s2c)))) == EXPECTED


@pytest.mark.parametrize("request_", LEGAL.values(), ids=LEGAL)
def test_however_it_is_cut(request_: bytes) -> None:
    assert frames_of(decoded(as_file(request_, SWITCHED, mss=110))) == EXPECTED
    raw = request_ + CAPTURE.c2s

    class Slow(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return super().read1(30)

    requests = [item for item in EXPECTED if item[0] == "request"]
    for what in (raw, Slow(raw)):
        source = open_source(what)
        assert (source.format, source.side) == ("raw", Side.CLIENT)
        assert frames_of([i for i in told(items(source)) if i["type"] != "UNANSWERED"]) == requests


@pytest.mark.parametrize("answer", SWITCHES.values(), ids=SWITCHES)
def test_the_answers_alone(answer: bytes) -> None:
    responses = [item[:2] for item in EXPECTED if item[0] == "response"]  # a format depends on the request
    source = open_source(answer + CAPTURE.s2c)
    assert (source.format, source.side) == ("raw", Side.SERVER)
    assert [item[:2] for item in frames_of(told(items(source)))] == responses
    packets = [packet for packet in as_packets(asks("Upgrade: dqlite"), answer)[3:] if not packet.from_client]
    assert [item[:2] for item in frames_of(decoded(wire.pcap(wire.frames(packets))))] == responses


@pytest.mark.parametrize("request_", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize(
    "source",
    [lambda data: as_file(data, SWITCHED), lambda data: data + CAPTURE.c2s],
    ids=["pcap", "raw"],
)
def test_what_asks_for_something_else_is_foreign(request_: bytes, source: Callable[[bytes], bytes]) -> None:
    with pytest.raises(SourceError, match="HTTP traffic"):
        decoded(source(request_))


@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS)
def test_what_is_refused_stays_http(answer: bytes) -> None:
    packets = wire.conversation([(True, asks("Upgrade: dqlite")), (False, answer), (True, bytes(8))])
    seen = decoded(wire.pcap(wire.frames(packets)))
    assert {item["type"] for item in seen} == {"HTTP"}


def test_an_observer_tells_the_body_of_a_request_from_the_handshake() -> None:
    observer = Observer()
    request = LEGAL["with a body"]
    found: list[Any] = []
    for byte in request:
        found += observer.receive(Side.CLIENT, bytes([byte]))
    assert [(type(event), event.data) for event in found] == [(Preamble, request)]
