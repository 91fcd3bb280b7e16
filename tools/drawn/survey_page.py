"""Draw what the survey found as Markdown: what becomes of each server, a line for what is alike.

The page is docs/reference/hazards.md, and `tools/drawn/reference.py` draws it; the results are those of
`tests/real/survey`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from dqlitewire.sql.survey import survey
from tests.real.survey.steps import OPEN, PREPARE
from tests.real.survey.table import Row, read_table

__all__ = ["SERVERS", "names", "pragmas", "statements", "verdicts"]

SERVERS = ("1.11.1", "1.18.1", "cowsql", "1.18.7")
HARMLESS = ("harmless", "refused")
CLOSED = "the step itself: connection closed"
QUOTES = "'"
SHOWN = 20  # of things that are alike
Table = list[tuple[str, ...]]


def verdicts() -> Table:
    """Return how many steps of each server met each verdict, the head first."""
    rows = read_table()
    kinds = sorted({row.verdict for row in rows})
    counts = [
        (
            kind.replace("_", " "),
            *(str(sum(row.server == server and row.verdict == kind for row in rows)) for server in SERVERS),
        )
        for kind in kinds
    ]
    return [("verdict", *SERVERS), *counts]


def pragmas() -> Table:
    """Return the pragmas that do harm, the head first."""
    found = defaultdict(list)
    for row in read_table():
        seen = survey(row.sql)
        if row.via != OPEN and seen.pragmas and not seen.acts:
            found[seen.pragmas[-1].name].append(row)
    lines = [(f"`{name}`", *_cells(rows, _value)) for name, rows in sorted(found.items()) if _harm(rows)]
    return [("pragma", *SERVERS), *lines]


def statements() -> Table:
    """Return the other texts that do harm, the head first; of those that are alike the first is shown."""
    found = defaultdict(list)
    for row in read_table():
        seen = survey(row.sql)
        if row.via != OPEN and (seen.acts or not seen.pragmas):
            found[_kind(row.sql)].append(row)
    lines = [(kind, *_cells(rows)) for kind, rows in sorted(found.items()) if _harm(rows)]
    return [("statement", *SERVERS), *lines]


def names() -> Table:
    """Return the names for OPEN that do harm, those that fare alike in one line, the head first."""
    found = defaultdict(list)
    for row in read_table():
        if row.via == OPEN:
            found[row.open_name].append(row)
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, rows in sorted(found.items()):
        if _harm(rows):
            alike[_cells(rows)].append(_shown(name))
    lines = [(_listed(sorted(set(shown), key=_words_first)), *cells) for cells, shown in alike.items()]
    return [("name", *SERVERS), *sorted(lines)]


def _words_first(shown: str) -> tuple[bool, str]:
    return shown.startswith("`"), shown


def _kind(sql: str) -> str:
    seen = survey(sql)
    if seen.returning:
        return "RETURNING"
    for act in seen.acts:
        return act.replace("pragma_optimize", "the function `pragma_optimize`")
    return f"`{sql[:60]}`"


def _value(row: Row) -> str:
    if re.fullmatch(r"PRAGMA \w+", row.sql):
        return "without a value"
    plain = re.fullmatch(r"PRAGMA \w+ = ([\w'-]+)", row.sql)
    return f"`{plain[1].strip(QUOTES)}`" if plain else ""


def _harm(rows: Iterable[Row]) -> bool:
    return any(row.verdict not in HARMLESS for row in rows)


def _cells(rows: Iterable[Row], value: object = None) -> tuple[str, ...]:
    return tuple(
        _cell([row for row in rows if row.server == server], value is not None) for server in SERVERS
    )


def _cell(rows: list[Row], with_values: bool) -> str:
    harmful: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.verdict not in HARMLESS:
            said = "closes the connection" if row.via == OPEN and row.evidence == CLOSED else row.verdict
            harmful[said].append(row)
    if not harmful:
        ran = [row for row in rows if row.via != PREPARE] or rows
        return "refused" if all(row.verdict == "refused" for row in ran) else "harmless"
    return "; ".join(_said(verdict, found, with_values) for verdict, found in sorted(harmful.items()))


def _said(verdict: str, rows: list[Row], with_values: bool) -> str:
    vias = {row.via.removesuffix("_SQL") for row in rows}
    words = verdict.replace("_", " ")
    if PREPARE in vias:
        words += ", compiled"  # by PREPARE, so in every way
    elif len(vias) == 1 and OPEN not in vias:
        words += f" by {min(vias)}"
    values = sorted({value for row in rows if with_values and (value := _value(row))})
    return f"{words}: {_listed(values)}" if values else words


def _listed(things: list[str]) -> str:
    more = len(things) - SHOWN
    return ", ".join(things[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _shown(name: str) -> str:
    if len(name) > 100:
        return "more than 504 bytes" if len(name) <= 512 else "more than 512 bytes"
    return f"`{name}`" if name else "an empty one"
