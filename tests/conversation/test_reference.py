"""The reference page is what the tables draw, and leaves nothing out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dqlitewire import RequestType
from dqlitewire.conversation import TABLE, Hazard
from dqlitewire.conversation.table import ANSWER_NAMES
from tools.reference import PARTS, diagram, hazards, redrawn, steps

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "conversation.md"


def test_the_page_is_drawn_from_the_tables() -> None:
    page = PAGE.read_text()
    assert redrawn(page) == page
    for name in PARTS:
        assert page.count(f"<!-- drawn: {name} -->") == 1


def test_redrawing_replaces_what_was_written_by_hand(tmp_path: Path) -> None:
    page = PAGE.read_text()
    spoilt = tmp_path / "page.md"
    spoilt.write_text(
        page.replace("| EXEC (5) | waiting | RESULT, FAILURE | ended |", "| EXEC (5) | by hand |")
    )
    assert spoilt.read_text() != page
    subprocess.run([sys.executable, str(ROOT / "tools" / "reference.py"), str(spoilt)], check=True)
    assert spoilt.read_text() == page


def test_every_request_and_every_step_is_there() -> None:
    lines = [line.split(" | ") for line in steps().splitlines()[2:]]
    assert {line[0].removeprefix("| ") for line in lines} == {
        f"{kind.name} ({kind.value})" for kind in RequestType
    }
    for step in TABLE:
        name, turn, then = (
            f"| {step.request.name} ({step.request.value})",
            step.turn.name.lower(),
            step.then.name.lower(),
        )
        (answers,) = [line[2] for line in lines if line[:2] == [name, turn] and line[3] == f"{then} |"]
        assert ANSWER_NAMES[step.answer] in answers.split(", ")


def test_the_diagram_has_every_turn() -> None:
    edges = {tuple(line.split(":")[0].split(" --> ")) for line in diagram().splitlines() if "-->" in line}
    assert {(step.turn.name.lower(), step.then.name.lower()) for step in TABLE} <= {
        (start.strip(), end) for start, end in edges
    }
    assert "[*] --> raft: CONNECT sent" in diagram()
    assert "streaming --> draining: INTERRUPT sent" in diagram()


@pytest.mark.parametrize("hazard", list(Hazard), ids=lambda hazard: hazard.name)
def test_every_hazard_is_there(hazard: Hazard) -> None:
    assert f"`{hazard.name}`" in hazards()
