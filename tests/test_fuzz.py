"""A small, fixed part of what `python -m tests.fuzz` does at length, and the fuzzer's own parts."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from tests.fuzz import checks, rounds
from tests.fuzz.frames import WIDTHS, draw
from tests.fuzz.mutations import MUTATIONS, damaged, damaged_rows


@pytest.mark.parametrize("seed", range(6))
def test_damaged_frames_are_read_alike(seed: int) -> None:
    counts: Counter[str] = Counter()
    sets = checks.hot(), checks.cold()
    for number in range(6):
        rounds.rows_batch(Random(100 * seed + number), counts, sets)
    assert counts["damaged ROWS accepted"] > 0
    assert counts["damaged ROWS refused"] > 50


@pytest.mark.parametrize("seed", range(6))
def test_damaged_messages_are_read_alike(seed: int) -> None:
    counts: Counter[str] = Counter()
    for number in range(6):
        rounds.message_batch(Random(100 * seed + number), counts)
    assert counts["damaged messages refused"] > 50


def test_a_seed_gives_the_same_frames_again() -> None:
    def made() -> list[bytes]:
        rng = Random(5)
        frame = draw(rng, WIDTHS)
        return [frame.data, *(damaged_rows(frame, rng) for _ in range(50))]

    assert made() == made()
    assert len(set(made())) > 30


def test_every_damage_changes_some_frame() -> None:
    rng = Random(1)
    frames = [draw(rng).data[8:] for _ in range(30)]
    for damage in MUTATIONS:
        assert any(damage(body, rng) != body for body in frames)
    assert all(damaged(bytes(16), rng) is not None for _ in range(200))


def test_a_difference_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzer can fail: a fast path that swaps the marks is told from the plain one."""
    fast = checks.rows._read_fast

    def wrong(*given: object, **named: object) -> object:
        types, values, more = fast(*given, **named)  # type: ignore[arg-type]
        return types, values, not more

    monkeypatch.setattr(checks.rows, "_read_fast", wrong)
    with pytest.raises(AssertionError):
        rounds.rows_batch(Random(1), Counter(), ())
