"""Try steps on a throw-away node and look at what is left: node, connections, data, disk."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.real.nodes import Node
from tests.real.raw import PART, Frame, RawConnection, frame, text, word
from tests.real.survey.steps import PREPARED, Step

ROWS = 7
OPEN, PREPARE, EXEC, QUERY, EXEC_SQL, QUERY_SQL = 3, 4, 5, 6, 8, 9
SCENE = (
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b UNIQUE)",
    "CREATE INDEX i ON t (b)",
    "INSERT INTO t VALUES (1, 1), (2, 2)",
    "CREATE TABLE log (n)",
)
# raft's files; a segment begins with the number of its first entry
BELONGS = ("open-", "metadata", "snapshot-", "0000", "tmp-", "closed-", "dqlite-lock")
PATIENCE = 3.0  # seconds for one answer; the slowest step takes half of it on a busy machine
DYING = 0.1  # seconds in which a node that is about to die does it
MAX_FRAMES = 2000  # an answer of more never ends
WRITES = 3

HARMLESS, REFUSED, KILLS, HANGS = "harmless", "refused", "kills", "hangs"
POISONS_CONNECTION, POISONS_NODE = "poisons_connection", "poisons_node"
WRITES_OUTSIDE, REACHES_OTHERS = "writes_outside", "reaches_others"


class Finding(NamedTuple):
    """What a step did: one of the verdicts above, and in words what was seen."""

    verdict: str
    evidence: str


class Wrong(Exception):
    """Something is not as it was left."""

    def __init__(self, verdict: str, evidence: str) -> None:
        super().__init__(evidence)
        self.finding = Finding(verdict, evidence)


def answer(connection: RawConnection) -> Frame:
    """The last frame of an answer; TimeoutError where it does not end."""
    for _ in range(MAX_FRAMES):
        one = connection.frame()
        if one.kind != ROWS or not one.body.endswith(PART):
            return one
    raise TimeoutError("the answer never ends")


def ask(connection: RawConnection, kind: int, body: bytes) -> Frame:
    connection.send(frame(kind, body))
    return answer(connection)


def statement(connection: RawConnection, kind: int, sql: str, db: int = 0) -> Frame:
    return ask(connection, kind, word(db) + text(sql))


def shown(one: Frame) -> str:
    """A FAILURE as "CODE TEXT"; empty for any other answer."""
    return "{} {}".format(*one.failure) if one.kind == 0 else ""


class Trial:
    """One node, and the steps that are tried on it one after the other."""

    def __init__(self, kind: str) -> None:
        self.node = Node(kind)
        self.scratch = Path(tempfile.mkdtemp(prefix="dqlite-survey-"))
        self.names: list[tuple[str, int]] = []  # databases with the rows that must be in them after a restart

    def __enter__(self) -> Trial:
        self.node.start()
        with self.connection() as connection:
            self.open(connection, "others")
            for sql in SCENE:
                assert not shown(statement(connection, EXEC_SQL, sql)), sql
        self.known = self.files()
        return self

    def __exit__(self, *_: object) -> None:
        self.node.stop()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def connection(self) -> RawConnection:
        return RawConnection(self.node.address, timeout=PATIENCE)

    def open(self, connection: RawConnection, name: str) -> str:
        return shown(ask(connection, OPEN, text(name) + word(0) + text("volatile")))

    def files(self) -> set[str]:
        """Everything below the scratch folder and the node's, but what belongs there."""
        folder = self.node.folder
        own = {
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if not path.name.startswith(BELONGS) and path.name not in ("data", "stderr.log")
        }
        return own | {f"SCRATCH/{path.relative_to(self.scratch)}" for path in self.scratch.rglob("*")}

    # ------------------------------------------------------------ one step

    def attempt(self, number: int, step: Step) -> Finding:
        """Take one step and look around; everything that is not as it should be is a verdict.

        A node that is gone or silent is one too; whatever of the other steps comes to light later (at the
        restart, or because a later step finds the node poisoned) is told by the whole batch.
        """
        database = f"d{number}"
        name = step.open_name.replace("SCRATCH", str(self.scratch)).replace("DATABASE", database)
        finding = self._watched(step, database, name)
        if finding.verdict not in (HARMLESS, REFUSED, KILLS):
            # some die only when the connection is closed
            finding = self.death(DYING) or finding
        if new := self.files() - self.known:
            self.known |= new
            listed = " ".join(sorted(new)).replace(database, "DATABASE")
            if finding.verdict in (HARMLESS, REFUSED):
                return Finding(WRITES_OUTSIDE, listed)
            return finding._replace(evidence=f"{finding.evidence}; writes {listed}")
        return finding

    def _watched(self, step: Step, database: str, name: str) -> Finding:
        try:
            return self._attempt(step, database, name)
        except Wrong as wrong:
            return wrong.finding
        except TimeoutError as error:
            return Finding(HANGS, str(error) or "no answer")
        except (EOFError, ConnectionError) as error:
            return self.death(1.0) or Finding(POISONS_CONNECTION, str(error))

    def death(self, patience: float) -> Finding | None:
        """Whether the node is gone, or goes within so many seconds, and with which words."""
        assert self.node.process is not None
        try:
            code = self.node.process.wait(patience)
        except subprocess.TimeoutExpired:
            return None
        lines = [line for line in self.node.log_tail().splitlines() if line.strip()]
        words = next((line for line in reversed(lines) if "ssertion" in line), lines[-1] if lines else "")
        return Finding(KILLS, f"exit {code} {words.split(': ', 1)[-1]}".strip()[:160])

    def _attempt(self, step: Step, database: str, name: str) -> Finding:
        with self.connection() as own, self.connection() as other:
            if refused := self.open(own, name):
                return Finding(REFUSED, f"OPEN: {refused}")
            if name == database:
                for sql in SCENE:
                    statement(own, EXEC_SQL, sql)
            said = self.take(own, step)
            statement(own, EXEC_SQL, "ROLLBACK")  # what may have been begun
            poisoned = self.writes(own) if name == database else ""
            self.look_at_others(other)
            if name == database:
                self.look_again(database)
        if poisoned:
            return Finding(POISONS_CONNECTION, f"{said or 'done'}; then {poisoned}")
        return Finding(REFUSED, said) if said else Finding(HARMLESS, "")

    def take(self, own: RawConnection, step: Step) -> str:
        """Send the step; the FAILURE that it met, if any."""
        sql = step.sql.replace("SCRATCH", str(self.scratch))
        if step.via in ("EXEC_SQL", "QUERY_SQL"):
            return shown(statement(own, EXEC_SQL if step.via == "EXEC_SQL" else QUERY_SQL, sql))
        prepared = statement(own, PREPARE, sql)
        if prepared.kind == 0 or step.via not in PREPARED:
            return shown(prepared)
        handle = int.from_bytes(prepared.body[4:8], "little")
        body = (0).to_bytes(4, "little") + handle.to_bytes(4, "little")
        return shown(ask(own, EXEC if step.via == "EXEC" else QUERY, body))

    def writes(self, own: RawConnection) -> str:
        """Write and read on the connection that took the step; the first FAILURE."""
        for number in range(WRITES):
            if failed := shown(statement(own, EXEC_SQL, f"INSERT INTO log VALUES ({number})")):
                return f"INSERT: {failed}"
        return shown(statement(own, QUERY_SQL, "SELECT count(*) FROM log"))

    def look_at_others(self, other: RawConnection) -> None:
        """Another connection, on another database, must not notice."""
        self.open(other, "others")
        for sql in ("INSERT INTO log VALUES (1)", "CREATE TEMP TABLE IF NOT EXISTS x (a)"):
            if failed := shown(statement(other, EXEC_SQL, sql)):
                raise Wrong(POISONS_NODE, f"another connection: {failed}")
        if failed := shown(statement(other, QUERY_SQL, "SELECT count(*) FROM log")):
            raise Wrong(POISONS_NODE, f"another connection: {failed}")

    def look_again(self, database: str) -> None:
        """A second connection on the same database must be able to write and to read."""
        with self.connection() as second:
            self.open(second, database)
            failed = shown(statement(second, EXEC_SQL, "INSERT INTO log VALUES (9)"))
            counted = statement(second, QUERY_SQL, "SELECT count(*) AS n FROM log")
            failed = failed or shown(counted)
            if failed:
                raise Wrong(REACHES_OTHERS, f"a second connection: {failed}")
            self.names.append((database, int.from_bytes(counted.body[-16:-8], "little")))

    # ------------------------------------------------------------ all of them

    def restart(self) -> Finding | None:
        """Stop and start on the same data; what was written must be there."""
        if dead := self.death(DYING):
            return dead
        folder = self.node.folder / "data"
        kept = self.node.folder / "kept"
        shutil.copytree(folder, kept)
        self.node.kill()
        shutil.rmtree(folder)
        kept.rename(folder)
        try:
            self.node.start()
            for database, count in self.names:
                with self.connection() as connection:
                    self.open(connection, database)
                    found = statement(connection, QUERY_SQL, "SELECT count(*) AS n FROM log")
                    if shown(found) or int.from_bytes(found.body[-16:-8], "little") != count:
                        return Finding(POISONS_NODE, f"after a restart: {shown(found) or 'rows are lost'}")
        except RuntimeError as error:
            return Finding(KILLS, f"does not start again: {str(error)[-120:]}")
        except TimeoutError as error:
            return Finding(HANGS, f"after a restart: {error}")
        except (EOFError, ConnectionError) as error:
            return self.death(1.0) or Finding(POISONS_NODE, f"after a restart: {error}")
        return None


def try_steps(kind: str, steps: Sequence[Step]) -> tuple[list[Finding], Finding | None]:
    """Take steps one after the other on one new node, until one of them does harm.

    Returns:
        A finding for each step that was taken, and what the restart brought to light, which may be the work
        of any of them.
    """
    findings: list[Finding] = []
    with Trial(kind) as trial:
        for number, step in enumerate(steps):
            findings.append(trial.attempt(number, step))
            if findings[-1].verdict not in (HARMLESS, REFUSED):
                return findings, None
        return findings, trial.restart()
