"""Shortening a raw server message."""

from __future__ import annotations

import pytest

from dqlitewire import DEFAULT_MAX_RAW_MESSAGE, cap_raw_message
from dqlitewire.truncate import cap_raw_message as from_module

CASES = [
    # message, max, result
    (None, 10, None),
    (None, 0, None),
    ("", 0, ""),
    ("abc", 3, "abc"),
    ("abc", 4, "abc"),
    ("abcd", 3, "abc... [raw_message truncated, 1 codepoints]"),
    ("abc", 0, "... [raw_message truncated, 3 codepoints]"),
    ("𝄞" * 5, 2, "𝄞𝄞... [raw_message truncated, 3 codepoints]"),
    ("a\n\tb\0c", 4, "a\n\tb... [raw_message truncated, 2 codepoints]"),
    ("x" * 4097, DEFAULT_MAX_RAW_MESSAGE, "x" * 4096 + "... [raw_message truncated, 1 codepoints]"),
    ("x" * 4096, DEFAULT_MAX_RAW_MESSAGE, "x" * 4096),
]


@pytest.mark.parametrize(("message", "limit", "result"), CASES)
def test_longer_messages_are_cut_and_say_by_how_much(
    message: str | None, limit: int, result: str | None
) -> None:
    assert cap_raw_message(message, limit) == result


@pytest.mark.parametrize("message", [None, "", "abc"])
def test_a_negative_maximum_is_refused(message: str | None) -> None:
    with pytest.raises(ValueError):
        cap_raw_message(message, -1)


def test_the_maximum_has_no_default() -> None:
    with pytest.raises(TypeError):
        cap_raw_message("abc")  # type: ignore[call-arg]


def test_the_root_name_is_the_same_function() -> None:
    assert from_module is cap_raw_message
