"""Try one step on a node and say what became of node, this connection, others, data and disk.

Around a step stand four connections: the one that takes it (`own`), a second one to the same database that
was opened before (`peer`), one to another database (`other`), and one that comes afterwards. After the step a
transaction that its text begins is rolled back; then all of them write and read a table that no step names,
and close. At last the folders are looked through, and the node is stopped and started on its data.

Everything that is not as it must be is a `Finding`; the worst one is the verdict.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from dqlitewire.constants import RequestType, ResponseType
from dqlitewire.header import type_name
from tests.real.nodes import Node
from tests.real.raw import DONE, PART, Frame, RawConnection, frame, text, word
from tests.real.survey.steps import EXEC, EXEC_SQL, FILE, OPEN, QUERY, QUERY_SQL, SETUP, Step

TIMEOUT = 4.0  # seconds; what takes longer counts as no answer
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
VERDICTS = (  # from the worst to none at all
    "kills",
    "hangs",
    "poisons_node",
    "writes_outside",
    "reaches_others",
    "poisons_connection",
    "refused",
    "harmless",
)
# settings of the process, as other connections read them
SHARED_SETTINGS = (
    "PRAGMA soft_heap_limit",
    "PRAGMA hard_heap_limit",
    "PRAGMA temp_store_directory",
    "PRAGMA synchronous",
    "PRAGMA foreign_keys",
    "PRAGMA journal_mode",
    "PRAGMA cache_size",
    "SELECT fts3_tokenizer('simple') IS NULL",
)


class Finding(NamedTuple):
    """Something that must not be."""

    verdict: str
    evidence: str


class Outcome(NamedTuple):
    """What became of a step: its own answer, and what was wrong afterwards."""

    answer: str
    refused: bool
    findings: tuple[Finding, ...]
    expected: tuple[str, int] | None  # the database and how many rows its witness must have after a restart

    @property
    def verdict(self) -> Finding:
        """The worst finding; the answer where nothing was found."""
        if self.findings:
            return min(self.findings, key=lambda finding: VERDICTS.index(finding.verdict))
        return Finding("refused" if self.refused else "harmless", self.answer)


def database_name(number: int) -> str:
    """Return a name of four characters."""
    found = ""
    for _ in range(3):
        number, digit = divmod(number, 36)
        found = DIGITS[digit] + found
    return f"s{found}"


class Surveyed(Node):
    """A node that works in a scratch folder, and whose own folder is known file by file."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()
        self.directory = self.scratch

    @property
    def status(self) -> int | None:
        return None if self.process is None else self.process.poll()

    def has_died(self) -> bool:
        """Tell whether the process is gone, with a moment's grace for one that is writing its last words."""
        assert self.process is not None
        try:
            self.process.wait(0.02)
        except subprocess.TimeoutExpired:
            return False
        return True

    def strangers(self) -> list[str]:
        """Return the files that no node makes by itself."""
        found = [path.name for path in self.scratch.iterdir()]
        data = self.folder / "data"
        if data.exists():
            found += [f"data/{path.name}" for path in data.iterdir() if not _is_nodes_own(path)]
        known = {"scratch", "data", "stderr.log"}
        return sorted(found + [path.name for path in self.folder.iterdir() if path.name not in known])

    def end(self) -> int | None:
        """Stop without dropping the data; the exit status, None if it had to be killed."""
        assert self.process is not None
        assert self.process.stdin is not None
        if not self.alive():
            self._close_pipes()
            return self.process.returncode
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except Exception:
            self.kill()
            return None
        self._close_pipes()
        return self.process.returncode


def _is_nodes_own(path: Path) -> bool:
    name = path.name
    return (
        name.startswith(("open-", "snapshot-", "metadata"))
        or name == "dqlite-lock"
        or (name.replace("-", "").isdigit() and "-" in name)
    )


# ---------------------------------------------------------------- requests


class Failure(Exception):
    """A FAILURE where none was expected."""


def _rows(connection: RawConnection, kind: int, body: bytes) -> str:
    connection.send(frame(kind, body))
    frames = 0
    while True:
        answer = connection.frame()
        frames += 1
        if answer.kind != ResponseType.ROWS or not answer.body.endswith(PART):
            break
        if frames > 500:
            return "ROWS without an end"
    return f"ROWS in {frames} frames" if frames > 1 and answer.kind == ResponseType.ROWS else describe(answer)


def describe(answer: Frame) -> str:
    if answer.kind == ResponseType.FAILURE:
        code, message = answer.failure
        return f"FAILURE {code} {message}"
    if answer.kind == ResponseType.ROWS:
        return "ROWS" if answer.body.endswith(DONE) else "ROWS (part)"
    return type_name(answer.kind, False)


def ask(connection: RawConnection, via: str, sql: str) -> str:
    """Send a text by one way and return its answer in words."""
    if via == EXEC_SQL:
        return describe(connection.call(RequestType.EXEC_SQL, word(0) + text(sql)))
    if via == QUERY_SQL:
        return _rows(connection, RequestType.QUERY_SQL, word(0) + text(sql))
    answer = connection.call(RequestType.PREPARE, word(0) + text(sql))
    if answer.kind != ResponseType.STMT:
        return describe(answer)
    statement = answer.body[:8]  # the ids of database and statement, as all requests carry them
    said = describe(answer)
    if via == EXEC:
        said = describe(connection.call(RequestType.EXEC, statement))
    elif via == QUERY:
        said = _rows(connection, RequestType.QUERY, statement)
    finalized = connection.call(RequestType.FINALIZE, statement)
    if finalized.kind != ResponseType.EMPTY:
        said += f", FINALIZE: {describe(finalized)}"
    return said


def write(connection: RawConnection) -> None:
    answer = connection.call(RequestType.EXEC_SQL, word(0) + text("INSERT INTO witness VALUES (1)"))
    if answer.kind == ResponseType.FAILURE:
        raise Failure("INSERT: {} {}".format(*answer.failure))


def count(connection: RawConnection) -> int:
    connection.send(frame(RequestType.QUERY_SQL, word(0) + text("SELECT count(*) AS n FROM witness")))
    answer = connection.frame()
    if answer.kind != ResponseType.ROWS:
        raise Failure(f"SELECT: {describe(answer)}")
    values: int = struct.unpack_from("<q", answer.body, 8 + 8 + 8)[0]
    return values


def settings(connection: RawConnection) -> list[tuple[str, bytes]]:
    found = []
    for sql in SHARED_SETTINGS:
        connection.send(frame(RequestType.QUERY_SQL, word(0) + text(sql)))
        found.append((sql, connection.frame().whole))
    return found


def opened(node: Node, name: str) -> RawConnection:
    connection = RawConnection(node.address, timeout=TIMEOUT)
    connection.open(name)
    return connection


# ---------------------------------------------------------------- a step


class Around:
    """The connections around a step, and what was found wrong."""

    def __init__(self, node: Surveyed, step: Step, number: int) -> None:
        self.node = node
        self.step = step
        self.database = database_name(number)
        self.name = step.open_name.format(db=self.database, scratch=node.scratch)
        self.findings: list[Finding] = []
        self.connections: list[RawConnection] = []
        self.peer: RawConnection | None = None
        self.written = 0  # rows of the witness

    def found(self, verdict: str, evidence: str) -> None:
        self.findings.append(Finding(verdict, evidence.replace(str(self.node.scratch), "{scratch}")))

    def attempt(self, verdict: str, what: str, action: Callable[[], object]) -> bool:
        """Do something that must succeed; say whether it did, and note what happened where not."""
        try:
            action()
        except (Failure, RuntimeError) as error:
            self.found(verdict, f"{what}: {error}")
        except EOFError:
            self.found(verdict, f"{what}: connection closed")
        except TimeoutError:
            self.found(verdict, f"{what}: no answer")
        except OSError as error:
            self.found(verdict, f"{what}: {error.strerror}")
        else:
            return True
        if self.node.has_died():
            self.found("kills", f"exit {self.node.status} at {what}")
        return False

    def open(self, name: str) -> RawConnection:
        connection = opened(self.node, name)
        self.connections.append(connection)
        return connection

    def close(self) -> None:
        for connection in self.connections:
            connection.close()

    def count_is_right(self, verdict: str, what: str, connection: RawConnection) -> None:
        def check() -> None:
            got = count(connection)
            if got != self.written:
                raise Failure(f"{got} rows instead of {self.written}")

        self.attempt(verdict, what, check)


def try_step(node: Surveyed, step: Step, number: int) -> Outcome:
    """Try a step on a node that may have tried others; the restart is the caller's."""
    around = Around(node, step, number)
    try:
        return _try_step(around)
    finally:
        around.close()


def _try_step(around: Around) -> Outcome:
    node, step = around.node, around.step
    other = around.open("bystander")
    other_rows = count(other)
    before = settings(other)
    strangers = set(node.strangers())
    answer, own = _own_connection(around)
    refused = answer.startswith("FAILURE")
    if own is not None and not node.has_died():
        _afterwards(around, own)
    if FILE in step.sql and not node.has_died():
        _use_file(around)
    around.attempt("hangs", "LEADER on a new connection", lambda: _leader(around))

    def others_go_on() -> None:
        write(other)
        if count(other) != other_rows + 1:
            raise Failure(f"{count(other)} rows instead of {other_rows + 1}")

    around.attempt("poisons_node", "a write to another database", others_go_on)
    around.attempt("reaches_others", "settings of another connection", lambda: _same(before, settings(other)))
    around.close()
    around.attempt("hangs", "LEADER when all have closed", lambda: _leader(around))
    new = set(node.strangers()) - strangers
    if new:
        around.found("writes_outside", "files " + " ".join(sorted(new)).replace(around.database, "{db}"))
    keeps = own is not None and step.via != OPEN
    return Outcome(
        answer.replace(str(node.scratch), "{scratch}").replace(around.database, "{db}"),
        refused,
        tuple(around.findings),
        (around.name, around.written) if keeps else None,
    )


def _own_connection(around: Around) -> tuple[str, RawConnection | None]:
    """Take the step; return its answer, and the connection if it still answers."""
    node, step = around.node, around.step
    said = ["no answer"]
    own: list[RawConnection] = []

    def take() -> None:
        if step.via == OPEN:
            own.append(RawConnection(node.address, timeout=TIMEOUT))
            around.connections += own
            name = text(around.name)
            said[0] = describe(own[0].call(RequestType.OPEN, name + word(0) + text("")))
        else:
            said[0] = ask(own[0], step.via, step.sql.format(scratch=node.scratch, db=around.database))

    if step.via != OPEN:
        own.append(around.open(around.name))
        for sql in SETUP:
            own[0].exec_sql(sql)
        around.peer = around.open(around.name)
        count(around.peer)
    if not around.attempt("poisons_connection", "the step itself", take):
        return said[0], None
    return said[0], own[0]


def _afterwards(around: Around, own: RawConnection) -> None:
    """Write and read on the step's own connection, and on others to the same database."""
    is_open = around.step.via == OPEN

    def end_transaction() -> None:
        own.call(RequestType.EXEC_SQL, word(0) + text("ROLLBACK"))  # refused where there is none

    if is_open:
        around.attempt("poisons_connection", "CREATE TABLE", lambda: own.exec_sql(SETUP[0]))
    if opens_transaction(around.step.sql) and not around.attempt(
        "poisons_connection", "ROLLBACK", end_transaction
    ):
        return
    for _ in range(2):
        if around.attempt("poisons_connection", "a write", lambda: write(own)):
            around.written += 1
    if not around.findings:
        around.count_is_right("poisons_connection", "a read", own)
    if around.node.has_died() or (is_open and around.findings):
        return

    def use(connection: RawConnection) -> None:
        write(connection)
        around.written += 1
        around.count_is_right("poisons_node", "a read by another connection", connection)

    peer = around.peer
    if peer is not None:
        around.attempt("poisons_node", "a connection opened before", lambda: use(peer))
    around.attempt("poisons_node", "a connection opened later", lambda: use(around.open(around.name)))


def _use_file(around: Around) -> None:
    """Use the file that a statement has named as the database that it is for everybody else."""
    name = FILE.format(db=around.database)

    def use() -> None:
        connection = around.open(name)
        connection.exec_sql("CREATE TABLE IF NOT EXISTS later (a)")
        connection.exec_sql("INSERT INTO later VALUES (1)")
        connection.exec_sql("INSERT INTO later VALUES (2)")

    around.attempt("poisons_node", "the file opened as a database", use)


def opens_transaction(sql: str) -> bool:
    """Tell whether a text may leave a transaction open; only then a ROLLBACK follows, for it hides harm."""
    return "BEGIN" in sql or "SAVEPOINT" in sql


def _leader(around: Around) -> None:
    with RawConnection(around.node.address, timeout=TIMEOUT) as connection:
        connection.leader()


def _same(before: Sequence[tuple[str, bytes]], after: Sequence[tuple[str, bytes]]) -> None:
    for (sql, was), (_, is_now) in zip(before, after, strict=True):
        if was != is_now:
            raise Failure(f"{sql} answers otherwise")


# ---------------------------------------------------------------- a batch


def prepared(kind: str) -> tuple[Surveyed, str]:
    """Start a node with the database of the bystander; return it and its SQLite's version."""
    node = Surveyed(kind)
    node.start()
    with opened(node, "bystander") as connection:
        connection.exec_sql(SETUP[0])
        write(connection)
        connection.send(frame(RequestType.QUERY_SQL, word(0) + text("SELECT sqlite_version() AS v")))
        version = connection.frame().body[8 + 8 + 8 :].split(b"\0")[0].decode()
    return node, version


def restart(node: Surveyed, outcomes: Sequence[Outcome]) -> list[Finding]:
    """Stop the node and start it again; return what was lost, one finding at the most."""
    if node.has_died():
        return []
    status = node.end()
    if status != 0:
        return [Finding("kills", f"exit {status} at the end" if status is not None else "does not stop")]
    try:
        node.start()
    except RuntimeError as error:
        return [Finding("poisons_node", f"does not start again: {error}"[:200])]
    try:
        for outcome in outcomes:
            if outcome.expected is not None:
                name, rows = outcome.expected
                with opened(node, name) as connection:
                    got = count(connection)
                if got != rows:
                    return [Finding("poisons_node", f"{got} rows instead of {rows} after a restart")]
    except (Failure, RuntimeError, EOFError, OSError) as error:
        return [Finding("poisons_node", f"after a restart: {error}")]
    return []


def survey(kind: str, steps: Sequence[Step]) -> list[tuple[Step, str, Finding]]:
    """Return (step, version of SQLite, verdict) for each step.

    Steps share a node while nothing is wrong. One that finds something is tried again alone, and the rest go
    on without it; if alone it is harmless, or only the restart finds something, both halves are tried apart.
    """
    if not steps:
        return []
    node, version = prepared(kind)
    outcomes: list[Outcome] = []
    try:
        for number, step in enumerate(steps):
            outcomes.append(try_step(node, step, number))
            if outcomes[-1].findings:
                break
        lost = restart(node, outcomes)
    finally:
        node.stop()
    if len(steps) == 1:
        (outcome,) = outcomes
        verdict = outcome._replace(findings=(*outcome.findings, *lost)).verdict
        return [(steps[0], version, verdict)]
    if outcomes[-1].findings:
        at = len(outcomes) - 1
        alone = survey(kind, steps[at : at + 1])
        if alone[0][2].verdict in ("harmless", "refused"):
            half = max(at, 1)
            return [*survey(kind, steps[:half]), *survey(kind, steps[half:])]
        return [*survey(kind, steps[:at]), *alone, *survey(kind, steps[at + 1 :])]
    if lost:
        half = len(steps) // 2
        return [*survey(kind, steps[:half]), *survey(kind, steps[half:])]
    return [(step, version, outcome.verdict) for step, outcome in zip(steps, outcomes, strict=True)]
