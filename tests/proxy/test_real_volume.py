"""Much at once through the proxy from real servers: 200 000 rows, blobs of 60 MiB, INTERRUPT, slow readers.

One server for the blobs in the suite, each server with DQLITE_WIRE_DEEP=1; `test_cluster.py` has clusters.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dqlitewire.messages import (
    EmptyResponse,
    ExecSqlRequest,
    InterruptRequest,
    QuerySqlRequest,
    ResultResponse,
    RowsResponse,
)
from tests.profiles import DEEP
from tests.proxy.both_sides import advertising, between_taps
from tests.real.fixtures import require_server
from tests.real.nodes import KINDS
from tests.real.session import Session

pytestmark = pytest.mark.real

BLOB_KINDS = KINDS if DEEP else ("1.18.7",)
BLOB = 60 << 20
ROWS = 200_000
SERIES = f"WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {ROWS})"
MANY = f"{SERIES} SELECT i, 'row ' || i, i * 0.5 FROM r"
FEWER = f"{MANY} LIMIT 20000"


def count(session: Session, pause: float = 0.0) -> int:
    """Ask for all rows and look at each; how many there were."""
    answer = session.call(QuerySqlRequest(0, MANY, []))
    found = 0
    while True:
        assert isinstance(answer, RowsResponse)
        for row in answer.rows:
            found += 1
            assert tuple(row) == (found, f"row {found}", found * 0.5)
        if not answer.has_more:
            return found
        if pause:
            time.sleep(pause)
            pause = 0.0
        answer = session.more()


def interrupted(session: Session) -> int:
    """Send an INTERRUPT into a query, and return how many rows came all the same.

    No server stops a query: all its rows come, and one EMPTY behind them.
    """
    session.send(QuerySqlRequest(0, FEWER, []))
    answer = session.answer()
    session.send(InterruptRequest(0))
    found = 0
    while isinstance(answer, RowsResponse):
        found += len(answer.rows)
        answer = session.more() if answer.has_more else session.answer()
    assert answer == EmptyResponse()
    assert session.row("SELECT 7") == (7,)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_many_rows_a_slow_reader_and_an_interrupt(kind: str, tmp_path: Path) -> None:
    require_server(kind)
    with (
        advertising(kind) as node,
        between_taps(node, tmp_path / "s.dqt") as both,
        Session(both.front.address, "db") as session,
    ):
        assert count(session, pause=0.2) == ROWS
        assert interrupted(session) == 20_000
    ((_, answers),) = both.streams
    assert len(answers) > 7_000_000


@pytest.mark.parametrize("kind", BLOB_KINDS)
def test_a_blob_of_60_mib(kind: str, tmp_path: Path) -> None:
    require_server(kind)
    blob = os.urandom(1 << 20) * (BLOB >> 20)
    with (
        advertising(kind) as node,
        between_taps(node, tmp_path / "s.dqt" if DEEP else None) as both,
        Session(both.front.address, "db") as session,
    ):
        there_and_back(session, blob)
    ((requests, answers),) = both.streams
    assert min(len(requests), len(answers)) > BLOB


def there_and_back(session: Session, blob: bytes) -> None:
    session.execute("CREATE TABLE b (a BLOB)")
    result = session.call(ExecSqlRequest(0, "INSERT INTO b VALUES (?)", [blob]))
    assert isinstance(result, ResultResponse), result
    assert session.row("SELECT a FROM b") == (blob,)
