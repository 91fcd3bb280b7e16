"""What processes that share a run lean on: see workers.py and naming.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.naming import shown, unstable
from tests.workers import APART, LONG, rank

ROOT = Path(__file__).resolve().parent.parent


def test_the_files_of_the_order_are_there_and_named_once() -> None:
    names = [*APART, *LONG]
    assert len(set(names)) == len(names)
    assert [name for name in names if not (ROOT / name).is_file()] == []


def test_what_takes_longest_comes_first_and_the_rest_stays_in_order() -> None:
    rest = ["tests/test_text.py::test_b", "tests/test_text.py::test_a", "tests/a/test_z.py::test_c[1]"]
    assert sorted([*rest, f"{LONG[0]}::test_x", f"{APART[1]}::test_y"], key=rank) == [
        f"{APART[1]}::test_y",
        f"{LONG[0]}::test_x",
        *rest,
    ]


@pytest.mark.parametrize("value", [object(), memoryview(b""), len, lambda: None, [object()]], ids=shown)
def test_names_have_no_addresses(value: object, request: pytest.FixtureRequest) -> None:
    assert unstable([repr(value)]) == ([] if value is len else [repr(value)])
    assert unstable([request.node.nodeid]) == []
