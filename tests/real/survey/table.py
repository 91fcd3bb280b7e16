"""The results of the survey: a row a step, sorted, as tab-separated values with C-like escapes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).parent / "results.tsv"
COLUMNS = ("server", "sqlite", "via", "open_name", "sql", "verdict", "evidence")
LONGEST = 120  # characters of evidence


class Row(NamedTuple):
    """What became of one step on one server; `verdict` is one of `trial.VERDICTS`."""

    server: str
    sqlite: str
    via: str
    open_name: str
    sql: str
    verdict: str
    evidence: str

    def line(self) -> str:
        return (
            "\t".join(_escaped(value[:LONGEST] if i == 6 else value) for i, value in enumerate(self)) + "\n"
        )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _plain(value: str) -> str:
    return value.encode("latin-1", "backslashreplace").decode("unicode_escape")


def rows_of(lines: Iterable[str]) -> Iterator[Row]:
    for line in lines:
        values = line.rstrip("\n").split("\t")
        if len(values) == len(COLUMNS) and line.endswith("\n"):
            yield Row(*map(_plain, values))


def read_table() -> list[Row]:
    """Return the rows of the repository's table."""
    head, *lines = TABLE.read_text(encoding="utf-8").splitlines(keepends=True)
    assert head.rstrip("\n").split("\t") == list(COLUMNS)
    return list(rows_of(lines))


def write_table(rows: Iterable[Row]) -> int:
    """Write the repository's table; return the number of its rows."""
    lines = sorted({row.line() for row in rows})
    TABLE.write_text("\t".join(COLUMNS) + "\n" + "".join(lines), encoding="utf-8")
    return len(lines)


def journal() -> Path:
    """Return the file that keeps what was tried; it may not be there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dqlite-wire"
    cache.mkdir(parents=True, exist_ok=True)
    return cache / "survey.tsv"


def read_journal() -> list[Row]:
    """Return what was tried; a line that was cut off is not."""
    path = journal()
    return list(rows_of(path.read_text(encoding="utf-8").splitlines(keepends=True))) if path.exists() else []
