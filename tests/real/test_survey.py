"""The survey tool: on steps whose outcome is known, and on a server that is made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.real.fixtures import require_server
from tests.real.moved import note
from tests.real.nodes import KINDS
from tests.real.survey import __main__ as tool
from tests.real.survey.judge import Finding, try_steps
from tests.real.survey.steps import PLAIN, VIAS, Step, all_steps

MADE_UP = "made up"


def step(sql: str, via: str = "EXEC_SQL") -> Step:
    return Step(via, PLAIN, sql)


HARMLESS, KILLS = Finding("harmless", ""), Finding("kills", "exit -6")


def test_the_table_says_nothing_twice() -> None:
    steps = all_steps()
    assert len(steps) == len(set(steps)) > 7000
    assert {one.via for one in steps} == set(VIAS)
    for one in steps:
        assert not {"\t", "\n"} & set("".join(one))


@pytest.mark.parametrize("deadly", [{3}, {0}, {7}, {2, 5}, set(range(8))])
def test_a_batch_is_divided_until_the_step_is_alone(
    deadly: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [step(f"SELECT {number}") for number in range(8)]

    def tried(_: str, batch: Sequence[Step]) -> tuple[list[Finding], Finding | None]:
        findings = []
        for one in batch:
            findings.append(KILLS if steps.index(one) in deadly else HARMLESS)
            if findings[-1] is KILLS:
                break
        return findings, None

    monkeypatch.setattr(tool, "try_steps", tried)
    results = tool.Results(tmp_path / "file.tsv")
    tool.survey(MADE_UP, steps, results, "3.99")
    found = {steps.index(one) for (_, one), (_, finding) in results.rows.items() if finding == KILLS}
    assert found == deadly
    assert len(results.rows) == len(steps)
    results.write()
    assert tool.Results(tmp_path / "file.tsv").rows == results.rows


def test_what_comes_to_light_at_the_restart_is_found_by_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [step(f"SELECT {number}") for number in range(8)]
    lost = Finding("poisons_node", "after a restart: rows are lost")

    def tried(_: str, batch: Sequence[Step]) -> tuple[list[Finding], Finding | None]:
        return [HARMLESS] * len(batch), lost if steps[5] in batch else None

    monkeypatch.setattr(tool, "try_steps", tried)
    results = tool.Results(tmp_path / "file.tsv")
    tool.survey(MADE_UP, steps, results, "3.99")
    assert {one for (_, one), (_, finding) in results.rows.items() if finding == lost} == {steps[5]}
    assert len(results.rows) == len(steps)


@pytest.mark.real
@pytest.mark.parametrize("kind", KINDS)
def test_known_steps(request: pytest.FixtureRequest, kind: str) -> None:
    note(request, kind)
    require_server(kind)
    known = [step("SELECT 1", "QUERY_SQL"), step("SELEKT 1"), step("PRAGMA count_changes=1")]
    findings, late = try_steps(kind, known)
    assert [finding.verdict for finding in findings] == ["harmless", "refused", "kills"]
    assert findings[1].evidence == '1 near "SELEKT": syntax error'
    assert "ssertion" in findings[2].evidence
    assert late is None


@pytest.mark.real
@pytest.mark.parametrize("kind", KINDS)
def test_the_disk_is_looked_at(request: pytest.FixtureRequest, kind: str) -> None:
    note(request, kind)
    require_server(kind)
    (finding,), _ = try_steps(kind, [Step("QUERY_SQL", "file:DATABASE?vfs=unix", "CREATE TABLE t (a)")])
    assert "writes DATABASE" in finding.evidence or finding == Finding("writes_outside", "DATABASE"), finding
