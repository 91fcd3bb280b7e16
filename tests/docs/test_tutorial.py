"""docs/tutorial.md: somebody who types all of it sees what the page shows."""

from __future__ import annotations

from pathlib import Path

from tests.docs.following import Reader

PAGE = "docs/tutorial.md"


def test_all_of_it(tmp_path: Path) -> None:
    with Reader(tmp_path) as reader:
        reader.follow(PAGE)
        assert sorted(path.name for path in tmp_path.glob("*.py")) == ["books.py", "test_books.py"]
        assert len(reader.typed) >= 11
