"""Every number that a caller of the conversation or the traffic layer chooses is checked where it enters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dqlitewire import conversation, traffic
from dqlitewire.conversation import Observer, ServerConversation, Side, batch_rows
from dqlitewire.traffic import Connection, Recording, TranscriptWriter, exchanges, items, lines, open_source
from dqlitewire.traffic.select import Selection
from dqlitewire.traffic.views.line import Clock
from tests.naming import shown

STREAM = bytes([1, *bytes(7)]) + bytes([1, *bytes(15)])


def written(call: Callable[[TranscriptWriter], None]) -> None:
    with TranscriptWriter("/dev/null") as writer:
        call(writer)


CHECKED: dict[str, Callable[[Any], object]] = {
    "Observer.keep_answers": lambda n: Observer(keep_answers=n),
    "Observer.receive_gap.size": lambda n: Observer().receive_gap(Side.CLIENT, n),
    "ServerConversation.page_size": lambda n: ServerConversation(page_size=n),
    "batch_rows.page_size": lambda n: batch_rows([], [], n),
    "exchanges.keep_answers": lambda n: exchanges(STREAM, keep_answers=n),
    "items.keep_answers": lambda n: items(open_source(STREAM), keep_answers=n),
    "lines.width": lambda n: lines(STREAM, width=n),
    "open_source.ports": lambda n: open_source(STREAM, ports=[n]),
    "Recording.add.time": lambda n: Recording().add(Side.CLIENT, b"", n),
    "Selection.min_latency": lambda n: Selection(min_latency=n),
    "TranscriptWriter.frame.time": lambda n: written(
        lambda w: w.frame(Connection(), Side.CLIENT, b"", n, {})
    ),
    "TranscriptWriter.gap.size": lambda n: written(lambda w: w.gap(Connection(), Side.CLIENT, n, 1)),
    "TranscriptWriter.gap.time": lambda n: written(lambda w: w.gap(Connection(), Side.CLIENT, 1, n)),
    "TranscriptWriter.frame.last": lambda n: written(
        lambda w: w.frame(Connection(), Side.CLIENT, b"", 1, {}, last=n)
    ),
    "TranscriptWriter.fault.fault": lambda n: written(lambda w: w.fault(Connection(), "fail", n, "", 1)),
    "TranscriptWriter.fault.time": lambda n: written(lambda w: w.fault(Connection(), "fail", 1, "", n)),
    "TranscriptWriter.unanswered.time": lambda n: written(lambda w: w.unanswered(Connection(), n, {})),
    "TranscriptWriter.end.time": lambda n: written(lambda w: w.end(Connection(), Side.CLIENT, n)),
}
#: what tells of bytes that passed, codes that somebody else chose, what is encoded and checked there, and
#: sizes as files take them
DATA = {
    "BadHeader",
    "End",
    "Ended",
    "FailureInfo",
    "Frame",
    "Gap",
    "Garbage",
    "Greeting",
    "Input",
    "Interrupted",
    "Item",
}
DATA |= {
    "Opaque",
    "RaftFrame",
    "Preamble",
    "Step",
    "WrongAnswerError",
    "Connection",
    "explain_failure",
    "failure_name",
    "follow",
}
DATA |= {
    "Session.is_void",
    "Session.ran",
    "Exchange.add",
    "probe_generation",
    "ClientConversation",
}


def numbers() -> Iterator[str]:
    """Each parameter that is an integer of what is public."""
    for module in (conversation, traffic):
        for name in module.__all__:
            thing = getattr(module, name)
            functions = {name: thing} if callable(thing) else {}
            if inspect.isclass(thing):
                members = {f"{name}.{key}": member for key, member in vars(thing).items()}
                functions |= {
                    key: member
                    for key, member in members.items()
                    if inspect.isfunction(member) and not member.__name__.startswith("_")
                }
            for where, function in functions.items():
                for parameter in inspect.signature(function).parameters.values():
                    kinds = str(parameter.annotation).split(" | ")
                    if ("int" in kinds or "Collection[int]" in kinds) and not DATA & {where, name}:
                        yield f"{where}.{parameter.name}"


def test_every_number_is_known() -> None:
    assert set(numbers()) <= set(CHECKED)


@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.parametrize("wrong", [-1, -(1 << 70), True, "1", 1.5, b"1"], ids=shown)
def test_wrong_numbers(name: str, wrong: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        CHECKED[name](wrong)


@pytest.mark.parametrize("name", ["Observer.keep_answers", "exchanges.keep_answers", "items.keep_answers"])
def test_no_answer_kept_is_no_choice(name: str) -> None:
    with pytest.raises(ValueError, match="keep_answers is 0, at least 1"):
        CHECKED[name](0)
    CHECKED[name](1)
    CHECKED[name](None)


def test_modes_of_a_clock() -> None:
    with pytest.raises(ValueError, match="mode is 'x', one of relative"):
        Clock("x")


def test_paths_that_are_none(tmp_path: Path) -> None:
    for name in ("a\0b", "\ud800", tmp_path / "x\0"):
        with pytest.raises(traffic.SourceError):
            open_source(name)
