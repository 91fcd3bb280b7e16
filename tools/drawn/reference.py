"""Draw the references of order, hazards and releases from the tables the code runs on.

A page marks each part as `<!-- drawn: NAME -->` .. `<!-- end -->`; the text between is replaced by what
`PARTS` has for the name, all else stays. `tools/redraw.py` writes the pages.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from dqlitewire.constants import RequestType
from dqlitewire.conversation.table import ANSWER_NAMES, FIRST, TABLE, Turn
from dqlitewire.servers.hazards import HazardKind
from dqlitewire.servers.releases import RELEASES, Generation, Release
from dqlitewire.servers.sql_hazards import ACTS, PRAGMAS, SqlHazard
from tools import public
from tools.drawn import DOCS, ROOT, bounds, compatibility, performance, survey_page
from tools.drawn.messages import failure_pages, limit_pages, pages, raft_pages, value_pages

__all__ = ["PARTS", "files", "hazards", "pragmas", "redrawn", "releases", "steps"]

_PART = re.compile(
    r"^<!-- drawn: (?P<name>.*?) -->$(?P<text>.*?)(?P<end>^<!-- end -->$|\Z)", re.MULTILINE | re.DOTALL
)


def steps() -> str:
    """Return the table as Markdown, the answers that lead to the same turn in one row."""
    rows: dict[tuple[RequestType, Turn, Turn], list[str]] = {}
    for step in TABLE:
        rows.setdefault((step.request, step.turn, step.then), []).append(ANSWER_NAMES[step.answer])
    lines = [
        (f"{request.name} ({request.value})", _name(turn), ", ".join(answers), _name(then))
        for (request, turn, then), answers in rows.items()
    ]
    for kind in RequestType:
        if not FIRST[kind].after:
            lines.insert(
                _place_of(kind, lines), (f"{kind.name} ({kind.value})", "", "none", _name(FIRST[kind].turn))
            )
    return _markdown(("request", "turn", "answers", "then"), lines)


def _place_of(kind: RequestType, lines: list[tuple[str, str, str, str]]) -> int:
    return next(i for i, line in enumerate(lines) if line[0].endswith(f"({kind.value + 1})"))


def hazards() -> str:
    """Return the hazards that a client refuses as Markdown."""
    lines = [
        (f"`{kind.flag.name}`", kind.happens, kind.seen.value, _servers(kind.since, kind.before))
        for kind in sorted(HazardKind, key=lambda kind: kind.flag)
        if kind.flag
    ]
    return _markdown(("hazard", "what it would do", "seen in", "servers"), lines)


def pragmas() -> str:
    """Return the pragmas and acts that are a hazard as Markdown."""
    lines = [
        (
            f"`{name}`",
            "always" if row.reading else "with a value",
            _requests(row),
            _servers(row.since, row.before),
        )
        for name, rows in PRAGMAS.items()
        for row in rows
    ]
    lines += [
        (name, "always", _requests(row), _servers(row.since, row.before))
        for name, rows in ACTS.items()
        for row in rows
    ]
    return _markdown(("pragma or act", "refused", "in", "servers"), lines)


def _requests(row: SqlHazard) -> str:
    return ", ".join(sorted(kind.name for kind in row.acts if not kind.name.endswith("_SQL")))


def _servers(since: Generation, before: Generation | None) -> str:
    later = "" if since is Generation.V1_11 else f"{since.release} and later"
    earlier = "" if before is None else f"before {before.release}"
    return ", ".join(filter(None, (later, earlier))) or "all"


def releases() -> str:
    """Return what differs between the releases as Markdown, in the words beside the facts of `Release`."""
    facts = re.findall(r"^    (\w+): [^#\n]+  # (.+)$", inspect.getsource(Release), re.MULTILINE)
    lines = [(words, *(_fact(getattr(row, name)) for row in RELEASES.values())) for name, words in facts]
    differing = [line for line in lines if len(set(line[1:])) > 1]
    does = [line for line in differing if {"yes", "no"} >= set(line[1:])]
    says = [line for line in differing if line not in does]
    head = ("fact", *RELEASES)
    return f"### What they do\n\n{_markdown(head, does)}\n\n### What they say\n\n{_markdown(head, says)}"


def _fact(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return f'{value[0]} "{value[1]}"'
    if isinstance(value, dict):
        named: dict[str, list[str]] = {}
        for key, what in value.items():
            named.setdefault(_fact(getattr(what, "failure", what)), []).append(str(getattr(key, "name", key)))
        return "; ".join(f"{', '.join(names)}: {failure}" for failure, names in named.items()) or "none"
    return str(value)


def survey() -> str:
    """Return what the survey found as Markdown: how often, then pragmas, statements and names."""
    tables = {
        "Steps of each verdict": survey_page.verdicts(),
        "Pragmas": survey_page.pragmas(),
        "Statements": survey_page.statements(),
        "Names in OPEN": survey_page.names(),
    }
    return "\n\n".join(f"## {title}\n\n{_markdown(head, lines)}" for title, (head, *lines) in tables.items())


def _name(turn: Turn) -> str:
    return turn.name.lower()


def _markdown(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    rows = [head, ("---",) * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


PARTS: dict[str, Callable[[], str]] = {
    "steps": steps,
    "hazards": hazards,
    "pragmas": pragmas,
    "releases": releases,
    "survey": survey,
    "bounds": bounds.bounds,
    "public": public.table,
    **pages.PARTS,
    **failure_pages.PARTS,
    **limit_pages.PARTS,
    **raft_pages.PARTS,
    **value_pages.PARTS,
    **performance.PARTS,
    **compatibility.PARTS,
}


def redrawn(page: str) -> str:
    """Return a page with every marked part drawn anew.

    Args:
        page: as it stands.

    Raises:
        ValueError: for a part that `PARTS` does not have, or one without an end.
    """

    def part(marked: re.Match[str]) -> str:
        name, text = marked["name"], marked["text"]
        if name not in PARTS:
            raise ValueError(f"<!-- drawn: {name} -->: unknown; there is {', '.join(PARTS)}")
        if "<!-- drawn:" in text or not marked["end"]:
            raise ValueError(f"<!-- drawn: {name} -->: no <!-- end --> before the next part")
        return f"<!-- drawn: {name} -->\n\n{PARTS[name]()}\n\n<!-- end -->"

    return _PART.sub(part, page)


def files() -> dict[Path, str]:
    """Return every page that has marked parts, with its text drawn anew."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    return {page: redrawn(text) for page, text in texts.items() if "<!-- drawn:" in text}
