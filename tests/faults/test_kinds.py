"""Every kind of fault with every word of selection, without a server: what is struck, and how often.

`Host` does for a list of requests what a server or a proxy does, and keeps what became of each.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple

import pytest

from dqlitewire.constants import RequestType
from dqlitewire.faults import (
    ConnectionFaults,
    Corrupt,
    Delay,
    Drop,
    Effects,
    Fail,
    Fault,
    FaultList,
    FaultMethods,
    Hold,
    RequestRecord,
    Split,
    Strike,
    UnusedFaultError,
    kinds,
)
from dqlitewire.faults import strike as strike_module
from dqlitewire.messages import (
    ExecRequest,
    ExecSqlRequest,
    FailureResponse,
    FinalizeRequest,
    LeaderRequest,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    ResultResponse,
    StmtResponse,
)
from dqlitewire.messages.base import Message

ANSWER = ResultResponse(1, 2).encode()
FAILURE = FailureResponse(5, "database is locked").encode()
SELECT, INSERT = QuerySqlRequest(0, "SELECT 1"), ExecSqlRequest(0, "INSERT INTO t VALUES (1)")


class Fate(NamedTuple):
    """What became of a request: bytes that reached the node, that it answered, and what else was wanted."""

    executed: bool
    arrived: bytes
    sent: bytes
    pause: float = 0.0
    write_size: int | None = None
    closed: bool = False
    held: bool = False


class Host:
    """Two connections to a node that gives one answer to all."""

    def __init__(self, *faults: Fault, seed: int = 0) -> None:
        self.faults = FaultList(seed)
        self.connections = {number: ConnectionFaults(self.faults, number) for number in (1, 2)}
        for fault in faults:
            self.faults.order(fault)

    def __call__(self, message: Message, connection: int = 1, answers: Iterable[bytes] = (ANSWER,)) -> Fate:
        sent = message.encode()
        faults = self.connections[connection]
        request = faults.asked(sent[4], sent[5], sent[8:])
        way, back = faults.requests, faults.responses
        way.begin(request)
        arrived = b"" if way.closed else way.frame(sent)
        way.end()
        pause, size = way.pause, way.write_size
        if way.held or way.closed:
            return Fate(False, arrived, b"", pause, size, way.closed, way.held)
        faults.begin_answer(request)
        if back.closed:
            return Fate(back.executed, arrived, b"", closed=True)
        frames = list(answers) if back.replacement is None else [back.replacement]
        out = b""
        for data in frames:
            out += faults.answer(data)
            pause, size = pause + back.pause, back.write_size or size
            if back.closed:
                break
        back.end()
        return Fate(back.executed, arrived, out, pause, size, back.closed, back.held)


def untouched(message: Message) -> Fate:
    return Fate(True, message.encode(), ANSWER)


RESPONSE: dict[str, tuple[type[Fault], dict[str, Any], Callable[[Message], Fate]]] = {
    "fail": (Fail, {"code": 5}, lambda m: Fate(False, m.encode(), FAILURE)),
    "drop": (Drop, {"bytes": 3}, lambda m: Fate(True, m.encode(), ANSWER[:3], closed=True)),
    "delay": (Delay, {"seconds": 0.5}, lambda m: Fate(True, m.encode(), ANSWER, pause=0.5)),
    "split": (Split, {"size": 7, "pause": 0.1}, lambda m: Fate(True, m.encode(), ANSWER, write_size=7)),
    "corrupt": (
        Corrupt,
        {"at": 4, "xor": 0xFF},
        lambda m: Fate(True, m.encode(), ANSWER[:4] + bytes([ANSWER[4] ^ 0xFF]) + ANSWER[5:]),
    ),
    "hold": (Hold, {}, lambda m: Fate(True, m.encode(), b"", held=True)),
}
REQUEST: dict[str, Callable[[Message], Fate]] = {
    "drop": lambda m: Fate(False, m.encode()[:3], b"", closed=True),
    "delay": lambda m: untouched(m)._replace(pause=0.5),
    "split": lambda m: untouched(m)._replace(write_size=7),
    "corrupt": lambda m: untouched(m)._replace(
        arrived=m.encode()[:4] + bytes([m.encode()[4] ^ 0xFF]) + m.encode()[5:]
    ),
    "hold": lambda m: Fate(False, b"", b"", held=True),
}
KINDS = pytest.mark.parametrize("kind", RESPONSE)


def made(kind: str, **selection: Any) -> Fault:
    make, words, _ = RESPONSE[kind]
    return make(**words, **selection)


def struck(kind: str, message: Message) -> Fate:
    return RESPONSE[kind][2](message)


def test_the_kinds_are_known_by_their_words() -> None:
    assert {word: kind for word, kind in kinds().items() if kind.__module__ == "dqlitewire.faults.kinds"} == {
        word: kind for word, (kind, _, _) in RESPONSE.items()
    }
    common = {field.name for field in dataclasses.fields(Fault)}
    words = {
        word: {field.name for field in dataclasses.fields(kind)} - common
        for word, kind in kinds().items()
        if word in RESPONSE
    }
    assert words == {
        "fail": {"code", "message", "executed"},
        "drop": {"frames", "bytes", "reset", "executed"},
        "delay": {"seconds"},
        "split": {"size", "pause"},
        "corrupt": {"change", "at", "xor"},
        "hold": set(),
    }
    assert common == {"on", "sql", "connection", "times", "after", "direction", "probability"}


# ---------------------------------------------------------------- each kind, each word


@KINDS
@pytest.mark.parametrize("on", ["QUERY_SQL", "query_sql", RequestType.QUERY_SQL, 9, QuerySqlRequest])
def test_on(kind: str, on: Any) -> None:
    fault = made(kind, on=on)
    host = Host(fault)
    assert host(INSERT) == untouched(INSERT)
    assert fault.hits == 0
    assert host(SELECT) == struck(kind, SELECT)
    assert fault.hits == 1
    assert fault.over


@KINDS
@pytest.mark.parametrize("on", [("query_sql", OpenRequest), {"OPEN", RequestType.QUERY_SQL}])
def test_on_one_of_several(kind: str, on: Any) -> None:
    host = Host(made(kind, on=on))
    assert host(INSERT) == untouched(INSERT)
    assert host(SELECT) == struck(kind, SELECT)


@KINDS
@pytest.mark.parametrize("sql", ["INSERT INTO t", "^I.*\\)$", re.compile("insert", re.I)])
def test_sql(kind: str, sql: Any) -> None:
    fault = made(kind, sql=sql)
    host = Host(fault)
    assert host(SELECT) == untouched(SELECT)
    assert host(LeaderRequest()) == untouched(LeaderRequest())  # a request without a text is not selected
    assert host(INSERT) == struck(kind, INSERT)
    assert fault.hits == 1


@KINDS
@pytest.mark.parametrize("request_class", [ExecRequest, QueryRequest])
def test_sql_of_prepared_statements(kind: str, request_class: Any) -> None:
    host = Host()
    for number, sql in enumerate(["SELECT 1", "DELETE FROM t"]):
        host(PrepareRequest(0, sql), answers=[StmtResponse(0, number, 0).encode()])
    host(PrepareRequest(0, "DELETE nonsense"), answers=[FAILURE])
    host.faults.order(made(kind, sql="DELETE", on=["EXEC", "QUERY"]))
    other, wanted, unknown = (request_class(0, number) for number in range(3))
    assert host(unknown) == untouched(unknown)
    assert host(other) == untouched(other)
    assert host(wanted, connection=2) == untouched(wanted)  # ids are the connection's own
    assert host(wanted) == struck(kind, wanted)


def test_sql_of_a_statement_that_is_finalized_or_made_anew() -> None:
    fault = Fail(5, sql="DELETE", on="EXEC", times=None)
    host = Host(fault)
    statement = ExecRequest(0, 0)
    host(PrepareRequest(0, "DELETE FROM t"), answers=[StmtResponse(0, 0, 0).encode()])
    assert host(statement).sent == FAILURE
    host(FinalizeRequest(0, 0))
    assert host(statement) == untouched(statement)
    host(PrepareRequest(0, "SELECT 1"), answers=[StmtResponse(0, 0, 0, 0).encode()])
    assert host(statement) == untouched(statement)
    assert fault.hits == 1


@KINDS
def test_connection(kind: str) -> None:
    host = Host(made(kind, connection=2))
    assert host(SELECT, 1) == untouched(SELECT)
    assert host(SELECT, 2) == struck(kind, SELECT)
    assert host(SELECT, 1) == untouched(SELECT)


@KINDS
def test_times(kind: str) -> None:
    """One unless said; `times` of those that go on count connections."""
    once, twice = made(kind), made(kind, times=2)
    host = Host(once)
    assert host(SELECT, 1) == struck(kind, SELECT)
    assert host(SELECT, 2) == untouched(SELECT)
    assert (once.hits, once.over) == (1, True)
    host = Host(twice)
    assert [host(SELECT, 1), host(SELECT, 2)] == [struck(kind, SELECT)] * 2
    assert (twice.hits, twice.over) == (2, True)


@KINDS
def test_times_for_ever(kind: str) -> None:
    fault = made(kind, times=None)
    host = Host(fault)
    fates = [host(SELECT, 1) for _ in range(5)]
    going_on = fault.goes_on and kind != "hold"
    assert fates[: 1 if going_on else 5] == [struck(kind, SELECT)] * (1 if going_on else 5)
    assert fault.hits == (1 if fault.goes_on else 5)
    assert not fault.over
    fault.cancel()
    assert fault.over
    assert host(SELECT, 2) == untouched(SELECT)


@KINDS
def test_after(kind: str) -> None:
    fault = made(kind, after=2, on="QUERY_SQL")
    host = Host(fault)
    for message in (SELECT, INSERT, SELECT, INSERT):  # only what is selected counts
        assert host(message) == untouched(message)
    assert host(SELECT) == struck(kind, SELECT)
    assert fault.hits == 1


@pytest.mark.parametrize("kind", REQUEST)
def test_direction_request(kind: str) -> None:
    fault = made(kind, direction="request", on="QUERY_SQL")
    host = Host(fault)
    assert host(INSERT) == untouched(INSERT)
    assert host(SELECT) == REQUEST[kind](SELECT)
    assert fault.hits == 1


def test_a_failure_is_an_answer() -> None:
    with pytest.raises(ValueError, match="direction 'request', must be response"):
        Fail(5, direction="request")


@KINDS
def test_probability(kind: str) -> None:
    """The same seed gives the same strikes, whatever else is ordered."""

    def strikes(seed: int, *others: Fault) -> list[bool]:
        fault = made(kind, probability=0.5, times=None, on="QUERY_SQL")
        host = Host(fault, *others, seed=seed)
        found = []
        for _ in range(60):
            before = fault.hits
            host.connections[1] = ConnectionFaults(host.faults, 1)  # a new one: some faults go on
            host(SELECT)
            found.append(fault.hits > before)
        return found

    first = strikes(1)
    assert 10 < sum(first) < 50
    assert strikes(1) == first
    assert strikes(1, Delay(1, probability=0.5, times=None)) == first
    assert strikes(2) != first
    assert Host(made(kind, probability=0))(SELECT) == untouched(SELECT)
    assert Host(made(kind, probability=1))(SELECT) == struck(kind, SELECT)


@KINDS
def test_all_words_must_agree(kind: str) -> None:
    fault = made(kind, on="QUERY_SQL", sql="1$", connection=2, after=1)
    host = Host(fault)
    for message, connection in ((SELECT, 1), (INSERT, 2), (QuerySqlRequest(0, "SELECT 2"), 2), (SELECT, 2)):
        assert host(message, connection) == untouched(message)
    assert host(SELECT, 2) == struck(kind, SELECT)
    assert fault.hits == 1


@KINDS
@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ({"sql": "("}, ValueError, r"sql '\(', must be a regular expression"),
        ({"sql": 7}, TypeError, "sql 7, must be a regular expression"),
        ({"sql": re.compile(b"x")}, TypeError, "sql b'x', must be a regular expression"),
        ({"direction": "answer"}, ValueError, "direction 'answer', must be response"),
        ({"direction": 7}, TypeError, "direction 7, must be a str"),
        ({"probability": 1.5}, ValueError, "probability 1.5, must be 0 to 1"),
        ({"probability": float("nan")}, ValueError, "probability nan, must be 0 to 1"),
        ({"probability": "1"}, TypeError, "probability '1', must be a number"),
        ({"times": 0}, ValueError, "times 0, must be at least 1"),
        ({"on": "nothing"}, ValueError, "on 'nothing', must be a RequestType or its name"),
    ],
)
def test_words_without_sense(kind: str, words: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        made(kind, **words)


# ---------------------------------------------------------------- several, and frames


def test_the_first_failure_answers_and_the_next_one_waits() -> None:
    first, second, delay = Fail(5), Fail(5, executed=True), Delay(1, times=2)
    host = Host(first, second, delay)
    assert host(SELECT) == Fate(False, SELECT.encode(), FAILURE, pause=1)
    assert (first.hits, second.hits, delay.hits) == (1, 0, 1)
    assert host(SELECT) == Fate(True, SELECT.encode(), FAILURE, pause=1)
    assert (first.hits, second.hits, delay.hits) == (1, 1, 2)


def test_frames_of_one_answer() -> None:
    """A delay comes once, the others with each frame; a drop counts what would have gone out."""
    answers = [bytes([number]) * 16 for number in range(4)]
    assert Host(Delay(1))(SELECT, answers=answers).pause == 1
    assert Host(Corrupt(lambda data: data[:4]))(SELECT, answers=answers).sent == b"".join(
        d[:4] for d in answers
    )
    host = Host(Drop(frames=1, bytes=6), Corrupt(lambda data: data[:4]))
    assert host(SELECT, answers=answers) == Fate(
        True, SELECT.encode(), answers[0][:4] + answers[1][:4] + answers[2][:2], closed=True
    )


def test_a_drop_counts_over_answers_and_strikes_a_connection_once() -> None:
    drop = Drop(frames=3, times=2)
    host = Host(drop)
    assert [host(SELECT, 1).closed for _ in range(3)] == [False, False, True]
    assert drop.hits == 1
    assert [host(SELECT, 2).closed for _ in range(3)] == [False, False, True]
    assert drop.hits == 2


# ---------------------------------------------------------------- somebody's own


class Noted(Fault):
    """Write down what it is called for, and repeat each frame."""

    copies: int = 2
    kept: ClassVar[list[str]] = []

    def begin(self, strike: Strike) -> None:
        self.kept.append(f"begin {strike.request.index} {strike.sql}")

    def frame(self, strike: Strike, data: bytes) -> bytes:
        strike.state = [*(strike.state or []), strike.frames]
        return data * self.copies

    def end(self, strike: Strike) -> None:
        self.kept.append(f"end {strike.state}")


def test_a_class_of_somebodys_own() -> None:
    fault = Noted(copies=3, on="query_sql", after=1, times=2)
    host = Host(fault)
    fates = [host(SELECT, answers=[ANSWER, ANSWER]) for _ in range(4)]
    assert [len(fate.sent) // len(ANSWER) for fate in fates] == [2, 6, 6, 2]
    assert Noted.kept == ["begin 2 SELECT 1", "end [0, 1]", "begin 3 SELECT 1", "end [0, 1]"]
    assert (fault.hits, fault.over) == (2, True)
    assert repr(fault) == "<Noted, copies 3, on QUERY_SQL, over, 2 hits>"
    assert kinds()["noted"] is Noted
    with pytest.raises(TypeError):
        Noted(pieces=1)  # type: ignore[call-arg]


def test_a_constructor_of_ones_own() -> None:
    class Slow(Delay):
        def __init__(self, minutes: float, **selection: Any) -> None:
            super().__init__(60 * minutes, **selection)

    fault = Slow(2, on="QUERY_SQL")
    assert Host(fault)(SELECT).pause == 120
    assert repr(fault) == "<Slow, 120 s, on QUERY_SQL, over, 1 hits>"


def test_a_prepared_text_is_known_when_requests_come_ahead() -> None:
    faults = ConnectionFaults(FaultList(), 1)
    first, second = (
        faults.asked(data[4], data[5], data[8:])
        for data in (PrepareRequest(0, "SELECT 1").encode(), LeaderRequest().encode())
    )
    faults.begin_answer(first)
    faults.answer(StmtResponse(0, 7, 0).encode())
    faults.responses.end()
    faults.begin_answer(second)
    body = QueryRequest(0, 7).encode()[8:]
    assert faults.asked(RequestType.QUERY, 0, body).prepared_sql == "SELECT 1"


def test_a_fault_is_compared_by_identity() -> None:
    assert Noted() != Noted()
    assert len({Noted(), Noted()}) == 2


def test_the_end_of_a_connection_ends_what_goes_on() -> None:
    ended: list[int] = []

    class Lasting(Fault):
        goes_on: ClassVar[bool] = True

        def end(self, strike: Strike) -> None:
            ended.append(strike.frames)

    host = Host(Lasting())
    host(SELECT)
    host(SELECT)
    assert ended == []
    host.connections[1].leave()
    assert ended == [2]


# ---------------------------------------------------------------- orders that were never hit


def test_an_order_that_was_never_hit_is_named_with_what_came() -> None:
    hit, typo, text, never = Fail(5), Fail(5, on="QUERY"), Delay(1, sql="UPDATE"), Hold(connection=2)
    host = Host(hit, typo, text, never)
    for _ in range(3):
        host(SELECT)
    typo.cancel()
    with pytest.raises(UnusedFaultError) as raised:
        host.faults.check_used()
    assert str(raised.value).splitlines() == [
        "faults that never hit: 3",
        "  <Fail, 5 'database is locked', on QUERY, over, 0 hits>, came: QUERY_SQL 3",
        "  <Delay, 1 s, sql 'UPDATE', 1 to come, 0 hits>, came: QUERY_SQL 'SELECT 1' 3",
        "  <Hold, connection 2, 1 to come, 0 hits>, came: QUERY_SQL on connection 1 3",
    ]
    host.faults.check_used()  # told once


def test_an_order_to_which_nothing_came() -> None:
    host = Host(Fail(5))
    with pytest.raises(UnusedFaultError, match="nothing came"):
        host.faults.check_used()


def test_nothing_heavy_is_needed() -> None:
    """The proxy and the command line use the faults without the server's database."""
    script = (
        "import sys; sys.modules['apsw'] = sys.modules['typer'] = None; import dqlitewire.faults; "
        "heavy = {'socket', 'asyncio', 'selectors', 'dqlitewire.testing', 'dqlitewire.conversation'}; "
        "print(heavy & {*sys.modules})"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True
    )
    assert finished.stdout.strip() == "set()"


def test_records_and_effects_are_plain_data() -> None:
    record = RequestRecord(1, 8, 0, INSERT.encode()[8:])
    assert (record.sql, record.index, record.prepared_sql) == (INSERT.sql, 0, None)
    assert RequestRecord(1, 3, 0, OpenRequest("x").encode()[8:]).sql is None
    assert Effects() == Effects()


def test_which_requests_have_a_text_or_a_statement() -> None:
    with_sql = {RequestType.PREPARE, RequestType.EXEC_SQL, RequestType.QUERY_SQL}
    with_statement = {RequestType.EXEC, RequestType.QUERY, RequestType.FINALIZE}
    assert getattr(strike_module, "_WITH_SQL") == with_sql  # noqa: B009
    assert with_statement == strike_module.WITH_STATEMENT


class Documented(Fault):
    """Do something.

    Args:
        count: How often.

    Raises:
        OSError: Never.
    """

    count: int = 1


def test_the_docstring_of_a_kind_has_the_arguments_of_all() -> None:
    for kind in (Fail, Drop, Delay, Split, Corrupt, Hold, Documented, FaultMethods.fail_next):
        doc = inspect.getdoc(kind)
        for name in inspect.signature(kind).parameters:
            assert name == "self" or re.search(rf"(?m)^    {name}: ", doc or ""), (kind, name)
    lines = (Documented.__doc__ or "").splitlines()
    assert lines[:5] == ["Do something.", "", "Args:", "    count: How often.", lines[4]]
    assert lines[4].startswith("    on: ")
    assert lines[-3:] == ["", "Raises:", "    OSError: Never."]


# ---------------------------------------------------------------- ids


def test_faults_have_ids_and_are_listed_until_they_are_removed() -> None:
    first, second, third = Fail(5), Hold(times=None), Delay(1, on="OPEN")
    host = Host()
    assert [host.faults.order(fault) for fault in (first, second, third)] == [1, 2, 3]
    host(SELECT)
    assert host.faults.listed() == [(1, first), (2, second), (3, third)]  # the first one is over
    assert [(fault.hits, fault.over) for _, fault in host.faults.listed()] == [
        (1, True),
        (1, False),
        (0, False),
    ]
    assert host.faults.remove(1) is first
    assert host.faults.remove(2) is second
    assert second.over
    assert host(SELECT, 2) == untouched(SELECT)
    for gone in (1, 2, 4, 0):
        with pytest.raises(LookupError, match=f"fault {gone}, must be the id of one that is listed"):
            host.faults.remove(gone)
    host.faults.clear()
    assert host.faults.listed() == []
    assert third.over
    assert host.faults.order(Fail(5)) == 4


def test_of_faults_that_are_over_the_last_ones_are_listed() -> None:
    host = Host()
    for _ in range(1030):
        host.faults.order(Delay(1))
    host(SELECT)
    assert [number for number, _ in host.faults.listed()] == list(range(7, 1031))
