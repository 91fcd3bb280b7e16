"""The engine without sockets: fed what recorded clients sent, it must say what the real nodes said."""

from __future__ import annotations

import struct

import pytest

from dqlitewire.constants import NodeRole
from dqlitewire.testing.node.cluster import Member
from dqlitewire.testing.node.engine import Engine
from dqlitewire.testing.node.generations import generation
from dqlitewire.testing.node.session import Session
from tests.real.nodes import PLAYED
from tests.real.raw import Frame
from tests.testing.dialogue import shown
from tests.wire_data import Capture, Step, captures, frames

# (session, label): why the answer is not the recorded one
DIFFERENCES = {
    ("interrupt", "query_sql of 20000 rows"): "was recorded up to the INTERRUPT only",
    ("interrupt", "interrupt mid rows"): "and the rest of its rows here",
}
LARGEST_ANSWER = 4 << 20
CLUSTER, LEADER = 16, 0


def addresses(capture: Capture) -> list[str]:
    """The addresses of the nodes, as the recorded answers tell."""
    for step in capture.steps:
        if step.request[4:5] == bytes([CLUSTER]) and step.request[8] == 1 and step.answer[4:5] == b"\3":
            found = []
            at = 16
            for _ in range(struct.unpack_from("<Q", step.answer, 8)[0]):
                end = step.answer.index(0, at + 8)
                found.append(step.answer[at + 8 : end].decode())
                at = ((end + 8) & -8) + 8
            return found
    for step in capture.steps:
        if step.request[4:5] == bytes([LEADER]) and step.answer:
            return [step.answer[8 if capture.handshake != 1 else 16 :].strip(b"\0").decode()]
    return ["127.0.0.1:1"]


def readable(data: bytes, names: list[str]) -> list[str]:
    return [shown(Frame(frame[4], frame[5], frame[8:]), tuple(names)) for frame in frames(data)]


def drain(session: Session, size: int) -> bytes:
    data = bytearray()
    while piece := session.step():
        data += piece
        if len(data) > size + LARGEST_ANSWER:
            break  # rows that never come
    return bytes(data)


def differs(capture: Capture, step: Step, ours: bytes, names: list[str]) -> bool:
    if step.ended and not step.answer:
        return bool(ours)
    if capture.session == "toowide":
        return ours[: len(step.answer)] != step.answer
    return readable(ours, names) != readable(step.answer, names)


@pytest.mark.parametrize("capture", [one for one in captures() if one.server in PLAYED], ids=str)
def test_says_what_the_real_node_said(capture: Capture) -> None:
    names = addresses(capture)
    engine = Engine(generation(capture.server))
    for number, name in enumerate(names):
        engine.cluster.join(Member(number + 1, name, NodeRole.VOTER, live=True))
    engine.cluster.set_leader(engine.cluster.members[0])
    try:
        session = engine.connect(engine.cluster.members[0])
        session.receive(capture.c2s[:8])
        found = {}
        for step in capture.steps:
            session.receive(step.request)
            ours = drain(session, len(step.answer))
            if differs(capture, step, ours, names):
                found[capture.session, step.label] = ours
        assert set(found) == {key for key in DIFFERENCES if key[0] == capture.session}, {
            label: readable(ours, names)[:2] for (_, label), ours in found.items()
        }
    finally:
        engine.close()
