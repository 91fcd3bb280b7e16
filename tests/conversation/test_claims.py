"""Whatever a conversation claims is true: drawn scripts on real nodes and on the embedded server.

After every step the server itself is asked, on the same connection but past the conversation, whether a
transaction is open (BEGIN fails then) and which rows are there. The claims are compared with that, once by a
client that knows the generation and once by one that does not; then the answers of node and embedded server
are compared with each other.

    DQLITE_WIRE_HYPOTHESIS=thorough pytest tests/conversation/test_claims.py     2000 scripts instead of 50
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import Phase, given, settings

from dqlitewire.conversation import (
    Answered,
    ClientConversation,
    Event,
    Failed,
    Generation,
    Hazard,
    HazardError,
    Interrupted,
    Outcome,
    Rows,
    SessionLost,
)
from dqlitewire.messages import (
    DbResponse,
    EmptyResponse,
    ExecRequest,
    ExecSqlRequest,
    FailureResponse,
    FinalizeRequest,
    InterruptRequest,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    ResultResponse,
    RowsResponse,
    StmtResponse,
    TransferRequest,
)
from dqlitewire.servers.failures import changes_something
from dqlitewire.sql.survey import survey
from dqlitewire.testing import DqliteServer
from tests.conversation.peer import Peer
from tests.conversation.playbook import Playbook
from tests.conversation.scripts import TABLES, Script, Step, scripts
from tests.conversation.test_real import GENERATIONS, NEWEST
from tests.real.fixtures import SharedNodes
from tests.real.moved import note
from tests.real.nodes import KINDS, PLAYED, Cluster
from tests.real.session import Session

THOROUGH = os.environ.get("DQLITE_WIRE_HYPOTHESIS") == "thorough"
SCRIPTS = settings(max_examples=2000 if THOROUGH else 50, phases=[Phase.explicit, Phase.generate])
BEGINS = {cls.MSG_TYPE for cls in (PrepareRequest, ExecSqlRequest, QuerySqlRequest, InterruptRequest)}
ENDING = {"COMMIT", "END", "ROLLBACK", "RELEASE"}
_numbers = itertools.count(1)

STATE = " UNION ALL ".join(
    f"SELECT '{table}' AS x, rowid AS r, quote(a) AS a, quote(b) AS b FROM {table}"
    for table in TABLES
    if table != "p"
)
SCHEMA = "SELECT name AS x, coalesce(sql, '') AS y FROM sqlite_schema"


class Truth(NamedTuple):
    """What the server says: whether a transaction is open, and what its connection sees."""

    in_transaction: bool
    rows: tuple[Any, ...]


class Spoken:
    """One connection: a conversation that knows the generation, one that does not, and the truth."""

    def __init__(self, address: str, generation: Generation, database: str) -> None:
        self.session = Session(address)
        self.session.socket.settimeout(60)
        self.knowing = ClientConversation(generation=generation)
        self.ignorant = ClientConversation()
        self.knowing.send(OpenRequest(database))
        self.ignorant.send(OpenRequest(database))
        try:
            answer = self.session.call(OpenRequest(database))
            for client in self.clients:
                client.receive(answer.encode())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Spoken:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def clients(self) -> tuple[ClientConversation, ClientConversation]:
        return self.knowing, self.ignorant

    def take_schema(self, text: str) -> None:
        assert isinstance(self.session.call(ExecSqlRequest(0, text)), ResultResponse)

    def send(self, request: Any) -> None:
        """Send a request unless the client that knows the server refuses it."""
        frame = self.knowing.send(request)
        self.ignorant.send(request, allow=Hazard.ALL)
        self.session.socket.sendall(frame)

    def rest(self) -> tuple[list[Event], list[Event]]:
        """The events of both until nothing is open."""
        heard: tuple[list[Event], list[Event]] = [], []
        while not self.knowing.idle:
            data = self.session.socket.recv(1 << 16)
            assert data, "closed by the server"
            for client, events in zip(self.clients, heard, strict=True):
                events += client.receive(data)
        return heard

    def truth(self) -> Truth:
        begun = self.session.call(ExecSqlRequest(0, "BEGIN"))
        if isinstance(begun, FailureResponse):
            assert "within a transaction" in begun.message
        else:
            assert isinstance(self.session.call(ExecSqlRequest(0, "ROLLBACK")), ResultResponse)
        tables = [table for (table, _) in self.session.rows(SCHEMA) if table == "p"]
        parents = self.session.rows("SELECT a, quote(b) AS b FROM p") if tables else []
        rows = (*self.session.rows(STATE), *parents, *self.session.rows(SCHEMA))
        return Truth(isinstance(begun, FailureResponse), tuple(map(tuple, rows)))

    def close(self) -> None:
        self.session.socket.close()


def requests(step: Step) -> Iterator[Any]:
    """The requests of a step; behind a PREPARE the others name the lowest id, which is the free one."""
    match step.via:
        case "exec_sql":
            yield ExecSqlRequest(0, step.sql)
        case "query_sql":
            yield QuerySqlRequest(0, step.sql)
        case "interrupted":
            yield QuerySqlRequest(0, step.sql)
            yield InterruptRequest()
        case "exec" | "query":
            yield PrepareRequest(0, step.sql)
            yield (ExecRequest if step.via == "exec" else QueryRequest)(0, 0)
            yield FinalizeRequest(0, 0)


def run(spoken: Spoken, step: Step) -> tuple[list[Event], list[Event]]:
    """Take a step; what the client refuses is not taken further."""
    heard: tuple[list[Event], list[Event]] = [], []
    for request in requests(step):
        if not (step.ahead or spoken.knowing.session.statements or request.MSG_TYPE in BEGINS):
            break
        try:
            spoken.send(request)
        except HazardError:
            continue
        if not step.ahead and step.via != "interrupted":
            for events, more in zip(heard, spoken.rest(), strict=True):
                events += more
    for events, more in zip(heard, spoken.rest(), strict=True):
        events += more
    return heard


def judge(events: list[Event], client: ClientConversation, before: Truth, after: Truth, step: Step) -> None:
    """Compare the claims of one client with the truth."""
    session = client.session
    assert session.in_transaction in (None, after.in_transaction), (step, events)
    assert session.is_open is True
    assert not session.statements
    assert not any(isinstance(event, SessionLost) for event in events)
    ends = [event for event in events if not isinstance(event, Rows) or event.last]
    for event in ends:
        if isinstance(event, Failed):
            assert event.explanation.outcome is event.outcome
    if all(claims_nothing(event, step) for event in ends):
        assert after == before, (step, events)


def claims_nothing(event: Event, step: Step) -> bool:
    """Whether an event says that its request changed nothing, or would say so without an answer."""
    if isinstance(event, (Failed, Interrupted)) and event.outcome is Outcome.NOT_EXECUTED:
        return True
    request = event.request  # type: ignore[attr-defined]
    return not changes_something(request.MSG_TYPE, survey(step.sql))


# ---------------------------------------------------------------- what is said by both

# what SQLite of another release words in another way: nothing of what the drawn scripts bring about
WORDED: tuple[tuple[re.Pattern[str], str], ...] = ()


def said(events: list[Event], step: Step) -> list[Any]:
    """The events of a step as they are compared between servers; other statements leave counts as they were,
    or do not, from release to release."""
    counts = {"INSERT", "UPDATE", "DELETE", "REPLACE"}.issuperset(survey(step.sql).verbs[-1:] or ("",))
    return [line for event in events for line in one_said(event, counts)]


def one_said(event: Event, counts: bool) -> list[Any]:
    match event:
        case Failed(_, FailureResponse(code, message), _):
            return [("failed", code, worded(message))]
        case Rows(_, message, _):
            return [("row", *row) for row in message.rows]
        case Answered(_, ResultResponse(row_id, changed)) if counts:
            return [("result", row_id, changed)]
        case Answered(request, _):
            return [type(request).__name__]
        case Interrupted(_, discarded, outcome):  # nothing is discarded where the query was stopped at once
            return [("interrupted", discarded, outcome)]
        case _:
            return [type(event).__name__]


def worded(message: str) -> str:
    for pattern, instead in WORDED:
        message = pattern.sub(instead, message)
    return message


def speak(address: str, generation: Generation, script: Script) -> list[Any]:
    """Take the steps of a script on a database of its own; return what was said and what was true."""
    log: list[Any] = []
    with Spoken(address, generation, f"claims-{os.getpid()}-{next(_numbers)}.db") as spoken:
        spoken.take_schema(script.schema)
        truth = spoken.truth()
        for step in steps_for(generation, script):
            if step is None:
                if not truth.in_transaction:
                    run(spoken, Step("exec_sql", "BEGIN"))
                    truth = spoken.truth()
                continue
            before, heard = truth, run(spoken, step)
            truth = spoken.truth()
            for events, client in zip(heard, spoken.clients, strict=True):
                judge(events, client, before, truth, step)
            log.append((step, said(heard[0], step), truth))
    return log


def same(ours: list[Any], theirs: list[Any]) -> None:
    """Compare what the embedded server said and did with what a node said and did."""
    for (step, *our), (_, *their) in zip(ours, theirs, strict=True):
        if step.via == "interrupted" and our != their:
            return  # the embedded server stops a query, real nodes let it run
        assert our[0] == their[0], step
        differing = set(our[1].rows) ^ set(their[1].rows)
        if differing and their[1].in_transaction and not UNDONE_BY_RELEASE.isdisjoint(codes(their[0])):
            return  # from here on the two have other rows
        assert our[1] == their[1], (step, differing)


# ERROR, MISMATCH: inside of a transaction, whether the rows before stay depends on whether SQLite keeps a
# journal of the statement, which it does in other cases from release to release
UNDONE_BY_RELEASE = {1, 20}


def codes(lines: list[Any]) -> set[int]:
    return {line[1] for line in lines if line[0] == "failed"}


def steps_for(generation: Generation, script: Script) -> Iterator[Step | None]:
    """The steps that a node survives; None stands for a BEGIN where no transaction is open.

    From 1.18.2 on, a statement that fails and yet commits (FAIL, outside of a transaction) leaves frames in
    the WAL that nobody replicates: its connection is never answered again, and later nor are others. So with
    a FAIL anywhere in the script, everything runs in transactions.
    """
    if generation < Generation.V1_18_2 or "FAIL" not in f"{script}":
        yield from script.steps
        return
    for step in script.steps:
        verbs = survey(step.sql).verbs
        if len(verbs) > 1 and not ENDING.isdisjoint(verbs):
            continue
        yield None
        yield step


@pytest.mark.parametrize("kind", KINDS)
def test_claims_are_true(request: pytest.FixtureRequest, real_nodes: SharedNodes, kind: str) -> None:
    note(request, kind)
    node = real_nodes(kind)
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(DqliteServer(generation=kind)) if kind in PLAYED else None

        @SCRIPTS
        @given(scripts())
        def whole(script: Script) -> None:
            theirs = speak(node.address, GENERATIONS[kind], script)
            if ours is not None:
                same(speak(ours.address, GENERATIONS[kind], script), theirs)
                assert not ours.errors

        try:
            whole()
        finally:
            real_nodes.check()


# ---------------------------------------------------------------- what drawn scripts do not reach


@pytest.mark.parametrize("kind", KINDS)
def test_claims_while_another_connection_writes(
    request: pytest.FixtureRequest, real_nodes: SharedNodes, kind: str, database: str
) -> None:
    note(request, kind)
    node = real_nodes(kind)
    insert = "INSERT INTO t VALUES (1, 1)"
    with (
        Spoken(node.address, GENERATIONS[kind], database) as spoken,
        Session(node.address, database) as other,
    ):
        spoken.take_schema("CREATE TABLE t (a, b); CREATE TABLE s (a, b); CREATE TABLE child (a, b);")
        spoken.take_schema("CREATE TABLE plain (a, b); CREATE TABLE big (a, b)")
        for own, others, code in [
            ([], ["BEGIN IMMEDIATE"], 5),
            (["BEGIN"], ["BEGIN IMMEDIATE"], 5),
            (["BEGIN", "SELECT a FROM t"], [insert], 517),
            (["BEGIN", "SAVEPOINT a", "SELECT a FROM t"], [insert], 517),
        ]:
            for sql in own:
                via = "query_sql" if sql.startswith("SELECT") else "exec_sql"
                run(spoken, Step(via, sql))
            for sql in others:
                other.execute(sql)
            for via in ("exec_sql", "exec", "query"):
                before = spoken.truth()
                heard = run(spoken, Step(via, insert))
                after = spoken.truth()
                for events, client in zip(heard, spoken.clients, strict=True):
                    judge(events, client, before, after, Step(via, insert))
                    assert client.session.in_transaction is bool(own)
                    (failed,) = (event for event in events if isinstance(event, Failed))
                    known = failed.failure.code == code
                    assert known or (kind == KINDS[0] and via == "query"), failed
                    assert failed.outcome is Outcome.NOT_EXECUTED
            if "IMMEDIATE" in others[0]:
                other.execute("ROLLBACK")
            if own:
                run(spoken, Step("exec_sql", "ROLLBACK"))
                assert spoken.knowing.session.in_transaction is False


@pytest.mark.parametrize("kind", KINDS)
def test_a_follower_that_opens_has_lost_nothing(
    kind: str, real_cluster: Callable[..., Cluster], database: str
) -> None:
    cluster = real_cluster(kind, 2)
    open_, insert = OpenRequest(database), ExecSqlRequest(0, "CREATE TABLE t (a)")
    with Peer(cluster.nodes[1].address) as peer:
        session = peer.conversation.session
        (opened,) = peer.ask(open_)
        if kind == NEWEST:
            assert isinstance(opened, Failed)
            assert (opened.failure.code, session.is_open) == (10250, False)
        else:
            assert [type(event) for event in peer.ask(insert)] == [Failed]  # nothing is lost
            assert (session.is_open, session.database) == (None, database)
            (again,) = peer.ask(open_)
            assert isinstance(again, Failed)
            assert "already open" in again.failure.message
            assert (session.is_open, session.database) == (True, database)
    with Peer(cluster.nodes[0].address).open(database) as peer:
        session = peer.conversation.session
        peer.message(insert)
        peer.message(ExecSqlRequest(0, "BEGIN"))
        transfer = TransferRequest(2)
        assert peer.ask(transfer) == [
            Answered(transfer, EmptyResponse()),
            SessionLost(database, (), True),
        ]
        assert (session.is_open, session.database, session.in_transaction) == (False, None, False)
        (failed,) = peer.ask(FinalizeRequest(0, 0))
        assert isinstance(failed, Failed)
        assert failed.failure.message == "no database opened"


def test_the_text_of_a_statement_is_the_one_that_ran() -> None:
    play = opened()
    for request in (PrepareRequest(0, "BEGIN"), ExecRequest(0, 0)):
        play.client.send(request)
    play.client.receive(StmtResponse(0, 0, 0).encode() + ResultResponse(0, 0).encode())
    assert play.client.session.in_transaction is True
    for ahead in (FinalizeRequest(0, 0), PrepareRequest(0, "COMMIT"), ExecRequest(0, 0)):
        play.client.send(ahead)
    answers = (EmptyResponse(), StmtResponse(0, 0, 0), ResultResponse(0, 0))
    play.client.receive(b"".join(answer.encode() for answer in answers))
    assert play.client.session.in_transaction is False


@pytest.mark.parametrize("generation", [Generation.V1_11, Generation.V1_15])
def test_only_the_first_statement_of_a_query_runs(generation: Generation) -> None:
    play = Playbook(generation) >> OpenRequest("main") << DbResponse(0)
    play >> ExecSqlRequest(0, "BEGIN") << ResultResponse(0, 0)
    play >> QuerySqlRequest(0, "SELECT 1 AS x; COMMIT") << RowsResponse(["x"], [], [], [[1]], False)
    assert play.client.session.in_transaction is True
    play >> PrepareRequest(0, "SELECT 1 AS x; COMMIT") << StmtResponse(0, 0, 0)
    play >> QueryRequest(0, 0) << RowsResponse(["x"], [], [], [[1]], False)
    assert play.client.session.in_transaction is True


def test_what_a_frame_that_does_not_decode_did_is_not_known() -> None:
    client = ClientConversation()
    session = client.session
    client.send_frame(OpenRequest("nam~").encode().replace(b"~", b"\xff"))
    client.receive(DbResponse(0).encode())
    assert (session.is_open, session.database) == (True, None)
    client.send_frame(ExecSqlRequest(0, "BEGIN; -- ~").encode().replace(b"~", b"\xff"))
    client.receive(ResultResponse(0, 0).encode())
    assert session.in_transaction is None


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["SAVEPOINT a"], True),  # from here on, whatever was before
        (["SAVEPOINT a", "RELEASE a"], None),
        (["SAVEPOINT a", "SAVEPOINT b", "RELEASE b"], True),
        (["SAVEPOINT a", "RELEASE z"], None),
        (["ROLLBACK TO z"], True),
        (["ROLLBACK TO z", "SAVEPOINT a", "RELEASE a"], None),
        (["SAVEPOINT a", "ROLLBACK"], False),
    ],
)
def test_savepoints_where_nobody_knows_of_a_transaction(texts: list[str], expected: bool | None) -> None:
    play = opened() >> ExecSqlRequest(0, "BEGIN; INSERT INTO t VALUES (1)")
    play << FailureResponse(1811, "no")
    assert play.client.session.in_transaction is None
    for text in texts:
        play >> ExecSqlRequest(0, text) << ResultResponse(0, 0)
    assert play.client.session.in_transaction is expected


def test_begin_that_fails_tells_of_a_transaction() -> None:
    play = opened() >> ExecSqlRequest(0, "COMMIT") << FailureResponse(10, "disk I/O error")
    assert play.client.session.in_transaction is None
    within = FailureResponse(1, "cannot start a transaction within a transaction")
    play >> ExecSqlRequest(0, "BEGIN") << within
    assert play.client.session.in_transaction is True
    play >> ExecSqlRequest(0, "SAVEPOINT a") << ResultResponse(0, 0)
    play >> ExecSqlRequest(0, "RELEASE a") << ResultResponse(0, 0)
    assert play.client.session.in_transaction is None  # the transaction may be one of a savepoint


@pytest.mark.parametrize(
    ("before", "sql", "expected"),
    [
        ([], "INSERT INTO t VALUES (1)", False),
        (["BEGIN"], "INSERT INTO t VALUES (1)", None),
        (["BEGIN"], "SELECT 1", True),
        (["BEGIN"], "COMMIT", None),
        ([], "BEGIN", None),
    ],
)
def test_a_write_that_an_interrupt_stops_may_roll_back(
    before: list[str], sql: str, expected: bool | None
) -> None:
    play = opened()
    for text in before:
        play >> ExecSqlRequest(0, text) << ResultResponse(0, 0)
    play >> QuerySqlRequest(0, sql) >> InterruptRequest() << EmptyResponse()
    assert play.client.session.in_transaction is expected


def test_a_masked_failure_may_be_a_lost_session() -> None:
    play = opened() >> ExecSqlRequest(0, "BEGIN") << ResultResponse(0, 0)
    play >> QuerySqlRequest(0, "INSERT INTO t VALUES (1)") << FailureResponse(1, "nonempty statement tail")
    session = play.client.session
    assert (session.in_transaction, session.is_open) == (None, None)


def opened() -> Playbook:
    return Playbook() >> OpenRequest("main") << DbResponse(0)
