"""Draw the page of failures: every code that a rule knows, in words, with what to do."""

from __future__ import annotations

from collections.abc import Callable

from dqlitewire import RequestType
from dqlitewire.conversation import Outcome, Retry, explain_failure, failure_name
from dqlitewire.servers.codes import NAMES, primary_of
from dqlitewire.servers.failures import RAFT_CODES, RULES
from tools.drawn.messages.recorded import refused, servers_of
from tools.drawn.text import table

__all__ = ["PARTS", "codes"]

_READ, _WRITE = (RequestType.QUERY_SQL, "SELECT 1"), (RequestType.EXEC_SQL, "INSERT INTO t VALUES (1)")
_DONE = {
    Outcome.NOT_EXECUTED: "no",
    Outcome.UNKNOWN: "perhaps",
}


def codes() -> list[int]:
    """Return the codes that a rule names, in order."""
    return sorted({code for named, *_ in RULES for code in named})


def _rules_of(code: int) -> list[str]:
    """What the message must have for each rule of a code, in the order in which they are tried."""
    parts = [part for named, part, *_ in RULES if code in named]
    return list(dict.fromkeys([*parts, *([] if "" in parts else [""])]))


def _line(code: int, part: str) -> tuple[str, ...]:
    kind, sql = _WRITE
    written = explain_failure(code, part, request=kind, sql=sql)
    kind, sql = _READ
    read = explain_failure(code, part, request=kind, sql=sql)
    text = f"“{part}”" if part else "anything else"
    return text, written.meaning, written.retry.value, _DONE[written.outcome], read.retry.value


def _code_sections() -> str:
    """Return a section for each code, as Markdown."""
    head = "the message has", "what it means", "send a write again?", "was it executed?", "send a read again?"
    found = []
    for code in codes():
        name = failure_name(code) if code in NAMES else "an older number, see below"
        lines = [_line(code, part) for part in _rules_of(code)]
        if len(lines) == 1:
            lines = [("anything", *lines[0][1:])]
        parts = [
            f"(code-{code})=\n\n### {code} {name if code else 'of an empty statement'}",
            table(head, lines),
        ]
        seen = _recorded(code)
        found.append("\n\n".join([*parts, *([seen] if seen else [])]))
    return "\n\n".join(found)


def _recorded(code: int) -> str:
    lines: dict[tuple[int, str], tuple[list[str], set[str]]] = {}
    known = codes()
    for (found, text, request), servers in sorted(refused().items()):
        if found == code or (found not in known and primary_of(found) == code):
            requests, whose = lines.setdefault((found, text), ([], set()))
            requests.append(request.name)
            whose |= servers
    if not lines:
        return ""
    rows = [
        (
            f"{found}{'' if found == code else f' {failure_name(found)}'}",
            text,
            ", ".join(requests),
            servers_of(whose),
        )
        for (found, text), (requests, whose) in lines.items()
    ]
    return "As recorded:\n\n" + table(("code", "text", "answer to", "servers"), rows)


def _outcomes() -> str:
    words = {
        Outcome.DONE: "it was executed: an answer came",
        Outcome.NOT_EXECUTED: "data and transaction are as they were before",
        Outcome.UNKNOWN: "it may have been executed, or be executed yet: look before you send it again",
    }
    return table(
        ("`Outcome`", "what became of the request"), [(f"`{one.name}`", words[one]) for one in Outcome]
    )


def _raft_codes() -> str:
    lines = [
        (f"[{code}](#code-{code})", failure_name(code), name)
        for code, name in RAFT_CODES.items()
        if code in codes()
    ]
    lines += [
        (str(code), failure_name(code), name) for code, name in RAFT_CODES.items() if code not in codes()
    ]
    return table(("code", "as SQLite's", "as raft's"), lines)


def _summary() -> str:
    """For each thing to do, the codes that ask for it, of a writing statement."""
    found: dict[Retry, list[str]] = {one: [] for one in Retry}
    for code in codes():
        for retry in dict.fromkeys(
            explain_failure(code, part, request=_WRITE[0], sql=_WRITE[1]).retry for part in _rules_of(code)
        ):
            found[retry].append(f"[{code}](#code-{code})")
    return table(
        ("`Retry`", "send it again?", "codes of which some or all say so"),
        [(f"`{one.name}`", one.value, ", ".join(listed)) for one, listed in found.items()],
    )


PARTS: dict[str, Callable[[], str]] = {
    "codes": _code_sections,
    "outcomes": _outcomes,
    "raft codes": _raft_codes,
    "what to do": _summary,
}
