"""The survey tool: on servers that are made up, and a sample of its steps on each real one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import pytest

from tests.real.fixtures import require_server
from tests.real.moved import note
from tests.real.nodes import KINDS
from tests.real.survey import trial
from tests.real.survey.__main__ import is_settled
from tests.real.survey.steps import EXEC, EXEC_SQL, OPEN, OWN_NAME, PREPARE, WAYS, Step, steps
from tests.real.survey.table import TABLE, Row, read_table, rows_of
from tests.real.survey.trial import VERDICTS, Finding, Outcome, survey

KILLS = Finding("kills", "exit -6")
LOST = Finding("poisons_node", "rows are lost after a restart")
PER_VERDICT, PER_HARMLESS = 1, 12


def step(sql: str, via: str = EXEC_SQL) -> Step:
    return Step(via, OWN_NAME, sql)


def test_every_step_is_there_once() -> None:
    found = list(steps())
    assert len(found) == len(set(found)) > 6000
    assert {one.via for one in found} == {OPEN, *WAYS}


def test_the_table_is_sorted_and_reads_back() -> None:
    head, *lines = TABLE.read_text(encoding="utf-8").splitlines(keepends=True)
    assert lines == sorted(lines)
    assert "".join(row.line() for row in rows_of(lines)) == "".join(lines)
    assert {row.verdict for row in rows_of(lines)} <= set(VERDICTS)
    assert head.split("\t")[0] == "server"


class MadeUp:
    """A server that some steps kill, and whose restart tells of others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, deadly: set[int], losing: set[int]) -> None:
        self.deadly, self.losing = deadly, losing
        self.tried: list[int] = []
        monkeypatch.setattr(trial, "prepared", lambda _kind: (self, "3.99"))
        monkeypatch.setattr(trial, "try_step", self.try_step)
        monkeypatch.setattr(trial, "restart", self.restart)

    def try_step(self, _node: object, one: Step, _number: int) -> Outcome:
        number = int(one.sql)
        if not self.tried:
            self.tried = []
        self.tried.append(number)
        return Outcome("RESULT", False, (KILLS,) if number in self.deadly else (), None)

    def restart(self, _node: object, outcomes: Sequence[Outcome]) -> list[Finding]:
        on_this_node = self.tried[-len(outcomes) :]
        return [LOST] if self.losing.intersection(on_this_node) else []

    def stop(self) -> None:
        self.tried = []


@pytest.mark.parametrize("deadly", [set(), {3}, {0}, {7}, {2, 5}, set(range(8))])
@pytest.mark.parametrize("losing", [set(), {4}])
def test_a_batch_is_divided_until_the_step_is_alone(
    deadly: set[int], losing: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    MadeUp(monkeypatch, deadly, losing)
    found = survey("made up", [step(str(number)) for number in range(8)])
    assert [one.sql for one, _, _ in found] == [str(number) for number in range(8)]
    assert {int(one.sql) for one, _, finding in found if finding == KILLS} == deadly
    assert {int(one.sql) for one, _, finding in found if finding == LOST} == losing - deadly


@pytest.mark.parametrize(
    ("verdict", "evidence", "settles_exec_sql", "settles_exec"),
    [
        ("harmless", "STMT", False, False),
        ("kills", "exit -6", True, True),
        ("refused", "FAILURE 1 syntax error", True, True),
        ("refused", "FAILURE 1 nonempty statement tail", False, True),
        ("refused", "FAILURE 0 empty statement", False, True),
        ("poisons_connection", "a write: INSERT: 8", False, False),
    ],
)
def test_what_prepare_settles(
    verdict: str, evidence: str, settles_exec_sql: bool, settles_exec: bool
) -> None:
    row = Row("1.18.1", "3.46.1", PREPARE, OWN_NAME, "x", verdict, evidence)
    assert is_settled(step("x"), row) is settles_exec_sql
    assert is_settled(step("x", EXEC), row) is settles_exec


def sample(kind: str) -> list[Row]:
    """A few dozen rows with each verdict that the server met, without those that take long."""
    rows = [row for row in read_table() if row.server == kind and "no answer" not in row.evidence]
    chosen = []
    for verdict, found in groupby(sorted(rows, key=lambda row: row.verdict), key=lambda row: row.verdict):
        alike = list(found)
        count = PER_HARMLESS if verdict in ("harmless", "refused") else PER_VERDICT
        chosen += alike[:: max(len(alike) // count, 1)][:count]
    return chosen


@pytest.mark.real
@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_of_steps_ends_as_the_table_says(request: pytest.FixtureRequest, kind: str) -> None:
    note(request, kind)
    require_server(kind)
    rows = sample(kind)
    found = survey(kind, [Step(row.via, row.open_name, row.sql) for row in rows])
    assert [finding.verdict for _, _, finding in found] == [row.verdict for row in rows]
