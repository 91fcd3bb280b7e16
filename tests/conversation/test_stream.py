"""What the reader of a stream is made of: the bytes that wait, the states, and those that only look."""

from __future__ import annotations

import ast
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dqlitewire.conversation import Side
from dqlitewire.conversation.observer import stream
from dqlitewire.conversation.observer.stream import State
from dqlitewire.conversation.observer.stream_reader import StreamReader
from dqlitewire.conversation.observer.waiting import Waiting

FOLDER = Path(stream.__file__).parent
LOOKING = ("opening.py", "frame_stream.py", "raft_stream.py", "found.py")

pieces = st.lists(st.binary(max_size=6), max_size=12)


@given(pieces=pieces, wanted=st.lists(st.integers(0, 9), min_size=1, max_size=8), lost=st.integers(0, 5))
def test_bytes_wait_until_there_are_as_many_as_a_step_needs(
    pieces: list[bytes], wanted: list[int], lost: int
) -> None:
    """Against a plain account: all bytes are taken once, in order, at their places and with their times."""
    waiting, needs = Waiting(Side.CLIENT), wanted * 20
    waiting.count(lost)
    came = [float(time) for time, piece in enumerate(pieces) for _ in piece]
    taken, need = b"", 0
    for time, piece in enumerate(pieces):
        before = len(taken) + waiting.have
        ready = waiting.add(piece, float(time))
        assert ready == (before + len(piece) - len(taken) >= need)
        if not ready:
            continue
        need = 0
        while not need:
            size = needs.pop()
            if not size or size > waiting.rest:
                need = size or waiting.rest + 1
                waiting.wait(need)
                break
            side, offset, data, start, end = waiting.take(size)
            assert (side, offset, len(data), end) == (Side.CLIENT, lost + len(taken), size, time)
            # of bytes that came before, and behind others that were taken, it is only known when those were
            assert came[len(taken)] <= start <= end
            taken += data
        waiting.close()
        assert waiting.offset == lost + len(taken)
    assert taken + waiting.clear() == b"".join(pieces)
    assert waiting.offset == lost + len(b"".join(pieces))


@given(head=st.binary(max_size=20), split=st.integers(1, 5))
def test_a_mark_ends_the_wait_wherever_it_is_cut(head: bytes, split: int) -> None:
    waiting, data = Waiting(Side.CLIENT), head.replace(b"\r", b"") + b"\r\n\r\n"
    waiting.add(b"GE", 0.0)
    waiting.wait(1000, b"\r\n\r\n")
    waiting.close()
    ready = [waiting.add(data[at : at + split], 0.0) for at in range(0, len(data), split)]
    assert ready == [False] * (len(ready) - 1) + [True]


def test_pieces_that_are_nothing_are_not_held() -> None:
    waiting = Waiting(Side.CLIENT)
    waiting.add(b"a", 0.0)
    waiting.wait(9)
    waiting.close()
    assert not any(waiting.add(b"", 1.0) for _ in range(9))
    assert len(waiting._pieces) == 1


def test_each_state_has_a_step() -> None:
    assert set(StreamReader._STEPS) == set(State)


def assigned(path: Path) -> set[str]:
    """Return the names of the attributes that a module assigns, of any object."""
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }


def test_the_state_changes_in_one_module() -> None:
    assert [path.name for path in FOLDER.glob("*.py") if "state" in assigned(path)] == ["stream.py"]


def test_those_who_look_change_nothing_but_where_to_look_next() -> None:
    for name in LOOKING:
        for function in ast.walk(ast.parse((FOLDER / name).read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef) and function.name != "__init__":
                stored = {
                    node.attr
                    for node in ast.walk(function)
                    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
                }
                assert stored <= {"_from"}, function.name
