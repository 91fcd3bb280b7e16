"""Draw the turns of one request as a state diagram, from the table of the protocol's order.

What is drawn are the edges of the table: which answer leads from which turn to which. Where each turn and
each edge stands is said here; an edge that has no place yet is an error that names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from dqlitewire.conversation.table import ANSWER_NAMES, DONE, FAILURE, FIRST, PART, TABLE, Place, Turn
from tools.drawn import DOCS
from tools.drawn.drawing import Drawing
from tools.drawn.text import look_up

__all__ = ["INTERRUPTED", "ONE_FRAME", "ROUTES", "all_places", "edges", "files", "labels", "route_of"]

DRAWING = DOCS / "drawings" / "order.svg"

WIDTH, HEIGHT = 352, 424
ONE_FRAME = "its answer"  # stands for all the answers of one frame
BOX, HIGH = 96, 34
PLACES = {  # the middle of each turn's box
    Turn.WAITING: (176, 62),
    Turn.STREAMING: (176, 172),
    Turn.DRAINING: (176, 282),
    Turn.ENDED: (176, 392),
    Turn.RAFT: (296, 392),
}

Edge = tuple[Turn, Turn]
Point = tuple[float, float]


class Route(NamedTuple):
    """Where an edge is drawn.

    Attributes:
        points: its corners.
        at: where the first line of its words stands.
        anchor: how the words stand there.
    """

    points: tuple[Point, ...]
    at: Point
    anchor: str = "start"


def _loop(turn: Turn) -> Route:
    x, y = PLACES[turn]
    edge = x + BOX / 2
    return Route(((edge, y), (edge + 24, y), (edge + 24, y + 12), (edge, y + 12)), (edge + 29, y + 10))


ROUTES: dict[Edge, Route] = {
    (Turn.WAITING, Turn.ENDED): Route(((128, 62), (18, 62), (18, 392), (128, 392)), (24, 31)),
    (Turn.WAITING, Turn.STREAMING): Route(((176, 79), (176, 155)), (182, 120)),
    (Turn.STREAMING, Turn.STREAMING): _loop(Turn.STREAMING),
    (Turn.STREAMING, Turn.ENDED): Route(((128, 172), (48, 172), (48, 382), (128, 382)), (53, 154)),
    (Turn.DRAINING, Turn.DRAINING): _loop(Turn.DRAINING),
    (Turn.DRAINING, Turn.ENDED): Route(((176, 299), (176, 375)), (182, 320)),
}
# what the client sends behind a request
INTERRUPTED: dict[Turn, Route] = {
    Turn.WAITING: Route(((224, 62), (338, 62), (338, 274), (224, 274)), (230, 56)),
    Turn.STREAMING: Route(((176, 189), (176, 265)), (182, 230)),
}


def edges() -> dict[Edge, list[int]]:
    """Return the edges of the table, each with the answers that lead along it."""
    found: dict[Edge, list[int]] = {}
    for step in TABLE:
        answers = found.setdefault((step.turn, step.then), [])
        if step.answer not in answers:
            answers.append(step.answer)
    return found


def labels(answers: list[int]) -> list[str]:
    """Return the names of the answers of an edge; many of one frame are one name.

    Args:
        answers: of the edge.
    """
    named = [answer for answer in (PART, DONE, FAILURE) if answer in answers]
    others = [answer for answer in answers if answer not in named]
    first = [ONE_FRAME] if len(others) > 1 else [ANSWER_NAMES[other] for other in others]
    return [*first, *(ANSWER_NAMES[answer] for answer in named)]


def _name(turn: Turn) -> str:
    return turn.name.lower()


def route_of(edge: Edge) -> Route:
    start, end = edge
    way = f"{_name(start)} to {_name(end)}"
    return look_up(ROUTES, edge, way, "tools/drawn/order_drawing.py where it is drawn")


def svg() -> str:
    """Return the drawing."""
    drawing = Drawing(WIDTH, "The turns of one request", shown=470)
    for turn, (x, y) in PLACES.items():
        drawing.box(x - BOX / 2, y - HIGH / 2, BOX, HIGH, radius=6, accent=True, shade=0.1)
        drawing.text(x, y + 4, _name(turn), size=13, anchor="middle", bold=True)
    drawing.text(176, 14, "request sent", size=11, anchor="middle", accent=True)
    drawing.arrow((176, 20), (176, 45))
    for edge, answers in edges().items():
        _draw(drawing, route_of(edge), _lines(labels(answers), edge))
    for turn in (Turn.WAITING, Turn.STREAMING):
        if any(place.turn is turn and place.draining is not None for place in all_places()):
            _draw(drawing, INTERRUPTED[turn], ["INTERRUPT sent"], sent=True)
    if any(place.turn is Turn.RAFT for place in FIRST.values()):
        drawing.text(296, 350, "CONNECT sent", size=11, anchor="middle", accent=True)
        drawing.arrow((296, 355), (296, 375))
    return drawing.svg(HEIGHT)


def all_places() -> list[Place]:
    return [place for first in FIRST.values() for place in (first, *first.after.values())]


def _lines(names: list[str], edge: Edge) -> list[str]:
    """The words beside an edge, a line each where it is a lane at the left, which has little room."""
    if edge[1] is Turn.ENDED and edge[0] is not Turn.DRAINING:
        return [f"{name}," for name in names[:-1]] + names[-1:]
    return [", ".join(names[:2]) + ("," if names[2:] else ""), *names[2:]]


def _draw(drawing: Drawing, route: Route, lines: list[str], sent: bool = False) -> None:
    drawing.arrow(*route.points, dashed=sent)
    x, y = route.at
    for number, line in enumerate(lines):
        drawing.text(x, y + 13 * number, line, size=11, anchor=route.anchor, accent=sent)


def files() -> dict[Path, str]:
    """Return the drawing's file with its text."""
    return {DRAWING: svg()}
