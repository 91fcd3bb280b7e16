"""Failure codes: SQLite's, extended or not, and dqlite's own."""

from __future__ import annotations

import sqlite3

import pytest

from dqlitewire import constants, is_dqlite_namespace_code, primary_sqlite_code

CODES = [
    # code, primary code, is dqlite's own
    (0, 0, False),
    (1, 1, False),
    (255, 255, False),
    (256, 0, False),
    (517, 5, False),
    (999, 231, False),
    (1000, 1000, True),
    (1001, 1001, True),
    (1005, 1005, True),
    (1023, 1023, True),
    (1024, 0, False),
    (1555, 19, False),
    (2067, 19, False),
    (8202, 10, False),
    (8458, 10, False),
    (10250, 10, False),
    (10506, 10, False),
    (2**64 - 1, 255, False),
]


@pytest.mark.parametrize(("code", "primary", "own"), CODES)
def test_codes(code: int, primary: int, own: bool) -> None:
    assert primary_sqlite_code(code) == primary
    assert is_dqlite_namespace_code(code) is own


OWN = ("SQLITE_PRIMARY_CODE_MASK", "SQLITE_IOERR_NOT_LEADER", "SQLITE_IOERR_LEADERSHIP_LOST")
SHARED = [name for name in constants.__all__ if name.startswith("SQLITE_") and not name.startswith(OWN)]


@pytest.mark.parametrize("name", SHARED)
def test_numbers_are_those_of_the_standard_library(name: str) -> None:
    assert getattr(constants, name) == getattr(sqlite3, name)


@pytest.mark.parametrize(
    "name", ["NOT_LEADER", "LEADERSHIP_LOST", "NOT_LEADER_LEGACY", "LEADERSHIP_LOST_LEGACY"]
)
def test_leader_errors_are_io_errors(name: str) -> None:
    code = getattr(constants, f"SQLITE_IOERR_{name}")
    assert primary_sqlite_code(code) == constants.SQLITE_IOERR
    assert code in constants.LEADER_ERROR_CODES
