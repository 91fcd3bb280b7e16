"""A cluster on the terminal: a headline, a row for each node, and what is to be said of it.

Where the width does not hold the table, a node takes a line for its address and some below it.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from dqlitewire.cli.output import joined, painted
from dqlitewire.conversation import Generation
from dqlitewire.dial import Finding, Health, NodeView, Verdict
from dqlitewire.dial.cluster import role_words
from dqlitewire.text import Shown, printable
from dqlitewire.traffic.shorten import counted

HEADS = ("address", "id", "role", "leader", "server", "weight", "domain", "round trip")
_BETWEEN = "  "


def cluster_lines(verdict: Verdict, width: int, colour: bool = False) -> Iterator[Shown]:
    """Write what was found of a cluster.

    Args:
        verdict: what was found.
        width: columns.
        colour: whether colours are wanted.
    """
    yield from headline(verdict, width, colour)
    yield joined("")
    rows = [cells(verdict, node) for node in verdict.view.nodes]
    styles = ["" if node.answer.health.answered else "failure" for node in verdict.view.nodes]
    table = [HEADS, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADS))]
    if sum(widths) + len(_BETWEEN) * (len(widths) - 1) <= width:
        for row, style in zip(table, ["dim", *styles], strict=True):
            line = _BETWEEN.join(cell.ljust(size) for cell, size in zip(row, widths, strict=True))
            yield painted(line.rstrip(), style, colour) if style else joined(line.rstrip())
    else:
        for row, style in zip(rows, styles, strict=True):
            yield from _block(row, width, style, colour)
    if verdict.findings:
        yield joined("")
    for finding in verdict.findings:
        yield from finding_lines(finding, width, colour)


def headline(verdict: Verdict, width: int, colour: bool = False) -> Iterator[Shown]:
    """Write in a line or two how a cluster is.

    Args:
        verdict: what was found.
        width: columns; 0 for a single line.
        colour: whether colours are wanted.
    """
    view = verdict.view
    problems = sum(finding.problem for finding in verdict.findings)
    state = "healthy" if verdict.healthy else counted(problems, "problem")
    leader = f"leader {view.name(view.leader)}" if view.leader else "no leader"
    roles = Counter(member.role for member in view.members)
    shares = ", ".join(counted(number, role_words(role)) for role, number in sorted(roles.items()))
    answer = sum(node.answer.health.answered for node in view.nodes)
    said = [leader, f"{counted(len(view.members), 'member')}{f' ({shares})' if shares else ''}"]
    every = answer == len(view.nodes) and not view.unasked
    said.append("all answer" if every else f"{answer} of {len(view.nodes)} asked answer")
    text = printable(f"{state}: {', '.join(said)}")
    for number, line in enumerate(_wrapped(text, width, "") if width else [text]):
        style = "response" if verdict.healthy else "failure"
        if number == 0 and line.startswith(state):
            yield joined(painted(state, style, colour), line[len(state) :])
        else:
            yield joined(line)


def finding_lines(finding: Finding, width: int, colour: bool = False) -> Iterator[Shown]:
    """Write a finding.

    Args:
        finding: what was found.
        width: columns; 0 for a single line.
        colour: whether colours are wanted.
    """
    mark = "!" if finding.problem else "-"
    text = f"{mark} {printable(finding.text)}"
    for line in _wrapped(text, width, "  ") if width else [text]:
        yield painted(line, "failure", colour) if finding.problem else joined(line)


def cells(verdict: Verdict, node: NodeView) -> tuple[str, ...]:
    """Return what the columns show of a node.

    Args:
        verdict: what was found.
        node: the node.
    """
    health = node.answer.health
    about = (health.address, str(node.node_id or "?"), "?" if node.role is None else role_words(node.role))
    if not health.answered:
        return (*(printable(cell) for cell in about), health.status.value, "", "", "", "")
    return tuple(
        map(
            printable,
            (
                *about,
                _leader(verdict, health),
                _release(health),
                "?" if health.weight is None else str(health.weight),
                "?" if health.failure_domain is None else str(health.failure_domain),
                "" if health.round_trip is None else f"{health.round_trip * 1000:.2f} ms",
            ),
        )
    )


def _release(health: Health) -> str:
    """The generation of a server in few characters."""
    generation = health.generation
    if not generation:
        return "?"
    return f"to {generation.release}" if generation is Generation.V1_11 else f"{generation.release}+"


def _leader(verdict: Verdict, health: Health) -> str:
    """Who leads according to a node: the id, where it is that of the member at the address."""
    if not health.leader_address:
        return "none"
    member = verdict.view.member_at(health.leader_address)
    return health.leader_address if member is None else str(member.node_id)


def _block(row: Sequence[str], width: int, style: str, colour: bool) -> Iterator[Shown]:
    """A node in some lines: the address, and what goes with it."""
    address, number, role, leader, *rest = row
    said = [f"id {number}", role, f"leader {leader}" if any(rest) else leader]
    for cell, text in zip(rest, ("server {}", "weight {}", "domain {}", "{}"), strict=True):
        said += [text.format(cell)] * bool(cell)
    lines = _wrapped(address, width, "  ")
    line = ""
    for part in said:  # a part is not taken apart
        if line and len(line) + len(part) + 2 > width - 2:
            lines += _wrapped(f"  {line}", width, "  ")
            line = ""
        line = f"{line}, {part}" if line else part
    for text in [*lines, *_wrapped(f"  {line}", width, "  ")]:
        yield painted(text, style, colour) if style else joined(text)


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False) or [""]
