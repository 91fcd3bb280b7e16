"""Every fault between a real node and the blocking example: what the client reports, and what the node did.

The promise of an outcome is held against the node's table: what was NOT_EXECUTED is not there, what was DONE
is, and of UNKNOWN the fault itself says which of both it was.
"""

from __future__ import annotations

import struct
from contextlib import closing
from typing import Any, NamedTuple

import pytest

from dqlitewire.conversation import Outcome
from dqlitewire.faults import kinds
from dqlitewire.faults.words import parse_fault, words_of
from dqlitewire.proxy import BlockingProxy
from tests.conversation.test_examples import example
from tests.real.nodes import Node
from tests.real.raw import PART, RawConnection, frame, text, word
from tests.waiting import wait_for

SERIES = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 3000) SELECT i FROM r"
DONE, NOT_EXECUTED, UNKNOWN = Outcome.DONE, Outcome.NOT_EXECUTED, Outcome.UNKNOWN
LEADER, PREPARE, EXEC, EXEC_SQL, QUERY_SQL, INTERRUPT = 0, 4, 5, 8, 9, 10
PATIENCE = 0.25  # seconds that the client waits for an answer that does not come


class Case(NamedTuple):
    """What a fault makes of `INSERT INTO t VALUES (n)`.

    Attributes:
        words: The fault.
        outcome: What the client reports.
        done: The node has done it; None where a node may or may not.
        open: The connection goes on.
    """

    words: str
    outcome: Outcome
    done: bool | None
    open: bool = True


CASES = [
    Case("fail code=5", NOT_EXECUTED, False),
    Case("fail code=10250", NOT_EXECUTED, False),
    Case("fail code=10506", UNKNOWN, False),
    Case("fail code=10506 executed=yes", UNKNOWN, True),
    Case("drop", UNKNOWN, True, False),
    Case("drop bytes=9 reset", UNKNOWN, True, False),
    Case("drop executed=no", UNKNOWN, False, False),
    Case("drop executed=no reset", UNKNOWN, False, False),
    Case("drop frames=1", DONE, True, False),
    Case("drop direction=request", UNKNOWN, False, False),
    Case("drop bytes=20 direction=request reset", UNKNOWN, False, False),
    Case("drop frames=1 direction=request", UNKNOWN, None, False),
    Case("delay seconds=0.02", DONE, True),
    Case("delay seconds=0.02 direction=request", DONE, True),
    Case("split size=3 pause=0.002", DONE, True),
    Case("split size=5 pause=0.002 direction=request", DONE, True),
    Case("corrupt at=4", UNKNOWN, True, False),
    Case("corrupt at=0 xor=1", UNKNOWN, True, False),
    Case("corrupt at=16 xor=1 direction=request", NOT_EXECUTED, False),  # HNSERT
    Case("corrupt at=0 xor=4 direction=request", UNKNOWN, False, False),  # a longer frame, which never comes
    Case("hold", UNKNOWN, True, False),
    Case("hold direction=request", UNKNOWN, False, False),
]


def test_every_kind_is_tried_both_ways() -> None:
    ways = {(kind, way) for kind, cls in _package_kinds().items() for way in cls.directions}
    assert {(words_of(fault)["kind"], fault.direction) for fault in map(parse_fault, _texts())} == ways


def _package_kinds() -> dict[str, Any]:
    return {kind: cls for kind, cls in kinds().items() if cls.__module__ == "dqlitewire.faults.kinds"}


def _texts() -> list[str]:
    return [case.words for case in CASES]


def numbers(client: Any) -> set[int]:
    return {row[0] for row in client.query("SELECT a FROM t")}


def test_every_fault(real_node: Node, database: str) -> None:
    module = example("blocking_client")
    with (
        closing(module.connect(real_node.address, database)) as direct,
        BlockingProxy({"127.0.0.1:0": real_node.address}, strict=True) as proxy,
    ):
        direct.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        for number, case in enumerate(CASES, 1):
            fault = parse_fault(f"{case.words} on=EXEC_SQL")
            with closing(module.connect(proxy.addresses[0], database)) as client:
                proxy.order(fault)
                if case.words.startswith("hold") or "at=0" in case.words:
                    client.timeout = PATIENCE
                outcome, said = reported(module, client, number)
                assert outcome is case.outcome, (case, said)
                if case.words.startswith("hold"):
                    assert said == "timed out"  # it stays open, and says nothing
                assert fault.hits == 1, case
                if case.open:
                    assert (number in numbers(client)) is case.done, case
                else:
                    with pytest.raises(module.RequestFailed):
                        numbers(client)
            if case.done:
                wait_for(lambda number=number: number in numbers(direct), f"row of {case}")
            wait_for(lambda: not proxy.open_connections, f"end of {case}")
            wait_for(lambda: is_free(module, direct), f"end of the statement of {case}")
        expected = {number for number, case in enumerate(CASES, 1) if case.done}
        maybe = {number for number, case in enumerate(CASES, 1) if case.done is None}
        assert numbers(direct) - maybe == expected
        read_under_faults(module, proxy, database)
        send_ahead(proxy, database)
        assert {row for row in numbers(direct) if row >= 1000} == {1001, 1003, 1005, 1006}
        assert proxy.errors == []
        direct.execute("DROP TABLE t")


def reported(module: Any, client: Any, number: int) -> tuple[Outcome, str]:
    """What the client says became of an INSERT."""
    try:
        client.execute(f"INSERT INTO t VALUES ({number})")
    except module.RequestFailed as failed:
        return failed.outcome, str(failed)
    return DONE, ""


def is_free(module: Any, client: Any) -> bool:
    """Whether nobody writes: a node may still run the statement of a client that has gone."""
    try:
        client.execute("BEGIN IMMEDIATE")
    except module.RequestFailed:
        return False
    client.execute("COMMIT")
    return True


def insert(number: int) -> bytes:
    return frame(EXEC_SQL, word(0) + text(f"INSERT INTO t VALUES ({number})"))


def send_ahead(proxy: BlockingProxy, database: str) -> None:
    """Answers to requests sent ahead keep their order, statements keep their ids, INTERRUPT works."""
    with RawConnection(proxy.addresses[0]) as client:
        client.open(database)
        proxy.order(parse_fault("fail code=5 on=EXEC_SQL after=1"))
        proxy.order(parse_fault("delay seconds=0.01 on=EXEC_SQL after=2"))
        client.send(insert(1001) + insert(1002) + insert(1003) + frame(LEADER, word(0)))
        assert [client.frame().kind for _ in range(4)] == [6, 0, 6, 1]
        proxy.order(parse_fault("fail code=5 on=PREPARE"))
        proxy.order(parse_fault("fail code=5 on=EXEC sql=1004"))
        proxy.order(parse_fault("fail code=10506 executed=yes on=EXEC sql=1005"))
        for sql, answers in [(1004, [0, 5, 0]), (1005, [5, 0]), (1006, [5, 6])]:
            preparing = frame(PREPARE, word(0) + text(f"INSERT INTO t VALUES ({sql})"))
            running = frame(EXEC, struct.pack("<II", 0, sql - 1004))
            client.send(preparing * (len(answers) - 1) + running)
            assert [client.frame().kind for _ in answers] == answers, sql
        proxy.order(parse_fault("delay seconds=0.01 on=INTERRUPT"))
        proxy.order(parse_fault("split size=3000 on=QUERY_SQL"))
        client.send(frame(QUERY_SQL, word(0) + text(SERIES)))  # which no node stops in the middle
        assert client.frame().body.endswith(PART)
        client.send(frame(INTERRUPT, word(0)) + insert(1001))
        while (answer := client.frame()).kind == 7:
            pass
        assert answer.kind == 8
        assert client.frame().failure[0] == 1555  # it is there


def read_under_faults(module: Any, proxy: BlockingProxy, database: str) -> None:
    """Read 3000 rows: whatever happens, nothing was changed, and what comes is the beginning of them."""
    for words, least, most in [
        ("fail code=10506 executed=yes", 0, 0),
        ("drop frames=2 bytes=100", 1, 2999),
        ("split size=100", 3000, 3000),
        ("delay seconds=0.01 sql=RECURSIVE", 3000, 3000),
    ]:
        proxy.order(parse_fault(f"{words} on=QUERY_SQL"))
        found: list[int] = []
        with closing(module.connect(proxy.addresses[0], database)) as client:
            try:
                found.extend(row[0] for row in client.query(SERIES))
                outcome = DONE
            except module.RequestFailed as failed:
                outcome = failed.outcome
        assert outcome is (DONE if most == 3000 else NOT_EXECUTED), words
        assert least <= len(found) <= most, words
        assert found == list(range(1, len(found) + 1)), words
