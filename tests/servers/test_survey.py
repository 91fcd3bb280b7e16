"""The tables of hazards against the survey's results, row by row: client and embedded server."""

from __future__ import annotations

from collections import defaultdict

import pytest

from dqlitewire.conversation import Generation
from dqlitewire.testing import DqliteServer, HazardKind
from tests.real.raw import RawConnection
from tests.real.survey.steps import OPEN, PREPARE, SETUP, WAYS
from tests.real.survey.table import Row, read_table
from tests.real.survey.trial import VERDICTS, ask
from tests.servers.survey_rules import (
    CAUTIOUS,
    GENERATIONS,
    SCRATCH,
    UNSEEN,
    filled,
    is_deadly,
    is_safe,
    reason,
    refusal,
)

ROWS = read_table()
SAMPLE = 61  # of so many harmless steps one is played


def rows_of(server: str) -> list[Row]:
    return [row for row in ROWS if row.server == server]


def test_each_step_stands_once_for_each_server() -> None:
    assert {row.server for row in ROWS} == set(GENERATIONS)
    assert len({row[:1] + row[2:5] for row in ROWS}) == len(ROWS)
    opened = {server: {row.open_name for row in rows_of(server) if row.via == OPEN} for server in GENERATIONS}
    prepared = {server: {row.sql for row in rows_of(server) if row.via == PREPARE} for server in GENERATIONS}
    assert len(set(map(frozenset, opened.values()))) == len(set(map(frozenset, prepared.values()))) == 1


@pytest.mark.parametrize("server", GENERATIONS)
def test_what_is_deadly_is_refused(server: str) -> None:
    passed = []
    for row in filter(is_deadly, rows_of(server)):
        # what PREPARE has settled was not tried in other ways
        vias = WAYS if row.via == PREPARE else (row.via,)
        for step in (row._replace(via=via) for via in vias):
            for generation in (GENERATIONS[server], Generation.UNKNOWN):
                if not refusal(step, generation) and row.sql not in UNSEEN:
                    passed.append((generation.name, *step[2:6]))
    assert passed == []


@pytest.mark.parametrize("generation", sorted(set(GENERATIONS.values())))
def test_what_is_harmless_is_not_refused(generation: Generation) -> None:
    steps: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in ROWS:
        if GENERATIONS[row.server] is generation:
            steps[row[2:5]].append(row)
    refused = [
        (found.name, *rows[0][:6])
        for rows in steps.values()
        if all(map(is_safe, rows)) and (found := refusal(rows[0], generation)) and not any(map(reason, rows))
    ]
    assert refused == []


def test_caution_has_its_cases() -> None:
    for why, is_this in CAUTIOUS:
        assert any(is_safe(row) and is_this(row) and refusal(row, GENERATIONS[row.server]) for row in ROWS), (
            why
        )


def played(server: DqliteServer, row: Row, number: int) -> set[HazardKind]:
    """Take a step on the embedded server and look around; return the hazards that it recorded."""
    before = len(server.hazards)
    database = f"{number:04}"  # as long as the survey's
    pattern = row.open_name.replace("{db}", database).replace("{scratch}", SCRATCH)
    with RawConnection(server.address) as client:
        try:
            client.open(pattern)
            for sql in SETUP if row.via != OPEN else ():
                client.exec_sql(sql)
            ask(client, "EXEC_SQL" if row.via == OPEN else row.via, filled(row.sql) or "CREATE TABLE t (a)")
        except (RuntimeError, EOFError):
            pass  # OPEN is refused, or the connection closed
    with RawConnection(server.address) as client:
        assert client.leader() == (1, server.address)
    assert server.errors == []
    return {hazard.kind for hazard in server.hazards[before:]}


@pytest.mark.parametrize("server", GENERATIONS)
def test_the_embedded_server_records_what_is_deadly_and_survives_it(server: str) -> None:
    with DqliteServer(generation=server) as playing:
        silent = [
            row[2:6]
            for number, row in enumerate(filter(is_deadly, rows_of(server)))
            if not played(playing, row, number)
        ]
    assert silent == []


@pytest.mark.parametrize("server", GENERATIONS)
def test_the_embedded_server_records_nothing_of_what_is_harmless(server: str) -> None:
    """But for what leaves the database: that it refuses and records for every release."""
    told = []
    with DqliteServer(generation=server) as playing:
        for number, row in enumerate([row for row in rows_of(server) if is_safe(row)][::SAMPLE]):
            found = played(playing, row, number) - {HazardKind.OUTSIDE}
            if found and not reason(row):
                told.append((*row[2:6], found))
    assert told == []


def test_every_verdict_is_there() -> None:
    """But "hangs": a node that leaves one client waiting leaves others waiting too, which is worse."""
    assert {row.verdict for row in ROWS} == {*VERDICTS} - {"hangs"}
