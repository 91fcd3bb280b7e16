"""The reference page is what the tables draw, and leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dqlitewire import RequestType
from dqlitewire.conversation import TABLE, Hazard
from dqlitewire.conversation.table import ANSWER_NAMES, DONE, FAILURE, PART, Turn
from dqlitewire.servers.releases import RELEASES
from tools.drawn.order_drawing import INTERRUPTED, ONE_FRAME, ROUTES, all_places, edges, labels, route_of
from tools.drawn.order_drawing import files as order_files
from tools.drawn.reference import PARTS, files, hazards, redrawn, releases, steps

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "guides" / "conversation.md"


def test_every_part_stands_in_one_page() -> None:
    pages = "".join(files().values())
    for name in PARTS:
        assert pages.count(f"<!-- drawn: {name} -->") == 1, name


def test_redrawing_replaces_what_was_written_by_hand() -> None:
    page = PAGE.read_text()
    spoilt = page.replace("| EXEC (5) | waiting | RESULT, FAILURE | ended |", "| EXEC (5) | by hand |")
    assert spoilt != page
    assert redrawn(spoilt) == page


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<!-- drawn: elephants -->\n<!-- end -->\n", "drawn: elephants -->: unknown"),
        ("<!-- drawn: steps -->\n", "steps -->: no <!-- end -->"),
        ("<!-- drawn: steps -->\n<!-- drawn: pragmas -->\n<!-- end -->\n", "steps -->: no <!-- end -->"),
    ],
)
def test_a_part_that_is_not_one(page: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        redrawn(page)


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


def test_the_drawing_has_every_edge_and_its_answers() -> None:
    drawn = edges()
    assert set(drawn) == set(ROUTES) == {(step.turn, step.then) for step in TABLE}
    (drawing,) = order_files().values()
    words = re.findall(r"<text[^>]*>([^<]+)</text>", drawing)
    assert {turn.name.lower() for turn in Turn} | {"INTERRUPT sent", "CONNECT sent"} <= set(words)
    for step in TABLE:
        shown = labels(drawn[step.turn, step.then])
        one_frame = ANSWER_NAMES[step.answer] if step.answer in (PART, DONE, FAILURE) else ONE_FRAME
        assert ANSWER_NAMES[step.answer] in shown or one_frame in shown, step
        assert all(any(name in line for line in words) for name in shown)
    interrupted = {place.turn for place in all_places() if place.draining is not None} - {Turn.DRAINING}
    assert interrupted == set(INTERRUPTED)


def test_an_edge_without_a_place_is_said() -> None:
    with pytest.raises(ValueError, match=r"raft to ended: say in tools/drawn/order_drawing\.py"):
        route_of((Turn.RAFT, Turn.ENDED))


def test_every_fact_that_differs_between_releases_is_there() -> None:
    rows = [vars(row) for row in RELEASES.values()]
    differing = [fact for fact in rows[0] if any(row[fact] != rows[0][fact] for row in rows)]
    facts = [line for line in releases().splitlines() if line.startswith("| ")]
    headings = [line for line in facts if line.startswith(("| fact |", "| --- |"))]
    assert len(facts) - len(headings) == len({*differing} - {"name", "generation"})


@pytest.mark.parametrize("hazard", list(Hazard), ids=lambda hazard: hazard.name)
def test_every_hazard_is_there(hazard: Hazard) -> None:
    assert f"`{hazard.name}`" in hazards()
